# SET on MySQL 8 and 9, MariaDB.
SET NAMES utf8mb4
SET NAMES 'utf8mb4' COLLATE 'utf8mb4_unicode_ci'
SET NAMES utf8mb4 COLLATE utf8mb4_0900_ai_ci
SET NAMES DEFAULT
SET NAMES binary
SET CHARACTER SET utf8mb4
SET CHARACTER SET 'latin1'
SET CHARACTER SET DEFAULT
SET CHARSET utf8mb4
SET NAMES utf8mb4,  @@SESSION.sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), @@SESSION.sql_auto_is_null = 0, @@SESSION.wait_timeout = 2147483
SET NAMES utf8mb4,  @@SESSION.sql_mode = CONCAT(CONCAT(@@SESSION.sql_mode, ',STRICT_ALL_TABLES'), ',NO_AUTO_VALUE_ON_ZERO'),  @@SESSION.sql_auto_is_null = 0, @@SESSION.wait_timeout = 2147483
SET  @@SESSION.sql_mode = '', @@SESSION.wait_timeout = 28800
SET @workspace_id = 42
SET @workspace_id = '42', @other := 'x'
SET @`odd name` = 1, @'quoted' = 2, @a.b = 3
SET @x = (SELECT MAX(id) FROM t)
SET @x = @y + 1, @z = NULL, @w = -5, @v = x'41', @u = _utf8mb4'a', @t = 1.5e3
SET autocommit = 0
SET autocommit=1
SET AUTOCOMMIT = ON
SET @@autocommit = 0
SET sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_DATE'
SET sql_mode = DEFAULT
SET SESSION sql_mode := ''
SET LOCAL time_zone = '+00:00'
SET @@local.time_zone = 'SYSTEM'
SET GLOBAL max_connections = 500
SET GLOBAL a = 1, b = 2, SESSION c = 3, d = 4
SET @@global.max_connections = 500, @@session.wait_timeout = 10
SET PERSIST max_connections = 1000
SET PERSIST_ONLY back_log = 100
SET @@persist.max_connections = 1000
SET @@persist_only.back_log = 1
SET GLOBAL hot_cache.key_buffer_size = 128 * 1024
SET GLOBAL validate_password.policy = LOW
SET @@GLOBAL.validate_password.length = 8
SET sql_log_bin = 0
SET foreign_key_checks = 0, unique_checks = 0
SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED
SET TRANSACTION ISOLATION LEVEL SERIALIZABLE
SET TRANSACTION READ ONLY
SET GLOBAL TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE
SET LOCAL TRANSACTION READ WRITE, ISOLATION LEVEL READ UNCOMMITTED
SET transaction_isolation = 'READ-COMMITTED'
SET @@session.transaction_read_only = ON
SET PASSWORD = 'x'
SET PASSWORD FOR 'u'@'%' = 'x'
SET PASSWORD FOR CURRENT_USER TO RANDOM
SET ROLE DEFAULT
SET ROLE NONE
SET ROLE ALL EXCEPT 'r1', r2
SET ROLE 'admin'@'%'
SET DEFAULT ROLE ALL TO 'u'@'%'
SET RESOURCE GROUP rg FOR 1, 2
SET SESSION max_execution_time = 1000
SET max_join_size = 18446744073709551615
SET lc_time_names = 'de_DE'
SET character_set_results = NULL
SET collation_connection = @@collation_database
SET optimizer_switch = 'mrr=on,mrr_cost_based=off'
SET timestamp = DEFAULT
SET insert_id = 5, last_insert_id = 6
SET @@sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')
SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO'
SET SQL_SELECT_LIMIT = DEFAULT
SET @p = JSON_OBJECT('a', 1)
SET statement_timeout = 5
SET STATEMENT max_statement_time = 1000 FOR SELECT * FROM t
SET STATEMENT max_statement_time=1, sort_buffer_size=100 FOR SELECT 1
SET SESSION group_replication_consistency = EVENTUAL
SET @a = IF(1 < 2, 'x', 'y'), @b = UUID(), @c = NOW()
SET NEW.a = 1
SET role = 1
