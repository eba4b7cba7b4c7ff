//! Fleet migrations on real servers of both kinds: sixty databases on three clusters, waves, drift, processes
//! that are killed, orders, workspaces that are suspended or made meanwhile.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::clients::run;
use common::fleet::{Stand, WIDEN, WORKSPACES, tail};
use common::servers::try_connect;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn sixty_databases_are_changed_in_waves() {
    let stand = Stand::start("").await;
    // One that somebody changed by hand, one that is suspended.
    stand.sql(7, "ALTER TABLE issues ADD COLUMN odd INT");
    let mut admin = stand.admin().await;
    run(&mut admin, "SET WORKSPACE workspaces 9 STATE suspended").await;
    // What would be done.
    let plan = format!("SUBMIT MIGRATION ON workspaces '{WIDEN}' CANARY '4,5' WAVES '20' DRY RUN");
    let told: Vec<String> = admin.query(&plan).await.expect("it is planned");
    let told = told.join("\n");
    for part in ["60 databases", "59 to change", "1 drifted", "column odd is not wanted", "route copy"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(stand.types("issues", "votes"), BTreeMap::from([("int".to_owned(), 60)]));
    // A type change: copied, everywhere but where it drifted.
    let id = stand.submit(WIDEN, "CANARY '4,5' WAVES '20'").await;
    stand.until_changed(&id, 30).await;
    // Made meanwhile, from a template that is still the old one.
    run(&mut admin, "CREATE WORKSPACE workspaces 100 ON b WITH DATABASE").await;
    stand.until_changed(&id, 58).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let standings = stand.standings(&id).await;
    assert_eq!(standings["drifted"], ["ws_7"], "{standings:?}");
    assert_eq!(standings["later"], ["ws_9"], "{standings:?}");
    run(&mut admin, "SET WORKSPACE workspaces 9 STATE active").await;
    stand.until(&id, "finished").await;
    let types = stand.types("issues", "votes");
    assert_eq!(types, BTreeMap::from([("bigint".to_owned(), 60), ("int".to_owned(), 1)]), "{types:?}");
    for workspace in [1, 2, 3, 9, 60] {
        assert_eq!(stand.sql(workspace, "SELECT votes FROM issues"), workspace.to_string());
    }
    // Direct, in place, with an assertion; the same statement again has nothing to do.
    let id = stand.submit("ALTER TABLE issues ADD COLUMN age INT", "DRIFTED WAVES '20'").await;
    stand.until(&id, "finished").await;
    assert_eq!(stand.types("issues", "age"), BTreeMap::from([("int".to_owned(), 61)]));
    assert_eq!(stand.counts(&id).await, BTreeMap::from([("changed".to_owned(), 61)]));
}

/// Writes through the proxy, and remembers what was acknowledged.
async fn write(
    (port, password): (u16, String),
    stop: Arc<AtomicBool>,
    written: Arc<Vec<AtomicU64>>,
    first: usize,
) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let opened =
            tokio::time::timeout(Duration::from_secs(5), try_connect(port, "app", &password, None)).await;
        let Ok(Ok(mut conn)) = opened else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        loop {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let id = (first + number * 4) % WORKSPACES + 1;
            number += 1;
            let insert = format!("INSERT INTO ws_{id}.issues (title, votes) VALUES ('written', {number})");
            match conn.query_drop(insert).await {
                Ok(()) => {
                    written[id].fetch_add(1, Ordering::Relaxed);
                }
                Err(mysql_async::Error::Server(_)) => {}
                Err(_) => break,
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_process_that_is_killed_repeats_and_loses_nothing() {
    let mut stand = Stand::start("").await;
    let written: Arc<Vec<AtomicU64>> = Arc::new((0..=WORKSPACES).map(|_| AtomicU64::new(0)).collect());
    let stop = Arc::new(AtomicBool::new(false));
    let door = (stand.bulkhead.port, stand.bulkhead.password.clone());
    let mut writers = Vec::new();
    for first in 0..4 {
        writers.push(tokio::spawn(write(door.clone(), stop.clone(), written.clone(), first)));
    }
    let id = stand.submit(WIDEN, "CANARY 3 WAVES '20'").await;
    for changed in [5, 20, 40] {
        stand.until_changed(&id, changed).await;
        stand.bulkhead.kill();
        stand.bulkhead.launch();
    }
    stand.until(&id, "finished").await;
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("it ends");
    }
    assert_eq!(
        stand.counts(&id).await,
        BTreeMap::from([("changed".to_owned(), 60)]),
        "{}",
        tail(&stand.bulkhead)
    );
    assert_eq!(stand.types("issues", "votes"), BTreeMap::from([("bigint".to_owned(), 60)]));
    // Each table was exchanged once: it left one old table, and no shadow.
    let artifacts: Vec<String> = stand
        .clusters
        .iter()
        .flat_map(|cluster| {
            let tables = cluster.sql("SHOW TABLES FROM zz_bulkhead");
            tables.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let count = |prefix: &str| artifacts.iter().filter(|name| name.starts_with(prefix)).count();
    assert_eq!((count("old_"), count("new_")), (60, 0), "{artifacts:?}");
    // Every write that was acknowledged is there.
    let mut total = 0;
    for workspace in 1..=WORKSPACES {
        let there: u64 = stand.sql(workspace, "SELECT COUNT(*) FROM issues").parse().expect("a number");
        let acknowledged = written[workspace].load(Ordering::Relaxed) + 1;
        assert!(there >= acknowledged, "ws_{workspace}: {there} rows, {acknowledged} were acknowledged");
        total += acknowledged;
    }
    assert!(total > 500, "{total} writes");
}

async fn foreign_is_seen(admin: &mut Conn, id: &str) {
    let seen = async {
        loop {
            let rows: Vec<Row> =
                admin.query(format!("SHOW MIGRATION CLUSTERS '{id}'")).await.expect("they are shown");
            let foreign = |row: &Row| row.get::<u32, _>("foreign").is_some_and(|count| count > 0);
            if rows.iter().any(foreign) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), seen).await.expect("the foreign change is seen");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn orders_are_followed_while_it_goes_on() {
    let stand = Stand::start("").await;
    let mut admin = stand.admin().await;
    // One row that a unique key will meet.
    stand.sql(30, "INSERT INTO issues (title, votes) VALUES ('twice', 30)");
    let unique = "ALTER TABLE issues ADD UNIQUE KEY u (votes)";
    let id = stand.submit(unique, "CANARY 3 WAVES '20' FAILURES 5").await;
    run(&mut admin, &format!("PACE MIGRATION '{id}' AT ONCE 1 PER SECOND 2")).await;
    stand.until_changed(&id, 3).await;
    run(&mut admin, &format!("PAUSE MIGRATION '{id}'")).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = stand.counts(&id).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(stand.counts(&id).await, before, "paused");
    assert!(before["waiting"] > 40, "{before:?}");
    run(&mut admin, &format!("SKIP DATABASE ws_20 OF MIGRATION '{id}'")).await;
    // Schema changes of others are seen, and take from the same budget.
    let mut holder = stand.clusters[0].connect(common::servers::Role::Primary, "root").await;
    run(&mut holder, "CREATE DATABASE other").await;
    run(&mut holder, "CREATE TABLE other.t (id INT PRIMARY KEY)").await;
    run(&mut holder, "LOCK TABLES other.t READ").await;
    let mut foreign = stand.clusters[0].connect(common::servers::Role::Primary, "root").await;
    let alter = tokio::spawn(async move { foreign.query_drop("ALTER TABLE other.t ADD COLUMN a INT").await });
    run(&mut admin, &format!("RESUME MIGRATION '{id}'")).await;
    foreign_is_seen(&mut admin, &id).await;
    run(&mut admin, &format!("PACE MIGRATION '{id}' OFF")).await;
    run(&mut holder, "UNLOCK TABLES").await;
    alter.await.expect("it ends").expect("it is made");
    stand.until(&id, "finished").await;
    let standings = stand.standings(&id).await;
    assert_eq!(
        (&standings["failed"][..], &standings["skipped"][..]),
        (&["ws_30".to_owned()][..], &["ws_20".to_owned()][..])
    );
    stand.sql(30, "DELETE FROM issues WHERE title = 'twice'");
    run(&mut admin, &format!("RETRY MIGRATION '{id}'")).await;
    stand.until_changed(&id, 59).await;
    stand.until(&id, "finished").await;
    // Cancelled in the middle: what is done stays, and the same statement finds it done.
    let id = stand.submit(WIDEN, "CANARY 3 WAVES '20'").await;
    run(&mut admin, &format!("PACE MIGRATION '{id}' AT ONCE 1 PER SECOND 5")).await;
    stand.until_changed(&id, 6).await;
    run(&mut admin, &format!("CANCEL MIGRATION '{id}'")).await;
    stand.until(&id, "cancelled").await;
    let wide = stand.types("issues", "votes")["bigint"];
    assert!((6..60).contains(&wide), "{wide}");
    let again = stand.submit(WIDEN, "DRIFTED WAVES '20'").await;
    stand.until(&again, "finished").await;
    assert_eq!(stand.types("issues", "votes"), BTreeMap::from([("bigint".to_owned(), 60)]));
    let changed = stand.counts(&again).await["changed"];
    assert_eq!(changed, 60 - wide, "those that were done are not touched again");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn several_statements_are_one_plan() {
    let stand = Stand::start("").await;
    let several = "ALTER TABLE issues ADD COLUMN a INT; ALTER TABLE issues MODIFY a BIGINT; \
                   CREATE TABLE tags (id BIGINT PRIMARY KEY, name VARCHAR(9)); \
                   CREATE INDEX by_name ON tags (name); \
                   CREATE OR REPLACE VIEW titles AS SELECT title, a FROM issues";
    let id = stand.submit(several, "WAVES '20'").await;
    stand.until(&id, "finished").await;
    assert_eq!(stand.counts(&id).await, BTreeMap::from([("changed".to_owned(), 60)]));
    assert_eq!(stand.types("issues", "a"), BTreeMap::from([("bigint".to_owned(), 60)]));
    assert_eq!(stand.types("titles", "a"), BTreeMap::from([("bigint".to_owned(), 60)]));
    assert_eq!(stand.types("tags", "name"), BTreeMap::from([("varchar".to_owned(), 60)]));
    // A view that is there is done if it is the same, and somebody else's if not.
    for cluster in &stand.clusters {
        let first =
            cluster.sql("SELECT MIN(table_schema) FROM information_schema.tables WHERE table_name = 'tags'");
        cluster
            .sql(&format!("CREATE VIEW {0}.short AS SELECT {0}.issues.title FROM {0}.issues", first.trim()));
    }
    let plain = "CREATE VIEW short AS SELECT title, a FROM issues";
    let id = stand.submit(plain, "DRIFTED WAVES '20'").await;
    stand.until(&id, "finished").await;
    let some = BTreeMap::from([("changed".to_owned(), 57), ("drifted".to_owned(), 3)]);
    assert_eq!(stand.counts(&id).await, some);
    assert_eq!(stand.types("short", "a"), BTreeMap::from([("bigint".to_owned(), 57)]));
    let id = stand.submit(plain, "DRIFTED WAVES '20'").await;
    stand.until(&id, "finished").await;
    let none = BTreeMap::from([("there".to_owned(), 57), ("drifted".to_owned(), 3)]);
    assert_eq!(stand.counts(&id).await, none);
    for cluster in &stand.clusters {
        let twins = "SELECT COUNT(*) FROM information_schema.views WHERE table_schema = 'zz_bulkhead'";
        assert_eq!(cluster.sql(twins).trim(), "0");
    }
    // Put away, and kept for a time.
    let id = stand.submit("DROP VIEW titles; DROP TABLE tags", "ACKNOWLEDGED DRIFTED WAVES '20'").await;
    stand.until(&id, "finished").await;
    assert!(stand.types("tags", "name").is_empty() && stand.types("titles", "a").is_empty());
    for cluster in &stand.clusters {
        let kept = cluster.sql(
            "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'zz_bulkhead' AND \
             table_name LIKE 'old\\_%' AND column_name = 'name'",
        );
        assert_eq!(kept.trim(), "20");
    }
}
