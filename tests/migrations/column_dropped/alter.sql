/* bulkhead: ddl_acknowledged */ ALTER TABLE t DROP COLUMN old, MODIFY n BIGINT NOT NULL;
