//! What ties a session to its server connection, and what does not: seen by a second session that waits for
//! the one connection there is.

mod common;

use std::time::{Duration, Instant};

use common::clients::{errno, login, run};
use common::raw::RawClient;
use common::servers::{Bulkhead, Cluster, Flavour, Role, Setup, wait_until};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};

const CONFIG: &str = "[keyspaces.app]\nshards = { \"-\" = \"c1\" }\n\
                      [keyspaces.spaces]\nshards = { a = \"c1\" }\n\
                      [clusters.c1.pool]\nmax_connections = 1\n[timeouts]\npool_wait = \"250ms\"\n";

async fn start(flavour: Flavour, more: &str) -> (Cluster, Bulkhead) {
    let cluster = Cluster::start("c1", flavour);
    cluster.sql(
        "CREATE DATABASE app; CREATE DATABASE ws_1; CREATE TABLE app.t (id INT PRIMARY KEY); \
         CREATE TABLE ws_1.t (id INT PRIMARY KEY)",
    );
    let litter = "CREATE PROCEDURE app.litter() BEGIN SET @litter = 1, SESSION sql_mode = 'ANSI'; \
                  CREATE TEMPORARY TABLE litter (id INT); END";
    cluster.connect(Role::Primary, "root").await.query_drop(litter).await.expect("CREATE PROCEDURE");
    let spaces = "layout = \"database_per_workspace\"\ndatabase = \"ws_{workspace_id}\"\n";
    let setup = Setup::default().cluster(&cluster).config(CONFIG).config(more);
    let setup = setup.vschema("app.toml", "layout = \"unsharded\"\n").vschema("spaces.toml", spaces);
    if flavour == Flavour::MariaDb {
        let setup = setup.listen("server_version = \"10.11.14-MariaDB\"");
        return (cluster, setup.start());
    }
    (cluster, setup.start())
}

/// Ends a wait for what never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The errno of a refusal, 0 for none.
async fn refusal(conn: &mut Conn, sql: &str) -> u16 {
    errno(conn.query_drop(sql).await).0
}

/// Checks whether the first session holds the connection. One that is free is had in the end, however long it
/// takes to give it back.
async fn held(other: &mut Conn, is_held: bool, what: &str) {
    match had(other, "SELECT id FROM t", is_held).await {
        0 => assert!(!is_held, "{what}: it is free"),
        1040 => assert!(is_held, "{what}: it is held"),
        errno => panic!("{what}: {errno}"),
    }
}

/// Runs a statement; as often as there is no connection for it, unless it is to be told that. Gives the
/// errno.
async fn had(conn: &mut Conn, sql: &str, is_told: bool) -> u16 {
    let began = Instant::now();
    loop {
        let errno = refusal(conn, sql).await;
        if errno != 1040 || is_told || began.elapsed() >= PATIENCE {
            return errno;
        }
    }
}

async fn pins_are_released(flavour: Flavour) {
    let (cluster, bulkhead) = start(flavour, "").await;
    let mut admin = bulkhead.connect_admin().await;
    admin.query_drop("CREATE WORKSPACE spaces 1 ON a").await.expect("CREATE WORKSPACE");
    let mut one = bulkhead.connect(Some("app")).await;
    let mut other = bulkhead.connect(Some("app")).await;
    for sql in [
        "SET time_zone = '+01:00', @a = 1, SESSION lock_wait_timeout = 7",
        "SET NAMES latin1",
        "SET NAMES utf8mb4",
        "USE ws_1",
        "SELECT id FROM t",
        "USE app",
        "SELECT @a",
        "SELECT id FROM t",
        "INSERT IGNORE INTO t VALUES (1)",
        "SELECT LAST_INSERT_ID(), ROW_COUNT()",
        "BEGIN",
        "SELECT id FROM t FOR UPDATE",
        "COMMIT",
    ] {
        run(&mut one, sql).await;
        let in_transaction = ["BEGIN", "SELECT id FROM t FOR UPDATE"].contains(&sql);
        held(&mut other, in_transaction, &format!("{flavour:?} {sql}")).await;
    }
    let holds: [(&[&str], &[&str]); 7] = [
        (
            &["SELECT GET_LOCK('a', 1)", "SELECT GET_LOCK('b', 1)"],
            &["DO RELEASE_LOCK('a')", "SELECT RELEASE_LOCK('b')"],
        ),
        (&["SELECT GET_LOCK('a', 1)"], &["SELECT RELEASE_ALL_LOCKS()"]),
        (&["LOCK TABLES t READ"], &["UNLOCK TABLES"]),
        (&["CREATE TEMPORARY TABLE x (id INT)", "DROP TABLE IF EXISTS nothing"], &["DROP TEMPORARY TABLE x"]),
        (
            &["CREATE TEMPORARY TABLE x (id INT)", "CREATE TEMPORARY TABLE y (id INT)", "DROP TABLE x"],
            &["DROP TABLE y"],
        ),
        (&["HANDLER t OPEN", "HANDLER t READ FIRST"], &["HANDLER t CLOSE"]),
        (&["PREPARE p FROM 'SELECT 1'", "EXECUTE p"], &["DEALLOCATE PREPARE p"]),
    ];
    for (pins, releases) in holds {
        for sql in pins {
            run(&mut one, sql).await;
            held(&mut other, true, &format!("{flavour:?} {sql}")).await;
        }
        for (at, sql) in releases.iter().enumerate() {
            run(&mut one, sql).await;
            held(&mut other, at + 1 < releases.len(), &format!("{flavour:?} {sql}")).await;
        }
    }
    // A lock that somebody else has is not held.
    let mut root = cluster.connect(Role::Primary, "root").await;
    run(&mut root, "DO GET_LOCK('taken', 1)").await;
    let got: Option<i64> = one.query_first("SELECT GET_LOCK('taken', 0)").await.expect("a row");
    assert_eq!(got, Some(0), "{flavour:?}");
    held(&mut other, false, "a lock that somebody else has").await;
    // What a routine leaves behind is nobody else's.
    run(&mut one, "CALL litter()").await;
    let seen: Option<(Option<i64>, String)> =
        other.query_first("SELECT @litter, @@sql_mode").await.expect("a row");
    let (litter, mode) = seen.expect("a row");
    assert!(litter.is_none() && !mode.contains("ANSI"), "{flavour:?} {litter:?} {mode}");
    assert_eq!(refusal(&mut other, "SELECT * FROM litter").await, 1146, "{flavour:?}");
    // Nor is a session's own, when it is reset or gone.
    run(&mut one, "CREATE TEMPORARY TABLE mine (id INT)").await;
    one.reset().await.expect("RESET CONNECTION");
    assert_eq!(refusal(&mut other, "SELECT * FROM mine").await, 1146, "{flavour:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mysql_pins_are_released() {
    pins_are_released(Flavour::MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mariadb_pins_are_released() {
    pins_are_released(Flavour::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn transactions_end_in_time() {
    let more = "transaction = \"1500ms\"\nshutdown = \"1s\"\n";
    let (cluster, mut bulkhead) = start(Flavour::MySql, more).await;
    let mut conn = bulkhead.connect(Some("app")).await;
    run(&mut conn, "BEGIN").await;
    run(&mut conn, "INSERT INTO t VALUES (1)").await;
    assert!(wait_until(|| bulkhead.log().contains("timeouts.transaction is over")), "{}", bulkhead.log());
    for sql in ["SELECT 1", "COMMIT"] {
        match conn.query_drop(sql).await {
            Err(Error::Server(error)) => {
                assert!(error.code == 1205 && error.message.contains("E5004"), "{sql}: {error:?}");
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
    run(&mut conn, "ROLLBACK").await;
    assert_eq!(cluster.sql("SELECT COUNT(*) FROM app.t").trim(), "0");
    // One that the server has ended is not waited for: a schema change commits before it fails.
    run(&mut conn, "BEGIN").await;
    run(&mut conn, "INSERT INTO t VALUES (2)").await;
    assert_eq!(refusal(&mut conn, "CREATE TABLE t (id INT)").await, 1050);
    tokio::time::sleep(Duration::from_millis(2_000)).await;
    run(&mut conn, "SELECT 1").await;
    assert_eq!(cluster.sql("SELECT id FROM app.t").trim(), "2");
    // A connection that is held when the proxy stops is given up after the bound, and its client is told.
    let mut held = RawClient::connect(&login(&bulkhead)).await.expect("logs in");
    held.query(b"SELECT GET_LOCK('held', 1)").await.expect("GET_LOCK");
    bulkhead.signal("TERM");
    let told = held.farewell().await.expect("an ERR packet");
    assert_eq!(told.errno, 1053, "{}", told.message);
    let status = bulkhead.wait(PATIENCE).expect("it ends");
    assert!(status.success(), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn diagnostics_are_the_sessions_own() {
    let (_cluster, bulkhead) = start(Flavour::MySql, "").await;
    let mut one = bulkhead.connect(Some("app")).await;
    let mut other = bulkhead.connect(Some("app")).await;
    run(&mut one, "INSERT IGNORE INTO t VALUES (1), (1), (1)").await;
    // Longer than the connection is kept for questions; then another session has it.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(had(&mut other, "SELECT * FROM nothing", false).await, 1146);
    let counts: Option<(u64, u64)> =
        one.query_first("SELECT @@warning_count, @@session.error_count").await.expect("a row");
    assert_eq!(counts, Some((2, 0)));
    run(&mut one, "INSERT IGNORE INTO t VALUES (2), (2), (2)").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(had(&mut other, "SELECT 1", false).await, 0);
    let one_row: Vec<(String, u16, String)> = one.query("SHOW WARNINGS LIMIT 1").await.expect("rows");
    assert!(matches!(one_row.as_slice(), [(level, 1062, _)] if level == "Warning"), "{one_row:?}");
    let none: Vec<(String, u16, String)> = one.query("SHOW ERRORS").await.expect("rows");
    assert!(none.is_empty(), "{none:?}");
    let count: Option<u64> = one.query_first("SHOW COUNT(*) WARNINGS").await.expect("a row");
    assert_eq!(count, Some(2));
    // Everybody's statements are nobody's business.
    for table in ["information_schema.processlist", "performance_schema.threads", "mysql.user"] {
        assert_eq!(refusal(&mut one, &format!("SELECT * FROM {table}")).await, 1235, "{table}");
    }
}
