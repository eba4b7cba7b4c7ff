-- proved before, broken by a write meanwhile: ends with an error, and the table as it was
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, n INT NOT NULL, s VARCHAR(40));
