/* bulkhead: ddl_prove */ ALTER TABLE t MODIFY v ENUM('c','a','b');
