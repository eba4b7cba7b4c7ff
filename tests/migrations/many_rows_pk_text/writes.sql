INSERT INTO t (id, n, s) VALUES (200000 + {n}, {n}, 'new');
UPDATE t SET n = n + 1 WHERE id = 1 + ({n} * 7919) % 100000;
DELETE FROM t WHERE id = 1 + ({n} * 104729) % 100000;
UPDATE t SET id = 300000 + {n} WHERE id = 1 + ({n} * 1299709) % 100000;
BEGIN; UPDATE t SET n = n + 1 WHERE id BETWEEN 1 + ({n} * 4001) % 99000 AND 400 + ({n} * 4001) % 99000; COMMIT;
BEGIN; UPDATE t SET n = -1 WHERE id < 5000; ROLLBACK;
