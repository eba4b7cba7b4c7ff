-- a key that ends in zeros
CREATE TABLE t (k BINARY(16) NOT NULL PRIMARY KEY, n INT NOT NULL, s VARCHAR(40));
