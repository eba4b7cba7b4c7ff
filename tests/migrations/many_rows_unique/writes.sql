INSERT INTO t (id, n, s) VALUES (200000 + {n}, {n}, 'new');
UPDATE t SET n = n + 1 WHERE id = 1 + ({n} * 7919) % 100000;
DELETE FROM t WHERE id = 1 + ({n} * 104729) % 100000;
UPDATE t SET id = 300000 + {n} WHERE id = 1 + ({n} * 1299709) % 100000;
BEGIN; UPDATE t SET n = n + 1 WHERE id BETWEEN 1 + ({n} * 4001) % 99000 AND 400 + ({n} * 4001) % 99000; COMMIT;
BEGIN; UPDATE t SET n = -1 WHERE id < 5000; ROLLBACK;
INSERT INTO t (id, n, s) VALUES (1 + ({n} * 104729) % 100000, 1, 'again') ON DUPLICATE KEY UPDATE n = n + 1;
BEGIN; UPDATE t SET u = NULL WHERE id = 1 + ({n} * 31) % 90000; UPDATE t SET u = 1 + ({n} * 31) % 90000 WHERE id = 2 + ({n} * 31) % 90000; COMMIT;
UPDATE t SET u = NULL WHERE u > 50000 AND u < 50100 + {n};
