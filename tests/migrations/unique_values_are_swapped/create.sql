-- a unique value goes from row to row
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, n INT NOT NULL, s VARCHAR(40), u INT, UNIQUE KEY by_u (u));
