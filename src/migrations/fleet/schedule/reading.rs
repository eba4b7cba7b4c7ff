//! What is known of a cluster at a moment, and what it says about the pace.

use std::time::Duration;

use crate::health::State;
use crate::migrations::fleet::ledger::Moment;

/// Writes may take so much longer than undisturbed before the pace is halved; what is promised is 1.5.
const WRITES_RATIO_MAX: f64 = 1.25;
/// A difference smaller than this is noise, whatever the ratio.
const WRITES_SLACK: Duration = Duration::from_micros(500);

/// Why the pace is halved when writes are slow.
pub(super) const SLOW_WRITES: &str = "writes take longer than usual";

/// Schema changes by connections that bypass Bulkhead, as the processlist shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    /// Running now.
    pub running: u32,
    /// Begun since the last reading.
    pub begun: u32,
}

/// One cluster at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// When it was read.
    pub at: Moment,
    /// What the detector says.
    pub state: State,
    /// Writes of several clients, or the heartbeat, go unanswered or fail, which is not its state yet.
    pub is_stalling: bool,
    /// An operator or the ladder has drained it, or has closed it to schema changes.
    pub is_drained: bool,
    /// The slowest hundredth of the writes of late.
    pub write_p99: Option<Duration>,
    /// The same as it is without schema changes.
    pub usual_write_p99: Option<Duration>,
    /// How far the furthest replica is behind, and how far it may be.
    pub lag: Option<(Duration, Duration)>,
    /// Threads_running, and how many there may be.
    pub threads: Option<(u32, u32)>,
    /// Schema changes of others.
    pub foreign: Foreign,
}

/// What a reading says about the pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No worse than usual.
    Well,
    /// Worse than usual: slower.
    Worse(&'static str),
    /// Nothing is begun.
    Closed(super::Closed),
}

/// Judges a reading.
pub fn judge(reading: &Reading) -> Verdict {
    use super::Closed;
    if reading.is_drained {
        return Verdict::Closed(Closed::Drained);
    }
    if reading.state > State::Healthy {
        return Verdict::Closed(Closed::Sick(reading.state));
    }
    if reading.is_stalling {
        return Verdict::Closed(Closed::Stalling);
    }
    if let (Some(now), Some(usual)) = (reading.write_p99, reading.usual_write_p99)
        && now > usual.mul_f64(WRITES_RATIO_MAX)
        && now > usual + WRITES_SLACK
    {
        return Verdict::Worse(SLOW_WRITES);
    }
    if reading.lag.is_some_and(|(lag, most)| lag > most) {
        return Verdict::Worse("a replica is behind");
    }
    if reading.threads.is_some_and(|(threads, most)| threads > most) {
        return Verdict::Worse("many threads are running");
    }
    Verdict::Well
}
