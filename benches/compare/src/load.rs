//! Load of our own: many clients, each sending its next statement when the last is answered.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::client::{Answer, Client, Login};
use crate::histogram::Histogram;
use crate::random::Random;

/// Logins at once: a listener's backlog is not what is measured.
const LOGINS_AT_ONCE: usize = 32;
/// Rows of the range.
const RANGE_ROWS: u64 = 100;
/// Rows of `big`.
const BIG_ROWS: u64 = 4;

/// Workspaces that a client goes through: `1`, `1 + step`, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// How many.
    pub count: u64,
    /// From one to the next.
    pub step: u64,
}

impl Spread {
    fn workspace(self, number: u64) -> u64 {
        1 + (number - 1) % self.count * self.step
    }
}

/// What a client does again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// One row by primary key, as text.
    PointText,
    /// One row by primary key, prepared once per connection.
    PointPrepared,
    /// 100 rows by primary key, as text.
    Range,
    /// One row of 1 MiB.
    BigRow,
    /// `USE ws_n` and a statement, n another one each time; the two count as one.
    UseEach(Spread),
    /// `USE ws_n` and a statement, n always the same.
    UseSame(Spread),
    /// A statement with a comment that names the workspace, another one each time.
    CommentEach(Spread),
    /// The same with always the same workspace.
    CommentSame(Spread),
    /// One row by primary key of a workspace's small table, which the client has selected at login.
    Notes,
    /// Connect, one statement, disconnect.
    Churn,
}

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// What.
    pub work: Work,
    /// Rows of each large table.
    pub rows: u64,
    /// Not counted, at the beginning.
    pub warm_up: Duration,
    /// Counted.
    pub window: Duration,
}

/// What was counted in the window.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// Latencies of statements that began and ended in the window.
    pub latencies: Histogram,
    /// Length of the window.
    pub elapsed: Duration,
}

impl Counted {
    /// Statements.
    pub fn statements(&self) -> u64 {
        self.latencies.count()
    }
}

const WARMING: u8 = 0;
const COUNTING: u8 = 1;
const OVER: u8 = 2;

/// One client at work.
struct Worker {
    client: Client,
    login: Login,
    load: Load,
    random: Random,
    prepared: u32,
    /// The workspace of the works that stay in one.
    own_workspace: u64,
}

impl Worker {
    async fn connect(login: Login, load: Load, number: usize) -> io::Result<Self> {
        let mut client = Client::connect(&login).await?;
        let prepared = match load.work {
            Work::PointPrepared => client.prepare("SELECT c FROM sbtest1 WHERE id=?").await?,
            _ => 0,
        };
        let own_workspace = match load.work {
            Work::UseSame(spread) | Work::CommentSame(spread) => spread.workspace(number as u64 * 7 + 1),
            _ => 0,
        };
        Ok(Self { client, login, load, random: Random::new(number), prepared, own_workspace })
    }

    /// One unit of work; fails also if the answer has not the rows that it must have.
    async fn step(&mut self) -> io::Result<()> {
        let (answer, expected) = match self.load.work {
            Work::PointText => {
                let id = self.random.below(self.load.rows) + 1;
                (self.client.query(&format!("SELECT c FROM sbtest1 WHERE id={id}")).await?, 1)
            }
            Work::PointPrepared => {
                let id = self.random.below(self.load.rows) + 1;
                (self.client.execute(self.prepared, id as i64).await?, 1)
            }
            Work::Range => {
                let first = self.random.below(self.load.rows - RANGE_ROWS) + 1;
                let last = first + RANGE_ROWS - 1;
                let sql = format!("SELECT c FROM sbtest1 WHERE id BETWEEN {first} AND {last}");
                (self.client.query(&sql).await?, RANGE_ROWS)
            }
            Work::BigRow => {
                let id = self.random.below(BIG_ROWS) + 1;
                (self.client.query(&format!("SELECT c FROM big WHERE id={id}")).await?, 1)
            }
            Work::UseEach(_)
            | Work::UseSame(_)
            | Work::CommentEach(_)
            | Work::CommentSame(_)
            | Work::Notes => (self.workspace_step().await?, 1),
            Work::Churn => (self.churn().await?, 1),
        };
        if answer.rows == expected {
            return Ok(());
        }
        Err(io::Error::other(format!("{:?}: {} rows, not {expected}", self.load.work, answer.rows)))
    }

    async fn workspace_step(&mut self) -> io::Result<Answer> {
        let id = self.random.below(2) + 1;
        let workspace = match self.load.work {
            Work::UseEach(spread) | Work::CommentEach(spread) => {
                spread.workspace(self.random.below(spread.count) + 1)
            }
            _ => self.own_workspace,
        };
        match self.load.work {
            Work::UseEach(_) | Work::UseSame(_) => {
                self.client.query(&format!("USE ws_{workspace}")).await?;
                self.client.query(&format!("SELECT title FROM notes WHERE id={id}")).await
            }
            Work::CommentEach(_) | Work::CommentSame(_) => {
                let sql = format!("/*workspace_id:{workspace}*/ SELECT title FROM notes WHERE id={id}");
                self.client.query(&sql).await
            }
            _ => self.client.query(&format!("SELECT title FROM notes WHERE id={id}")).await,
        }
    }

    async fn churn(&mut self) -> io::Result<Answer> {
        let id = self.random.below(self.load.rows) + 1;
        let mut client = Client::connect(&self.login).await?;
        let answer = client.query(&format!("SELECT c FROM sbtest1 WHERE id={id}")).await?;
        client.quit().await?;
        Ok(answer)
    }

    async fn work(mut self, phase: Arc<AtomicU8>) -> io::Result<Histogram> {
        let mut latencies = Histogram::default();
        loop {
            let before = phase.load(Ordering::Relaxed);
            if before == OVER {
                return Ok(latencies);
            }
            let start = Instant::now();
            self.step().await?;
            if before == COUNTING && phase.load(Ordering::Relaxed) == COUNTING {
                latencies.record(start.elapsed().as_nanos() as u64);
            }
        }
    }
}

/// Logs in all clients, lets them work, and counts in the window. `mark` is called at both ends of the
/// window, for what is to be measured over it.
///
/// # Errors
/// A client's login or statement failed: a comparison in which one system answers with errors is none.
pub async fn run<M>(
    load: Load,
    logins: &[Login],
    mut mark: impl FnMut() -> io::Result<M>,
) -> io::Result<(Counted, M, M)> {
    let workers = connect_all(logins, |login, number| Worker::connect(login, load, number)).await?;
    let phase = Arc::new(AtomicU8::new(WARMING));
    let mut tasks = JoinSet::new();
    for worker in workers {
        tasks.spawn(worker.work(Arc::clone(&phase)));
    }
    tokio::time::sleep(load.warm_up).await;
    let (first, start) = (mark()?, Instant::now());
    phase.store(COUNTING, Ordering::Relaxed);
    tokio::time::sleep(load.window).await;
    phase.store(OVER, Ordering::Relaxed);
    let (elapsed, last) = (start.elapsed(), mark()?);
    let mut latencies = Histogram::default();
    while let Some(ended) = tasks.join_next().await {
        latencies.merge(&ended.map_err(io::Error::other)??);
    }
    if latencies.count() == 0 {
        return Err(io::Error::other("no statement was answered in the whole window"));
    }
    Ok((Counted { latencies, elapsed }, first, last))
}

/// Opens a connection for each login, a few at a time, in order.
///
/// # Errors
/// The first that fails.
pub async fn connect_all<T, F>(logins: &[Login], open: impl Fn(Login, usize) -> F) -> io::Result<Vec<T>>
where
    F: Future<Output = io::Result<T>> + Send + 'static,
    T: Send + 'static,
{
    let permits = Arc::new(Semaphore::new(LOGINS_AT_ONCE));
    let mut opening = JoinSet::new();
    for (number, login) in logins.iter().enumerate() {
        let permit = Arc::clone(&permits).acquire_owned().await.map_err(io::Error::other)?;
        let open = open(login.clone(), number);
        opening.spawn(async move {
            let opened = open.await;
            drop(permit);
            opened
        });
    }
    let mut all = Vec::with_capacity(logins.len());
    while let Some(opened) = opening.join_next().await {
        all.push(opened.map_err(io::Error::other)??);
    }
    Ok(all)
}
