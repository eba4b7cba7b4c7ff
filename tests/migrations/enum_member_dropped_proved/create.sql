-- no row holds what goes
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v ENUM('a','b','c'));
