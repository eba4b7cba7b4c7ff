-- many chunks
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, n INT NOT NULL, s VARCHAR(40), KEY by_n (n), KEY by_s (s));
