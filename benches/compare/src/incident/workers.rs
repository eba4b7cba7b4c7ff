//! The application: clients that read, write and run transactions in the workspaces of one cluster each, and
//! keep a ledger of what they were told.
//!
//! A client has one connection, thinks for a while between two operations, and waits ten seconds at most for
//! an answer; then it gives the connection up, as applications do. It does nothing twice: what failed is
//! noted, and the next operation is another one.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::ledger::{Entry, Kind, Told};
use super::series::{Note, Series};
use crate::client::{Client, Login, ServerError};
use crate::random::Random;

/// How long a client waits for an answer.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long it waits for a login.
const LOGIN_WAIT_MAX: Duration = Duration::from_secs(5);
/// Operations in one workspace before the next.
const OPERATIONS_PER_WORKSPACE: u64 = 5;
/// Rows of each workspace that are there from the start, to be read.
pub const ROWS: u64 = 20;
/// Counters of each workspace.
pub const SLOTS: u8 = 8;
/// Of a hundred operations: single inserts, single updates, transactions; the rest are reads.
const INSERTS: u64 = 15;
const UPDATES: u64 = 10;
const TRANSACTIONS: u64 = 15;

/// Bulkhead's own codes that promise nothing about whether the statement was done.
const UNKNOWN_CODES: [&str; 4] = ["E4002", "E4004", "E4006", "E9001"];
/// MySQL's numbers that promise nothing behind a COMMIT: interrupted, timed out, internal.
const UNKNOWN_NUMBERS: [u16; 4] = [1105, 1180, 1317, 3024];

/// What an error answer to a write says about it.
pub fn told_by(error: &ServerError, is_commit: bool) -> Told {
    let is_unsure = match code_of(&error.text) {
        Some(code) => UNKNOWN_CODES.contains(&code),
        None => is_commit && UNKNOWN_NUMBERS.contains(&error.number),
    };
    if is_unsure { Told::Unknown } else { Told::Refused }
}

/// Bulkhead's code in an error's words: `E4002` of `bulkhead E4002 shard_connection_lost: …`.
fn code_of(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("bulkhead E")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let start = text.len() - rest.len() - 1;
    (digits == 4).then(|| &text[start..start + 5])
}

/// Bulkhead's own codes by which it keeps statements off a sick cluster: draining, drained, held too long,
/// transaction cut; queue full, waited too long, limited.
const SHED_CODES: [&str; 7] = ["E4007", "E4008", "E4009", "E4011", "E5008", "E5009", "E5010"];

/// An error of Bulkhead's own that says that it keeps statements off a sick cluster.
pub fn is_shed(error: &ServerError) -> bool {
    code_of(&error.text).is_some_and(|code| SHED_CODES.contains(&code))
}

/// What all clients share.
#[derive(Debug)]
pub struct Crowd {
    /// When the load began.
    pub began: Instant,
    /// The same by the clock on the wall, for what others note.
    pub began_at: SystemTime,
    /// By cluster.
    pub series: Vec<Mutex<Series>>,
    /// Turned when the load is over.
    over: watch::Sender<bool>,
}

impl Crowd {
    /// For these clusters, beginning now.
    pub fn new(clusters: &[String]) -> Arc<Self> {
        Self::with(clusters.iter().map(|cluster| Series::new(cluster)))
    }

    /// The same, each write kept by itself.
    pub fn of_writes(clusters: &[String]) -> Arc<Self> {
        Self::with(clusters.iter().map(|cluster| Series::of_writes(cluster)))
    }

    fn with(series: impl Iterator<Item = Series>) -> Arc<Self> {
        let series = series.map(Mutex::new).collect();
        let (began, began_at) = (Instant::now(), SystemTime::now());
        Arc::new(Self { began, began_at, series, over: watch::channel(false).0 })
    }

    /// Seconds since the load began.
    pub fn now_s(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Ends the load: every client finishes what it does.
    pub fn end(&self) {
        self.over.send_replace(true);
    }

    /// Waits for the end of the load.
    pub async fn ended(&self) {
        // The sender lives in self.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    fn note(&self, cluster: usize, what: impl FnOnce(&mut Series)) {
        what(&mut self.series[cluster].lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Who the clients are.
#[derive(Clone, Debug)]
pub struct Application {
    /// Where they log in.
    pub login: Login,
    /// How many.
    pub clients: usize,
    /// The first one's number; two with the same number would write the same.
    pub first: usize,
    /// Only this cluster's workspaces; without it they take turns.
    pub only: Option<usize>,
    /// What the names of the workspaces' databases begin with, before `_` and the number.
    pub prefix: &'static str,
    /// Workspaces of all clusters together, `1` up to this.
    pub workspaces: u64,
    /// Clusters; workspace `w` is on number `(w - 1) % clusters`.
    pub clusters: usize,
    /// Mean time between two operations.
    pub think: Duration,
    /// Upper half of each write's number.
    pub run: u32,
}

/// Lets them all work until the crowd's end; gives their ledgers, by cluster.
///
/// # Errors
/// A task broke.
pub async fn work(application: Application, crowd: Arc<Crowd>) -> io::Result<Vec<Vec<Entry>>> {
    let mut tasks = JoinSet::new();
    for number in application.first..application.first + application.clients {
        let worker = Worker::new(&application, Arc::clone(&crowd), number);
        tasks.spawn(worker.work());
    }
    let mut ledgers = vec![Vec::new(); application.clusters];
    while let Some(ended) = tasks.join_next().await {
        let (cluster, entries) = ended.map_err(io::Error::other)?;
        ledgers[cluster].extend(entries);
    }
    Ok(ledgers)
}

/// Why an operation did not end well.
enum Failure {
    /// The server said so.
    Error(ServerError),
    /// No answer.
    Lost,
}

/// One client.
struct Worker {
    crowd: Arc<Crowd>,
    login: Login,
    think: Duration,
    cluster: usize,
    clusters: u64,
    prefix: &'static str,
    /// Workspaces of its cluster.
    workspaces: u64,
    slot: u8,
    client: Option<Client>,
    /// The one the connection is in.
    workspace: u64,
    random: Random,
    operations: u64,
    next_id: u64,
    ledger: Vec<Entry>,
}

impl Worker {
    fn new(application: &Application, crowd: Arc<Crowd>, number: usize) -> Self {
        let clusters = application.clusters as u64;
        let cluster = application.only.unwrap_or(number % application.clusters);
        let first = u64::from(application.run) << 40 | (number as u64 + 1) << 24;
        Self {
            crowd,
            login: application.login.clone(),
            think: application.think,
            cluster,
            clusters,
            prefix: application.prefix,
            workspaces: (application.workspaces - cluster as u64).div_ceil(clusters),
            slot: (number / application.clusters % usize::from(SLOTS)) as u8,
            client: None,
            workspace: 0,
            random: Random::new(number),
            operations: 0,
            next_id: first,
            ledger: Vec::new(),
        }
    }

    async fn work(mut self) -> (usize, Vec<Entry>) {
        let crowd = Arc::clone(&self.crowd);
        loop {
            let pause = self.random.around(self.think);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = crowd.ended() => break,
            }
            if self.is_ready().await {
                self.operate().await;
            }
        }
        (self.cluster, self.ledger)
    }

    fn note(&self, note: Note) {
        let at = self.crowd.now_s();
        self.crowd.note(self.cluster, |series| series.note(at, note));
    }

    /// Connected, and in the workspace whose turn it is.
    async fn is_ready(&mut self) -> bool {
        let wanted = if self.operations % OPERATIONS_PER_WORKSPACE == 0 || self.workspace == 0 {
            self.random.below(self.workspaces) * self.clusters + self.cluster as u64 + 1
        } else {
            self.workspace
        };
        self.operations += 1;
        if self.client.is_none() {
            let login = Login { database: format!("{}_{wanted}", self.prefix), ..self.login.clone() };
            match tokio::time::timeout(LOGIN_WAIT_MAX, Client::connect(&login)).await {
                Ok(Ok(client)) => self.client = Some(client),
                _ => {
                    self.note(Note::Disconnected);
                    return false;
                }
            }
        } else if wanted != self.workspace {
            if let Err(failure) = self.run(&format!("USE {}_{wanted}", self.prefix), None).await {
                self.note_failure(&failure, false, false);
                self.workspace = 0;
                return false;
            }
        }
        self.workspace = wanted;
        true
    }

    async fn operate(&mut self) {
        match self.random.below(100) {
            dice if dice < INSERTS => self.write(Kind::Insert).await,
            dice if dice < INSERTS + UPDATES => self.write(Kind::Increment).await,
            dice if dice < INSERTS + UPDATES + TRANSACTIONS => self.transact().await,
            dice => self.read(dice).await,
        }
    }

    async fn read(&mut self, dice: u64) {
        let id = self.random.below(ROWS) + 1;
        let sql = match dice % 3 {
            0 => format!("SELECT id, title, state FROM issues WHERE id = {id}"),
            1 => "SELECT id, title FROM issues WHERE state = 'open' ORDER BY id DESC LIMIT 10".to_owned(),
            _ => format!("SELECT id, email, name FROM users WHERE id = {id}"),
        };
        match self.run(&sql, Some(false)).await {
            Ok(()) => self.note(Note::Read),
            Err(failure) => self.note_failure(&failure, false, false),
        }
    }

    async fn write(&mut self, kind: Kind) {
        let id = self.new_id();
        let sql = if kind == Kind::Insert { self.insert_issue(id) } else { self.increment() };
        let outcome = self.run(&sql, Some(true)).await;
        let told = match &outcome {
            Ok(()) => Told::Acknowledged,
            Err(Failure::Error(error)) => told_by(error, false),
            Err(Failure::Lost) => Told::Unknown,
        };
        self.settle(id, kind, told);
        match outcome {
            Ok(()) => self.note(Note::Write),
            Err(failure) => self.note_failure(&failure, true, false),
        }
    }

    /// BEGIN, five statements, COMMIT. What fails before COMMIT was sent is surely not done.
    async fn transact(&mut self) {
        let id = self.new_id();
        let row = self.random.below(ROWS) + 1;
        let (issue, counter) = (self.insert_issue(id), self.increment());
        let comment = format!(
            "INSERT INTO comments (ledger_id, issue_id, body) VALUES ({id}, {row}, 'written by a client')"
        );
        let steps = [
            ("BEGIN".to_owned(), None),
            (format!("SELECT id, name FROM users WHERE id = {row}"), Some(false)),
            (issue, Some(true)),
            (comment, Some(true)),
            (counter, Some(true)),
            (format!("SELECT title FROM issues WHERE id = {row}"), Some(false)),
        ];
        for (sql, timed) in &steps {
            if let Err(failure) = self.run(sql, *timed).await {
                self.settle(id, Kind::Transaction, Told::Refused);
                self.note_refused_inside(&failure);
                self.roll_back().await;
                return;
            }
        }
        let outcome = self.run("COMMIT", Some(true)).await;
        let told = match &outcome {
            Ok(()) => Told::Acknowledged,
            Err(Failure::Error(error)) => told_by(error, true),
            Err(Failure::Lost) => Told::Unknown,
        };
        self.settle(id, Kind::Transaction, told);
        match outcome {
            Ok(()) => self.note(Note::Write),
            Err(failure) => {
                self.note_failure(&failure, true, true);
                self.roll_back().await;
            }
        }
    }

    /// Leaves the transaction; a connection on which that fails is given up.
    async fn roll_back(&mut self) {
        if self.client.is_some() && self.run("ROLLBACK", None).await.is_err() {
            self.client = None;
        }
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn insert_issue(&self, id: u64) -> String {
        format!(
            "INSERT INTO issues (ledger_id, title, state, position) \
             VALUES ({id}, 'written by a client', 'closed', {})",
            id % 100
        )
    }

    fn increment(&self) -> String {
        format!("UPDATE counters SET n = n + 1 WHERE slot = {}", self.slot)
    }

    fn settle(&mut self, id: u64, kind: Kind, told: Told) {
        let workspace = self.workspace as u32;
        self.ledger.push(Entry { id, workspace, slot: self.slot, kind, told });
    }

    /// Runs one statement; a connection without an answer is given up. `timed`: whether it is a write, if its
    /// time is to be counted.
    async fn run(&mut self, sql: &str, timed: Option<bool>) -> Result<(), Failure> {
        let Some(client) = self.client.as_mut() else { return Err(Failure::Lost) };
        let began = Instant::now();
        match tokio::time::timeout(ANSWER_WAIT_MAX, client.query(sql)).await {
            Ok(Ok(_)) => {
                if let Some(is_write) = timed {
                    let (at, took) = (self.crowd.now_s(), began.elapsed().as_secs_f64());
                    self.crowd.note(self.cluster, |series| series.time(at, took, is_write));
                }
                Ok(())
            }
            Ok(Err(error)) if ServerError::of(&error).is_some() => {
                let error = ServerError::of(&error).cloned().expect("just seen");
                self.note_time_failed(began, timed);
                Err(Failure::Error(error))
            }
            _ => {
                self.client = None;
                self.note_time_failed(began, timed);
                Err(Failure::Lost)
            }
        }
    }

    fn note_time_failed(&self, began: Instant, timed: Option<bool>) {
        if timed == Some(true) {
            let (at, took) = (self.crowd.now_s(), began.elapsed().as_secs_f64());
            self.crowd.note(self.cluster, |series| series.time_failed(at, took));
        }
    }

    /// Counts what failed: a read, or a write that may have been done.
    fn note_failure(&mut self, failure: &Failure, is_write: bool, is_commit: bool) {
        let at = self.crowd.now_s();
        let note = match failure {
            Failure::Error(error) if is_write && told_by(error, is_commit) == Told::Unknown => Note::Unknown,
            Failure::Error(_) => Note::Refused,
            Failure::Lost if is_write => Note::Unknown,
            Failure::Lost => Note::Disconnected,
        };
        let is_shed = is_write && matches!(failure, Failure::Error(error) if is_shed(error));
        self.crowd.note(self.cluster, |series| {
            series.note(at, note);
            if is_shed {
                series.shed(at);
            }
            if is_commit {
                series.note_inside(at);
            }
        });
    }

    /// Counts a transaction that failed before its COMMIT.
    fn note_refused_inside(&mut self, failure: &Failure) {
        let at = self.crowd.now_s();
        let is_shed = matches!(failure, Failure::Error(error) if is_shed(error));
        self.crowd.note(self.cluster, |series| {
            series.note(at, Note::Refused);
            series.note_inside(at);
            if is_shed {
                series.shed(at);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(number: u16, text: &str) -> ServerError {
        ServerError { number, text: text.to_owned() }
    }

    #[test]
    fn errors_tell_what_became_of_a_write() {
        let lost =
            error(1053, "#08S01bulkhead E4002 shard_connection_lost: the connection to the shard was lost");
        assert_eq!(told_by(&lost, false), Told::Unknown);
        assert_eq!(
            told_by(&error(1040, "#08004bulkhead E5001 pool_timeout: no connection"), true),
            Told::Refused
        );
        assert_eq!(
            told_by(&error(1290, "#HY000The MySQL server is running with --super-read-only"), true),
            Told::Refused
        );
        assert_eq!(told_by(&error(1317, "#70100Query execution was interrupted"), false), Told::Refused);
        assert_eq!(told_by(&error(1317, "#70100Query execution was interrupted"), true), Told::Unknown);
    }

    #[test]
    fn codes_are_found() {
        assert_eq!(code_of("#08004bulkhead E5001 pool_timeout: x"), Some("E5001"));
        assert_eq!(code_of("bulkhead E50"), None);
        assert_eq!(code_of("E5001"), None);
        assert!(is_shed(&error(1205, "#HY000bulkhead E5010 shard_limited: x")));
        assert!(!is_shed(&error(1040, "#08004bulkhead E4001 shard_unreachable: x")));
        assert!(!is_shed(&error(1290, "#HY000read only")));
    }
}
