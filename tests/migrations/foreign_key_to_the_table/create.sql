-- the key of the other table would follow the old table
CREATE TABLE t (id INT PRIMARY KEY, n INT);
CREATE TABLE c (id INT PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES t (id));
