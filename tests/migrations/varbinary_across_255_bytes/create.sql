-- text that looks like a hexadecimal literal, and control bytes
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v VARBINARY(20));
