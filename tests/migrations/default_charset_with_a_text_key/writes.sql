INSERT INTO t (k, n, s) VALUES (CONCAT('☃', {n}), {n}, 's');
UPDATE t SET n = n + 1 WHERE k = CONCAT('k', 1 + {n} % 40, 'ü');
DELETE FROM t WHERE k = CONCAT('k', 1 + ({n} * 11) % 40, 'ü');
