INSERT INTO t (id, v) VALUES (1000 + {n} * 2 + 0, POINT(1, 2));
UPDATE t SET v = POINT(1, 2) WHERE id = 1 + ({n} * 7 + 0) % 40;
INSERT INTO t (id, v) VALUES (1000 + {n} * 2 + 1, POINT(-1.5, 1e10));
UPDATE t SET v = POINT(-1.5, 1e10) WHERE id = 1 + ({n} * 7 + 1) % 40;
DELETE FROM t WHERE id = 1 + ({n} * 11) % 40;
REPLACE INTO t (id, v) VALUES (1 + ({n} * 3) % 40, POINT(1, 2));
