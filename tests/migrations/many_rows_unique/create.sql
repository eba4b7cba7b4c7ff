-- unique values that wander between chunks
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, n INT NOT NULL, s VARCHAR(40), u INT, UNIQUE KEY by_u (u));
