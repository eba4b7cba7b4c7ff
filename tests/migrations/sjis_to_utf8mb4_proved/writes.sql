INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 0, '表示');
UPDATE t SET v = '表示' WHERE id = 1 + ({n} * 7 + 0) % 40;
INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 1, 'ソ');
UPDATE t SET v = 'ソ' WHERE id = 1 + ({n} * 7 + 1) % 40;
INSERT INTO t (id, v) VALUES (1000 + {n} * 3 + 2, '');
UPDATE t SET v = '' WHERE id = 1 + ({n} * 7 + 2) % 40;
DELETE FROM t WHERE id = 1 + ({n} * 11) % 40;
REPLACE INTO t (id, v) VALUES (1 + ({n} * 3) % 40, '表示');
