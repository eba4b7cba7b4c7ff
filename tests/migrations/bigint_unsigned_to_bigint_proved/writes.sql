INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 0, 0);
UPDATE t SET v = 0 WHERE id = 1 + ({n} * 7 + 0) % 40;
INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 1, 9223372036854775807);
UPDATE t SET v = 9223372036854775807 WHERE id = 1 + ({n} * 7 + 1) % 40;
INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 2, NULL);
UPDATE t SET v = NULL WHERE id = 1 + ({n} * 7 + 2) % 40;
DELETE FROM t WHERE id = 1 + ({n} * 11) % 40;
REPLACE INTO t (id, v) VALUES (1 + ({n} * 3) % 40, 0);
