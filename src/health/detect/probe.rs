//! Status readings on the reserved connection: what the server says of itself.
//!
//! A value that could not be read is absent, which neither raises nor clears a signal.

use std::time::{Duration, Instant};

use super::signal::{Finding, Signal, Verdict};
use super::window::fade;

/// A status reading is asked for this often, unless the last is still waited for.
pub const PROBE_EVERY: Duration = Duration::from_secs(1);

/// What runs a schema change, as the process list shows it: a regular expression of both kinds of servers.
pub const DDL_STATEMENT: &str = "^[[:space:]]*(/[*].*[*]/)?[[:space:]]*\
                   (alter|create|drop|rename|truncate|optimize)[[:space:]]+\
                   ((online|ignore|unique|fulltext|spatial)[[:space:]]+)*(table|index|database|schema)";

/// `Threads_running` below this is never raised: Vitess throttles its own work at 100.
const THREADS_MIN: f64 = 100.0;
/// And it must be so many times the usual: a server of 128 cores runs a hundred threads every day.
const THREADS_TIMES: f64 = 4.0;
/// "Usual" is an average that fades over ten minutes and rests while the cluster is not healthy.
const THREADS_USUAL: Duration = Duration::from_secs(600);
/// Connections waiting for metadata locks: a handful queue behind every schema change for a moment.
const LOCKS_RAISE: f64 = 10.0;
/// Schema changes at once: many more than any budget of one's own allows.
const DDL_RAISE: f64 = 8.0;
/// Undo records: benign below ten thousand, blocked purge beyond a million (Netdata's thresholds).
const HISTORY_RAISE: f64 = 1e6;
/// Lag of a replica: the default of ProxySQL's and Vitess' throttlers lies between one and five seconds.
const LAG_RAISE: f64 = 5.0;
/// Signals of counts clear below this part of what raises them.
const CLEAR_PART: f64 = 0.5;

/// One status reading of a primary; what could not be read is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// `Threads_running`.
    pub threads_running: Option<u32>,
    /// Connections that wait for a metadata lock.
    pub metadata_lock_waiters: Option<u32>,
    /// Schema changes that run, of others too.
    pub ddl_running: Option<u32>,
    /// `trx_rseg_history_len`.
    pub history_list: Option<u64>,
    /// Lag of the replica that is furthest behind.
    pub replica_lag: Option<Duration>,
    /// `read_only` or `super_read_only` is on.
    pub is_read_only: Option<bool>,
}

/// Why there is no reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeFault {
    /// No connection could be opened.
    Refused,
    /// No answer, or an error.
    Failed,
}

pub(super) struct Probe {
    last: Reading,
    /// The first one asked for since the last answer.
    unanswered: Option<Instant>,
    threads_usual: Option<f64>,
    threads_at: Instant,
}

impl Probe {
    pub(super) fn new(now: Instant) -> Self {
        Self { last: Reading::default(), unanswered: None, threads_usual: None, threads_at: now }
    }

    pub(super) fn sent(&mut self, now: Instant) {
        self.unanswered.get_or_insert(now);
    }

    /// The proxy was late: what is waited for may have been answered long ago.
    pub(super) fn forgive_pending(&mut self, now: Instant) {
        self.unanswered = self.unanswered.map(|_| now);
    }

    pub(super) fn read(&mut self, reading: Reading, is_healthy: bool, now: Instant) {
        (self.last, self.unanswered) = (reading, None);
        let Some(threads) = reading.threads_running.map(f64::from) else { return };
        let passed = now.saturating_duration_since(self.threads_at);
        self.threads_at = now;
        match &mut self.threads_usual {
            None => self.threads_usual = Some(threads),
            Some(usual) if is_healthy => *usual = threads + (*usual - threads) * fade(passed, THREADS_USUAL),
            Some(_) => {}
        }
    }

    pub(super) fn failed(&mut self) {
        self.last = Reading::default();
    }

    /// It cannot be asked, for no fault of the server's: nothing is waited for.
    pub(super) fn withdrawn(&mut self) {
        (self.last, self.unanswered) = (Reading::default(), None);
    }

    /// Status has been asked for so long, without an answer.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        self.unanswered.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    pub(super) fn reading(&self) -> Reading {
        self.last
    }

    pub(super) fn look(&self) -> [Finding; 6] {
        let threads = THREADS_MIN.max(self.threads_usual.unwrap_or_default() * THREADS_TIMES);
        let Reading { threads_running, metadata_lock_waiters, ddl_running, .. } = self.last;
        let lag = self.last.replica_lag.map(|lag| lag.as_secs_f64());
        [
            counted(Signal::ThreadsRunning, threads_running.map(f64::from), threads),
            counted(Signal::MetadataLocks, metadata_lock_waiters.map(f64::from), LOCKS_RAISE),
            counted(Signal::DdlRunning, ddl_running.map(f64::from), DDL_RAISE),
            counted(Signal::HistoryList, self.last.history_list.map(|length| length as f64), HISTORY_RAISE),
            counted(Signal::ReplicaLag, lag, LAG_RAISE),
            counted(Signal::ReadOnly, self.last.is_read_only.map(f64::from), 1.0),
        ]
    }
}

fn counted(signal: Signal, value: Option<f64>, threshold: f64) -> Finding {
    let verdict = match value {
        Some(value) => Verdict::of(value >= threshold, value < threshold * CLEAR_PART),
        None => Verdict::Keep,
    };
    Finding { signal, value: value.unwrap_or(f64::NAN), threshold, verdict }
}
