UPDATE t SET n = n + 1 WHERE k = '-10:00:00.50';
UPDATE t SET n = n + 1 WHERE k = '00:00:00';
UPDATE t SET n = n + 1 WHERE k = '10:00:00.01';
DELETE FROM t WHERE k = '-10:00:00.50';
INSERT INTO t VALUES ('-10:00:00.50', {n}, 'again') ON DUPLICATE KEY UPDATE n = n + 1;
REPLACE INTO t VALUES ('00:00:00', {n}, 'replaced');
REPLACE INTO t VALUES ('10:00:00.01', {n}, 'replaced');
