-- no proof tells the time zone
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v TIMESTAMP(3) NULL);
