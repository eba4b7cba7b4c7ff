INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 0, '2024-06-30 00:00:00');
UPDATE t SET v = '2024-06-30 00:00:00' WHERE id = 1 + ({n} * 7 + 0) % 40;
INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 1, '1000-01-01');
UPDATE t SET v = '1000-01-01' WHERE id = 1 + ({n} * 7 + 1) % 40;
INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 2, NULL);
UPDATE t SET v = NULL WHERE id = 1 + ({n} * 7 + 2) % 40;
DELETE FROM t WHERE id = 1 + ({n} * 11) % 40;
REPLACE INTO t (id, v) VALUES (1 + ({n} * 3) % 40, '2024-06-30 00:00:00');
