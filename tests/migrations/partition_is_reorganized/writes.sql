INSERT INTO t (id, s) VALUES (1000 + {n}, CONCAT('s', {n}));
UPDATE t SET s = CONCAT('u', {n}) WHERE id = 21 + {n} % 20;
DELETE FROM t WHERE id = 21 + ({n} * 11) % 20;
