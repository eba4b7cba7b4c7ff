//! The test servers themselves: both flavours start, replicate, survive a crash, and know their accounts.

mod common;

use common::servers::{Cluster, Flavour, Role, wait_until};
use mysql_async::prelude::Queryable;

async fn follows_and_recovers(flavour: Flavour) {
    let cluster = Cluster::start_with_replica("c1", flavour);
    let mut app = cluster.connect(Role::Primary, "bulkhead_app").await;
    app.query_drop("CREATE DATABASE shop").await.expect("may create databases");
    app.query_drop("CREATE TABLE shop.t (id INT PRIMARY KEY)").await.expect("may create tables");
    app.query_drop("INSERT INTO shop.t VALUES (1)").await.expect("may write");
    let refused = app.query_drop("SET GLOBAL read_only = ON").await;
    assert!(refused.is_err(), "the application's account must not administer");

    let count = "SELECT COUNT(*) FROM shop.t";
    let mut replica = cluster.connect(Role::Replica, "bulkhead_app").await;
    wait_for_rows(&mut replica, count, 1).await;
    assert!(replica.query_drop("INSERT INTO shop.t VALUES (9)").await.is_err(), "the replica is read only");

    cluster.kill(Role::Replica);
    app.query_drop("INSERT INTO shop.t VALUES (2)").await.expect("the primary goes on");
    cluster.start_again();
    let mut replica = cluster.connect(Role::Replica, "bulkhead_admin").await;
    wait_for_rows(&mut replica, count, 2).await;
}

async fn wait_for_rows(conn: &mut mysql_async::Conn, sql: &str, expected: u64) {
    for _ in 0..1200 {
        let found: Result<Option<u64>, _> = conn.query_first(sql).await;
        if matches!(found, Ok(Some(count)) if count == expected) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{sql} does not become {expected} on the replica");
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mysql_cluster_replicates_and_recovers() {
    follows_and_recovers(Flavour::MySql).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mariadb_cluster_replicates_and_recovers() {
    follows_and_recovers(Flavour::MariaDb).await;
}

#[test]
#[ignore = "needs servers: make test"]
fn dropping_a_cluster_removes_its_server() {
    let cluster = Cluster::start("gone", Flavour::MariaDb);
    let port = cluster.primary_port;
    assert_eq!(cluster.sql("SELECT 1 + 1").trim(), "2");
    drop(cluster);
    assert!(wait_until(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_err()));
}
