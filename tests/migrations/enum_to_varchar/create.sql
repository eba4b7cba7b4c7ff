CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v ENUM('a','b','it''s','€'));
