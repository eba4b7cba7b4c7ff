/* bulkhead: ddl_prove */ ALTER TABLE t MODIFY v VARCHAR(20) CHARACTER SET utf8mb4;
