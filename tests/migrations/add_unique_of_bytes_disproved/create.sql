-- the server's words quote bytes that are no text
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, n INT NOT NULL, b VARBINARY(20));
