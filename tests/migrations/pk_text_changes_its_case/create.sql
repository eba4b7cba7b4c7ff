-- the key's bytes change and the key does not
CREATE TABLE t (k VARCHAR(20) CHARACTER SET utf8mb4 NOT NULL PRIMARY KEY, n INT NOT NULL);
