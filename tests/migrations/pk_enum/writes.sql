UPDATE t SET n = n + 1 WHERE k = 'a';
UPDATE t SET n = n + 1 WHERE k = 'b';
UPDATE t SET n = n + 1 WHERE k = 'c';
DELETE FROM t WHERE k = 'a';
INSERT INTO t VALUES ('a', {n}, 'again') ON DUPLICATE KEY UPDATE n = n + 1;
REPLACE INTO t VALUES ('b', {n}, 'replaced');
REPLACE INTO t VALUES ('c', {n}, 'replaced');
