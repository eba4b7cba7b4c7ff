UPDATE t SET n = n + 1 WHERE k = b'0';
UPDATE t SET n = n + 1 WHERE k = b'1';
UPDATE t SET n = n + 1 WHERE k = b'10000000000000000000';
DELETE FROM t WHERE k = b'0';
INSERT INTO t VALUES (b'0', {n}, 'again') ON DUPLICATE KEY UPDATE n = n + 1;
REPLACE INTO t VALUES (b'1', {n}, 'replaced');
REPLACE INTO t VALUES (b'10000000000000000000', {n}, 'replaced');
