use std::sync::Arc;

use super::*;
use crate::ids::ClusterName;
use crate::sql::{Scan, ServerVersion, SqlMode, TableChange, read_change, scan};

fn mysql() -> ServerVersion {
    ServerVersion::parse("8.4.3").unwrap()
}

fn mariadb() -> ServerVersion {
    ServerVersion::parse("10.11.6-MariaDB").unwrap()
}

fn read(text: &str) -> Definition {
    Definition::read(text, mysql()).unwrap()
}

fn change(text: &str, server: ServerVersion) -> TableChange {
    let mode = SqlMode { server, ..SqlMode::default() };
    let mut found = Scan::default();
    scan(text.as_bytes(), mode, &mut found);
    read_change(text.as_bytes(), &found, mode).unwrap().unwrap()
}

/// As MySQL 8.4 prints it.
const ISSUES: &str = "CREATE TABLE `issues` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `title` varchar(255) COLLATE utf8mb4_bin NOT NULL DEFAULT '',
  `body` text,
  `state` enum('open','it''s closed') DEFAULT 'open',
  `votes` int unsigned DEFAULT '0',
  `price` decimal(10,2) DEFAULT '0.00',
  `is_public` tinyint(1) DEFAULT '0',
  `data` json DEFAULT NULL,
  `token` char(36) DEFAULT (uuid()),
  `created_at` datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  `updated_at` timestamp NULL DEFAULT NULL ON UPDATE CURRENT_TIMESTAMP,
  `short` varchar(10) GENERATED ALWAYS AS (left(`title`,10)) VIRTUAL,
  `user_id` bigint DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `index_on_token` (`token`),
  KEY `index_on_state` (`state`,`votes` DESC),
  KEY `index_on_title` (`title`(20)) COMMENT 'search',
  KEY `lower` ((lower(`title`))),
  CONSTRAINT `fk_user` FOREIGN KEY (`user_id`) REFERENCES `users` (`id`) ON DELETE CASCADE,
  CONSTRAINT `votes_are_few` CHECK ((`votes` < 1000))
) ENGINE=InnoDB AUTO_INCREMENT=1234 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
  COMMENT='what is open'";

#[test]
fn what_does_not_matter_does_not_change_the_fingerprint() {
    let print = read(ISSUES).fingerprint();
    let same = [
        ("AUTO_INCREMENT=1234 ", ""),
        ("AUTO_INCREMENT=1234", "AUTO_INCREMENT=99"),
        ("CREATE TABLE `issues`", "CREATE TABLE `ws_1`.`issues`"),
        ("`id` bigint NOT NULL", "`id` bigint(20) NOT NULL"),
        ("DEFAULT '0.00'", "DEFAULT 0"),
        ("int unsigned DEFAULT '0'", "int(10) unsigned NULL DEFAULT +00"),
        ("`body` text,", "`body` text DEFAULT NULL,"),
        ("(255) COLLATE utf8mb4_bin", "(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"),
        ("KEY `index_on_state`", "INDEX `INDEX_ON_STATE`"),
        ("'it''s closed'", "'it\\'s closed'"),
        ("(`state`,`votes` DESC)", "(`state` ASC,`votes` DESC) USING BTREE"),
        ("((`votes` < 1000))", "(votes < 1000)"),
        ("(left(`title`,10))", "((LEFT(title, 10)))"),
        (" COLLATE=utf8mb4_0900_ai_ci", ""),
        ("ENGINE=InnoDB ", "ENGINE=innodb ROW_FORMAT=DEFAULT "),
        ("DEFAULT CURRENT_TIMESTAMP(6)", "DEFAULT now(6)"),
    ];
    for (from, to) in same {
        assert!(ISSUES.contains(from), "{from}");
        let other = read(&ISSUES.replacen(from, to, 1));
        let differences: Vec<String> =
            compare(&other.normal, &read(ISSUES).normal).iter().map(Difference::words).collect();
        assert_eq!(other.fingerprint(), print, "{from} → {to}: {differences:?}");
    }
    // Keys in another order are the same keys.
    let keys = "  UNIQUE KEY `index_on_token` (`token`),\n";
    let moved = ISSUES.replace(keys, "").replace("  KEY `lower`", &format!("{keys}  KEY `lower`"));
    assert_eq!(read(&moved).fingerprint(), print);
    // The stored form of a fingerprint is part of the ledger: if this fails, running migrations would find
    // every database drifted after an upgrade.
    assert_eq!(print.to_string(), "2e45bb219fa08cd0beb220ac3539b44c");
}

#[test]
fn what_matters_changes_the_fingerprint() {
    let print = read(ISSUES).fingerprint();
    let other = [
        ("bigint NOT NULL", "int NOT NULL"),
        ("varchar(255)", "varchar(254)"),
        ("COLLATE utf8mb4_bin ", ""),
        ("DEFAULT ''", "DEFAULT ' '"),
        ("NOT NULL DEFAULT ''", "DEFAULT ''"),
        ("'it''s closed'", "'it closed'"),
        ("int unsigned", "int"),
        ("decimal(10,2)", "decimal(10,3)"),
        ("DEFAULT '0.00'", "DEFAULT '0.01'"),
        ("tinyint(1)", "tinyint"),
        ("(uuid())", "(uuid_short())"),
        ("datetime(6)", "datetime"),
        ("DEFAULT CURRENT_TIMESTAMP(6)", "DEFAULT CURRENT_TIMESTAMP(3)"),
        (" ON UPDATE CURRENT_TIMESTAMP", ""),
        ("VIRTUAL", "STORED"),
        ("left(`title`,10)", "left(`title`,11)"),
        ("`body` text", "`body` mediumtext"),
        ("`body` text", "`body` text COMMENT 'x'"),
        ("`body` text", "`body` text /*!80023 INVISIBLE */"),
        ("`body` text", "`body` text /*!80021 ENGINE_ATTRIBUTE '{}' */"),
        ("UNIQUE KEY", "KEY"),
        ("`votes` DESC", "`votes`"),
        ("`title`(20)", "`title`(21)"),
        ("COMMENT 'search'", "COMMENT 'find'"),
        ("KEY `lower` ((lower(`title`)))", "KEY `lower` ((lower(`title`)) DESC)"),
        ("KEY `lower` ((lower(`title`)))", "KEY `lower` ((lower(`title`))) /*!80000 INVISIBLE */"),
        ("ON DELETE CASCADE", "ON DELETE SET NULL"),
        ("REFERENCES `users`", "REFERENCES `people`"),
        ("< 1000))", "< 1000)) /*!80016 NOT ENFORCED */"),
        ("`votes` < 1000", "`votes` < 1001"),
        ("ENGINE=InnoDB", "ENGINE=MyISAM"),
        ("CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci", "CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci"),
        ("COMMENT='what is open'", "COMMENT='What is open'"),
        ("ENGINE=InnoDB", "ENGINE=InnoDB ROW_FORMAT=COMPRESSED"),
        (
            "COMMENT='what is open'",
            "COMMENT='what is open'\n/*!50100 PARTITION BY HASH (`id`) PARTITIONS 4 */",
        ),
        ("`body` text", "`body` text FROBNICATE"),
        ("ENGINE=InnoDB", "ENGINE=InnoDB FROBNICATE=1"),
    ];
    let mut seen = vec![print];
    for (from, to) in other {
        assert!(ISSUES.contains(from), "{from}");
        let changed = read(&ISSUES.replacen(from, to, 1));
        assert!(!seen.contains(&changed.fingerprint()), "{from} → {to}");
        assert!(!compare(&changed.normal, &read(ISSUES).normal).is_empty(), "{from} → {to}");
        seen.push(changed.fingerprint());
    }
    // Columns in another order are another table for SELECT * and INSERT without columns.
    let body = "  `body` text,\n";
    let moved = ISSUES.replace(body, "").replace("  `price`", &format!("{body}  `price`"));
    assert_ne!(read(&moved).fingerprint(), print);
}

#[test]
fn both_kinds_of_servers_print_one_table() {
    let theirs = "CREATE TABLE `t` (
  `id` bigint(20) NOT NULL AUTO_INCREMENT,
  `n` int(11) DEFAULT 0,
  `body` text DEFAULT NULL,
  `data` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`data`)),
  `at` datetime NOT NULL DEFAULT current_timestamp(),
  PRIMARY KEY (`id`),
  KEY `k` (`n`)
) ENGINE=InnoDB AUTO_INCREMENT=5 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci";
    let ours = "CREATE TABLE `t` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `n` int DEFAULT '0',
  `body` text COLLATE utf8mb4_unicode_ci,
  `data` json DEFAULT NULL,
  `at` datetime NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (`id`),
  KEY `k` (`n`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci";
    let (theirs, ours) = (Definition::read(theirs, mariadb()).unwrap(), read(ours));
    let differences: Vec<String> =
        compare(&theirs.normal, &ours.normal).iter().map(Difference::words).collect();
    assert_eq!(differences, Vec::<String>::new());
    assert_eq!(theirs.fingerprint(), ours.fingerprint());
}

#[test]
fn what_cannot_be_read_is_told() {
    for bad in ["", "SELECT 1", "CREATE TABLE t LIKE u", "CREATE TABLE t (a int", "CREATE VIEW v AS SELECT 1"]
    {
        assert!(Definition::read(bad, mysql()).is_err(), "{bad}");
    }
}

/// Each repair makes of one table the other, as far as changes are followed without a server.
#[test]
fn a_repair_makes_the_wanted_table() {
    let base = "CREATE TABLE `t` (
  `id` bigint NOT NULL,
  `a` int DEFAULT NULL,
  `b` varchar(20) DEFAULT 'x',
  `c` text,
  `d` datetime DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `k` (`a`),
  UNIQUE KEY `u` (`b`),
  CONSTRAINT `few` CHECK ((`a` < 10))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci";
    let line = |name: &str| base.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
    let variants: Vec<String> = vec![
        base.to_owned(),
        base.replace(&format!("{}\n", line("`c`")), ""),
        base.replace("`a` int", "`a` bigint"),
        base.replace("  KEY `k` (`a`),\n", ""),
        base.replace("KEY `k` (`a`)", "KEY `k` (`a`,`d`) COMMENT 'both'"),
        base.replace("UNIQUE KEY `u`", "KEY `u`"),
        base.replace("`a` < 10", "`a` < 11"),
        base.replace("PRIMARY KEY (`id`)", "PRIMARY KEY (`id`,`a`)")
            .replace("`a` int DEFAULT NULL", "`a` int NOT NULL"),
        base.replace("COLLATE=utf8mb4_0900_ai_ci", "COLLATE=utf8mb4_bin"),
        base.replace("ENGINE=InnoDB", "ENGINE=InnoDB ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8"),
        base.replace("  `id` bigint NOT NULL,\n", "").replace("  `d`", "  `id` bigint NOT NULL,\n  `d`"),
        base.replace("  `d` datetime DEFAULT NULL,\n", "")
            .replace("  `a`", "  `d` datetime DEFAULT NULL,\n  `e` int DEFAULT NULL,\n  `a`"),
    ];
    for (at, have) in variants.iter().enumerate() {
        for (to, want) in variants.iter().enumerate() {
            let (have, want) = (read(have), read(want));
            let repair = repair(&have, &want);
            let Some(statement) = repair.statement else {
                assert_eq!(have.fingerprint(), want.fingerprint(), "{at} → {to}: {:?}", repair.by_hand);
                continue;
            };
            assert_eq!(repair.by_hand, Vec::<String>::new());
            assert!(repair.decision.is_some(), "{statement} can be decided about");
            let mut table = have.table.clone();
            crate::ddl::apply(&mut table, &change(&statement, mysql()));
            let made = Normal::of(&table, "", mysql());
            let left: Vec<String> = compare(&made, &want.normal).iter().map(Difference::words).collect();
            assert_eq!(left, Vec::<String>::new(), "{at} → {to}: {statement}");
        }
    }
}

#[test]
fn what_no_statement_repairs_is_left_to_people() {
    let (have, want) = (read(ISSUES), read(&ISSUES.replace("ON DELETE CASCADE", "ON DELETE SET NULL")));
    let found = repair(&have, &want);
    assert_eq!(found.statement, None);
    assert!(found.by_hand[0].contains("two statements"), "{:?}", found.by_hand);
    let unknown = read(&ISSUES.replace("`body` text", "`body` text FROBNICATE"));
    assert!(!unknown.is_known());
    assert!(
        repair(&unknown, &have).by_hand[0].starts_with("unknown part body"),
        "{:?}",
        repair(&unknown, &have)
    );
    let lost = read(&ISSUES.replace("`user_id` bigint DEFAULT NULL", "`user_id` bigint"));
    assert_ne!(lost.fingerprint(), have.fingerprint(), "an INSERT has to name the column");
    let found = repair(&have, &lost);
    assert!(found.statement.is_none() && found.by_hand[0].contains("second statement"), "{found:?}");
    let parts = read(&format!("{ISSUES}\n/*!50100 PARTITION BY HASH (`id`) PARTITIONS 4 */"));
    assert!(repair(&parts, &have).by_hand[0].starts_with("partitions"), "{:?}", repair(&parts, &have));
}

#[test]
fn a_column_keeps_its_character_set_where_the_tables_differ() {
    let have = read("CREATE TABLE `t` (\n  `a` int DEFAULT NULL\n) ENGINE=InnoDB DEFAULT CHARSET=latin1");
    let want = read(
        "CREATE TABLE `t` (\n  `a` int DEFAULT NULL,\n  `b` varchar(9) NOT NULL COMMENT 'b'\n) ENGINE=InnoDB \
         DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
    );
    assert_eq!(
        repair(&have, &want).statement.unwrap(),
        "ALTER TABLE `t` DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, ADD COLUMN `b` varchar(9) \
         CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'b' AFTER `a`"
    );
}

fn effect(have: &str, statement: &str) -> Effect {
    foretell(&read(have), &change(statement, mysql()))
}

#[test]
fn another_character_set_of_the_table_is_not_that_of_its_columns() {
    let table = |column: &str, options: &str| {
        format!("CREATE TABLE `t` (\n  `a` varchar(9) {column}DEFAULT NULL\n) ENGINE=InnoDB {options}")
    };
    let have = table("", "DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin");
    let made = table("CHARACTER SET utf8mb4 COLLATE utf8mb4_bin ", "DEFAULT CHARSET=latin1");
    let to = Some(read(&made).fingerprint());
    assert_eq!(effect(&have, "ALTER TABLE t DEFAULT CHARACTER SET latin1"), Effect::Changes { to });
    assert_eq!(effect(&made, "ALTER TABLE t DEFAULT CHARACTER SET latin1"), Effect::There);
}

#[test]
fn what_a_statement_makes_is_foretold() {
    // The statement, and how the definition is printed once it has run.
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("ALTER TABLE issues MODIFY votes BIGINT UNSIGNED DEFAULT 0", &[("int unsigned", "bigint unsigned")]),
        (
            "ALTER TABLE issues ADD COLUMN age INT, ADD INDEX (age)",
            &[
                (
                    "`user_id` bigint DEFAULT NULL,",
                    "`user_id` bigint DEFAULT NULL,\n  `age` int DEFAULT NULL,",
                ),
                ("  KEY `lower`", "  KEY `age` (`age`),\n  KEY `lower`"),
            ],
        ),
        ("ALTER TABLE issues DROP COLUMN body", &[("  `body` text,\n", "")]),
        ("DROP INDEX index_on_state ON issues", &[("  KEY `index_on_state` (`state`,`votes` DESC),\n", "")]),
        ("CREATE INDEX i ON issues (votes)", &[("  KEY `lower`", "  KEY `i` (`votes`),\n  KEY `lower`")]),
        (
            "ALTER TABLE issues ALTER votes SET DEFAULT 7",
            &[("DEFAULT '0',\n  `price`", "DEFAULT '7',\n  `price`")],
        ),
        ("ALTER TABLE issues RENAME COLUMN body TO text", &[("`body` text", "`text` text")]),
        ("ALTER TABLE issues RENAME INDEX `lower` TO low", &[("KEY `lower`", "KEY `low`")]),
        (
            "ALTER TABLE issues ADD COLUMN flag BOOL DEFAULT TRUE AFTER title, ALGORITHM=INSTANT",
            &[("  `body`", "  `flag` tinyint(1) DEFAULT '1',\n  `body`")],
        ),
        ("ALTER TABLE issues COMMENT='new'", &[("what is open", "new")]),
    ];
    for (statement, edits) in cases {
        let mut after = ISSUES.to_owned();
        for (from, to) in *edits {
            assert!(after.contains(from), "{from}");
            after = after.replacen(from, to, 1);
        }
        let to = Some(read(&after).fingerprint());
        assert_eq!(effect(ISSUES, statement), Effect::Changes { to }, "{statement}");
        // Carried out again it would change nothing: an interrupted migration finds that it is done.
        assert_eq!(effect(&after, statement), Effect::There, "{statement}");
    }
}

#[test]
fn what_is_in_the_way_is_told() {
    let partly = |have: &str, statement: &str| match effect(have, statement) {
        Effect::Partly(why) => why,
        other => panic!("{statement}: {other:?}"),
    };
    let why = partly(ISSUES, "ALTER TABLE issues ADD COLUMN votes BIGINT");
    assert!(why.starts_with("column votes is int unsigned null default 0, wanted bigint null"), "{why}");
    let why =
        partly(ISSUES, "ALTER TABLE issues ADD COLUMN votes INT UNSIGNED DEFAULT 0, ADD COLUMN age INT");
    assert_eq!(why, "1 of 2 clauses are done already");
    let why = partly(ISSUES, "ALTER TABLE issues ADD INDEX index_on_state (state)");
    assert!(why.starts_with("key index_on_state is there"), "{why}");
    assert_eq!(partly(ISSUES, "ALTER TABLE issues MODIFY nothing INT"), "there is no column nothing");
    assert_eq!(partly(ISSUES, "ALTER TABLE issues RENAME COLUMN x TO y"), "there is no column x");
    // What the server writes anew cannot be foretold: it has to be asked.
    for statement in [
        "ALTER TABLE issues ADD COLUMN x INT AS (votes + 1)",
        "ALTER TABLE issues ADD CHECK (votes > 1)",
        "ALTER TABLE issues CONVERT TO CHARACTER SET latin1",
        "ALTER TABLE issues ADD INDEX ((votes + 1))",
    ] {
        assert_eq!(effect(ISSUES, statement), Effect::Changes { to: None }, "{statement}");
    }
}

#[test]
fn databases_are_grouped_and_each_group_gets_its_repair() {
    let mut groups = Groups::default();
    let common = Arc::new(read(ISSUES));
    let drifted = Arc::new(read(&ISSUES.replace("  KEY `index_on_state` (`state`,`votes` DESC),\n", "")));
    let (c1, c2) = (ClusterName::new("c1"), ClusterName::new("c2"));
    for number in 0..100 {
        let on = if number % 2 == 0 { &c1 } else { &c2 };
        groups.add(on, &format!("ws_{number}"), Seen::Defined(common.clone()));
    }
    for number in 100..125 {
        groups.add(&c2, &format!("ws_{number}"), Seen::Defined(drifted.clone()));
    }
    groups.add(&c1, "ws_200", Seen::Missing);
    groups.add(&c1, "ws_201", Seen::Unread("no connection".into()));
    let report = groups.report("issues", None);
    assert_eq!((report.groups.len(), report.drifted()), (2, 27));
    let text = to_text(&report);
    assert!(text.starts_with("issues: 27 of 127 databases differ\n"), "{text}");
    for line in [
        "100 databases (c1 50, c2 50)  wanted",
        "25 databases (c2 25)",
        " and 5 more",
        "key index_on_state is missing: key (state,votes desc)",
        "repair: ALTER TABLE `issues` ADD KEY `index_on_state` (`state`,`votes` DESC)",
        "route direct",
        "1 databases without the table: ws_200",
        "ws_201: no connection",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let json = to_json(&report);
    assert_eq!(json["groups"][0]["is_wanted"], true);
    assert_eq!(json["groups"][1]["names"].as_array().unwrap().len(), 20);
    assert_eq!(json["groups"][1]["repair"]["route"], "direct");
    assert_eq!(json["groups"][1]["clusters"]["c2"], 25);
    assert_eq!(json["unread"]["faults"][0]["why"], "no connection");
    // Compared with a definition that was named instead, the others are the ones that drifted.
    let other = groups.report("issues", Some(drifted.clone()));
    assert_eq!(other.drifted(), 102);
    // Of two shards that differ neither is known to be the wanted one, until somebody says so.
    let mut shards = Groups::default();
    shards.add(&c1, "shop", Seen::Defined(common));
    shards.add(&c2, "shop", Seen::Defined(drifted.clone()));
    let tie = shards.report("issues", None);
    assert!(tie.is_tie && to_text(&tie).contains("--like says which is wanted"), "{}", to_text(&tie));
    assert!(!shards.report("issues", Some(drifted)).is_tie && !report.is_tie);
}
