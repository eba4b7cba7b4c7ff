INSERT INTO t (id, v) VALUES (1000 + {n}, CONCAT('w', {n}));
UPDATE t SET v = CONCAT('U', {n}) WHERE id = 1 + {n} % 40;
DELETE FROM t WHERE id = 1 + ({n} * 11) % 40;
REPLACE INTO t (id, v) VALUES (1 + ({n} * 3) % 40, CONCAT('r', {n}));
