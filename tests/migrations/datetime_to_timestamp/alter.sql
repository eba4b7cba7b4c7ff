/* bulkhead: ddl_prove */ ALTER TABLE t MODIFY v TIMESTAMP NULL;
