-- bytes of the binary log are in the old character set
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v VARCHAR(50) CHARACTER SET latin1);
