-- rows are told apart by the key that both tables have
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, u INT NOT NULL, s VARCHAR(40), UNIQUE KEY by_u (u));
