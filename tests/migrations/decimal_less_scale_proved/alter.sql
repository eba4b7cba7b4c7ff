/* bulkhead: ddl_prove */ ALTER TABLE t MODIFY v DECIMAL(8,2);
