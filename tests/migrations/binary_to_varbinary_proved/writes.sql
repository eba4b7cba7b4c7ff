INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 0, x'0000000000000000');
UPDATE t SET v = x'0000000000000000' WHERE id = 1 + ({n} * 7 + 0) % 40;
INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 1, x'ab00000000000000');
UPDATE t SET v = x'ab00000000000000' WHERE id = 1 + ({n} * 7 + 1) % 40;
INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 2, x'ffffffffffffffff');
UPDATE t SET v = x'ffffffffffffffff' WHERE id = 1 + ({n} * 7 + 2) % 40;
DELETE FROM t WHERE id = 1 + ({n} * 11) % 40;
REPLACE INTO t (id, v) VALUES (1 + ({n} * 3) % 40, x'0000000000000000');
