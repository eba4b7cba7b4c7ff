/* bulkhead: ddl_acknowledged */ ALTER TABLE t DROP COLUMN old, ADD COLUMN old BIGINT;
