CREATE TABLE t (id INT NOT NULL PRIMARY KEY, n INT NOT NULL, s VARCHAR(40), KEY a (n), KEY b (s), KEY c (n, s), KEY d (s(5), n), KEY e (s, id));
