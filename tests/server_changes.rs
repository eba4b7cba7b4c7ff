//! The change feed against real servers: every type, every way that a log can be lost, cut off or unfit.

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

const FLAVOURS: [Flavour; 2] = [Flavour::MySql, Flavour::MariaDb];
/// How long anything may take that has to come.
const WAIT: Duration = Duration::from_secs(30);
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

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn every_type_comes_as_it_is_mysql() {
    every_type(Flavour::MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn every_type_comes_as_it_is_mariadb() {
    every_type(Flavour::MariaDb).await;
}
