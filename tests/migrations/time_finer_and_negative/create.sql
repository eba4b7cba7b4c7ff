-- a negative time with a fraction
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v TIME(2));
