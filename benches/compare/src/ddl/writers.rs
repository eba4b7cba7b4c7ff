//! The application meanwhile: writers at a steady pace, on the table that is changed and on another one.
//!
//! Each has one connection and a write due every so often, whatever became of the last one. A write that
//! cannot be sent when it is due, as the one before it still waits, is counted from when it was due. Writes
//! that fall more than a second behind are left out: their place was taken by what they waited for.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::ledger::Ledger;
use super::samples::{Part, Sample, Samples};
use super::table::{HOT_EVERY, OTHER, OTHER_ROWS, STATE_OF_VERSION};
use crate::client::{Client, Login, ServerError};
use crate::incident::ledger::Told;
use crate::incident::workers::told_by;
use crate::random::Random;

/// Writers of the table that is changed.
const CHANGED_WRITERS: usize = 8;
/// Writers of the other table.
const OTHER_WRITERS: usize = 4;
/// A writer that is further behind its pace goes on from now.
const BEHIND_MAX: Duration = Duration::from_secs(1);
/// How long a writer waits for an answer.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(120);
/// Rows of its own that a writer keeps, at least.
const OWN_ROWS: usize = 20;
/// Of ten writes of the changed table: updates, inserts; the rest are deletes.
const UPDATES: u64 = 6;
const INSERTS: u64 = 3;

/// What is written, where, how often.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How to log in.
    pub login: Login,
    /// The table that is changed.
    pub table: String,
    /// Its rows before.
    pub rows: u64,
    /// Writes per second to it.
    pub changed_rate: f64,
    /// Writes per second to the other table; none: no such writers.
    pub other_rate: Option<f64>,
}

/// A load under way.
#[derive(Debug)]
pub struct Load {
    tasks: JoinSet<io::Result<(Vec<Sample>, Ledger)>>,
    over: watch::Sender<bool>,
    began: Instant,
}

impl Load {
    /// Logs everybody in and begins.
    ///
    /// # Errors
    /// A login is refused.
    pub async fn begin(plan: &Plan) -> io::Result<Self> {
        let others = if plan.other_rate.is_some() { OTHER_WRITERS } else { 0 };
        let mut clients = Vec::new();
        for _ in 0..CHANGED_WRITERS + others {
            clients.push(Client::connect(&plan.login).await?);
        }
        let (over, began, mut tasks) = (watch::channel(false).0, Instant::now(), JoinSet::new());
        for (number, client) in clients.into_iter().enumerate() {
            let writer = Writer::new(plan, client, number);
            tasks.spawn(writer.work(began, over.subscribe()));
        }
        Ok(Self { tasks, over, began })
    }

    /// Time since it began.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Ends it; gives what was seen and told.
    ///
    /// # Errors
    /// A writer got no answer, or one that does not say what became of its write.
    pub async fn finish(mut self) -> io::Result<(Samples, Ledger)> {
        self.over.send_replace(true);
        let (mut samples, mut ledger) = (Samples::default(), Ledger::default());
        while let Some(ended) = self.tasks.join_next().await {
            let (seen, told) = ended.map_err(io::Error::other)??;
            samples.add(seen);
            ledger.add(told);
        }
        Ok((samples, ledger))
    }
}

/// Waits for the end of the load.
async fn ended(over: &mut watch::Receiver<bool>) {
    // The sender lives until every writer has ended.
    let _ = over.wait_for(|over| *over).await;
}

/// One write.
enum Write {
    Update(u64),
    Insert(String),
    Delete(String),
    /// Of the other table.
    Other(u64),
}

struct Writer {
    client: Client,
    table: String,
    /// Rows of the table that it writes to.
    rows: u64,
    part: Part,
    pace: Duration,
    /// When its first write is due: they do not all write at once.
    first: Duration,
    number: usize,
    random: Random,
    inserts: u64,
    own: VecDeque<String>,
    samples: Vec<Sample>,
    ledger: Ledger,
}

impl Writer {
    fn new(plan: &Plan, client: Client, number: usize) -> Self {
        let is_changed = number < CHANGED_WRITERS;
        let rate = if is_changed { plan.changed_rate } else { plan.other_rate.unwrap_or(1.0) };
        let writers = if is_changed { CHANGED_WRITERS } else { OTHER_WRITERS };
        let pace = Duration::from_secs_f64(writers as f64 / rate);
        let place = number % writers;
        Self {
            client,
            table: if is_changed { plan.table.clone() } else { OTHER.to_owned() },
            rows: if is_changed { plan.rows } else { OTHER_ROWS },
            part: if is_changed { Part::Changed } else { Part::Other },
            pace,
            first: pace.mul_f64(place as f64 / writers as f64),
            number,
            random: Random::new(number),
            inserts: 0,
            own: VecDeque::new(),
            samples: Vec::new(),
            ledger: Ledger::default(),
        }
    }

    async fn work(
        mut self,
        began: Instant,
        mut over: watch::Receiver<bool>,
    ) -> io::Result<(Vec<Sample>, Ledger)> {
        let mut due = began + self.first;
        loop {
            let was_late = due <= Instant::now();
            tokio::select! {
                biased;
                () = ended(&mut over) => break,
                () = tokio::time::sleep_until(due) => {}
            }
            let write = self.next_write();
            // A timer that is late is not the server's doing.
            let from = if was_late { due } else { Instant::now() };
            self.perform(write).await?;
            let ended = began.elapsed();
            self.samples.push(Sample { part: self.part, due: from - began, ended });
            due += self.pace;
            if due + BEHIND_MAX < Instant::now() {
                due = Instant::now();
            }
        }
        Ok((self.samples, self.ledger))
    }

    fn next_write(&mut self) -> Write {
        if self.part == Part::Other {
            return Write::Other(1 + self.random.below(self.rows));
        }
        match self.random.below(10) {
            dice if dice < UPDATES => {
                Write::Update(HOT_EVERY * (1 + self.random.below(self.rows / HOT_EVERY)))
            }
            dice if dice >= UPDATES + INSERTS && self.own.len() > OWN_ROWS => {
                Write::Delete(self.own.pop_front().expect("not empty"))
            }
            _ => {
                self.inserts += 1;
                Write::Insert(format!("w{:02}-{:08}", self.number, self.inserts))
            }
        }
    }

    fn sql(&mut self, write: &Write) -> String {
        let table = &self.table;
        match write {
            Write::Update(id) => format!(
                "UPDATE {table} SET lock_version = lock_version + 1, state = {STATE_OF_VERSION}, \
                 updated_at = NOW(6) WHERE id = {id}"
            ),
            Write::Insert(token) => format!(
                "INSERT INTO {table} (conversation_id, author_id, token, subject, body, created_at, \
                 updated_at) VALUES ({}, {}, '{token}', 'written by a client', REPEAT('words ', 25), NOW(6), \
                 NOW(6))",
                1 + self.random.below(200_000),
                1 + self.random.below(5_000)
            ),
            Write::Delete(token) => format!("DELETE FROM {table} WHERE token = '{token}'"),
            Write::Other(id) if id.is_multiple_of(2) => {
                format!("UPDATE {table} SET n = n + 1 WHERE id = {id}")
            }
            Write::Other(_) => {
                format!("INSERT INTO {table} (name, created_at) VALUES ('written by a client', NOW(6))")
            }
        }
    }

    async fn perform(&mut self, write: Write) -> io::Result<()> {
        let sql = self.sql(&write);
        let answer = tokio::time::timeout(ANSWER_WAIT_MAX, self.client.query(&sql)).await;
        let outcome = answer.map_err(|_| io::Error::other(format!("no answer to {sql}")))?;
        let error = match outcome {
            Ok(_) => {
                self.settle(write);
                return Ok(());
            }
            Err(error) => error,
        };
        let Some(answered) = ServerError::of(&error) else { return Err(error) };
        if told_by(answered, false) != Told::Refused {
            return Err(io::Error::other(format!("it is not known what became of a write: {answered}")));
        }
        self.ledger.refuse(&answered.to_string());
        if let Write::Delete(token) = write {
            self.own.push_front(token);
        }
        Ok(())
    }

    /// Notes what was acknowledged.
    fn settle(&mut self, write: Write) {
        match write {
            Write::Update(id) => *self.ledger.updates.entry(id).or_default() += 1,
            Write::Insert(token) => {
                self.ledger.inserted.insert(token.clone());
                self.own.push_back(token);
            }
            Write::Delete(token) => {
                self.ledger.inserted.remove(&token);
            }
            Write::Other(_) => {}
        }
    }
}
