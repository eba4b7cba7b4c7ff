/* bulkhead: ddl_acknowledged */ ALTER TABLE t DROP PARTITION a;
