-- the ordinal of c changes: a copy by ordinal would change the value
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v ENUM('a','c'));
