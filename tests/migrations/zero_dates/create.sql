-- dates that today's modes would not take stay as they are
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v DATE NOT NULL);
