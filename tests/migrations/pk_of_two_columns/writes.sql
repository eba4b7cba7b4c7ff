INSERT INTO t (id, n, s) VALUES (1000 + {n}, {n} % 97, CONCAT('s', {n}));
UPDATE t SET n = n + 1 WHERE id = 1 + {n} % 40;
UPDATE t SET s = CONCAT('u', {n}) WHERE id = 1 + ({n} * 5) % 40;
DELETE FROM t WHERE id = 1 + ({n} * 11) % 40;
UPDATE t SET id = 100000 + {n} WHERE id = 1 + ({n} * 13) % 40;
