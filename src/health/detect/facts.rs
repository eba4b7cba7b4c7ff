//! What is known of a cluster: the detector's word to the ladder and to people.

use std::time::{Duration, Instant};

use super::probe::Reading;
use super::signal::{Evidence, Signal, SignalKind};
use super::state::State;
use crate::ids::ClusterName;

/// A heartbeat of one row that takes this long is worse than slow.
const STUCK_BEAT_SECONDS: f64 = 0.25;

/// How a cluster compares with the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing can be said, or nothing is wrong.
    Unknown,
    /// It alone is in trouble.
    StandsOut,
    /// The others are in the same trouble.
    Alike,
}

/// What kinds of signals are raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// None.
    Nothing,
    /// Only what sessions saw.
    Passive,
    /// Only what probes saw.
    Active,
    /// Both.
    Both,
}

/// One cluster at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Which.
    pub cluster: ClusterName,
    /// Its state.
    pub state: State,
    /// In this state since.
    pub since: Instant,
    /// Raised signals, context included, in the order of [`Signal::ALL`].
    pub evidence: Vec<Evidence>,
    /// Compared with the others.
    pub standing: Standing,
    /// The proxy was short of CPU: nothing else in here is certain.
    pub is_own_fault: bool,
    /// Bucket of the one owner whose statements are slow while the others' are not; see
    /// [`crate::health::Statement::owner`].
    pub hot_spot: Option<usize>,
    /// The last status reading.
    pub reading: Reading,
    /// Writes in flight.
    pub writes_in_flight: u32,
    /// Age of the oldest of them.
    pub oldest_write: Duration,
}

impl Facts {
    /// What kinds of signals are raised.
    pub fn backing(&self) -> Backing {
        let has = |kind| self.evidence.iter().any(|evidence| evidence.signal.kind() == kind);
        match (has(SignalKind::Passive), has(SignalKind::Active)) {
            (false, false) => Backing::Nothing,
            (true, false) => Backing::Passive,
            (false, true) => Backing::Active,
            (true, true) => Backing::Both,
        }
    }

    /// Says whether writes do not come to an end, or come to a bad one: worse than slow. Only then is
    /// refusing them no worse than running them.
    pub fn is_stuck(&self) -> bool {
        self.evidence.iter().any(|evidence| match evidence.signal {
            Signal::OverdueWrites
            | Signal::WriteErrors
            | Signal::ReadOnly
            | Signal::Unreachable
            | Signal::Silent => true,
            Signal::Heartbeat => evidence.value >= STUCK_BEAT_SECONDS,
            _ => false,
        })
    }

    /// Says whether `signal` is raised.
    pub fn has(&self, signal: Signal) -> bool {
        self.evidence.iter().any(|evidence| evidence.signal == signal)
    }
}
