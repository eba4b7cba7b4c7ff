# Statements about the schema of the session's database.
!modes unsharded,use
CREATE TABLE parents (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(30) NOT NULL DEFAULT 'x' COMMENT 'a name');
CREATE TABLE children (
  id BIGINT PRIMARY KEY, parent_id INT, v DECIMAL(10,2), KEY by_parent (parent_id, v),
  CONSTRAINT to_parent FOREIGN KEY (parent_id) REFERENCES parents (id) ON DELETE CASCADE);
CREATE VIEW both_of AS SELECT p.id, c.v FROM parents p JOIN children c ON c.parent_id = p.id;
SHOW TABLES;
SHOW FULL TABLES;
SHOW TABLES LIKE 'par%';
SHOW FULL TABLES WHERE Table_type = 'VIEW';
SHOW COLUMNS FROM parents;
SHOW FULL COLUMNS FROM children;
SHOW FULL FIELDS FROM children LIKE 'p%';
DESCRIBE parents;
DESC children v;
SHOW CREATE TABLE parents;
SHOW CREATE TABLE children;
SHOW CREATE VIEW both_of;
SHOW INDEX FROM children;
SHOW KEYS FROM children WHERE Key_name = 'PRIMARY';
SHOW TABLE STATUS LIKE 'nothing';
SHOW TRIGGERS;
SHOW CREATE DATABASE ws_none;
SHOW COLLATION LIKE 'utf8mb4_bin';
SHOW CHARACTER SET LIKE 'latin1';
SHOW ENGINES;
SHOW PLUGINS;
SHOW PRIVILEGES;
SHOW STATUS LIKE 'Ssl_version';
SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY 1;
SELECT column_name, data_type, column_type, is_nullable, column_default FROM information_schema.columns
  WHERE table_schema = DATABASE() AND table_name = 'children' ORDER BY ordinal_position;
SELECT constraint_name, referenced_table_name FROM information_schema.key_column_usage
  WHERE table_schema = SCHEMA() AND referenced_table_name IS NOT NULL;
SELECT index_name, column_name, seq_in_index FROM information_schema.statistics
  WHERE table_schema = DATABASE() AND table_name = 'children' ORDER BY 1, 3;
SELECT fk.delete_rule FROM information_schema.referential_constraints fk
  WHERE fk.constraint_schema = DATABASE() AND fk.table_name = 'children';
EXPLAIN SELECT * FROM parents WHERE id = 1;
EXPLAIN FORMAT=JSON SELECT 1;
ANALYZE TABLE parents;
CHECK TABLE parents;
OPTIMIZE TABLE parents;
CHECKSUM TABLE parents;
ALTER TABLE parents ADD COLUMN extra JSON, ADD INDEX (name);
RENAME TABLE parents TO elders;
SHOW TABLES;
ALTER TABLE elders RENAME TO parents;
CREATE TABLE copied LIKE children;
CREATE TABLE selected AS SELECT 1 AS one, 'a' AS letter;
CREATE TABLE IF NOT EXISTS selected (id INT);
SHOW WARNINGS;
SELECT * FROM selected;
DROP TABLE copied, selected;
DROP TABLE copied, selected;
DROP TABLE IF EXISTS copied, selected;
SELECT DATABASE(), SCHEMA();
SELECT DATABASE() FROM parents;
!fields children
