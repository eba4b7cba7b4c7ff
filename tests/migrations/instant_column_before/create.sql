-- a row that was written before the column was there
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, n INT NOT NULL, s VARCHAR(40));
INSERT INTO t VALUES (500, 1, 'before');
ALTER TABLE t ADD COLUMN late INT DEFAULT 9, ALGORITHM=INSTANT;
