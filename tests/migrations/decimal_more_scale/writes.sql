INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 0, -99999999.99);
UPDATE t SET v = -99999999.99 WHERE id = 1 + ({n} * 7 + 0) % 40;
INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 1, 99999999.99);
UPDATE t SET v = 99999999.99 WHERE id = 1 + ({n} * 7 + 1) % 40;
INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 2, 0.01);
UPDATE t SET v = 0.01 WHERE id = 1 + ({n} * 7 + 2) % 40;
DELETE FROM t WHERE id = 1 + ({n} * 11) % 40;
REPLACE INTO t (id, v) VALUES (1 + ({n} * 3) % 40, -99999999.99);
