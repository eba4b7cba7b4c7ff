-- columns that are there keep their character set
CREATE TABLE t (k VARCHAR(20) NOT NULL PRIMARY KEY, n INT NOT NULL, s VARCHAR(40)) DEFAULT CHARACTER SET utf8mb4;
