/* bulkhead: ddl_acknowledged */ ALTER TABLE t CHANGE a b INT, CHANGE b a INT;
