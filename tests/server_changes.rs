//! The change feed against real servers: every type, every way that a log can be lost, cut off or unfit.

#![allow(clippy::unwrap_used, reason = "a test: a panic is its failure")]

#[path = "changes/cases.rs"]
mod cases;
mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bulkhead::backend::direct::{Direct, Kill, Rows};
use bulkhead::config::Login;
use bulkhead::ids::{ClusterName, ServerId};
use bulkhead::migrations::changes::values::{ColumnKind, Row, RowKey, Value, write_text_literal};
use bulkhead::migrations::changes::{
    Change, FeedError, Feeds, Position, Source, Sources, Subscription, TableChange, TableName,
};
use bulkhead::protocol::tls::ClientTls;
use bulkhead::redact::Secret;
use common::servers::{Cluster, Flavour, Role};

/// How long anything may take that has to come.
const WAIT: Duration = Duration::from_secs(90);
/// The first marker that [`Feeds`] write.
const FIRST_MARKER: u64 = 1;
/// The session that carries rows.
const SESSION: &str = "SET NAMES binary, time_zone = '+00:00', \
    sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'";

fn name() -> ClusterName {
    ClusterName::new("c1")
}

struct Fixed(Source);

impl Sources for Fixed {
    fn source(&self, cluster: &ClusterName) -> Option<Source> {
        (*cluster == name()).then(|| self.0.clone())
    }
}

fn source(cluster: &Cluster, user: &str) -> Source {
    Source {
        server: ServerId { host: "127.0.0.1".into(), port: cluster.primary_port },
        login: Login { user: user.into(), password: Secret::new(cluster.password.clone()) },
        tls: ClientTls::disabled(),
    }
}

fn feeds(cluster: &Cluster) -> Feeds {
    Feeds::new(Arc::new(Fixed(source(cluster, "bulkhead_admin"))))
}

async fn direct(cluster: &Cluster) -> Direct {
    let Source { server, login, tls } = source(cluster, "bulkhead_admin");
    let mut direct = Direct::open(&server, &login, &tls, WAIT).await.unwrap();
    direct.execute(SESSION).await.unwrap();
    direct
}

async fn query(direct: &mut Direct, sql: impl AsRef<[u8]>) -> Rows {
    let text = String::from_utf8_lossy(sql.as_ref()).chars().take(300).collect::<String>();
    direct.query(sql).await.unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A database of its own, on a shared server.
async fn database(direct: &mut Direct, name: &str) {
    query(direct, format!("DROP DATABASE IF EXISTS {name}")).await;
    query(direct, format!("CREATE DATABASE {name}")).await;
    query(direct, format!("USE {name}")).await;
}

/// Names and kinds of a table's columns.
async fn columns(direct: &mut Direct, table: &TableName) -> (Vec<String>, Arc<[ColumnKind]>) {
    let sql = format!(
        "SELECT column_name, column_type, character_set_name, extra FROM information_schema.columns \
         WHERE table_schema = '{}' AND table_name = '{}' ORDER BY ordinal_position",
        table.database, table.table
    );
    let rows = query(direct, sql).await;
    let kind = |row: bulkhead::backend::direct::TextRow<'_>| {
        if row.text(3).unwrap_or_default().contains("GENERATED") {
            return ColumnKind::Skipped;
        }
        ColumnKind::of(&row.text(1).unwrap(), row.text(2).as_deref()).unwrap()
    };
    (rows.iter().map(|row| row.text(0).unwrap()).collect(), rows.iter().map(kind).collect())
}

async fn next(subscription: &mut Subscription) -> Result<Change, FeedError> {
    tokio::time::timeout(WAIT, subscription.next()).await.expect("a change comes, or why there is none")
}

/// What a subscription told up to a marker.
#[derive(Default)]
struct Told {
    rows: Vec<(Option<Row>, Option<Row>)>,
    /// Rows of each part, and whether it was a transaction's last.
    parts: Vec<(usize, bool)>,
    changes: Vec<TableChange>,
    /// Behind the last whole transaction.
    position: Option<Position>,
}

async fn until_marker(subscription: &mut Subscription, marker: u64) -> Told {
    let mut told = Told::default();
    loop {
        match next(subscription).await.unwrap() {
            Change::Rows { position, rows, end_of_transaction } => {
                told.parts.push((rows.len(), end_of_transaction));
                told.rows.extend(rows.into_iter().map(|change| (change.before, change.after)));
                if end_of_transaction {
                    told.position = Some(position);
                }
            }
            Change::Marker(number) if number == marker => return told,
            Change::Marker(number) => assert!(number < marker, "markers come in order"),
            Change::TableChanged { what } => told.changes.push(what),
            Change::Advanced { position } => told.position = Some(position),
        }
    }
}

/// Why a subscription ends.
async fn until_error(subscription: &mut Subscription) -> FeedError {
    loop {
        if let Err(error) = next(subscription).await {
            let again = next(subscription).await.unwrap_err();
            assert_eq!(error.to_string(), again.to_string(), "it stays so");
            return error;
        }
    }
}

fn literals(row: &Row, kinds: &[ColumnKind]) -> Vec<u8> {
    let mut out = Vec::new();
    for (value, kind) in row.iter().zip(kinds) {
        if *kind == ColumnKind::Skipped {
            continue;
        }
        if !out.is_empty() {
            out.push(b',');
        }
        value.write_literal(kind, &mut out).unwrap_or_else(|error| panic!("{error}: {value:?} as {kind:?}"));
    }
    out
}

fn integer(row: &Row, at: usize) -> i64 {
    match row[at] {
        Value::Integer(number) => number,
        Value::Unsigned(number) => number as i64,
        ref other => panic!("no integer: {other:?}"),
    }
}

/// Applies changes to a copy, by literals, as the engine does.
async fn apply(direct: &mut Direct, copy: &str, told: &Told, kinds: &[ColumnKind]) {
    for (before, after) in &told.rows {
        if let Some(before) = before {
            let sql = format!("DELETE FROM {copy} WHERE id = {}", integer(before, 0));
            assert_eq!(direct.execute(sql).await.unwrap().affected_rows, 1, "the row was there");
        }
        if let Some(after) = after {
            let mut sql = format!("INSERT INTO {copy} VALUES (").into_bytes();
            sql.extend_from_slice(&literals(after, kinds));
            sql.push(b')');
            query(direct, sql).await;
        }
    }
}

async fn every_type(flavour: Flavour) {
    let cluster = Cluster::shared(flavour);
    let mut direct = direct(cluster).await;
    database(&mut direct, "types").await;
    let feeds = feeds(cluster);
    let cases = cases::all(flavour);
    let mut subscriptions = Vec::new();
    // Labels are written in UTF-8 here.
    query(&mut direct, "SET NAMES utf8mb4").await;
    for (at, case) in cases.iter().enumerate() {
        let column = &case.column;
        query(&mut direct, format!("CREATE TABLE t{at} (id INT PRIMARY KEY, v {column})")).await;
        query(&mut direct, format!("CREATE TABLE c{at} LIKE t{at}")).await;
        let table = TableName::new("types", format!("t{at}"));
        let (_, kinds) = columns(&mut direct, &table).await;
        let mut subscription = feeds.subscribe(&name(), table, Arc::clone(&kinds), None).await.unwrap();
        // All are read at once: one that is not read holds the others back.
        let told = tokio::spawn(async move { until_marker(&mut subscription, FIRST_MARKER).await });
        subscriptions.push((told, kinds));
    }
    query(&mut direct, SESSION).await;
    let stats = feeds.stats(&name()).unwrap();
    assert_eq!((stats.subscriptions, stats.connections), (cases.len() as u64, 1), "one stream for all");
    for (at, case) in cases.iter().enumerate() {
        let mut id = 0;
        for value in case.values.iter().map(String::as_str).chain(["NULL"]) {
            // Inserted; brought there by an update from NULL; deleted again.
            query(&mut direct, format!("INSERT INTO t{at} VALUES ({id}, {value})")).await;
            query(&mut direct, format!("INSERT INTO t{at} VALUES ({}, NULL)", id + 1)).await;
            query(&mut direct, format!("UPDATE t{at} SET v = {value} WHERE id = {}", id + 1)).await;
            query(&mut direct, format!("INSERT INTO t{at} VALUES (-1, {value})")).await;
            query(&mut direct, format!("UPDATE t{at} SET id = -2 WHERE id = -1")).await;
            query(&mut direct, format!("DELETE FROM t{at} WHERE id = -2")).await;
            id += 2;
        }
    }
    assert_eq!(feeds.mark(&name()).await.unwrap(), FIRST_MARKER);
    let mut compared = 0;
    for (at, (told, kinds)) in subscriptions.iter_mut().enumerate() {
        let column = &cases[at].column;
        let told = told.await.unwrap();
        apply(&mut direct, &format!("c{at}"), &told, kinds).await;
        compared += same_rows(&mut direct, at, column, kinds, &told).await;
    }
    assert_eq!(compared, cases.iter().map(|case| 2 * (case.values.len() + 1)).sum::<usize>());
    println!("{flavour:?}: {} types, {compared} rows", cases.len());
}

/// Compares table and copy, row by row, and each row of the log with the SELECTed one.
async fn same_rows(direct: &mut Direct, at: usize, column: &str, kinds: &[ColumnKind], told: &Told) -> usize {
    let shown = match column {
        // What a text cannot carry (that a number was a DECIMAL) is lost once, and not again.
        "JSON" => "CAST(CAST(v AS CHAR CHARACTER SET utf8mb4) AS CHAR), JSON_VALID(v)".to_owned(),
        "FLOAT" | "DOUBLE" => "v * 1e0, v".to_owned(),
        _ => "v, HEX(v), LENGTH(v)".to_owned(),
    };
    let read = |table: String, shown: &str| format!("SELECT id, {shown} FROM {table} ORDER BY id");
    let from = match column {
        "JSON" => "(SELECT id, CAST(CAST(v AS CHAR CHARACTER SET utf8mb4) AS JSON) AS v FROM ",
        _ => "(SELECT * FROM ",
    };
    let from = if kinds[1] == ColumnKind::Json { from } else { "(SELECT * FROM " };
    let source = query(direct, read(format!("{from}t{at}) AS s"), &shown)).await;
    let copy = query(direct, read(format!("c{at}"), &shown)).await;
    assert_eq!(source.len(), copy.len(), "{column}");
    for (mine, theirs) in source.iter().zip(copy.iter()) {
        let show = |row: bulkhead::backend::direct::TextRow<'_>| {
            row.values()
                .map(|value| value.map(|v| String::from_utf8_lossy(v).into_owned()))
                .collect::<Vec<_>>()
        };
        assert!(mine == theirs, "{column}:\n{:?}\n{:?}", show(mine), show(theirs));
    }
    let mut logged = BTreeMap::new();
    for (before, after) in &told.rows {
        if let Some(before) = before {
            let id = integer(before, 0);
            let was: Vec<u8> = logged.remove(&id).expect("it was there before");
            assert_eq!(literals(before, kinds), was, "{column}: before {id} is as it was");
        }
        if let Some(after) = after {
            logged.insert(integer(after, 0), literals(after, kinds));
        }
    }
    let expression = kinds[1].select_expression("`v`");
    let selected = query(direct, format!("SELECT id, {expression} FROM t{at} ORDER BY id")).await;
    for row in selected.iter() {
        let id: i64 = row.number(0).unwrap();
        let mut out = format!("{id},").into_bytes();
        write_text_literal(&kinds[1], row.value(1), &mut out).unwrap();
        let log = &logged[&id];
        let text = String::from_utf8_lossy;
        assert!(out == *log, "{column}:\nselected {}\nlogged   {}", text(&out), text(log));
    }
    assert_eq!(logged.len(), selected.len());
    source.len()
}

/// A table of its own with an id and a text, and a copy of it.
async fn simple_table(direct: &mut Direct, database_name: &str) -> (TableName, Arc<[ColumnKind]>) {
    database(direct, database_name).await;
    query(direct, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(200) CHARACTER SET utf8mb4)").await;
    query(direct, "CREATE TABLE c LIKE t").await;
    let table = TableName::new(database_name, "t");
    let (_, kinds) = columns(direct, &table).await;
    (table, kinds)
}

async fn same_tables(direct: &mut Direct) {
    let sum = |table: &str| format!("SELECT COUNT(*), BIT_XOR(CRC32(CONCAT(id, '/', v))) FROM {table}");
    let (table, copy) = (query(direct, sum("t")).await, query(direct, sum("c")).await);
    assert_eq!(table.first().map(|row| row.text(0)), copy.first().map(|row| row.text(0)), "rows");
    assert!(table.first() == copy.first(), "their values");
}

async fn several_subscribers(flavour: Flavour) {
    let cluster = Cluster::shared(flavour);
    let mut direct = direct(cluster).await;
    let (table, kinds) = simple_table(&mut direct, "several").await;
    query(&mut direct, "CREATE TABLE other (id INT PRIMARY KEY)").await;
    let feeds = feeds(cluster);
    let cluster_name = name();
    let subscribe = || feeds.subscribe(&cluster_name, table.clone(), Arc::clone(&kinds), None);
    let (mut first, mut second) = (subscribe().await.unwrap(), subscribe().await.unwrap());
    // 3000 rows in one transaction, in parts; and one of 250,000 bytes a row.
    let rows = |from: usize, count: usize| {
        let values: Vec<_> = (from..from + count).map(|id| format!("({id}, 'v{id}')")).collect();
        format!("INSERT INTO t VALUES {}", values.join(","))
    };
    query(&mut direct, rows(0, 3000)).await;
    query(&mut direct, "START TRANSACTION").await;
    query(&mut direct, "UPDATE t SET v = CONCAT(v, '!') WHERE id < 10").await;
    query(&mut direct, "INSERT INTO other VALUES (1)").await;
    query(&mut direct, "DELETE FROM t WHERE id >= 2990").await;
    query(&mut direct, "COMMIT").await;
    query(&mut direct, "START TRANSACTION").await;
    query(&mut direct, "DELETE FROM t").await;
    query(&mut direct, "ROLLBACK").await;
    let mut late = subscribe().await.unwrap();
    query(&mut direct, rows(5000, 2)).await;
    let before = feeds.stats(&name()).unwrap();
    for id in 10..40 {
        query(&mut direct, format!("INSERT INTO other VALUES ({id})")).await;
    }
    let marker = feeds.mark(&name()).await.unwrap();
    let told = until_marker(&mut first, marker).await;
    assert_eq!(told.rows.len(), 3000 + 10 + 10 + 2);
    let ends: Vec<_> = told.parts.iter().filter(|(_, is_end)| *is_end).collect();
    assert_eq!(ends.len(), 3, "transactions: {:?}", told.parts);
    assert!(told.parts.len() > 4 && told.parts.iter().all(|(rows, _)| *rows <= 1000), "{:?}", told.parts);
    apply(&mut direct, "c", &told, &kinds).await;
    same_tables(&mut direct).await;
    assert_eq!(until_marker(&mut second, marker).await.rows, told.rows);
    let late_told = until_marker(&mut late, marker).await;
    assert_eq!(late_told.rows[..], told.rows[told.rows.len() - late_told.rows.len()..]);
    assert!((2..=22).contains(&late_told.rows.len()), "{}", late_told.rows.len());
    let stats = feeds.stats(&name()).unwrap();
    assert_eq!((stats.subscriptions, stats.connections), (3, 1));
    // Of the other table only the markers' rows were decoded.
    assert!(
        stats.events >= before.events + 60 && stats.decoded <= before.decoded + 3,
        "{before:?} {stats:?}"
    );
    assert!(stats.bytes > 100_000 && stats.rows >= 6000, "{stats:?}");
    drop((first, second));
    query(&mut direct, rows(6000, 1)).await;
    let marker = feeds.mark(&name()).await.unwrap();
    assert_eq!(until_marker(&mut late, marker).await.rows.len(), 1, "others may go");
}

async fn compressed(flavour: Flavour) {
    let cluster = Cluster::shared(flavour);
    let mut direct = direct(cluster).await;
    let (table, kinds) = simple_table(&mut direct, "compressed").await;
    match flavour {
        Flavour::MySql => drop(query(&mut direct, "SET SESSION binlog_transaction_compression = ON").await),
        Flavour::MariaDb => {
            query(&mut direct, "SET GLOBAL log_bin_compress = ON, log_bin_compress_min_len = 10").await;
            direct = self::direct(cluster).await;
            query(&mut direct, "USE compressed").await;
        }
    }
    let feeds = feeds(cluster);
    let mut subscription = feeds.subscribe(&name(), table, Arc::clone(&kinds), None).await.unwrap();
    query(&mut direct, "START TRANSACTION").await;
    for id in 0..200 {
        query(&mut direct, format!("INSERT INTO t VALUES ({id}, REPEAT('x', 100))")).await;
    }
    query(&mut direct, "UPDATE t SET v = CONCAT('y', id) WHERE id % 2 = 0").await;
    query(&mut direct, "COMMIT").await;
    query(&mut direct, "DELETE FROM t WHERE id > 150").await;
    query(&mut direct, "ALTER TABLE t COMMENT = 'a comment that is long enough to be compressed as a query'")
        .await;
    let marker = feeds.mark(&name()).await.unwrap();
    let told = until_marker(&mut subscription, marker).await;
    assert_eq!(told.rows.len(), 200 + 100 + 49);
    assert_eq!(told.changes, [TableChange::Altered]);
    apply(&mut direct, "c", &told, &kinds).await;
    same_tables(&mut direct).await;
    let question = match flavour {
        Flavour::MySql => {
            "SELECT SUM(transaction_counter) \
             FROM performance_schema.binary_log_transaction_compression_stats \
             WHERE compression_type = 'ZSTD'"
        }
        Flavour::MariaDb => "SHOW GLOBAL STATUS LIKE 'nothing'",
    };
    let counted = query(&mut direct, question).await;
    if flavour == Flavour::MySql {
        assert!(counted.first().unwrap().number::<f64>(0).unwrap() >= 2.0, "the server did compress");
    } else {
        let files = query(&mut direct, "SHOW BINARY LOGS").await;
        let file = files.iter().last().unwrap().text(0).unwrap();
        let events = query(&mut direct, format!("SHOW BINLOG EVENTS IN '{file}' LIMIT 100000")).await;
        let kinds: Vec<_> = events.iter().filter_map(|row| row.text(2)).collect();
        assert!(kinds.iter().any(|kind| kind == "Write_rows_compressed_v1"), "the server did compress");
        query(&mut direct, "SET GLOBAL log_bin_compress = OFF").await;
    }
}

/// Sessions that write what cannot be followed.
async fn unfit_sessions(flavour: Flavour) {
    let cluster = Cluster::shared(flavour);
    let mut control = direct(cluster).await;
    let (table, kinds) = simple_table(&mut control, "unfit").await;
    query(&mut control, "INSERT INTO t VALUES (1, 'a'), (2, 'b')").await;
    let feeds = feeds(cluster);
    let mut cases = vec![
        ("SET SESSION binlog_row_image = 'MINIMAL'", "UPDATE t SET v = 'c' WHERE id = 1", "binlog_row_image"),
        ("SET SESSION binlog_row_image = 'NOBLOB'", "XA START 'a'", "two phases"),
        (
            "SET SESSION binlog_format = 'STATEMENT'",
            "UPDATE t SET v = 'd' WHERE id = 2",
            "logged as a statement",
        ),
    ];
    if flavour == Flavour::MySql {
        query(&mut control, "CREATE TABLE j (id INT PRIMARY KEY, v JSON)").await;
        query(&mut control, "INSERT INTO j VALUES (1, _utf8mb4'{\"a\": \"aaaaaaaaaaaaaaaa\", \"b\": 2}')")
            .await;
        cases.push((
            "SET SESSION binlog_row_value_options = 'PARTIAL_JSON'",
            "UPDATE j SET v = JSON_SET(v, _utf8mb4'$.b', 3) WHERE id = 1",
            "binlog_row_value_options",
        ));
    }
    for (setting, change, word) in cases {
        let is_json = change.contains(" j ");
        let table = if is_json { TableName::new("unfit", "j") } else { table.clone() };
        let (_, kinds) = if is_json { columns(&mut control, &table).await } else { (vec![], kinds.clone()) };
        let mut subscription = feeds.subscribe(&name(), table, kinds, None).await.unwrap();
        let mut session = direct(cluster).await;
        query(&mut session, "USE unfit").await;
        query(&mut session, setting).await;
        if change.starts_with("XA") {
            for sql in
                ["XA START 'unfit'", "INSERT INTO t VALUES (9, 'x')", "XA END 'unfit'", "XA PREPARE 'unfit'"]
            {
                query(&mut session, sql).await;
            }
        } else {
            query(&mut session, change).await;
        }
        let error = until_error(&mut subscription).await;
        assert!(error.to_string().contains(word), "{error}");
        if change.starts_with("XA") {
            query(&mut session, "XA ROLLBACK 'unfit'").await;
        }
    }
    // One phase is a transaction like others.
    let mut subscription = feeds.subscribe(&name(), table, kinds, None).await.unwrap();
    for sql in
        ["XA START 'one'", "INSERT INTO t VALUES (8, 'x')", "XA END 'one'", "XA COMMIT 'one' ONE PHASE"]
    {
        query(&mut control, sql).await;
    }
    let marker = feeds.mark(&name()).await.unwrap();
    assert_eq!(until_marker(&mut subscription, marker).await.rows.len(), 1);
}

async fn statements_about_the_table(flavour: Flavour) {
    let cluster = Cluster::shared(flavour);
    let mut direct = direct(cluster).await;
    let (table, kinds) = simple_table(&mut direct, "statements").await;
    let feeds = feeds(cluster);
    let mut subscription = feeds.subscribe(&name(), table, kinds, None).await.unwrap();
    for sql in [
        "CREATE INDEX i ON t (v)",
        "ANALYZE TABLE t",
        "CREATE TABLE u (id INT)",
        "CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET @a = 1",
        "TRUNCATE TABLE t",
        "RENAME TABLE t TO t2",
        "RENAME TABLE t2 TO t",
        "INSERT INTO t VALUES (1, 'x')",
        "ALTER TABLE t ADD COLUMN w INT",
        "DROP TABLE u",
    ] {
        query(&mut direct, sql).await;
    }
    let marker = feeds.mark(&name()).await.unwrap();
    let told = until_marker(&mut subscription, marker).await;
    use TableChange::{Altered, Renamed, Trigger, Truncated};
    assert_eq!(told.changes, [Altered, Trigger, Truncated, Renamed, Renamed, Altered]);
    assert_eq!(told.rows.len(), 1);
    query(&mut direct, "INSERT INTO t VALUES (2, 'y', 3)").await;
    let error = until_error(&mut subscription).await;
    assert!(error.to_string().contains("3 columns, not 2"), "{error}");
}

/// Generated and hidden columns, partitions, keys of text.
async fn odd_tables(flavour: Flavour) {
    let cluster = Cluster::shared(flavour);
    let mut direct = direct(cluster).await;
    database(&mut direct, "odd").await;
    let expression_index = if flavour == Flavour::MySql { ", KEY e ((LOWER(v)))" } else { "" };
    query(
        &mut direct,
        format!(
            "CREATE TABLE t (k VARCHAR(20) CHARACTER SET utf8mb4, b BINARY(4), \
             virt INT AS (LENGTH(v)) VIRTUAL, v VARCHAR(20) CHARACTER SET latin1, \
             kept INT AS (LENGTH(v) + 1) STORED, \
             e ENUM('x','y'), PRIMARY KEY (k, b, e), KEY n (virt){expression_index}) \
             PARTITION BY KEY (k) PARTITIONS 3"
        ),
    )
    .await;
    let table = TableName::new("odd", "t");
    let (names, kinds) = columns(&mut direct, &table).await;
    assert_eq!((names.len(), kinds.iter().filter(|kind| **kind == ColumnKind::Skipped).count()), (6, 2));
    let feeds = feeds(cluster);
    let mut subscription = feeds.subscribe(&name(), table, Arc::clone(&kinds), None).await.unwrap();
    for sql in [
        "INSERT INTO t (k, b, v, e) VALUES \
            ('K', x'00000000', 'one', 'x'), ('a\\'b', x'61000000', 'two', 'y')",
        "UPDATE t SET k = 'k ', v = x'E9' WHERE k = 'k'",
        "DELETE FROM t WHERE e = 'y'",
    ] {
        query(&mut direct, sql).await;
    }
    let marker = feeds.mark(&name()).await.unwrap();
    let told = until_marker(&mut subscription, marker).await;
    assert_eq!(told.rows.len(), 4);
    let key = [0, 1, 5];
    let mut keys = std::collections::BTreeSet::new();
    for (before, after) in &told.rows {
        if let Some(before) = before {
            assert!(keys.remove(&RowKey::of_row(before, &kinds, &key).unwrap()));
        }
        if let Some(after) = after {
            assert!(keys.insert(RowKey::of_row(after, &kinds, &key).unwrap()));
        }
    }
    let list: Vec<_> = key.iter().map(|at| kinds[*at].select_expression(&names[*at])).collect();
    let rows = query(&mut direct, format!("SELECT {} FROM t", list.join(", "))).await;
    let selected =
        rows.iter().map(|row| RowKey::of_texts(key.iter().map(|at| &kinds[*at]).zip(row.values())).unwrap());
    assert_eq!(selected.collect::<std::collections::BTreeSet<_>>(), keys);
    let sql =
        [b"SELECT COUNT(*) FROM t WHERE (k, b, e) IN ((", keys.first().unwrap().as_sql(), b"))"].concat();
    assert_eq!(
        query(&mut direct, sql).await.first().unwrap().number::<u64>(0),
        Some(1),
        "the key finds its row"
    );
}

async fn unread_subscriptions_lose_nothing(flavour: Flavour) {
    let cluster = Cluster::shared(flavour);
    let mut direct = direct(cluster).await;
    let (table, kinds) = simple_table(&mut direct, "unread").await;
    let feeds = feeds(cluster);
    let mut subscription = feeds.subscribe(&name(), table, Arc::clone(&kinds), None).await.unwrap();
    for id in 0..40 {
        let values: Vec<_> = (0..1000).map(|n| format!("({}, REPEAT('z', 190))", id * 1000 + n)).collect();
        query(&mut direct, format!("INSERT INTO t VALUES {}", values.join(","))).await;
    }
    for id in 0..200 {
        query(&mut direct, format!("UPDATE t SET v = '{id}' WHERE id = {id}")).await;
    }
    let marker = feeds.mark(&name()).await.unwrap();
    let read = feeds.stats(&name()).unwrap().rows;
    assert!(read < 40_200, "it waits for its reader: {read} rows");
    let told = until_marker(&mut subscription, marker).await;
    assert_eq!(told.rows.len(), 40_200);
}

/// One subscription is not read. The other one waits for it for some seconds; then it is ended, and goes on
/// where it was by a stream of its own, on which nobody waits for it.
async fn slow_subscribers_hold_nobody_back(flavour: Flavour) {
    let cluster = Cluster::shared(flavour);
    let mut direct = direct(cluster).await;
    let (table, kinds) = simple_table(&mut direct, "slow").await;
    query(&mut direct, "CREATE TABLE other LIKE t").await;
    let other = TableName::new("slow", "other");
    let (feeds, cluster_name) = (feeds(cluster), name());
    let subscribe =
        |table: &TableName, from| feeds.subscribe(&cluster_name, table.clone(), Arc::clone(&kinds), from);
    let mut slow = subscribe(&table, None).await.unwrap();
    let start = slow.start().clone();
    let mut quick = subscribe(&other, None).await.unwrap();
    for id in 0..200 {
        query(&mut direct, format!("INSERT INTO t VALUES ({id}, REPEAT('z', 190))")).await;
    }
    query(&mut direct, "INSERT INTO other VALUES (1, 'a')").await;
    let marker = feeds.mark(&name()).await.unwrap();
    assert_eq!(until_marker(&mut quick, marker).await.rows.len(), 1);
    let error = until_error(&mut slow).await;
    assert!(matches!(error, FeedError::Behind { .. }) && error.is_passing(), "{error}");

    let mut again = subscribe(&table, Some(start)).await.unwrap();
    assert_eq!(feeds.stats(&name()).unwrap().subscriptions, 2);
    let marker = feeds.mark(&name()).await.unwrap();
    // Nobody waits for it: it has not been read by then, and did not end.
    until_marker(&mut quick, marker).await;
    assert_eq!(until_marker(&mut again, marker).await.rows.len(), 200, "everything came");
    drop((slow, again, quick));
}

/// Writes rows in transactions of several sizes until it is told to stop; gives how many transactions.
async fn write_on(mut direct: Direct, stop: tokio::sync::watch::Receiver<bool>) -> (Direct, u32) {
    let mut round = 0_u32;
    while !*stop.borrow() {
        let base = i64::from(round) * 10_000;
        let count = if round.is_multiple_of(5) { 4000 } else { 3 };
        let values: Vec<_> = (0..count).map(|n| format!("({}, 'v{}')", base + n, n % 97)).collect();
        let sql = [
            "START TRANSACTION".to_owned(),
            format!("INSERT INTO t VALUES {}", values.join(",")),
            format!("UPDATE t SET v = CONCAT(v, 'u') WHERE id >= {base} AND id % 3 = 1"),
            format!("DELETE FROM t WHERE id >= {base} AND id % 3 = 2"),
            "COMMIT".to_owned(),
        ];
        for sql in sql {
            query(&mut direct, sql).await;
        }
        round += 1;
    }
    (direct, round)
}

/// Ends the connection that the feed reads on.
async fn kill_reader(direct: &mut Direct) -> usize {
    let sql = "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'";
    let ids: Vec<u32> = query(direct, sql).await.iter().map(|row| row.number(0).unwrap()).collect();
    for id in &ids {
        direct.kill(*id, Kill::Connection).await.unwrap();
    }
    ids.len()
}

async fn cut_off_again_and_again(flavour: Flavour) {
    let cluster = Cluster::start("cutoff", flavour);
    let mut direct = direct(&cluster).await;
    let (table, kinds) = simple_table(&mut direct, "cutoff").await;
    let feeds = feeds(&cluster);
    let mut subscription = feeds.subscribe(&name(), table.clone(), Arc::clone(&kinds), None).await.unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut writer = self::direct(&cluster).await;
    query(&mut writer, "USE cutoff").await;
    let writing = tokio::spawn(write_on(writer, stopped));
    // Read slowly, so that the feed is in the middle of something when it is cut off.
    let mut told = Told::default();
    let mut killed = 0;
    // The feed is between two connections when it is not found: such rounds cut nothing.
    for round in 0..20_000 {
        if round >= 60 && killed >= 4 {
            break;
        }
        if let Change::Rows { position, rows, end_of_transaction } = next(&mut subscription).await.unwrap() {
            told.rows.extend(rows.into_iter().map(|change| (change.before, change.after)));
            told.position = end_of_transaction.then_some(position);
        }
        if round % 6 == 0 {
            killed += kill_reader(&mut direct).await;
        }
    }
    stop.send(true).unwrap();
    let (_, rounds) = writing.await.unwrap();
    let marker = feeds.mark(&name()).await.unwrap();
    let rest = until_marker(&mut subscription, marker).await;
    told.rows.extend(rest.rows);
    apply(&mut direct, "c", &told, &kinds).await;
    same_tables(&mut direct).await;
    let connections = feeds.stats(&name()).unwrap().connections;
    assert!(killed >= 3 && connections >= 3 && rounds > 0, "{killed} {connections} {rounds}");
    println!("{flavour:?}: {killed} cuts, {connections} connections, {} changes", told.rows.len());

    // The server goes away and comes back.
    query(&mut direct, "INSERT INTO t VALUES (-1, 'before')").await;
    cluster.stop(Role::Primary);
    cluster.start_one(Role::Primary);
    let mut direct = self::direct(&cluster).await;
    query(&mut direct, "USE cutoff").await;
    query(&mut direct, "INSERT INTO t VALUES (-2, 'after')").await;
    let marker = feeds.mark(&name()).await.unwrap();
    let told = until_marker(&mut subscription, marker).await;
    let ids: Vec<_> = told.rows.iter().map(|(_, after)| integer(after.as_ref().unwrap(), 0)).collect();
    assert_eq!(ids, [-1, -2]);
    cluster.kill(Role::Primary);
    cluster.start_one(Role::Primary);
    let mut direct = self::direct(&cluster).await;
    query(&mut direct, "INSERT INTO cutoff.t VALUES (-3, 'after a crash')").await;
    let marker = feeds.mark(&name()).await.unwrap();
    assert_eq!(until_marker(&mut subscription, marker).await.rows.len(), 1);
}

/// A connection that is lost within a transaction of which part was given already, and again.
async fn cut_off_within_a_transaction(flavour: Flavour) {
    let cluster = Cluster::start("within", flavour);
    let mut direct = direct(&cluster).await;
    let (table, kinds) = simple_table(&mut direct, "within").await;
    let feeds = feeds(&cluster);
    let mut subscription = feeds.subscribe(&name(), table, Arc::clone(&kinds), None).await.unwrap();
    let mut other = self::direct(&cluster).await;
    query(&mut other, "USE within").await;
    query(&mut other, "START TRANSACTION").await;
    for part in 0..350 {
        let values: Vec<_> = (0..1000).map(|n| format!("({}, REPEAT('z', 190))", part * 1000 + n)).collect();
        query(&mut other, format!("INSERT INTO t VALUES {}", values.join(","))).await;
    }
    query(&mut other, "COMMIT").await;
    let mut given = 0_i64;
    for cut in 0..2 {
        // Nothing is read until the feed has stopped for want of room.
        let mut before = 0;
        loop {
            let now = feeds.stats(&name()).unwrap().bytes;
            if now > 0 && now == before {
                break;
            }
            before = now;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        let connections = feeds.stats(&name()).unwrap().connections;
        assert!(kill_reader(&mut direct).await >= 1, "cut {cut}");
        // What had arrived before is given first.
        while feeds.stats(&name()).unwrap().connections == connections {
            let Change::Rows { rows, end_of_transaction, .. } = next(&mut subscription).await.unwrap() else {
                continue;
            };
            assert!(!end_of_transaction);
            for row in rows {
                assert_eq!(integer(row.after.as_ref().unwrap(), 0), given, "neither twice nor left out");
                given += 1;
            }
        }
    }
    let marker = feeds.mark(&name()).await.unwrap();
    let told = until_marker(&mut subscription, marker).await;
    assert_eq!(given + told.rows.len() as i64, 350_000);
    let ids: Vec<_> = told.rows.iter().map(|(_, after)| integer(after.as_ref().unwrap(), 0)).collect();
    assert!(ids.windows(2).all(|pair| pair[0] + 1 == pair[1]) && ids[0] == given);
    assert_eq!(told.parts.iter().filter(|(_, is_end)| *is_end).count(), 1);
    let connections = feeds.stats(&name()).unwrap().connections;
    assert!(connections >= 3, "{connections} connections");
}

async fn direct_connections(flavour: Flavour) {
    let cluster = Cluster::shared(flavour);
    let mut first = direct(cluster).await;
    database(&mut first, "direct").await;
    let end = first.execute("CREATE TABLE t (id INT PRIMARY KEY, v LONGBLOB)").await.unwrap();
    assert_eq!((end.affected_rows, end.warnings), (0, 0));
    let end = first.execute("INSERT INTO t VALUES (1, ''), (2, NULL), (3, x'00FF')").await.unwrap();
    assert_eq!((end.affected_rows, &*end.info), (3, "Records: 3  Duplicates: 0  Warnings: 0"));
    let rows = query(&mut first, "SELECT id, v FROM t ORDER BY id").await;
    let values: Vec<_> = rows.iter().map(|row| (row.number::<i32>(0), row.value(1))).collect();
    assert_eq!(values, [(Some(1), Some(&b""[..])), (Some(2), None), (Some(3), Some(&b"\x00\xff"[..]))]);
    assert_eq!(rows.columns().iter().map(|column| &*column.name).collect::<Vec<_>>(), ["id", "v"]);

    // A row that begins like the packet that ends rows, and a statement of several packets.
    let rows = query(&mut first, "SELECT REPEAT('x', 17000000), 7").await;
    assert_eq!(
        (rows.first().unwrap().value(0).unwrap().len(), rows.first().unwrap().number(1)),
        (17_000_000, Some(7))
    );
    let long = [b"INSERT INTO t VALUES (4, '", &vec![b'y'; 34_000_000][..], b"')"].concat();
    assert_eq!(first.execute(&long).await.unwrap().affected_rows, 1);
    let rows = query(&mut first, "SELECT LENGTH(v) FROM t WHERE id = 4").await;
    assert_eq!(rows.first().unwrap().number(0), Some(34_000_000));

    // A refusal changes nothing about the connection.
    let error = first.execute("INSERT INTO t VALUES (1, '')").await.unwrap_err();
    assert_eq!((error.errno(), error.is_lost()), (Some(1062), false));
    assert_eq!(first.query("SELECT nothing FROM t").await.unwrap_err().errno(), Some(1054));
    first.ping().await.unwrap();

    // Another one ends its statement, and then all of it.
    let mut second = direct(cluster).await;
    let id = first.thread_id();
    let sleeping = async {
        let slept = first.query("SELECT SLEEP(20) FROM direct.t").await;
        (first, slept)
    };
    let ((mut first, slept), killed) = tokio::join!(sleeping, async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        second.kill(id, Kill::Query).await.unwrap()
    });
    assert!(killed);
    match slept {
        Err(error) => assert_eq!(error.errno(), Some(1317), "{error}"),
        // A SLEEP that is killed may say so by its value.
        Ok(rows) => assert_eq!(rows.first().unwrap().number(0), Some(1)),
    }
    first.ping().await.unwrap();
    assert!(second.kill(id, Kill::Connection).await.unwrap());
    let error = first.execute("DO 1").await.unwrap_err();
    assert!(error.is_lost(), "{error}");
    let error = first.execute("DO 1").await.unwrap_err();
    assert_eq!(error.outcome(), bulkhead::error::Outcome::NotSent);
    while second.kill(id, Kill::Connection).await.unwrap() {}

    // Whatever is left in the middle is lost, and says so.
    let cut = tokio::time::timeout(Duration::from_millis(100), second.query("SELECT SLEEP(3)")).await;
    assert!(cut.is_err() && second.is_lost());
    assert!(second.ping().await.unwrap_err().is_lost());
    let mut third = direct(cluster).await;
    let mut stream = third.select("SELECT id FROM direct.t ORDER BY id").await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().number(0), Some(1));
    drop(stream);
    assert!(third.is_lost());
    let mut fourth = direct(cluster).await;
    fourth.set_answer_bytes_max(1000);
    assert_eq!(query(&mut fourth, "SELECT REPEAT('x', 900)").await.len(), 1);
    let error = fourth.query("SELECT REPEAT('x', 1100)").await.unwrap_err();
    assert!(error.to_string().contains("1000 bytes") && fourth.is_lost());
    let mut fifth = direct(cluster).await;
    assert!(fifth.is_quiet());
    fifth.close().await;
    // TLS where the server offers it.
    let Source { server, login, .. } = source(cluster, "bulkhead_admin");
    let tls = ClientTls::new(bulkhead::protocol::tls::TlsMode::Preferred, None, None).unwrap();
    let mut sixth = Direct::open(&server, &login, &tls, WAIT).await.unwrap();
    let cipher = query(&mut sixth, "SHOW STATUS LIKE 'Ssl_cipher'").await;
    assert_eq!(cipher.first().unwrap().text(1).unwrap().is_empty(), flavour == Flavour::MariaDb);
}

async fn resumed(flavour: Flavour) {
    let cluster = Cluster::start("resumed", flavour);
    let mut direct = direct(&cluster).await;
    let (table, kinds) = simple_table(&mut direct, "resumed").await;
    let feeds = feeds(&cluster);
    let cluster_name = name();
    let subscribe = |from| feeds.subscribe(&cluster_name, table.clone(), Arc::clone(&kinds), from);
    let mut first = subscribe(None).await.unwrap();
    let start = first.start().clone();
    query(&mut direct, "INSERT INTO t VALUES (1, 'a')").await;
    let marker = feeds.mark(&name()).await.unwrap();
    let told = until_marker(&mut first, marker).await;
    let position: Position = told.position.unwrap().to_string().parse().unwrap();
    query(&mut direct, "INSERT INTO t VALUES (2, 'b')").await;
    query(&mut direct, "INSERT INTO t VALUES (3, 'c')").await;
    // While another reads on, and has what is to be read again.
    let marker = feeds.mark(&name()).await.unwrap();
    assert_eq!(until_marker(&mut first, marker).await.rows.len(), 2);
    let mut again = subscribe(Some(position.clone())).await.unwrap();
    let mut from_start = subscribe(Some(start)).await.unwrap();
    query(&mut direct, "INSERT INTO t VALUES (4, 'd')").await;
    let marker = feeds.mark(&name()).await.unwrap();
    let ids = |told: &Told| -> Vec<_> {
        told.rows.iter().map(|(_, after)| integer(after.as_ref().unwrap(), 0)).collect()
    };
    let told = until_marker(&mut again, marker).await;
    assert_eq!(ids(&told), [2, 3, 4]);
    assert_eq!(ids(&until_marker(&mut from_start, marker).await), [1, 2, 3, 4]);
    assert_eq!(ids(&until_marker(&mut first, marker).await), [4], "nothing twice");
    let end = told.position.unwrap();
    drop((first, again, from_start));
    query(&mut direct, "INSERT INTO t VALUES (5, 'e')").await;
    let mut resumed = subscribe(Some(end)).await.unwrap();
    let marker = feeds.mark(&name()).await.unwrap();
    assert_eq!(ids(&until_marker(&mut resumed, marker).await), [5], "by another run of the feed");
    drop(resumed);

    // Purged, and of another history.
    query(&mut direct, "FLUSH BINARY LOGS").await;
    query(&mut direct, "INSERT INTO t VALUES (6, 'f')").await;
    query(&mut direct, "FLUSH BINARY LOGS").await;
    let files = query(&mut direct, "SHOW BINARY LOGS").await;
    let last = files.iter().last().unwrap().text(0).unwrap();
    // The server keeps files while a reader that has gone seems to be there.
    let purging = async {
        loop {
            query(&mut direct, format!("PURGE BINARY LOGS TO '{last}'")).await;
            if query(&mut direct, "SHOW BINARY LOGS").await.len() == 1 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(WAIT, purging).await.expect("the files go");
    let error = subscribe(Some(position)).await.unwrap_err();
    assert!(matches!(error, FeedError::Purged { .. }), "{error}");
    let future = match flavour {
        Flavour::MySql => {
            let uuid = query(&mut direct, "SELECT @@server_uuid").await.first().unwrap().text(0).unwrap();
            Position::Gtid(format!("{uuid}:1-999999").into())
        }
        Flavour::MariaDb => Position::Gtid("0-1-999999".into()),
    };
    let error = subscribe(Some(future)).await.unwrap_err();
    assert!(matches!(error, FeedError::Diverged { .. }), "{error}");
    let error =
        subscribe(Some(Position::File { name: "binlog.000001".into(), offset: 4 })).await.unwrap_err();
    assert!(matches!(error, FeedError::ServerChanged { .. }), "{error}");
}

/// A source that can be changed.
struct Switched(std::sync::Mutex<Source>);

impl Sources for Switched {
    fn source(&self, _cluster: &ClusterName) -> Option<Source> {
        Some(self.0.lock().unwrap().clone())
    }
}

async fn another_primary(flavour: Flavour) {
    let cluster = Cluster::start_with_replica("another", flavour);
    let mut old = direct(&cluster).await;
    let (table, kinds) = simple_table(&mut old, "another").await;
    let first = source(&cluster, "bulkhead_admin");
    let second = Source {
        server: ServerId { host: "127.0.0.1".into(), port: cluster.port(Role::Replica) },
        ..first.clone()
    };
    let sources = Arc::new(Switched(std::sync::Mutex::new(first.clone())));
    let feeds = Feeds::new(Arc::clone(&sources) as Arc<dyn Sources>);
    let mut subscription = feeds.subscribe(&name(), table.clone(), Arc::clone(&kinds), None).await.unwrap();
    let strays = Arc::new(Switched(std::sync::Mutex::new(first.clone())));
    let stray_feeds = Feeds::new(Arc::clone(&strays) as Arc<dyn Sources>);
    let mut stray = stray_feeds.subscribe(&name(), table.clone(), kinds, None).await.unwrap();
    query(&mut old, "INSERT INTO t VALUES (1, 'old')").await;
    feeds.mark(&name()).await.unwrap();
    let mut new = Direct::open(&second.server, &second.login, &second.tls, WAIT).await.unwrap();
    let replicated = async {
        while query(&mut new, "SELECT * FROM zz_bulkhead.markers").await.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // Until the replica has the marker, its table may not be there either.
    tokio::time::sleep(Duration::from_secs(1)).await;
    tokio::time::timeout(WAIT, replicated).await.unwrap();
    let promotion: &[&str] = match flavour {
        Flavour::MySql => &["STOP REPLICA", "SET GLOBAL super_read_only = OFF", "SET GLOBAL read_only = OFF"],
        Flavour::MariaDb => &["STOP SLAVE", "SET GLOBAL read_only = OFF"],
    };
    for sql in promotion {
        query(&mut new, sql).await;
    }
    *sources.0.lock().unwrap() = second.clone();
    query(&mut new, "INSERT INTO another.t VALUES (2, 'new')").await;
    let marker = feeds.mark(&name()).await.unwrap();
    let told = until_marker(&mut subscription, marker).await;
    let ids: Vec<_> = told.rows.iter().map(|(_, after)| integer(after.as_ref().unwrap(), 0)).collect();
    assert_eq!(ids, [1, 2], "nothing lost, nothing twice");

    // One that has seen what the new primary never had is told so, and goes no further.
    query(&mut old, "INSERT INTO t VALUES (3, 'stray')").await;
    let marker = stray_feeds.mark(&name()).await.unwrap();
    assert_eq!(until_marker(&mut stray, marker).await.rows.len(), 2);
    *strays.0.lock().unwrap() = second;
    let error = loop {
        match tokio::time::timeout(2 * WAIT, stray.next()).await.unwrap() {
            Ok(Change::Advanced { .. }) => {}
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, FeedError::Diverged { .. }), "{error}");
}

async fn unfit_servers(flavour: Flavour) {
    let cluster = Cluster::start("unfit", flavour);
    let mut control = direct(&cluster).await;
    let (table, kinds) = simple_table(&mut control, "unfit").await;
    let feeds = feeds(&cluster);
    let cluster_name = name();
    let subscribe = || feeds.subscribe(&cluster_name, table.clone(), Arc::clone(&kinds), None);
    let mut cases = vec![
        ("binlog_row_image = 'MINIMAL'", "binlog_row_image = 'FULL'", "binlog_row_image is MINIMAL"),
        ("binlog_format = 'MIXED'", "binlog_format = 'ROW'", "binlog_format is MIXED"),
    ];
    if flavour == Flavour::MySql {
        cases.extend([
            (
                "binlog_row_value_options = 'PARTIAL_JSON'",
                "binlog_row_value_options = ''",
                "binlog_row_value_options is PARTIAL_JSON",
            ),
            ("binlog_order_commits = OFF", "binlog_order_commits = ON", "binlog_order_commits is OFF"),
        ]);
    }
    for (wrong, right, word) in cases {
        query(&mut control, format!("SET GLOBAL {wrong}")).await;
        let error = subscribe().await.unwrap_err();
        assert!(matches!(error, FeedError::Unsuited { .. }) && error.to_string().contains(word), "{error}");
        query(&mut control, format!("SET GLOBAL {right}")).await;
    }
    subscribe().await.unwrap();

    let password = &cluster.password;
    let reading = "REPLICATION SLAVE";
    let asking = if flavour == Flavour::MySql { "REPLICATION CLIENT" } else { "BINLOG MONITOR" };
    for (user, grants, is_reading) in [
        ("u_nothing", "SELECT", false),
        ("u_asks", asking, false),
        ("u_reads", &*format!("{reading}, {asking}"), true),
    ] {
        query(&mut control, format!("CREATE USER {user} IDENTIFIED BY '{password}'")).await;
        query(&mut control, format!("GRANT {grants} ON *.* TO {user}")).await;
        let feeds = Feeds::new(Arc::new(Fixed(source(&cluster, user))));
        let got = feeds.subscribe(&name(), table.clone(), Arc::clone(&kinds), None).await;
        assert_eq!(got.is_ok(), is_reading, "{user}");
        if let Err(error) = got {
            assert!(matches!(error, FeedError::Privilege { .. }), "{error}");
            assert!(error.to_string().contains("GRANT REPLICATION SLAVE"), "{error}");
        }
        let error = feeds.mark(&name()).await.unwrap_err();
        assert!(matches!(error, FeedError::Privilege { .. }), "{error}");
    }
    let wrong = Source { server: ServerId { host: "127.0.0.1".into(), port: 1 }, ..source(&cluster, "root") };
    let unreachable = Feeds::new(Arc::new(Fixed(wrong)));
    let error = unreachable.subscribe(&name(), table.clone(), kinds.clone(), None).await.unwrap_err();
    assert!(matches!(error, FeedError::Open { .. }), "{error}");
    let other = ClusterName::new("c2");
    let error = feeds.subscribe(&other, table.clone(), kinds.clone(), None).await.unwrap_err();
    assert!(matches!(error, FeedError::UnknownCluster(_)), "{error}");
    assert!(matches!(feeds.mark(&other).await.unwrap_err(), FeedError::UnknownCluster(_)));
}

/// MySQL without GTIDs: positions are of files, and the file changes.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn files_instead_of_gtids() {
    let cluster = Cluster::start("files", Flavour::MySql);
    let mut direct = direct(&cluster).await;
    let (table, kinds) = simple_table(&mut direct, "files").await;
    for mode in ["ON_PERMISSIVE", "OFF_PERMISSIVE", "OFF"] {
        query(&mut direct, format!("SET GLOBAL gtid_mode = {mode}")).await;
    }
    query(&mut direct, "FLUSH BINARY LOGS").await;
    let feeds = feeds(&cluster);
    let cluster_name = name();
    let subscribe = |from| feeds.subscribe(&cluster_name, table.clone(), Arc::clone(&kinds), from);
    let mut subscription = subscribe(None).await.unwrap();
    assert!(matches!(subscription.start(), Position::File { .. }));
    let mut all = Told::default();
    let mut position = None;
    for round in 0..4 {
        query(&mut direct, "START TRANSACTION").await;
        query(&mut direct, format!("INSERT INTO t VALUES ({round}, 'a'), ({}, 'b')", round + 100)).await;
        query(&mut direct, format!("UPDATE t SET v = 'c' WHERE id = {round}")).await;
        query(&mut direct, "COMMIT").await;
        query(&mut direct, "FLUSH BINARY LOGS").await;
        let marker = feeds.mark(&name()).await.unwrap();
        let told = until_marker(&mut subscription, marker).await;
        assert_eq!(told.rows.len(), 3, "round {round}");
        all.rows.extend(told.rows);
        if round == 1 {
            position = told.position;
        }
        assert!(kill_reader(&mut direct).await >= 1);
    }
    apply(&mut direct, "c", &all, &kinds).await;
    same_tables(&mut direct).await;
    let mut again = subscribe(position).await.unwrap();
    let marker = feeds.mark(&name()).await.unwrap();
    assert_eq!(until_marker(&mut again, marker).await.rows.len(), 6, "rounds 2 and 3");
    assert_eq!(until_marker(&mut subscription, marker).await.rows.len(), 0);
}

/// MySQL: transactions with tagged GTIDs, before and behind a lost connection.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn tagged_gtids() {
    let cluster = Cluster::start("tagged", Flavour::MySql);
    let mut direct = direct(&cluster).await;
    let (table, kinds) = simple_table(&mut direct, "tagged").await;
    query(&mut direct, "SET SESSION gtid_next = 'AUTOMATIC:night_job'").await;
    let feeds = feeds(&cluster);
    let mut subscription = feeds.subscribe(&name(), table, kinds, None).await.unwrap();
    for id in 0..3 {
        query(&mut direct, format!("INSERT INTO t VALUES ({id}, 'x')")).await;
        let marker = feeds.mark(&name()).await.unwrap();
        let told = until_marker(&mut subscription, marker).await;
        assert_eq!(told.rows.len(), 1);
        let position = told.position.unwrap().to_string();
        assert!(position.contains(":night_job:1"), "{position}");
        assert!(kill_reader(&mut direct).await >= 1);
    }
}

macro_rules! on_both {
    ($($test:ident: $mysql:ident, $mariadb:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        #[ignore = "needs servers: make test"]
        async fn $mysql() {
            $test(Flavour::MySql).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        #[ignore = "needs servers: make test"]
        async fn $mariadb() {
            $test(Flavour::MariaDb).await;
        }
    )*};
}

on_both! {
    every_type: every_type_comes_as_it_is_mysql, every_type_comes_as_it_is_mariadb;
    several_subscribers: several_subscribers_mysql, several_subscribers_mariadb;
    compressed: compressed_transactions_mysql, compressed_events_mariadb;
    unfit_sessions: unfit_sessions_are_named_mysql, unfit_sessions_are_named_mariadb;
    statements_about_the_table: statements_are_told_mysql, statements_are_told_mariadb;
    odd_tables: odd_tables_mysql, odd_tables_mariadb;
    cut_off_again_and_again: cut_off_again_and_again_mysql, cut_off_again_and_again_mariadb;
    cut_off_within_a_transaction: cut_off_within_mysql, cut_off_within_mariadb;
    direct_connections: direct_connections_mysql, direct_connections_mariadb;
    another_primary: another_primary_mysql, another_primary_mariadb;
    resumed: resumed_mysql, resumed_mariadb;
    unfit_servers: unfit_servers_are_named_mysql, unfit_servers_are_named_mariadb;
    unread_subscriptions_lose_nothing: unread_subscriptions_mysql, unread_subscriptions_mariadb;
    slow_subscribers_hold_nobody_back: slow_subscribers_mysql, slow_subscribers_mariadb;
}
