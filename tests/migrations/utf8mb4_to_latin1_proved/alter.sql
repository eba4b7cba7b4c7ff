/* bulkhead: ddl_prove */ ALTER TABLE t MODIFY v VARCHAR(20) CHARACTER SET latin1;
