-- the second byte of these letters is a backslash
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v VARCHAR(20) CHARACTER SET sjis);
