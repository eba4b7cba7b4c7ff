/* bulkhead: ddl_acknowledged */ ALTER TABLE t CHANGE old fresh BIGINT;
