UPDATE t SET n = n + 1 WHERE k = 'a';
UPDATE t SET n = n + 1 WHERE k = _latin1 x'e9';
UPDATE t SET n = n + 1 WHERE k = _latin1 x'80';
DELETE FROM t WHERE k = 'a';
INSERT INTO t VALUES ('a', {n}, 'again') ON DUPLICATE KEY UPDATE n = n + 1;
REPLACE INTO t VALUES (_latin1 x'e9', {n}, 'replaced');
REPLACE INTO t VALUES (_latin1 x'80', {n}, 'replaced');
