-- three bytes, with a sign
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v MEDIUMINT);
