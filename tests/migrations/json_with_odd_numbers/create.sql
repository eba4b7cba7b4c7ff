-- numbers whose text is not how they were written
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v JSON);
