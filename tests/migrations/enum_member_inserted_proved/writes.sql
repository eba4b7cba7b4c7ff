INSERT INTO t (id, v) VALUES (1000 + {n} * 2 + 0, 'a');
UPDATE t SET v = 'a' WHERE id = 1 + ({n} * 7 + 0) % 40;
INSERT INTO t (id, v) VALUES (1000 + {n} * 2 + 1, 'c');
UPDATE t SET v = 'c' WHERE id = 1 + ({n} * 7 + 1) % 40;
DELETE FROM t WHERE id = 1 + ({n} * 11) % 40;
REPLACE INTO t (id, v) VALUES (1 + ({n} * 3) % 40, 'a');
