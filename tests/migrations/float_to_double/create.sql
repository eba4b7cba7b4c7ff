-- what a FLOAT prints is not what it holds
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v FLOAT);
