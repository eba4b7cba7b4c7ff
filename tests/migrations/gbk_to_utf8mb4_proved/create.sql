-- the second byte of a letter may be a backslash
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v VARCHAR(20) CHARACTER SET gbk);
