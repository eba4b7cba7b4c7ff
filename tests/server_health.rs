//! Detection on real servers: a cluster that stalls is told within the bars, the other one stays healthy.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::clients::run;
use common::servers::{Bulkhead, Cluster, Flavour, Role, Setup};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use tokio::task::JoinHandle;

const SPACES: &str = "layout = \"database_per_workspace\"\ndatabase = \"ws_{workspace_id}\"\n\
                      template = \"ws.sql\"\n";
/// Workspaces of each cluster; one client writes to each.
const WORKSPACES: u32 = 6;
/// Between two writes of a client.
const WRITE_EVERY: Duration = Duration::from_millis(100);
/// A fingerprint has a usual time after the first round of learning, 10 s, that finds 50 statements.
const LEARNT_AFTER: Duration = Duration::from_secs(22);
/// Ends a wait that would not. Some 15 s are usual; noise on the machine is slow writes to the detector.
const WELL_AGAIN_WITHIN: Duration = Duration::from_secs(180);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

fn start(sick: &Cluster, well: &Cluster, more: &str) -> Bulkhead {
    let config = "[keyspaces.spaces]\nshards = { a = \"c1\", b = \"c2\" }\n";
    let setup = Setup::default().watched().cluster(sick).cluster(well).config(config).config(more);
    setup
        .vschema("spaces.toml", SPACES)
        .vschema("ws.sql", "CREATE TABLE issues (id INT PRIMARY KEY, n INT);\n")
        .start()
}

/// One cluster's row of SHOW HEALTH.
async fn row(admin: &mut Conn, cluster: &str) -> Row {
    let sql = format!("SHOW HEALTH WHERE cluster = {cluster}");
    admin.query_first(sql).await.expect("SHOW HEALTH works").expect("the cluster is there")
}

async fn text(admin: &mut Conn, cluster: &str, column: &str) -> String {
    row(admin, cluster)
        .await
        .get::<Option<String>, _>(column)
        .expect("the column is there")
        .unwrap_or_default()
}

async fn state(admin: &mut Conn, cluster: &str) -> String {
    text(admin, cluster, "state").await
}

/// Waits until a column says so; gives how long it took.
async fn until(
    admin: &mut Conn,
    (cluster, column): (&str, &str),
    bound: Duration,
    is_it: impl Fn(&str) -> bool,
) -> Duration {
    let began = Instant::now();
    loop {
        let found = text(admin, cluster, column).await;
        if is_it(&found) {
            return began.elapsed();
        }
        if began.elapsed() >= bound {
            let row = row(admin, cluster).await;
            panic!("{cluster}: {column} is still {found:?}: {row:?}");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// When a sick cluster was first seen suspect or worse, degraded or worse, and down. The other one must stay
/// healthy.
#[derive(Debug, Default)]
struct Seen {
    suspect: Option<Duration>,
    degraded: Option<Duration>,
    down: Option<Duration>,
    advised: Vec<String>,
}

async fn watch(admin: &mut Conn, bound: Duration) -> Seen {
    let (began, mut seen) = (Instant::now(), Seen::default());
    while began.elapsed() < bound {
        let state = state(admin, "c1").await;
        let now = began.elapsed();
        if state != "healthy" {
            seen.suspect.get_or_insert(now);
        }
        if state == "degraded" || state == "down" {
            seen.degraded.get_or_insert(now);
        }
        if state == "down" {
            seen.down.get_or_insert(now);
        }
        let advice = text(admin, "c1", "advice").await;
        if seen.advised.last() != Some(&advice) {
            seen.advised.push(advice);
        }
        assert_eq!(self::state(admin, "c2").await, "healthy", "the other cluster, after {now:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    seen
}

fn is_within(found: Option<Duration>, bar_s: f64) -> bool {
    found.is_some_and(|found| found.as_secs_f64() <= bar_s)
}

/// Clients that write until told to stop.
struct Writers {
    stop: Arc<AtomicBool>,
    running: Vec<JoinHandle<u64>>,
}

impl Writers {
    async fn start(bulkhead: &Bulkhead) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut running = Vec::new();
        for workspace in 1..=2 * WORKSPACES {
            let mut conn = bulkhead.connect(Some(&format!("ws_{workspace}"))).await;
            run(&mut conn, "INSERT INTO issues VALUES (1, 0)").await;
            let stop = stop.clone();
            running.push(tokio::spawn(async move {
                let mut written = 0;
                while !stop.load(Ordering::Relaxed) {
                    run(&mut conn, "UPDATE issues SET n = n + 1 WHERE id = 1").await;
                    written += 1;
                    tokio::time::sleep(WRITE_EVERY).await;
                }
                written
            }));
        }
        Self { stop, running }
    }

    /// No write failed, and each client wrote on.
    async fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        for writer in self.running {
            assert!(writer.await.expect("no write fails") > 50);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_stalled_cluster_is_told_and_the_other_stays_healthy() {
    let (sick, well) = (Cluster::start("c1", Flavour::MySql), Cluster::start("c2", Flavour::MariaDb));
    // Only advised from there on: no write is to fail.
    let bulkhead = start(&sick, &well, "[ladder]\nlimit = \"advise\"\n");
    let mut admin = bulkhead.connect_admin().await;
    for workspace in 1..=2 * WORKSPACES {
        let shard = if workspace <= WORKSPACES { "a" } else { "b" };
        run(&mut admin, &format!("CREATE WORKSPACE spaces {workspace} ON {shard} WITH DATABASE")).await;
    }
    for cluster in ["c1", "c2"] {
        let at = (cluster, "heartbeat");
        until(&mut admin, at, Duration::from_secs(5), |found| found == "written").await;
    }
    let writers = Writers::start(&bulkhead).await;
    tokio::time::sleep(LEARNT_AFTER).await;
    for cluster in ["c1", "c2"] {
        let bound = Duration::from_secs(30);
        until(&mut admin, (cluster, "state"), bound, |found| found == "healthy").await;
    }

    // Writes wait, everything else is fast: what a ping does not see.
    let mut root = sick.connect(Role::Primary, "root").await;
    run(&mut root, "FLUSH TABLES WITH READ LOCK").await;
    let seen = watch(&mut admin, Duration::from_secs(6)).await;
    let worst = row(&mut admin, "c1").await;
    run(&mut root, "UNLOCK TABLES").await;
    println!("read lock: {seen:?}");
    assert!(is_within(seen.suspect, 3.0) && is_within(seen.degraded, 5.0) && seen.down.is_none(), "{seen:?}");
    assert!(seen.advised.contains(&"limited".to_owned()), "{seen:?}");
    assert!(worst.get::<String, _>("worst_signal").is_some(), "{worst:?}");
    assert!(worst.get::<u64, _>("writes_in_flight").is_some_and(|count| count > 0), "{worst:?}");
    let took = until(&mut admin, ("c1", "state"), WELL_AGAIN_WITHIN, |found| found == "healthy").await;
    println!("healthy again after {took:?}");

    // The whole server stands still.
    sick.signal(Role::Primary, "STOP");
    let seen = watch(&mut admin, Duration::from_secs(9)).await;
    sick.signal(Role::Primary, "CONT");
    println!("stopped: {seen:?}");
    assert!(is_within(seen.suspect, 3.0) && is_within(seen.degraded, 5.0), "{seen:?}");
    assert!(is_within(seen.down, 9.0), "{seen:?}");
    let took = until(&mut admin, ("c1", "state"), WELL_AGAIN_WITHIN, |found| found == "healthy").await;
    println!("healthy again after {took:?}");
    writers.finish().await;

    let log = bulkhead.log();
    for word in ["health changed", "overdue_writes", "heartbeat", "advised: contained → limited"] {
        assert!(log.contains(word), "no {word:?} in\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_read_only_primary_is_told_and_not_written_to() {
    let (sick, well) = (Cluster::start("c1", Flavour::MySql), Cluster::start("c2", Flavour::MySql));
    let bulkhead = start(&sick, &well, "");
    let mut admin = bulkhead.connect_admin().await;
    let bound = Duration::from_secs(5);
    until(&mut admin, ("c1", "heartbeat"), bound, |found| found == "written").await;
    // The admin login could write all the same.
    sick.sql("SET GLOBAL read_only = ON");
    let read_only = |found: &str| found == "the server is read-only";
    until(&mut admin, ("c1", "heartbeat"), bound, read_only).await;
    let before = sick.sql("SELECT @@global.gtid_executed");
    until(&mut admin, ("c1", "state"), bound, |found| found == "degraded").await;
    assert_eq!(sick.sql("SELECT @@global.gtid_executed"), before, "nothing is written on a read-only server");
    assert_eq!(state(&mut admin, "c2").await, "healthy");
    sick.sql("SET GLOBAL read_only = OFF");
    let bound = Duration::from_secs(40);
    until(&mut admin, ("c1", "state"), bound, |found| found == "healthy").await;

    // A server that is gone refuses connections.
    sick.kill(Role::Primary);
    let took = until(&mut admin, ("c1", "state"), Duration::from_secs(5), |found| found == "down").await;
    println!("down after {took:?}");
    assert_eq!(state(&mut admin, "c2").await, "healthy");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_replica_that_falls_behind_is_told_and_moves_nothing() {
    let mysql = Cluster::start_with_replica("c1", Flavour::MySql);
    let mariadb = Cluster::start_with_replica("c2", Flavour::MariaDb);
    let bulkhead = start(&mysql, &mariadb, "");
    let mut admin = bulkhead.connect_admin().await;
    for (cluster, name) in [(&mysql, "c1"), (&mariadb, "c2")] {
        until(&mut admin, (name, "heartbeat"), Duration::from_secs(10), |found| found == "written").await;
        assert_eq!(text(&mut admin, name, "worst_signal").await, "");
        let stop = if name == "c1" { "STOP REPLICA SQL_THREAD" } else { "STOP SLAVE SQL_THREAD" };
        let mut replica = cluster.connect(Role::Replica, "root").await;
        run(&mut replica, stop).await;
        let took = until(&mut admin, (name, "worst_signal"), Duration::from_secs(12), |found| {
            found == "replica_lag"
        })
        .await;
        println!("{name}: told after {took:?}");
        assert_eq!(state(&mut admin, name).await, "healthy");
        assert_eq!(text(&mut admin, name, "stage").await, "open");
        run(&mut replica, &stop.replace("STOP", "START")).await;
        until(&mut admin, (name, "worst_signal"), Duration::from_secs(10), str::is_empty).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn without_a_heartbeat_nothing_is_made_on_the_servers() {
    let (sick, well) = (Cluster::start("c1", Flavour::MySql), Cluster::start("c2", Flavour::MySql));
    // Not the heartbeat's to write, on the second one.
    well.sql("REVOKE ALL, GRANT OPTION FROM bulkhead_admin@'%'");
    let bulkhead = start(&sick, &well, "[health]\nheartbeat = false\n");
    let mut admin = bulkhead.connect_admin().await;
    for cluster in ["c1", "c2"] {
        let asked = |found: &str| found == "answered, not written: by configuration";
        until(&mut admin, (cluster, "heartbeat"), Duration::from_secs(5), asked).await;
    }
    assert_eq!(sick.sql("SHOW DATABASES LIKE 'bulkhead'").trim(), "");

    let config = std::fs::read_to_string(bulkhead.path("bulkhead.toml")).expect("it is there");
    let config = config.replace("heartbeat = false", "heartbeat = true\nheartbeat_database = \"pulse\"");
    std::fs::write(bulkhead.path("bulkhead.toml"), config).expect("it can be written");
    run(&mut admin, "RELOAD").await;
    let bound = Duration::from_secs(5);
    until(&mut admin, ("c1", "heartbeat"), bound, |found| found == "written").await;
    assert_eq!(sick.sql("SELECT COUNT(*) FROM pulse.heartbeat").trim(), "1");
    let denied = |found: &str| found.starts_with("answered, not written: ") && found.contains("denied");
    until(&mut admin, ("c2", "heartbeat"), bound, denied).await;
    assert_eq!(state(&mut admin, "c2").await, "healthy");
    assert_eq!(well.sql("SHOW DATABASES LIKE 'pulse'").trim(), "");
}
