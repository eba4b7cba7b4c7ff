//! The engine of online schema changes on real servers: rows of every type, live writers, conflicts, resumes,
//! comparison and repair.

mod common;
#[path = "copy/moving.rs"]
mod moving;
#[allow(dead_code, reason = "cuts around the RENAME are for whole migrations")]
#[path = "migrations_run/relay.rs"]
mod relay;
#[path = "copy/traffic.rs"]
mod traffic;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead::migrations::engine::{EngineError, fill_single_chunk};
use common::servers::{Cluster, Flavour};
use moving::{Free, GUARD, Held, Job, Mover};
use relay::{Cut, Relay};
use traffic::{COLUMNS, TABLE, Traffic};

const BOTH: [Flavour; 2] = [Flavour::MySql, Flavour::MariaDb];
/// Ends a wait for what never comes.
const WITHIN: Duration = Duration::from_secs(60);

/// A database of its own, with these statements run in it.
fn database(cluster: &Cluster, name: &str, statements: &[&str]) {
    cluster.sql(&format!("CREATE DATABASE {name}"));
    for statement in statements {
        cluster.sql(&format!("USE {name}; SET time_zone = '+00:00'; {statement}"));
    }
}

/// Rows for [`TABLE`], with gaps among the keys.
fn rows(cluster: &Cluster, database: &str, doublings: u32) {
    cluster.sql(&format!("INSERT INTO {database}.t (u, name, note) VALUES (1, 'first', 'x')"));
    for _ in 0..doublings {
        cluster.sql(&format!(
            "INSERT INTO {database}.t (u, name, note, amount) SELECT u + (SELECT MAX(u) FROM {database}.t), \
             CONCAT('r', u + (SELECT MAX(u) FROM {database}.t)), note, u FROM {database}.t"
        ));
    }
}

/// Columns of every type and the values at their edges.
fn every_type(flavour: Flavour) -> (Vec<(&'static str, &'static str)>, Vec<Vec<&'static str>>) {
    let mut columns = vec![
        ("tiny", "TINYINT"),
        ("tiny_u", "TINYINT UNSIGNED"),
        ("small", "SMALLINT"),
        ("medium", "MEDIUMINT"),
        ("medium_u", "MEDIUMINT UNSIGNED"),
        ("plain", "INT"),
        ("filled", "INT(8) ZEROFILL"),
        ("big", "BIGINT"),
        ("big_u", "BIGINT UNSIGNED"),
        ("exact", "DECIMAL(30,10)"),
        ("single_f", "FLOAT"),
        ("double_f", "DOUBLE"),
        ("bits", "BIT(20)"),
        ("day", "DATE"),
        ("clock", "TIME(3)"),
        ("moment", "DATETIME(6)"),
        ("stamp", "TIMESTAMP(2) NULL"),
        ("annum", "YEAR"),
        ("fixed", "CHAR(10) CHARACTER SET latin1"),
        ("text_l", "VARCHAR(40) CHARACTER SET latin1"),
        ("text_u", "VARCHAR(40) CHARACTER SET utf8mb4"),
        ("text_g", "VARCHAR(40) CHARACTER SET gbk"),
        ("text_w", "VARCHAR(40) CHARACTER SET utf16"),
        ("long_t", "MEDIUMTEXT CHARACTER SET utf8mb4"),
        ("bin", "BINARY(6)"),
        ("varbin", "VARBINARY(40)"),
        ("long_b", "BLOB"),
        ("choice", "ENUM('a','B c','it''s','ä') CHARACTER SET latin1"),
        ("several", "SET('x','y','z')"),
        ("doc", "JSON"),
        ("place", "POINT"),
    ];
    let mut rows = vec![
        vec![
            "-128",
            "255",
            "-32768",
            "-8388608",
            "16777215",
            "-2147483648",
            "42",
            "-9223372036854775808",
            "18446744073709551615",
            "-12345678901234567890.0123456789",
            "0.1",
            "1.7976931348623157e308",
            "b'10101'",
            "'2024-02-29'",
            "'-838:59:59.000'",
            "'9999-12-31 23:59:59.999999'",
            "'2038-01-19 03:14:07.99'",
            "2155",
            "'é  '",
            "'ünï\\\\\\''",
            "'😀 x''y'",
            "_gbk x'd6d0'",
            "'wide ☃'",
            "REPEAT('ä', 5000)",
            "x'616200'",
            "x'0027005c'",
            "x'00ff5c27'",
            "'it''s'",
            "'x,z'",
            "'{\"a\": [1, 2.5, null, \"é\\\\\\\\\"], \"b\": 1.0}'",
            "ST_GeomFromText('POINT(1.5 -2)')",
        ],
        vec![
            "127",
            "0",
            "32767",
            "8388607",
            "0",
            "2147483647",
            "0",
            "9223372036854775807",
            "0",
            "0.0000000001",
            "-3.4028235e38",
            "-2.2250738585072014e-308",
            "b'0'",
            "'1000-01-01'",
            "'-00:00:00.500'",
            "'1000-01-01 00:00:00'",
            "'1970-01-01 00:00:01'",
            "0000",
            "''",
            "''",
            "''",
            "''",
            "''",
            "''",
            "x''",
            "x''",
            "x''",
            "'a'",
            "''",
            "'[]'",
            "ST_GeomFromText('POINT(0 0)')",
        ],
        vec![
            "-1",
            "1",
            "-1",
            "-1",
            "1",
            "-1",
            "99999999",
            "-1",
            "9223372036854775808",
            "-0.5",
            "1e-40",
            "0.1",
            "b'11111111111111111111'",
            "'0000-00-00'",
            "'00:00:00.001'",
            "'0000-00-00 00:00:00'",
            "NULL",
            "1901",
            "'x'",
            "' lead'",
            "'a\\nb\\tc\\0d'",
            "'abc'",
            "'a'",
            "NULL",
            "x'000000000000'",
            "x'00'",
            "NULL",
            "'ä'",
            "'x,y,z'",
            "'\"text\"'",
            "NULL",
        ],
    ];
    if flavour == Flavour::MySql {
        columns.push(("vec", "VECTOR(3)"));
        for (row, value) in rows.iter_mut().zip(["STRING_TO_VECTOR('[1,2.5,-3]')", "NULL", "NULL"]) {
            row.push(value);
        }
    }
    rows.push(vec!["NULL"; columns.len()]);
    (columns, rows)
}

/// A table of every type with some rows, as statements.
fn table_of_every_type(flavour: Flavour) -> (String, Vec<String>, Vec<&'static str>) {
    let (columns, rows) = every_type(flavour);
    let list: Vec<String> =
        columns.iter().map(|(name, column_type)| format!("{name} {column_type}")).collect();
    let create =
        format!("CREATE TABLE t (id INT NOT NULL PRIMARY KEY, {}, KEY plain (plain))", list.join(", "));
    let names: Vec<&'static str> = columns.iter().map(|(name, _)| *name).collect();
    let values = rows.iter().enumerate().map(|(at, row)| {
        format!(
            "SET NAMES utf8mb4; SET sql_mode = 'ALLOW_INVALID_DATES'; INSERT INTO t (id, {}) VALUES ({}, {})",
            names.join(", "),
            at + 1,
            row.join(", ")
        )
    });
    (create, values.collect(), names)
}

/// Columns as they are dumped: what has no exact text of its own in another form.
fn dumped(names: &[&'static str]) -> Vec<String> {
    let form = |name: &&'static str| match *name {
        "single_f" => "single_f * 1e0".to_owned(),
        "bits" => "bits + 0".to_owned(),
        "place" => "HEX(place)".to_owned(),
        "vec" => "HEX(vec)".to_owned(),
        other => other.to_owned(),
    };
    std::iter::once("id".to_owned()).chain(names.iter().map(form)).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn values_of_every_type_arrive_by_reading_and_by_the_feed() {
    for flavour in BOTH {
        let cluster = Cluster::shared(flavour);
        let (create, inserts, names) = table_of_every_type(flavour);
        database(cluster, "types", &[&create]);
        for insert in &inserts {
            cluster.sql(&format!("USE types; SET time_zone = '+00:00'; {insert}"));
        }
        let mover = Mover::new(cluster);
        let job = mover.job("types", "t", "ALTER TABLE t ADD COLUMN extra INT NOT NULL DEFAULT 5", 1);
        let mut engine = job.start().await.unwrap();
        engine.copy(Free::new(2)).await.unwrap();
        // The same rows by the feed: as inserts, and as updates.
        let columns = names.join(", ");
        let lenient = "SET sql_mode = 'ALLOW_INVALID_DATES'";
        cluster.sql(&format!(
            "{lenient}; INSERT INTO types.t (id, {columns}) SELECT id + 100, {columns} FROM types.t; UPDATE \
                types.t SET \
             id = id + 1000 WHERE id < 3; UPDATE types.t SET plain = id"
        ));
        engine.finish_indexes(Free::new(2)).await.unwrap();
        engine.catch_up(Duration::from_secs(20)).await.unwrap();
        let dumped = dumped(&names);
        job.assert_equal(&dumped.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let verified = engine.verify(Free::new(2), GUARD).await.unwrap();
        assert_eq!((verified.rows, verified.passes), (8, 1), "{flavour:?}");
        engine.stop(true).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn one_changed_byte_of_any_type_is_found_and_repaired() {
    for flavour in BOTH {
        let cluster = Cluster::shared(flavour);
        let (create, inserts, names) = table_of_every_type(flavour);
        database(cluster, "corrupt", &[&create]);
        for insert in &inserts {
            cluster.sql(&format!("USE corrupt; SET time_zone = '+00:00'; {insert}"));
        }
        let mover = Mover::new(cluster);
        let job = mover.job("corrupt", "t", "ALTER TABLE t ADD COLUMN extra INT", 2);
        let mut engine = job.move_rows().await.unwrap();
        for name in &names {
            // Row 2 differs from row 1 in every column; row 4 is all NULL.
            for (at, from) in [(1, 2), (4, 1), (1, 4)] {
                let value =
                    format!("(SELECT v FROM (SELECT {name} AS v FROM {{target}} WHERE id = {from}) AS d)");
                job.sql(&format!("UPDATE {{target}} SET {name} = {value} WHERE id = {at}")).await;
                let verified = engine.verify(Free::new(1), GUARD).await.unwrap();
                assert_eq!((verified.passes, verified.repaired), (2, 1), "{flavour:?} {name} {at} {from}");
            }
        }
        for (sql, what) in [
            ("UPDATE {target} SET varbin = x'0027005d' WHERE id = 1", "a bit"),
            ("UPDATE {target} SET bin = x'616200000001' WHERE id = 1", "padding"),
            ("UPDATE {target} SET text_u = '' WHERE id = 4", "NULL and empty"),
            ("UPDATE {target} SET long_b = x'00' WHERE id = 2", "empty and one NUL"),
            ("UPDATE {target} SET single_f = 0.10000001 WHERE id = 1", "the last digit of a FLOAT"),
            ("DELETE FROM {target} WHERE id = 2", "a row that is missing"),
            ("INSERT INTO {target} (id) VALUES (77)", "a row too many"),
            ("UPDATE {target} SET id = 78 WHERE id = 3", "another key"),
            (
                "UPDATE {target} AS a JOIN {target} AS b ON a.id + b.id = 3 SET a.small = b.small WHERE \
                    a.id < 3",
                "a value of another row",
            ),
        ] {
            job.sql(sql).await;
            let verified = engine.verify(Free::new(1), GUARD).await.unwrap();
            assert_eq!((verified.passes, verified.repaired), (2, 1), "{flavour:?} {what}");
        }
        let dumped = dumped(&names);
        job.assert_equal(&dumped.iter().map(String::as_str).collect::<Vec<_>>()).await;
        engine.stop(true).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn values_swapped_between_rows_are_found() {
    for flavour in BOTH {
        let cluster = Cluster::shared(flavour);
        database(cluster, "swapped", &["CREATE TABLE t (id INT PRIMARY KEY, v INT, w CHAR(3) NOT NULL)"]);
        cluster.sql("INSERT INTO swapped.t VALUES (10, 100, 'abc'), (20, 200, 'def'), (30, 300, 'ghi')");
        let mover = Mover::new(cluster);
        let job = mover.job("swapped", "t", "ALTER TABLE t MODIFY v BIGINT", 3);
        let mut engine = job.move_rows().await.unwrap();
        for (one, two, column) in [(10, 20, "v"), (20, 30, "v"), (10, 30, "w")] {
            job.sql(&format!(
                "UPDATE {{target}} AS a JOIN {{source}} AS b ON a.id + b.id = {one} + {two} AND a.id <> \
                    b.id SET \
                 a.{column} = b.{column} WHERE a.id IN ({one}, {two}) AND b.id IN ({one}, {two})"
            ))
            .await;
            let verified = engine.verify(Free::new(1), GUARD).await.unwrap();
            assert_eq!((verified.passes, verified.repaired), (2, 1), "{flavour:?} {one} {two} {column}");
        }
        job.assert_equal(&["id", "v", "w"]).await;
        engine.stop(true).await.unwrap();
    }
}

/// Copies under writers, lets them go on, stops them, and compares.
async fn under_writers(cluster: &Cluster, job: &Job<'_>, pace: &Arc<Free>, columns: &[&str]) {
    let traffic = Traffic::start(cluster, &job.names.database, 4, 9_000);
    let began = Instant::now();
    let mut engine = job.move_rows_by(pace).await.expect("it goes well");
    while began.elapsed() < Duration::from_secs(4) || traffic.writes() < 600 {
        assert!(began.elapsed() < WITHIN, "{} statements", traffic.writes());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let writes = traffic.stop().await;
    engine.catch_up(WITHIN).await.expect("it goes well");
    job.assert_equal(columns).await;
    let progress = engine.progress();
    let (settled, alone) = engine.conflicts();
    eprintln!(
        "{:?}: {writes} statements, {} rows copied, {} changes applied, {settled} settled, {alone} alone",
        cluster.flavour, progress.rows_copied, progress.changes_applied
    );
    assert!(progress.changes_applied > 100, "{} changes", progress.changes_applied);
    let verified = engine.verify(Free::new(2), GUARD).await.expect("it goes well");
    assert_eq!((verified.passes, verified.repaired), (1, 0));
    engine.stop(true).await.expect("it goes well");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn live_writers_lose_nothing_with_unique_keys_in_place() {
    for flavour in BOTH {
        let cluster = Cluster::shared(flavour);
        database(cluster, "live_unique", &[TABLE]);
        rows(cluster, "live_unique", 13);
        let mover = Mover::new(cluster);
        let mut job = mover.job(
            "live_unique",
            "t",
            "ALTER TABLE t MODIFY id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, ADD KEY both_keys (u, at)",
            4,
        );
        job.late_bytes = 0;
        under_writers(cluster, &job, &Free::new(3), &COLUMNS).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn live_writers_lose_nothing_between_short_statements() {
    for flavour in BOTH {
        let cluster = Cluster::shared(flavour);
        database(cluster, "live_slices", &[TABLE]);
        rows(cluster, "live_slices", 13);
        let mover = Mover::new(cluster);
        let mut job = mover.job(
            "live_slices",
            "t",
            "ALTER TABLE t MODIFY id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT",
            97,
        );
        job.late_bytes = 0;
        under_writers(cluster, &job, &Free::in_slices(), &COLUMNS).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn live_writers_lose_nothing_with_indexes_built_behind() {
    for flavour in BOTH {
        let cluster = Cluster::shared(flavour);
        database(cluster, "live_late", &[TABLE]);
        rows(cluster, "live_late", 13);
        let mover = Mover::new(cluster);
        let job = mover.job(
            "live_late",
            "t",
            "ALTER TABLE t MODIFY note MEDIUMTEXT, MODIFY amount DECIMAL(20,4) NOT NULL DEFAULT 0",
            5,
        );
        let columns = ["id", "u", "name", "note", "amount + 0.0000", "at"];
        under_writers(cluster, &job, &Free::new(3), &columns).await;
        let shown = cluster.sql("SHOW CREATE TABLE zz_bulkhead.new_5");
        for key in ["`u`", "`name`", "`amount`", "`at`"] {
            assert!(shown.contains(&format!("KEY {key}")), "{shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_key_of_text_and_numbers_tells_rows_apart_by_their_bytes() {
    for flavour in BOTH {
        let cluster = Cluster::shared(flavour);
        let table = "CREATE TABLE t (a VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT \
            NULL, b INT \
            NOT NULL, c VARBINARY(9) NOT NULL, v INT, PRIMARY KEY (a, b, c))";
        database(cluster, "text_key", &[table]);
        for at in 0..12 {
            cluster.sql(&format!(
                "SET NAMES utf8mb4; INSERT INTO text_key.t VALUES ('k{at}', {at}, x'00{at:02x}5c27', 1), \
                    ('É''\\\\{at}', \
                 -{at}, '0xab', 2), ('', {at}, '', 3)"
            ));
        }
        let mover = Mover::new(cluster);
        let job = mover.job("text_key", "t", "ALTER TABLE t MODIFY v BIGINT", 6);
        let mut engine = job.start().await.unwrap();
        engine.copy(Free::in_slices()).await.unwrap();
        // Equal for the collation, not the same: the key changes, and back, and is made again.
        cluster.sql("UPDATE text_key.t SET a = UPPER(a), v = v + 10");
        cluster.sql("UPDATE text_key.t SET a = LOWER(a), v = v + 10 WHERE b > 3");
        cluster.sql(
            "START TRANSACTION; DELETE FROM text_key.t WHERE a = 'K5'; INSERT INTO text_key.t VALUES ('K5 \
                x', 5, '', 7), \
             ('k5', 5, '', 8); COMMIT",
        );
        engine.catch_up(Duration::from_secs(20)).await.unwrap();
        job.assert_equal(&["a", "b", "c", "v"]).await;
        let verified = engine.verify(Free::new(1), GUARD).await.unwrap();
        assert_eq!((verified.passes, verified.repaired), (1, 0), "{flavour:?}");
        engine.stop(true).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn what_does_not_fit_ends_clearly() {
    for flavour in BOTH {
        let cluster = Cluster::shared(flavour);
        let table =
            "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(30), n INT, d DECIMAL(9,3), o INT NOT NULL)";
        database(cluster, "lossy", &[table]);
        cluster.sql(
            "INSERT INTO lossy.t VALUES (1, 'short', 5, 1.500, 1), (2, 'much too long', 300, 2.125, \
            1), (3, NULL, NULL, 0, 2)",
        );
        let mover = Mover::new(cluster);
        for (at, (text, late, errno)) in [
            ("ALTER TABLE t MODIFY v VARCHAR(6)", 0, Some(1406)),
            ("ALTER TABLE t MODIFY n TINYINT", 0, Some(1264)),
            ("ALTER TABLE t MODIFY v VARCHAR(30) NOT NULL", 0, Some(1048)),
            ("ALTER TABLE t ADD UNIQUE KEY o (o)", 0, Some(1062)),
            ("ALTER TABLE t ADD UNIQUE KEY o (o)", u64::MAX, Some(1062)),
            // Rounded without a word by the server; found by comparing.
            ("ALTER TABLE t MODIFY d DECIMAL(9,1)", 0, None),
        ]
        .into_iter()
        .enumerate()
        {
            let mut job = mover.job("lossy", "t", text, 10 + at as u32);
            job.late_bytes = late;
            let mut engine = job.start().await.unwrap();
            let ended = async {
                engine.copy(Free::new(1)).await?;
                engine.finish_indexes(Free::new(2)).await?;
                engine.verify(Free::new(1), GUARD).await
            }
            .await;
            let error = ended.expect_err(text);
            match errno {
                Some(errno) => {
                    assert_eq!(error.server().map(|known| known.0), Some(errno), "{text}: {error}")
                }
                None => assert!(matches!(error, EngineError::Differs { passes: 3, .. }), "{text}: {error}"),
            }
            engine.stop(true).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_duplicate_that_comes_meanwhile_ends_it() {
    for flavour in BOTH {
        let cluster = Cluster::shared(flavour);
        database(cluster, "late_duplicate", &["CREATE TABLE t (id INT PRIMARY KEY, o INT NOT NULL)"]);
        cluster.sql("INSERT INTO late_duplicate.t VALUES (1, 1), (2, 2)");
        let mover = Mover::new(cluster);
        let mut job = mover.job("late_duplicate", "t", "ALTER TABLE t ADD UNIQUE KEY o (o)", 20);
        job.late_bytes = 0;
        let mut engine = job.move_rows().await.unwrap();
        // Gone again in the same transaction: no duplicate.
        cluster.sql(
            "START TRANSACTION; UPDATE late_duplicate.t SET o = 9; UPDATE late_duplicate.t SET o = id; \
                COMMIT",
        );
        engine.catch_up(WITHIN).await.unwrap();
        cluster.sql("INSERT INTO late_duplicate.t VALUES (3, 2)");
        let error = engine.catch_up(WITHIN).await.unwrap_err();
        assert!(matches!(error, EngineError::Duplicate { .. }), "{flavour:?}: {error}");
        engine.stop(true).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn refusals_leave_nothing() {
    for flavour in BOTH {
        let cluster = Cluster::shared(flavour);
        database(
            cluster,
            "refused",
            &[
                "CREATE TABLE plain (id INT, v INT)",
                "CREATE TABLE parent (id INT PRIMARY KEY)",
                "CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id))",
                "CREATE TABLE watched (id INT PRIMARY KEY, v INT)",
                "CREATE TRIGGER w BEFORE INSERT ON watched FOR EACH ROW SET NEW.v = 1",
                "CREATE TABLE other (id INT PRIMARY KEY, v INT)",
            ],
        );
        let mover = Mover::new(cluster);
        for (at, (table, clause)) in [
            ("plain", "ADD x INT"),
            ("parent", "ADD x INT"),
            ("child", "ADD x INT"),
            ("watched", "ADD x INT"),
            ("other", "DROP PRIMARY KEY"),
            ("other", "ADD n INT NOT NULL AUTO_INCREMENT UNIQUE"),
        ]
        .into_iter()
        .enumerate()
        {
            let job = mover.job("refused", table, &format!("ALTER TABLE {table} {clause}"), 30 + at as u32);
            let error = job.make().await.expect_err(table);
            assert!(matches!(error, EngineError::Refused(_)), "{flavour:?} {table}: {error}");
        }
        let job = mover.job("refused", "other", "ALTER TABLE other ADD id INT", 40);
        let error = job.make().await.unwrap_err();
        assert!(matches!(error, EngineError::Rejected { errno: 1060, .. }), "{flavour:?}: {error}");
        let left = cluster.sql(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'zz_bulkhead' AND \
                table_name \
             RLIKE '^new_(3[0-9]|40)$'",
        );
        assert_eq!(left.trim(), "", "{flavour:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_copy_goes_on_where_it_was_left() {
    for flavour in BOTH {
        let cluster = Cluster::shared(flavour);
        database(cluster, "resumed", &[TABLE]);
        rows(cluster, "resumed", 13);
        let mover = Mover::new(cluster);
        let mut job =
            mover.job("resumed", "t", "ALTER TABLE t MODIFY id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT", 50);
        job.late_bytes = 0;
        let traffic = Traffic::start(cluster, "resumed", 3, 9_000);
        let mut engine = job.start().await.unwrap();
        let stopped = engine.copy(Free::of(3, 2)).await.unwrap_err();
        assert!(matches!(stopped, EngineError::Stopped), "{stopped}");
        let copied = engine.progress().rows_copied;
        // As a crash: nothing is told to anybody.
        drop(engine);
        let before = traffic.writes();
        while traffic.writes() < before + 300 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut engine = job.resume().await.unwrap();
        engine.copy(Free::new(2)).await.unwrap();
        let verified = engine.verify(Free::new(2), GUARD).await.unwrap();
        assert_eq!((verified.passes, verified.repaired), (1, 0), "{flavour:?}");
        traffic.stop().await;
        engine.catch_up(Duration::from_secs(20)).await.unwrap();
        job.assert_equal(&COLUMNS).await;
        assert!(copied > 0 && copied < verified.rows, "{copied} of {} rows", verified.rows);
        engine.stop(true).await.unwrap();
        // Somebody else's change of the table in between.
        let mut engine = job.start().await.unwrap();
        assert!(engine.copy(Free::of(1, 1)).await.is_err());
        engine.stop(false).await.unwrap();
        cluster.sql("ALTER TABLE resumed.t ADD COLUMN foreign_change INT");
        let error = job.resume().await.expect_err("the table is another one");
        assert!(matches!(error, EngineError::TableChanged(_)), "{error}");
    }
}

/// The server commits a range and nobody hears of it. The next attempt copies in another way, by which the
/// range is cut short: what is recorded is neither copied twice nor taken for a duplicate.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_range_whose_commit_was_not_answered_is_gone_on_behind() {
    for flavour in BOTH {
        let cluster = Cluster::shared(flavour);
        // Long rows in front of many short ones: the server copies a thousand of them by itself, which are
        // more bytes than a chunk that is read may have.
        let create = "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, v INT NOT NULL, body MEDIUMTEXT NOT NULL)";
        database(cluster, "unheard", &[create, "INSERT INTO t VALUES (1, 7, REPEAT('long', 3000))"]);
        for doubling in 0..14 {
            let body = if doubling < 10 { "body" } else { "'short'" };
            cluster.sql(&format!(
                "INSERT INTO unheard.t SELECT id + (SELECT MAX(id) FROM unheard.t), v, {body} FROM unheard.t"
            ));
        }
        cluster.sql("ANALYZE TABLE unheard.t");
        let relay = Relay::default();
        let mover = Mover::at(cluster, relay.listen(cluster.primary_port).await);
        let job = mover.job("unheard", "t", "ALTER TABLE t MODIFY v BIGINT NOT NULL", 57);
        let mut engine = job.start().await.unwrap();
        relay.cut_once(Cut::AfterRange);
        engine.copy(Free::new(1)).await.unwrap_or_else(|error| panic!("{flavour:?}: {error}"));
        assert_eq!(relay.cuts(), 1, "{flavour:?}");
        assert_eq!(engine.progress().rows_copied, 1 << 14, "{flavour:?}: each row counts, and once");
        let verified = engine.verify(Free::new(1), GUARD).await.unwrap();
        assert_eq!((verified.rows, verified.passes, verified.repaired), (1 << 14, 1, 0), "{flavour:?}");
        job.assert_equal(&["id", "v", "CRC32(body)"]).await;
        engine.stop(true).await.unwrap();
    }
}

/// A comparison that waited in the middle, and does not get the lock of its next part, goes on there.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_comparison_that_does_not_get_its_lock_goes_on_where_it_was() {
    for flavour in BOTH {
        let cluster = Cluster::shared(flavour);
        database(cluster, "parts", &[TABLE]);
        rows(cluster, "parts", 13);
        let mover = Mover::new(cluster);
        let job =
            mover.job("parts", "t", "ALTER TABLE t MODIFY id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT", 58);
        let mut engine = job.start().await.unwrap();
        engine.copy(Free::new(2)).await.unwrap();
        engine.finish_indexes(Free::new(2)).await.unwrap();
        let pace = Held::behind(1);
        let mut holder = job.admin().await;
        let hold = async {
            while pace.rows() == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            holder.execute("START TRANSACTION").await.unwrap();
            holder.execute("UPDATE parts.t SET note = 'held' WHERE id = 1").await.unwrap();
            // Until its snapshots are given up.
            tokio::time::sleep(Duration::from_secs(7)).await;
            pace.chunks.add_permits(1_000);
        };
        let (held_up, ()) = tokio::join!(engine.verify(pace.clone(), Duration::from_secs(1)), hold);
        assert!(matches!(held_up, Err(EngineError::Late { .. })), "{flavour:?}: {held_up:?}");
        let compared = pace.rows();
        assert!(compared > 0 && compared < 1 << 13, "{flavour:?}: {compared}");
        holder.execute("ROLLBACK").await.unwrap();
        let verified = engine.verify(pace.clone(), GUARD).await.unwrap();
        assert_eq!((verified.rows, verified.passes), (1 << 13, 1), "{flavour:?}");
        assert_eq!(pace.rows(), 1 << 13, "{flavour:?}: none is compared twice");
        engine.stop(true).await.unwrap();
    }
}

/// Another engine has taken the migration up while the first one was stopped for a while: the first one
/// writes nothing more, neither rows nor progress, and does not clear the other's away.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn an_engine_that_was_followed_by_another_writes_nothing_more() {
    for flavour in BOTH {
        let cluster = Cluster::shared(flavour);
        database(cluster, "fenced", &[TABLE]);
        rows(cluster, "fenced", 13);
        let mover = Mover::new(cluster);
        let mut job =
            mover.job("fenced", "t", "ALTER TABLE t MODIFY id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT", 55);
        let mut first = job.start().await.unwrap();
        assert!(matches!(first.copy(Free::of(2, 1)).await, Err(EngineError::Stopped)));
        job.epoch = 2;
        let mut second = job.resume().await.unwrap();
        let count = || async { job.dump(&job.names.target(), &["id"]).await.len() };
        let copied = count().await;
        let error = first.copy(Free::new(2)).await.unwrap_err();
        assert!(matches!(error, EngineError::Superseded), "{flavour:?}: {error}");
        assert_eq!(count().await, copied, "{flavour:?}: nothing is written");
        cluster.sql("UPDATE fenced.t SET note = 'since' WHERE id <= 20");
        let error = first.catch_up(WITHIN).await.unwrap_err();
        assert!(matches!(error, EngineError::Superseded), "{flavour:?}: {error}");
        assert!(first.stop(true).await.is_err(), "{flavour:?}: the records are the other one's");
        // As one that begins only now.
        job.epoch = 1;
        let error = job.resume().await.expect_err("it is too late");
        assert!(matches!(error, EngineError::Superseded), "{flavour:?}: {error}");
        assert!(matches!(job.make().await, Err(EngineError::Superseded)), "{flavour:?}: nor is it made anew");
        second.copy(Free::new(2)).await.unwrap();
        second.finish_indexes(Free::new(2)).await.unwrap();
        let verified = second.verify(Free::new(2), GUARD).await.unwrap();
        assert_eq!((verified.passes, verified.repaired), (1, 0), "{flavour:?}");
        job.assert_equal(&COLUMNS).await;
        second.stop(true).await.unwrap();
    }
}

/// Beside clients indexes are built one by one; whoever follows builds those that are missing.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn indexes_are_built_one_by_one_and_gone_on_with() {
    for flavour in BOTH {
        let cluster = Cluster::shared(flavour);
        let create = "CREATE TABLE t (id INT NOT NULL PRIMARY KEY, a INT, b INT, c INT, KEY a (a), UNIQUE \
                      KEY b (b), KEY c (c, a))";
        let fill = "INSERT INTO t VALUES (1, 5, 1, 7), (2, 5, 2, NULL), (3, NULL, 3, 7)";
        database(cluster, "stepwise", &[create, fill]);
        let mover = Mover::new(cluster);
        let mut job = mover.job("stepwise", "t", "ALTER TABLE t MODIFY a BIGINT", 95);
        let mut engine = job.start().await.unwrap();
        engine.copy(Free::new(1)).await.unwrap();
        let indexes = || async {
            let count = "SELECT COUNT(DISTINCT index_name) FROM information_schema.statistics WHERE \
                         table_schema = 'zz_bulkhead' AND table_name = 'new_95'";
            let found = job.admin().await.query(count).await.unwrap();
            found.first().and_then(|row| row.number::<u32>(0))
        };
        assert_eq!(indexes().await, Some(1), "{flavour:?}: only the key is there");
        let stopped = engine.finish_indexes(Free::of(2, 1)).await;
        assert!(matches!(stopped, Err(EngineError::Stopped)), "{flavour:?}: {stopped:?}");
        assert_eq!(indexes().await, Some(3), "{flavour:?}: two more are built");
        engine.stop(false).await.unwrap();
        job.epoch = 2;
        let mut next = job.resume().await.unwrap();
        next.copy(Free::new(2)).await.unwrap();
        next.finish_indexes(Free::new(2)).await.unwrap();
        let verified = next.verify(Free::new(1), GUARD).await.unwrap();
        assert_eq!((verified.rows, verified.passes), (3, 1), "{flavour:?}");
        let shown =
            job.admin().await.query(format!("SHOW CREATE TABLE {}", job.names.target())).await.unwrap();
        let shown = shown.first().and_then(|row| row.text(1)).unwrap();
        for key in ["KEY `a` (`a`)", "UNIQUE KEY `b` (`b`)", "KEY `c` (`c`,`a`)"] {
            assert_eq!(shown.matches(key).count(), 1, "{flavour:?}: {shown}");
        }
        next.stop(true).await.unwrap();
    }
}

/// Time is over, or the connection is lost, in the middle of the last changes: they are pending again.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn last_changes_that_are_cut_short_are_applied_later() {
    for flavour in BOTH {
        let cluster = Cluster::shared(flavour);
        database(cluster, "short", &[TABLE]);
        rows(cluster, "short", 12);
        let mover = Mover::new(cluster);
        let job =
            mover.job("short", "t", "ALTER TABLE t MODIFY id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT", 75);
        let mut engine = job.move_rows().await.unwrap();
        let (source, target) = (job.names.source(), job.names.target());
        let (mut cut_short, mut within) = (0, Duration::from_millis(8));
        loop {
            engine.park().await.unwrap();
            cluster.sql("UPDATE short.t SET amount = amount + 1; DELETE FROM short.t ORDER BY id LIMIT 3");
            let mut locked = job.admin().await;
            locked.execute(format!("LOCK TABLES {source} WRITE, {target} WRITE")).await.unwrap();
            let drained = engine.drain_under_lock(Some(&mut locked), within).await;
            let is_done = drained.is_ok();
            if let Err(error) = drained {
                assert!(error.is_passing(), "{flavour:?}: {error}");
                cut_short += u32::from(locked.is_lost());
            }
            // When it is lost in the middle of an answer, the server ends it and rolls back.
            drop(locked);
            engine.unpark();
            if is_done {
                break;
            }
            within = within.mul_f64(1.3);
        }
        assert!(cut_short > 0, "{flavour:?}: none was cut short");
        engine.catch_up(Duration::from_secs(20)).await.unwrap();
        job.assert_equal(&COLUMNS).await;
        engine.stop(true).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_change_of_the_table_itself_ends_it() {
    for flavour in BOTH {
        let cluster = Cluster::shared(flavour);
        database(cluster, "altered", &["CREATE TABLE t (id INT PRIMARY KEY, v INT)"]);
        cluster.sql("INSERT INTO altered.t VALUES (1, 1)");
        let mover = Mover::new(cluster);
        let job = mover.job("altered", "t", "ALTER TABLE t MODIFY v BIGINT", 60);
        let mut engine = job.move_rows().await.unwrap();
        cluster.sql("ALTER TABLE altered.t ADD COLUMN w INT");
        let error = engine.catch_up(WITHIN).await.unwrap_err();
        assert!(matches!(error, EngineError::TableChanged(_)), "{flavour:?}: {error}");
        engine.stop(true).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn the_last_changes_are_applied_under_the_lock() {
    for flavour in BOTH {
        let cluster = Cluster::shared(flavour);
        database(cluster, "locked", &[TABLE]);
        rows(cluster, "locked", 8);
        let mover = Mover::new(cluster);
        let job =
            mover.job("locked", "t", "ALTER TABLE t MODIFY id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT", 70);
        let mut engine = job.move_rows().await.unwrap();
        for covers_shadow in [true, false] {
            let mut locked = job.admin().await;
            if covers_shadow {
                engine.park().await.unwrap();
            }
            cluster.sql("UPDATE locked.t SET amount = amount + 1; DELETE FROM locked.t WHERE id = 5");
            cluster.sql(
                "START TRANSACTION; INSERT INTO locked.t (name) SELECT CONCAT('gone', id) FROM \
                locked.t; ROLLBACK",
            );
            let (source, target) = (job.names.source(), job.names.target());
            let tables = match covers_shadow {
                true => format!("{source} WRITE, {target} WRITE"),
                false => format!("{source} WRITE"),
            };
            locked.execute(format!("LOCK TABLES {tables}")).await.unwrap();
            let with = covers_shadow.then_some(&mut locked);
            engine.drain_under_lock(with, WITHIN).await.unwrap();
            locked.execute("UNLOCK TABLES").await.unwrap();
            engine.unpark();
            job.assert_equal(&COLUMNS).await;
            let counter = |table: &str| {
                let shown = cluster.sql(&format!("SHOW CREATE TABLE {table}"));
                let at = shown.find("AUTO_INCREMENT=").expect("a counter") + "AUTO_INCREMENT=".len();
                shown[at..].chars().take_while(char::is_ascii_digit).collect::<String>()
            };
            assert_eq!(counter("zz_bulkhead.new_70"), counter("locked.t"), "{flavour:?} {covers_shadow}");
        }
        engine.stop(true).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_table_of_one_chunk_is_copied_under_its_lock() {
    for flavour in BOTH {
        let cluster = Cluster::shared(flavour);
        let (create, inserts, names) = table_of_every_type(flavour);
        database(cluster, "single", &[&create]);
        for insert in &inserts {
            cluster.sql(&format!("USE single; SET time_zone = '+00:00'; {insert}"));
        }
        let mover = Mover::new(cluster);
        let mut job = mover.job(
            "single",
            "t",
            "ALTER TABLE t MODIFY plain BIGINT, ADD COLUMN extra CHAR(3) NOT NULL",
            80,
        );
        job.late_bytes = 0;
        let began = Instant::now();
        let plan = job.make().await.unwrap();
        let mut locked = job.admin().await;
        let tables = format!("LOCK TABLES {} WRITE, {} WRITE", job.names.source(), job.names.target());
        locked.execute(tables).await.unwrap();
        assert_eq!(fill_single_chunk(&mut locked, &plan).await.unwrap(), 4);
        locked.execute("UNLOCK TABLES").await.unwrap();
        eprintln!("{flavour:?}: one chunk in {:?}", began.elapsed());
        let dumped = dumped(&names);
        job.assert_equal(&dumped.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
}

/// Rows of the table whose copying is timed.
const TIMED_DOUBLINGS: u32 = 20;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_million_rows_with_five_indexes_are_timed() {
    let wanted = std::env::var("BULKHEAD_COPY_TIMED").is_ok();
    let doublings = if wanted { TIMED_DOUBLINGS } else { 14 };
    for flavour in BOTH {
        let cluster = Cluster::shared(flavour);
        database(
            cluster,
            "timed",
            &["CREATE TABLE t (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, u INT NOT NULL, \
                    name VARCHAR(60) \
               NOT NULL, note VARCHAR(200), amount DECIMAL(12,3) NOT NULL DEFAULT 0, at DATETIME NOT NULL \
               DEFAULT \
               CURRENT_TIMESTAMP, KEY u (u), KEY name (name), KEY amount (amount), KEY at (at, u), KEY note \
               (note(20)))"],
        );
        cluster.sql("INSERT INTO timed.t (u, name, note) VALUES (1, 'first', REPEAT('x', 80))");
        for _ in 0..doublings {
            cluster.sql(
                "USE timed; INSERT INTO timed.t (u, name, note, amount) SELECT FLOOR(RAND() * 1000000), \
                    LEFT(SHA2(RAND(), 256), 32), \
                 CONCAT(LEFT(SHA2(RAND(), 256), 32), note), RAND() * 100000 FROM (SELECT LEFT(note, 60) AS \
                 note FROM timed.t) AS d",
            );
        }
        let mover = Mover::new(cluster);
        for (number, late) in [(90, u64::MAX), (91, 0)] {
            let mut job = mover.job("timed", "t", "ALTER TABLE t MODIFY u BIGINT NOT NULL", number);
            job.late_bytes = late;
            let began = Instant::now();
            let mut engine = job.start().await.unwrap();
            engine.copy(Free::new(3)).await.unwrap();
            let copied = began.elapsed();
            engine.finish_indexes(Free::new(2)).await.unwrap();
            let built = began.elapsed();
            let verified = engine.verify(Free::new(2), GUARD).await.unwrap();
            let all = began.elapsed();
            assert_eq!((verified.rows, verified.passes), (1 << doublings, 1));
            eprintln!(
                "{flavour:?}, {} rows, indexes {}: copied {copied:?}, indexes {:?}, compared {:?}, in all \
                    {all:?}: {:.0} \
                 rows/s",
                verified.rows,
                if late > 0 { "behind" } else { "in place" },
                built - copied,
                all - built,
                verified.rows as f64 / all.as_secs_f64()
            );
            engine.stop(true).await.unwrap();
            job.sql("DROP TABLE {target}").await;
        }
    }
}
