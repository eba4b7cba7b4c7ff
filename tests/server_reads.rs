//! Reads on replicas: by user, of a drained cluster, and those that must see the session's own writes.

mod common;

use std::time::{Duration, Instant};

use common::clients::value;
use common::servers::{Cluster, Flavour, Role, Setup, connect};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

const CONFIG: &str = r#"
[keyspaces.app]
shards = { "-" = "c1" }
reads_after_writes = true
[users.app]
password_env = "TEST_APP_PASSWORD"
admin = true
[users.reader]
password_env = "TEST_APP_PASSWORD"
reads = "replica"
"#;

async fn reads_see_own_writes(flavour: Flavour) {
    let cluster = Cluster::start_with_replica("c1", flavour);
    cluster.sql("CREATE DATABASE app; CREATE TABLE app.t (id INT PRIMARY KEY)");
    let setup = Setup::default().cluster(&cluster).config(CONFIG).config("[log]\nlevel = \"debug\"\n");
    let bulkhead = setup.vschema("app.toml", "layout = \"unsharded\"\n").start();
    let replica_port = cluster.replica_port.map(i64::from).expect("a replica");
    let mut reader = connect(bulkhead.port, "reader", &bulkhead.password, Some("app")).await;
    let mut root = cluster.connect(Role::Replica, "root").await;
    let until = Instant::now() + Duration::from_secs(20);
    while reader.query_drop("SELECT id FROM t").await.is_err() {
        assert!(Instant::now() < until, "the table never came to the replica");
    }
    // The user's reads go to the replica, with its own writes.
    for id in 0..20 {
        reader.query_drop(format!("INSERT INTO t VALUES ({id})")).await.expect("INSERT");
        assert_eq!(value(&mut reader, "SELECT COUNT(*) FROM t").await, id + 1, "{flavour:?}");
    }
    assert_eq!(value(&mut reader, "SELECT @@port FROM t LIMIT 1").await, replica_port);
    // A replica that stands still is not read from after a write, but for who did not write.
    let thread = if flavour == Flavour::MySql { "REPLICA" } else { "SLAVE" };
    root.query_drop(format!("STOP {thread} SQL_THREAD")).await.expect("STOP REPLICA");
    reader.query_drop("INSERT INTO t VALUES (100)").await.expect("INSERT");
    assert_eq!(value(&mut reader, "SELECT COUNT(*) FROM t").await, 21, "{flavour:?}");
    let mut fresh = connect(bulkhead.port, "reader", &bulkhead.password, Some("app")).await;
    assert_eq!(value(&mut fresh, "SELECT COUNT(*) FROM t").await, 20, "{flavour:?}");
    root.query_drop(format!("START {thread} SQL_THREAD")).await.expect("START REPLICA");
    assert_eq!(value(&mut reader, "SELECT COUNT(*) FROM t").await, 21);
    // Transactions and locking reads are the primary's.
    reader.query_drop("BEGIN").await.expect("BEGIN");
    assert_eq!(value(&mut reader, "SELECT @@port").await, i64::from(cluster.primary_port));
    reader.query_drop("COMMIT").await.expect("COMMIT");
    let locking = "SELECT @@port FROM t LIMIT 1 FOR UPDATE";
    assert_eq!(value(&mut reader, locking).await, i64::from(cluster.primary_port));
}

/// While a cluster is drained its reads are the replica's, where the keyspace allows that and the replica is
/// not too far behind; but for those that must see what their session wrote.
async fn reads_of_a_drained_cluster_move(flavour: Flavour) {
    let cluster = Cluster::start_with_replica("c1", flavour);
    cluster.sql("CREATE DATABASE app; CREATE TABLE app.t (id INT PRIMARY KEY); INSERT INTO app.t VALUES (1)");
    let config = CONFIG.replace("[users.app]", "replica_reads_when_drained = \"4s\"\n[users.app]");
    let setup = Setup::default().cluster(&cluster).config(&config);
    let bulkhead = setup.vschema("app.toml", "layout = \"unsharded\"\n").start();
    let mut admin = bulkhead.connect_admin().await;
    let (primary, replica) =
        (i64::from(cluster.primary_port), cluster.replica_port.map(i64::from).expect("a replica"));
    let mut client = bulkhead.connect(Some("app")).await;
    let mut writer = bulkhead.connect(Some("app")).await;
    writer.query_drop("INSERT INTO t VALUES (2)").await.expect("INSERT");
    let port = "SELECT @@port FROM t LIMIT 1";
    assert_eq!(value(&mut client, port).await, primary);

    admin.query_drop("DRAIN CLUSTER c1 WHY 'a drill'").await.expect("DRAIN");
    becomes(&mut client, port, replica).await;
    assert_eq!(value(&mut writer, port).await, primary, "it reads its own writes");
    assert_eq!(value(&mut client, "SELECT /*bulkhead: primary */ @@port FROM t LIMIT 1").await, primary);
    // A replica that stands still soon shows what is too old.
    let mut root = cluster.connect(Role::Replica, "root").await;
    let thread = if flavour == Flavour::MySql { "REPLICA" } else { "SLAVE" };
    root.query_drop(format!("STOP {thread}")).await.expect("STOP REPLICA");
    becomes(&mut client, port, primary).await;
    root.query_drop(format!("START {thread}")).await.expect("START REPLICA");
    becomes(&mut client, port, replica).await;
    admin.query_drop("UNDRAIN CLUSTER c1 WHY 'it is over'").await.expect("UNDRAIN");
    becomes(&mut client, port, primary).await;
}

/// Waits until a query's value is this.
async fn becomes(client: &mut Conn, sql: &str, wanted: i64) {
    let until = Instant::now() + Duration::from_secs(20);
    while value(client, sql).await != wanted {
        assert!(Instant::now() < until, "{sql} never gave {wanted}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mysql_reads_of_a_drained_cluster_move() {
    reads_of_a_drained_cluster_move(Flavour::MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mariadb_reads_of_a_drained_cluster_move() {
    reads_of_a_drained_cluster_move(Flavour::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mysql_reads_see_own_writes() {
    reads_see_own_writes(Flavour::MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mariadb_reads_see_own_writes() {
    reads_see_own_writes(Flavour::MariaDb).await;
}
