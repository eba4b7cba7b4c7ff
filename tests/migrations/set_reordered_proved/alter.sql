/* bulkhead: ddl_prove */ ALTER TABLE t MODIFY v SET('c','b','a');
