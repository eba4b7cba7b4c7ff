/* bulkhead: ddl_prove */ ALTER TABLE t MODIFY n BIGINT NOT NULL, ADD UNIQUE KEY by_b (b);
