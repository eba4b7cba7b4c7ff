# Prepared statements as drivers use them: parameters of all types, cursors, long data, re-preparation.
!modes unsharded,use
CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, n BIGINT, u BIGINT UNSIGNED, d DOUBLE, s VARCHAR(50), b BLOB);
!prepare insert INSERT INTO t (n, u, d, s, b) VALUES (?, ?, ?, ?, ?)
!execute insert int:-5 uint:18446744073709551615 double:1.25 str:text hex:00ff10
!execute insert null null null null null
!execute insert int:1 int:2 double:-0.5 str:ä str:b
!long insert 4 some long data
!long insert 4 and more of it
!execute insert int:7 uint:8 double:9 str:long long
!reset insert
!execute insert int:7 uint:8 double:9 str:short str:x
!prepare all SELECT * FROM t ORDER BY id
!execute all
!execute all
!prepare one SELECT id, n, s FROM t WHERE id = ? AND (s = ? OR ? IS NULL)
!execute one int:1 str:text null
!execute one str:1 str:text int:5
!execute one double:1 null null
!cursor all
!fetch all 2
!fetch all 2
!fetch all 10
!fetch all 1
!cursor all
!reset all
!fetch all 1
!cursor all
!fetch all 1
SELECT 1;
!fetch all 1
!close all
!fetch all 1
!execute all
!prepare limit SELECT id FROM t ORDER BY id LIMIT ? OFFSET ?
!execute limit int:2 int:1
!prepare in SELECT id FROM t WHERE id IN (?, ?, ?) ORDER BY id
!execute in int:1 int:3 int:99
!prepare changes SELECT * FROM t WHERE id = ?
!execute changes int:1
ALTER TABLE t ADD COLUMN added INT DEFAULT 3;
!execute changes int:1
ALTER TABLE t DROP COLUMN added;
!execute changes int:1
!prepare expression SELECT ? + 1, CONCAT(?, 'x'), ? IS NULL, CAST(? AS CHAR)
!execute expression int:1 str:a null int:5
!prepare update UPDATE t SET n = ? WHERE id = ?
!execute update int:100 int:1
!execute update int:100 int:1
!prepare delete DELETE FROM t WHERE id = ?
!execute delete int:2
!prepare duplicate INSERT INTO t (id) VALUES (?)
!execute duplicate int:1
!execute duplicate int:1000
!prepare two SELECT 1; SELECT 2
!prepare none
!prepare show SHOW TABLES LIKE 't'
!execute show
!prepare ddl CREATE TABLE made (id INT)
!execute ddl
!execute ddl
!only mariadb
!prepare begin BEGIN
!only mariadb
!execute begin
!only mariadb
!execute insert int:1 int:1 double:1 str:r str:r
!only mariadb
!prepare rollback ROLLBACK
!only mariadb
!execute rollback
!prepare count SELECT COUNT(*) FROM t
!execute count
!prepare set SET @x = ?
!execute insert int:1
!ping
!session other
!prepare same SELECT * FROM t ORDER BY id
!execute same
!session main
!reset_connection
!execute count
!execute insert int:1 int:1 double:1 str:r str:r
