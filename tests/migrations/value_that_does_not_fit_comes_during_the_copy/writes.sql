UPDATE t SET n = 40000 WHERE id = 1 + {n} % 40;
