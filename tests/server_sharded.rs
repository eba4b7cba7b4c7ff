//! Shared tables on two shards: transactions that wait for theirs, INSERTs that are split, questions about
//! the statement before.

mod common;

use std::time::{Duration, Instant};

use common::clients::{errno, run, value};
use common::servers::{Cluster, Flavour, Role, Setup};
use mysql_async::prelude::Queryable;

/// Ends a wait for what never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A keyspace of shared tables on two shards, beside `app` on the first one's cluster.
fn setup(cluster: &Cluster, second: &Cluster) -> Setup {
    for cluster in [cluster, second] {
        let table = "shared.facts (workspace_id BIGINT, n INT, PRIMARY KEY (workspace_id, n))";
        cluster.sql(&format!("CREATE DATABASE IF NOT EXISTS shared; CREATE TABLE IF NOT EXISTS {table}"));
    }
    let shared = "layout = \"shared_tables\"\nworkspace_column = \"workspace_id\"\n\
                  workspace_vindex = \"by_workspace\"\n[vindexes.by_workspace]\ntype = \"xxhash\"\n\
                  [tables.facts]\n";
    cluster.sql("CREATE DATABASE IF NOT EXISTS app; CREATE TABLE IF NOT EXISTS app.t (id INT PRIMARY KEY)");
    Setup::default()
        .cluster_as("c1", cluster)
        .cluster_as("c2", second)
        .config("[keyspaces.app]\nshards = { \"-\" = \"c1\" }\n")
        .config("[keyspaces.shared]\nshards = { \"-80\" = \"c1\", \"80-\" = \"c2\" }")
        .config("reads_after_writes = true")
        .vschema("app.toml", "layout = \"unsharded\"\n")
        .vschema("shared.toml", shared)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_transaction_waits_for_its_shard() {
    let cluster = Cluster::shared(Flavour::MySql);
    let second = Cluster::start("c2", Flavour::MySql);
    let bulkhead = setup(cluster, &second).start();
    // Workspaces of both shards, whichever they are.
    for workspace in 1..=8 {
        for (end, left) in [("ROLLBACK", "0"), ("COMMIT", "1")] {
            let mut conn = bulkhead.connect(Some("shared")).await;
            for sql in [
                "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                "START TRANSACTION",
                "SELECT 1",
                "SET @a = 1, SESSION lock_wait_timeout = 50",
                "SHOW VARIABLES LIKE 'gtid_mode'",
                "SAVEPOINT before_all",
                &format!("INSERT INTO facts (workspace_id, n) VALUES ({workspace}, 1)"),
                "SELECT @a",
                // The target of another cluster: what ends the transaction still goes where it is.
                "USE app",
                "SAVEPOINT more",
                "ROLLBACK TO more",
                "SELECT DATABASE(), CONNECTION_ID()",
                end,
            ] {
                run(&mut conn, sql).await;
            }
            let count = format!("SELECT COUNT(*) FROM shared.facts WHERE workspace_id = {workspace}");
            let found = [cluster, &second].map(|cluster| cluster.sql(&count).trim().to_owned());
            assert!(found == [left, "0"] || found == ["0", left], "workspace {workspace}, {end}: {found:?}");
        }
    }
    cluster.sql("DELETE FROM shared.facts");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn an_insert_is_split_by_row() {
    let cluster = Cluster::start("c1", Flavour::MySql);
    let second = Cluster::start("c2", Flavour::MySql);
    let bulkhead = setup(&cluster, &second).start();
    let mut conn = bulkhead.connect(Some("shared")).await;
    let rows: Vec<String> = (1..=8).map(|workspace| format!("({workspace}, 1), ({workspace}, 2)")).collect();
    conn.query_drop(format!("INSERT INTO facts (workspace_id, n) VALUES {}", rows.join(", ")))
        .await
        .expect("text");
    assert_eq!(conn.affected_rows(), 16);
    // The same rows again and one more of each workspace, with a parameter behind the rows.
    let sql = format!(
        "INSERT INTO facts (workspace_id, n) VALUES {} ON DUPLICATE KEY UPDATE n = n + ?",
        ["(?, 2), (?, ?)"; 8].join(", ")
    );
    let params: Vec<u64> = (1..=8).flat_map(|workspace| [workspace, workspace, 30 + workspace]).collect();
    let params: Vec<u64> = params.into_iter().chain([100]).collect();
    conn.exec_drop(&sql, mysql_async::Params::from(params)).await.expect("prepared");
    assert_eq!(conn.affected_rows(), 8 * 2 + 8);
    let all = "SELECT workspace_id, n FROM shared.facts ORDER BY 1, 2";
    let found = [&cluster, &second].map(|cluster| cluster.sql(all));
    assert!(found.iter().all(|rows| !rows.is_empty()), "both shards have rows: {found:?}");
    let mut rows: Vec<String> = found.iter().flat_map(|rows| rows.lines()).map(str::to_owned).collect();
    rows.sort();
    let of = |workspace: u64| [1, 102, 30 + workspace].map(|n| format!("{workspace}\t{n}"));
    let mut expected: Vec<String> = (1..=8).flat_map(of).collect();
    expected.sort();
    assert_eq!(rows, expected);
    // A row that one shard refuses leaves nothing on the other.
    let refused = conn.exec_drop(
        format!("INSERT INTO facts (workspace_id, n) VALUES {}", ["(?, ?)"; 9].join(", ")),
        mysql_async::Params::from((1..=8).flat_map(|w| [w, 50u64]).chain([8, 1]).collect::<Vec<u64>>()),
    );
    assert_eq!(errno(refused.await).0, 1062);
    let left =
        [&cluster, &second].map(|cluster| cluster.sql("SELECT COUNT(*) FROM shared.facts WHERE n = 50"));
    assert_eq!(left.map(|count| count.trim().to_owned()), ["0", "0"]);
}

/// Two workspaces, one of each shard.
fn workspaces_of_both(cluster: &Cluster, second: &Cluster) -> [i64; 2] {
    [cluster, second].map(|cluster| {
        let found = cluster.sql("SELECT workspace_id FROM shared.facts LIMIT 1");
        found.trim().parse().expect("a workspace")
    })
}

async fn all_facts(cluster: &Cluster, second: &Cluster) -> i64 {
    let mut all = 0;
    for cluster in [cluster, second] {
        let mut conn = cluster.connect(Role::Primary, "root").await;
        all += value(&mut conn, "SELECT COUNT(*) FROM shared.facts").await;
    }
    all
}

/// Waits until one of the servers commits for a client.
async fn until_commit(clusters: &[&Cluster]) {
    let sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'COMMIT%'";
    let mut conns = Vec::new();
    for cluster in clusters {
        conns.push(cluster.connect(Role::Primary, "root").await);
    }
    let began = Instant::now();
    loop {
        for conn in &mut conns {
            if value(conn, sql).await > 0 {
                return;
            }
        }
        assert!(began.elapsed() < PATIENCE, "nothing is committed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_split_insert_is_committed_whatever_happens() {
    let cluster = Cluster::start("c1", Flavour::MySql);
    let second = Cluster::start("c2", Flavour::MySql);
    let bulkhead = setup(&cluster, &second).config("[timeouts]\nquery = \"700ms\"\n").start();
    // Both shards take longer for a COMMIT than a statement may take.
    for cluster in [&cluster, &second] {
        cluster.sql("SET GLOBAL binlog_group_commit_sync_delay = 900000");
    }
    let rows = |n: u32| {
        let rows: Vec<String> = (1..=8).map(|workspace| format!("({workspace}, {n})")).collect();
        format!("INSERT INTO facts (workspace_id, n) VALUES {}", rows.join(", "))
    };
    let mut conn = bulkhead.connect(Some("shared")).await;
    run(&mut conn, &rows(1)).await;
    assert_eq!((conn.affected_rows(), all_facts(&cluster, &second).await), (8, 8));
    // The client leaves, and is killed, between the COMMITs.
    let mut leaving = bulkhead.connect(Some("shared")).await;
    let (id, insert) = (leaving.id(), rows(2));
    let leaving = tokio::spawn(async move { leaving.query_drop(insert).await });
    until_commit(&[&cluster, &second]).await;
    assert!(!leaving.is_finished());
    let _ = conn.query_drop(format!("KILL {id}")).await;
    leaving.abort();
    let (mut all, began) = (0, Instant::now());
    while all != 16 && began.elapsed() < PATIENCE {
        all = all_facts(&cluster, &second).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(all, 16, "half of the rows stayed behind");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_split_insert_whose_first_commit_cannot_be_sent_commits_nothing() {
    let cluster = Cluster::start("c1", Flavour::MySql);
    let second = Cluster::start("c2", Flavour::MySql);
    let bulkhead = setup(&cluster, &second).start();
    let mut conn = bulkhead.connect(Some("shared")).await;
    let rows: Vec<String> = (1..=8).map(|workspace| format!("({workspace}, 1)")).collect();
    run(&mut conn, &format!("INSERT INTO facts (workspace_id, n) VALUES {}", rows.join(", "))).await;
    let [first, other] = workspaces_of_both(&cluster, &second);
    // The other shard's part waits while the first one, which is committed first, loses its connection.
    let mut holder = second.connect(Role::Primary, "root").await;
    run(&mut holder, "LOCK TABLES shared.facts WRITE").await;
    let insert = format!("INSERT INTO facts (workspace_id, n) VALUES ({first}, 2), ({other}, 2)");
    let inserting = tokio::spawn(async move { errno(conn.query_drop(insert).await) });
    let mut root = cluster.connect(Role::Primary, "root").await;
    let find = "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx t \
                JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id \
                WHERE trx_rows_modified > 0 AND p.user = 'bulkhead_app'";
    let until = Instant::now() + Duration::from_secs(20);
    let thread: u64 = loop {
        assert!(Instant::now() < until, "the first part never ran");
        if let Some(thread) = root.query_first(find).await.expect("answers") {
            break thread;
        }
        // InnoDB keeps its answer until nobody has asked for 100 ms.
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    run(&mut root, &format!("KILL {thread}")).await;
    let gone = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE id = {thread}");
    while value(&mut root, &gone).await > 0 {
        assert!(Instant::now() < until, "it was never killed");
    }
    run(&mut holder, "UNLOCK TABLES").await;
    let (code, message) = inserting.await.expect("it ends");
    assert!(code != 0 && message.contains("nothing was committed"), "{code} {message}");
    assert_eq!(all_facts(&cluster, &second).await, 8, "a part of the rows is there");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn what_no_shard_has_seen_is_still_a_transaction() {
    let cluster = Cluster::start("c1", Flavour::MySql);
    let second = Cluster::start("c2", Flavour::MySql);
    let bulkhead = setup(&cluster, &second).start();
    let insert = "INSERT INTO facts (workspace_id, n) VALUES (1, 1)";
    let count = "SELECT COUNT(*) FROM facts WHERE workspace_id = 1";
    for (statements, rows) in [
        (&["SET autocommit = 0", "SAVEPOINT a", insert, "ROLLBACK TO a", "COMMIT"][..], 0),
        (&["SET autocommit = 0", "SAVEPOINT a", "ROLLBACK", insert, "COMMIT"], 1),
        (&["BEGIN", "COMMIT AND CHAIN", insert, "ROLLBACK"], 0),
        (&["COMMIT AND CHAIN", insert, "ROLLBACK"], 0),
        (&["BEGIN", "COMMIT AND NO CHAIN", insert, "ROLLBACK"], 1),
        (&["SET completion_type = 'CHAIN'", "BEGIN", "ROLLBACK", insert, "ROLLBACK"], 0),
        (&["SET autocommit = 0", "BEGIN", "SET autocommit = 1", insert, "ROLLBACK"], 1),
        (&["BEGIN", "SET autocommit = 1", insert, "ROLLBACK"], 0),
        (&["SELECT GET_LOCK('a', 1) /*workspace_id:1*/", "BEGIN", "COMMIT", insert, "ROLLBACK"], 1),
    ] {
        run(&mut bulkhead.connect(Some("shared")).await, "DELETE FROM facts WHERE workspace_id = 1").await;
        let mut conn = bulkhead.connect(Some("shared")).await;
        for sql in statements {
            conn.query_drop(*sql).await.unwrap_or_else(|error| panic!("{statements:?}, {sql}: {error}"));
        }
        assert_eq!(value(&mut conn, count).await, rows, "{statements:?}");
    }
    // Where the shard is known, a savepoint without autocommit is set at once, and no status tells of it.
    for (statements, rows) in [
        (&["SAVEPOINT a", "INSERT INTO t VALUES (1)", "ROLLBACK TO a", "COMMIT"][..], 0),
        (&["SAVEPOINT a", "SELECT 1", "SET @x = 1", "SELECT @x", "ROLLBACK TO a", "COMMIT"], 0),
        (
            &[
                "SAVEPOINT a",
                "SELECT * FROM t",
                "SAVEPOINT b",
                "INSERT INTO t VALUES (1)",
                "RELEASE SAVEPOINT a",
            ],
            1,
        ),
        (&["SAVEPOINT a", "RELEASE SAVEPOINT a", "INSERT INTO t VALUES (1)", "COMMIT"], 1),
        (&["SAVEPOINT a", "INSERT INTO t VALUES (1)", "SET autocommit = 1", "ROLLBACK"], 1),
        (
            &["SAVEPOINT a", "CREATE TABLE IF NOT EXISTS u (id INT)", "INSERT INTO t VALUES (1)", "ROLLBACK"],
            0,
        ),
    ] {
        run(&mut bulkhead.connect(Some("app")).await, "DELETE FROM t").await;
        let mut conn = bulkhead.connect(Some("app")).await;
        for sql in ["SET autocommit = 0"].iter().chain(statements) {
            conn.query_drop(*sql).await.unwrap_or_else(|error| panic!("{statements:?}, {sql}: {error}"));
        }
        assert_eq!(value(&mut conn, "SELECT COUNT(*) FROM t").await, rows, "{statements:?}");
    }
    let mut conn = bulkhead.connect(Some("app")).await;
    for sql in ["SET autocommit = 0", "SAVEPOINT k", "INSERT INTO t VALUES (7)"] {
        run(&mut conn, sql).await;
    }
    assert_eq!(errno(conn.query_drop("INSERT INTO nowhere VALUES (7)").await).0, 1146);
    run(&mut conn, "ROLLBACK TO k").await;
    run(&mut conn, "COMMIT").await;

    let mut conn = bulkhead.connect(Some("shared")).await;
    run(&mut conn, "BEGIN").await;
    for (sql, expected) in [
        ("ROLLBACK TO nothing", 1305),
        ("RELEASE SAVEPOINT nothing", 1305),
        ("SET TRANSACTION READ ONLY", 1568),
    ] {
        assert_eq!(errno(conn.query_drop(sql).await).0, expected, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn questions_go_where_the_statement_before_ran() {
    let cluster = Cluster::start_with_replica("c1", Flavour::MySql);
    let second = Cluster::start("c2", Flavour::MySql);
    let bulkhead = setup(&cluster, &second).start();
    let mut conn = bulkhead.connect(Some("shared")).await;
    let rows: Vec<String> = (1..=8).map(|workspace| format!("({workspace}, 1)")).collect();
    run(&mut conn, &format!("INSERT INTO facts (workspace_id, n) VALUES {}", rows.join(", "))).await;
    for workspace in workspaces_of_both(&cluster, &second) {
        // At once, while the connection is kept, and for both shards: one is not where the target leads.
        for _ in 0..3 {
            run(&mut conn, &format!("INSERT IGNORE INTO facts (workspace_id, n) VALUES ({workspace}, 1)"))
                .await;
            let warnings: Vec<(String, u16, String)> = conn.query("SHOW WARNINGS").await.expect("rows");
            assert!(matches!(warnings.as_slice(), [(_, 1062, _)]), "{workspace}: {warnings:?}");
            run(&mut conn, "SELECT LAST_INSERT_ID(), CONNECTION_ID()").await;
            // What answers alone must not tie the session to a shard.
            run(&mut conn, &format!("INSERT IGNORE INTO facts (workspace_id, n) VALUES ({workspace}, 1)"))
                .await;
            run(&mut conn, "SELECT CONNECTION_ID()").await;
            let none: Vec<(String, u16, String)> = conn.query("SHOW WARNINGS").await.expect("rows");
            assert!(none.is_empty(), "the SELECT had none: {none:?}");
        }
    }
    // A read on a replica had a warning; what follows asks about it, and writes.
    run(&mut conn, "USE app").await;
    run(&mut conn, "DELETE FROM t").await;
    for id in 1..=5 {
        run(&mut conn, "SELECT CAST('x' AS SIGNED) /*bulkhead: replica */").await;
        run(&mut conn, &format!("INSERT INTO t VALUES (LAST_INSERT_ID() + {id})")).await;
    }
    assert_eq!(value(&mut conn, "SELECT COUNT(*) FROM t").await, 5);
    // An id that one session generated is not another's, though both had the same connection.
    cluster.sql("CREATE TABLE app.ids (id INT PRIMARY KEY AUTO_INCREMENT, n INT)");
    let mut other = bulkhead.connect(Some("app")).await;
    run(&mut conn, "INSERT INTO ids (n) VALUES (1)").await;
    run(&mut other, "INSERT INTO ids (n) VALUES (2)").await;
    assert_eq!(value(&mut conn, "SELECT LAST_INSERT_ID()").await, 1);
    assert_eq!(value(&mut other, "SELECT LAST_INSERT_ID()").await, 2);
    run(&mut conn, "INSERT INTO ids (n) VALUES (LAST_INSERT_ID() + 10)").await;
    assert_eq!(value(&mut other, "SELECT n FROM ids WHERE id = 3").await, 11);
    // Stored code keeps its own calls.
    run(&mut conn, "CREATE PROCEDURE who() SELECT CONNECTION_ID(), DATABASE()").await;
    let body = cluster.sql("SHOW CREATE PROCEDURE app.who").to_lowercase();
    assert!(body.contains("connection_id()") && body.contains("database()"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn reads_see_split_writes() {
    let clusters = [("c1", Flavour::MySql), ("c2", Flavour::MySql)]
        .map(|(name, f)| Cluster::start_with_replica(name, f));
    let [cluster, second] = &clusters;
    let bulkhead = setup(cluster, second).start();
    for cluster in &clusters {
        let mut replica = cluster.connect(Role::Replica, "root").await;
        let until = Instant::now() + Duration::from_secs(20);
        while replica.query_drop("SELECT * FROM shared.facts").await.is_err() {
            assert!(Instant::now() < until, "the table never came to the replica");
        }
        run(&mut replica, "STOP REPLICA SQL_THREAD").await;
    }
    let mut conn = bulkhead.connect(Some("shared")).await;
    let rows: Vec<String> = (1..=8).map(|workspace| format!("({workspace}, 1)")).collect();
    run(&mut conn, &format!("INSERT INTO facts (workspace_id, n) VALUES {}", rows.join(", "))).await;
    let mut other = bulkhead.connect(Some("shared")).await;
    for workspace in workspaces_of_both(cluster, second) {
        let count =
            format!("SELECT COUNT(*) FROM facts WHERE workspace_id = {workspace} /*bulkhead: replica */");
        assert_eq!(value(&mut conn, &count).await, 1, "{workspace}: its own write");
        assert_eq!(value(&mut other, &count).await, 0, "{workspace}: nobody else waits");
    }
    // A connection to a replica that is held for something stays, whatever was written.
    run(&mut conn, "USE `shared@replica`").await;
    run(&mut conn, "PREPARE look FROM 'SELECT @@port'").await;
    let port = value(&mut conn, "EXECUTE look").await;
    assert!(clusters.iter().any(|cluster| cluster.replica_port.map(i64::from) == Some(port)), "{port}");
}
