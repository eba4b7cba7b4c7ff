/* bulkhead: ddl_prove */ ALTER TABLE t MODIFY s VARCHAR(400), ADD UNIQUE KEY by_n (n);
