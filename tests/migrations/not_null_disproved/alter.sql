/* bulkhead: ddl_prove */ ALTER TABLE t MODIFY s VARCHAR(400) NOT NULL;
