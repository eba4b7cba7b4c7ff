//! Statements that are prepared: what they tie the session to, what becomes of cursors, refusals in the
//! middle of transactions, files inside a text of several statements, logins that change.

mod common;

use std::time::{Duration, Instant};

use bulkhead::protocol::command;
use bulkhead::protocol::response::CommandKind;
use common::clients::{errno, login, run, value};
use common::raw::{Answer, RawClient};
use common::servers::{Bulkhead, Cluster, Flavour, Setup, wait_until};
use mysql_async::prelude::Queryable;

const CONFIG: &str = "[keyspaces.app]\nshards = { \"-\" = \"c1\" }\n\
                      [keyspaces.spaces]\nshards = { a = \"c1\" }\n\
                      [clusters.c1.pool]\nmax_connections = 2\n";
const SPACES: &str = "layout = \"database_per_workspace\"\ndatabase = \"ws_{workspace_id}\"\n";
/// CURSOR_TYPE_READ_ONLY.
const CURSOR: u8 = 1;

fn start(flavour: Flavour) -> (Cluster, Bulkhead) {
    let cluster = Cluster::start("c1", flavour);
    cluster.sql(
        "CREATE DATABASE app; CREATE DATABASE ws_1; CREATE TABLE app.t (id INT PRIMARY KEY); \
         CREATE TABLE ws_1.t (id INT PRIMARY KEY); SET GLOBAL local_infile = 1",
    );
    let version = if flavour == Flavour::MariaDb { "10.11.14-MariaDB" } else { "9.7.0" };
    let bulkhead = Setup::default()
        .cluster(&cluster)
        .config(CONFIG)
        .listen(&format!("server_version = \"{version}\"\nhandshake_timeout = \"2s\""))
        .vschema("app.toml", "layout = \"unsharded\"\n")
        .vschema("spaces.toml", SPACES)
        .start();
    (cluster, bulkhead)
}

/// Prepares a statement without parameters; gives its id.
async fn prepare(client: &mut RawClient, sql: &str) -> u32 {
    let payload = command::string_payload(command::code::STMT_PREPARE, sql.as_bytes());
    let answer = client.command(&payload, CommandKind::Prepare).await.expect("an answer");
    assert!(answer.error().is_none(), "{sql}: {:?}", answer.error());
    u32::from_le_bytes(answer.wire[5..9].try_into().expect("four bytes"))
}

async fn execute(client: &mut RawClient, id: u32, flags: u8) -> Answer {
    let mut payload = command::number_payload(command::code::STMT_EXECUTE, id).to_vec();
    payload.push(flags);
    payload.extend_from_slice(&1u32.to_le_bytes());
    client.command(&payload, CommandKind::Execute).await.expect("an answer")
}

async fn fetch(client: &mut RawClient, id: u32) -> Answer {
    let mut payload = command::number_payload(command::code::STMT_FETCH, id).to_vec();
    payload.extend_from_slice(&10u32.to_le_bytes());
    client.command(&payload, CommandKind::Fetch).await.expect("an answer")
}

/// Connections that sessions hold.
async fn busy(bulkhead: &Bulkhead) -> i64 {
    let mut admin = bulkhead.connect_admin().await;
    let pools: Vec<mysql_async::Row> = admin.query("SHOW POOLS").await.expect("rows");
    pools
        .iter()
        .map(|row| row.get::<String, _>("busy").expect("busy").parse::<i64>().expect("a number"))
        .sum()
}

/// Says whether sessions come to hold so many; a connection that is being reset counts until it is done.
async fn comes_to(bulkhead: &Bulkhead, expected: i64) -> bool {
    let until = Instant::now() + Duration::from_secs(5);
    while busy(bulkhead).await != expected {
        if Instant::now() > until {
            return false;
        }
    }
    true
}

async fn text_statements_count_as_what_they_run(flavour: Flavour) {
    let (_cluster, bulkhead) = start(flavour);
    let mut admin = bulkhead.connect_admin().await;
    run(&mut admin, "CREATE WORKSPACE spaces 1 ON a").await;
    let mut conn = bulkhead.connect(Some("ws_1")).await;
    run(&mut conn, "PREPARE put FROM 'INSERT INTO t VALUES (?)'").await;
    run(&mut conn, "PREPARE look FROM 'SELECT COUNT(*) FROM t'").await;
    run(&mut conn, "SET @id = 1").await;
    run(&mut conn, "EXECUTE put USING @id").await;
    run(&mut admin, "SET WORKSPACE spaces 1 STATE read-only").await;
    let (code, message) = errno(conn.query_drop("EXECUTE put USING @id").await);
    assert!(code == 1290 && message.contains("E3001"), "{flavour:?} {code} {message}");
    assert_eq!(value(&mut conn, "EXECUTE look").await, 1, "{flavour:?}");
    run(&mut admin, "SET WORKSPACE spaces 1 STATE active").await;
    run(&mut conn, "SET @id = 2").await;
    run(&mut conn, "EXECUTE put USING @id").await;
    // What it creates keeps the connection, and what it asks is answered for this session.
    run(&mut conn, "PREPARE make FROM 'CREATE TEMPORARY TABLE mine (id INT)'").await;
    run(&mut conn, "EXECUTE make").await;
    for name in ["put", "look", "make"] {
        run(&mut conn, &format!("DEALLOCATE PREPARE {name}")).await;
    }
    run(&mut conn, "SELECT * FROM mine").await;
    assert!(comes_to(&bulkhead, 1).await, "{flavour:?}");
    run(&mut conn, "DROP TEMPORARY TABLE mine").await;
    assert!(comes_to(&bulkhead, 0).await, "{flavour:?}");
    // The text of a variable: as it was set, and as a server computed it.
    run(&mut conn, "SET @text = 'SELECT 40 + 2 /* it''s */'").await;
    run(&mut conn, "PREPARE told FROM @text").await;
    assert_eq!(value(&mut conn, "EXECUTE told").await, 42, "{flavour:?}");
    run(&mut conn, "DEALLOCATE PREPARE told").await;
    assert!(comes_to(&bulkhead, 0).await, "{flavour:?}");
    assert_eq!(errno(conn.query_drop("PREPARE nothing FROM @nothing").await).0, 1064, "{flavour:?}");
    let mut computing = bulkhead.connect(Some("ws_1")).await;
    run(&mut computing, "SELECT CONCAT('SELECT ', COUNT(*), ' + 40') INTO @text FROM t").await;
    run(&mut computing, "PREPARE told FROM @text").await;
    assert_eq!(value(&mut computing, "EXECUTE told").await, 42, "{flavour:?}");
    run(&mut computing, "SET @text = 'DELETE FROM ws_2.t'").await;
    let refused = errno(computing.query_drop("PREPARE told FROM @text").await).0;
    assert!(refused > 1, "{flavour:?}: another workspace's text is refused: {refused}");
    computing.reset().await.expect("RESET CONNECTION");
    let (code, message) = errno(conn.query_drop("PREPARE id FROM 'SELECT CONNECTION_ID()'").await);
    assert!(code == 1235 && message.contains("CONNECTION_ID"), "{flavour:?} {code} {message}");
    assert_eq!(errno(conn.query_drop("PREPARE bad FROM 'SELECT * FROM nowhere'").await).0, 1146);
    assert_eq!(errno(conn.query_drop("EXECUTE bad").await).0, 1243);
    assert!(comes_to(&bulkhead, 0).await, "{flavour:?}");
}

async fn refusals_leave_the_transaction(flavour: Flavour) {
    let (cluster, bulkhead) = start(flavour);
    let mut client = RawClient::connect(&login(&bulkhead)).await.expect("logs in");
    let plain = prepare(&mut client, "SELECT id FROM t").await;
    for sql in ["BEGIN", "INSERT INTO t VALUES (1)"] {
        assert!(client.query(sql.as_bytes()).await.expect("an answer").error().is_none(), "{sql}");
    }
    let bad = command::string_payload(command::code::STMT_PREPARE, b"SELECT * FROM nowhere");
    let answer = client.command(&bad, CommandKind::Prepare).await.expect("an answer");
    assert_eq!(answer.error().map(|error| error.errno), Some(1146));
    assert_eq!(fetch(&mut client, plain).await.error().map(|error| error.errno), Some(1421));
    client.send(&command::number_payload(command::code::STMT_CLOSE, plain)).await.expect("sent");
    client.query(b"SET sql_mode = 'nonsense'").await.expect("an answer").error().expect("refused");
    assert!(client.query(b"COMMIT").await.expect("an answer").error().is_none());
    assert_eq!(cluster.sql("SELECT COUNT(*) FROM app.t").trim(), "1", "{flavour:?}");
    assert!(comes_to(&bulkhead, 0).await, "{flavour:?}");
}

async fn cursors_are_counted_once(flavour: Flavour) {
    let (cluster, bulkhead) = start(flavour);
    cluster.sql("INSERT INTO app.t VALUES (1), (2), (3)");
    let mut client = RawClient::connect(&login(&bulkhead)).await.expect("logs in");
    let first = prepare(&mut client, "SELECT id FROM t").await;
    let second = prepare(&mut client, "SELECT id + 1 FROM t").await;
    // With a cursor, with a new one, without one, and with one again.
    for flags in [CURSOR, CURSOR, 0, CURSOR] {
        assert!(execute(&mut client, first, flags).await.error().is_none(), "{flavour:?}");
        assert!(comes_to(&bulkhead, i64::from(flags)).await, "{flavour:?}");
    }
    assert!(execute(&mut client, second, CURSOR).await.error().is_none(), "{flavour:?}");
    client.send(&command::number_payload(command::code::STMT_CLOSE, second)).await.expect("sent");
    client.query(b"DO 1").await.expect("an answer");
    assert!(comes_to(&bulkhead, 1).await, "{flavour:?}: the first one's is open");
    assert_eq!(fetch(&mut client, first).await.payloads().len(), 4, "{flavour:?}: three rows and an end");
    assert!(comes_to(&bulkhead, 0).await, "{flavour:?}");
}

async fn a_file_is_sent_inside_a_text(flavour: Flavour) {
    let (cluster, bulkhead) = start(flavour);
    let mut client = RawClient::connect(&login(&bulkhead)).await.expect("logs in");
    client.file = b"1\n2\n3\n".to_vec();
    let text = "SELECT 1; LOAD DATA LOCAL INFILE 'rows' INTO TABLE t; SELECT COUNT(*) FROM t; \
                LOAD DATA LOCAL INFILE 'rows' IGNORE INTO TABLE t; DELETE FROM t WHERE id = 2";
    let answer = client.query(text.as_bytes()).await.unwrap_or_else(|lost| panic!("{flavour:?}: {lost:?}"));
    assert!(answer.error().is_none(), "{flavour:?}: {:?}", answer.error());
    assert!(client.query(b"DO 1").await.expect("the session goes on").error().is_none());
    assert_eq!(cluster.sql("SELECT GROUP_CONCAT(id) FROM app.t").trim(), "1,3", "{flavour:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mysql_prepared_statements() {
    text_statements_count_as_what_they_run(Flavour::MySql).await;
    refusals_leave_the_transaction(Flavour::MySql).await;
    cursors_are_counted_once(Flavour::MySql).await;
    a_file_is_sent_inside_a_text(Flavour::MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mariadb_prepared_statements() {
    text_statements_count_as_what_they_run(Flavour::MariaDb).await;
    refusals_leave_the_transaction(Flavour::MariaDb).await;
    cursors_are_counted_once(Flavour::MariaDb).await;
    a_file_is_sent_inside_a_text(Flavour::MariaDb).await;
}

/// COM_CHANGE_USER of `app` with a plugin that makes the server ask again.
fn change_user(password: &[u8], database: &str) -> Vec<u8> {
    let mut payload = vec![command::code::CHANGE_USER];
    payload.extend_from_slice(b"app\0");
    payload.push(password.len() as u8);
    payload.extend_from_slice(password);
    payload.extend_from_slice(database.as_bytes());
    payload.extend_from_slice(b"\0\x2d\0mysql_clear_password\0");
    payload
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_change_of_user_is_bounded_and_ends_who_fails() {
    let (_cluster, bulkhead) = start(Flavour::MySql);
    let mut admin = bulkhead.connect_admin().await;
    let mut stalled = RawClient::connect(&login(&bulkhead)).await.expect("logs in");
    let started = Instant::now();
    stalled.send(&change_user(b"", "app")).await.expect("sent");
    // Nobody answers the question that follows.
    let told = stalled.receive(CommandKind::Simple).await;
    assert!(told.is_err() || started.elapsed() < Duration::from_secs(8), "{told:?}");
    let mut sessions = Vec::new();
    for _ in 0..100 {
        sessions = admin.query::<mysql_async::Row, _>("SHOW SESSIONS").await.expect("rows");
        if sessions.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(sessions.is_empty(), "a session hangs in its login: {sessions:?}");
    // Who may not have the database is told, and gone.
    let mut conn = bulkhead.connect(Some("app")).await;
    let options = mysql_async::ChangeUserOpts::new().with_db_name(Some("nowhere".to_owned()));
    assert_eq!(errno(conn.change_user(options).await).0, 1049);
    assert!(errno(conn.query_drop("SELECT 1").await).0 > 0);
    assert!(wait_until(|| bulkhead.log().contains("serving")));
}
