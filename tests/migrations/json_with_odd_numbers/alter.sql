/* bulkhead: ddl_prove */ ALTER TABLE t MODIFY v JSON NOT NULL;
