//! One table, its shadow, and the engine that moves its rows.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use bulkhead::backend::direct::Direct;
use bulkhead::config::Login;
use bulkhead::ids::{ClusterName, MigrationId, ServerId};
use bulkhead::migrations::StatementSettings;
use bulkhead::migrations::changes::{Feeds, Source, Sources};
use bulkhead::migrations::engine::{
    ChunkCost, Endpoint, Engine, EngineError, Known, Pace, Permission, Setup, ShadowRequest, Slice, look,
    make_shadow, open_session, read_plan,
};
use bulkhead::migrations::plan::{CopyPlan, Names};
use bulkhead::protocol::tls::ClientTls;
use bulkhead::redact::Secret;

use crate::common::servers::Cluster;

/// Ends what would not end by itself: a lock that is not had, changes that never come.
pub(crate) const GUARD: Duration = Duration::from_secs(60);

/// Every chunk at once, or so many and then none.
pub(crate) struct Free {
    chunks: AtomicUsize,
    workers: usize,
    slice: Option<Slice>,
}

impl Free {
    /// No bound.
    pub(crate) fn new(workers: usize) -> Arc<Self> {
        Self::of(usize::MAX, workers)
    }

    /// So many chunks, then it is to stop.
    pub(crate) fn of(chunks: usize, workers: usize) -> Arc<Self> {
        Arc::new(Self { chunks: AtomicUsize::new(chunks), workers, slice: None })
    }

    /// As beside clients: one chunk at a time, in short statements.
    pub(crate) fn in_slices() -> Arc<Self> {
        let slice = Slice { time: Duration::from_millis(1), share: 0.5 };
        Arc::new(Self { chunks: AtomicUsize::new(usize::MAX), workers: 1, slice: Some(slice) })
    }
}

impl Pace for Free {
    fn admit(&self) -> Pin<Box<dyn Future<Output = Permission> + Send + '_>> {
        let left = self.chunks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        Box::pin(std::future::ready(if left.is_ok() { Permission::Go } else { Permission::Stop }))
    }

    fn workers(&self) -> usize {
        self.workers
    }

    fn chunk_time(&self) -> Duration {
        Duration::from_millis(800)
    }

    fn slice(&self) -> Option<Slice> {
        self.slice
    }

    fn done(&self, _: ChunkCost) {}
}

/// One chunk at a time, and none until it is let through; counts the rows of those that are done.
pub(crate) struct Held {
    pub(crate) chunks: Semaphore,
    rows: AtomicU64,
}

impl Held {
    /// Lets so many chunks through.
    pub(crate) fn behind(chunks: usize) -> Arc<Self> {
        Arc::new(Self { chunks: Semaphore::new(chunks), rows: AtomicU64::new(0) })
    }

    /// Rows of all chunks so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }
}

impl Pace for Held {
    fn admit(&self) -> Pin<Box<dyn Future<Output = Permission> + Send + '_>> {
        Box::pin(async {
            self.chunks.acquire().await.expect("it is never closed").forget();
            Permission::Go
        })
    }

    fn workers(&self) -> usize {
        1
    }

    fn chunk_time(&self) -> Duration {
        Duration::from_millis(800)
    }

    fn slice(&self) -> Option<Slice> {
        Some(Slice { time: Duration::from_millis(400), share: 1.0 })
    }

    fn done(&self, cost: ChunkCost) {
        self.rows.fetch_add(cost.rows, Ordering::Relaxed);
    }
}

struct Fixed(Source);

impl Sources for Fixed {
    fn source(&self, _: &ClusterName) -> Option<Source> {
        Some(self.0.clone())
    }
}

/// A cluster with its feeds.
pub(crate) struct Mover {
    pub(crate) endpoint: Endpoint,
    pub(crate) feeds: Arc<Feeds>,
}

/// A table that is to be changed.
pub(crate) struct Job<'a> {
    mover: &'a Mover,
    pub(crate) id: MigrationId,
    /// Grows with each engine that takes the job up.
    pub(crate) epoch: u64,
    pub(crate) names: Names,
    text: String,
    /// See [`ShadowRequest::late_indexes_bytes_max`].
    pub(crate) late_bytes: u64,
    known: Known,
}

impl Mover {
    pub(crate) fn new(cluster: &Cluster) -> Self {
        Self::at(cluster, cluster.primary_port)
    }

    /// The same by another port, of a relay.
    pub(crate) fn at(cluster: &Cluster, port: u16) -> Self {
        let server = ServerId { host: "127.0.0.1".into(), port };
        let login = Login { user: "bulkhead_admin".into(), password: Secret::new(&cluster.password) };
        let tls = ClientTls::disabled();
        let source = Source { server: server.clone(), login: login.clone(), tls: tls.clone() };
        let within = Duration::from_secs(60);
        let endpoint = Endpoint { cluster: ClusterName::new("c1"), server, login, tls, within };
        Self { endpoint, feeds: Arc::new(Feeds::new(Arc::new(Fixed(source)))) }
    }

    /// A job on `database.table`; `number` tells jobs of one cluster apart.
    pub(crate) fn job(&self, database: &str, table: &str, text: &str, number: u32) -> Job<'_> {
        let names = Names {
            database: database.into(),
            table: table.into(),
            home: "zz_bulkhead".into(),
            shadow: format!("new_{number}"),
        };
        let id = MigrationId::new(format!("{number:016x}"));
        Job {
            mover: self,
            id,
            epoch: 1,
            names,
            text: text.into(),
            late_bytes: u64::MAX,
            known: Known::default(),
        }
    }
}

impl Job<'_> {
    pub(crate) async fn admin(&self) -> Direct {
        open_session(&self.mover.endpoint).await.expect("the server is there")
    }

    fn request<'r>(&'r self, settings: &'r StatementSettings) -> ShadowRequest<'r> {
        ShadowRequest {
            id: &self.id,
            epoch: self.epoch,
            names: &self.names,
            text: &self.text,
            settings,
            late_indexes_bytes_max: self.late_bytes,
            is_whole: false,
            known: &self.known,
        }
    }

    /// Makes the shadow.
    pub(crate) async fn make(&self) -> Result<CopyPlan, EngineError> {
        let (settings, mut admin) = (StatementSettings::default(), self.admin().await);
        let source = look(&mut admin, &self.names, &self.known).await?;
        make_shadow(&mut admin, &self.request(&settings), &source).await
    }

    /// Makes the shadow and starts the engine.
    pub(crate) async fn start(&self) -> Result<Engine, EngineError> {
        let plan = self.make().await?;
        self.engine(plan, false).await
    }

    /// Goes on from what is recorded.
    pub(crate) async fn resume(&self) -> Result<Engine, EngineError> {
        let (settings, mut admin) = (StatementSettings::default(), self.admin().await);
        let source = look(&mut admin, &self.names, &self.known).await?;
        let plan = read_plan(&mut admin, &self.request(&settings), &source).await?;
        self.engine(plan, true).await
    }

    async fn engine(&self, plan: CopyPlan, resume: bool) -> Result<Engine, EngineError> {
        let setup = Setup {
            id: self.id.clone(),
            epoch: self.epoch,
            endpoint: self.mover.endpoint.clone(),
            plan: Arc::new(plan),
            resume,
            replay_from: None,
        };
        Engine::start(setup, self.mover.feeds.clone()).await
    }

    /// Everything up to the comparison; gives the engine, still applying.
    pub(crate) async fn move_rows(&self) -> Result<Engine, EngineError> {
        self.move_rows_by(&Free::new(3)).await
    }

    /// The same at this pace.
    pub(crate) async fn move_rows_by(&self, pace: &Arc<Free>) -> Result<Engine, EngineError> {
        let mut engine = self.start().await?;
        engine.copy(pace.clone()).await?;
        engine.finish_indexes(pace.clone()).await?;
        let verified = engine.verify(pace.clone(), GUARD).await?;
        assert_eq!((verified.passes, verified.repaired), (1, 0), "nothing had to be repaired");
        Ok(engine)
    }

    /// Runs SQL about the tables; `{source}` and `{target}` stand for their names.
    pub(crate) async fn sql(&self, sql: &str) {
        let sql = sql.replace("{source}", &self.names.source()).replace("{target}", &self.names.target());
        self.admin().await.execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Every row of a table, each value as hexadecimal digits of its text, sorted; independent of how the
    /// engine reads and compares.
    pub(crate) async fn dump(&self, table: &str, columns: &[&str]) -> Vec<String> {
        let list: Vec<String> = columns.iter().map(|column| format!("HEX(CONCAT({column}))")).collect();
        let mut admin = self.admin().await;
        let found = admin.query(format!("SELECT {} FROM {table}", list.join(","))).await.expect("a dump");
        let mut rows: Vec<String> = found
            .iter()
            .map(|row| {
                let values = row.values().map(|value| match value {
                    Some(text) => String::from_utf8_lossy(text).into_owned(),
                    None => "NULL".to_owned(),
                });
                values.collect::<Vec<_>>().join("|")
            })
            .collect();
        rows.sort_unstable();
        rows
    }

    /// Fails unless both tables hold the same values in these columns.
    pub(crate) async fn assert_equal(&self, columns: &[&str]) {
        let source = self.dump(&self.names.source(), columns).await;
        let target = self.dump(&self.names.target(), columns).await;
        if source != target {
            let only = |one: &[String], other: &[String]| {
                one.iter().filter(|row| !other.contains(row)).take(3).cloned().collect::<Vec<_>>()
            };
            panic!(
                "{} rows in the table, {} in the copy; only there: {:?}, only here: {:?}",
                source.len(),
                target.len(),
                only(&source, &target),
                only(&target, &source)
            );
        }
    }
}
