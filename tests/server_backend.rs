//! Connections and pools against real servers: logins, session state, resets, KILL, restarts.

mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead::backend::{
    ApplyError, Behind, Checkout, CheckoutError, OpenError, Pools, Prepared, PreparedKey, SessionSettings,
    SettingChange, TextHash, Wanted, stable_literal,
};
use bulkhead::config::{self, ClusterTls, Login, PermitSettings, PoolLimits, TlsMode};
use bulkhead::ids::{ClusterName, Role, ServerId, WorkerId};
use bulkhead::protocol::capability::{CLASS_MASK, Capabilities, OFFERED};
use bulkhead::redact::Secret;
use common::servers::{Cluster, Flavour, Role as ServerRole};

const CONNECT: Duration = Duration::from_secs(5);

/// A pool of its own on one server, as one session sees it.
struct Client {
    pools: Arc<Pools>,
    settings: Arc<SessionSettings>,
    class: Capabilities,
}

fn name() -> ClusterName {
    ClusterName::new("c1")
}

fn config_of(cluster: &Cluster, user: &str, password: &str, mode: TlsMode) -> config::Cluster {
    let login = |user: &str, password: &str| Login { user: user.into(), password: Secret::new(password) };
    let server = ServerId { host: "127.0.0.1".into(), port: cluster.primary_port };
    config::Cluster {
        name: name(),
        primary: server,
        replicas: Vec::new(),
        login: login(user, password),
        admin_login: login("bulkhead_admin", &cluster.password),
        tls: ClusterTls { mode, ca: None, certificate: None, key: None },
        pool: PoolLimits {
            max_connections: 3,
            opening_at_once: 2,
            waiters: 10,
            idle: Duration::from_secs(60),
            lifetime: Duration::from_secs(600),
        },
        ladder: config::Rungs::default(),
        permits: PermitSettings::DEFAULT,
        failover: config::Failover::default(),
    }
}

impl Client {
    fn new(cluster: &Cluster) -> Self {
        Self::of(config_of(cluster, "bulkhead_app", &cluster.password, TlsMode::Preferred))
    }

    fn of(config: config::Cluster) -> Self {
        let pools =
            Pools::for_clusters(&BTreeMap::from([(name(), config)]), CONNECT).expect("pools can be made");
        Self { pools, settings: Arc::new(SessionSettings::new(45)), class: OFFERED.masked(CLASS_MASK) }
    }

    async fn checkout(&self) -> Result<Checkout, CheckoutError> {
        let within = Duration::from_secs(10);
        let wanted = Wanted {
            class: self.class,
            settings: &self.settings,
            database: None,
            worker: WorkerId(1),
            within,
        };
        self.pools.checkout(&name(), Role::Primary, &wanted).await
    }

    async fn lend(&self) -> Checkout {
        self.checkout().await.expect("a connection is lent")
    }
}

fn with(changes: &[SettingChange<'_>]) -> Arc<SessionSettings> {
    Arc::new(SessionSettings::new(45).with(changes).expect("the settings can be kept"))
}

fn set<'a>(name: &'a str, literal: &'a str) -> SettingChange<'a> {
    SettingChange::Variable { name, literal }
}

/// One answer: rows of a text result set, or the error.
type Answer = Result<Vec<Vec<Option<String>>>, (u16, String)>;

fn queue(connection: &mut Checkout, sql: &str) {
    let mut payload = vec![3];
    if connection.capabilities().contains(Capabilities::QUERY_ATTRIBUTES) {
        payload.extend_from_slice(&[0, 1]);
    }
    payload.extend_from_slice(sql.as_bytes());
    connection.queue_command(&payload);
}

/// Reads one answer of a connection that has DEPRECATE_EOF; columns and values below 251 bytes.
async fn read_answer(connection: &mut Checkout) -> Answer {
    let framed = &mut connection.framed;
    framed.flush().await.expect("the server reads");
    framed.set_sequence(1);
    let first = framed.read_packet().await.expect("the server answers").to_vec();
    match first[0] {
        0x00 => return Ok(Vec::new()),
        0xff => {
            let errno = u16::from_le_bytes([first[1], first[2]]);
            return Err((errno, String::from_utf8_lossy(&first[9..]).into_owned()));
        }
        _ => {}
    }
    for _ in 0..first[0] {
        framed.read_packet().await.expect("a column");
    }
    let mut rows = Vec::new();
    loop {
        let packet = framed.read_packet().await.expect("a row").to_vec();
        match packet[0] {
            0xfe => return Ok(rows),
            0xff => return Err((u16::from_le_bytes([packet[1], packet[2]]), String::new())),
            _ => {}
        }
        let (mut row, mut rest) = (Vec::new(), packet.as_slice());
        while let Some((length, tail)) = rest.split_first() {
            if *length == 0xfb {
                row.push(None);
                rest = tail;
                continue;
            }
            let (value, tail) = tail.split_at(usize::from(*length));
            row.push(Some(String::from_utf8_lossy(value).into_owned()));
            rest = tail;
        }
        rows.push(row);
    }
}

async fn run(connection: &mut Checkout, sql: &str) -> Answer {
    queue(connection, sql);
    read_answer(connection).await
}

async fn row(connection: &mut Checkout, sql: &str) -> Vec<String> {
    let rows = run(connection, sql).await.expect("the query runs");
    rows[0].iter().map(|value| value.clone().unwrap_or_else(|| "NULL".to_owned())).collect()
}

/// Brings the connection to a state and reads the answers that come ahead.
async fn apply(connection: &mut Checkout, settings: &Arc<SessionSettings>, database: Option<&str>) {
    let database: Option<Arc<str>> = database.map(Into::into);
    let answers =
        connection.apply(settings, database.as_ref(), Behind::Any).await.expect("the state is applied");
    read_ahead(connection, answers).await;
}

/// Reads the answers of commands that were queued together; each has sequence id 1.
async fn read_ahead(connection: &mut Checkout, answers: u32) {
    for _ in 0..answers {
        read_answer(connection).await.expect("the state is accepted");
    }
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mysql_logins() {
    let cluster = Cluster::shared(Flavour::MySql);
    let cipher =
        "SELECT VARIABLE_VALUE FROM performance_schema.session_status WHERE VARIABLE_NAME = 'Ssl_cipher'";
    for mode in [TlsMode::Preferred, TlsMode::Required, TlsMode::Disabled] {
        // The server forgets who logged in: the first login is a full one, by TLS or RSA.
        cluster.sql("FLUSH PRIVILEGES");
        let client = Client::of(config_of(cluster, "bulkhead_app", &cluster.password, mode));
        let (mut full, mut fast) = (client.lend().await, client.lend().await);
        for connection in [&mut full, &mut fast] {
            let is_tls = !row(connection, cipher).await[0].is_empty();
            assert_eq!(is_tls, mode != TlsMode::Disabled, "{mode:?}");
        }
        let attribute = "SELECT ATTR_VALUE FROM performance_schema.session_account_connect_attrs \
             WHERE PROCESSLIST_ID = CONNECTION_ID() AND ATTR_NAME = '_client_name'";
        assert_eq!(row(&mut full, attribute).await, ["bulkhead"]);
        assert_eq!(row(&mut full, "SELECT CONNECTION_ID()").await, [full.thread_id().to_string()]);
    }
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mysql_certificates_are_verified() {
    let cluster = Cluster::shared(Flavour::MySql);
    let folder = cluster.sql("SELECT @@datadir");
    let ca = PathBuf::from(folder.trim()).join("ca.pem");
    let with_mode = |mode, ca: Option<PathBuf>| {
        let mut config = config_of(cluster, "bulkhead_app", &cluster.password, mode);
        config.tls.ca = ca;
        config
    };
    let mut connection = Client::of(with_mode(TlsMode::VerifyCa, Some(ca.clone()))).lend().await;
    assert_eq!(row(&mut connection, "SELECT 1").await, ["1"]);
    // The certificate that mysqld makes for itself names no host.
    let error =
        Client::of(with_mode(TlsMode::VerifyIdentity, Some(ca))).checkout().await.expect_err("refused");
    let CheckoutError::Unreachable { failure, .. } = &error else { panic!("{error}") };
    assert!(matches!(*failure.cause, OpenError::Tls(_)), "{error}");
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn wrong_passwords_and_empty_ones() {
    let cluster = Cluster::shared(Flavour::MySql);
    cluster.sql(
        "CREATE USER backend_empty IDENTIFIED BY ''; CREATE USER backend_long IDENTIFIED BY \
        'a password of more than sixty-four bytes, which takes more than one block of the digest'",
    );
    for mode in [TlsMode::Required, TlsMode::Disabled] {
        let wrong = Client::of(config_of(cluster, "bulkhead_app", "wrong", mode));
        let error = wrong.checkout().await.expect_err("refused");
        assert!(matches!(error, CheckoutError::Login { errno: 1045, .. }), "{error}");
        assert!(!error.to_string().contains("wrong"), "{error}");
        let unknown = Client::of(config_of(cluster, "backend_nobody", "x", mode));
        // MySQL makes some plugin up for users that do not exist, perhaps one that is not spoken here.
        let refused = unknown.checkout().await.expect_err("refused");
        assert!(matches!(refused, CheckoutError::Login { .. } | CheckoutError::Protocol { .. }), "{refused}");
        Client::of(config_of(cluster, "backend_empty", "", mode)).lend().await;
        let long = "a password of more than sixty-four bytes, which takes more than one block of the digest";
        Client::of(config_of(cluster, "backend_long", long, mode)).lend().await;
    }
    cluster.sql("DROP USER backend_empty, backend_long");
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mariadb_logins() {
    let cluster = Cluster::shared(Flavour::MariaDb);
    let mut connection = Client::new(cluster).lend().await;
    assert_eq!(connection.server_version().flavour, bulkhead::protocol::handshake::Flavour::MariaDb);
    assert_eq!(connection.server_version().number.0, 10);
    assert!(!connection.capabilities().contains(Capabilities::QUERY_ATTRIBUTES));
    assert_eq!(row(&mut connection, "SELECT 1").await, ["1"]);
    let required = config_of(cluster, "bulkhead_app", &cluster.password, TlsMode::Required);
    let error = Client::of(required).checkout().await.expect_err("this server has no TLS");
    let CheckoutError::Unreachable { failure, .. } = &error else { panic!("{error}") };
    assert!(matches!(*failure.cause, OpenError::TlsNotOffered), "{error}");
    let wrong = Client::of(config_of(cluster, "bulkhead_app", "wrong", TlsMode::Preferred));
    assert!(matches!(wrong.checkout().await, Err(CheckoutError::Login { errno: 1045, .. })));
}

async fn settings_are_applied(flavour: Flavour) {
    let cluster = Cluster::shared(flavour);
    let client = Client::new(cluster);
    let mut connection = client.lend().await;
    let ask = "SELECT @@character_set_client, @@character_set_results, @@character_set_connection, \
         @@collation_connection, @@sql_mode, @@lock_wait_timeout, @Who";
    let login = row(&mut connection, ask).await;
    assert_eq!(login[..4], ["utf8mb4", "utf8mb4", "utf8mb4", "utf8mb4_general_ci"]);
    let odd = stable_literal("it's \\ \"é\" 漢");
    let changed = with(&[
        SettingChange::Names { charset: "latin1", collation: Some("latin1_bin") },
        set("sql_mode", "'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'"),
        set("lock_wait_timeout", "7"),
        SettingChange::UserVariable { name: "who", literal: &odd },
    ]);
    let expected = ["latin1", "latin1", "latin1", "latin1_bin", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES", "7"];
    // Twice: the second time the server's consent is known and the SET goes ahead.
    for _ in 0..2 {
        apply(&mut connection, &changed, None).await;
        assert_eq!(row(&mut connection, ask).await[..6], expected);
        assert_eq!(
            row(&mut connection, "SELECT HEX(CONVERT(@who USING utf8mb4))").await,
            ["69742773205C2022C3A92220E6BCA2"]
        );
        apply(&mut connection, &client.settings, None).await;
        assert_eq!(row(&mut connection, ask).await, login);
    }
    let refused = with(&[set("sql_mode", "'NO_SUCH_MODE'")]);
    let error = connection.apply(&refused, None, Behind::Any).await.expect_err("refused");
    assert!(matches!(error, ApplyError::Refused(refusal) if refusal.errno == 1231));
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mysql_settings_are_applied() {
    settings_are_applied(Flavour::MySql).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mariadb_settings_are_applied() {
    settings_are_applied(Flavour::MariaDb).await;
}

async fn dirty_connections_are_reset(flavour: Flavour) {
    let cluster = Cluster::shared(flavour);
    cluster.sql("CREATE DATABASE backend_reset");
    let client = Client::new(cluster);
    let mut connection = client.lend().await;
    let id = connection.thread_id();
    apply(&mut connection, &client.settings, Some("backend_reset")).await;
    for sql in [
        "CREATE TEMPORARY TABLE left_over (id INT)",
        "SET @left = 1, lock_wait_timeout = 3",
        "DO GET_LOCK('backend_reset', 0)",
        "START TRANSACTION",
    ] {
        run(&mut connection, sql).await.expect("runs");
    }
    connection.mark_dirty();
    connection.checkin();
    let deadline = Instant::now() + Duration::from_secs(10);
    while client.pools.stats()[0].counters.resets == 0 {
        assert!(Instant::now() < deadline, "never reset");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut connection = client.lend().await;
    assert_eq!(connection.thread_id(), id, "the same one is lent again");
    apply(&mut connection, &client.settings, None).await;
    let left = "SELECT @left, IS_FREE_LOCK('backend_reset'), DATABASE(), @@lock_wait_timeout <> 3, \
         @@character_set_client, @@collation_connection";
    let expected = ["NULL", "1", "backend_reset", "1", "utf8mb4", "utf8mb4_general_ci"];
    assert_eq!(row(&mut connection, left).await, expected);
    let gone = run(&mut connection, "SELECT * FROM left_over").await.expect_err("the table is gone");
    assert_eq!(gone.0, 1146);
    cluster.sql("DROP DATABASE backend_reset");
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mysql_dirty_connections_are_reset() {
    dirty_connections_are_reset(Flavour::MySql).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mariadb_dirty_connections_are_reset() {
    dirty_connections_are_reset(Flavour::MariaDb).await;
}

/// A statement queued behind a change to a database that is gone must not reach the database before.
async fn a_lost_database_reaches_no_other(flavour: Flavour) {
    let cluster = Cluster::shared(flavour);
    cluster.sql("CREATE DATABASE backend_one; CREATE TABLE backend_one.t (id INT)");
    let client = Client::new(cluster);
    let mut connection = client.lend().await;
    apply(&mut connection, &client.settings, Some("backend_one")).await;
    let answers =
        connection.apply(&client.settings, Some(&"backend_gone".into()), Behind::Any).await.expect("queued");
    assert_eq!(answers, 2);
    queue(&mut connection, "INSERT INTO t VALUES (1)");
    read_answer(&mut connection).await.expect("the harmless database is there");
    let (errno, _) = read_answer(&mut connection).await.expect_err("there is no such database");
    assert!([1049, 1044].contains(&errno), "{errno}");
    read_answer(&mut connection).await.expect_err("the statement finds no table");
    connection.discard();
    assert_eq!(cluster.sql("SELECT COUNT(*) FROM backend_one.t").trim(), "0");
    cluster.sql("DROP DATABASE backend_one");
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mysql_lost_database_reaches_no_other() {
    a_lost_database_reaches_no_other(Flavour::MySql).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mariadb_lost_database_reaches_no_other() {
    a_lost_database_reaches_no_other(Flavour::MariaDb).await;
}

async fn kill_stops_a_statement(flavour: Flavour) {
    let client = Client::new(Cluster::shared(flavour));
    let mut connection = client.lend().await;
    let killer = connection.killer();
    queue(&mut connection, "SELECT SLEEP(30)");
    connection.framed.flush().await.expect("sent");
    let answer = {
        let mut reading = std::pin::pin!(read_answer(&mut connection));
        // Until the statement runs, a KILL finds nothing to stop.
        loop {
            tokio::select! {
                answer = &mut reading => break answer,
                () = tokio::time::sleep(Duration::from_millis(50)) => {
                    killer.kill_query().await.expect("the KILL arrives");
                }
            }
        }
    };
    // MySQL's SLEEP says 1 when it is interrupted, MariaDB's fails.
    assert!(
        matches!(&answer, Ok(rows) if rows[0][0].as_deref() == Some("1")) || answer.is_err(),
        "{answer:?}"
    );
    connection.killer().kill_connection().await.expect("the KILL arrives");
    connection.killer().kill_connection().await.expect("one that is gone is no error");
    assert!(client.pools.stats()[0].counters.kills >= 3);
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mysql_kill_stops_a_statement() {
    kill_stops_a_statement(Flavour::MySql).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mariadb_kill_stops_a_statement() {
    kill_stops_a_statement(Flavour::MariaDb).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn prepared_statements_are_closed_on_the_server() {
    let client = Client::new(Cluster::shared(Flavour::MySql));
    let mut connection = client.lend().await;
    for number in 0..200u32 {
        let text = format!("SELECT {number}");
        let mut payload = vec![0x16];
        payload.extend_from_slice(text.as_bytes());
        connection.queue_command(&payload);
        connection.framed.flush().await.expect("sent");
        let framed = &mut connection.framed;
        framed.set_sequence(1);
        let answer = framed.read_packet().await.expect("prepared").to_vec();
        let id = u32::from_le_bytes([answer[1], answer[2], answer[3], answer[4]]);
        framed.read_packet().await.expect("its column");
        let key = PreparedKey::new(TextHash::of(text.as_bytes()), None, &client.settings);
        connection.remember_prepared(key, Prepared { id, params: 0, columns: 1 });
        assert_eq!(connection.prepared(key).map(|known| known.id), Some(id));
    }
    assert_eq!(connection.prepared_count(), 128);
    let open = "SELECT COUNT(*) FROM performance_schema.prepared_statements_instances i \
         JOIN performance_schema.threads t ON t.THREAD_ID = i.OWNER_THREAD_ID \
         WHERE t.PROCESSLIST_ID = CONNECTION_ID()";
    let counted = run(&mut connection, open).await;
    // The application's account may not be allowed to look; then the bound above is what is known.
    if let Ok(rows) = counted {
        assert_eq!(rows[0][0].as_deref(), Some("128"));
    }
}

/// Lets the runtime hear of what happened while the test's thread waited for another process.
async fn let_events_in() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_restart_is_survived() {
    let cluster = Cluster::start("restart", Flavour::MariaDb);
    let client = Client::new(&cluster);
    let lent = (client.lend().await, client.lend().await);
    lent.0.checkin();
    lent.1.checkin();
    cluster.stop(ServerRole::Primary);
    let_events_in().await;
    let error = client.checkout().await.expect_err("the server is down");
    assert!(matches!(&error, CheckoutError::Unreachable { .. }), "{error}");
    let stats = client.pools.stats();
    assert_eq!((stats[0].idle, stats[0].counters.stale), (0, 2), "dead connections were found, not lent");
    cluster.start_again();
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut connection = loop {
        match client.checkout().await {
            Ok(connection) => break connection,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(row(&mut connection, "SELECT 1").await, ["1"]);
    assert!(client.pools.stats()[0].backoff.is_none());
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_crash_is_survived() {
    let cluster = Cluster::start("crash", Flavour::MySql);
    let client = Client::new(&cluster);
    client.lend().await.checkin();
    cluster.kill(ServerRole::Primary);
    cluster.start_again();
    let_events_in().await;
    // The idle connection is dead; nobody notices.
    let mut connection = client.lend().await;
    assert_eq!(row(&mut connection, "SELECT 1").await, ["1"]);
    // By whoever came first: the lender, or the pool's housekeeping.
    let counters = &client.pools.stats()[0].counters;
    assert_eq!((counters.opened, counters.closed), (2, 1));
}
