CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v SET('a','b','c','d','e','f','g','h'));
