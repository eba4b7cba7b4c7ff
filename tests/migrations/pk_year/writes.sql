UPDATE t SET n = n + 1 WHERE k = '2026';
UPDATE t SET n = n + 1 WHERE k = '1999';
DELETE FROM t WHERE k = '2026';
INSERT INTO t VALUES ('2026', {n}, 'again') ON DUPLICATE KEY UPDATE n = n + 1;
REPLACE INTO t VALUES ('2026', {n}, 'replaced');
REPLACE INTO t VALUES ('1999', {n}, 'replaced');
