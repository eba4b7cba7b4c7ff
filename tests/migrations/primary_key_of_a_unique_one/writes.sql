INSERT INTO t (id, u, s) VALUES (1000 + {n}, 100000 + {n}, CONCAT('s', {n}));
UPDATE t SET s = CONCAT('u', {n}) WHERE id = 1 + {n} % 40;
UPDATE t SET u = 500000 + {n} WHERE id = 1 + ({n} * 5) % 40;
UPDATE t SET id = 100000 + {n} WHERE id = 1 + ({n} * 13) % 40;
DELETE FROM t WHERE id = 1 + ({n} * 11) % 40;
