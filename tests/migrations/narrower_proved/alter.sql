/* bulkhead: ddl_prove */ ALTER TABLE t MODIFY n SMALLINT NOT NULL;
