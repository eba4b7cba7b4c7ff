ALTER TABLE t MODIFY v ENUM('a','b','c');
