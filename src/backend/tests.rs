//! Pools against a small server of our own: logins by the other side of the protocol module, no SQL.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::config::{Cluster, ClusterTls, Failover, Login, PermitSettings, PoolLimits, TlsMode};
use crate::error::Code;
use crate::ids::{ClusterName, Role, ServerId, WorkerId};
use crate::protocol::auth::{AuthContext, AuthRequest, AuthStep, Credentials, Nonce, RsaKey, ServerAuth};
use crate::protocol::capability::{CLASS_MASK, Capabilities, OFFERED, StatusFlags};
use crate::protocol::framed::Framed;
use crate::protocol::handshake::{ClientHello, Greeting};
use crate::protocol::password::{AuthPlugin, StoredPassword};
use crate::protocol::result::{Column, TextResult};
use crate::redact::Secret;

const CONNECT: Duration = Duration::from_secs(2);
const PASSWORD: &str = "s3cret";
const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];

struct OneUser(StoredPassword);

impl Credentials for OneUser {
    fn lookup(&self, user: &str) -> Option<StoredPassword> {
        (user == "app").then(|| self.0.clone())
    }
}

/// What the small server saw and how it behaves.
struct Server {
    id: ServerId,
    connected: AtomicUsize,
    open: AtomicUsize,
    commands: Mutex<Vec<Vec<u8>>>,
    /// SET is answered by an error.
    refuses_set: AtomicBool,
    /// Greetings are held back.
    is_slow: AtomicBool,
    /// Connections are closed by the next command.
    hangs_up: AtomicBool,
    /// Nobody is greeted.
    is_down: AtomicBool,
    auth: Arc<AuthContext>,
    users: OneUser,
}

impl Server {
    async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let id = ServerId { host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() };
        let server = Arc::new(Self {
            id,
            connected: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            commands: Mutex::default(),
            refuses_set: AtomicBool::new(false),
            is_slow: AtomicBool::new(false),
            hangs_up: AtomicBool::new(false),
            is_down: AtomicBool::new(false),
            auth: Arc::new(AuthContext::new(RsaKey::generate().unwrap()).unwrap()),
            users: OneUser(StoredPassword::generate(AuthPlugin::CachingSha2, PASSWORD.as_bytes()).unwrap()),
        });
        let accepting = Arc::clone(&server);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = Arc::clone(&accepting);
                tokio::spawn(async move {
                    let id = server.connected.fetch_add(1, Ordering::SeqCst) as u32 + 1;
                    server.open.fetch_add(1, Ordering::SeqCst);
                    let _ = server.serve(stream, id).await;
                    server.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        server
    }

    async fn serve(&self, stream: TcpStream, id: u32) -> Option<()> {
        let mut framed = Framed::new(stream, 1 << 20);
        while self.is_slow.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if self.is_down.load(Ordering::SeqCst) {
            return None;
        }
        let nonce = Nonce::random()?;
        let offered = OFFERED.without(Capabilities::SSL);
        framed.queue_packet(&Greeting::new("8.4.0", id, &nonce, offered).build());
        framed.flush().await.ok()?;
        let hello = ClientHello::parse(framed.read_packet().await.ok()?, offered).ok()?;
        let ClientHello::Response(response) = hello else { return None };
        let capabilities = response.capabilities;
        let request = AuthRequest {
            user: response.user,
            host: "127.0.0.1".to_owned(),
            plugin: response.plugin,
            response: response.auth_response,
            nonce,
            secure: false,
        };
        let (mut auth, mut step) = ServerAuth::begin(request, &self.users, Arc::clone(&self.auth));
        loop {
            match step {
                AuthStep::Send(payload) => framed.queue_packet(&payload),
                AuthStep::Accepted(last) => {
                    last.iter().for_each(|payload| framed.queue_packet(payload));
                    framed.queue_packet(OK);
                    framed.flush().await.ok()?;
                    break;
                }
                AuthStep::Refused(error) => {
                    let mut payload = vec![0xff];
                    payload.extend_from_slice(&error.errno().to_le_bytes());
                    payload.extend_from_slice(b"#28000no");
                    framed.queue_packet(&payload);
                    framed.flush().await.ok()?;
                    return None;
                }
            }
            framed.flush().await.ok()?;
            step = auth.step(framed.read_packet().await.ok()?);
        }
        loop {
            framed.reset_sequence();
            let command = framed.read_packet().await.ok()?.to_vec();
            let is_quit = command == [1];
            if command.ends_with(b"SELECT @@sql_mode") {
                let columns = [Column::text("@@sql_mode", 64)];
                let mut rows = TextResult::new(capabilities, &columns, 1, StatusFlags::default());
                rows.text("STRICT_TRANS_TABLES");
                framed.queue_raw(&rows.finish(StatusFlags::default(), 0));
                framed.flush().await.ok()?;
                continue;
            }
            if command.ends_with(b"SET SESSION session_track_state_change = 1") {
                framed.queue_packet(OK);
                framed.flush().await.ok()?;
                continue;
            }
            let is_set = command.starts_with(&[3]) && command.windows(3).any(|word| word == b"SET");
            self.commands.lock().unwrap().push(command);
            if is_quit || self.hangs_up.load(Ordering::SeqCst) {
                return None;
            }
            if is_set && self.refuses_set.load(Ordering::SeqCst) {
                framed.queue_packet(b"\xff\xcf\x04#42000Variable can't be set");
            } else {
                framed.queue_packet(OK);
            }
            framed.flush().await.ok()?;
        }
    }

    fn commands(&self) -> Vec<String> {
        let commands = std::mem::take(&mut *self.commands.lock().unwrap());
        commands.iter().map(|command| String::from_utf8_lossy(command).into_owned()).collect()
    }
}

fn limits(max_connections: u32) -> PoolLimits {
    PoolLimits {
        max_connections,
        opening_at_once: 2,
        waiters: 3,
        idle: Duration::from_secs(60),
        lifetime: Duration::from_secs(600),
    }
}

fn cluster(primary: &ServerId, replicas: Vec<ServerId>, pool: PoolLimits) -> Cluster {
    let login = Login { user: "app".into(), password: Secret::new(PASSWORD) };
    let tls = ClusterTls { mode: TlsMode::Preferred, ca: None, certificate: None, key: None };
    Cluster {
        name: name(),
        primary: primary.clone(),
        replicas,
        login: login.clone(),
        admin_login: login,
        tls,
        pool,
        ladder: crate::config::Rungs::default(),
        permits: PermitSettings::DEFAULT,
        failover: Failover::default(),
    }
}

fn name() -> ClusterName {
    ClusterName::new("c1")
}

fn pools_of(cluster: Cluster) -> Arc<Pools> {
    Pools::for_clusters(&BTreeMap::from([(name(), cluster)]), CONNECT).unwrap()
}

fn class() -> Capabilities {
    OFFERED.masked(CLASS_MASK)
}

fn login_settings() -> Arc<SessionSettings> {
    Arc::new(SessionSettings::new(45))
}

struct Client {
    pools: Arc<Pools>,
    settings: Arc<SessionSettings>,
    class: Capabilities,
    worker: WorkerId,
}

impl Client {
    fn new(pools: &Arc<Pools>) -> Self {
        Self { pools: Arc::clone(pools), settings: login_settings(), class: class(), worker: WorkerId(1) }
    }

    async fn checkout(&self) -> Result<Checkout, CheckoutError> {
        self.checkout_within(Role::Primary, 2000).await
    }

    async fn checkout_within(&self, role: Role, ms: u64) -> Result<Checkout, CheckoutError> {
        let within = Duration::from_millis(ms);
        let (class, settings, worker) = (self.class, &self.settings, self.worker);
        let wanted = Wanted { class, settings, database: None, worker, within };
        self.pools.checkout(&name(), role, &wanted).await
    }
}

async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn connections_are_reused_by_best_match() {
    let server = Server::start().await;
    let pools = pools_of(cluster(&server.id, vec![], limits(5)));
    let client = Client::new(&pools);
    let (first, mut second) = (client.checkout().await.unwrap(), client.checkout().await.unwrap());
    let ids = (first.thread_id(), second.thread_id());
    let other = Arc::new(
        login_settings().with(&[SettingChange::Variable { name: "sql_mode", literal: "''" }]).unwrap(),
    );
    assert_eq!(
        second.apply(&other, None, Behind::Any).await.unwrap(),
        0,
        "not proven yet: confirmed at once"
    );
    second.checkin();
    first.checkin();
    let wants_other = Client { settings: Arc::clone(&other), ..Client::new(&pools) };
    let lent = wants_other.checkout().await.unwrap();
    assert_eq!(lent.thread_id(), ids.1, "the one with the same settings, not the last used");
    let plain = client.checkout().await.unwrap();
    assert_eq!(plain.thread_id(), ids.0);
    assert_eq!(server.connected.load(Ordering::SeqCst), 2);
    let stats = pools.stats();
    assert_eq!((stats[0].busy, stats[0].idle, stats[0].counters.opened), (2, 0, 2));
}

#[tokio::test]
async fn workers_keep_their_connections_and_take_others_over() {
    let server = Server::start().await;
    let pools = pools_of(cluster(&server.id, vec![], limits(5)));
    let one = Client::new(&pools);
    let two = Client { worker: WorkerId(2), ..Client::new(&pools) };
    let (of_one, of_two) = (one.checkout().await.unwrap(), two.checkout().await.unwrap());
    let ids = (of_one.thread_id(), of_two.thread_id());
    of_one.checkin();
    of_two.checkin();
    let of_one = one.checkout().await.unwrap();
    assert_eq!(of_one.thread_id(), ids.0, "its own, though another was used later");
    let mut taken = one.checkout().await.unwrap();
    assert_eq!(taken.thread_id(), ids.1, "one that is there is taken over before a new one is opened");
    // It is alive under its new watch.
    let change = SettingChange::Variable { name: "sql_mode", literal: "''" };
    let settings = Arc::new(login_settings().with(&[change]).unwrap());
    assert_eq!(taken.apply(&settings, None, Behind::Any).await.unwrap(), 0);
    assert_eq!(server.connected.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn settings_go_ahead_of_the_statement_once_proven() {
    let server = Server::start().await;
    let pools = pools_of(cluster(&server.id, vec![], limits(5)));
    let client = Client::new(&pools);
    let set = |literal| {
        let change = SettingChange::Variable { name: "wait_timeout", literal };
        Arc::new(login_settings().with(&[change]).unwrap())
    };
    let (short, long) = (set("10"), set("20"));
    let mut lent = client.checkout().await.unwrap();
    assert_eq!(lent.apply(&login_settings(), None, Behind::Any).await.unwrap(), 0);
    assert_eq!(lent.apply(&short, None, Behind::Any).await.unwrap(), 0);
    assert_eq!(lent.apply(&long, None, Behind::Any).await.unwrap(), 0);
    assert_eq!(lent.apply(&short, Some(&"shop".into()), Behind::Any).await.unwrap(), 2);
    assert_eq!(lent.apply(&short, Some(&"shop".into()), Behind::Any).await.unwrap(), 0);
    assert_eq!(lent.apply(&short, Some(&"blog".into()), Behind::Any).await.unwrap(), 2);
    assert_eq!(
        lent.apply(&short, Some(&"news".into()), Behind::Reads).await.unwrap(),
        2,
        "a function may write"
    );
    lent.functions.forget();
    assert_eq!(lent.apply(&short, Some(&"wiki".into()), Behind::Reads).await.unwrap(), 1);
    assert_eq!(lent.apply(&short, Some(&"chat".into()), Behind::Any).await.unwrap(), 2);
    lent.framed.flush().await.unwrap();
    eventually("eleven commands", || server.commands.lock().unwrap().len() == 11).await;
    assert_eq!(
        server.commands(),
        [
            "\u{3}\0\u{1}SET wait_timeout = 10",
            "\u{3}\0\u{1}SET wait_timeout = 20",
            "\u{3}\0\u{1}SET wait_timeout = 10",
            "\u{2}shop",
            "\u{2}information_schema",
            "\u{2}blog",
            "\u{2}information_schema",
            "\u{2}news",
            "\u{2}wiki",
            "\u{2}information_schema",
            "\u{2}chat"
        ]
    );
}

#[tokio::test]
async fn refused_settings_are_an_error_and_leave_a_clean_connection() {
    let server = Server::start().await;
    let pools = pools_of(cluster(&server.id, vec![], limits(5)));
    let client = Client::new(&pools);
    server.refuses_set.store(true, Ordering::SeqCst);
    let change = SettingChange::Variable { name: "nonsense", literal: "1" };
    let settings = Arc::new(login_settings().with(&[change]).unwrap());
    let mut lent = client.checkout().await.unwrap();
    let error = lent.apply(&settings, None, Behind::Any).await.unwrap_err();
    assert!(matches!(error, ApplyError::Refused(refusal) if refusal.errno == 1231));
    lent.checkin();
    eventually("the reset connection is idle", || pools.stats()[0].idle == 1).await;
    assert_eq!(pools.stats()[0].counters.resets, 1);
    assert_eq!(server.commands().last().unwrap(), "\u{1f}");
}

#[tokio::test]
async fn waiting_is_bounded_and_fair() {
    let server = Server::start().await;
    let pools = pools_of(cluster(&server.id, vec![], limits(1)));
    let client = Arc::new(Client::new(&pools));
    let held = client.checkout().await.unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..3 {
        let (client, seen) = (Arc::clone(&client), Arc::clone(&order));
        tasks.push(tokio::spawn(async move {
            let lent = client.checkout().await.unwrap();
            seen.lock().unwrap().push(number);
            lent.checkin();
        }));
        eventually("it waits", || pools.stats()[0].waiting == number + 1).await;
    }
    let error = client.checkout().await.unwrap_err();
    assert!(matches!(error, CheckoutError::QueueFull { waiting: 3, .. }), "{error}");
    assert_eq!(error.code(), Code::PoolQueueFull);
    held.checkin();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), [0, 1, 2]);
    assert_eq!(server.connected.load(Ordering::SeqCst), 1);

    let _held = client.checkout().await.unwrap();
    let error = client.checkout_within(Role::Primary, 20).await.unwrap_err();
    assert_eq!(error.code(), Code::PoolTimeout);
    let stats = &pools.stats()[0];
    assert_eq!((stats.waiting, stats.counters.timeouts, stats.counters.waits), (0, 1, 3));
}

#[tokio::test]
async fn a_cancelled_wait_loses_nothing() {
    let server = Server::start().await;
    let pools = pools_of(cluster(&server.id, vec![], limits(1)));
    let client = Arc::new(Client::new(&pools));
    let held = client.checkout().await.unwrap();
    let waiting = tokio::spawn({
        let client = Arc::clone(&client);
        async move { client.checkout().await.map(Checkout::checkin) }
    });
    eventually("it waits", || pools.stats()[0].waiting == 1).await;
    held.checkin();
    waiting.abort();
    let _ = waiting.await;
    eventually("it came back", || pools.stats()[0].busy == 0 && pools.stats()[0].waiting == 0).await;
    assert!(client.checkout().await.is_ok());
}

#[tokio::test]
async fn a_dropped_checkout_makes_room() {
    let server = Server::start().await;
    let pools = pools_of(cluster(&server.id, vec![], limits(1)));
    let client = Client::new(&pools);
    client.checkout().await.unwrap().discard();
    let held = client.checkout().await.unwrap();
    let (waited, ()) = tokio::join!(client.checkout(), async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        drop(held);
    });
    waited.unwrap();
    assert_eq!(server.connected.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn opening_is_bounded() {
    let server = Server::start().await;
    server.is_slow.store(true, Ordering::SeqCst);
    let pools = pools_of(cluster(&server.id, vec![], limits(10)));
    let client = Arc::new(Client::new(&pools));
    let tasks: Vec<_> = (0..5)
        .map(|_| {
            let client = Arc::clone(&client);
            tokio::spawn(async move { client.checkout().await })
        })
        .collect();
    eventually("three wait", || pools.stats()[0].waiting == 3).await;
    assert_eq!(pools.stats()[0].opening, 2);
    server.is_slow.store(false, Ordering::SeqCst);
    let mut held = Vec::new();
    for task in tasks {
        held.push(task.await.unwrap().unwrap());
    }
    assert_eq!(pools.stats()[0].busy, 5);
}

#[tokio::test]
async fn a_class_makes_room_for_another() {
    let server = Server::start().await;
    let pools = pools_of(cluster(&server.id, vec![], limits(2)));
    let client = Client::new(&pools);
    let both = (client.checkout().await.unwrap(), client.checkout().await.unwrap());
    both.0.checkin();
    both.1.checkin();
    let classic = Client { class: class().without(Capabilities::DEPRECATE_EOF), ..Client::new(&pools) };
    let lent = classic.checkout().await.unwrap();
    assert!(!lent.capabilities().contains(Capabilities::DEPRECATE_EOF));
    let stats = &pools.stats()[0];
    assert_eq!((stats.idle, stats.busy, stats.counters.evicted), (1, 1, 1));
    // A waiter of one class, a returned connection of the other.
    let other = client.checkout().await.unwrap();
    let (waited, ()) = tokio::join!(client.checkout(), async {
        eventually("it waits", || pools.stats()[0].waiting == 1).await;
        lent.checkin();
    });
    assert!(waited.unwrap().capabilities().contains(Capabilities::DEPRECATE_EOF));
    other.checkin();
}

#[tokio::test]
async fn a_dead_idle_connection_is_replaced() {
    let server = Server::start().await;
    let pools = pools_of(cluster(&server.id, vec![], limits(5)));
    let client = Client::new(&pools);
    let mut lent = client.checkout().await.unwrap();
    let id = lent.thread_id();
    server.hangs_up.store(true, Ordering::SeqCst);
    lent.queue_command(&[14]);
    lent.framed.flush().await.unwrap();
    lent.checkin();
    eventually("the server hung up", || server.open.load(Ordering::SeqCst) == 0).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    server.hangs_up.store(false, Ordering::SeqCst);
    let lent = client.checkout().await.unwrap();
    assert_ne!(lent.thread_id(), id);
    assert_eq!(pools.stats()[0].counters.stale, 1);
}

#[tokio::test]
async fn failing_servers_are_left_alone() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let nobody = ServerId { host: "127.0.0.1".into(), port };
    let pools = pools_of(cluster(&nobody, vec![nobody.clone()], limits(5)));
    let client = Client::new(&pools);
    let error = client.checkout().await.unwrap_err();
    assert_eq!(error.code(), Code::ShardUnreachable);
    let again = client.checkout().await.unwrap_err();
    assert!(matches!(&again, CheckoutError::Unreachable { failure, .. } if failure.is_remembered), "{again}");
    assert!(again.to_string().contains("c1") && again.to_string().contains(&port.to_string()), "{again}");
    assert_eq!(pools.stats()[0].counters.open_errors, 1);
    assert!(pools.stats()[0].backoff.is_some());
    assert_eq!(pools.stats()[0].breaker, BreakerState::LeftAlone);
    assert_eq!((pools.stats()[0].counters.trips, pools.stats()[0].counters.refused_at_once), (1, 1));
    assert_eq!(pools.stats()[1].breaker, BreakerState::Working, "a server of its own, though the same");
    assert_eq!(client.checkout_within(Role::Replica, 500).await.unwrap_err().code(), Code::ShardUnreachable);
    assert_eq!(client.checkout_within(Role::Replica, 500).await.unwrap_err().code(), Code::NoReplica);
}

#[tokio::test]
async fn who_waits_is_served_when_the_server_is_back() {
    let server = Server::start().await;
    let pools = pools_of(cluster(&server.id, vec![], limits(3)));
    let client = Arc::new(Client::new(&pools));
    let _held = client.checkout().await.unwrap();
    server.is_down.store(true, Ordering::SeqCst);
    assert_eq!(client.checkout().await.unwrap_err().code(), Code::ShardUnreachable);
    // One is busy, so there is something to wait for; but nobody gives it back.
    let waiting = tokio::spawn({
        let client = Arc::clone(&client);
        async move { client.checkout().await.map(drop) }
    });
    eventually("it waits", || pools.stats()[0].waiting == 1).await;
    server.is_down.store(false, Ordering::SeqCst);
    waiting.await.unwrap().unwrap();
    assert_eq!(server.connected.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn wrong_passwords_are_login_errors() {
    let server = Server::start().await;
    let mut wrong = cluster(&server.id, vec![], limits(5));
    wrong.login.password = Secret::new("wrong");
    let error = Client::new(&pools_of(wrong)).checkout().await.unwrap_err();
    assert!(matches!(error, CheckoutError::Login { errno: 1045, .. }), "{error}");
}

#[tokio::test]
async fn replicas_share_the_load_and_stand_in() {
    let (primary, one, two) = (Server::start().await, Server::start().await, Server::start().await);
    let replicas = vec![one.id.clone(), two.id.clone()];
    let pools = pools_of(cluster(&primary.id, replicas, limits(20)));
    let client = Client::new(&pools);
    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(client.checkout_within(Role::Replica, 2000).await.unwrap());
    }
    let on_one = held.iter().filter(|lent| *lent.server() == one.id).count();
    assert!((4..=6).contains(&on_one), "{on_one} of 10");
    assert_eq!(primary.connected.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn reconfiguring_keeps_what_did_not_change() {
    let server = Server::start().await;
    let pools = pools_of(cluster(&server.id, vec![], limits(5)));
    let client = Client::new(&pools);
    client.checkout().await.unwrap().checkin();
    let with = |limits| BTreeMap::from([(name(), cluster(&server.id, vec![], limits))]);
    pools.reconfigure_clusters(&with(limits(5)), CONNECT).unwrap();
    assert_eq!(pools.stats()[0].idle, 1, "the same cluster keeps its pool");
    let held = client.checkout().await.unwrap();
    pools.reconfigure_clusters(&with(limits(7)), CONNECT).unwrap();
    assert_eq!((pools.stats()[0].idle, pools.stats()[0].max_connections), (0, 7));
    held.checkin();
    eventually("the old pool's connection is closed", || server.open.load(Ordering::SeqCst) == 0).await;
    pools.reconfigure_clusters(&BTreeMap::new(), CONNECT).unwrap();
    assert!(matches!(client.checkout().await, Err(CheckoutError::UnknownCluster { .. })));
}

#[tokio::test]
async fn kill_goes_by_another_connection() {
    let server = Server::start().await;
    let pools = pools_of(cluster(&server.id, vec![], limits(1)));
    let client = Client::new(&pools);
    let lent = client.checkout().await.unwrap();
    let killer = lent.killer();
    killer.kill_query().await.unwrap();
    killer.kill_connection().await.unwrap();
    let id = lent.thread_id();
    assert_eq!(server.commands(), [format!("\u{3}KILL QUERY {id}"), format!("\u{3}KILL {id}")]);
    assert_eq!(server.connected.load(Ordering::SeqCst), 2);
    assert_eq!(pools.stats()[0].counters.kills, 2);
}

#[tokio::test]
async fn a_barred_server_is_cut_off_and_lent_again_when_lifted() {
    let server = Server::start().await;
    let pools = pools_of(cluster(&server.id, vec![], limits(2)));
    let client = Client::new(&pools);
    client.checkout().await.unwrap().checkin();
    let mut lent = client.checkout().await.unwrap();
    let other = client.checkout().await.unwrap();
    let waits = tokio::spawn({
        let pools = Arc::clone(&pools);
        async move { Client::new(&pools).checkout().await.map(|_| ()) }
    });
    eventually("somebody waits", || pools.stats()[0].waiting == 1).await;
    pools.bar(&name(), &server.id);
    // Who waits is told, who reads is cut off, nobody is lent one.
    assert!(matches!(waits.await.unwrap(), Err(CheckoutError::Unreachable { .. })));
    assert!(lent.framed.fill().await.is_err(), "the connection is cut");
    eventually("both are closed", || server.open.load(Ordering::SeqCst) == 0).await;
    assert!(matches!(client.checkout().await, Err(CheckoutError::Unreachable { .. })));
    other.checkin();
    assert_eq!(pools.stats()[0].idle, 0);
    // A reload does not undo it.
    let changed = BTreeMap::from([(name(), cluster(&server.id, vec![], limits(3)))]);
    pools.reconfigure_clusters(&changed, CONNECT).unwrap();
    assert!(matches!(client.checkout().await, Err(CheckoutError::Unreachable { .. })));
    pools.lift(&name(), &server.id);
    let held = client.checkout().await.unwrap();
    // What was lent at one time is cut later; what is lent by other pools is not.
    let then = pools.lent(&name(), &server.id);
    let again = BTreeMap::from([(name(), cluster(&server.id, vec![], limits(4)))]);
    pools.reconfigure_clusters(&again, CONNECT).unwrap();
    let new = client.checkout().await.unwrap();
    then.cut();
    eventually("one is left", || server.open.load(Ordering::SeqCst) == 1).await;
    drop(held);
    new.checkin();
    client.checkout().await.unwrap().checkin();
}
