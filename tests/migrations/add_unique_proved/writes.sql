INSERT INTO t (id, n, s) VALUES (1000 + {n}, 1, CONCAT('new', {n}));
UPDATE t SET s = CONCAT('upd', {n}) WHERE id = 1 + {n} % 40;
