# Several statements in one text, several results of one statement.
!modes unsharded,use
CREATE TABLE t (id INT PRIMARY KEY);
!raw INSERT INTO t VALUES (1); INSERT INTO t VALUES (2), (3); SELECT * FROM t ORDER BY id
!raw SELECT 1; SELECT nope; SELECT 3
!raw SELECT 1;
!raw SELECT 1;;
!raw SELECT 1; SELEC 2
!raw BEGIN; INSERT INTO t VALUES (9); ROLLBACK; SELECT COUNT(*) FROM t
!raw SET @x = 1; SELECT @x; SET @x = @x + 1; SELECT @x
!raw SELECT 'a;b'; SELECT "c;d" /* ; */; SELECT 3 -- ; end
!raw INSERT INTO t VALUES (10); INSERT INTO t VALUES (10); INSERT INTO t VALUES (11)
SELECT * FROM t ORDER BY id;
!raw /* only a comment */
!raw UPDATE t SET id = 20 WHERE id = 10; SELECT ROW_COUNT(); DELETE FROM t WHERE id = 20; SELECT ROW_COUNT()
CREATE PROCEDURE several() BEGIN SELECT 1 AS one; SELECT id FROM t ORDER BY id; UPDATE t SET id = id; END;
CALL several();
CREATE PROCEDURE fails() BEGIN SELECT 1; SELECT * FROM missing; SELECT 2; END;
CALL fails();
CREATE PROCEDURE outs(IN a INT, OUT b INT, INOUT c INT) BEGIN SET b = a + 1; SET c = c * 2; END;
SET @c = 21;
CALL outs(1, @b, @c);
SELECT @b, @c;
!raw CALL several(); SELECT 'after'
!prepare call CALL outs(?, ?, ?)
!execute call int:5 int:0 int:8
!close call
CREATE FUNCTION twice(a INT) RETURNS INT DETERMINISTIC RETURN a * 2;
SELECT twice(21);
CREATE TRIGGER before_t BEFORE INSERT ON t FOR EACH ROW SET NEW.id = NEW.id + 1000;
INSERT INTO t VALUES (1);
SELECT * FROM t ORDER BY id;
CREATE VIEW v AS SELECT id FROM t WHERE id > 1000;
SELECT * FROM v;
DROP VIEW v;
DROP TRIGGER before_t;
DROP FUNCTION twice;
DROP PROCEDURE several;
DROP PROCEDURE missing;
DROP PROCEDURE IF EXISTS missing;
SHOW WARNINGS;
