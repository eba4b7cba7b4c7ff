# LOAD DATA LOCAL, and packets of many sizes.
!modes unsharded,use,comment
CREATE TABLE t (id INT PRIMARY KEY, s VARCHAR(20), l LONGTEXT);
!file 1\tone\n2\ttwo\n3\tthree\n
!text
LOAD DATA LOCAL INFILE 'x.tsv' INTO TABLE t (id, s);
SELECT id, s FROM t ORDER BY id;
!file 3,again\n4,four\nbad,line\n5\n
!text
LOAD DATA LOCAL INFILE 'x.csv' INTO TABLE t FIELDS TERMINATED BY ',' (id, s);
SHOW WARNINGS;
SELECT id, s FROM t ORDER BY id;
!file
!text
LOAD DATA LOCAL INFILE 'empty' INTO TABLE t;
!text
LOAD DATA LOCAL INFILE 'x' INTO TABLE nothing;
SELECT COUNT(*) FROM t;
BEGIN;
!file 100\tin a transaction\n
!text
LOAD DATA LOCAL INFILE 'x.tsv' INTO TABLE t (id, s);
ROLLBACK;
SELECT COUNT(*) FROM t;
SELECT REPEAT('x', 250), REPEAT('y', 251), REPEAT('z', 65535);
SELECT REPEAT('x', 65536), REPEAT('y', 1000000);
INSERT INTO t (id, l) VALUES (1000, REPEAT('long', 1000000));
SELECT LENGTH(l), l FROM t WHERE id = 1000;
WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 900) SELECT i, REPEAT('r', i) FROM c;
SELECT 'after';
