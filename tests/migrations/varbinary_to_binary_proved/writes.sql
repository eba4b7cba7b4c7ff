INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 0, x'00000000');
UPDATE t SET v = x'00000000' WHERE id = 1 + ({n} * 7 + 0) % 40;
INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 1, x'ab000000');
UPDATE t SET v = x'ab000000' WHERE id = 1 + ({n} * 7 + 1) % 40;
INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 2, x'ffffffff');
UPDATE t SET v = x'ffffffff' WHERE id = 1 + ({n} * 7 + 2) % 40;
DELETE FROM t WHERE id = 1 + ({n} * 11) % 40;
REPLACE INTO t (id, v) VALUES (1 + ({n} * 3) % 40, x'00000000');
