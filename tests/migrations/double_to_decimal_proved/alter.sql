/* bulkhead: ddl_prove */ ALTER TABLE t MODIFY v DECIMAL(10,2);
