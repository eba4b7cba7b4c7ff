//! Asks MySQL and MariaDB whether they agree with the matrices in `tests/ddl`: every row with a definition is
//! run with the assertion that is promised, and with the milder ones that are not.
//!
//! A server that refuses what is promised is a fault. A server that would do more than is made use of, or
//! does not take the statement at all, must be listed in `tests/ddl/exceptions.txt` with the reason; a line
//! there that no longer holds is a fault too.

mod common;
#[path = "ddl/golden.rs"]
#[allow(dead_code, reason = "tests/ddl.rs uses the rest")]
mod golden;

use std::collections::BTreeMap;
use std::path::Path;

use bulkhead::ddl::{Lock, Offer, Work, assert_edits, edited};
use bulkhead::sql::{ChangeForm, ClauseKind, SqlMode, TableChange};
use common::servers::{Cluster, Flavour, Role};
use golden::Case;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

/// The table of every case, and those that cases refer to.
async fn set_up(conn: &mut Conn, table: &str) {
    for sql in [
        "SET foreign_key_checks = 0",
        "DROP TABLE IF EXISTS t, t2, u, parent",
        "SET foreign_key_checks = 1",
        "CREATE TABLE parent (id BIGINT NOT NULL PRIMARY KEY)",
        table,
    ] {
        conn.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// Runs a statement on a fresh table; the server's refusal, if it refuses.
async fn ask(conn: &mut Conn, table: &str, sql: &str) -> Result<(), String> {
    set_up(conn, table).await;
    conn.query_drop(sql).await.map_err(|error| error.to_string())
}

/// Assertions that are milder than the offer: the server is expected to refuse them.
fn milder(offer: Offer) -> Vec<Offer> {
    let mut asked = Vec::new();
    if !offer.instant {
        asked.push(Offer::INSTANT);
    }
    if !offer.in_place && !offer.instant {
        asked.push(Offer { lock: Lock::Exclusive, ..Offer::REBUILD });
    }
    if offer.in_place && !offer.instant && offer.lock > Lock::None {
        asked.push(Offer { lock: Lock::None, ..offer });
    }
    asked
}

fn asserted(case: &Case, change: &TableChange, offer: Offer) -> String {
    let edits = assert_edits(case.statement.as_bytes(), change, offer, case.setting.server);
    String::from_utf8(edited(case.statement.as_bytes(), &edits)).expect("cases are UTF-8")
}

fn named(offer: Offer, case: &Case) -> String {
    let (algorithm, lock) = offer.assertion(case.setting.server);
    lock.map_or(algorithm.to_owned(), |lock| format!("{algorithm} {lock}"))
}

/// One case: what the server says otherwise, as lines of the exceptions, and faults.
async fn check(conn: &mut Conn, case: &Case, faults: &mut Vec<String>) -> Vec<String> {
    let Some(table) = case.setting.table_text() else { return Vec::new() };
    let (Some(decision), Ok(Some(change))) = (case.decide(), case.change()) else { return Vec::new() };
    let Some(offer) = decision.offer else { return Vec::new() };
    let name = case.setting.table.as_deref().unwrap_or_default();
    let line = |what: &str| format!("{name} | {} | {what}", case.statement);
    check_definition(conn, case, &table, faults).await;
    let unasserted = decision.all_findings().any(|found| found.rule.name == "no_assertion")
        || change.form == ChangeForm::Optimize;
    if offer.class() == bulkhead::ddl::Class::Copy || unasserted {
        if let Err(why) = ask(conn, &table, &case.statement).await {
            println!("not taken: {} {}: {why}", name, case.statement);
            return vec![line("not taken")];
        }
    } else {
        let sql = asserted(case, &change, offer);
        if let Err(why) = ask(conn, &table, &sql).await {
            faults.push(format!("{name}: {sql}: {why}"));
            return Vec::new();
        }
    }
    let mut laxer = Vec::new();
    for milder in milder(offer).into_iter().filter(|_| !unasserted) {
        let sql = asserted(case, &change, milder);
        if ask(conn, &table, &sql).await.is_ok() {
            laxer.push(line(&named(milder, case)));
        }
    }
    laxer
}

/// What the server shows of the table is read completely and means the same as the file.
async fn check_definition(conn: &mut Conn, case: &Case, table: &str, faults: &mut Vec<String>) {
    set_up(conn, table).await;
    let shown: Option<(String, String)> = conn.query_first("SHOW CREATE TABLE t").await.expect("it is there");
    let (_, shown) = shown.expect("one row");
    let mode = SqlMode { server: case.setting.server, ..SqlMode::default() };
    let (live, filed) = (golden::define(&shown, mode), case.setting.definition().expect("there is a file"));
    if !live.unknown.is_empty() || live != filed && shown.trim() == table.trim() {
        faults.push(format!("{:?} is read otherwise: {shown}", case.setting.table));
    }
}

/// Lines of the exceptions of a flavour, each with its reason.
fn exceptions(flavour: &str) -> BTreeMap<String, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ddl/exceptions.txt");
    let text = std::fs::read_to_string(path).expect("the exceptions are there");
    let mut reason = String::new();
    let mut found = BTreeMap::new();
    for line in text.lines() {
        if let Some(said) = line.strip_prefix("# ") {
            said.clone_into(&mut reason);
        } else if let Some(rest) = line.strip_prefix(&format!("{flavour} | ")) {
            assert!(!reason.is_empty(), "no reason for {line}");
            assert!(found.insert(rest.to_owned(), reason.clone()).is_none(), "twice: {line}");
        }
    }
    found
}

async fn agrees(flavour: Flavour, name: &str, file: &str) {
    let cluster = Cluster::shared(flavour);
    let mut conn = cluster.connect(Role::Primary, "root").await;
    conn.query_drop("CREATE DATABASE ddl_matrix").await.expect("may be created");
    conn.query_drop("USE ddl_matrix").await.expect("is there");
    let files = golden::files();
    let file = files.iter().find(|found| found.path.ends_with(file)).expect("the file is there");
    let (mut faults, mut otherwise) = (Vec::new(), Vec::new());
    for case in &file.cases {
        otherwise.extend(check(&mut conn, case, &mut faults).await);
    }
    let listed = exceptions(name);
    let unlisted: Vec<&String> = otherwise.iter().filter(|line| !listed.contains_key(*line)).collect();
    let idle: Vec<&String> = listed.keys().filter(|line| !otherwise.contains(line)).collect();
    unlisted.iter().for_each(|line| println!("{name} | {line}"));
    println!(
        "{name}: {} cases, {} promises refused, {} laxer or not taken ({} listed)",
        file.cases.len(),
        faults.len(),
        otherwise.len(),
        listed.len()
    );
    assert!(file.cases.len() > 200, "{} cases", file.cases.len());
    assert!(faults.is_empty(), "the server refuses what is promised:\n{}", faults.join("\n"));
    assert!(unlisted.is_empty(), "not listed: {unlisted:#?}");
    assert!(idle.is_empty(), "listed for nothing: {idle:#?}");
    // Rows without a rebuild are only worth something while some are promised.
    let promised = |case: &&Case| {
        case.decide().and_then(|decision| decision.offer).is_some_and(|offer| offer.work < Work::Rebuild)
    };
    assert!(file.cases.iter().filter(promised).count() > 50);
}

/// Statements of two clauses each, of the rows of the `base` table that promise something.
fn pairs(file: &golden::File) -> Vec<Case> {
    let is_single = |case: &&Case| {
        let change = case.change().ok().flatten();
        let is_alter = change.as_ref().is_some_and(|change| {
            matches!(change.form, ChangeForm::Alter { is_partitions_only: false })
                && change.clauses.len() == 1
        });
        let offer = case.decide().and_then(|decision| decision.offer);
        case.setting.table.as_deref() == Some("base") && is_alter && offer.is_some_and(|offer| offer.in_place)
    };
    let singles: Vec<&Case> = file.cases.iter().filter(is_single).collect();
    let all = std::env::var_os("BULKHEAD_DDL_PAIRS").is_some();
    let mut pairs = Vec::new();
    for (at, first) in singles.iter().enumerate() {
        for (and, second) in singles.iter().enumerate().skip(at + 1) {
            // A fifth of them: each clause meets a dozen others. BULKHEAD_DDL_PAIRS=all asks all.
            if (at * 3 + and) % 5 == 0 || all {
                pairs.push(first.with(second));
            }
        }
    }
    pairs
}

/// What is promised for two clauses together holds, too.
async fn combinations_hold(flavour: Flavour, file: &str) {
    let cluster = Cluster::shared(flavour);
    let mut conn = cluster.connect(Role::Primary, "root").await;
    conn.query_drop("CREATE DATABASE ddl_pairs").await.expect("may be created");
    conn.query_drop("USE ddl_pairs").await.expect("is there");
    let files = golden::files();
    let file = files.iter().find(|found| found.path.ends_with(file)).expect("the file is there");
    let (mut asked, mut promised, mut faults) = (0, 0, Vec::new());
    for case in pairs(file) {
        let (Some(decision), Ok(Some(change))) = (case.decide(), case.change()) else { continue };
        let (Some(offer), Some(table)) = (decision.offer, case.setting.table_text()) else { continue };
        asked += 1;
        if offer.class() == bulkhead::ddl::Class::Copy {
            continue;
        }
        let sql = asserted(&case, &change, offer);
        match ask(&mut conn, &table, &sql).await {
            Ok(()) => promised += 1,
            // Two clauses may contradict each other; then the server takes them in no way.
            Err(why) if ask(&mut conn, &table, &case.statement).await.is_ok() => {
                faults.push(format!("{sql}: {why}"));
            }
            Err(_) => {}
        }
    }
    println!("{flavour:?}: {asked} pairs, {promised} promises kept, {} refused", faults.len());
    assert!(faults.is_empty(), "the server refuses what is promised:\n{}", faults.join("\n"));
    assert!(promised > 150, "only {promised} of {asked}");
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mysql_keeps_promises_about_two_clauses() {
    combinations_hold(Flavour::MySql, "mysql-9.7.plan").await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mariadb_keeps_promises_about_two_clauses() {
    combinations_hold(Flavour::MariaDb, "mariadb-10.11.plan").await;
}

/// How a column's values before and after are compared.
fn comparison(column: &str) -> String {
    const TEXTS: [&str; 15] =
        ["c", "v", "v200", "vi", "l", "lat", "a", "u3", "tt", "tx", "mt", "e", "s", "s8", "uq"];
    const BYTES: [&str; 3] = ["b", "vb", "bl"];
    let both = |form: fn(&str) -> String| {
        format!("{} <=> {}", form(&format!("t.`{column}`")), form(&format!("kept.`{column}`")))
    };
    if TEXTS.contains(&column) {
        both(|value| format!("HEX(CONVERT({value} USING utf8mb4))"))
    } else if BYTES.contains(&column) {
        both(|value| format!("HEX({value})"))
    } else {
        both(str::to_owned)
    }
}

/// The column whose type a case changes, when that is all it does and nothing is said to be lost.
fn kept_column(case: &Case) -> Option<String> {
    let (decision, change) = (case.decide()?, case.change().ok()??);
    let names: Vec<&str> = decision.all_findings().map(|found| found.rule.name).collect();
    let is_conversion = names.contains(&"type_change") || names.contains(&"members_appended");
    let is_grown = names.contains(&"longer_string");
    let [clause] = change.clauses.as_slice() else { return None };
    let ClauseKind::ChangeColumn { column, .. } = &clause.kind else { return None };
    let counts = (is_conversion || is_grown) && !decision.loses && !decision.breaks;
    counts.then(|| column.name.text.clone())
}

/// Changes that are said to lose nothing are run on the values at the edges of the old type.
async fn values_survive(flavour: Flavour, file: &str) {
    let cluster = Cluster::shared(flavour);
    let mut conn = cluster.connect(Role::Primary, "root").await;
    conn.query_drop("CREATE DATABASE ddl_values").await.expect("may be created");
    conn.query_drop("USE ddl_values").await.expect("is there");
    let files = golden::files();
    let file = files.iter().find(|found| found.path.ends_with(file)).expect("the file is there");
    let (mut count, mut faults) = (0, Vec::new());
    for case in &file.cases {
        let (Some(column), Some(table)) = (kept_column(case), case.setting.table_text()) else { continue };
        let name = case.setting.table.as_deref().unwrap_or_default();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/ddl/values/{name}.sql"));
        let Ok(values) = std::fs::read_to_string(path) else { continue };
        set_up(&mut conn, &table).await;
        for sql in [&*values, "DROP TABLE IF EXISTS kept", "CREATE TABLE kept AS SELECT * FROM t"] {
            conn.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        if let Err(error) = conn.query_drop(&case.statement).await {
            faults.push(format!("{name}: {}: {error}", case.statement));
            continue;
        }
        let warnings: Vec<(String, u32, String)> = conn.query("SHOW WARNINGS").await.expect("it tells");
        let same = comparison(&column);
        let sql = format!("SELECT COUNT(*), COALESCE(SUM({same}), 0) FROM t JOIN kept USING (id)");
        let (rows, equal): (u64, u64) = conn.query_first(sql).await.expect("it compares").expect("one row");
        // Synonyms and display widths are warned about; lost values have other numbers.
        let lost = warnings.iter().any(|(_, number, _)| [1264, 1265, 1292, 1366, 1406].contains(number));
        if rows < 3 || rows != equal || lost {
            faults
                .push(format!("{name}: {}: {equal} of {rows} rows are equal, {warnings:?}", case.statement));
        }
        count += 1;
    }
    println!("{flavour:?}: {count} changes keep every value");
    assert!(faults.is_empty(), "values are lost:\n{}", faults.join("\n"));
    assert!(count >= 35, "only {count}");
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mysql_keeps_the_values_that_are_said_to_be_kept() {
    values_survive(Flavour::MySql, "mysql-9.7.plan").await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mariadb_keeps_the_values_that_are_said_to_be_kept() {
    values_survive(Flavour::MariaDb, "mariadb-10.11.plan").await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mysql_agrees_with_its_matrix() {
    agrees(Flavour::MySql, "mysql", "mysql-9.7.plan").await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mariadb_agrees_with_its_matrix() {
    agrees(Flavour::MariaDb, "mariadb", "mariadb-10.11.plan").await;
}
