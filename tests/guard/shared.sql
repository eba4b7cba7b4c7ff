-- In a keyspace of shared tables, as workspace 7: rows of others say SECRET.
-- aliases
select body from notes as n where n.workspace_id = 7 or n.id = n.id
select n.body from notes n, notes m where m.workspace_id = 7
select notes.body from notes n join notes on n.workspace_id = 7
select b.body from notes a join notes b where a.workspace_id = 7 and a.workspace_id = a.workspace_id
select body, 7 as workspace_id from notes having workspace_id = 7
select body, 7 as workspace_id from notes where workspace_id = workspace_id having workspace_id = 7
select body from notes group by workspace_id, body having workspace_id = 7 or 1
select body from (select body, 7 as workspace_id from notes) x where x.workspace_id = 7
select body from (select body, 7 workspace_id, 1 from notes) as notes where notes.workspace_id = 7
select x.body from (select body, id as workspace_id from notes) x where x.workspace_id = 7
select * from (select 7, id, body from notes) x (workspace_id, id, body) where workspace_id = 7
select b from (select workspace_id as id, id as workspace_id, body as b from notes) x where workspace_id = 7
-- CTEs
with notes as (select 7 as workspace_id, body from shared.notes) select body from notes where workspace_id = 7
with notes as (select body, 7 as workspace_id from notes) select body from notes where workspace_id = 7
with n (workspace_id, body) as (select 7, body from notes) select body from n where workspace_id = 7
with n as (select * from notes where workspace_id = 7), notes as (select * from notes) select body from notes where workspace_id = 7
with a as (with notes as (select 7 as workspace_id) select * from notes) select n.body from notes n join a using (workspace_id) where a.workspace_id = 7 or 1
with recursive r as (select 7 as workspace_id, cast('' as char(90)) as body union all select 7, n.body from notes n, r where r.body = '') select body from r where workspace_id = 7
with n as (select * from notes where workspace_id = 7) select (select group_concat(notes.body) from notes) from n
with recursive n as (select workspace_id, id, body from notes where workspace_id = 7 union select m.workspace_id, m.id, m.body from notes m join n on m.id = n.id + 1) select body from n
with n as (select workspace_id from notes where workspace_id = 7) select m.body from notes m left join n on n.workspace_id = m.workspace_id
-- joins
select b.body from notes a natural left join notes b where b.workspace_id = 7 or b.workspace_id is null
select b.body from notes a right join notes b on a.workspace_id = 7 and b.workspace_id = 7
select a.body from notes a left join notes b on a.workspace_id = 7 and b.workspace_id = 7
select a.body from notes a left join notes b on b.workspace_id = a.workspace_id and b.workspace_id = 7
select b.body from notes a right join notes b using (workspace_id) where a.workspace_id = 7 or a.workspace_id is null
select c.body from notes a left join (notes b right join notes c on b.workspace_id = c.workspace_id) on a.workspace_id = b.workspace_id where a.workspace_id = 7
select c.body from (notes a left join notes b on a.workspace_id = b.workspace_id and b.workspace_id = 7) right join notes c on c.workspace_id = b.workspace_id
select c.body from notes a join notes b on a.workspace_id = b.workspace_id left join notes c on c.workspace_id = 7 or b.workspace_id = 7 where a.workspace_id = 7
select b.body from notes a straight_join notes b on a.workspace_id = 7
select b.body from notes a cross join notes b where a.workspace_id = 7
select b.body from notes a natural join (select workspace_id as w, body from notes) b where a.workspace_id = 7
select b.body from notes a join (select id, body from notes) b using (id) where a.workspace_id = 7
select b.body from notes a join notes b using (id) where workspace_id = 7
select b.body from notes a join notes b using (id) where a.workspace_id = 7
select b.body from (notes a join notes b using (id)) join notes c using (workspace_id, id) where c.workspace_id = 7
select a.body from notes a join lateral (select 7 as workspace_id) b on b.workspace_id = 7
select l.body from notes a, lateral (select body from notes where workspace_id = a.workspace_id or 1) l where a.workspace_id = 7
select l.body from notes a, lateral (select body from notes where a.workspace_id = 7) l where a.workspace_id = 7
select l.body from notes a, lateral (select n.body from notes n, notes a where a.workspace_id = 7) l where a.workspace_id = 7
select b.body from notes a left join lateral (select * from notes c where c.workspace_id <> a.workspace_id) b on 1 where a.workspace_id = 7
-- logic
select body from notes where workspace_id = 7 or 1
select body from notes where workspace_id = 7 xor 1 = 0
select body from notes where workspace_id = 7 xor id = 2
select body from notes where not (workspace_id = 7)
select body from notes where not workspace_id = 7
select body from notes where !(workspace_id = 7)
select body from notes where ! workspace_id = 7
select body from notes where (workspace_id = 7) = 0
select body from notes where (workspace_id = 7) is false
select body from notes where (workspace_id = 7) is not null
select body from notes where workspace_id = 7 is not true
select body from notes where workspace_id = 7 = 0
select body from notes where 0 = workspace_id = 7
select body from notes where workspace_id = 7 in (0, 1)
select body from notes where workspace_id = 7 <> 1
select body from notes where workspace_id = 7 < 1
select body from notes where workspace_id = 7 | 8
select body from notes where workspace_id = 7 + 1
select body from notes where workspace_id = 7 ^ 15
select body from notes where workspace_id = -7 + 15
select body from notes where workspace_id = 7 div 1 + 1
select body from notes where workspace_id = 7 || 1
select body from notes where workspace_id = 7 && 1 || 1
select body from notes where workspace_id = 7 collate utf8mb4_bin or 1
select body from notes where workspace_id = (7 or 1)
select body from notes where workspace_id = (select 8)
select body from notes where workspace_id = (7) + (1)
select body from notes where workspace_id = 7 and 1 or 1
select body from notes where (workspace_id = 7 and 1) or (workspace_id = 7 or id = 2)
select body from notes where workspace_id between 7 and 9
select body from notes where workspace_id = 7 between 0 and 1
select body from notes where workspace_id not in (7)
select body from notes where workspace_id in (7) = 0
select body from notes where workspace_id in (7, id + 6)
select body from notes where workspace_id in (7, (select 8))
select body from notes where workspace_id in (7, @x := 8)
select body from notes where (workspace_id, id) in ((7, 1), (8, 2))
select body from notes where (workspace_id, id) = (8, 2)
select body from notes where (id, workspace_id) = (7, 8)
select body from notes where (workspace_id, id) <> (7, 1)
select body from notes where (workspace_id, 7) = (workspace_id, 7)
select body from notes where ((workspace_id, id), 1) = ((8, 2), 1)
select body from notes where row(workspace_id, id) >= row(7, 1)
select body from notes where case when workspace_id = 7 then 1 else 1 end
select body from notes where case workspace_id when 7 then 0 else 1 end
select body from notes where if(workspace_id = 7, 1, 1)
select body from notes where ifnull(workspace_id = 7, 1) = 0
select body from notes where coalesce(null, workspace_id) = 8
select body from notes where nullif(workspace_id, 7) = 8
select body from notes where workspace_id <=> 7 or workspace_id <=> 8
select body from notes where not workspace_id <=> 7
select body from notes where workspace_id is not null and 7
select body from notes where workspace_id = any (select 8)
select body from notes where workspace_id = some (select workspace_id from notes where workspace_id = 7) or 1
select body from notes where workspace_id <> all (select 7)
select body from notes where exists (select 1 from notes where workspace_id = 7)
select body from notes where workspace_id in (select workspace_id from notes where workspace_id = 7) or 1
select body from notes where workspace_id in (select id + 6 from notes where workspace_id = 7)
select body from notes where workspace_id in (select workspace_id + 1 as workspace_id from notes where workspace_id = 7)
select body from notes where workspace_id in (select 8 as workspace_id from notes where workspace_id = 7)
select body from notes where workspace_id in (select max(workspace_id) + 1 from notes where workspace_id = 7)
select body from notes where workspace_id = 7 in boolean mode
select body from notes where workspace_id like 7 escape '8' or 1
select body from notes where workspace_id regexp '7|8'
select body from notes where workspace_id sounds like 7 or 1
select body from notes where workspace_id = 8 member of ('[1]')
select body from notes where workspace_id = binary '8'
select body from notes where workspace_id = interval(8, 1, 2, 3, 4, 5, 6, 7, 8)
select body from notes where workspace_id = interval 8 day
select body from notes where workspace_id = @@port - @@port + 8
-- values
select body from notes where workspace_id = 8.0
select body from notes where workspace_id = 8e0
select body from notes where workspace_id = 0.8e1
select body from notes where workspace_id = '8abc'
select body from notes where workspace_id = ' 8'
select body from notes where workspace_id = '8 '
select body from notes where workspace_id = '8'
select body from notes where workspace_id = "8"
select body from notes where workspace_id = 0x37
select body from notes where workspace_id = x'37'
select body from notes where workspace_id = X'0037'
select body from notes where workspace_id = b'110111'
select body from notes where workspace_id = 0b110111
select body from notes where workspace_id = _binary 0x38
select body from notes where workspace_id = _latin1'8'
select body from notes where workspace_id = _utf8mb4'8' collate utf8mb4_bin
select body from notes where workspace_id = _utf16 0x0038
select body from notes where workspace_id = _ucs2'8'
select body from notes where workspace_id = n'8'
select body from notes where workspace_id = '' '8'
select body from notes where workspace_id = '7' '' or 1
select body from notes where workspace_id = +8
select body from notes where workspace_id = - -8
select body from notes where workspace_id = ~~8
select body from notes where workspace_id = true + 7
select body from notes where workspace_id = date '0000-00-08'
select body from notes where workspace_id = {d '2000-01-08'} or 1
select body from notes where workspace_id = 7 and 'a' = 'a' or '1'
select body from notes where workspace_id = 07 + 1
select body from notes where workspace_id = 008
select body from notes where workspace_id = 18446744073709551608
select body from notes where workspace_id = -8
select body from notes where workspace_id in ('9007199254740992')
select body from notes where (workspace_id, id) in (('9007199254740992', 5))
select body from notes where workspace_id = '18446744073709551623'
select body from notes where workspace_id = 18446744073709551623
-- other ways to read
table notes
table notes limit 9
table notes order by 1 limit 2, 1
(table notes) union (table notes)
values row(7, (select group_concat(body) from notes))
select body from notes where workspace_id = 7 union table notes
select body from notes where workspace_id = 7 union all (select body from notes)
(select body from notes where workspace_id = 7) union (select body from notes) order by 1
select 1 union select body from notes where 7
select body from notes where workspace_id = 7 except select body from notes where workspace_id = 8 or 1
select body from notes where workspace_id = 7 intersect select body from notes
select body from notes where workspace_id = 7 order by (select group_concat(body) from notes)
select count(*) over (order by (select max(body) from notes)), max(body) over () from notes where workspace_id in (7, 8)
select max(body) over w from notes window w as (partition by (workspace_id = 7))
select first_value(body) over (partition by 7 order by workspace_id desc) from notes
select body from notes partition (p0) where 7
select body from notes partition (p0, p1, p2)
select body from notes use index (primary) where workspace_id > 0
select body from notes force index for join (primary) ignore index for order by (primary) where 1
select /*+ no_index(notes) set_var(sql_mode='') */ body from notes
select /*+ set_var(sql_mode='ANSI_QUOTES') */ body from notes where workspace_id = 7 and body <> "a' or 1=1 or body = '"
select /*+ qb_name(`*/ body from notes -- `) */ where workspace_id = 7
select body from notes tablesample system (100)
select j.* from notes n, json_table(concat('["', (select group_concat(body) from notes), '"]'), '$[*]' columns (b varchar(200) path '$')) j where n.workspace_id = 7
select j.* from json_table((select json_arrayagg(body) from notes), '$[*]' columns (b varchar(90) path '$')) j
select json_arrayagg(body) from notes
select json_objectagg(id, body) from notes where id > 0
select group_concat(body) from notes
select any_value(body) from notes group by id
select distinct body from notes
select sql_calc_found_rows body from notes limit 5
select straight_join body from notes
select high_priority sql_no_cache body from notes
select body into @b from notes where workspace_id = 8
select body from notes into @b
select body into outfile '/tmp/bulkhead-attack' from notes
select body from notes where workspace_id = 7 into dumpfile '/tmp/bulkhead-attack2'
select body from notes procedure analyse()
select * from notes for update
select body from notes where workspace_id = 7 for update of notes
select body from notes lock in share mode
do (select body from notes where workspace_id = 8)
handler notes open
handler notes read first
handler notes read `primary` = (8, 2)
handler shared.notes open as h
execute immediate 'select body from notes'
prepare s from 'select body from notes'
prepare s from 'select body from notes where workspace_id = ? or 1'
prepare s from concat('select body ', 'from notes')
with n as (select 1) select body from notes
explain analyze select body from notes
explain format=tree select body from notes where body like 'S%'
explain for schema ws_8 select * from issues
analyze select body from notes
analyze format=json select body from notes
describe select body from notes
describe notes body
select shared.notes.body from shared.notes
select `shared`.`notes`.`body` from `shared` . `notes` where `shared`.`notes`.`workspace_id` > 1
select body from SHARED.notes
select body from shared . notes
select body from .notes
select body from {oj notes left outer join notes n on n.workspace_id = 7}
select body from notes where match (body) against ('x')
select body from dual, notes
select * from notes n where (select n.body) > '' or workspace_id = 7
select (select n.body) from notes n
select (select body from (select n.body) x) from notes n where n.workspace_id = 8
select extractvalue(1, concat(0x7e, (select body from notes limit 1, 1)))
select updatexml(1, concat(0x7e, (select max(body) from notes)), 1)
select gtid_subset((select max(body) from notes), 1)
select st_geomfromtext((select max(body) from notes))
select json_extract('{}', (select max(body) from notes))
select exp(~(select * from (select max(body) from notes) x))
select load_file('/etc/passwd'), body from notes
-- comments and spaces
select body from notes/**/where/**/workspace_id/**/=/**/7/**/or/**/1
select body from notes where workspace_id = 7 -- and
select body from notes where workspace_id = 7 /* */ or 1 /* */
select body from notes where workspace_id = 7 /*! or 1 */
select body from notes where workspace_id = 7 /*!50000 or 1 */
select body from notes where workspace_id = 7 /*!99999 or 1 */
select body from notes where workspace_id = 7 /*!050701 or 1 */
select body from notes where workspace_id = 7 /*!50701or 1 */
select body from notes where /*!50000 1 or */ workspace_id = 7
select body from notes where workspace_id = 7 /*!00000 or/*!50000 1*/ */
select body from notes where workspace_id = 7 /* /*! or 1 */ or 1 */
select body from notes where workspace_id = 7 /*!50000 and 1 /* */ or 1 */
select body from notes where workspace_id = 7 /*M!50000 or 1 */
select body from notes where workspace_id = 7 /*!+ or 1 */
select body from notes where workspace_id = 7 /*+ */ or 1
select body from notes where workspace_id = 7 --1 or 1
select body from notes where workspace_id = 7--1
select body from notes where workspace_id = 7 # or
/*workspace_id:8*/ select body from notes where workspace_id = 8
select body from notes where workspace_id = 8 /*workspace_id:8*/
/*bulkhead: all_shards*/ select body from notes
select body from notes /*bulkhead: all_shards*/
select body from notes where workspace_id = 7;select body from notes
;select body from notes
select body from notes where workspace_id = 7 \g select body from notes
delimiter //
-- writes: others' rows must stay
update notes set body = 'gone'
update notes set body = 'gone' where id = 2
update notes set workspace_id = 8 where workspace_id = 7
update notes set workspace_id = workspace_id where workspace_id = 7 or 1
update notes set shared.notes.workspace_id = 8 where workspace_id = 7
update notes n set n.`workspace_id` = default where workspace_id = 7
update notes a, notes b set b.body = 'gone' where a.workspace_id = 7
update notes a, notes b set b.body = 'gone' where a.workspace_id = 7 and a.workspace_id <> b.workspace_id
update notes a join notes b using (workspace_id) set b.body = 'x' where a.workspace_id = 8
update notes a left join notes b on a.workspace_id = 7 and b.workspace_id = 7 set a.body = 'gone'
update notes a join (select 7 as workspace_id) b using (workspace_id) join notes c set c.body = 'gone'
update notes a natural join (select 7 as workspace_id, 1 as id) b, notes c set c.body = 'gone' where a.workspace_id = 7
update (select * from notes where workspace_id = 7) x, notes set notes.body = 'gone'
update ignore notes set body = 'gone' where workspace_id = 7 or workspace_id = 8
update low_priority notes set body = 'gone' order by workspace_id desc limit 1
update notes set body = 'gone' where workspace_id = 7 order by 1 limit 5, 1
update notes set body = (select body from notes where workspace_id = 8)
update notes set id = 1, workspace_id = 8 where (workspace_id, id) = (7, 1)
update notes set body = 'gone' where workspace_id = case when 1 then 8 end
with n as (select 8 as workspace_id) update notes join n using (workspace_id) set body = 'gone'
with notes as (select * from shared.notes where workspace_id = 7) update shared.notes set body = 'gone'
with x as (select 7 as workspace_id) delete notes from notes join x
delete from notes
delete from notes where id = 2
delete from notes where workspace_id = 7 or id = 2
delete from notes where workspace_id <> 7
delete from notes where workspace_id = 7 xor 1
delete from notes order by workspace_id desc limit 1
delete b from notes a join notes b where a.workspace_id = 7
delete b from notes a join notes b on a.id = b.id - 1 where a.workspace_id = 7
delete a, b from notes a left join notes b on a.workspace_id = b.workspace_id and b.workspace_id = 7
delete from b using notes a join notes b where a.workspace_id = 7
delete notes from notes n join notes where n.workspace_id = 7
delete shared.notes from notes n join shared.notes where n.workspace_id = 7
delete n.* from notes n where n.id in (select 2)
delete from a, b using notes as a inner join notes as b on b.id = a.id + 1 where a.workspace_id = 7
delete from notes where workspace_id = 7 returning (select group_concat(body) from notes)
delete quick from notes
delete from notes partition (p0)
delete low_priority quick ignore notes.* from notes
truncate notes
truncate table shared.notes
replace into notes (workspace_id, id, body) values (8, 2, 'gone')
replace into notes values (8, 2, 'gone')
replace notes set workspace_id = 8, id = 2, body = 'gone'
replace into notes select 8, 2, 'gone'
replace into notes (workspace_id, id, body) select workspace_id + 1, id + 1, 'gone' from notes where workspace_id = 7
replace into notes (id, workspace_id, body) select workspace_id, id, 'gone' from notes where workspace_id = 7
replace into notes (workspace_id, id, body) select * from notes where workspace_id = 7 and 0 union select 8, 2, 'gone'
replace into notes table notes
replace into notes (workspace_id, id, body) values row(8, 2, 'gone')
insert into notes (workspace_id, id, body) values (7, 9, 'x'), (8, 9, 'gone')
insert into notes (workspace_id, workspace_id, id) values (7, 8, 9)
insert into notes (id, workspace_id, body) values (7, 8, 'gone')
insert into notes values (8, 9, 'gone')
insert into notes value (8, 9, 'gone')
insert into notes set workspace_id = 7, workspace_id = 8, id = 9
insert into notes set id = 7, workspace_id = 8
insert notes (id, body) values (9, 'x')
insert into notes () values ()
insert into notes (workspace_id, id, body) values (7 + 1, 9, 'gone')
insert into notes (workspace_id, id, body) values ((select 8), 9, 'gone')
insert into notes (workspace_id, id, body) values (default, 9, 'gone')
insert into notes (id, workspace_id, body) values (8, id, 'gone')
insert into notes (workspace_id, id, body) values (7, 1, 'x') on duplicate key update workspace_id = 8
insert into notes (workspace_id, id, body) values (7, 1, 'x') on duplicate key update workspace_id = values(id) + 7
insert into notes (workspace_id, id, body) values (7, 1, 'x') as new on duplicate key update body = (select group_concat(body) from notes)
insert into notes (workspace_id, id, body) values (8, 2, 'gone') on duplicate key update body = 'gone'
insert into notes (workspace_id, id, body) select 7, 11, max(body) from notes
insert into notes (workspace_id, id, body) select 7, id + 20, body from notes where workspace_id = 8
insert into notes (workspace_id, id, body) select 7, a.id + 30, b.body from notes a join notes b where a.workspace_id = 7
insert into notes (workspace_id, id, body) with n as (select * from notes) select 7, id + 40, body from n
insert into notes (workspace_id, id, body) select workspace_id, id + 50, body from (select 7 as workspace_id, id, body from notes) x
insert into notes (workspace_id, id, body) values (7, 60, (select body from notes where workspace_id = 8))
insert into notes (workspace_id, id, body) values row(7, 61, (select body from notes where id = 2))
insert into notes (workspace_id, id, body) table notes
insert into notes (workspace_id, id, body) values (7, 62, 'x') returning (select group_concat(body) from notes)
insert into notes partition (p0) (workspace_id, id, body) values (8, 9, 'gone')
insert delayed into notes (workspace_id, id, body) values (8, 9, 'gone')
insert ignore into notes (workspace_id, id, body) values ('8', 9, 'gone')
load data local infile 'x' into table notes
load data infile '/etc/passwd' into table notes
load data local infile 'x' into table notes (id, body) set workspace_id = 8
load xml local infile 'x' into table notes rows identified by '<r>'
-- definitions
create view v as select * from notes
create table copied as select * from notes
create table copied like notes
create temporary table copied as select * from notes
create temporary table copied select * from notes where workspace_id = 7
create trigger t before insert on notes for each row set new.body = 'x'
create procedure p() select * from notes
create function f() returns int return 1
create event e on schedule every 1 second do delete from notes
alter table notes drop primary key
drop table notes
rename table notes to stolen
create index i on notes (body)
alter table notes add column x int
lock tables notes read
call anything()
select anything()
select shared.anything()
select next value for seq
select nextval(seq)
check table notes
checksum table notes
analyze table notes update histogram on body with 4 buckets
optimize table notes
flush tables notes
flush tables notes with read lock
cache index notes in default
show create table notes
show index from notes
show columns from notes
show table status like 'notes'
show columns from notes where (select body from notes limit 1)
show tables where 'x' = (select max(body) from notes)
show count(*) errors where (select 1)
show open tables
show tables from ws_8
show index from issues from ws_8
describe ws_8.issues
show create table ws_8.issues
show triggers from ws_8
show table status from ws_8
select * from ws_8.issues
select t from spaces.issues
