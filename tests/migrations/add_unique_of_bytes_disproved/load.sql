INSERT INTO t (id, n, b) VALUES (1, 1, x'ff00fe27'), (2, 2, x'ff00fe27'), (3, 3, x'c328');
