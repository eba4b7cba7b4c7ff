//! Workspaces by the admin endpoint, on real servers: databases from a template, states, files, a restart.

mod common;

use std::time::Duration;

use common::servers::{Bulkhead, Cluster, Flavour, Setup};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row};

const VSCHEMA: &str = r#"
layout = "database_per_workspace"
database = "ws_{workspace_id}"
template = "workspace.sql"
"#;

const TEMPLATE: &str = "-- what a new workspace has
CREATE TABLE issues (id BIGINT PRIMARY KEY, title VARCHAR(100));
CREATE TABLE labels (id BIGINT PRIMARY KEY, name VARCHAR(20) DEFAULT 'a;b');
INSERT INTO labels VALUES (1, 'bug');
";

fn start(cluster: &Cluster) -> Bulkhead {
    Setup::default()
        .cluster(cluster)
        .config("[keyspaces.workspaces]\nshards = { ws-a = \"c1\", ws-b = \"c1\" }")
        .vschema("workspaces.toml", VSCHEMA)
        .vschema("workspace.sql", TEMPLATE)
        .start()
}

async fn refused(conn: &mut Conn, statement: &str) -> (u16, String) {
    match conn.query_drop(statement).await {
        Err(Error::Server(error)) => (error.code, error.message),
        other => panic!("{statement}: {other:?}"),
    }
}

async fn cell(conn: &mut Conn, statement: &str, column: &str) -> String {
    let row: Option<Row> = conn.query_first(statement).await.expect("the statement is right");
    row.and_then(|row| row.get(column)).unwrap_or_else(|| panic!("{statement}: no {column}"))
}

async fn http(bulkhead: &Bulkhead, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = ("127.0.0.1", bulkhead.http_port);
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("it answers");
    answer
}

/// Makes a workspace with its database; a failure in the middle is mended and gone on with.
async fn creates_databases(cluster: &Cluster, bulkhead: &Bulkhead, admin: &mut Conn) {
    admin.query_drop("CREATE WORKSPACE workspaces 1 WITH DATABASE").await.expect("it is made");
    assert_eq!(cluster.sql("SELECT name FROM ws_1.labels").trim(), "bug");
    let mut app = bulkhead.connect(Some("ws_1")).await;
    app.query_drop("INSERT INTO issues VALUES (1, 'first')").await.expect("it takes writes");
    let (errno, message) = refused(admin, "CREATE WORKSPACE workspaces 1 WITH DATABASE").await;
    assert_eq!(errno, 1007, "{message}");

    let broken = TEMPLATE.replace("INSERT INTO labels VALUES (1, 'bug')", "INSERT INTO nowhere VALUES (1)");
    std::fs::write(bulkhead.path("vschema/workspace.sql"), &broken).expect("it can be written");
    let (_, message) = refused(admin, "CREATE WORKSPACE workspaces 2 WITH DATABASE").await;
    assert!(message.contains("statement 3 of 3 (line 4) failed on ws_2: ERROR 1146"), "{message}");
    assert!(message.contains("1 remain"), "{message}");
    assert_eq!(refused(admin, "SHOW WORKSPACE workspaces 2").await.0, 1049);
    cluster.sql("CREATE TABLE ws_2.nowhere (id INT)");
    admin.query_drop("CREATE WORKSPACE workspaces 2 WITH DATABASE").await.expect("it goes on");
    assert_eq!(cluster.sql("SELECT COUNT(*) FROM ws_2.nowhere").trim(), "1");
    assert_eq!(cell(admin, "SHOW WORKSPACE workspaces 2", "shard").await, "ws-b");
    std::fs::write(bulkhead.path("vschema/workspace.sql"), TEMPLATE).expect("it can be written");

    cluster.sql("CREATE DATABASE ws_3; CREATE TABLE ws_3.mine (id INT)");
    let (_, message) = refused(admin, "CREATE WORKSPACE workspaces 3 WITH DATABASE").await;
    assert!(message.contains("already on shard"), "{message}");
    assert_eq!(cluster.sql("SHOW TABLES FROM ws_3").trim(), "mine");
}

async fn states_hold(bulkhead: &Bulkhead, admin: &mut Conn) {
    let mut app = bulkhead.connect(Some("ws_1")).await;
    admin.query_drop("SET WORKSPACE workspaces 1 STATE read_only").await.expect("it is set");
    let (errno, message) = refused(&mut app, "INSERT INTO issues VALUES (2, 'second')").await;
    assert!(errno == 1290 && message.contains("E3001"), "{errno} {message}");
    let count: Option<u64> = app.query_first("SELECT COUNT(*) FROM issues").await.expect("it reads");
    assert_eq!(count, Some(1));
    admin.query_drop("SET WORKSPACE workspaces 1 STATE suspended").await.expect("it is set");
    assert!(refused(&mut app, "SELECT COUNT(*) FROM issues").await.1.contains("E3003"));
    admin.query_drop("SET WORKSPACE workspaces 1 STATE active").await.expect("it is set");
    app.query_drop("INSERT INTO issues VALUES (2, 'second')").await.expect("it takes writes again");
}

async fn files_go_in_and_out(bulkhead: &Bulkhead, admin: &mut Conn) {
    let (input, output) = (bulkhead.path("in.csv"), bulkhead.path("out.jsonl"));
    let mut csv = String::from("workspace,shard\n");
    (100..5_100).for_each(|id| csv.push_str(&format!("{id},\n")));
    std::fs::write(&input, csv).expect("it can be written");
    let import = format!("IMPORT WORKSPACES workspaces FROM '{}'", input.display());
    let result = admin.query_iter(&import).await.expect("the rows are right");
    assert_eq!(result.affected_rows(), 5_000);
    assert_eq!(result.info(), "5000 rows: 5000 created, 0 replaced, 0 unchanged");
    result.drop_result().await.expect("nothing follows");
    let (_, message) = refused(admin, &import).await;
    assert!(message.contains("5000 of 5000 rows") || message.contains("100 of"), "{message}");
    let export = format!("EXPORT WORKSPACES workspaces TO '{}'", output.display());
    admin.query_drop(&export).await.expect("the file is new");
    assert_eq!(std::fs::read_to_string(&output).expect("it is there").lines().count(), 5_002);
}

async fn workspaces_live(flavour: Flavour) {
    let cluster = Cluster::start("c1", flavour);
    let mut bulkhead = start(&cluster);
    let mut admin = bulkhead.connect_admin().await;
    creates_databases(&cluster, &bulkhead, &mut admin).await;
    states_hold(&bulkhead, &mut admin).await;
    files_go_in_and_out(&bulkhead, &mut admin).await;

    assert_eq!(cell(&mut admin, "SHOW WORKSPACES workspaces AFTER 1 LIMIT 1", "database").await, "ws_2");
    assert_eq!(cell(&mut admin, "SHOW DIGESTS WHERE errors = 0 LIMIT 1", "keyspace").await, "workspaces");
    assert_eq!(cell(&mut admin, "SHOW POOLS WHERE busy = 0 LIMIT 1", "role").await, "primary");
    let plan = cell(&mut admin, "EXPLAIN ROUTE FOR ws_1 SELECT * FROM issues", "result").await;
    assert_eq!(plan, "SELECT * FROM issues");
    admin.query_drop("RELOAD").await.expect("the files are right");
    assert!(http(&bulkhead, "/healthz").await.starts_with("HTTP/1.1 200"));
    let metrics = http(&bulkhead, "/metrics").await;
    assert!(metrics.contains("bulkhead_shard_statements_total{keyspace=\"workspaces\""), "{metrics}");

    drop(admin);
    bulkhead.signal("TERM");
    let ended = bulkhead.wait(Duration::from_secs(40));
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}\n{}", bulkhead.log());
    bulkhead.launch();
    let mut admin = bulkhead.connect_admin().await;
    assert_eq!(cell(&mut admin, "SHOW WORKSPACE workspaces 1", "revision").await, "4");
    assert_eq!(cell(&mut admin, "SHOW SNAPSHOT WHERE name = workspaces", "value").await, "5002");
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn workspaces_live_on_mysql() {
    workspaces_live(Flavour::MySql).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn workspaces_live_on_mariadb() {
    workspaces_live(Flavour::MariaDb).await;
}
