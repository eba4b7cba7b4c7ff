-- In workspace 7's own database: workspace 8's rows, and the names of its tables and columns, say SECRET.
-- names
select t from ws_8.issues
select t from `ws_8`.`issues`
select t from ws_8.`issues`
select t from ws_8 . issues
select t from ws_8./**/issues
select t from ws_8 /*x*/ . /*y*/ issues
select t from /*!50000 ws_8.*/issues
select t from `#mysql50#ws_8`.issues
select t from `#mysql50#../ws_8/issues`
select t from `../ws_8/issues`
select t from `ws_8.issues`
select t from "ws_8".issues
select t from spaces.issues where 1 union select t from ws_8.issues
select ws_8.issues.t from ws_8.issues
select issues.t from ws_8.issues
select ws_8.t from ws_8.issues as ws_8
select t from ws_7.issues, ws_8.issues
select * from issues natural join ws_8.issues
select x.t from issues left join ws_8.issues x on 1
select * from (ws_8.issues)
select * from ((issues), (ws_8.issues))
select * from issues, lateral (select t as tt from ws_8.issues) x
with ws_8 as (select 1 as t) select t from ws_8.issues
with issues as (select t from ws_8.issues) select * from issues
with recursive r as (select t from ws_8.issues union all select t from r where 0) select * from r
select (table ws_8.issues)
table ws_8.issues
values row((select t from ws_8.issues))
select t from issues union table ws_8.issues
select t from issues except select t from ws_8.issues where 0 union select t from ws_8.issues
select t from issues where t = 'x' or exists (select 1 from ws_8.issues where t like 'S%')
select t from issues order by (select t from ws_8.issues)
select max(t) over (order by (select t from ws_8.issues)) from issues
select * from issues, json_table((select json_arrayagg(t) from ws_8.issues), '$[*]' columns (b varchar(90) path '$')) j
select {d '2000-01-01'}, t from {oj issues left outer join ws_8.issues x on 1}
select t from ws_8.issues partition (p0)
select t from ws_8.issues use index ()
select t from ws_8.issues frobnicate
select ws_8.f()
select ws_8 . f ( )
select `ws_8`.`f`()
select issues.t, ws_8.f() from issues as ws_8
select t from issues where t = ws_8.f()
select nextval(ws_8.s)
select next value for ws_8.s
select previous value for ws_8.s
select setval(ws_8.s, 5)
select ws_8.s.nextval
do (select t from ws_8.issues)
do ws_8.f()
call ws_8.p()
handler ws_8.issues open
handler ws_8.issues read first
handler issues open as ws_8
prepare s from 'select t from ws_8.issues'
execute immediate 'select t from ws_8.issues'
execute immediate concat('select t from ws', '_8.issues')
begin not atomic select t from ws_8.issues; end
begin not atomic declare c cursor for select t from ws_8.issues; open c; end
if 1 then select t from ws_8.issues; end if
explain analyze select t from ws_8.issues
explain format=json select t from ws_8.issues
explain for schema ws_8 select t from issues
explain for database ws_8 select t from issues
explain analyze for schema ws_8 select t from issues
explain format=json for database ws_8 select t from issues
describe format=json for schema ws_8 select t from issues
explain format=json into @e for schema ws_8 select t from issues
explain for connection 1
show explain for 1
show analyze for 1
analyze format=json select t from ws_8.issues
desc ws_8.issues
describe ws_8.issues t
show columns from issues from ws_8
show full columns in issues in ws_8
show fields from ws_8.issues
show index from issues in ws_8
show keys from ws_8.issues
show extended index from ws_8.issues
show create table ws_8.issues
show create view ws_8.v
show create trigger ws_8.tr
show create procedure ws_8.p
show create function ws_8.f
show create event ws_8.e
show create database ws_8
show create schema if not exists ws_8
show procedure code ws_8.p
show function code ws_8.f
show create package ws_8.p
show create sequence ws_8.s
show tables from ws_8
show full tables in `ws_8` like '%'
show table status from ws_8
show triggers in ws_8
show events from ws_8
show open tables from ws_8
show open tables
show databases
show databases like 'ws%'
show schemas where 1
show procedure status
show function status where db = 'ws_8'
show procedure status where db like 'ws_8'
show package status
show processlist
show full processlist
show engine innodb status
show engine performance_schema status
show table_statistics
show index_statistics
show user_statistics
show client_statistics
show binlog events
show binary logs
show binary log status
show master status
show relaylog events
show replicas
show tables where (select 1 from ws_8.issues)
show variables where variable_name = (select t from ws_8.issues)
show status where 'x' = (select t from ws_8.issues)
show warnings limit 5
show errors
show profiles
show profile all
show parse_tree select t from ws_8.issues
show grants for bulkhead_app
show create user current_user
help 'contents'
-- system schemas
select schema_name from information_schema.schemata
select schema_name from information_schema.schemata where schema_name = 'ws_8'
select schema_name from information_schema.schemata where schema_name <> 'ws_7'
select table_name from information_schema.tables where table_schema = 'ws_8'
select table_name from information_schema.tables where table_schema = "ws_8"
select table_name from information_schema.tables where table_schema = 'WS_8'
select table_name from information_schema.tables where table_schema = 'ws_8 '
select table_name from information_schema.tables where table_schema = 'wş_8'
select table_name from information_schema.tables where table_schema = 'ẃs_8'
select table_name from information_schema.tables where table_schema = 'ws' '_8'
select table_name from information_schema.tables where table_schema = n'ws_8'
select table_name from information_schema.tables where table_schema = _utf8mb4'ws_8'
select table_name from information_schema.tables where table_schema = _latin1'ws_8'
select table_name from information_schema.tables where table_schema = 0x77735f38
select table_name from information_schema.tables where table_schema = x'77735f38'
select table_name from information_schema.tables where table_schema = _utf8mb4 0x77735f38
select table_name from information_schema.tables where table_schema = _ucs2 0x00770073005f0038
select table_name from information_schema.tables where table_schema = 'w\s_8'
select table_name from information_schema.tables where table_schema = 'ws\_8'
select table_name from information_schema.tables where table_schema = concat('ws_', 8)
select table_name from information_schema.tables where table_schema = database() or 1
select table_name from information_schema.tables where not table_schema = database()
select table_name from information_schema.tables where table_schema = database() xor 1
select table_name from information_schema.tables where (table_schema = database()) = 0
select table_name from information_schema.tables where table_schema = database() = 0
select table_name from information_schema.tables where table_schema in ('ws_7', 'ws_8')
select table_name from information_schema.tables where (table_schema, 1) in (('ws_8', 1))
select table_name from information_schema.tables where table_schema in (select 'ws_8')
select table_name from information_schema.tables where table_schema like 'ws\_8'
select table_name from information_schema.tables where table_schema between 'ws_8' and 'ws_9'
select table_name from information_schema.tables where table_schema > 'ws_7'
select table_name from information_schema.tables where table_schema is not null and table_name like 'S%'
select table_name from information_schema.tables having table_schema = 'ws_7' or 1
select table_name from information_schema.tables where 'ws_7' = table_schema or table_name > ''
select t.table_name from information_schema.tables t left join information_schema.tables u on t.table_schema = 'ws_7' and u.table_schema = 'ws_7'
select u.table_name from information_schema.tables t join information_schema.tables u using (table_type) where t.table_schema = 'ws_7'
select table_name from (select table_name, 'ws_7' as table_schema from information_schema.tables) x where table_schema = 'ws_7'
select column_name from information_schema.columns where table_schema = 'ws_8'
select column_name from information_schema.columns where table_name = 'issues'
select column_name from information_schema.statistics where index_schema = 'ws_7' or table_schema = 'ws_8'
select * from information_schema.key_column_usage where constraint_schema = 'ws_8'
select * from information_schema.key_column_usage where referenced_table_schema = 'ws_8'
select * from information_schema.referential_constraints where unique_constraint_schema = 'ws_8'
select * from information_schema.table_constraints where table_schema = 'ws_8'
select * from information_schema.check_constraints
select * from information_schema.partitions where table_schema = 'ws_8'
select * from information_schema.routines where routine_schema = 'ws_8'
select * from information_schema.parameters where specific_schema = 'ws_8'
select * from information_schema.triggers where trigger_schema = 'ws_7' or event_object_schema = 'ws_8'
select * from information_schema.triggers where event_object_schema = 'ws_8'
select * from information_schema.views where table_schema = 'ws_8'
select * from information_schema.view_table_usage where table_schema = 'ws_8'
select * from information_schema.view_table_usage where view_schema = 'ws_7' or 1
select * from information_schema.events where event_schema = 'ws_8'
select * from information_schema.files
select * from information_schema.tablespaces
select * from information_schema.innodb_tables
select * from information_schema.innodb_sys_tables
select * from information_schema.innodb_tablespaces
select * from information_schema.innodb_columns
select * from information_schema.innodb_fields
select * from information_schema.innodb_datafiles
select * from information_schema.innodb_buffer_page
select * from information_schema.innodb_buffer_page_lru limit 5
select * from information_schema.innodb_cached_indexes
select * from information_schema.innodb_tablestats
select * from information_schema.innodb_sys_tablestats
select * from information_schema.innodb_trx
select * from information_schema.innodb_locks
select * from information_schema.innodb_temp_table_info
select * from information_schema.innodb_ft_index_table
select * from information_schema.innodb_ft_config
select * from information_schema.processlist
select * from information_schema.optimizer_trace
select * from information_schema.profiling
select * from information_schema.column_statistics
select * from information_schema.table_statistics
select * from information_schema.index_statistics
select * from information_schema.user_statistics
select * from information_schema.metadata_lock_info
select * from information_schema.schema_privileges
select * from information_schema.user_privileges
select * from information_schema.user_variables
select * from information_schema.st_geometry_columns
select * from information_schema.tables_extensions
select * from information_schema.`TABLES`
select * from INFORMATION_SCHEMA.TABLES
select * from `information_schema`.tables t
table information_schema.tables
show tables from information_schema
show table status from information_schema
show columns from tables from information_schema
select * from performance_schema.events_statements_history
select * from performance_schema.events_statements_summary_by_digest
select * from performance_schema.table_io_waits_summary_by_table
select * from performance_schema.objects_summary_global_by_type
select * from performance_schema.user_variables_by_thread
select * from performance_schema.variables_by_thread
select * from performance_schema.prepared_statements_instances
select * from performance_schema.metadata_locks
select * from performance_schema.data_locks
select * from performance_schema.threads
select * from performance_schema.processlist
select * from performance_schema.table_handles
select * from performance_schema.file_instances
select * from performance_schema.session_connect_attrs
select * from performance_schema.log_status
select * from performance_schema.error_log
select * from mysql.user
select * from mysql.db
select * from mysql.innodb_table_stats
select * from mysql.innodb_index_stats
select * from mysql.general_log
select * from mysql.slow_log
select * from mysql.proc
select * from mysql.event
select * from mysql.func
select * from mysql.column_stats
select * from mysql.table_stats
select * from mysql.gtid_executed
select * from sys.schema_table_statistics
select * from sys.processlist
select * from sys.session
select * from sys.statement_analysis
select * from sys.x$statement_analysis
select * from sys.latest_file_io
select * from sys.innodb_lock_waits
select * from sys.schema_object_overview
select sys.format_statement('x')
select sys.ps_thread_stack(1, 1)
call sys.table_exists('ws_8', 'issues', @e)
call sys.execute_prepared_stmt('select t from ws_8.issues')
call sys.diagnostics(1, 1, 'current')
call sys.create_synonym_db('ws_8', 'mine')
create view mine as select * from information_schema.processlist
create view mine as select * from performance_schema.threads
create view mine as select * from sys.session
create view mine as select * from mysql.user
create view mine as select table_name from information_schema.tables
use `#mysql50#ws_8`
use WS_8
use performance_schema
use mysql
use sys
change database ws_8
-- writes and definitions: what is there must stay
insert into ws_8.issues values ('gone')
insert into issues select t from ws_8.issues
insert into issues (t) values ((select t from ws_8.issues))
insert into issues set t = (select t from ws_8.issues)
insert into issues values ('x') on duplicate key update t = (select t from ws_8.issues)
insert into ws_8 . issues set t = 'gone'
insert into issues (ws_8.issues.t) values ('gone')
replace into ws_8.issues values ('gone')
replace into issues table ws_8.issues
update ws_8.issues set t = 'gone'
update issues, ws_8.issues x set x.t = 'gone'
update issues set t = (select t from ws_8.issues)
update issues join ws_8.issues b on 1 set issues.t = b.t
delete from ws_8.issues
delete ws_8.issues from issues, ws_8.issues
delete ws_8.issues.* from issues join ws_8.issues
delete from ws_8.issues using issues join ws_8.issues
delete x from ws_8.issues x
delete from ws_8.issues.* using ws_8.issues
delete from issues where t in (select t from ws_8.issues)
truncate ws_8.issues
load data local infile 'x' into table ws_8.issues
load data local infile 'x' into table issues set t = (select t from ws_8.issues)
load data infile '/etc/passwd' into table issues
load xml local infile 'x' into table ws_8.issues
import table from '/tmp/x.sdi'
select t from issues into outfile '/tmp/bulkhead-attack3'
select load_file('/etc/passwd')
create table ws_8.fresh (a int)
create table fresh like ws_8.issues
create table fresh (like ws_8.issues)
create table fresh select * from ws_8.issues
create table fresh as table ws_8.issues
create table fresh (t varchar(60)) ignore as with x as (select t from ws_8.issues) select * from x
create table fresh (t varchar(60)) engine=merge union=(ws_8.issues)
create table fresh (t varchar(60)) engine=myisam union=(`ws_8`.`issues`)
create table fresh (t varchar(60)) engine=federated connection='mysql://x@127.0.0.1/ws_8/issues'
create table fresh (t varchar(60)) connection='mysql://x@127.0.0.1/ws_8/issues' engine=federated
create table fresh (id int, foreign key (id) references ws_8.keyed (id))
create table fresh (id int references ws_8.keyed (id))
create temporary table fresh select * from ws_8.issues
create or replace table ws_8.issues (a int)
create view mine as select * from ws_8.issues
create or replace view ws_8.v as select 1
create algorithm=merge sql security definer view mine as table ws_8.issues
alter view mine as select * from ws_8.issues
create trigger mine before insert on ws_8.issues for each row set new.t = 'gone'
create trigger ws_8.mine before insert on issues for each row set new.t = 'gone'
create trigger mine before insert on issues for each row insert into ws_8.issues values (new.t)
create trigger mine before insert on issues for each row begin declare x int; insert into ws_8.issues values (new.t); end
create procedure mine() select * from ws_8.issues
create procedure ws_8.mine() select 1
create procedure mine() sql security definer begin prepare s from 'select * from ws_8.issues'; execute s; end
create procedure mine() begin declare exit handler for sqlexception begin end; insert into ws_8.issues values ('gone'); end
create definer=root@localhost procedure mine() select 1
create definer=`root`@`localhost` view mine as select 1
create definer = root @ localhost event mine on schedule every 1 second do delete from issues
create function mine() returns varchar(60) return (select t from ws_8.issues)
create function mine returns string soname 'x.so'
create aggregate function mine returns string soname 'x.so'
create event mine on schedule every 1 second do delete from ws_8.issues
create event ws_8.mine on schedule every 1 second do select 1
alter event mine rename to ws_8.mine
alter event e disable
create sequence ws_8.mine
create package ws_8.mine as end
create server mine foreign data wrapper mysql options (host '127.0.0.1', database 'ws_8')
create database mine
create schema ws_9
alter database ws_8 character set latin1
alter database character set latin1
drop database ws_8
create tablespace mine add datafile 'x.ibd'
alter table ws_8.issues add column x int
alter table issues rename ws_8.stolen
alter table issues rename to ws_8.stolen
alter table issues rename as ws_8 . stolen
alter table issues rename = ws_8.stolen
alter table issues add foreign key (t) references ws_8.keyed (id)
alter table issues exchange partition p0 with table ws_8.issues
alter table issues convert table ws_8.issues to partition p0
alter table issues union=(ws_8.issues)
alter table issues add check ((select 1 from ws_8.issues))
alter online table ws_8.issues add x int
alter ignore table ws_8.issues add x int
rename table issues to ws_8.stolen
rename table ws_8.issues to stolen
rename tables issues to issues2, ws_8.issues to issues
rename user bulkhead_app to mine
drop table ws_8.issues
drop table issues, ws_8.issues
drop temporary table ws_8.issues
drop view ws_8.v
drop trigger ws_8.tr
drop procedure ws_8.p
drop function if exists ws_8.f
drop event ws_8.e
drop sequence ws_8.s
drop index i on ws_8.issues
create index i on ws_8.issues (t)
create unique index i using btree on ws_8.issues (t)
lock tables ws_8.issues write
lock tables issues as ws_8 write, ws_8.issues as x read
lock table issues read, ws_8.issues read
lock instance for backup
backup lock ws_8.issues
backup stage start
flush tables ws_8.issues
flush tables ws_8.issues with read lock
flush tables issues, ws_8.issues for export
flush table ws_8.issues
flush status
reset query cache
analyze table ws_8.issues
analyze table ws_8.issues update histogram on t
analyze table issues, ws_8.issues persistent for all
check table ws_8.issues
checksum table ws_8.issues extended
optimize table ws_8.issues
repair table ws_8.issues
check view ws_8.v
cache index ws_8.issues in default
load index into cache ws_8.issues
grant select on ws_8.* to bulkhead_app
grant select on ws_8.issues to bulkhead_app
revoke all on ws_8.* from bulkhead_app
set password = 'x'
set role all
set default role all to bulkhead_app
set resource group mine
set global general_log = 1
set @@global.init_connect = 'use ws_8'
set persist init_connect = 'x'
set session sql_log_bin = 0
set @x = (select t from ws_8.issues)
set @x = ws_8.f()
set sql_mode = (select t from ws_8.issues)
set statement sql_mode = '' for select t from ws_8.issues
set session authorization root
set default_tmp_storage_engine = federated
xa recover
xa start 'other'
xa commit 'other'
xa rollback 'other'
kill user bulkhead_app
kill hard query id 5
kill connection 1
kill 1
kill query 1
shutdown
restart
clone local data directory '/tmp/x'
install plugin x soname 'x.so'
install component 'file://component_x'
binlog 'x'
change master to master_host = 'x'
change replication source to source_host = 'x'
start replica
stop slave
purge binary logs before now()
reset master
signal sqlstate '45000' set message_text = 'x', schema_name = 'ws_8'
get diagnostics condition 1 @m = message_text
select source_pos_wait('x', 4)
select sleep(0) from ws_8.issues
select benchmark(1, (select t from ws_8.issues))
select json_value('{"S": 1}', concat('$.', (select t from ws_8.issues)))
select name_const('x', (select t from ws_8.issues))
select statement_digest_text('select 1'), (select t from ws_8.issues)
select t from issues;select t from ws_8.issues
;table ws_8.issues
select t from issues where t = 'x\' union select t from ws_8.issues -- '
select t from issues where t = "x\" union select t from ws_8.issues -- "
select t from issues where t = 'x''' union select t from ws_8.issues -- '
select t from issues -- union
select t from issues /*!50000 union select t from ws_8.issues */
select t from issues /*!50000 union select t from ws_8/*!50000.*/issues */
select t from issues /*!99999 union select t from ws_8.issues */
select t from issues /*!100000 union select t from ws_8.issues */
select t from issues /*M!100000 union select t from ws_8.issues */
select t from issues /*m!100000 union select t from ws_8.issues */
select t from ws_8/*!.*/issues
select t from ws_8/*! . */issues
select t from ws_8/*!99999 x*/.issues
select t from /*! ws_8 */ . /*! issues */
/*workspace_id:8*/ select t from issues
/*workspace_id:8*/ select t from ws_8.issues
select t from issues /*workspace_id:8*/
select t from issues /*workspace_id='8'*/
/*bulkhead: all_shards*/ select t from issues
/*!50000 select t from ws_8.issues */
/*! */ select t from ws_8.issues
