-- trailing zeros are in the row and not in the binary log
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v BINARY(8));
