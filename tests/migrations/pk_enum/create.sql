-- an enumeration is sorted by its ordinals
CREATE TABLE t (k ENUM('b','a','c') NOT NULL PRIMARY KEY, n INT NOT NULL, s VARCHAR(40));
