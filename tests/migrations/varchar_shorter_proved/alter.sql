/* bulkhead: ddl_prove */ ALTER TABLE t MODIFY v VARCHAR(10);
