//! Bulkhead as its operators see it: logs, health, the command line, and refusals that need two clusters.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use common::clients::{errno, run};
use common::servers::{Bulkhead, Cluster, Flavour, Setup, wait_until};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

const CONFIG: &str = r#"
[keyspaces.app]
shards = { "-" = "c1" }
[keyspaces.spaces]
shards = { a = "c1", b = "c2" }
[keyspaces.shared]
shards = { "-80" = "c1", "80-" = "c2" }
[timeouts]
shutdown = "3s"
[log]
format = "json"
slow_statement = "50ms"
"#;
const SPACES: &str = "layout = \"database_per_workspace\"\ndatabase = \"ws_{workspace_id}\"\n\
                      template = \"ws.sql\"\n";
const SHARED: &str = "layout = \"shared_tables\"\nworkspace_column = \"workspace_id\"\n\
                      workspace_vindex = \"by_workspace\"\n[vindexes.by_workspace]\ntype = \"xxhash\"\n\
                      [tables.facts]\n[tables.countries]\ntype = \"reference\"\n";

fn start(c1: &Cluster, c2: &Cluster) -> Bulkhead {
    for cluster in [c1, c2] {
        cluster.sql(
            "CREATE DATABASE IF NOT EXISTS app; CREATE TABLE IF NOT EXISTS app.t (id INT PRIMARY KEY); \
             CREATE DATABASE shared; CREATE TABLE shared.countries (code CHAR(2) PRIMARY KEY); \
             CREATE TABLE shared.facts (workspace_id BIGINT, n INT, PRIMARY KEY (workspace_id, n))",
        );
    }
    let setup = Setup::default().cluster(c1).cluster(c2).config(CONFIG);
    let setup = match c1.flavour {
        Flavour::MySql => setup,
        Flavour::MariaDb => setup.listen("server_version = \"10.11.14-MariaDB\""),
    };
    setup
        .vschema("app.toml", "layout = \"unsharded\"\n")
        .vschema("spaces.toml", SPACES)
        .vschema("shared.toml", SHARED)
        .vschema("ws.sql", "CREATE TABLE issues (id INT PRIMARY KEY, title VARCHAR(40));\n")
        .start()
}

/// The errno and message of a refusal.
async fn refusal(conn: &mut Conn, sql: &str) -> (u16, String) {
    errno(conn.query_drop(sql).await)
}

/// The status and body of a GET.
fn get(port: u16, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the port answers");
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{answer}")), answer)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn two_clusters_seen_from_outside() {
    let (c1, c2) = (Cluster::start("c1", Flavour::MySql), Cluster::start("c2", Flavour::MySql));
    let mut bulkhead = start(&c1, &c2);
    let mut admin = bulkhead.connect_admin().await;
    run(&mut admin, "CREATE WORKSPACE spaces 1 ON a WITH DATABASE").await;
    run(&mut admin, "CREATE WORKSPACE spaces 2 ON b WITH DATABASE").await;
    let mut conn = bulkhead.connect(Some("ws_1")).await;
    run(&mut conn, "INSERT INTO issues VALUES (1, 'secret words')").await;

    // One transaction, one pin: one cluster.
    run(&mut conn, "BEGIN").await;
    run(&mut conn, "SELECT * FROM issues").await;
    run(&mut conn, "USE ws_2").await;
    let (code, message) = refusal(&mut conn, "SELECT * FROM issues").await;
    assert!(code == 1235 && message.contains("E2014"), "{code} {message}");
    run(&mut conn, "COMMIT").await;
    run(&mut conn, "SELECT * FROM issues").await;
    run(&mut conn, "SELECT GET_LOCK('here', 1)").await;
    run(&mut conn, "USE ws_1").await;
    let (code, message) = refusal(&mut conn, "SELECT * FROM issues").await;
    assert!(code == 1235 && message.contains("E2015"), "{code} {message}");
    run(&mut conn, "SELECT RELEASE_LOCK('here')").await;
    run(&mut conn, "SELECT * FROM issues").await;

    // A workspace that moves takes reads only.
    run(&mut admin, "SET WORKSPACE spaces 1 STATE moving").await;
    run(&mut conn, "SELECT * FROM issues").await;
    let (code, message) = refusal(&mut conn, "DELETE FROM issues").await;
    assert!(message.contains("E3002"), "{code} {message}");
    run(&mut admin, "SET WORKSPACE spaces 1 STATE active").await;

    // Statements to all shards, by directive.
    run(&mut conn, "USE shared").await;
    run(&mut conn, "/*bulkhead: all_shards*/ INSERT INTO countries VALUES ('no'), ('de')").await;
    assert_eq!(conn.affected_rows(), 4);
    for cluster in [&c1, &c2] {
        assert_eq!(cluster.sql("SELECT COUNT(*) FROM shared.countries").trim(), "2");
    }
    let rows: Vec<String> = (1..=8).map(|workspace| format!("({workspace}, 1)")).collect();
    run(&mut conn, &format!("INSERT INTO facts (workspace_id, n) VALUES {}", rows.join(", "))).await;
    let all = "SELECT workspace_id FROM facts WHERE n = 1 /*bulkhead: all_shards*/";
    let mut rows: Vec<i64> = conn.query(all).await.expect("rows");
    rows.sort_unstable();
    assert_eq!(rows, (1..=8).collect::<Vec<i64>>(), "every shard's rows");

    // What is logged: one object a line, slow statements without their values.
    run(&mut conn, "USE ws_1").await;
    run(&mut conn, "SELECT SLEEP(0.1), 'secret words' FROM issues").await;
    assert!(wait_until(|| bulkhead.log().contains("slow statement")), "{}", bulkhead.log());
    let log = bulkhead.log();
    assert!(!log.contains("secret words"), "a value is in the log:\n{log}");
    for line in log.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "not JSON: {line}");
    }

    let (status, _) = get(bulkhead.http_port, "/healthz");
    assert_eq!(status, 200);
    let (status, metrics) = get(bulkhead.http_port, "/metrics");
    assert!(status == 200 && metrics.contains("bulkhead_"), "{metrics}");

    // While it drains it is not healthy.
    run(&mut conn, "BEGIN").await;
    run(&mut conn, "SELECT * FROM issues").await;
    bulkhead.signal("TERM");
    assert!(wait_until(|| get(bulkhead.http_port, "/healthz").0 == 503), "draining is not shown");
    run(&mut conn, "COMMIT").await;
    let status = bulkhead.wait(Duration::from_secs(10)).expect("it ends");
    assert!(status.success(), "{status:?}");
}

/// Has the server end the transaction of `victim` by a deadlock with `other`, which goes on.
async fn deadlock(other: &mut Conn, victim: &mut Conn) {
    run(other, "USE ws_1").await;
    run(victim, "USE ws_1").await;
    for sql in ["BEGIN", "UPDATE issues SET title = UUID() WHERE id >= 2"] {
        run(other, sql).await;
    }
    for sql in ["BEGIN", "UPDATE issues SET title = 'victim' WHERE id = 1"] {
        run(victim, sql).await;
    }
    // Whichever comes last closes the circle; who has changed fewer rows is rolled back.
    let (goes_on, rolled_back) = tokio::join!(
        refusal(other, "UPDATE issues SET title = 'other' WHERE id = 1"),
        refusal(victim, "UPDATE issues SET title = 'victim' WHERE id = 2"),
    );
    assert_eq!((goes_on.0, rolled_back.0), (0, 1213), "{goes_on:?} {rolled_back:?}");
    run(other, "COMMIT").await;
}

async fn what_is_over_ties_nobody(flavour: Flavour) {
    let (c1, c2) = (Cluster::start("c1", flavour), Cluster::start("c2", flavour));
    let bulkhead = start(&c1, &c2);
    let mut admin = bulkhead.connect_admin().await;
    run(&mut admin, "CREATE WORKSPACE spaces 1 ON a WITH DATABASE").await;
    run(&mut admin, "CREATE WORKSPACE spaces 2 ON b WITH DATABASE").await;
    let mut one = bulkhead.connect(Some("ws_1")).await;
    let mut other = bulkhead.connect(Some("ws_1")).await;
    let rows: Vec<String> = (1..=20).map(|id| format!("({id}, 'first')")).collect();
    run(&mut one, &format!("INSERT INTO issues VALUES {}", rows.join(", "))).await;

    // A deadlock has rolled the transaction back; a client that knows does not say ROLLBACK.
    deadlock(&mut other, &mut one).await;
    for sql in ["USE ws_2", "SELECT * FROM issues"] {
        run(&mut one, sql).await;
    }
    deadlock(&mut other, &mut one).await;
    for sql in ["USE ws_2", "BEGIN", "INSERT INTO issues VALUES (1, 'begun')", "COMMIT"] {
        run(&mut one, sql).await;
    }
    deadlock(&mut other, &mut one).await;
    let rows: Vec<String> = (1..=8).map(|workspace| format!("({workspace}, 1)")).collect();
    run(&mut one, "USE shared").await;
    run(&mut one, &format!("INSERT INTO facts (workspace_id, n) VALUES {}", rows.join(", "))).await;
    assert_eq!(c2.sql("SELECT title FROM ws_2.issues").trim(), "begun");

    // Most errors leave it open.
    for sql in ["USE ws_1", "BEGIN", "INSERT INTO issues VALUES (21, 'kept')"] {
        run(&mut one, sql).await;
    }
    assert_eq!(refusal(&mut one, "INSERT INTO issues VALUES (1, 'there')").await.0, 1062);
    run(&mut one, "USE ws_2").await;
    let (_, message) = refusal(&mut one, "SELECT * FROM issues").await;
    assert!(message.contains("E2014"), "{message}");
    let kept = "SELECT COUNT(*) FROM ws_1.issues WHERE title = 'kept'";
    assert_eq!(c1.sql(kept).trim(), "0");
    run(&mut one, "COMMIT").await;
    assert_eq!(c1.sql(kept).trim(), "1");

    // A lock that another has is not held; one that is held is in the way of a transaction elsewhere.
    run(&mut one, "USE ws_1").await;
    run(&mut one, "SELECT GET_LOCK('here', 1)").await;
    run(&mut other, "USE ws_1").await;
    let got: Option<i64> = other.query_first("SELECT GET_LOCK('here', 0)").await.expect("a row");
    assert_eq!(got, Some(0));
    for conn in [&mut one, &mut other] {
        run(conn, "USE ws_2").await;
    }
    for sql in ["BEGIN", "INSERT INTO issues VALUES (2, 'unlocked')", "COMMIT"] {
        run(&mut other, sql).await;
    }
    let (code, message) = refusal(&mut one, "BEGIN").await;
    assert!(code == 1235 && message.contains("E2015"), "{code} {message}");
    run(&mut one, "SELECT RELEASE_LOCK('here')").await;
    for sql in ["BEGIN", "UPDATE issues SET title = 'free' WHERE id = 2", "COMMIT"] {
        run(&mut one, sql).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn what_is_over_on_mysql_ties_nobody() {
    what_is_over_ties_nobody(Flavour::MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn what_is_over_on_mariadb_ties_nobody() {
    what_is_over_ties_nobody(Flavour::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn the_command_line_works_on_what_is_there() {
    let (c1, c2) = (Cluster::start("c1", Flavour::MySql), Cluster::start("c2", Flavour::MySql));
    let mut bulkhead = start(&c1, &c2);
    let explained =
        bulkhead.command(&["explain", "-d", "shared", "SELECT * FROM facts WHERE workspace_id = 7"]);
    assert!(explained.0 && explained.1.contains("by_workspace"), "{explained:?}");
    let refused = bulkhead.command(&["explain", "-d", "shared", "SELECT * FROM facts"]);
    assert!(refused.1.contains("E2004"), "{refused:?}");
    let checked = bulkhead.command(&["check"]);
    assert!(checked.0, "{checked:?}");
    assert!(bulkhead.command(&["check", "--live"]).0, "the servers are as configured");
    c2.sql("ALTER TABLE shared.facts DROP PRIMARY KEY");
    let live = bulkhead.command(&["check", "--live"]);
    assert!(live.1.contains("facts") && live.1.contains("index"), "{live:?}");
    // The store is the running proxy's.
    let held = bulkhead.command(&["workspace", "show", "spaces", "1"]);
    assert!(!held.0 && held.1.contains("bulkhead admin"), "{held:?}");
    bulkhead.signal("TERM");
    assert!(bulkhead.wait(Duration::from_secs(10)).is_some_and(|status| status.success()));

    let created = bulkhead.command(&["workspace", "create", "--provision", "spaces", "1..4", "--shard", "b"]);
    assert!(created.0, "{created:?}");
    assert_eq!(
        c2.sql("SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'issues'").trim(),
        "4"
    );
    let shown = bulkhead.command(&["workspace", "show", "spaces", "3"]);
    assert!(shown.0 && shown.1.contains('b') && shown.1.contains("active"), "{shown:?}");
    assert!(bulkhead.command(&["workspace", "set-state", "spaces", "3", "suspended"]).0);
    let listed = bulkhead.command(&["workspace", "list", "spaces", "--state", "suspended"]);
    assert!(listed.0 && listed.1.contains('3'), "{listed:?}");
    let unknown = bulkhead.command(&["workspace", "show", "spaces", "77"]);
    assert!(!unknown.0 && unknown.1.contains("77"), "{unknown:?}");
    std::fs::write(bulkhead.path("vschema/shared.toml"), SHARED.replace("xxhash", "xxhsh")).expect("written");
    let (succeeded, faults) = bulkhead.command(&["check"]);
    assert!(!succeeded && faults.contains("shared.toml:5:") && faults.contains("xxhash"), "{faults}");
}
