# Errors of all sorts keep errno, SQLSTATE and message.
!modes unsharded,use,comment
CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(10) NOT NULL, UNIQUE KEY by_name (name), CHECK (id < 1000));
INSERT INTO t VALUES (1, 'a');
INSERT INTO t VALUES (1, 'b');
INSERT INTO t VALUES (2, 'a');
INSERT INTO t VALUES (2, NULL);
INSERT INTO t VALUES (2);
INSERT INTO t (id, nope) VALUES (2, 'x');
INSERT INTO t VALUES (2000, 'x');
SELECT nope FROM t;
SELECT * FROM nothing;
SELECT t.x.y FROM t;
SELECT FROM WHERE;
SELEC 1;
SELECT 'unfinished;
SELECT 1 +;
SELECT * FROM t WHERE id = (SELECT 1 UNION SELECT 2);
SELECT * FROM t GROUP BY nope;
SELECT id, COUNT(*) FROM t;
SELECT nofunction(1);
SELECT nodb.nofunction(1);
CALL noprocedure();
SELECT * FROM t a JOIN t b ON a.id = b.id WHERE id = 1;
CREATE TABLE t (id INT);
CREATE TABLE bad (id INT, id INT);
CREATE TABLE bad (id NOTATYPE);
DROP TABLE nothing;
ALTER TABLE t ADD COLUMN id INT;
ALTER TABLE nothing ADD COLUMN x INT;
CREATE INDEX i ON t (nope);
DROP INDEX nope ON t;
INSERT INTO t SELECT * FROM nothing;
UPDATE t SET nope = 1;
UPDATE nothing SET x = 1;
DELETE FROM nothing;
SET nosuchvariable = 1;
SET SESSION nosuchvariable = 1;
!session aside
SET insert_id = 500;
!session main
SET sql_mode = 'NO_SUCH_MODE';
SET time_zone = 'Nowhere/Land';
SET NAMES nocharset;
SET GLOBAL max_connections = 5;
SELECT @@nosuchvariable;
SELECT CAST('x' AS JSON);
SELECT JSON_EXTRACT('{bad', '$');
SELECT ST_GeomFromText('POINT(');
SELECT 9223372036854775807 + 1;
SELECT EXP(1000);
SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'of my own', MYSQL_ERRNO = 5000;
SIGNAL SQLSTATE '01000' SET MESSAGE_TEXT = 'a warning';
SHOW WARNINGS;
GET DIAGNOSTICS @count = NUMBER;
EXECUTE nostatement;
DEALLOCATE PREPARE nostatement;
ROLLBACK TO nosavepoint;
RELEASE SAVEPOINT nosavepoint;
KILL 999999999;
KILL QUERY 999999999;
USE nodatabase;
!init_db nodatabase
SELECT DATABASE();
SHOW TABLES FROM nodatabase;
SELECT * FROM nodatabase.t;
SHOW CREATE TABLE nothing;
DESCRIBE nothing;
EXPLAIN SELECT * FROM nothing;
;
!raw
SELECT 1 FROM t WHERE;
!prepare p SELECT * FROM nothing WHERE id = ?
!prepare q SELEC ?
!execute unknown int:1
!fetch unknown 3
!reset unknown
!close unknown
!ping
