INSERT INTO t (id, n, s) VALUES (1, 1, 's1'), (2, 2, 's2'), (3, 3, 's3');
