//! The protocol, command by command and capability by capability, against a plain server: what drivers do not
//! try by themselves. KILL by command, statements of one packet and more, packets beyond the bounds.

mod common;

use std::time::{Duration, Instant};

use bulkhead::protocol::capability::Capabilities;
use bulkhead::protocol::command::{self, code};
use bulkhead::protocol::response::CommandKind;
use common::clients::{errno, login};
use common::raw::{Answer, Login, Lost, MODERN, RawClient};
use common::servers::{Bulkhead, Cluster, Flavour, Role, Setup, connect};
use mysql_async::prelude::Queryable;

const CONFIG: &str = r#"
[keyspaces.app]
shards = { "-" = "c1" }
[users.app]
password_env = "TEST_APP_PASSWORD"
[users.other]
password_env = "TEST_APP_PASSWORD"
[users.boss]
password_env = "TEST_APP_PASSWORD"
admin = true
"#;
/// Largest payload of one packet, in bytes.
const FULL: usize = 0xff_ffff;

fn start(flavour: Flavour, listen: &str) -> (Cluster, Bulkhead) {
    let cluster = Cluster::start("c1", flavour);
    cluster.sql(
        "CREATE DATABASE app; CREATE TABLE app.t (id INT PRIMARY KEY, n INT); \
         INSERT INTO app.t VALUES (1, 1), (2, 2); SET GLOBAL local_infile = 1; \
         CREATE PROCEDURE app.rows_of_t() SELECT id FROM app.t",
    );
    let version = if flavour == Flavour::MariaDb { "10.11.14-MariaDB" } else { "9.7.0" };
    let bulkhead = Setup::default()
        .cluster(&cluster)
        .config(CONFIG)
        .listen(&format!("server_version = \"{version}\"\n{listen}"))
        .vschema("app.toml", "layout = \"unsharded\"\n")
        .start();
    (cluster, bulkhead)
}

fn plain(cluster: &Cluster) -> Login {
    let (user, password) = ("bulkhead_app".to_owned(), cluster.password.clone());
    Login { port: cluster.primary_port, user, password, ..login_shape() }
}

fn login_shape() -> Login {
    Login {
        port: 0,
        user: String::new(),
        password: String::new(),
        database: Some("app".to_owned()),
        capabilities: MODERN,
        collation: common::raw::COLLATION,
    }
}

fn kind_of_wire(answer: &Result<Answer, Lost>) -> String {
    match answer {
        Ok(answer) => match answer.error() {
            Some(error) => format!("error {} {}", error.errno, error.message),
            None => format!("{:02x?}", answer.wire),
        },
        Err(lost) => format!("{lost:?}"),
    }
}

/// One capability at a time: what it changes is the same on both sides, and is changed at all.
async fn capabilities_count_one_by_one(flavour: Flavour) {
    let (cluster, bulkhead) = start(flavour, "");
    let all = MODERN.with(Capabilities::FOUND_ROWS).with(Capabilities::IGNORE_SPACE);
    for (flag, sql) in [
        (Capabilities::FOUND_ROWS, "UPDATE t SET n = 1 WHERE id = 1"),
        (Capabilities::IGNORE_SPACE, "SELECT COUNT (*) FROM t"),
        (Capabilities::MULTI_STATEMENTS, "SELECT 1; SELECT 2"),
        (Capabilities::MULTI_RESULTS, "CALL rows_of_t()"),
        (Capabilities::LOCAL_FILES, "LOAD DATA LOCAL INFILE 'x' INTO TABLE t"),
        (Capabilities::DEPRECATE_EOF, "SELECT id FROM t"),
        (Capabilities::SESSION_TRACK, "SET NAMES latin1"),
    ] {
        let mut seen = Vec::new();
        for capabilities in [all, all.without(flag)] {
            let mut sides = Vec::new();
            for side in [plain(&cluster), login(&bulkhead)] {
                let mut client = RawClient::connect(&Login { capabilities, ..side }).await.expect("logs in");
                assert_eq!(client.capabilities.contains(flag), capabilities.contains(flag), "{flag:?}");
                sides.push(kind_of_wire(&client.query(sql.as_bytes()).await));
            }
            assert_eq!(sides[0], sides[1], "{flavour:?} {flag:?} {capabilities:?}");
            seen.push(sides.remove(0));
        }
        // MariaDB and MySQL count results of CALL as MULTI_RESULTS with MULTI_STATEMENTS.
        assert!(
            seen[0] != seen[1] || flag == Capabilities::MULTI_RESULTS,
            "{flavour:?} {flag:?}: {}",
            seen[0]
        );
    }
}

/// Sends query attributes, which a component of the server shows.
async fn query_attributes_arrive() {
    let (cluster, bulkhead) = start(Flavour::MySql, "");
    cluster.sql("INSTALL COMPONENT 'file://component_query_attributes'");
    let capabilities = MODERN.with(Capabilities::QUERY_ATTRIBUTES);
    let mut client = RawClient::connect(&Login { capabilities, ..login(&bulkhead) }).await.expect("logs in");
    assert!(client.capabilities.contains(Capabilities::QUERY_ATTRIBUTES));
    let asked = b"SELECT mysql_query_attribute_string('key') FROM t WHERE id = 1";
    let attributes = b"\x01\x01\x00\x01\xfe\x00\x03key\x05value";
    let payload = command::query_payload(asked, attributes, capabilities);
    let answer = client.command(&payload, CommandKind::Query).await.expect("an answer");
    assert!(answer.payloads().iter().any(|row| *row == b"\x05value"), "{:?}", answer.error());
    // They belong to one statement.
    let answer = client.query(asked).await.expect("an answer");
    assert!(answer.payloads().iter().any(|row| *row == b"\xfb"), "NULL without them");
}

/// COM_PROCESS_KILL.
async fn kill_by_command(flavour: Flavour) {
    let (_cluster, bulkhead) = start(flavour, "");
    let login_as = |user: &str| Login { user: user.to_owned(), ..login(&bulkhead) };
    let mut victim = RawClient::connect(&login(&bulkhead)).await.expect("logs in");
    let id = victim.thread_id;
    let kill = |id: u32| command::number_payload(code::PROCESS_KILL, id).to_vec();
    let mut killed = Vec::new();
    for (user, id) in [("other", id), ("app", 4_000_000_000), ("app", id)] {
        let mut client = RawClient::connect(&login_as(user)).await.expect("logs in");
        let answer = client.command(&kill(id), CommandKind::Simple).await.expect("an answer");
        killed.push(answer.error().map(|error| error.errno));
        if user == "other" {
            assert!(victim.query(b"SELECT 1 FROM t").await.is_ok(), "not one's own session: it lives");
        }
    }
    assert_eq!(killed, [Some(1095), Some(1094), None], "{flavour:?}");
    assert!(victim.query(b"SELECT 1 FROM t").await.is_err(), "{flavour:?}: the session is gone");
    // An operator may end anybody's, in the middle of a statement.
    let mut victim = RawClient::connect(&login(&bulkhead)).await.expect("logs in");
    victim.send(b"\x03SELECT SLEEP(600) FROM t").await.expect("sent");
    let mut boss = RawClient::connect(&login_as("boss")).await.expect("logs in");
    let answer = boss.command(&kill(victim.thread_id), CommandKind::Simple).await.expect("an answer");
    assert!(answer.error().is_none(), "{:?}", answer.error());
    let ended = victim.receive(CommandKind::Query).await;
    assert!(!matches!(ended, Err(Lost::Silent)), "{flavour:?}: it is told or hung up on");
    let ended = victim.query(b"SELECT 1 FROM t").await;
    assert!(matches!(ended, Err(Lost::Broken(_))), "{flavour:?}: {ended:?}");
}

/// Statements and rows around the sizes where a packet is full, both ways.
async fn packets_of_all_sizes(flavour: Flavour) {
    let (cluster, bulkhead) = start(flavour, "max_allowed_packet = \"64MiB\"");
    let mut client = RawClient::connect(&login(&bulkhead)).await.expect("logs in");
    let mut direct = RawClient::connect(&plain(&cluster)).await.expect("logs in");
    // COM_QUERY, SELECT ' and the quote at the end.
    let around = b"\x03SELECT ''".len();
    for payload in [FULL - 1, FULL, FULL + 1, 2 * FULL - 1, 2 * FULL, 40 << 20] {
        let text: Vec<u8> = (0..payload - around).map(|at| b'a' + (at / 7 % 23) as u8).collect();
        let sql = [b"SELECT '", &text[..], b"'"].concat();
        let through = client.query(&sql).await.expect("an answer");
        assert!(through.error().is_none(), "{flavour:?} {payload}: {:?}", through.error());
        let own = direct.query(&sql).await.expect("an answer");
        assert!(through.wire == own.wire, "{flavour:?} {payload}: {} {}", through.wire.len(), own.wire.len());
    }
}

/// What is beyond a bound has MySQL's own error, and costs nobody else.
async fn packets_beyond_the_bounds(flavour: Flavour) {
    let (cluster, bulkhead) = start(flavour, "max_allowed_packet = \"20MiB\"");
    let sql = |bytes: usize| format!("SELECT LENGTH('{}') FROM t WHERE id = 1", "x".repeat(bytes));
    // Beyond Bulkhead's: the connection ends with 1153, as a server's would.
    let mut client = RawClient::connect(&login(&bulkhead)).await.expect("logs in");
    let told = client.query(sql(21 << 20).as_bytes()).await.expect("an answer").error();
    assert_eq!(told.map(|error| error.errno), Some(1153), "{flavour:?}");
    assert!(client.query(b"SELECT 1 FROM t").await.is_err(), "{flavour:?}: it is over");
    // Beyond the server's: one statement fails, the session goes on.
    let mut conn = connect(bulkhead.port, "app", &bulkhead.password, Some("app")).await;
    cluster.sql("SET GLOBAL max_allowed_packet = 1048576");
    cluster.sql(&cluster.sql(
        "SELECT GROUP_CONCAT('KILL ', id SEPARATOR '; ') FROM information_schema.processlist \
         WHERE user = 'bulkhead_app'",
    ));
    // The first one finds the connections that were killed.
    let until = Instant::now() + Duration::from_secs(10);
    while errno(conn.query_drop("SELECT n FROM t").await).0 != 0 {
        assert!(Instant::now() < until, "{flavour:?}: no connection");
    }
    let (code, message) = errno(conn.query_drop(sql(3 << 20)).await);
    // MySQL hangs up on what it does not read to its end; whether its error comes first is chance.
    let is_lost = flavour == Flavour::MySql && message.contains("E4002");
    assert!(code == 1153 || is_lost, "{flavour:?}: {code} {message}");
    let (code, message) = errno(conn.query_drop("SELECT n FROM t").await);
    assert_eq!(code, 0, "{flavour:?}: {message}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mysql_capabilities() {
    capabilities_count_one_by_one(Flavour::MySql).await;
    query_attributes_arrive().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mariadb_capabilities() {
    capabilities_count_one_by_one(Flavour::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mysql_kill_and_packets() {
    kill_by_command(Flavour::MySql).await;
    packets_of_all_sizes(Flavour::MySql).await;
    packets_beyond_the_bounds(Flavour::MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mariadb_kill_and_packets() {
    kill_by_command(Flavour::MariaDb).await;
    packets_of_all_sizes(Flavour::MariaDb).await;
    packets_beyond_the_bounds(Flavour::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_sick_cluster_holds_nobody_elses_statements() {
    let (sick, well) = (Cluster::start("c1", Flavour::MySql), Cluster::start("c2", Flavour::MySql));
    for cluster in [&sick, &well] {
        cluster.sql("CREATE DATABASE app; CREATE DATABASE other");
    }
    let config = "[keyspaces.app]\nshards = { \"-\" = \"c1\" }\n\
                  [keyspaces.other]\nshards = { \"-\" = \"c2\" }\n\
                  [timeouts]\nconnect = \"500ms\"\npool_wait = \"500ms\"\nquery = \"2s\"\n\
                  [clusters.c1.pool]\nmax_connections = 2\n[clusters.c2.pool]\nmax_connections = 2\n";
    let bulkhead = Setup::default()
        .cluster(&sick)
        .cluster(&well)
        .config(config)
        .vschema("app.toml", "layout = \"unsharded\"\n")
        .vschema("other.toml", "layout = \"unsharded\"\n")
        .start();
    sick.signal(Role::Primary, "STOP");
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let mut client = RawClient::connect(&login(&bulkhead)).await.expect("logs in");
        waiting.push(tokio::spawn(async move {
            let began = Instant::now();
            let answer = client.query(b"SELECT SLEEP(0)").await.expect("an answer");
            (answer.error().map(|error| error.message), began.elapsed())
        }));
    }
    let mut conn = bulkhead.connect(Some("other")).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..200 {
        let start = Instant::now();
        conn.query_drop("SELECT SLEEP(0)").await.expect("the other cluster answers");
        slowest = slowest.max(start.elapsed());
    }
    let mut told = Vec::new();
    for statement in waiting {
        told.push(statement.await.expect("no panic"));
    }
    sick.signal(Role::Primary, "CONT");
    // Every one of them was told in time that its server is away, and nothing of the other cluster's took as
    // long as that.
    for (message, took) in told {
        assert!(slowest < took, "another cluster's statement took {slowest:?}, one of this one's {took:?}");
        let message = message.expect("an error");
        assert!(["E4001", "E5001"].iter().any(|id| message.contains(id)), "{message}");
    }
}
