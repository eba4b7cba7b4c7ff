UPDATE t SET n = n + 1 WHERE k = 'a';
UPDATE t SET n = n + 1 WHERE k = 'A';
UPDATE t SET n = n + 1 WHERE k = '';
DELETE FROM t WHERE k = 'a';
INSERT INTO t VALUES ('a', {n}, 'again') ON DUPLICATE KEY UPDATE n = n + 1;
REPLACE INTO t VALUES ('A', {n}, 'replaced');
REPLACE INTO t VALUES ('', {n}, 'replaced');
