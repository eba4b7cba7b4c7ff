UPDATE t SET n = n + 1 WHERE k = 'a ';
UPDATE t SET n = n + 10 WHERE k = x'0000';
DELETE FROM t WHERE k = 'a  ';
INSERT INTO t (k, n) VALUES ('a  ', {n});
UPDATE t SET n = n + 100 WHERE k = '';
INSERT INTO t (k, n) VALUES (CONCAT('a', REPEAT(' ', 5 + {n} % 10)), {n}) ON DUPLICATE KEY UPDATE n = n + 1;
