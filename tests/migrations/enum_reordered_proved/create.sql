-- every ordinal changes: by label, in the copy and from the binary log
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v ENUM('a','b','c'));
