-- a character whose second byte is a backslash
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v VARCHAR(50) CHARACTER SET gbk);
