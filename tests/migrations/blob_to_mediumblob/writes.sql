INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 0, x'00');
UPDATE t SET v = x'00' WHERE id = 1 + ({n} * 7 + 0) % 40;
INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 1, x'');
UPDATE t SET v = x'' WHERE id = 1 + ({n} * 7 + 1) % 40;
INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 2, REPEAT(x'00ff', 30000));
UPDATE t SET v = REPEAT(x'00ff', 30000) WHERE id = 1 + ({n} * 7 + 2) % 40;
DELETE FROM t WHERE id = 1 + ({n} * 11) % 40;
REPLACE INTO t (id, v) VALUES (1 + ({n} * 3) % 40, x'00');
