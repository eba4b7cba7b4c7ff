INSERT INTO t (id, n, s) VALUES (200000 + {n}, {n}, 'new');
UPDATE t SET n = n + 1 WHERE id = 1 + ({n} * 7919) % 100000;
DELETE FROM t WHERE id = 1 + ({n} * 104729) % 100000;
