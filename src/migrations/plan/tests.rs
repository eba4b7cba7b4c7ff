//! Plans from definitions as servers print them.

use super::*;
use crate::sql::SqlMode;

const MYSQL: ServerVersion = ServerVersion { mariadb: false, number: 90_700 };
const MARIADB: ServerVersion = ServerVersion { mariadb: true, number: 101_100 };

fn names() -> Names {
    Names { database: "ws_1".into(), table: "t".into(), home: "zz_bulkhead".into(), shadow: "new_7".into() }
}

fn table_facts() -> Facts {
    Facts { table_type: "BASE TABLE".into(), ..Facts::default() }
}

/// Plans a statement on a table; the shadow's definition is what the statement makes of it.
fn plan_with(
    create: &str,
    alter: &str,
    types: &[(&str, Option<&str>)],
    (facts, server): (&Facts, ServerVersion),
) -> Result<CopyPlan, Refusal> {
    let source = read_definition(create.as_bytes(), server).unwrap();
    let mode = SqlMode { server, ..SqlMode::default() };
    let change = read_change(alter.as_bytes(), mode)?;
    let mut shadow = source.clone();
    crate::ddl::apply(&mut shadow, &change);
    let types: Vec<(String, Option<String>)> =
        types.iter().map(|(text, charset)| (text.to_string(), charset.map(str::to_owned))).collect();
    let names = names();
    let inputs = Inputs {
        names: &names,
        source: &source,
        shadow: &shadow,
        change: &change,
        types: &types,
        facts,
        server,
    };
    CopyPlan::new(inputs)
}

fn plan(create: &str, alter: &str, types: &[(&str, Option<&str>)]) -> Result<CopyPlan, Refusal> {
    plan_with(create, alter, types, (&table_facts(), MYSQL))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const USERS: &str = "CREATE TABLE `t` (\n  `id` int unsigned NOT NULL AUTO_INCREMENT,\n  `name` varchar(20) \
    COLLATE utf8mb4_bin NOT NULL,\n  `age` int DEFAULT NULL,\n  `twice` int GENERATED ALWAYS AS ((`age` * \
    2)) \
    VIRTUAL,\n  PRIMARY KEY (`id`),\n  UNIQUE KEY `n` (`name`),\n  KEY `a` (`age`)\n) ENGINE=InnoDB \
    AUTO_INCREMENT=9 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci";
const USERS_TYPES: &[(&str, Option<&str>)] =
    &[("int unsigned", None), ("varchar(20)", Some("utf8mb4")), ("int", None), ("int", None)];

#[test]
fn shared_columns_follow_renames_and_leave_generated_ones_out() {
    let plan = plan(
        USERS,
        "ALTER TABLE t CHANGE age years BIGINT, ADD COLUMN note VARCHAR(9) NOT NULL, DROP COLUMN twice",
        USERS_TYPES,
    )
    .unwrap();
    let columns: Vec<_> =
        plan.columns.iter().map(|column| (&*column.source, &*column.target, column.at)).collect();
    assert_eq!(columns, [("`id`", "`id`", 0), ("`name`", "`name`", 1), ("`age`", "`years`", 2)]);
    assert_eq!(plan.kinds[3], ColumnKind::Skipped);
    assert_eq!(plan.fillers, [("`note`".to_owned(), "''")]);
    assert_eq!(plan.key.source_index, "`PRIMARY`");
    assert_eq!(plan.key.columns, [0]);
    assert!(plan.key.sorts_alike);
    assert_eq!(
        text(&plan.insert_head()),
        "INSERT INTO `zz_bulkhead`.`new_7` (`id`,`name`,`years`,`note`) VALUES "
    );
    assert!(plan.columns[2].nullable && !plan.columns[0].nullable);
}

#[test]
fn names_that_change_hands_carry_no_values() {
    let plan = plan(
        USERS,
        "ALTER TABLE t DROP COLUMN age, DROP COLUMN twice, CHANGE name age VARCHAR(20) COLLATE utf8mb4_bin",
        USERS_TYPES,
    )
    .unwrap();
    let columns: Vec<_> = plan.columns.iter().map(|column| (&*column.source, &*column.target)).collect();
    assert_eq!(columns, [("`id`", "`id`"), ("`name`", "`age`")]);
}

#[test]
fn another_unique_key_is_used_when_the_primary_changes() {
    let changed =
        plan(USERS, "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (name, id)", USERS_TYPES).unwrap();
    assert_eq!(changed.key.source_index, "`n`");
    assert_eq!(changed.key.exact, [Some("CAST(`name` AS BINARY)".to_owned())]);
    let refused =
        plan(USERS, "ALTER TABLE t DROP PRIMARY KEY, DROP KEY n, ADD KEY (id)", USERS_TYPES).unwrap_err();
    assert!(refused.why.contains("no unique key over the columns of key n"), "{refused}");
}

#[test]
fn keys_that_do_not_tell_rows_apart_are_refused() {
    for (create, types) in [
        ("CREATE TABLE `t` (`f` float NOT NULL, PRIMARY KEY (`f`))", ("float", None)),
        ("CREATE TABLE `t` (`f` int DEFAULT NULL, UNIQUE KEY `f` (`f`))", ("int", None)),
        (
            "CREATE TABLE `t` (`f` varchar(99) NOT NULL, UNIQUE KEY `f` (`f`(10)))",
            ("varchar(99)", Some("utf8mb4")),
        ),
        ("CREATE TABLE `t` (`f` enum('a','b') NOT NULL, PRIMARY KEY (`f`))", ("enum('a','b')", None)),
        ("CREATE TABLE `t` (`f` int NOT NULL, KEY `f` (`f`))", ("int", None)),
        ("CREATE TABLE `t` (`f` int NOT NULL, UNIQUE KEY `f` ((`f` + 1)))", ("int", None)),
    ] {
        let refused = plan(create, "ALTER TABLE t ADD COLUMN x INT", &[types]).unwrap_err();
        assert!(refused.why.starts_with("no key by which a row can be found"), "{create}: {refused}");
    }
}

#[test]
fn key_types_keep_what_is_equal() {
    for (old, new, is_kept) in [
        ("int", "bigint", true),
        ("char(5)", "varchar(9)", true),
        ("varchar(5)", "char(9)", false),
        ("binary(4)", "varbinary(4)", true),
        ("varbinary(4)", "binary(4)", false),
        ("datetime", "datetime(6)", true),
        ("datetime(6)", "datetime", false),
        ("int", "varchar(20)", false),
        ("decimal(5,2)", "decimal(9,3)", true),
        ("decimal(5,2)", "decimal(9,1)", false),
    ] {
        let create =
            format!("CREATE TABLE `t` (`k` {old} NOT NULL, PRIMARY KEY (`k`)) DEFAULT CHARSET=latin1");
        let alter = format!("ALTER TABLE t MODIFY k {new} NOT NULL");
        let charset = old.contains("char").then_some("latin1");
        let result = plan(&create, &alter, &[(old, charset)]);
        assert_eq!(result.is_ok(), is_kept, "{old} to {new}: {result:?}");
    }
}

#[test]
fn tables_that_cannot_be_put_aside_are_refused() {
    let alter = "ALTER TABLE t ADD COLUMN x INT";
    let create = "CREATE TABLE `t` (`k` int NOT NULL, PRIMARY KEY (`k`)";
    let types: &[(&str, Option<&str>)] = &[("int", None)];
    let facts = [
        Facts { triggers: vec!["tr".into()], ..table_facts() },
        Facts { referenced_by: vec!["ws_1/child".into()], ..table_facts() },
        Facts { table_type: "VIEW".into(), ..Facts::default() },
    ];
    for facts in &facts {
        let refused = plan_with(&format!("{create})"), alter, types, (facts, MYSQL)).unwrap_err();
        assert!(!refused.remedy.is_empty(), "{refused}");
    }
    for (rest, alter) in [
        (", CONSTRAINT `f` FOREIGN KEY (`k`) REFERENCES `o` (`id`))", alter),
        (") ENGINE=MyISAM", alter),
        (") WITH SYSTEM VERSIONING", alter),
        (")", "ALTER TABLE t ADD FOREIGN KEY (k) REFERENCES o (id)"),
        (")", "ALTER TABLE t ADD COLUMN x INT, RENAME TO u"),
        (")", "ALTER TABLE t DROP PARTITION p"),
        (")", "ALTER TABLE t ENGINE=MyISAM"),
        (")", "OPTIMIZE TABLE t, u"),
        (")", "DROP TABLE t"),
        (")", "ALTER TABLE t ADD COLUMN n BIGINT NOT NULL AUTO_INCREMENT UNIQUE"),
        (")", "ALTER TABLE t ADD COLUMN d DATE NOT NULL"),
    ] {
        let server = if rest.contains("VERSIONING") { MARIADB } else { MYSQL };
        let result = plan_with(&format!("{create}{rest}"), alter, types, (&table_facts(), server));
        assert!(result.is_err(), "{rest} {alter}");
    }
}

#[test]
fn conversions_without_a_fair_comparison_are_refused() {
    for (old, new) in [
        ("timestamp", "datetime"),
        ("datetime", "timestamp"),
        ("enum('1','2')", "int"),
        ("bit(8)", "varchar(9)"),
        ("point", "blob"),
        ("int", "binary(4)"),
    ] {
        let create = format!("CREATE TABLE `t` (`k` int NOT NULL, `c` {old} NULL, PRIMARY KEY (`k`))");
        let alter = format!("ALTER TABLE t MODIFY c {new} NULL");
        let result = plan(&create, &alter, &[("int", None), (old, None)]);
        let is_known = (old, new) == ("int", "binary(4)");
        assert_eq!(result.is_err(), !is_known, "{old} to {new}: {result:?}");
    }
    let create = "CREATE TABLE `t` (`k` int NOT NULL, `g` int AS (`k` + 1) STORED, PRIMARY KEY (`k`))";
    let types: &[(&str, Option<&str>)] = &[("int", None), ("int", None)];
    assert!(plan(create, "ALTER TABLE t MODIFY g INT", types).is_err());
}

#[test]
fn comparisons_bring_both_sides_to_one_form() {
    let compared = |old: &str, new: &str, charset: Option<&str>| {
        let create = format!(
            "CREATE TABLE `t` (`k` int NOT NULL, `c` {old} NULL, PRIMARY KEY (`k`)) DEFAULT CHARSET=latin1 \
             COLLATE=latin1_swedish_ci"
        );
        let alter = format!("ALTER TABLE t MODIFY c {new} NULL");
        let plan = plan(&create, &alter, &[("int", None), (old, charset)]).unwrap();
        let comparison = plan.columns[1].comparison.clone();
        (comparison.source, comparison.target)
    };
    let pair = |source: &str, target: &str| (source.to_owned(), target.to_owned());
    assert_eq!(compared("int", "bigint", None), pair("`c`", "`c`"));
    assert_eq!(compared("int(4) zerofill", "int", None), pair("`c` + 0", "`c` + 0"));
    assert_eq!(compared("year", "year", None), pair("`c` + 0", "`c` + 0"));
    assert_eq!(compared("float", "double", None), pair("`c` * 1e0", "`c` * 1e0"));
    assert_eq!(
        compared("int", "decimal(12,2)", None),
        pair("CAST(`c` AS DECIMAL(65,30))", "CAST(`c` AS DECIMAL(65,30))")
    );
    assert_eq!(
        compared("varchar(5)", "varchar(5) CHARACTER SET utf8mb4", Some("latin1")),
        pair("CONVERT(`c` USING utf8mb4)", "`c`")
    );
    assert_eq!(compared("varchar(5)", "text", Some("latin1")), pair("CRC32(`c`)", "CRC32(`c`)"));
    // A set is shown in the order of its members: which it holds is what counts.
    let held =
        |member: &str| format!("FIND_IN_SET(x'{member}', CAST(CONVERT(`c` USING utf8mb4) AS BINARY)) > 0");
    let held = format!("CONCAT({}, {}, {})", held("61"), held("62"), held("63"));
    assert_eq!(compared("set('a','b')", "set('c','b','a')", Some("latin1")), pair(&held, &held));
    let shown = "CONVERT(`c` USING utf8mb4)";
    assert_eq!(compared("set('a','b')", "set('a','b','c')", Some("latin1")), pair(shown, shown));
    assert_eq!(
        compared("json", "json", None),
        pair(
            "CRC32(CAST(CAST(CAST(`c` AS CHAR CHARACTER SET utf8mb4) AS JSON) AS CHAR CHARACTER SET \
                utf8mb4))",
            "CRC32(CAST(`c` AS CHAR CHARACTER SET utf8mb4))"
        )
    );
    assert_eq!(
        compared("datetime", "datetime(6)", None),
        pair("CAST(`c` AS DATETIME(6))", "CAST(`c` AS DATETIME(6))")
    );
}

fn key(literals: &[&str]) -> Key {
    let mut bytes = Vec::new();
    for literal in literals {
        push_literal(&mut bytes, |out| out.extend_from_slice(literal.as_bytes()));
    }
    Key::from_bytes(&bytes)
}

#[test]
fn ranges_are_conditions_that_use_the_index() {
    let condition = |range: KeyRange, columns: &[&str]| {
        let mut out = Vec::new();
        range.condition(columns, &mut out);
        text(&out)
    };
    assert_eq!(condition(KeyRange::default(), &["a"]), "TRUE");
    let range = KeyRange { after: Some(key(&["1"])), through: Some(key(&["5"])) };
    assert_eq!(condition(range, &["a"]), "a > 1 AND a <= 5");
    let range = KeyRange { after: Some(key(&["1", "'x'"])), through: None };
    assert_eq!(condition(range, &["a", "b"]), "(a >= 1 AND ((a > 1) OR (a = 1 AND b > 'x')))");
    let range = KeyRange { after: None, through: Some(key(&["1", "2", "3"])) };
    assert_eq!(
        condition(range, &["a", "b", "c"]),
        "(a <= 1 AND ((a < 1) OR (a = 1 AND b < 2) OR (a = 1 AND b = 2 AND c <= 3)))"
    );
}

#[test]
fn keys_are_read_back() {
    let one = key(&["1", "_latin1'x'"]);
    assert_eq!(Key::parse(one.as_bytes(), 2), Some(one.clone()));
    assert_eq!(Key::parse(one.as_bytes(), 1), None);
    assert_eq!(Key::parse(&one.as_bytes()[..7], 2), None);
    assert_eq!(Key::parse(b"", 1), None);
}

#[test]
fn keys_are_deleted_by_their_bytes() {
    let one = plan(USERS, "ALTER TABLE t ADD COLUMN x INT", USERS_TYPES).unwrap();
    let (first, second) = (key(&["1"]), key(&["2"]));
    let keys = || [first.as_bytes(), second.as_bytes()].into_iter();
    assert_eq!(text(&one.delete_keys(keys())), "DELETE FROM `zz_bulkhead`.`new_7` WHERE `id` IN (1,2)");
    let create = "CREATE TABLE `t` (`a` int NOT NULL, `b` varchar(9) NOT NULL, PRIMARY KEY (`a`,`b`)) \
        DEFAULT \
        CHARSET=latin1";
    let types: &[(&str, Option<&str>)] = &[("int", None), ("varchar(9)", Some("latin1"))];
    let two = plan(create, "ALTER TABLE t ADD COLUMN x INT", types).unwrap();
    let key = key(&["1", "_latin1'x'"]);
    assert_eq!(
        text(&two.delete_keys([key.as_bytes()].into_iter())),
        "DELETE FROM `zz_bulkhead`.`new_7` WHERE ((`a` = 1 AND `b` = _latin1'x' AND CAST(`b` AS BINARY) = \
         CAST(_latin1'x' AS BINARY)))"
    );
}

#[test]
fn the_server_copies_a_range_but_for_what_is_there() {
    let plan = plan(USERS, "ALTER TABLE t MODIFY age BIGINT", USERS_TYPES).unwrap();
    let range = KeyRange { after: Some(key(&["10"])), through: Some(key(&["20"])) };
    let whole = "INSERT INTO `zz_bulkhead`.`new_7` (`id`,`name`,`age`) SELECT `id`,`name`,`age` FROM \
                 `ws_1`.`t` FORCE INDEX (`PRIMARY`) WHERE `id` > 10 AND `id` <= 20";
    assert_eq!(text(&plan.insert_select_range(&range, &[])), format!("{whole} ORDER BY `id`"));
    assert_eq!(
        text(&plan.insert_select_range(&range, &[key(&["12"]), key(&["13"])])),
        format!("{whole} AND NOT (`id` IN (12,13)) ORDER BY `id`")
    );
}

fn statements(create: &str, alter: &str, server: ServerVersion) -> (String, Option<String>) {
    let mode = SqlMode { server, ..SqlMode::default() };
    let definition = read_definition(create.as_bytes(), server).unwrap();
    let change = read_change(alter.as_bytes(), mode).unwrap();
    let made =
        shadow_statements(&names(), (create.as_bytes(), &definition), (alter.as_bytes(), &change), mode)
            .unwrap();
    (text(&made.create), made.change.as_deref().map(text))
}

#[test]
fn assertions_are_taken_out_of_the_clients_text() {
    let create = "CREATE TABLE `t` (`k` int NOT NULL, PRIMARY KEY (`k`))";
    for (alter, changed) in [
        ("ALTER TABLE t ADD x INT", Some("ALTER TABLE `zz_bulkhead`.`new_7` ADD x INT")),
        (
            "ALTER TABLE ws.t ADD x INT, ALGORITHM=INPLACE, LOCK=NONE",
            Some("ALTER TABLE `zz_bulkhead`.`new_7` ADD x INT"),
        ),
        (
            "ALTER TABLE `t` ALGORITHM=COPY , LOCK = SHARED,ADD (x INT, y INT)",
            Some("ALTER TABLE `zz_bulkhead`.`new_7`    ADD (x INT, y INT)"),
        ),
        (
            "ALTER TABLE t ADD (x INT, y INT), ALGORITHM=COPY, DROP KEY i",
            Some("ALTER TABLE `zz_bulkhead`.`new_7` ADD (x INT, y INT), DROP KEY i"),
        ),
        (
            "/* c */ CREATE INDEX i ON t (k) LOCK=NONE",
            Some("/* c */ CREATE INDEX i ON `zz_bulkhead`.`new_7` (k)"),
        ),
        ("DROP INDEX i ON t ALGORITHM=INPLACE", Some("DROP INDEX i ON `zz_bulkhead`.`new_7`")),
        ("ALTER TABLE t FORCE", Some("ALTER TABLE `zz_bulkhead`.`new_7` FORCE")),
        ("ALTER TABLE t ALGORITHM=COPY", None),
        ("OPTIMIZE TABLE t", None),
    ] {
        let squeezed =
            |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ").replace(" ,", ",");
        let found = statements(create, alter, MYSQL).1.map(squeezed);
        assert_eq!(found, changed.map(|text| squeezed(text.to_owned())), "{alter}");
    }
}

#[test]
fn checks_that_mysql_named_itself_are_named_anew() {
    let create = "CREATE TABLE `t` (\n  `k` int NOT NULL,\n  PRIMARY KEY (`k`),\n  CONSTRAINT `t_chk_1` \
        CHECK ((`k` > \
        0)),\n  CONSTRAINT `mine` CHECK ((`k` < 9)),\n  CONSTRAINT `t_chk_x` CHECK ((`k` < 8))\n)";
    let (made, _) = statements(create, "ALTER TABLE t ADD x INT", MYSQL);
    assert!(made.starts_with("CREATE TABLE `zz_bulkhead`.`new_7` (\n"), "{made}");
    assert!(made.contains("\n   CHECK ((`k` > 0)),\n  CONSTRAINT `mine` CHECK"), "{made}");
    assert!(made.contains("CONSTRAINT `t_chk_x`"), "{made}");
    let (made, _) = statements(create, "ALTER TABLE t ADD x INT", MARIADB);
    assert!(made.contains("CONSTRAINT `t_chk_1`"), "{made}");
}

#[test]
fn plain_indexes_are_left_out_and_built_in_their_own_words() {
    let create = "CREATE TABLE `new_7` (\n  `id` int NOT NULL,\n  `n` int NOT NULL AUTO_INCREMENT,\n  `v` \
        varchar(9) DEFAULT NULL,\n  PRIMARY KEY (`id`),\n  UNIQUE KEY `u` (`v`),\n  KEY `n` (`n`),\n  KEY \
        `v` \
        (`v`(3)) /*!80000 INVISIBLE */,\n  FULLTEXT KEY `f` (`v`),\n  KEY `e` ((`id` + 1)),\n  KEY `last` \
        (`id`,`v` \
        DESC) COMMENT 'a, b'\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4";
    let shadow = read_definition(create.as_bytes(), MYSQL).unwrap();
    let key = RowKeyPlan {
        columns: vec![0],
        source_index: "`PRIMARY`".into(),
        target_index: "`PRIMARY`".into(),
        back: vec!["`id`".into()],
        exact: vec![None],
        sorts_alike: true,
    };
    let late = LateIndexes::of("x", create.as_bytes(), &shadow, &key).unwrap();
    assert_eq!(late.drop, "ALTER TABLE x DROP INDEX `u`, DROP INDEX `v`, DROP INDEX `last`");
    let build = LateBuild::read(late.recorded().as_bytes()).unwrap();
    let all = "ALTER TABLE x ADD UNIQUE KEY `u` (`v`), ADD KEY `v` (`v`(3)) /*!80000 INVISIBLE */, ADD KEY \
               `last` (`id`,`v` DESC) COMMENT 'a, b', ALGORITHM=INPLACE, LOCK=NONE";
    assert_eq!((build.all(), build.len()), (all.to_owned(), 3));
    let one = "ALTER TABLE x ADD UNIQUE KEY `u` (`v`), ALGORITHM=INPLACE, LOCK=NONE";
    assert_eq!((build.one(0).as_deref(), build.one(3)), (Some(one), None));
    // What an earlier release recorded is the whole statement.
    let whole = LateBuild::read(all.as_bytes()).unwrap();
    assert!(whole.is_empty() && whole.all() == all && whole.one(0).is_none());
    let unique = RowKeyPlan { target_index: "`u`".into(), ..key };
    let late = LateIndexes::of("x", create.as_bytes(), &shadow, &unique).unwrap();
    assert!(!late.drop.contains("`u`"));
}
