INSERT INTO t (id, n, s, g) VALUES (1000 + {n}, 1, 'a', POINT({n}, -{n}));
UPDATE t SET g = POINT({n}, 0.5) WHERE id = 1;
DELETE FROM t WHERE id = 1000 + {n} - 3;
