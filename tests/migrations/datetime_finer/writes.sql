INSERT INTO t (id, v) VALUES (1000 + {n} * 2 + 0, '2026-02-28 23:59:59.001');
UPDATE t SET v = '2026-02-28 23:59:59.001' WHERE id = 1 + ({n} * 7 + 0) % 40;
INSERT INTO t (id, v) VALUES (1000 + {n} * 2 + 1, '2026-02-28 23:59:59.999');
UPDATE t SET v = '2026-02-28 23:59:59.999' WHERE id = 1 + ({n} * 7 + 1) % 40;
DELETE FROM t WHERE id = 1 + ({n} * 11) % 40;
REPLACE INTO t (id, v) VALUES (1 + ({n} * 3) % 40, '2026-02-28 23:59:59.001');
