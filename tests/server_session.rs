//! What a session lives through: clients that go away, KILL, lost connections, restarts, bounds, stop,
//! reload.

mod common;

use std::time::{Duration, Instant};

use common::clients::{errno, login, value};
use common::raw::RawClient;
use common::servers::{Cluster, Flavour, Role, Setup, try_connect, wait_until};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

/// Ends a wait for what never comes.
const PATIENCE: Duration = Duration::from_secs(60);
const KEYSPACES: &str = r#"
[keyspaces.app]
shards = { "-" = "c1" }
[keyspaces.spaces]
shards = { a = "c1" }
"#;
const SPACES: &str = "layout = \"database_per_workspace\"\ndatabase = \"ws_{workspace_id}\"\n";

fn setup(cluster: &Cluster) -> Setup {
    let database = "CREATE DATABASE IF NOT EXISTS app; CREATE DATABASE IF NOT EXISTS ws_1; \
                    CREATE TABLE IF NOT EXISTS app.t (id INT PRIMARY KEY); \
                    CREATE TABLE IF NOT EXISTS ws_1.t (id INT PRIMARY KEY)";
    cluster.sql(database);
    let setup = Setup::default().cluster(cluster).config(KEYSPACES);
    setup.vschema("app.toml", "layout = \"unsharded\"\n").vschema("spaces.toml", SPACES)
}

/// The same on the cluster that tests share.
fn shared_setup(cluster: &Cluster) -> Setup {
    cluster.sql("CREATE DATABASE IF NOT EXISTS app; CREATE TABLE IF NOT EXISTS app.t (id INT PRIMARY KEY)");
    let setup = Setup::default().cluster_as("c1", cluster).config(KEYSPACES);
    setup.vschema("app.toml", "layout = \"unsharded\"\n").vschema("spaces.toml", SPACES)
}

/// Statements that run on the server with this text in them.
fn running(cluster: &Cluster, part: &str) -> u32 {
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.processlist \
         WHERE info LIKE '%{part}%' AND id <> CONNECTION_ID()"
    );
    cluster.sql(&sql).trim().parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_client_that_goes_away_leaves_nothing_behind() {
    let cluster = Cluster::shared(Flavour::MySql);
    let bulkhead = shared_setup(cluster).start();
    let mut client = RawClient::connect(&login(&bulkhead)).await.expect("logs in");
    client.send(b"\x03SELECT SLEEP(60) AS gone_away").await.expect("sent");
    assert!(wait_until(|| running(cluster, "gone_away") == 1), "it never ran");
    client.drop_connection();
    assert!(wait_until(|| running(cluster, "gone_away") == 0), "the statement still runs");

    // The same in a transaction: it is rolled back, and the next session sees a clean connection.
    let mut conn = bulkhead.connect(Some("app")).await;
    conn.query_drop("SET @left = 1").await.expect("SET");
    conn.query_drop("BEGIN").await.expect("BEGIN");
    conn.query_drop("INSERT INTO t VALUES (1001)").await.expect("INSERT");
    drop(conn);
    let mut other = bulkhead.connect(Some("app")).await;
    let mut left = 1;
    let until = Instant::now() + PATIENCE;
    while left != 0 && Instant::now() < until {
        left = value(&mut other, "SELECT COUNT(*) FROM t WHERE id = 1001").await;
    }
    assert_eq!(left, 0, "the transaction was not rolled back");
    assert_eq!(value(&mut other, "SELECT @left IS NULL").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn sessions_are_killed_by_their_proxy_id() {
    let cluster = Cluster::shared(Flavour::MySql);
    let bulkhead = shared_setup(cluster).start();
    let mut victim = bulkhead.connect(Some("app")).await;
    let mut killer = bulkhead.connect(Some("app")).await;
    let id = victim.id();
    let sleeping = tokio::spawn(async move {
        let ended = errno(
            victim.query_drop("SELECT SLEEP(60) AS kill_query FROM t RIGHT JOIN (SELECT 1) x ON 1").await,
        );
        (victim, ended)
    });
    assert!(wait_until(|| running(cluster, "kill_query") == 1));
    killer.query_drop(format!("KILL QUERY {id}")).await.expect("KILL QUERY");
    let (mut victim, _) = sleeping.await.expect("no panic");
    assert!(wait_until(|| running(cluster, "kill_query") == 0));
    assert_eq!(value(&mut victim, "SELECT 1").await, 1, "the session lives on");
    killer.query_drop(format!("KILL {id}")).await.expect("KILL");
    assert_ne!(errno(victim.query_drop("SELECT 1").await).0, 0, "the session is gone");
    assert_eq!(errno(killer.query_drop("KILL 4000000000").await).0, 1094);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_lost_transaction_is_reported_until_rollback() {
    for flavour in [Flavour::MySql, Flavour::MariaDb] {
        let cluster = Cluster::start("c1", flavour);
        let bulkhead = setup(&cluster).start();
        let mut conn = bulkhead.connect(Some("app")).await;
        let mut idle = bulkhead.connect(Some("app")).await;
        idle.query_drop("SELECT 1").await.expect("works");
        conn.query_drop("BEGIN").await.expect("BEGIN");
        conn.query_drop("INSERT INTO t VALUES (1)").await.expect("INSERT");
        cluster.kill(Role::Primary);
        cluster.start_again();
        let (first, _) = errno(conn.query_drop("INSERT INTO t VALUES (2)").await);
        assert!(first > 1, "{flavour:?}: the loss is told");
        for sql in ["SELECT 1", "INSERT INTO t VALUES (3)", "COMMIT", "BEGIN"] {
            let (code, message) = errno(conn.query_drop(sql).await);
            assert!(code == 1053 && message.contains("E4003"), "{flavour:?} {sql}: {code} {message}");
        }
        conn.query_drop("ROLLBACK").await.expect("ROLLBACK ends it");
        assert_eq!(value(&mut conn, "SELECT COUNT(*) FROM t").await, 0);
        // Sessions without a transaction go on as if nothing had been.
        assert_eq!(value(&mut idle, "SELECT COUNT(*) FROM t").await, 0);
        idle.query_drop("INSERT INTO t VALUES (5)").await.expect("writes work again");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn session_functions_are_the_sessions_own() {
    let cluster = Cluster::shared(Flavour::MySql);
    let bulkhead = shared_setup(cluster).start();
    let mut conn = bulkhead.connect(None).await;
    let id = conn.id();
    let row: Option<(Option<String>, u32)> =
        conn.query_first("SELECT DATABASE(), CONNECTION_ID()").await.expect("a row");
    assert_eq!(row, Some((None, id)));
    let row: Option<(Option<String>, u32)> =
        conn.exec_first("SELECT SCHEMA(), CONNECTION_ID() FROM (SELECT ?) x", (1,)).await.expect("a row");
    assert_eq!(row, Some((None, id)));
    conn.query_drop("USE app").await.expect("USE");
    conn.query_drop("SELECT LAST_INSERT_ID(77)").await.expect("SELECT");
    let row: Option<(u64, i64, String)> =
        conn.query_first("SELECT LAST_INSERT_ID(), ROW_COUNT(), DATABASE()").await.expect("a row");
    assert_eq!(row, Some((77, -1, "app".to_owned())));
    conn.query_drop("SET last_insert_id = 78").await.expect("SET");
    let last: Option<u64> = conn.exec_first("SELECT LAST_INSERT_ID()", ()).await.expect("a row");
    assert_eq!(last, Some(78));
    conn.query_drop("USE spaces").await.expect("USE");
    for sql in ["SET @workspace_id = 3", "SET @workspace_id = 4", "SET @workspace_id = NULL", "SELECT 1"] {
        conn.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn bounds_are_kept_and_named() {
    let cluster = Cluster::shared(Flavour::MySql);
    let limits = "[users.app]\npassword_env = \"TEST_APP_PASSWORD\"\nmax_result_bytes = \"1MiB\"\n\
                  [clusters.c1.pool]\nmax_connections = 1\n\
                  [timeouts]\npool_wait = \"1s\"\nquery = \"5s\"\nidle = \"3s\"\n";
    let bulkhead = shared_setup(cluster).config(limits).start();
    let mut first = bulkhead.connect(Some("app")).await;
    let mut second = bulkhead.connect(Some("app")).await;
    first.query_drop("BEGIN").await.expect("BEGIN");
    first.query_drop("SELECT * FROM t").await.expect("SELECT");
    let (code, message) = errno(second.query_drop("SELECT * FROM t").await);
    assert!(code == 1040 && message.contains("E5001"), "{code} {message}");
    first.query_drop("COMMIT").await.expect("COMMIT");
    second.query_drop("SELECT * FROM t").await.expect("the connection is free again");

    let (code, message) = errno(
        second
            .query_drop(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
                 SELECT COUNT(*) AS too_long FROM n a, n b, n c, n d",
            )
            .await,
    );
    assert_eq!(code, 3024, "{message}");
    assert!(wait_until(|| running(cluster, "too_long") == 0), "it was not killed");
    assert_eq!(value(&mut second, "SELECT 1").await, 1);

    // Rows by the million: the answer is cut with an error, and the session goes on.
    let rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
                SELECT a.i, b.i FROM n a, n b, n c";
    let (code, message) = errno(second.query_drop(rows).await);
    assert!(code == 1226 && message.contains("E5007"), "{code} {message}");
    assert_eq!(value(&mut second, "SELECT 2").await, 2);

    tokio::time::sleep(Duration::from_millis(3_600)).await;
    let (code, message) = errno(first.query_drop("SELECT 1").await);
    assert!(matches!(code, 1 | 4031), "{code} {message}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_stop_waits_for_transactions() {
    let cluster = Cluster::start("c1", Flavour::MySql);
    let mut bulkhead = setup(&cluster).start();
    let mut busy = bulkhead.connect(Some("app")).await;
    let mut idle = bulkhead.connect(Some("app")).await;
    busy.query_drop("BEGIN").await.expect("BEGIN");
    busy.query_drop("INSERT INTO t VALUES (1)").await.expect("INSERT");
    bulkhead.signal("TERM");
    let password = bulkhead.password.clone();
    let until = Instant::now() + PATIENCE;
    while try_connect(bulkhead.port, "app", &password, None).await.is_ok() {
        assert!(Instant::now() < until, "new connections are still taken");
    }
    // The listener closes a moment before sessions are told.
    let mut refused = errno(idle.query_drop("SELECT 1").await);
    while refused.0 == 0 && Instant::now() < until {
        refused = errno(idle.query_drop("SELECT 1").await);
    }
    assert!(matches!(refused.0, 1 | 1053), "{refused:?}");
    busy.query_drop("INSERT INTO t VALUES (2)").await.expect("the transaction goes on");
    busy.query_drop("COMMIT").await.expect("and commits");
    let (code, message) = errno(busy.query_drop("SELECT 1").await);
    assert!(matches!(code, 1 | 1053), "{code} {message}");
    let status = bulkhead.wait(Duration::from_secs(10)).expect("it ends");
    assert!(status.success(), "{status:?}");
    assert_eq!(cluster.sql("SELECT COUNT(*) FROM app.t").trim(), "2");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn reload_swaps_or_keeps() {
    let cluster = Cluster::start("c1", Flavour::MySql);
    let bulkhead = setup(&cluster).start();
    cluster.sql("CREATE DATABASE added; CREATE TABLE added.t (id INT PRIMARY KEY)");
    let config = std::fs::read_to_string(bulkhead.path("bulkhead.toml")).expect("can be read");
    assert_eq!(errno(try_connect(bulkhead.port, "app", &bulkhead.password, Some("added")).await).0, 1049);

    // A bad file: reported, and nothing changes.
    std::fs::write(bulkhead.path("bulkhead.toml"), format!("{config}\nnonsense = = 1\n")).expect("written");
    bulkhead.signal("HUP");
    assert!(wait_until(|| bulkhead.log().contains("bulkhead.toml:")), "the fault is not in the log");
    bulkhead.connect(Some("app")).await;

    // A good one, by signal.
    std::fs::write(bulkhead.path("vschema/added.toml"), "layout = \"unsharded\"\n").expect("written");
    let more = format!("{config}\n[keyspaces.added]\nshards = {{ \"-\" = \"c1\" }}\n");
    std::fs::write(bulkhead.path("bulkhead.toml"), &more).expect("written");
    bulkhead.signal("HUP");
    let until = Instant::now() + PATIENCE;
    while try_connect(bulkhead.port, "app", &bulkhead.password, Some("added")).await.is_err() {
        assert!(Instant::now() < until, "the new keyspace is not there:\n{}", bulkhead.log());
    }

    // And back, by the file's change alone. A transaction that runs keeps what it was planned on.
    let mut conn = bulkhead.connect(Some("added")).await;
    for sql in ["BEGIN", "INSERT INTO t VALUES (1)"] {
        conn.query_drop(sql).await.expect(sql);
    }
    std::fs::remove_file(bulkhead.path("vschema/added.toml")).expect("removed");
    std::fs::write(bulkhead.path("bulkhead.toml"), &config).expect("written");
    let until = Instant::now() + PATIENCE;
    while try_connect(bulkhead.port, "app", &bulkhead.password, Some("added")).await.is_ok() {
        assert!(Instant::now() < until, "the change of the file was not seen:\n{}", bulkhead.log());
    }
    for sql in ["INSERT INTO t VALUES (2)", "SELECT * FROM added.t", "COMMIT"] {
        conn.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    assert_eq!(cluster.sql("SELECT COUNT(*) FROM added.t").trim(), "2");
    assert_eq!(errno(conn.query_drop("SELECT * FROM added.t").await).0, 1049, "the transaction is over");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn reload_by_command_tells_what_it_did() {
    let cluster = Cluster::shared(Flavour::MySql);
    let bulkhead = shared_setup(cluster).start();
    let mut admin = bulkhead.connect_admin().await;
    let config = std::fs::read_to_string(bulkhead.path("bulkhead.toml")).expect("can be read");
    // A bad vschema is told with its place, and the old one still serves.
    std::fs::write(bulkhead.path("vschema/app.toml"), "layout = \"unsharde\"\n").expect("written");
    let (code, message) = errno(admin.query_drop("RELOAD").await);
    assert!(code > 1 && message.contains("app.toml:1:") && message.contains("unsharded"), "{code} {message}");
    let mut conn = bulkhead.connect(Some("app")).await;
    assert_eq!(value(&mut conn, "SELECT COUNT(*) FROM t WHERE id = -1").await, 0);
    std::fs::write(bulkhead.path("vschema/app.toml"), "layout = \"unsharded\"\n").expect("written");
    std::fs::write(bulkhead.path("vschema/more.toml"), "layout = \"unsharded\"\n").expect("written");
    let more = format!("{config}\n[keyspaces.more]\nshards = {{ \"-\" = \"c1\" }}\n");
    std::fs::write(bulkhead.path("bulkhead.toml"), more).expect("written");
    admin.query_drop("RELOAD").await.expect("a good one is taken");
    conn.query_drop("USE more").await.expect("and is there at once");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn workspaces_are_made_and_their_states_kept() {
    let cluster = Cluster::start("c1", Flavour::MySql);
    let bulkhead = setup(&cluster).start();
    let mut admin = bulkhead.connect_admin().await;
    let help: Vec<mysql_async::Row> = admin.query("HELP").await.expect("HELP");
    assert!(help.len() > 5);
    let mut conn = bulkhead.connect(None).await;
    assert_eq!(errno(conn.query_drop("USE ws_1").await).0, 1049);
    admin.query_drop("CREATE WORKSPACE spaces 1 ON a").await.expect("CREATE WORKSPACE");
    conn.query_drop("USE ws_1").await.expect("it is there at once");
    conn.query_drop("INSERT INTO t VALUES (1)").await.expect("active");
    admin.query_drop("SET WORKSPACE spaces 1 STATE read-only").await.expect("SET WORKSPACE");
    let (code, message) = errno(conn.query_drop("INSERT INTO t VALUES (2)").await);
    assert!(code == 1290 && message.contains("E3001"), "{code} {message}");
    assert_eq!(value(&mut conn, "SELECT COUNT(*) FROM t").await, 1);
    admin.query_drop("SET WORKSPACE spaces 1 STATE suspended").await.expect("SET WORKSPACE");
    let (code, message) = errno(conn.query_drop("SELECT COUNT(*) FROM t").await);
    assert!(code == 1227 && message.contains("E3003"), "{code} {message}");
    admin.query_drop("SET WORKSPACE spaces 1 STATE active").await.expect("SET WORKSPACE");
    conn.query_drop("INSERT INTO t VALUES (2)").await.expect("active again");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn reads_go_to_replicas_when_asked() {
    let cluster = Cluster::start_with_replica("c1", Flavour::MySql);
    let bulkhead = setup(&cluster).start();
    let (primary, replica) = (i64::from(cluster.primary_port), cluster.replica_port.map(i64::from));
    let mut conn = bulkhead.connect(Some("app")).await;
    assert_eq!(value(&mut conn, "SELECT @@port").await, primary);
    assert_eq!(Some(value(&mut conn, "SELECT @@port /*bulkhead: replica */").await), replica);
    let until = Instant::now() + PATIENCE;
    while errno(conn.query_drop("SELECT * FROM t /*bulkhead: replica */").await).0 != 0 {
        assert!(Instant::now() < until, "the table never came to the replica");
    }
    conn.query_drop("USE `app@replica`").await.expect("USE app@replica");
    assert_eq!(Some(value(&mut conn, "SELECT @@port").await), replica);
    let (code, message) = errno(conn.query_drop("INSERT INTO t VALUES (1)").await);
    assert!(code == 1290 && message.contains("E2016"), "{code} {message}");
    conn.query_drop("USE app").await.expect("USE app");
    conn.query_drop("INSERT INTO t VALUES (1)").await.expect("the primary takes writes");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn logins_are_refused_in_mysqls_words() {
    let cluster = Cluster::shared(Flavour::MySql);
    let bulkhead = shared_setup(cluster).start();
    let refused = |result| errno::<Conn>(result);
    let (code, message) = refused(try_connect(bulkhead.port, "app", "wrong", None).await);
    assert!(code == 1045 && message.contains("'app'@'127.0.0.1' (using password: YES)"), "{message}");
    let (code, message) = refused(try_connect(bulkhead.port, "nobody", "x", None).await);
    assert!(code == 1045 && message.contains("'nobody'"), "{message}");
    let (code, message) = refused(try_connect(bulkhead.port, "app", &bulkhead.password, Some("nope")).await);
    assert_eq!((code, message.as_str()), (1049, "Unknown database 'nope'"));
    let (code, _) = refused(try_connect(bulkhead.port, "app", &bulkhead.password, Some("ws_77")).await);
    assert_eq!(code, 1049);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_host_that_vanishes_holds_nobody() {
    let cluster = Cluster::start("c1", Flavour::MySql);
    let limits = "[timeouts]\nquery = \"1s\"\nconnect = \"1s\"\n";
    let bulkhead = setup(&cluster).config(limits).start();
    cluster.sql("CREATE TABLE app.blobs (b LONGBLOB)");
    let mut conn = bulkhead.connect(Some("app")).await;
    conn.query_drop("SELECT 1").await.expect("a connection is there");
    // It takes no byte and says no word; what is sent does not fit into the buffers in between.
    cluster.signal(Role::Primary, "STOP");
    let insert = format!("INSERT INTO blobs VALUES ('{}')", "x".repeat(24 << 20));
    let told = tokio::time::timeout(Duration::from_secs(20), conn.query_drop(insert)).await;
    cluster.signal(Role::Primary, "CONT");
    let (code, message) = errno(told.expect("an answer in time"));
    assert!(code == 3024 && message.contains("is unknown"), "{code} {message}");
    conn.query_drop("SELECT 1").await.expect("the session goes on");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_user_has_so_many_statements_in_flight() {
    let cluster = Cluster::shared(Flavour::MySql);
    let limits = "[users.app]\npassword_env = \"TEST_APP_PASSWORD\"\nmax_in_flight = 2\n";
    let bulkhead = shared_setup(cluster).config(limits).start();
    let mut third = bulkhead.connect(Some("app")).await;
    let mut sleepers = Vec::new();
    for _ in 0..2 {
        let mut conn = bulkhead.connect(Some("app")).await;
        let sleep = tokio::spawn(async move { conn.query_drop("SELECT SLEEP(60) AS in_flight").await });
        sleepers.push(sleep);
    }
    assert!(wait_until(|| running(cluster, "in_flight") == 2), "both run");
    let (code, message) = errno(third.query_drop("SELECT 1").await);
    assert!(code == 1226 && message.contains("E5003"), "{code} {message}");
    cluster.sql(
        "SELECT CONCAT('KILL QUERY ', id, ';') INTO @one FROM information_schema.processlist \
         WHERE info LIKE '%in_flight%' AND id <> CONNECTION_ID() LIMIT 1; \
         PREPARE kill_one FROM @one; EXECUTE kill_one",
    );
    let until = Instant::now() + PATIENCE;
    while errno(third.query_drop("SELECT 1").await).0 != 0 {
        assert!(Instant::now() < until, "the place that was given up is not given out");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_server_that_hangs_up_is_no_broken_protocol() {
    let cluster = Cluster::start("c1", Flavour::MySql);
    let bulkhead = setup(&cluster).start();
    let mut holder = bulkhead.connect(Some("app")).await;
    let mut in_transaction = bulkhead.connect(Some("app")).await;
    holder.query_drop("CREATE TEMPORARY TABLE mine (id INT)").await.expect("CREATE TEMPORARY TABLE");
    in_transaction.query_drop("BEGIN").await.expect("BEGIN");
    in_transaction.query_drop("INSERT INTO t VALUES (1)").await.expect("INSERT");
    let own = "SELECT GROUP_CONCAT('KILL ', id SEPARATOR '; ') FROM information_schema.processlist \
               WHERE user = 'bulkhead_app'";
    cluster.sql(&cluster.sql(own));
    for (conn, expected) in [(&mut holder, "E4006"), (&mut in_transaction, "E4003")] {
        let (code, message) = errno(conn.query_drop("SELECT * FROM t").await);
        assert!(code == 1053, "{code} {message}");
        let (code, message) = errno(conn.query_drop("SELECT * FROM t").await);
        assert!(code == 1053 && message.contains(expected), "{code} {message}");
        conn.query_drop("ROLLBACK").await.expect("ROLLBACK ends it");
        assert_eq!(value(conn, "SELECT COUNT(*) FROM t").await, 0);
    }
    // By its own clock, too: the session's wait_timeout ends the session, as it would on a server.
    let mut idle = bulkhead.connect(Some("app")).await;
    idle.query_drop("SET wait_timeout = 1").await.expect("SET");
    idle.query_drop("SELECT 1").await.expect("SELECT");
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let (code, message) = errno(idle.query_drop("SELECT 1").await);
    assert!(matches!(code, 1 | 4031), "{code} {message}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn long_statements_go_whole_where_they_may() {
    let cluster = Cluster::shared(Flavour::MySql);
    let bulkhead = shared_setup(cluster).start();
    cluster.sql("CREATE TABLE app.long_rows (a INT, b INT, c INT)");
    let mut conn = bulkhead.connect(Some("app")).await;
    let rows: Vec<String> = (0..30_000).map(|n| format!("({n},2,3)")).collect();
    conn.query_drop(format!("INSERT INTO long_rows VALUES {}", rows.join(","))).await.expect("INSERT");
    assert_eq!(conn.affected_rows(), 30_000);
    let list: Vec<String> = (0..100_100).map(|n| n.to_string()).collect();
    let count = format!("SELECT COUNT(*) FROM long_rows WHERE a IN ({})", list.join(","));
    assert_eq!(value(&mut conn, &count).await, 30_000);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn connections_are_bounded_by_user_and_in_all() {
    let cluster = Cluster::shared(Flavour::MySql);
    let limits = "[users.app]\npassword_env = \"TEST_APP_PASSWORD\"\nmax_connections = 2\n";
    let bulkhead = shared_setup(cluster).config(limits).start();
    let first = bulkhead.connect(Some("app")).await;
    let _second = bulkhead.connect(Some("app")).await;
    let third = || try_connect(bulkhead.port, "app", &bulkhead.password, None);
    assert_eq!(errno(third().await).0, 1203);
    first.disconnect().await.expect("QUIT");
    let until = Instant::now() + PATIENCE;
    while errno(third().await).0 != 0 {
        assert!(Instant::now() < until, "the place that was given up is not given out");
    }
    let bulkhead = shared_setup(cluster).listen("max_connections = 1").start();
    // Whoever looked whether it serves may still have the one place.
    let one = || try_connect(bulkhead.port, "app", &bulkhead.password, None);
    let mut only = one().await;
    while only.is_err() {
        assert!(Instant::now() < until, "nobody gets the one place");
        only = one().await;
    }
    assert_eq!(errno(one().await).0, 1040);
}
