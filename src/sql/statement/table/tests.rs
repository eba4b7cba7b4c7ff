use super::*;
use crate::sql::lexer::ServerVersion;
use crate::sql::scan;

fn mode(mariadb: bool) -> SqlMode {
    let number = if mariadb { 101_106 } else { 90_700 };
    SqlMode { server: ServerVersion { mariadb, number }, ..SqlMode::default() }
}

fn definition(text: &str, mariadb: bool) -> TableDefinition {
    let mut found = Scan::default();
    scan(text.as_bytes(), mode(mariadb), &mut found);
    read_definition(text.as_bytes(), &found, mode(mariadb)).unwrap()
}

fn change(text: &str) -> Result<Option<TableChange>, Unread> {
    let mut found = Scan::default();
    scan(text.as_bytes(), mode(false), &mut found);
    read_change(text.as_bytes(), &found, mode(false))
}

fn clauses(text: &str) -> Vec<ClauseKind> {
    change(text).unwrap().unwrap().clauses.into_iter().map(|clause| clause.kind).collect()
}

const SHOWN_BY_MYSQL: &str = r"CREATE TABLE `orders` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `ref` varchar(50) CHARACTER SET latin1 COLLATE latin1_swedish_ci DEFAULT NULL COMMENT 'it''s; a, b)',
  `state` enum('a,b','it''s') COLLATE utf8mb4_bin NOT NULL DEFAULT 'a,b',
  `price` decimal(10,2) DEFAULT '0.00',
  `flags` bit(3) DEFAULT b'101',
  `at` timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  `g` int GENERATED ALWAYS AS ((`id` + 1)) VIRTUAL /*!80023 INVISIBLE */,
  `s` varchar(10) GENERATED ALWAYS AS (_utf8mb4'x') STORED NOT NULL,
  `p` point NOT NULL /*!80003 SRID 4326 */,
  `o` int /*!50606 STORAGE DISK */ /*!50606 COLUMN_FORMAT FIXED */ DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `u` (`ref`(10) DESC,`state`),
  KEY `e` ((`id` + `price`)) /*!80000 INVISIBLE */,
  SPATIAL KEY `sp` (`p`),
  FULLTEXT KEY `ft` (`ref`) /*!50100 WITH PARSER `ngram` */ ,
  CONSTRAINT `fk` FOREIGN KEY (`o`) REFERENCES `db2`.`others` (`id`) ON DELETE SET NULL ON UPDATE CASCADE,
  CONSTRAINT `c1` CHECK ((`price` > 0)) /*!80016 NOT ENFORCED */
) /*!50100 TABLESPACE `innodb_system` */ ENGINE=InnoDB AUTO_INCREMENT=5 DEFAULT CHARSET=utf8mb4
  COLLATE=utf8mb4_0900_ai_ci ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8 COMMENT='x=y'
/*!50100 PARTITION BY RANGE (`id`)
(PARTITION p0 VALUES LESS THAN (10) ENGINE = InnoDB,
 PARTITION p1 VALUES LESS THAN MAXVALUE ENGINE = InnoDB) */";

const SHOWN_BY_MARIADB: &str = r"CREATE TABLE `t` (
  `id` uuid NOT NULL DEFAULT uuid(),
  `n` int(10) unsigned zerofill DEFAULT nextval(`app`.`seq`),
  `j` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`j`)),
  `c` varchar(50) /*M!100301 COMPRESSED*/ DEFAULT NULL,
  `i` int(11) INVISIBLE DEFAULT (1 + 1),
  `a` timestamp NOT NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  `g` int(11) GENERATED ALWAYS AS (`i` + 1) VIRTUAL,
  `b` timestamp(6) GENERATED ALWAYS AS ROW START,
  `e` timestamp(6) GENERATED ALWAYS AS ROW END,
  `w` int(11) WITHOUT SYSTEM VERSIONING,
  PRIMARY KEY (`id`),
  KEY `k` (`n`) IGNORED,
  CONSTRAINT `c` CHECK (`n` > 0),
  PERIOD FOR SYSTEM_TIME (`b`, `e`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci PAGE_COMPRESSED=1 `fancy`='x'
  WITH SYSTEM VERSIONING";

#[test]
fn what_mysql_shows_is_read_completely() {
    let table = definition(SHOWN_BY_MYSQL, false);
    assert_eq!(table.columns.len(), 10);
    assert!(table.unknown.is_empty(), "{:?}", table.unknown);
    assert!(table.columns.iter().all(|column| column.unknown.is_empty()), "{table:#?}");
    assert!(table.keys.iter().all(|key| key.unknown.is_empty()), "{table:#?}");
    assert_eq!(table.columns[0].data_type.kind, TypeKind::BigInt);
    assert!(table.columns[0].data_type.unsigned && table.columns[0].auto_increment);
    assert_eq!(table.columns[1].data_type.charset.as_deref(), Some("latin1"));
    assert_eq!(table.columns[1].comment.as_deref(), Some(&b"it's; a, b)"[..]));
    assert_eq!(table.columns[2].data_type.members, [b"a,b".to_vec(), b"it's".to_vec()]);
    assert!(table.columns[5].on_update);
    assert!(table.columns[6].invisible && !table.columns[6].generated.as_ref().unwrap().stored);
    assert!(table.columns[7].generated.as_ref().unwrap().stored);
    assert_eq!(table.columns[8].srid, Some(4326));
    assert_eq!(table.columns[9].storage, ["STORAGE DISK", "COLUMN_FORMAT FIXED"]);
    assert_eq!(table.keys.len(), 5);
    assert!(table.keys[2].invisible);
    assert_eq!(table.foreign_keys[0].table.name.text, "others");
    assert!(!table.checks[0].enforced);
    let option = |name: &str| table.options.iter().find(|option| option.name == name).map(|o| &*o.value);
    assert_eq!(option("ROW_FORMAT"), Some("COMPRESSED"));
    assert_eq!(option("COLLATE"), Some("utf8mb4_0900_ai_ci"));
    assert_eq!(table.partitioning.unwrap().kind, PartitionKind::Ranges);
}

#[test]
fn what_mariadb_shows_is_read_and_the_rest_is_kept_as_unknown() {
    let table = definition(SHOWN_BY_MARIADB, true);
    assert_eq!(table.columns.len(), 10);
    assert!(table.columns.iter().all(|column| column.unknown.is_empty()), "{table:#?}");
    assert_eq!(table.columns[0].data_type.kind, TypeKind::Other("uuid".into()));
    assert!(matches!(table.columns[1].default, Some(DefaultValue::Expression(_))));
    assert_eq!(table.columns[2].checks.len(), 1);
    assert_eq!(table.columns[3].storage, ["COMPRESSED"]);
    assert_eq!(table.columns[5].default, Some(DefaultValue::Now));
    assert_eq!(table.columns[7].storage, ["ROW START"]);
    assert!(table.keys[1].invisible);
    // PERIOD and the engine's own option.
    assert_eq!(table.unknown.len(), 2);
    assert!(table.options.iter().any(|option| option.name == "SYSTEM VERSIONING"));
}

#[test]
fn clauses_are_told_apart() {
    let read = clauses(
        "alter table `a`.`t` add column x int first, add (y int, key (y)), modify column z bigint after x, \
         change a b varchar(10) charset utf8, drop q, drop key k, drop primary key, rename to u, \
         alter c set default -5, engine=innodb comment 'x' auto_increment 7, convert to charset utf8, \
         rename index i to j, add constraint fk foreign key (a) references u (id) on delete set null, \
         drop check c1, algorithm=inplace, lock none, force",
    );
    let names: Vec<String> = read
        .iter()
        .map(|kind| format!("{kind:?}").split([' ', '(', '{']).next().unwrap().to_owned())
        .collect();
    let expected = "AddColumn AddColumn AddKey ChangeColumn ChangeColumn DropColumn DropKey DropPrimaryKey \
                    RenameTable AlterColumn Option Option Option Convert RenameKey AddForeignKey DropCheck \
                    Algorithm Lock Force";
    assert_eq!(names.join(" "), expected.split_whitespace().collect::<Vec<_>>().join(" "));
}

#[test]
fn what_is_not_known_is_unknown_and_ends_at_its_comma() {
    let text = "alter table t frobnicate x (1, 2), add column a int sparkling, add index (a), drop a b";
    let read = change(text).unwrap().unwrap();
    assert_eq!(read.clauses[0].kind, ClauseKind::Unknown);
    assert_eq!(read.clauses[0].span.of(text.as_bytes()), b"frobnicate x (1, 2)");
    let ClauseKind::AddColumn { column, .. } = &read.clauses[1].kind else { panic!("{read:?}") };
    assert_eq!(column.unknown.len(), 1);
    assert!(matches!(read.clauses[2].kind, ClauseKind::AddKey(_)));
    assert_eq!(read.clauses[3].kind, ClauseKind::Unknown);
}

#[test]
fn partitions_indexes_and_whole_tables_are_read() {
    for (text, kind) in [
        ("alter table t drop partition p0, p1", PartitionAction::Drop),
        ("alter table t add partition (partition p2 values less than (30))", PartitionAction::Add),
        ("alter table t exchange partition p0 with table u without validation", PartitionAction::Exchange),
        ("alter table t truncate partition all", PartitionAction::Truncate),
    ] {
        assert_eq!(clauses(text), [ClauseKind::Partition(kind)], "{text}");
    }
    let drop = change("drop index i on t algorithm=inplace lock=none").unwrap().unwrap();
    assert!(matches!(drop.form, ChangeForm::DropIndex(_)) && drop.clauses.len() == 3);
    let unique = change("create unique index i using btree on db.t (a desc, b(10))").unwrap().unwrap();
    let ClauseKind::AddKey(key) = &unique.clauses[0].kind else { panic!("{unique:?}") };
    assert_eq!((key.kind, key.parts.len()), (KeyKind::Unique, 2));
    let renamed = change("rename table a to b, c to d").unwrap().unwrap();
    assert_eq!((renamed.clauses.len(), renamed.more_tables.len()), (2, 1));
    for words in ["ignore", "online ignore", "ignore online", "offline ignore online ignore"] {
        let altered = change(&format!("alter {words} table t drop column a")).unwrap().unwrap();
        assert!(altered.ignore && altered.clauses.len() == 1, "{words}");
    }
    assert!(!change("alter online offline table t force").unwrap().unwrap().ignore);
    assert_eq!(change("drop view v").unwrap(), None);
    assert_eq!(change("select 1").unwrap(), None);
    assert_eq!(change("optimize table t").unwrap().unwrap().form, ChangeForm::Optimize);
}

#[test]
fn errors_have_a_place() {
    let text = "alter table t\n  add column x int,\n  add column y";
    let unread = change(text).unwrap_err();
    assert_eq!(line_and_column(text.as_bytes(), unread.at), (3, 15));
    assert!(change("create table t (a int").is_err());
    assert!(change("alter table").is_err());
}
