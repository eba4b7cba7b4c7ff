//! Failing over on real servers: a primary and two replicas, both flavours.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use std::time::{Duration, Instant};

use bulkhead::backend::Pools;
use bulkhead::drain::FailoverEnd;
use bulkhead::failover::{FailoverRequest, Failovers, Found, Loss, Primaries, PrimaryRow, Refusal};
use bulkhead::ids::{ClusterName, ServerId};
use bulkhead::topology::{Directories, EmbeddedStore, Expect, Snapshot, SnapshotCell, Store};
use common::servers::{Cluster, Flavour, Role, Setup, connect, try_connect};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use tokio::task::JoinHandle;

const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What comes is waited for so long.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two writes of a client: without it, what a replica can follow would be tried, not the switchover.
const WRITE_EVERY: Duration = Duration::from_millis(4);

/// A library's worth of a proxy on one cluster.
struct Site {
    snapshots: Arc<SnapshotCell>,
    failovers: Arc<Failovers>,
    store: Arc<dyn Store>,
    watching: JoinHandle<()>,
    folder: tempfile::TempDir,
}

impl Site {
    async fn of(cluster: &Cluster, more: &str) -> Self {
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().expect("memory is there"));
        Self::on(cluster, more, store).await
    }

    async fn on(cluster: &Cluster, more: &str, store: Arc<dyn Store>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let password = folder.path().join("password");
        std::fs::write(&password, &cluster.password).expect("the folder is ours");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&password, mode).expect("the file is ours");
        std::fs::create_dir(folder.path().join("vschema")).expect("the folder is ours");
        std::fs::write(folder.path().join("vschema/app.toml"), "layout = \"unsharded\"\n")
            .expect("the folder is ours");
        let ports =
            [Role::Replica, Role::Replica2].map(|role| format!("\"127.0.0.1:{}\"", cluster.port(role)));
        let text = format!(
            "[users.app]\npassword_file = \"password\"\n\
             [keyspaces.app]\nshards = {{ \"-\" = \"c1\" }}\n\
             [clusters.c1]\nprimary = \"127.0.0.1:{}\"\nreplicas = [{}]\n\
             user = \"bulkhead_app\"\npassword_file = \"password\"\n{more}\n\
             [clusters.c1.admin]\nuser = \"bulkhead_admin\"\npassword_file = \"password\"\n\
             [clusters.c1.replication]\nuser = \"bulkhead_repl\"\npassword_file = \"password\"\n",
            cluster.primary_port,
            ports.join(", ")
        );
        let path = folder.path().join("bulkhead.toml");
        std::fs::write(&path, text).expect("the folder is ours");
        let loaded = bulkhead::vschema::load(&path).unwrap_or_else(|faults| panic!("{faults:?}"));
        let primaries = Arc::new(Primaries::load(store.clone()).await.expect("the store works"));
        let config = Arc::new(primaries.derive(&loaded.config));
        primaries.declare(&loaded.config);
        let snapshot = Snapshot::build(config.clone(), loaded.vschema, Directories::default())
            .expect("config and vschema fit");
        let snapshots = Arc::new(SnapshotCell::new(snapshot));
        let pools = Pools::new(&config).expect("pools can be made");
        let failovers = Arc::new(Failovers::new(snapshots.clone(), pools, primaries));
        let watching = tokio::spawn(failovers.clone().watch());
        let site = Self { snapshots, failovers, store, watching, folder };
        site.until("the primary is heard of", |row| row.heard_ago.is_some()).await;
        site
    }

    fn row(&self) -> PrimaryRow {
        self.failovers.rows().into_iter().next().expect("there is one cluster")
    }

    /// Waits until the row says so; gives how long it took.
    async fn until(&self, what: &str, is_it: impl Fn(&PrimaryRow) -> bool) -> Duration {
        let began = Instant::now();
        while !is_it(&self.row()) {
            assert!(began.elapsed() < PATIENCE, "{what}: {:?}", self.row());
            tokio::time::sleep(LOOK_EVERY).await;
        }
        began.elapsed()
    }

    fn primary(&self) -> ServerId {
        self.snapshots.load().config.clusters["c1"].primary.clone()
    }

    fn replicas(&self) -> Vec<ServerId> {
        self.snapshots.load().config.clusters["c1"].replicas.clone()
    }

    async fn fail_over(&self, to: Option<ServerId>, planned: bool) -> FailoverEnd {
        let request = FailoverRequest { to, planned, why: "test".to_owned() };
        self.failovers.fail_over(&name(), request).await
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.watching.abort();
        let _ = &self.folder;
    }
}

fn name() -> ClusterName {
    ClusterName::new("c1")
}

fn server(cluster: &Cluster, role: Role) -> ServerId {
    ServerId { host: "127.0.0.1".into(), port: cluster.port(role) }
}

async fn root(cluster: &Cluster, role: Role) -> Conn {
    cluster.connect(role, "root").await
}

async fn run(conn: &mut Conn, sql: &str) {
    conn.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn value(conn: &mut Conn, sql: &str) -> String {
    let found: Option<String> = conn.query_first(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    found.unwrap_or_default()
}

/// Waits until a statement's one value on a server is this.
async fn until_value(cluster: &Cluster, role: Role, sql: &str, expected: &str) {
    let began = Instant::now();
    loop {
        let conn = try_connect(cluster.port(role), "bulkhead_admin", &cluster.password, None).await;
        if let Ok(mut conn) = conn {
            let found: Result<Option<String>, Error> = conn.query_first(sql).await;
            if matches!(&found, Ok(Some(found)) if found == expected) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{sql} on {role:?} is {found:?}");
        }
        assert!(began.elapsed() < PATIENCE, "{role:?} does not answer");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

const COUNT: &str = "SELECT CAST(COUNT(*) AS CHAR) FROM shop.t";

/// A table with one row, on all servers.
async fn make_table(cluster: &Cluster) -> Conn {
    let mut app = cluster.connect(Role::Primary, "bulkhead_app").await;
    run(&mut app, "CREATE DATABASE shop").await;
    run(&mut app, "CREATE TABLE shop.t (id INT PRIMARY KEY, by_whom VARCHAR(20) NOT NULL DEFAULT '')").await;
    run(&mut app, "INSERT INTO shop.t (id) VALUES (1)").await;
    for role in [Role::Replica, Role::Replica2] {
        until_value(cluster, role, COUNT, "1").await;
    }
    app
}

fn noun(flavour: Flavour) -> &'static str {
    if flavour == Flavour::MySql { "REPLICA" } else { "SLAVE" }
}

async fn killed(flavour: Flavour) {
    let cluster = Cluster::start_with_two_replicas("c1", flavour);
    let mut app = make_table(&cluster).await;
    let site = Site::of(&cluster, "").await;
    // The first replica falls behind.
    let mut first = root(&cluster, Role::Replica).await;
    run(&mut first, &format!("STOP {} IO_THREAD", noun(flavour))).await;
    run(&mut app, "INSERT INTO shop.t (id) VALUES (2)").await;
    until_value(&cluster, Role::Replica2, COUNT, "2").await;
    site.until("the write is heard of", |row| row.heard_ago.is_some_and(|ago| ago.as_millis() < 100)).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    cluster.kill(Role::Primary);

    let plan = site.failovers.plan(&name(), None).await.expect("there is one to promote");
    assert_eq!(plan.to, server(&cluster, Role::Replica2), "the most advanced: {plan}");
    assert!(matches!(&plan.loss, Loss::Known { gtids, .. } if gtids.is_empty()), "{plan}");
    let behind = site.failovers.plan(&name(), Some(server(&cluster, Role::Replica))).await;
    assert!(matches!(behind, Err(Refusal::Behind { .. })), "{behind:?}");

    let began = Instant::now();
    let end = site.fail_over(None, false).await;
    println!("{flavour:?}: killed: failed over in {} ms", began.elapsed().as_millis());
    assert_eq!(end, FailoverEnd::Done(server(&cluster, Role::Replica2)));
    assert_eq!(site.primary(), server(&cluster, Role::Replica2));
    let mut new = cluster.connect(Role::Replica2, "bulkhead_app").await;
    run(&mut new, "INSERT INTO shop.t (id) VALUES (3)").await;
    until_value(&cluster, Role::Replica, COUNT, "3").await;
    assert_eq!(site.replicas(), [server(&cluster, Role::Replica)], "the dead one is not used");

    // It comes back as it was: writable. It is fenced, follows, and is used again.
    cluster.start_one(Role::Primary);
    let took = site.until("the old primary is used again", |row| row.cut_off.is_empty()).await;
    println!("{flavour:?}: killed: the old primary follows {} ms after its start", took.as_millis());
    until_value(&cluster, Role::Primary, COUNT, "3").await;
    let mut old = cluster.connect(Role::Primary, "bulkhead_app").await;
    assert!(old.query_drop("INSERT INTO shop.t (id) VALUES (4)").await.is_err(), "it is read-only");
    assert_eq!(site.row().primary, server(&cluster, Role::Replica2));

    // A proxy that starts on the same store leads to the new primary, whatever the file says.
    let again = Site::on(&cluster, "", site.store.clone()).await;
    assert_eq!(again.primary(), server(&cluster, Role::Replica2));
    assert_eq!(again.row().configured, server(&cluster, Role::Primary));
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_killed_primary_is_replaced_by_the_most_advanced_mysql() {
    killed(Flavour::MySql).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_killed_primary_is_replaced_by_the_most_advanced_mariadb() {
    killed(Flavour::MariaDb).await;
}

/// Says whether a replica has received all that the primary has written.
async fn has_received(cluster: &Cluster, role: Role) -> bool {
    let (of_primary, of_replica, column) = match cluster.flavour {
        Flavour::MySql => ("SHOW BINARY LOG STATUS", "SHOW REPLICA STATUS", "Read_Source_Log_Pos"),
        Flavour::MariaDb => ("SHOW MASTER STATUS", "SHOW SLAVE STATUS", "Read_Master_Log_Pos"),
    };
    let position = async |role, sql: &str, column: &str| {
        let row: Option<mysql_async::Row> = root(cluster, role).await.query_first(sql).await.expect(sql);
        row.and_then(|row| row.get::<u64, _>(column)).expect("a position")
    };
    position(Role::Primary, of_primary, "Position").await == position(role, of_replica, column).await
}

/// What a replica has received and not applied when the primary dies is applied before it takes writes.
async fn applied_first(flavour: Flavour) {
    let cluster = Cluster::start_with_two_replicas("c1", flavour);
    let mut app = make_table(&cluster).await;
    let site = Site::of(&cluster, "").await;
    let mut blockers = Vec::new();
    for role in [Role::Replica, Role::Replica2] {
        let mut blocker = root(&cluster, role).await;
        run(&mut blocker, "LOCK TABLES shop.t READ").await;
        blockers.push(blocker);
    }
    run(&mut app, "INSERT INTO shop.t (id) VALUES (2)").await;
    let began = Instant::now();
    for role in [Role::Replica, Role::Replica2] {
        while !has_received(&cluster, role).await {
            assert!(began.elapsed() < Duration::from_secs(60), "{role:?} does not receive it");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    cluster.kill(Role::Primary);
    let failing = {
        let failovers = site.failovers.clone();
        let request = FailoverRequest { to: None, planned: false, why: "test".to_owned() };
        tokio::spawn(async move { failovers.fail_over(&name(), request).await })
    };
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!failing.is_finished(), "nobody is promoted without it");
    for blocker in &mut blockers {
        run(blocker, "UNLOCK TABLES").await;
    }
    let FailoverEnd::Done(new) = failing.await.expect("no panic") else { panic!("{flavour:?}: not done") };
    let mut conn = connect(new.port, "bulkhead_app", &cluster.password, None).await;
    assert_eq!(value(&mut conn, COUNT).await, "2", "{flavour:?}");
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn what_was_received_is_applied_first_mysql() {
    applied_first(Flavour::MySql).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn what_was_received_is_applied_first_mariadb() {
    applied_first(Flavour::MariaDb).await;
}

async fn frozen(flavour: Flavour) {
    let cluster = Cluster::start_with_two_replicas("c1", flavour);
    let mut app = make_table(&cluster).await;
    let site = Site::of(&cluster, "").await;
    cluster.signal(Role::Primary, "STOP");
    // Sent, and executed only when the server goes on: nobody has acknowledged it.
    let late = tokio::spawn(async move { app.query_drop("INSERT INTO shop.t (id) VALUES (2)").await });

    let began = Instant::now();
    let end = site.fail_over(None, false).await;
    println!("{flavour:?}: frozen: failed over in {} ms", began.elapsed().as_millis());
    let FailoverEnd::Done(new) = end else { panic!("{end:?}") };
    assert_eq!(site.primary(), new);
    assert_eq!(site.row().unfenced, [server(&cluster, Role::Primary)]);
    let mut conn = connect(new.port, "bulkhead_app", &cluster.password, None).await;
    run(&mut conn, "INSERT INTO shop.t (id) VALUES (3)").await;

    cluster.signal(Role::Primary, "CONT");
    let took = site.until("it is fenced", |row| row.unfenced.is_empty()).await;
    println!("{flavour:?}: frozen: fenced {} ms after it went on", took.as_millis());
    let _ = late.await;
    let variable = if flavour == Flavour::MySql { "super_read_only" } else { "read_only" };
    until_value(&cluster, Role::Primary, &format!("SELECT CAST(@@global.{variable} <> 0 AS CHAR)"), "1")
        .await;
    let mut old = cluster.connect(Role::Primary, "bulkhead_app").await;
    assert!(old.query_drop("INSERT INTO shop.t (id) VALUES (4)").await.is_err(), "it is fenced");
    // What it executed late, no other server has: it stays away, and says why. Otherwise it follows.
    // Sent before the signal took effect it may have reached the replicas too.
    let late_row = "SELECT CAST(COUNT(*) AS CHAR) FROM shop.t WHERE id = 2";
    let (has_late, others_have) = (value(&mut old, late_row).await, value(&mut conn, late_row).await);
    if has_late == others_have {
        site.until("it follows", |row| row.cut_off.is_empty()).await;
    } else {
        site.until("it says why", |row| row.note.contains("transactions that the primary never had")).await;
        assert_eq!(site.row().cut_off, [server(&cluster, Role::Primary)]);
    }
    let note = site.row().note;
    println!("{flavour:?}: frozen: executed late: {has_late}, elsewhere too: {others_have}; {note}");
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_frozen_primary_is_replaced_and_fenced_when_it_is_back_mysql() {
    frozen(Flavour::MySql).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_frozen_primary_is_replaced_and_fenced_when_it_is_back_mariadb() {
    frozen(Flavour::MariaDb).await;
}

async fn errant(flavour: Flavour) {
    let cluster = Cluster::start_with_two_replicas("c1", flavour);
    let _app = make_table(&cluster).await;
    let site = Site::of(&cluster, "").await;
    let mut first = root(&cluster, Role::Replica).await;
    run(&mut first, "SET GLOBAL read_only = OFF").await;
    run(&mut first, "CREATE DATABASE mine").await;
    let of_its_own = match flavour {
        Flavour::MySql => format!("{}:1", value(&mut first, "SELECT @@server_uuid").await),
        Flavour::MariaDb => {
            run(&mut first, "SET GLOBAL read_only = ON").await;
            value(&mut first, "SELECT @@gtid_binlog_pos").await
        }
    };
    if flavour == Flavour::MySql {
        run(&mut first, "SET GLOBAL super_read_only = ON").await;
    }
    let to = server(&cluster, Role::Replica);
    let refusal = site.failovers.plan(&name(), Some(to.clone())).await.expect_err("it is errant");
    println!("{flavour:?}: errant: {refusal}");
    assert!(refusal.to_string().contains(&of_its_own), "{refusal} does not name {of_its_own}");
    let end = site.fail_over(Some(to), false).await;
    assert!(matches!(&end, FailoverEnd::Undone(why) if why.contains(&of_its_own)), "{end:?}");
    assert_eq!(site.primary(), server(&cluster, Role::Primary));
    // The other one can be, although the first has more.
    cluster.kill(Role::Primary);
    let end = site.fail_over(None, false).await;
    assert_eq!(end, FailoverEnd::Done(server(&cluster, Role::Replica2)));
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn an_errant_replica_is_refused_mysql() {
    errant(Flavour::MySql).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn an_errant_replica_is_refused_mariadb() {
    errant(Flavour::MariaDb).await;
}

/// Two proxies on one store: one fails over, the other follows and sends nothing to the former primary
/// either.
#[tokio::test]
#[ignore = "needs servers: make test"]
async fn another_proxy_follows_a_failover_within_two_seconds() {
    let cluster = Cluster::start_with_two_replicas("c1", Flavour::MySql);
    let _app = make_table(&cluster).await;
    let first = Site::of(&cluster, "").await;
    let second = Site::on(&cluster, "", first.store.clone()).await;
    let old = server(&cluster, Role::Primary);
    cluster.signal(Role::Primary, "STOP");
    let FailoverEnd::Done(new) = first.fail_over(None, false).await else { panic!("not done") };
    let took = second.until("it follows", |row| row.primary == new).await;
    println!("the other proxy follows {} ms after the end", took.as_millis());
    assert!(took < Duration::from_secs(2));
    assert_eq!(second.primary(), new);
    assert_eq!((second.row().unfenced, second.row().cut_off.contains(&old)), (vec![old.clone()], true));
    assert!(!second.replicas().contains(&old));
    cluster.signal(Role::Primary, "CONT");
    for site in [&first, &second] {
        site.until("it is fenced", |row| row.unfenced.is_empty()).await;
        assert_eq!(site.primary(), new);
    }
}

/// Clients that write one row after the other to whichever server is led to, and remember what was
/// acknowledged. A write that is refused for sure is sent again; one that is lost is looked up.
struct Writers {
    stop: Arc<AtomicBool>,
    running: Vec<JoinHandle<Ledger>>,
}

#[derive(Default)]
struct Ledger {
    acknowledged: Vec<u64>,
    refused: u64,
    lost: u64,
    /// The longest time between two acknowledgements.
    pause: Duration,
}

impl Writers {
    fn start(cluster: &Cluster, site: &Site, count: u64) -> Self {
        let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(1000)));
        let write = |_| {
            let (stop, next, snapshots) = (stop.clone(), next.clone(), site.snapshots.clone());
            let password = cluster.password.clone();
            tokio::spawn(async move {
                let mut ledger = Ledger::default();
                let mut open: Option<(ServerId, Conn)> = None;
                let mut last = Instant::now();
                let mut id = next.fetch_add(1, Ordering::Relaxed);
                while !stop.load(Ordering::Relaxed) {
                    let server = snapshots.load().config.clusters["c1"].primary.clone();
                    if open.as_ref().is_none_or(|(at, _)| *at != server) {
                        let conn = try_connect(server.port, "bulkhead_app", &password, None).await;
                        open = conn.ok().map(|conn| (server, conn));
                    }
                    let Some((_, conn)) = &mut open else { continue };
                    match conn.query_drop(format!("INSERT INTO shop.t (id) VALUES ({id})")).await {
                        Ok(()) => {
                            ledger.pause = ledger.pause.max(last.elapsed());
                            last = Instant::now();
                            ledger.acknowledged.push(id);
                            id = next.fetch_add(1, Ordering::Relaxed);
                            tokio::time::sleep(WRITE_EVERY).await;
                        }
                        Err(Error::Server(error)) => {
                            assert!([1290, 1836].contains(&error.code), "{error}");
                            ledger.refused += 1;
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                        Err(_) => {
                            // Its fate is not known: another id.
                            (open, ledger.lost) = (None, ledger.lost + 1);
                            id = next.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
                ledger
            })
        };
        let running = (0..count).map(write).collect();
        Self { stop, running }
    }

    async fn stop(self) -> Ledger {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Ledger::default();
        for running in self.running {
            let ledger = running.await.expect("a writer does not panic");
            all.acknowledged.extend(ledger.acknowledged);
            (all.refused, all.lost) = (all.refused + ledger.refused, all.lost + ledger.lost);
            all.pause = all.pause.max(ledger.pause);
        }
        all
    }
}

/// Asks for it as an operator does: once more if it was undone because the replica was behind, as one on a
/// busy machine may be. No write may stand longer for it, so that is told by the writers.
async fn switch_over(site: &Site, to: &ServerId) -> FailoverEnd {
    for attempt in 1.. {
        let began = Instant::now();
        // As the admin port does before it holds writes.
        if let Err(far) = site.failovers.await_near(&name(), Some(to)).await {
            println!("switchover: attempt {attempt}: {far}");
            assert!(attempt < 6 && matches!(far, Refusal::TooFar { .. }), "{far}");
            continue;
        }
        let end = site.fail_over(Some(to.clone()), true).await;
        println!("switchover: attempt {attempt}: {end:?} after {} ms", began.elapsed().as_millis());
        match &end {
            FailoverEnd::Undone(why) if attempt < 6 && why.contains("still lacks") => {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            _ => return end,
        }
    }
    unreachable!("attempts are counted")
}

async fn switched_over(flavour: Flavour) {
    let cluster = Cluster::start_with_two_replicas("c1", flavour);
    let _app = make_table(&cluster).await;
    let site = Site::of(&cluster, "").await;
    let writers = Writers::start(&cluster, &site, 8);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (one, two) = (server(&cluster, Role::Primary), server(&cluster, Role::Replica2));
    // There, and back.
    for to in [&two, &one] {
        let end = switch_over(&site, to).await;
        assert_eq!(end, FailoverEnd::Done(to.clone()));
        assert_eq!(site.primary(), *to);
        site.until("all follow", |row| row.cut_off.is_empty()).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let ledger = writers.stop().await;
    let (written, pause) = (ledger.acknowledged.len(), ledger.pause.as_millis());
    println!(
        "{flavour:?}: switchover under load: {written} writes, longest pause {pause} ms, {} refused, {} lost",
        ledger.refused, ledger.lost
    );
    assert!(ledger.pause < Duration::from_secs(3) && written > 100);
    assert_eq!(ledger.lost, 0, "no connection breaks");
    let mut conn = cluster.connect(Role::Primary, "bulkhead_app").await;
    let found: Vec<u64> = conn.query("SELECT id FROM shop.t WHERE id >= 1000").await.expect("reads");
    let found: std::collections::BTreeSet<u64> = found.into_iter().collect();
    let missing: Vec<_> = ledger.acknowledged.iter().filter(|id| !found.contains(id)).collect();
    assert!(missing.is_empty(), "acknowledged and gone: {missing:?}");
    assert_eq!(found.len(), written, "nothing else is there");
    for role in [Role::Replica, Role::Replica2] {
        until_value(&cluster, role, COUNT, &(written + 1).to_string()).await;
    }
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_switchover_under_load_loses_nothing_mysql() {
    switched_over(Flavour::MySql).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_switchover_under_load_loses_nothing_mariadb() {
    switched_over(Flavour::MariaDb).await;
}

/// What an operator, or another system, does.
async fn promote_by_hand(cluster: &Cluster, to: Role) {
    let noun = noun(cluster.flavour);
    let mut old = root(cluster, Role::Primary).await;
    run(&mut old, "SET GLOBAL read_only = ON").await;
    let mut new = root(cluster, to).await;
    run(&mut new, &format!("STOP {noun}")).await;
    run(&mut new, &format!("RESET {noun} ALL")).await;
    run(&mut new, "SET GLOBAL read_only = OFF").await;
}

async fn followed(flavour: Flavour) {
    let cluster = Cluster::start_with_two_replicas("c1", flavour);
    let _app = make_table(&cluster).await;
    let site = Site::of(&cluster, "failover = \"follow\"\n").await;
    let refused = site.fail_over(None, true).await;
    assert!(matches!(&refused, FailoverEnd::Undone(why) if why.contains("follow")), "{refused:?}");
    promote_by_hand(&cluster, Role::Replica2).await;
    let new = server(&cluster, Role::Replica2);
    let took = site.until("it is followed", |row| row.primary == new).await;
    println!("{flavour:?}: changed from outside: followed after {} ms", took.as_millis());
    assert!(took < Duration::from_secs(2));
    assert_eq!(site.primary(), new);
    assert_eq!(site.replicas(), [server(&cluster, Role::Replica)], "the old one follows nobody");
    assert_eq!(site.failovers.find_primary(&name()).await, Found::Same(new.clone()));

    // A second server takes writes: the first stays, and it is told.
    let mut second = root(&cluster, Role::Primary).await;
    run(&mut second, "SET GLOBAL read_only = OFF").await;
    let mut third = root(&cluster, Role::Replica).await;
    run(&mut third, &format!("STOP {}", noun(flavour))).await;
    run(&mut third, "SET GLOBAL read_only = OFF").await;
    let third = server(&cluster, Role::Replica);
    site.until("it is told", |row| row.also_writable.contains(&third)).await;
    let found = site.failovers.find_primary(&name()).await;
    println!("{flavour:?}: {found}");
    assert!(matches!(found, Found::Undecided(_)), "{found:?}");
    assert_eq!(site.primary(), new);
    // Not even when the primary goes: who took writes beside it is no successor.
    cluster.kill(Role::Replica2);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(site.primary(), new);
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_primary_changed_from_outside_is_followed_mysql() {
    followed(Flavour::MySql).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_primary_changed_from_outside_is_followed_mariadb() {
    followed(Flavour::MariaDb).await;
}

/// The whole program: statements go to the new primary, after a restart too.
#[tokio::test]
#[ignore = "needs servers: make test"]
async fn statements_go_to_the_new_primary_and_a_restart_keeps_it() {
    let cluster = Cluster::start_with_two_replicas("c1", Flavour::MySql);
    let _app = make_table(&cluster).await;
    let setup = Setup::default().cluster(&cluster).config("[keyspaces.shop]\nshards = { \"-\" = \"c1\" }\n");
    let mut bulkhead = setup.vschema("shop.toml", "layout = \"unsharded\"\n").start();
    let mut client = bulkhead.connect(Some("shop")).await;
    run(&mut client, "INSERT INTO t (id) VALUES (2)").await;
    until_value(&cluster, Role::Replica2, COUNT, "2").await;
    promote_by_hand(&cluster, Role::Replica2).await;
    let began = Instant::now();
    while client.query_drop("INSERT INTO t (id) VALUES (3)").await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(2), "writes do not reach the new primary");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    println!("through the program: writes again after {} ms", began.elapsed().as_millis());
    until_value(&cluster, Role::Replica2, COUNT, "3").await;
    bulkhead.signal("HUP");
    tokio::time::sleep(Duration::from_millis(500)).await;
    run(&mut client, "INSERT INTO t (id) VALUES (4)").await;

    drop(client);
    bulkhead.signal("KILL");
    bulkhead.wait(Duration::from_secs(5)).expect("it is killed");
    bulkhead.launch();
    let mut client = bulkhead.connect(Some("shop")).await;
    run(&mut client, "INSERT INTO t (id) VALUES (5)").await;
    until_value(&cluster, Role::Replica2, COUNT, "5").await;
    assert!(bulkhead.log().contains("the primary is not the one that the config file names"));
    let mut admin = bulkhead.connect_admin().await;
    let row: mysql_async::Row =
        admin.query_first("SHOW PRIMARIES").await.expect("it is shown").expect("a row");
    let shown = |column: &str| row.get::<String, _>(column).expect("the column is there");
    assert_eq!(shown("primary"), server(&cluster, Role::Replica2).to_string());
    assert_eq!(shown("configured"), server(&cluster, Role::Primary).to_string());
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn with_semi_sync_nothing_acknowledged_is_lost() {
    let cluster = Cluster::start_with_two_replicas("c1", Flavour::MySql);
    for role in [Role::Primary, Role::Replica, Role::Replica2] {
        let mut conn = root(&cluster, role).await;
        for side in ["source", "replica"] {
            let install = format!("INSTALL PLUGIN rpl_semi_sync_{side} SONAME 'semisync_{side}.so'");
            // Not for the others to replicate, and a replica is read-only.
            run(&mut conn, "SET SESSION sql_log_bin = 0").await;
            run(&mut conn, "SET GLOBAL super_read_only = OFF").await;
            run(&mut conn, &install).await;
        }
        if role == Role::Primary {
            run(&mut conn, "SET GLOBAL rpl_semi_sync_source_enabled = ON").await;
        } else {
            run(&mut conn, "SET GLOBAL super_read_only = ON, rpl_semi_sync_replica_enabled = ON").await;
            run(&mut conn, "STOP REPLICA IO_THREAD").await;
            run(&mut conn, "START REPLICA IO_THREAD").await;
        }
    }
    let _app = make_table(&cluster).await;
    let site = Site::of(&cluster, "").await;
    let writers = Writers::start(&cluster, &site, 4);
    tokio::time::sleep(Duration::from_secs(1)).await;
    cluster.kill(Role::Primary);
    let plan = site.failovers.plan(&name(), None).await.expect("there is one");
    println!("semi-sync: {plan}");
    assert!(matches!(plan.loss, Loss::NothingAcknowledged { .. }), "{plan}");
    let FailoverEnd::Done(new) = site.fail_over(None, false).await else { panic!("not done") };
    tokio::time::sleep(Duration::from_secs(1)).await;
    let ledger = writers.stop().await;
    let mut conn = connect(new.port, "bulkhead_admin", &cluster.password, None).await;
    let found: Vec<u64> = conn.query("SELECT id FROM shop.t WHERE id >= 1000").await.expect("reads");
    let found: std::collections::BTreeSet<u64> = found.into_iter().collect();
    let missing: Vec<_> = ledger.acknowledged.iter().filter(|id| !found.contains(id)).collect();
    assert!(missing.is_empty(), "acknowledged and gone: {missing:?}");
    println!("semi-sync: {} acknowledged, {} lost on the way", ledger.acknowledged.len(), ledger.lost);
    // The new one waits for replicas as the old one did.
    let on: Vec<(String, String)> =
        conn.query("SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync_source_status'").await.expect("it has the plugin");
    assert_eq!(on[0].1, "ON");
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_command_fails_over_and_is_followed() {
    let cluster = Cluster::start_with_two_replicas("c1", Flavour::MySql);
    let _app = make_table(&cluster).await;
    let script = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    let (client, to) = (format!("{}/docker/mysql/cluster.sh", env!("CARGO_MANIFEST_DIR")), Role::Replica);
    let folder = cluster.folder().display().to_string();
    let sql = |role: &str, sql: &str| {
        format!("{client} sql --name c1 --dir '{folder}' --role {role} -- -e '{sql}'\n")
    };
    let text = format!(
        "set -eu\ntest \"$1\" = c1\ntest \"$2\" = 127.0.0.1:{}\n{}{}",
        cluster.primary_port,
        sql("primary", "SET GLOBAL super_read_only = ON"),
        sql("replica", "STOP REPLICA; RESET REPLICA ALL; SET GLOBAL read_only = OFF"),
    );
    std::fs::write(script.path(), text).expect("the file is ours");
    let more = |script: &std::path::Path, arguments: &str| {
        format!(
            "failover = \"command\"\nfailover_timeout = \"10s\"\n\
             failover_command = [\"sh\", \"{}\", {arguments}]\n",
            script.display()
        )
    };
    let site = Site::of(&cluster, &more(script.path(), "\"{cluster}\", \"other\"")).await;
    let end = site.fail_over(None, false).await;
    assert!(matches!(&end, FailoverEnd::Undone(why) if why.contains("exit status: 1")), "{end:?}");
    assert_eq!(site.primary(), server(&cluster, Role::Primary));
    drop(site);
    let site = Site::of(&cluster, &more(script.path(), "\"{cluster}\", \"{from}\"")).await;
    let began = Instant::now();
    let end = site.fail_over(None, false).await;
    println!("command: {} ms", began.elapsed().as_millis());
    assert_eq!(end, FailoverEnd::Done(server(&cluster, to)));
    assert_eq!(site.primary(), server(&cluster, to));
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_switchover_that_takes_too_long_is_undone() {
    let cluster = Cluster::start_with_two_replicas("c1", Flavour::MySql);
    let mut app = make_table(&cluster).await;
    let site = Site::of(&cluster, "").await;
    let mut blocker = root(&cluster, Role::Replica).await;
    run(&mut blocker, "FLUSH TABLES WITH READ LOCK").await;
    run(&mut app, "INSERT INTO shop.t (id) VALUES (2)").await;
    let began = Instant::now();
    let end = site.fail_over(Some(server(&cluster, Role::Replica)), true).await;
    println!("undone after {} ms: {end:?}", began.elapsed().as_millis());
    assert!(matches!(&end, FailoverEnd::Undone(why) if why.contains("still lacks")), "{end:?}");
    assert!(began.elapsed() < Duration::from_secs(3));
    run(&mut app, "INSERT INTO shop.t (id) VALUES (3)").await;
    assert_eq!(site.primary(), server(&cluster, Role::Primary));
    run(&mut blocker, "UNLOCK TABLES").await;
    until_value(&cluster, Role::Replica, COUNT, "3").await;
    assert_eq!(site.row().cut_off, []);
}

async fn waited_for(flavour: Flavour) {
    let cluster = Cluster::start_with_two_replicas("c1", flavour);
    let mut app = make_table(&cluster).await;
    let site = Site::of(&cluster, "").await;
    let to = server(&cluster, Role::Replica);
    site.failovers.await_near(&name(), Some(&to)).await.expect("it has all");
    let mut blocker = root(&cluster, Role::Replica).await;
    run(&mut blocker, "FLUSH TABLES WITH READ LOCK").await;
    run(&mut app, "INSERT INTO shop.t (id) VALUES (2)").await;
    let far = site.failovers.await_near(&name(), Some(&to)).await.expect_err("it lacks a transaction");
    println!("{flavour:?}: {far}");
    let Refusal::TooFar { server: told, lag, waited, .. } = &far else { panic!("{far}") };
    assert!(
        *told == to && *lag >= Duration::from_secs(5) && *lag <= *waited + Duration::from_secs(60),
        "{far}"
    );
    assert!(far.to_string().contains(&format!("{to} is {} ms behind the primary", lag.as_millis())), "{far}");
    // Another one is near; nobody asked for that one.
    site.failovers.await_near(&name(), None).await.expect("the other has all");
    let waiting = {
        let (failovers, to) = (site.failovers.clone(), to.clone());
        tokio::spawn(async move { failovers.await_near(&name(), Some(&to)).await })
    };
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!waiting.is_finished(), "it is waited for");
    run(&mut blocker, "UNLOCK TABLES").await;
    waiting.await.expect("no panic").expect("it comes near");
    assert_eq!(site.primary(), server(&cluster, Role::Primary), "nothing was changed");
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_replica_is_waited_for_before_a_switchover_mysql() {
    waited_for(Flavour::MySql).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_replica_is_waited_for_before_a_switchover_mariadb() {
    waited_for(Flavour::MariaDb).await;
}

/// The whole program: no write is held for a switchover that is refused because its replica is far behind.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_switchover_to_a_replica_that_is_far_behind_is_refused_and_holds_nothing() {
    let cluster = Cluster::start_with_two_replicas("c1", Flavour::MySql);
    let _app = make_table(&cluster).await;
    let setup = Setup::default().cluster(&cluster).config("[keyspaces.shop]\nshards = { \"-\" = \"c1\" }\n");
    let bulkhead = setup.vschema("shop.toml", "layout = \"unsharded\"\n").start();
    let mut admin = bulkhead.connect_admin().await;
    let began = Instant::now();
    loop {
        let status: Option<mysql_async::Row> = admin.query_first("SHOW SHARD STATUS").await.expect("works");
        if status.and_then(|row| row.get::<String, _>("state")).is_some_and(|state| state == "healthy") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "it is healthy");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let mut blocker = root(&cluster, Role::Replica).await;
    run(&mut blocker, "FLUSH TABLES WITH READ LOCK").await;
    let mut client = bulkhead.connect(Some("shop")).await;
    run(&mut client, "INSERT INTO t (id) VALUES (2)").await;
    let new = server(&cluster, Role::Replica);
    let order = format!("FAILOVER CLUSTER c1 TO '{new}' WHY 'a drill'");
    let mut operator = bulkhead.connect_admin().await;
    let ordered = order.clone();
    let ordered = tokio::spawn(async move { operator.query_drop(ordered).await });
    let mut id = 3;
    while !ordered.is_finished() {
        run(&mut client, &format!("INSERT INTO t (id) VALUES ({id})")).await;
        let gates: Vec<mysql_async::Row> = admin.query("SHOW GATES").await.expect("works");
        assert!(gates.is_empty(), "{gates:?}");
        id += 1;
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let refusal = ordered.await.expect("no panic").expect_err("it is refused").to_string();
    println!("{} writes meanwhile: {refusal}", id - 3);
    assert!(refusal.contains("ms behind the primary at least, more than 500 ms"), "{refusal}");
    assert!(refusal.contains("writes were not held back"), "{refusal}");
    let begun = "SHOW EVENTS LIKE '%failing over' WHERE cluster = c1";
    let begun: Vec<mysql_async::Row> = admin.query(begun).await.expect("works");
    assert!(begun.is_empty(), "{begun:?}");
    run(&mut blocker, "UNLOCK TABLES").await;
    run(&mut admin, &order).await;
    until_value(&cluster, Role::Replica, "SELECT CAST(@@global.read_only <> 0 AS CHAR)", "0").await;
    run(&mut client, &format!("INSERT INTO t (id) VALUES ({id})")).await;
    until_value(&cluster, Role::Replica, COUNT, &id.to_string()).await;
}

/// What the store says when a proxy ended in the middle of a failover.
fn begun(cluster: &Cluster) -> Vec<u8> {
    let server = |role| format!("{{\"host\": \"127.0.0.1\", \"port\": {}}}", cluster.port(role));
    let (from, to) = (server(Role::Primary), server(Role::Replica));
    format!(
        "{{\"primary\": {from}, \"cut_off\": [], \"unfenced\": [], \"promoting\": {to}, \
         \"halted\": [{to}], \"reopens\": true, \"is_ours\": true, \"configured\": {from}, \
         \"why\": \"test\"}}"
    )
    .into_bytes()
}

async fn store_with_begun(cluster: &Cluster) -> Arc<dyn Store> {
    let store = EmbeddedStore::in_memory().expect("memory is there");
    store.put_if("clusters/c1/primary", begun(cluster), Expect::Absent).await.expect("it is written");
    Arc::new(store)
}

async fn finished_or_undone(flavour: Flavour) {
    let cluster = Cluster::start_with_two_replicas("c1", flavour);
    let _app = make_table(&cluster).await;
    // The proxy ended before the replica took writes: it never will.
    let mut old = root(&cluster, Role::Primary).await;
    run(&mut old, "SET GLOBAL read_only = ON").await;
    let mut new = root(&cluster, Role::Replica).await;
    run(&mut new, &format!("STOP {}", noun(flavour))).await;
    {
        let site = Site::on(&cluster, "", store_with_begun(&cluster).await).await;
        until_value(&cluster, Role::Primary, "SELECT CAST(@@global.read_only <> 0 AS CHAR)", "0").await;
        let mut app = cluster.connect(Role::Primary, "bulkhead_app").await;
        run(&mut app, "INSERT INTO shop.t (id) VALUES (2)").await;
        until_value(&cluster, Role::Replica, COUNT, "2").await;
        assert_eq!(site.primary(), server(&cluster, Role::Primary));
        assert_eq!(site.row().cut_off, []);
    }
    // It ended after: the rest is done.
    run(&mut old, "SET GLOBAL read_only = ON").await;
    run(&mut new, &format!("STOP {}", noun(flavour))).await;
    run(&mut new, "SET GLOBAL read_only = OFF").await;
    let site = Site::on(&cluster, "", store_with_begun(&cluster).await).await;
    site.until("it is led to", |row| row.primary == server(&cluster, Role::Replica)).await;
    let (from, to) = (server(&cluster, Role::Primary), server(&cluster, Role::Replica));
    assert_eq!(site.failovers.find_primary(&name()).await, Found::Followed { from, to: to.clone() });
    assert_eq!(site.failovers.find_primary(&name()).await, Found::Same(to));
    site.until("the others follow", |row| row.cut_off.is_empty()).await;
    let mut app = cluster.connect(Role::Replica, "bulkhead_app").await;
    run(&mut app, "INSERT INTO shop.t (id) VALUES (3)").await;
    for role in [Role::Primary, Role::Replica2] {
        until_value(&cluster, role, COUNT, "3").await;
    }
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_failover_that_a_proxy_left_is_finished_or_undone_mysql() {
    finished_or_undone(Flavour::MySql).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_failover_that_a_proxy_left_is_finished_or_undone_mariadb() {
    finished_or_undone(Flavour::MariaDb).await;
}

/// It answers, reads go on, and writes wait for a lock that nobody gives back.
async fn sick(flavour: Flavour) {
    let cluster = Cluster::start_with_two_replicas("c1", flavour);
    let mut app = make_table(&cluster).await;
    let site = Site::of(&cluster, "").await;
    let mut holder = root(&cluster, Role::Primary).await;
    run(&mut holder, "FLUSH TABLES WITH READ LOCK").await;
    let stuck = tokio::spawn(async move { app.query_drop("INSERT INTO shop.t (id) VALUES (2)").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!stuck.is_finished(), "writes wait");
    let plan = site.failovers.plan(&name(), None).await.expect("it can be failed over");
    assert_eq!(plan.loss, Loss::NothingPrimaryAnswers);
    let began = Instant::now();
    let end = site.fail_over(None, false).await;
    println!("{flavour:?}: sick: failed over in {} ms", began.elapsed().as_millis());
    assert_eq!(end, FailoverEnd::Done(server(&cluster, Role::Replica)));
    // Whoever waited is told that it is lost, unless it was done in the moment before the fence: then it is
    // there.
    let is_acknowledged = stuck.await.expect("no panic").is_ok();
    let mut app = cluster.connect(Role::Replica, "bulkhead_app").await;
    run(&mut app, "INSERT INTO shop.t (id) VALUES (3)").await;
    let waited = "SELECT CAST(COUNT(*) AS CHAR) FROM shop.t WHERE id = 2";
    let is_there = value(&mut app, waited).await;
    println!("{flavour:?}: sick: acknowledged {is_acknowledged}, there: {is_there}");
    assert!(!is_acknowledged || is_there == "1");
    site.until("the old one follows", |row| row.cut_off.is_empty()).await;
    let count = value(&mut app, COUNT).await;
    for role in [Role::Primary, Role::Replica2] {
        until_value(&cluster, role, COUNT, &count).await;
    }
    assert_eq!(site.replicas().len(), 2);
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_primary_whose_writes_wait_is_replaced_mysql() {
    sick(Flavour::MySql).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_primary_whose_writes_wait_is_replaced_mariadb() {
    sick(Flavour::MariaDb).await;
}
