# Statements that are routed whole. Each line of reasons is followed by its statement; a statement here that is read fails the test.
# reason: Bulkhead does not model MariaDB's temporal predicates
SELECT * FROM t FOR SYSTEM_TIME AS OF TIMESTAMP '2020-01-01' WHERE a = 1
