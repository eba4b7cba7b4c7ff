# What ActiveRecord sends (mysql2, trilogy; Rails 6 to 8).
SELECT VERSION()
SELECT @@version
SHOW VARIABLES LIKE 'sql_mode'
SELECT SCHEMA_NAME FROM INFORMATION_SCHEMA.SCHEMATA WHERE SCHEMA_NAME = 'app'
SELECT table_name FROM information_schema.tables WHERE table_schema = database()
SELECT table_name FROM (SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = database()) _subquery
SELECT table_name FROM (SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = database()) _subquery WHERE _subquery.table_type = 'BASE TABLE' AND _subquery.table_name = 'schema_migrations'
SHOW FULL FIELDS FROM `users`
SHOW KEYS FROM `users`
SHOW CREATE TABLE `users`
SHOW TABLE STATUS LIKE 'users'
SELECT column_name FROM information_schema.statistics WHERE index_name = 'PRIMARY' AND table_schema = database() AND table_name = 'users' ORDER BY seq_in_index
SELECT fk.referenced_table_name AS 'to_table', fk.referenced_column_name AS 'primary_key', fk.column_name AS 'column', fk.constraint_name AS 'name', fk.ordinal_position AS 'position', rc.update_rule AS 'on_update', rc.delete_rule AS 'on_delete' FROM information_schema.referential_constraints rc JOIN information_schema.key_column_usage fk USING (constraint_schema, constraint_name) WHERE fk.referenced_column_name IS NOT NULL AND fk.table_schema = database() AND fk.table_name = 'users' AND rc.constraint_schema = database() AND rc.table_name = 'users'
SELECT cc.constraint_name AS 'name', cc.check_clause AS 'expression' FROM information_schema.check_constraints cc JOIN information_schema.table_constraints tc USING (constraint_schema, constraint_name) WHERE tc.table_schema = database() AND tc.table_name = 'users' AND cc.constraint_schema = database()
SELECT GET_LOCK('2733871469275934575', 0)
SELECT RELEASE_LOCK('2733871469275934575')
CREATE TABLE `schema_migrations` (`version` varchar(255) NOT NULL PRIMARY KEY)
CREATE TABLE `ar_internal_metadata` (`key` varchar(255) NOT NULL PRIMARY KEY, `value` varchar(255), `created_at` datetime(6) NOT NULL, `updated_at` datetime(6) NOT NULL)
SELECT `schema_migrations`.`version` FROM `schema_migrations` ORDER BY `schema_migrations`.`version` ASC
INSERT INTO `schema_migrations` (`version`) VALUES ('20240101000000') RETURNING `version`
INSERT INTO `schema_migrations` (version) VALUES ('20240101000000'), ('20240102000000')
CREATE TABLE `posts` (`id` bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, `title` varchar(255), `user_id` bigint NOT NULL, `meta` json, `price` decimal(10,2), `created_at` datetime(6) NOT NULL, INDEX `index_posts_on_user_id` (`user_id`), CONSTRAINT `fk_rails_5b5ddfd518` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`))
ALTER TABLE `posts` ADD `published` tinyint(1) DEFAULT FALSE NOT NULL
ALTER TABLE `posts` ADD INDEX `index_posts_on_title` (`title`)
CREATE INDEX `index_posts_on_title` ON `posts` (`title`)
ALTER TABLE `posts` RENAME INDEX `a` TO `b`
DROP TABLE IF EXISTS `posts` CASCADE
SELECT `users`.* FROM `users` WHERE `users`.`id` = 1 LIMIT 1
SELECT `users`.* FROM `users` WHERE `users`.`workspace_id` = 42 AND `users`.`email` = 'a@b.c' ORDER BY `users`.`id` ASC LIMIT 1 /*application:Shop,controller:users,action:show*/
SELECT 1 AS one FROM `users` WHERE `users`.`email` = BINARY 'a@b.c' LIMIT 1
SELECT `posts`.`id` AS t0_r0, `posts`.`title` AS t0_r1, `users`.`id` AS t1_r0 FROM `posts` LEFT OUTER JOIN `users` ON `users`.`id` = `posts`.`user_id` WHERE `posts`.`workspace_id` = 42 AND (`posts`.`title` LIKE '%x%' OR `users`.`name` IS NULL) ORDER BY `posts`.`created_at` DESC LIMIT 25 OFFSET 50
SELECT COUNT(*) FROM `posts` WHERE `posts`.`user_id` IN (1, 2, 3)
SELECT COUNT(DISTINCT `posts`.`user_id`) FROM `posts`
SELECT COUNT(*) FROM (SELECT 1 AS one FROM `posts` LIMIT 10) subquery_for_count
SELECT SUM(`posts`.`price`) AS `sum_price`, `posts`.`user_id` AS `posts_user_id` FROM `posts` GROUP BY `posts`.`user_id`
SELECT `posts`.* FROM `posts` WHERE `posts`.`id` > 1000 ORDER BY `posts`.`id` ASC LIMIT 1000
SELECT `posts`.* FROM `posts` WHERE `posts`.`created_at` BETWEEN '2024-01-01 00:00:00' AND '2024-12-31 23:59:59.999999'
SELECT `posts`.* FROM `posts` WHERE `posts`.`id` = 1 LIMIT 1 FOR UPDATE
SELECT `posts`.* FROM `posts` INNER JOIN `tags` `t` ON `t`.`post_id` = `posts`.`id` AND `t`.`kind` = 'x' WHERE NOT (`posts`.`draft` = TRUE)
INSERT INTO `posts` (`title`, `user_id`, `workspace_id`, `meta`, `created_at`, `updated_at`) VALUES ('it''s', 1, 42, '{\"a\":1}', '2024-01-01 00:00:00.000000', '2024-01-01 00:00:00.000000')
INSERT INTO `posts` (`title`,`user_id`) VALUES ('a', 1), ('b', 2) ON DUPLICATE KEY UPDATE `title`=`title`
INSERT INTO `posts` (`title`,`user_id`,`updated_at`) VALUES ('a', 1, CURRENT_TIMESTAMP(6)) AS `posts_values` ON DUPLICATE KEY UPDATE `posts`.`updated_at`=(CASE WHEN (`posts`.`title`<=>`posts_values`.`title`) THEN `posts`.updated_at ELSE CURRENT_TIMESTAMP(6) END),`title`=`posts_values`.`title`
INSERT INTO `posts` (`title`,`user_id`) VALUES ('a', 1) ON DUPLICATE KEY UPDATE updated_at=(CASE WHEN (`title`<=>VALUES(`title`)) THEN `posts`.updated_at ELSE CURRENT_TIMESTAMP(6) END),`title`=VALUES(`title`)
UPDATE `posts` SET `posts`.`title` = 'x', `posts`.`updated_at` = '2024-01-01 00:00:00' WHERE `posts`.`id` = 1 AND `posts`.`lock_version` = 3
UPDATE `posts` SET `posts`.`views` = COALESCE(`posts`.`views`, 0) + 1 WHERE `posts`.`id` = 1
UPDATE `posts` INNER JOIN `users` ON `users`.`id` = `posts`.`user_id` SET `posts`.`title` = 'x' WHERE `users`.`name` = 'y'
UPDATE `posts` SET `posts`.`title` = 'x' WHERE `posts`.`id` IN (SELECT `id` FROM (SELECT `posts`.`id` FROM `posts` LIMIT 5) AS __active_record_temp)
DELETE FROM `posts` WHERE `posts`.`id` = 1
DELETE `posts` FROM `posts` INNER JOIN `users` ON `users`.`id` = `posts`.`user_id` WHERE `users`.`id` = 1
SAVEPOINT active_record_1
ROLLBACK TO SAVEPOINT active_record_1
RELEASE SAVEPOINT active_record_1
SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED
SET FOREIGN_KEY_CHECKS = 0
SET @@SESSION.max_execution_time = 0
SELECT @@FOREIGN_KEY_CHECKS
TRUNCATE TABLE `posts`
SELECT `posts`.`id` FROM `posts` WHERE (`posts`.`id`, `posts`.`workspace_id`) IN ((1, 42), (2, 42))
SELECT /*+ MAX_EXECUTION_TIME(5000) */ `posts`.* FROM `posts` USE INDEX (`idx`) WHERE `posts`.`meta`->'$.a' = 1
/*action='show',application='Shop',workspace_id='42'*/ SELECT `posts`.* FROM `posts`
EXPLAIN SELECT `posts`.* FROM `posts`
