INSERT INTO t (id, n, s) VALUES (1000 + {n}, {n} % 97, CONCAT('s', {n}));
UPDATE t SET at = '2024-02-28 21:40:00.123456', n = n + 1 WHERE id = 1 + {n} % 40;
UPDATE t SET at = '2024-02-28 21:40:00.123456', s = CONCAT('u', {n}) WHERE id = 1 + ({n} * 5) % 40;
DELETE FROM t WHERE id = 1 + ({n} * 11) % 40;
UPDATE t SET at = '2024-02-28 21:40:00.123456', id = 100000 + {n} WHERE id = 1 + ({n} * 13) % 40;
