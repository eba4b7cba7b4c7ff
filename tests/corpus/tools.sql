# What mysqldump, the mysql shell, Connector/J, go-sql-driver, PyMySQL, sysbench and monitoring send.
/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */
/*!40103 SET TIME_ZONE='+00:00' */
/*!50503 SET NAMES utf8mb4 */
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */
/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */
/*!40000 ALTER TABLE `t` DISABLE KEYS */
/*!40000 ALTER TABLE `t` ENABLE KEYS */
/*!40101 SET character_set_client = @saved_cs_client */
/*!50001 CREATE VIEW `v` AS SELECT 1 AS `a`*/
/*!50001 DROP VIEW IF EXISTS `v`*/
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER `tr` BEFORE INSERT ON `t` FOR EACH ROW SET NEW.a = 1 */
LOCK TABLES `t` WRITE
LOCK TABLES `t` READ /*!32311 LOCAL */
SET SQL_QUOTE_SHOW_CREATE=1
SELECT /*!40001 SQL_NO_CACHE */ * FROM `t`
SELECT LOGFILE_GROUP_NAME, FILE_NAME, TOTAL_EXTENTS, INITIAL_SIZE, ENGINE, EXTRA FROM INFORMATION_SCHEMA.FILES WHERE FILE_TYPE = 'UNDO LOG' AND FILE_NAME IS NOT NULL AND LOGFILE_GROUP_NAME IS NOT NULL GROUP BY LOGFILE_GROUP_NAME, FILE_NAME, ENGINE, TOTAL_EXTENTS, INITIAL_SIZE ORDER BY LOGFILE_GROUP_NAME
START TRANSACTION /*!40100 WITH CONSISTENT SNAPSHOT */
SHOW VARIABLES LIKE 'gtid\_mode'
SET SESSION information_schema_stats_expiry=0
SELECT COLUMN_NAME, JSON_EXTRACT(HISTOGRAM, '$."number-of-buckets-specified"') FROM information_schema.COLUMN_STATISTICS WHERE SCHEMA_NAME = 'app' AND TABLE_NAME = 't'
select @@version_comment limit 1
select USER()
SELECT DATABASE()
show tables
/* mysql-connector-j-8.4.0 (Revision: x) */SELECT  @@session.auto_increment_increment AS auto_increment_increment, @@character_set_client AS character_set_client, @@character_set_connection AS character_set_connection, @@character_set_results AS character_set_results, @@character_set_server AS character_set_server, @@collation_server AS collation_server, @@collation_connection AS collation_connection, @@init_connect AS init_connect, @@interactive_timeout AS interactive_timeout, @@license AS license, @@lower_case_table_names AS lower_case_table_names, @@max_allowed_packet AS max_allowed_packet, @@net_write_timeout AS net_write_timeout, @@performance_schema AS performance_schema, @@sql_mode AS sql_mode, @@system_time_zone AS system_time_zone, @@time_zone AS time_zone, @@transaction_isolation AS transaction_isolation, @@wait_timeout AS wait_timeout
SET character_set_results = NULL
SET sql_mode='STRICT_TRANS_TABLES'
/* ping */ SELECT 1
SET SESSION TRANSACTION READ ONLY
select @@session.transaction_read_only
SELECT TABLE_SCHEMA AS TABLE_CAT, NULL AS TABLE_SCHEM, TABLE_NAME, CASE WHEN TABLE_TYPE='BASE TABLE' THEN CASE WHEN TABLE_SCHEMA = 'mysql' OR TABLE_SCHEMA = 'performance_schema' THEN 'SYSTEM TABLE' ELSE 'TABLE' END WHEN TABLE_TYPE='TEMPORARY' THEN 'LOCAL_TEMPORARY' ELSE TABLE_TYPE END AS TABLE_TYPE, TABLE_COMMENT AS REMARKS FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'app' HAVING TABLE_TYPE IN ('TABLE','VIEW',NULL,NULL,NULL) ORDER BY TABLE_TYPE, TABLE_SCHEMA, TABLE_NAME
SELECT @@max_allowed_packet
SELECT @@max_allowed_packet,@@wait_timeout
SET NAMES utf8mb4 COLLATE utf8mb4_general_ci
SET AUTOCOMMIT = 0
SHOW COLLATION
SELECT c FROM sbtest1 WHERE id=5021
SELECT c FROM sbtest1 WHERE id BETWEEN 5021 AND 5120
SELECT SUM(k) FROM sbtest1 WHERE id BETWEEN 5021 AND 5120
SELECT c FROM sbtest1 WHERE id BETWEEN 5021 AND 5120 ORDER BY c
SELECT DISTINCT c FROM sbtest1 WHERE id BETWEEN 5021 AND 5120 ORDER BY c
UPDATE sbtest1 SET k=k+1 WHERE id=5000
UPDATE sbtest1 SET c='68487932199-96439406143' WHERE id=5000
DELETE FROM sbtest1 WHERE id=5000
INSERT INTO sbtest1 (id, k, c, pad) VALUES (5000, 5012, '08566691963', '95895757')
CREATE TABLE sbtest1( id INTEGER NOT NULL AUTO_INCREMENT, k INTEGER DEFAULT '0' NOT NULL, c CHAR(120) DEFAULT '' NOT NULL, pad CHAR(60) DEFAULT '' NOT NULL, PRIMARY KEY (id) ) /*! ENGINE = innodb */
CREATE INDEX k_1 ON sbtest1(k)
SHOW GLOBAL STATUS
SELECT * FROM performance_schema.replication_group_members
SELECT trx_id, trx_mysql_thread_id, TIMESTAMPDIFF(SECOND, trx_started, NOW()) FROM information_schema.innodb_trx ORDER BY trx_started LIMIT 5
select round(sum(data_length+index_length)/1024/1024,4) from information_schema.tables where table_schema='app'
SELECT NAME, COUNT FROM information_schema.INNODB_METRICS WHERE STATUS='enabled'
