INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 0, '-00:00:00.50');
UPDATE t SET v = '-00:00:00.50' WHERE id = 1 + ({n} * 7 + 0) % 40;
INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 1, '-01:02:03.99');
UPDATE t SET v = '-01:02:03.99' WHERE id = 1 + ({n} * 7 + 1) % 40;
INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 2, '12:00:00.01');
UPDATE t SET v = '12:00:00.01' WHERE id = 1 + ({n} * 7 + 2) % 40;
DELETE FROM t WHERE id = 1 + ({n} * 11) % 40;
REPLACE INTO t (id, v) VALUES (1 + ({n} * 3) % 40, '-00:00:00.50');
