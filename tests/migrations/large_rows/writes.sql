UPDATE t SET b = REPEAT(x'00ff275c', 100000 + {n}) WHERE id = 1 + {n} % 10;
INSERT INTO t VALUES (100 + {n}, {n}, NULL);
