INSERT INTO t VALUES (1000 + {n}, {n}, {n}, 'k');
UPDATE t SET `a``b` = `a``b` + 1 WHERE `select` = 1;
DELETE FROM t WHERE `select` = 998 + {n};
