# Session state: what SET changes here stays here, and nowhere else.
!modes unsharded,use
CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, d DATETIME NULL, ts TIMESTAMP NULL, s VARCHAR(20));
SELECT @@sql_mode, @@time_zone, @@autocommit, @@sql_safe_updates, @@sql_select_limit;
SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT';
SELECT 'a' || 'b' AS "quoted";
SELECT "id" FROM t;
!session other
SELECT 'a' || 'b', "text";
SELECT @@sql_mode;
!session main
SELECT @@sql_mode;
SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES';
SELECT 'back\slash', LENGTH('a\\b');
SET sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES');
SELECT @@sql_mode;
SET sql_mode = DEFAULT;
SELECT @@sql_mode;
SET time_zone = '+05:00';
INSERT INTO t (ts) VALUES ('2024-01-01 12:00:00');
SELECT ts FROM t;
!session other
SELECT @@time_zone;
SET time_zone = '-03:00';
SELECT ts FROM t;
!session main
SELECT ts, @@time_zone FROM t;
SET @@session.time_zone = 'SYSTEM';
SET NAMES latin1;
SELECT 'x', @@character_set_client, @@character_set_results, @@collation_connection;
SELECT _utf8mb4'ä', N'national', _latin1 x'e4', _binary 'b';
SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci;
SELECT 'x', @@collation_connection;
SET CHARACTER SET utf8mb4;
SET character_set_results = NULL;
SELECT _latin1 x'e4' AS l;
SET character_set_results = binary;
SELECT 'ä';
SET NAMES utf8mb4;
!session other
SELECT @@character_set_client, @@collation_connection, 'ä';
!session main
SET @a = 1, @b = 'text', @c = NULL, @d = 1.5;
SELECT @a, @b, @c, @d, @never;
SELECT @a := @a + 1;
!session other
SELECT @a, @b;
!session main
SELECT id, @row := @row + 1 FROM t, (SELECT @row := 0) r;
SELECT id INTO @got FROM t LIMIT 1;
SELECT @got;
SET @x = 5, SESSION sql_select_limit = 1;
SELECT 1 UNION ALL SELECT 2;
SELECT @@sql_select_limit;
SET sql_select_limit = DEFAULT;
SET SESSION group_concat_max_len = 5;
SELECT GROUP_CONCAT(x) FROM (SELECT 'aaaa' x UNION ALL SELECT 'bbbb') g;
SHOW WARNINGS;
!session other
SELECT @@group_concat_max_len;
!session main
SET group_concat_max_len = DEFAULT;
SET SESSION sql_safe_updates = 1;
UPDATE t SET s = 'x';
SET SESSION sql_safe_updates = 0;
SET LOCAL lock_wait_timeout = 77;
SELECT @@lock_wait_timeout;
SET @@lock_wait_timeout = DEFAULT;
SET SESSION foreign_key_checks = 0, unique_checks = 0;
SELECT @@foreign_key_checks, @@unique_checks;
SET foreign_key_checks = 1, unique_checks = 1;
SET timestamp = 1700000000;
SELECT NOW(), UNIX_TIMESTAMP();
SET timestamp = DEFAULT;
SET last_insert_id = 77;
SELECT LAST_INSERT_ID();
SELECT LAST_INSERT_ID(99);
SELECT LAST_INSERT_ID();
SET auto_increment_increment = 10;
INSERT INTO t (s) VALUES ('ten'), ('twenty');
SELECT id FROM t ORDER BY id;
SET auto_increment_increment = 1;
SET div_precision_increment = 8;
SELECT 1/3;
SET div_precision_increment = DEFAULT;
SHOW VARIABLES LIKE 'sql_mode';
SHOW SESSION VARIABLES LIKE 'character_set_c%';
SHOW VARIABLES WHERE Variable_name = 'autocommit';
SET STATEMENT max_statement_time = 5 FOR SELECT 1;
CREATE TEMPORARY TABLE temp (id INT AUTO_INCREMENT PRIMARY KEY, v INT);
INSERT INTO temp (v) VALUES (1), (2);
SELECT * FROM temp;
!session other
SELECT * FROM temp;
!session main
SELECT COUNT(*) FROM temp JOIN t;
DROP TEMPORARY TABLE temp;
SELECT * FROM temp;
SELECT GET_LOCK('differential', 1);
SELECT IS_FREE_LOCK('differential'), IS_FREE_LOCK('another');
!session other
SELECT GET_LOCK('differential', 0);
!session main
SELECT RELEASE_LOCK('differential'), RELEASE_LOCK('never');
!session other
SELECT GET_LOCK('differential', 0), RELEASE_ALL_LOCKS();
!session main
PREPARE p FROM 'SELECT ? + 1 AS r';
SET @one = 41;
EXECUTE p USING @one;
EXECUTE p;
DEALLOCATE PREPARE p;
SELECT @one;
!ping
SELECT DATABASE();
SELECT 1;
SELECT DATABASE(), SCHEMA();
!reset_connection
SELECT @one, @a, @@time_zone, @@sql_mode;
SELECT s FROM t ORDER BY id;
!multi off
!raw SELECT 1; SELECT 2
!multi on
!raw SELECT 1; SELECT 2
