INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 0, 'abc');
UPDATE t SET v = 'abc' WHERE id = 1 + ({n} * 7 + 0) % 40;
INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 1, _latin1 x'e9e8');
UPDATE t SET v = _latin1 x'e9e8' WHERE id = 1 + ({n} * 7 + 1) % 40;
INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 2, REPEAT(_latin1 x'e9', 500));
UPDATE t SET v = REPEAT(_latin1 x'e9', 500) WHERE id = 1 + ({n} * 7 + 2) % 40;
DELETE FROM t WHERE id = 1 + ({n} * 11) % 40;
REPLACE INTO t (id, v) VALUES (1 + ({n} * 3) % 40, 'abc');
