//! A proxy that ends in the middle of a failover, behind each of its steps, and one that is started after it:
//! it finds out from the servers what is true, and finishes the failover or undoes it. There are never two
//! primaries, and what was acknowledged is there.

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bulkhead::failover::Reached;
use common::clients::run;
use common::servers::{Bulkhead, Cluster, Flavour, Role, Setup, connect, try_connect};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Row};
use tokio::task::JoinHandle;

const ROLES: [Role; 3] = [Role::Primary, Role::Replica, Role::Replica2];
/// Ends a wait for what never comes.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(30);
/// Between two writes of a client.
const WRITE_EVERY: Duration = Duration::from_millis(10);
const WRITERS: u64 = 3;

/// Which failover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The cluster works.
    Planned,
    /// It is drained, and its primary answers.
    Sick,
    /// Its primary is killed.
    Dead,
    /// The cluster works, and the primary cannot be fenced: it is undone.
    Undone,
}

impl Kind {
    fn points(self) -> Vec<Reached> {
        match self {
            Self::Planned => Reached::PLANNED.to_vec(),
            Self::Sick => Reached::SICK.to_vec(),
            Self::Dead => Reached::DEAD.to_vec(),
            Self::Undone => Reached::UNDOING.to_vec(),
        }
    }
}

struct Stand {
    cluster: Cluster,
    bulkhead: Bulkhead,
}

/// What SHOW PRIMARIES and SHOW SHARD STATUS say.
#[derive(Debug)]
struct Told {
    primary: u16,
    cut_off: String,
    note: String,
    stage: String,
}

impl Stand {
    async fn start(flavour: Flavour) -> Self {
        let cluster = Cluster::start_with_two_replicas("c1", flavour);
        let mut app = cluster.connect(Role::Primary, "bulkhead_app").await;
        run(&mut app, "CREATE DATABASE shop").await;
        run(&mut app, "CREATE TABLE shop.t (id BIGINT PRIMARY KEY)").await;
        run(&mut app, "CREATE TABLE shop.other (id BIGINT PRIMARY KEY)").await;
        let bulkhead = Setup::default()
            .cluster(&cluster)
            .config(
                "[clusters.c1.replication]\nuser = \"bulkhead_repl\"\npassword_env = \"TEST_C1_PASSWORD\"\n",
            )
            .config("[keyspaces.shop]\nshards = { \"-\" = \"c1\" }\n")
            // A heartbeat that a killed primary did not pass on would keep it away for good.
            .config("[health]\nheartbeat = false\n")
            .vschema("shop.toml", "layout = \"unsharded\"\n")
            .start();
        let stand = Self { cluster, bulkhead };
        stand.settled(Some(stand.cluster.primary_port)).await;
        stand
    }

    fn role(&self, port: u16) -> Role {
        ROLES.into_iter().find(|role| self.cluster.port(*role) == port).expect("one of ours")
    }

    async fn told(&self) -> Told {
        let mut admin = self.bulkhead.connect_admin().await;
        let row: Row = admin.query_first("SHOW PRIMARIES").await.expect("works").expect("a row");
        let text =
            |row: &Row, column| row.get::<Option<String>, _>(column).expect("there").unwrap_or_default();
        let status: Row = admin.query_first("SHOW SHARD STATUS").await.expect("works").expect("a row");
        let primary = text(&row, "primary");
        let (_, port) = primary.rsplit_once(':').expect("an address");
        Told {
            primary: port.parse().expect("a port"),
            cut_off: text(&row, "cut_off"),
            note: text(&row, "note"),
            stage: text(&status, "stage"),
        }
    }

    /// Says what a server is: whether it takes writes, and the port that it replicates from, all at work.
    async fn state(&self, role: Role) -> Option<(bool, Option<u16>)> {
        let conn = try_connect(self.cluster.port(role), "root", &self.cluster.password, None).await;
        let mut conn = conn.ok()?;
        let is_read_only: i64 = conn.query_first("SELECT @@global.read_only <> 0").await.ok()??;
        let (show, [port, io, sql]) = match self.cluster.flavour {
            Flavour::MySql => {
                ("SHOW REPLICA STATUS", ["Source_Port", "Replica_IO_Running", "Replica_SQL_Running"])
            }
            Flavour::MariaDb => {
                ("SHOW SLAVE STATUS", ["Master_Port", "Slave_IO_Running", "Slave_SQL_Running"])
            }
        };
        let row: Option<Row> = conn.query_first(show).await.ok()?;
        let source = row.map(|row| {
            let is_on = |column| row.get::<String, _>(column).is_some_and(|value| value == "Yes");
            if is_on(io) && is_on(sql) { row.get::<u16, _>(port).expect("a port") } else { 0 }
        });
        Some((is_read_only == 0, source))
    }

    /// Waits until one server takes writes, replicates from nowhere, and is led to, and both others follow it
    /// and are read-only; gives its port.
    async fn settled(&self, wanted: Option<u16>) -> u16 {
        let began = Instant::now();
        loop {
            let told = self.told().await;
            let mut states = Vec::new();
            for role in ROLES {
                let is_right = |(is_open, source): (bool, Option<u16>)| match role == self.role(told.primary)
                {
                    true => is_open && source.is_none(),
                    false => !is_open && source == Some(told.primary),
                };
                let state = self.state(role).await;
                states.push((role, state, state.is_some_and(is_right)));
            }
            let is_led_to = told.cut_off.is_empty() && wanted.is_none_or(|port| port == told.primary);
            if is_led_to && states.iter().all(|(.., is_right)| *is_right) {
                return told.primary;
            }
            assert!(began.elapsed() < PATIENCE, "{told:?} {states:?} {}", told.note);
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Gives an order; the proxy may end before it answers.
    async fn order(&self, sql: &str) {
        if let Ok(mut admin) = self.bulkhead.try_connect_admin().await {
            let done: Result<(), Error> = admin.query_drop(sql).await;
            println!("  {sql}: {}", done.map_or_else(|error| error.to_string(), |()| "ordered".to_owned()));
        }
    }

    fn relaunch(&mut self, point: Option<Reached>) {
        self.bulkhead.kill();
        self.bulkhead.set_env("BULKHEAD_STOP_AT", &point.map(point_of).unwrap_or_default());
        // One that is to stop may do so before it accepts connections.
        assert!(self.bulkhead.try_launch() || point.is_some(), "it starts:\n{}", self.bulkhead.log());
    }

    /// Does what an operator does when the screen says that the cluster is drained: lets it in again, or
    /// fails over if its primary is dead.
    async fn see_to_it(&self, dead: Option<u16>) {
        let began = Instant::now();
        loop {
            let told = self.told().await;
            let is_dead = dead == Some(told.primary);
            match told.stage.as_str() {
                "draining" | "drained" if is_dead => self.order("FAILOVER CLUSTER c1 WHY 'it is dead'").await,
                "draining" | "drained" => self.order("UNDRAIN CLUSTER c1 WHY 'it works'").await,
                "failing over" => {}
                _ if is_dead => self.order("DRAIN CLUSTER c1 WHY 'it is dead'").await,
                _ => return,
            }
            assert!(began.elapsed() < PATIENCE, "{told:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

fn point_of(point: Reached) -> String {
    format!("failover:{}", point.name())
}

/// Clients that write one row after the other through the proxy, whatever becomes of it, and remember what
/// was acknowledged.
struct Writers {
    stop: Arc<AtomicBool>,
    running: Vec<JoinHandle<Vec<u64>>>,
}

impl Writers {
    fn start(bulkhead: &Bulkhead, next: &Arc<AtomicU64>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let write = |_| {
            let (stop, next, port) = (stop.clone(), next.clone(), bulkhead.port);
            let password = bulkhead.password.clone();
            tokio::spawn(async move {
                let (mut acknowledged, mut open) = (Vec::new(), None::<Conn>);
                while !stop.load(Ordering::Relaxed) {
                    tokio::time::sleep(WRITE_EVERY).await;
                    if open.is_none() {
                        open = try_connect(port, "app", &password, Some("shop")).await.ok();
                    }
                    let Some(conn) = &mut open else { continue };
                    // What is not acknowledged is not written again.
                    let id = next.fetch_add(1, Ordering::Relaxed);
                    match conn.query_drop(format!("INSERT INTO t (id) VALUES ({id})")).await {
                        Ok(()) => acknowledged.push(id),
                        Err(Error::Server(_)) => {}
                        Err(_) => open = None,
                    }
                }
                acknowledged
            })
        };
        let running = (0..WRITERS).map(write).collect();
        Self { stop, running }
    }

    async fn stop(self) -> Vec<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for writer in self.running {
            all.extend(writer.await.expect("a writer does not panic"));
        }
        all
    }
}

/// Looks all the time for two servers that take writes.
struct Sentry {
    stop: Arc<AtomicBool>,
    looking: JoinHandle<Option<String>>,
}

impl Sentry {
    fn start(cluster: &Cluster) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (ports, password) = (ROLES.map(|role| cluster.port(role)), cluster.password.clone());
        let looking = tokio::spawn(look_for_two(ports, password, stop.clone()));
        Self { stop, looking }
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let found = self.looking.await.expect("it does not panic");
        assert_eq!(found, None, "two servers took writes at once");
    }
}

async fn look_for_two(ports: [u16; 3], password: String, stop: Arc<AtomicBool>) -> Option<String> {
    let mut conns: [Option<Conn>; 3] = [None, None, None];
    // Whether each took writes when it was asked last.
    let mut before = [false; 3];
    while !stop.load(Ordering::Relaxed) {
        let mut now = [false; 3];
        for (at, port) in ports.into_iter().enumerate() {
            if conns[at].is_none() {
                conns[at] = try_connect(port, "root", &password, None).await.ok();
            }
            let Some(conn) = &mut conns[at] else { continue };
            match conn.query_first::<i64, _>("SELECT @@global.read_only <> 0").await {
                Ok(found) => now[at] = found == Some(0),
                Err(_) => conns[at] = None,
            }
            // It took writes before and after another one was seen to: they both did at that moment. Those
            // behind it were asked in the round before.
            let others = now[..at].iter().chain([&false]).chain(&before[at + 1..]);
            let other = others.enumerate().find(|(_, is_open)| **is_open && now[at] && before[at]);
            if let Some((other, _)) = other {
                return Some(format!("{} and {port}", ports[other]));
            }
        }
        before = now;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    None
}

/// A failover whose proxy ends at each of `stops` in turn; one that goes on to the end follows.
async fn end_at(stand: &mut Stand, kind: Kind, stops: &[Reached], next: &Arc<AtomicU64>) {
    println!("{:?}, {kind:?}: {stops:?}", stand.cluster.flavour);
    stand.relaunch(Some(stops[0]));
    let old = stand.settled(None).await;
    let (writers, sentry) = (Writers::start(&stand.bulkhead, next), Sentry::start(&stand.cluster));
    let mut holder = stand.cluster.connect(stand.role(old), "root").await;
    match kind {
        Kind::Planned => {}
        // A table lock keeps the primary from becoming read-only.
        Kind::Undone => run(&mut holder, "LOCK TABLES shop.other WRITE").await,
        Kind::Sick | Kind::Dead => stand.order("DRAIN CLUSTER c1 WHY 'it is sick'").await,
    }
    if kind == Kind::Dead {
        // What it did not pass on would be lost: nobody writes any more, and the replicas have all.
        let all = rows(stand, stand.role(old)).await;
        for role in ROLES {
            until_rows(stand, role, &all).await;
        }
        stand.cluster.kill(stand.role(old));
    }
    stand.order("FAILOVER CLUSTER c1 WHY 'a drill'").await;
    for (at, stop) in stops.iter().enumerate() {
        if at > 0 {
            stand.relaunch(Some(*stop));
        }
        let ended = stand.bulkhead.wait(PATIENCE);
        assert!(ended.is_some(), "{kind:?} {stop:?} is reached:\n{}", stand.bulkhead.log());
    }
    drop(holder);
    stand.relaunch(None);
    stand.see_to_it((kind == Kind::Dead).then_some(old)).await;
    if kind == Kind::Dead {
        // It comes back as one that takes writes; from then on there are two for a moment.
        sentry.stop().await;
        stand.cluster.start_one(stand.role(old));
        stand.settled(None).await;
    } else {
        stand.settled(None).await;
        sentry.stop().await;
    }
    check_writes(stand, writers, next).await;
}

/// Writes flow, what was acknowledged is there, and all servers have the same.
async fn check_writes(stand: &Stand, writers: Writers, next: &Arc<AtomicU64>) {
    let began = Instant::now();
    let mut client = stand.bulkhead.connect(Some("shop")).await;
    loop {
        let id = next.fetch_add(1, Ordering::Relaxed);
        match client.query_drop(format!("INSERT INTO t (id) VALUES ({id})")).await {
            Ok(()) => break,
            Err(error) => assert!(began.elapsed() < PATIENCE, "writes do not flow: {error}"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let acknowledged = writers.stop().await;
    let primary = stand.told().await.primary;
    let found = rows(stand, stand.role(primary)).await;
    let missing: Vec<_> = acknowledged.iter().filter(|id| !found.contains(id)).collect();
    assert!(missing.is_empty(), "acknowledged and gone: {missing:?}");
    println!("  {} acknowledged, {} rows", acknowledged.len(), found.len());
    for role in ROLES {
        until_rows(stand, role, &found).await;
    }
}

async fn until_rows(stand: &Stand, role: Role, wanted: &BTreeSet<u64>) {
    let began = Instant::now();
    while rows(stand, role).await != *wanted {
        assert!(began.elapsed() < PATIENCE, "{role:?} has other rows");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn rows(stand: &Stand, role: Role) -> BTreeSet<u64> {
    let mut conn = connect(stand.cluster.port(role), "root", &stand.cluster.password, None).await;
    let found: Vec<u64> = conn.query("SELECT id FROM shop.t").await.expect("reads");
    found.into_iter().collect()
}

async fn end_behind_every_step(flavour: Flavour, kinds: &[Kind]) {
    let mut stand = Stand::start(flavour).await;
    let next = Arc::new(AtomicU64::new(1));
    for kind in kinds {
        for point in kind.points() {
            end_at(&mut stand, *kind, &[point], &next).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_proxy_that_ends_in_a_switchover_is_followed_by_one_that_knows_mysql() {
    end_behind_every_step(Flavour::MySql, &[Kind::Planned, Kind::Undone]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_proxy_that_ends_in_a_switchover_is_followed_by_one_that_knows_mariadb() {
    end_behind_every_step(Flavour::MariaDb, &[Kind::Planned, Kind::Undone]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_proxy_that_ends_in_a_failover_is_followed_by_one_that_knows_mysql() {
    end_behind_every_step(Flavour::MySql, &[Kind::Sick, Kind::Dead]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_proxy_that_ends_in_a_failover_is_followed_by_one_that_knows_mariadb() {
    end_behind_every_step(Flavour::MariaDb, &[Kind::Dead]).await;
}

/// The one that undoes it ends too.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn undoing_and_finishing_may_be_cut_short_too() {
    let mut stand = Stand::start(Flavour::MySql).await;
    let next = Arc::new(AtomicU64::new(1));
    for stops in [
        &[Reached::Fenced, Reached::Restarted, Reached::Reopened][..],
        &[Reached::Stopped, Reached::Restarted],
    ] {
        end_at(&mut stand, Kind::Planned, stops, &next).await;
    }
}
