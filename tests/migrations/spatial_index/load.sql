INSERT INTO t (id, n, s, g) VALUES (1, 1, 'a', POINT(1, 1)), (2, 1, 'b', POINT(-2, 3.5));
