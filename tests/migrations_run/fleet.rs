//! One cluster, one proxy on it, and a store that migrations are written into while the proxy is down.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead::health::{Meters, State};
use bulkhead::ids::{ClusterName, Keyspace, MigrationId, ShardName, UserName};
use bulkhead::migrations::{
    ClusterNews, ClusterSignals, Command, GatedTable, MigrationRequest, Migrations, StatementSettings,
    Surroundings, TableGate,
};
use bulkhead::topology::{
    Change, Directories, EmbeddedStore, Snapshot, SnapshotCell, Store, StoreFuture, Versioned, Write,
};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use tokio::task::JoinSet;

use crate::common::clients::run;
use crate::common::servers::{Bulkhead, Cluster, Flavour, Role, Setup, try_connect};
use crate::relay::Relay;

/// The change that most tests make: a type change, which is always copied.
pub(crate) const WIDEN: &str = "ALTER TABLE t MODIFY n BIGINT NOT NULL";
/// A migration comes to any state within this.
const WITHIN: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(30);

/// A cluster and its proxy.
pub(crate) struct Fleet {
    pub(crate) cluster: Cluster,
    bulkhead: Option<Bulkhead>,
    setup: Option<Setup>,
}

struct Alone;

impl TableGate for Alone {
    fn hold(&self, _: &GatedTable, _: Duration) {}
    fn release(&self, _: &GatedTable) {}
}

impl ClusterSignals for Alone {
    fn news(&self, _: &ClusterName) -> Option<ClusterNews> {
        None
    }
}

/// Says that all is well.
struct Well;

impl ClusterSignals for Well {
    fn news(&self, _: &ClusterName) -> Option<ClusterNews> {
        Some(ClusterNews {
            at: Instant::now(),
            state: State::Healthy,
            is_stalling: false,
            is_lane_open: true,
            is_drained: false,
        })
    }
}

/// A store that says of itself whether another process can have it.
struct Shared {
    store: Arc<dyn Store>,
    is_exclusive: bool,
}

impl Store for Shared {
    fn get<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Option<Versioned>> {
        self.store.get(key)
    }

    fn commit(&self, writes: Vec<Write>) -> StoreFuture<'_, u64> {
        self.store.commit(writes)
    }

    fn list<'a>(&'a self, prefix: &'a str) -> StoreFuture<'a, Vec<(String, Versioned)>> {
        self.store.list(prefix)
    }

    fn watch(&self, prefix: &str) -> tokio::sync::mpsc::Receiver<Change> {
        self.store.watch(prefix)
    }

    fn is_exclusive(&self) -> bool {
        self.is_exclusive
    }
}

impl Fleet {
    /// A cluster with the database `app`; no proxy runs yet.
    pub(crate) async fn start(name: &str, flavour: Flavour) -> Self {
        let cluster = Cluster::start(name, flavour);
        let setup = Self::setup().cluster_as("c1", &cluster);
        Self::prepared(cluster, setup).await
    }

    /// The same, with a replica, and a proxy that watches both.
    pub(crate) async fn start_with_replica(flavour: Flavour) -> Self {
        let cluster = Cluster::start_with_replica("c1", flavour);
        let setup = Self::setup().watched().cluster_as("c1", &cluster);
        Self::prepared(cluster, setup).await
    }

    /// The same, with the relay between the proxy and the server.
    pub(crate) async fn start_behind(name: &str, flavour: Flavour, relay: &Relay) -> Self {
        let mut cluster = Cluster::start(name, flavour);
        let port = cluster.primary_port;
        cluster.primary_port = relay.listen(port).await;
        // The relay reads along.
        let plain = "[clusters.c1.tls]\nmode = \"disabled\"\n";
        let setup = Self::setup().cluster_as("c1", &cluster).config(plain);
        cluster.primary_port = port;
        Self::prepared(cluster, setup).await
    }

    fn setup() -> Setup {
        Setup::default()
            .config("[keyspaces.app]\nshards = { \"-\" = \"c1\" }\n[schema_changes]\nswap_within = \"3s\"\n")
            .vschema("app.toml", "layout = \"unsharded\"\n")
            .env("BULKHEAD_ADMIN_PASSWORD", &format!("app-{}", std::process::id()))
    }

    async fn prepared(cluster: Cluster, setup: Setup) -> Self {
        let mut conn = cluster.connect(Role::Primary, "root").await;
        run(&mut conn, "CREATE DATABASE app").await;
        Self { cluster, bulkhead: None, setup: Some(setup) }
    }

    pub(crate) fn flavour(&self) -> Flavour {
        self.cluster.flavour
    }

    /// Starts the proxy, and has it stop at a point.
    pub(crate) fn launch(&mut self, stop_at: Option<&str>) {
        let point = stop_at.unwrap_or_default();
        match self.setup.take() {
            Some(setup) => self.bulkhead = Some(setup.env("BULKHEAD_STOP_AT", point).start()),
            None => {
                let bulkhead = self.bulkhead.as_mut().expect("it was set up");
                bulkhead.set_env("BULKHEAD_STOP_AT", point);
                // One that is to stop may do so before it accepts connections.
                assert!(bulkhead.try_launch() || stop_at.is_some(), "it starts:\n{}", bulkhead.log());
            }
        }
    }

    /// Ends the proxy as a crash would.
    pub(crate) fn stop(&mut self) {
        self.bulkhead_mut().kill();
    }

    /// Ends the proxy in good order.
    pub(crate) fn stop_in_order(&mut self) {
        let bulkhead = self.bulkhead_mut();
        bulkhead.signal("TERM");
        assert!(bulkhead.wait(Duration::from_secs(20)).is_some(), "it stops:\n{}", bulkhead.log());
        bulkhead.kill();
    }

    fn bulkhead_mut(&mut self) -> &mut Bulkhead {
        if let Some(setup) = self.setup.take() {
            let mut bulkhead = setup.start();
            bulkhead.kill();
            self.bulkhead = Some(bulkhead);
        }
        self.bulkhead.as_mut().expect("it was set up")
    }

    fn bulkhead(&self) -> &Bulkhead {
        self.bulkhead.as_ref().expect("it was launched")
    }

    /// A table of `rows` rows.
    pub(crate) async fn make_table(&self, table: &str, rows: u32) {
        let mut conn = self.root().await;
        run(
            &mut conn,
            &format!(
                "CREATE TABLE app.{table} (id INT AUTO_INCREMENT PRIMARY KEY, n INT NOT NULL, \
                 s VARCHAR(40) NOT NULL, KEY n (n)) ENGINE=InnoDB"
            ),
        )
        .await;
        let mut id = 0;
        while id < rows {
            let end = (id + 1000).min(rows);
            let values: Vec<String> = (id + 1..=end).map(|id| format!("({id}, {id}, 'row {id}')")).collect();
            run(&mut conn, &format!("INSERT INTO app.{table} VALUES {}", values.join(", "))).await;
            id = end;
        }
        run(&mut conn, &format!("ANALYZE TABLE app.{table}")).await;
    }

    /// Writes a migration of `app.TABLE` into the store. The proxy must not run.
    pub(crate) async fn submit(&mut self, table: &str, text: &str, postponed: bool) -> String {
        self.submit_in("app", table, text, postponed).await
    }

    /// The same, of a table in another database.
    pub(crate) async fn submit_in(
        &mut self,
        database: &str,
        table: &str,
        text: &str,
        postponed: bool,
    ) -> String {
        let request =
            MigrationRequest { database: database.to_owned(), ..Self::request(table, text, postponed) };
        self.submit_as(request).await
    }

    /// The same, whatever is asked for.
    pub(crate) async fn submit_as(&mut self, request: MigrationRequest) -> String {
        let service = self.service().await;
        service.submit(request).await.expect("it is taken on").to_string()
    }

    /// Pauses a migration while no proxy runs.
    pub(crate) async fn pause_offline(&mut self, id: &str) {
        self.order_offline(id, Command::Pause).await;
    }

    /// Gives an order while no proxy runs.
    pub(crate) async fn order_offline(&mut self, id: &str, order: Command) {
        let service = self.service().await;
        service.load().await.expect("the store can be read");
        let id = MigrationId::new(id);
        service.command(&id, order, &UserName::new("op")).await.expect("it is told");
    }

    /// Cancels the newest migration while no proxy runs; gives its id.
    pub(crate) async fn cancel_newest_offline(&mut self) -> String {
        let service = self.service().await;
        service.load().await.expect("the store can be read");
        let id = service.rows()[0].id.clone();
        service.command(&id, Command::Cancel, &UserName::new("op")).await.expect("it is cancelled");
        id.to_string()
    }

    /// The service on the proxy's store, carrying nothing out.
    async fn service(&mut self) -> Migrations {
        let path = self.bulkhead_mut().path("bulkhead.redb");
        let config = offline_config(self.bulkhead());
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&path).expect("no proxy has the store"));
        service_on(&config, store, Arc::new(Alone))
    }

    /// Two services on one store, in this process, of which each believes that it carries everything out: the
    /// first one's lease is never over, and the second one takes it a few seconds later.
    pub(crate) async fn two_at_once(&mut self) -> [Migrations; 2] {
        let path = self.bulkhead_mut().path("shared.redb");
        let config = offline_config(self.bulkhead());
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&path).expect("it is a new one"));
        [true, false].map(|is_exclusive| {
            let store = Arc::new(Shared { store: store.clone(), is_exclusive });
            service_on(&config, store, Arc::new(Well))
        })
    }

    /// A migration of `app.TABLE`, as it is asked for.
    pub(crate) fn request(table: &str, text: &str, postponed: bool) -> MigrationRequest {
        MigrationRequest {
            keyspace: Keyspace::new("app"),
            shard: ShardName::new("-"),
            workspace: None,
            cluster: ClusterName::new("c1"),
            database: "app".to_owned(),
            table: table.to_owned(),
            text: text.replace(" t ", &format!(" {table} ")),
            settings: StatementSettings::default(),
            prove: false,
            acknowledged: false,
            postponed,
            is_paced: false,
            user: UserName::new("app"),
        }
    }

    /// Makes the cluster's ledger, as the first migration of all does: one of a table that is not there.
    pub(crate) async fn make_ledger(&mut self, root: &mut Conn) {
        let id = self.submit("not_there", "ALTER TABLE t ADD COLUMN x INT", false).await;
        self.launch(None);
        self.wait_for(&id, "failed").await;
        self.stop();
        let made = "SELECT COUNT(*) FROM zz_bulkhead.migrations";
        let rows: Option<i64> = root.query_first(made).await.expect("the ledger is there");
        assert_eq!(rows, Some(1));
    }

    pub(crate) async fn root(&self) -> Conn {
        self.cluster.connect(Role::Primary, "root").await
    }

    /// A client of the proxy, in the keyspace.
    pub(crate) async fn client(&self) -> Conn {
        self.bulkhead().connect(Some("app")).await
    }

    /// Runs an admin statement.
    pub(crate) async fn admin(&self, statement: &str) -> Vec<Row> {
        let mut admin = self.bulkhead().connect_admin().await;
        admin.query(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// Runs an admin statement that may be refused.
    pub(crate) async fn try_admin(&self, statement: &str) -> Result<Vec<Row>, String> {
        let bulkhead = self.bulkhead();
        let admin = try_connect(bulkhead.admin_port, "app", &bulkhead.password, None).await;
        let mut admin = admin.map_err(|error| error.to_string())?;
        admin.query(statement).await.map_err(|error| error.to_string())
    }

    /// Waits until a migration is in a state, or the process has gone: it may end at any moment.
    pub(crate) async fn wait_for_or_gone(&self, id: &str, wanted: &str) {
        let began = Instant::now();
        while began.elapsed() < WITHIN {
            let Ok(rows) = self.try_admin(&format!("SHOW MIGRATION '{id}'")).await else { return };
            let pairs = rows.into_iter().map(mysql_async::from_row::<(String, String)>);
            if pairs.into_iter().any(|(name, value)| name == "state" && value == wanted) {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The id of the newest migration.
    pub(crate) async fn newest(&self) -> String {
        let rows = self.admin("SHOW MIGRATIONS LIMIT 1").await;
        rows[0].get("id").expect("the column is there")
    }

    /// One line of SHOW MIGRATION; empty when it is not there.
    pub(crate) async fn fact(&self, id: &str, name: &str) -> String {
        let rows = self.admin(&format!("SHOW MIGRATION '{id}'")).await;
        let pairs = rows.into_iter().map(mysql_async::from_row::<(String, String)>);
        pairs.filter(|(known, _)| known == name).map(|(_, value)| value).next().unwrap_or_default()
    }

    /// Everything that is known of a migration, for messages.
    pub(crate) async fn tell(&self, id: &str) -> String {
        let rows = self.admin(&format!("SHOW MIGRATION '{id}'")).await;
        let pairs = rows.into_iter().map(mysql_async::from_row::<(String, String)>);
        pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }

    /// Waits until a migration is in a state, or over; gives the state.
    pub(crate) async fn wait_for(&self, id: &str, wanted: &str) -> String {
        let began = Instant::now();
        loop {
            let state = self.fact(id, "state").await;
            let is_over = matches!(state.as_str(), "done" | "failed" | "cancelled");
            if state == wanted || is_over || began.elapsed() > WITHIN {
                return state;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until a migration tells that it waits for something.
    pub(crate) async fn waits(&self, id: &str) -> bool {
        let began = Instant::now();
        while began.elapsed() < WITHIN {
            let waits = self.fact(id, "waits_for").await;
            if !waits.is_empty() {
                return true;
            }
            if matches!(self.fact(id, "state").await.as_str(), "done" | "failed") {
                return false;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        false
    }

    /// Waits until the process has stopped at its point; says whether it has.
    pub(crate) async fn wait_for_end(&mut self) -> bool {
        let began = Instant::now();
        while began.elapsed() < WITHIN {
            if self.bulkhead_mut().wait(Duration::from_millis(1)).is_some() {
                return true;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        false
    }

    /// Drops a migration's old table and waits until it is gone.
    pub(crate) async fn retire(&self, id: &str) {
        if self.fact(id, "old_table_kept_until").await.is_empty() {
            return;
        }
        // A process that was told to before it ended may have left it to the one that runs now.
        if let Err(why) = self.try_admin(&format!("RETIRE MIGRATION '{id}'")).await {
            assert!(why.contains("has no old table any more"), "{why}");
        }
        let began = Instant::now();
        while !self.fact(id, "old_table_kept_until").await.is_empty() && began.elapsed() < WITHIN {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Tables of migrations on the cluster, in order.
    pub(crate) async fn artifacts(&self) -> Vec<String> {
        let mut conn = self.root().await;
        let tables: Vec<String> = conn
            .query(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'zz_bulkhead' AND \
                 (table_name LIKE 'new\\_%' OR table_name LIKE 'old\\_%') ORDER BY table_name",
            )
            .await
            .expect("it works");
        tables
    }

    /// The same, once what ended has been cleared away.
    pub(crate) async fn artifacts_when_quiet(&self) -> Vec<String> {
        let began = Instant::now();
        loop {
            let found = self.artifacts().await;
            if found.is_empty() || began.elapsed() > WITHIN {
                return found;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// A sum over all rows of `app.TABLE`.
    pub(crate) async fn sum(&self, table: &str) -> u64 {
        self.sum_of(&format!("SELECT id, n, s FROM app.{table} ORDER BY id")).await
    }

    /// A sum over the rows of a query: two numbers and a text.
    pub(crate) async fn sum_of(&self, sql: &str) -> u64 {
        let mut conn = self.root().await;
        let rows: Vec<(i64, i64, String)> = conn.query(sql).await.expect("it works");
        checksum(&rows)
    }

    /// Type of a column of `app.TABLE`.
    pub(crate) async fn type_of(&self, table: &str, column: &str) -> String {
        let mut conn = self.root().await;
        let sql = format!(
            "SELECT data_type FROM information_schema.columns WHERE table_schema = 'app' AND table_name = \
             '{table}' AND column_name = '{column}'"
        );
        conn.query_first(sql).await.expect("it works").expect("the column is there")
    }

    /// Sessions that read a migration's shadow table in transactions, one behind the other.
    pub(crate) async fn read_shadow(&self, id: &str, sessions: usize) -> Readers {
        let mut readers = JoinSet::new();
        for _ in 0..sessions {
            let mut conn = self.root().await;
            let sql =
                format!("SELECT COUNT(*), SLEEP(0.2) FROM (SELECT 1 FROM zz_bulkhead.new_{id} LIMIT 1) x");
            readers.spawn(async move {
                // The shadow is gone once the tables are exchanged.
                while conn.query_drop(&sql).await.is_ok() {}
            });
        }
        Readers(readers)
    }

    /// Runs another command of the program.
    pub(crate) fn command(&self, arguments: &[&str]) -> (bool, String) {
        let user = ["--user", "app"];
        self.bulkhead().command(&[arguments, &user].concat())
    }

    /// The text of `/metrics`.
    pub(crate) async fn metrics(&self) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream =
            tokio::net::TcpStream::connect(("127.0.0.1", self.bulkhead().http_port)).await.expect("listens");
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.expect("is sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("is answered");
        text
    }
}

fn service_on(
    config: &std::path::Path,
    store: Arc<dyn Store>,
    signals: Arc<dyn ClusterSignals>,
) -> Migrations {
    let loaded = bulkhead::vschema::load(config).expect("it is sound");
    let snapshot = Snapshot::build(loaded.config, loaded.vschema, Directories::default());
    Migrations::new(Surroundings {
        snapshots: Arc::new(SnapshotCell::new(snapshot.expect("it fits"))),
        store,
        gate: Arc::new(Alone),
        signals,
        meters: Arc::new(Meters::new(Instant::now())),
    })
}

/// Sessions that read.
pub(crate) struct Readers(JoinSet<()>);

impl Readers {
    pub(crate) fn abort_all(mut self) {
        self.0.abort_all();
    }
}

/// One number for rows.
pub(crate) fn checksum(rows: &[(i64, i64, String)]) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    rows.hash(&mut hasher);
    hasher.finish()
}

/// Passwords of the config come from the proxy's environment, which this process does not have: a copy of the
/// file has them in its text.
fn offline_config(bulkhead: &Bulkhead) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let mut text = std::fs::read_to_string(bulkhead.path("bulkhead.toml")).expect("it can be read");
    for (name, value) in bulkhead.environment() {
        text = text.replace(&format!("password_env = \"{name}\""), &format!("password = \"{value}\""));
    }
    let path = bulkhead.path("offline.toml");
    std::fs::write(&path, text).expect("it can be written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
    path
}
