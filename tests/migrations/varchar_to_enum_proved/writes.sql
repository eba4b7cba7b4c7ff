INSERT INTO t (id, v) VALUES (1000 + {n} * 2 + 0, 'x');
UPDATE t SET v = 'x' WHERE id = 1 + ({n} * 7 + 0) % 40;
INSERT INTO t (id, v) VALUES (1000 + {n} * 2 + 1, 'y');
UPDATE t SET v = 'y' WHERE id = 1 + ({n} * 7 + 1) % 40;
DELETE FROM t WHERE id = 1 + ({n} * 11) % 40;
REPLACE INTO t (id, v) VALUES (1 + ({n} * 3) % 40, 'x');
