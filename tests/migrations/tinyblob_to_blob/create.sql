-- empty, one NUL, and what is escaped
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v TINYBLOB);
