//! The state of a cluster, and how it changes.

use std::fmt;
use std::time::{Duration, Instant};

/// Anything raised for so long makes a cluster suspect.
const SUSPECT_AFTER: Duration = Duration::from_secs(1);
/// Passive and active signals together for so long make it degraded: longer than a checkpoint's flush.
const DEGRADED_AFTER: Duration = Duration::from_millis(1500);
/// No connection, or no answer at all, for so long means that it is down.
const DOWN_AFTER: Duration = Duration::from_millis(500);
/// Nothing that degrades for so long, and it is only suspect.
const RELIEVED_AFTER: Duration = Duration::from_secs(5);
/// Nothing raised for so long, and it is healthy.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);
/// Answers for so long, and it is no longer down.
const BACK_AFTER: Duration = Duration::from_secs(2);

/// How a cluster's primary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nothing speaks against it.
    Healthy,
    /// A signal speaks against it.
    Suspect,
    /// It answers, but its writes are sick: sessions and probes agree.
    Degraded,
    /// It does not answer.
    Down,
}

impl State {
    /// Name for people and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Suspect => "suspect",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the board's signals add up to at one look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Something other than context is raised.
    pub(super) suspicious: bool,
    /// Enough for degraded.
    pub(super) degrading: bool,
    /// No connection, or no answer.
    pub(super) unanswered: bool,
    /// The proxy is short of CPU.
    pub(super) own_fault: bool,
}

/// For how long something has been so, or not so.
#[derive(Clone, Copy, Debug)]
struct Held {
    is_so: bool,
    since: Instant,
}

impl Held {
    fn note(&mut self, is_so: bool, now: Instant) {
        if self.is_so != is_so {
            *self = Self { is_so, since: now };
        }
    }

    fn is_for(&self, is_so: bool, at_least: Duration, now: Instant) -> bool {
        self.is_so == is_so && now.saturating_duration_since(self.since) >= at_least
    }
}

/// A state and what it takes to leave it.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) state: State,
    pub(super) since: Instant,
    suspicious: Held,
    degrading: Held,
    unanswered: Held,
}

impl Machine {
    pub(super) fn new(now: Instant) -> Self {
        let held = Held { is_so: false, since: now };
        Self { state: State::Healthy, since: now, suspicious: held, degrading: held, unanswered: held }
    }

    pub(super) fn advance(&mut self, findings: Findings, now: Instant) {
        self.suspicious.note(findings.suspicious, now);
        self.degrading.note(findings.degrading, now);
        self.unanswered.note(findings.unanswered, now);
        let next = self.next(findings, now);
        if next != self.state {
            (self.state, self.since) = (next, now);
        }
    }

    fn next(&self, findings: Findings, now: Instant) -> State {
        let is_suspicious = self.suspicious.is_for(true, SUSPECT_AFTER, now);
        let is_degrading = self.degrading.is_for(true, DEGRADED_AFTER, now);
        let is_down = self.unanswered.is_for(true, DOWN_AFTER, now);
        match self.state {
            // A refused connection is no matter of the proxy's CPU; everything else may be.
            State::Healthy | State::Suspect | State::Degraded if is_down => State::Down,
            // Everything measured while the proxy is starved is void; the state stays.
            state if findings.own_fault => state,
            // → Suspect (degraded comes by way of it, at the next look at the earliest)
            State::Healthy if is_suspicious => State::Suspect,
            State::Healthy => State::Healthy,
            // → Degraded, → Healthy
            State::Suspect if is_degrading => State::Degraded,
            State::Suspect if self.suspicious.is_for(false, HEALTHY_AFTER, now) => State::Healthy,
            State::Suspect => State::Suspect,
            // → Suspect
            State::Degraded if self.degrading.is_for(false, RELIEVED_AFTER, now) => State::Suspect,
            State::Degraded => State::Degraded,
            // → Degraded: what answers again has yet to show that it works
            State::Down if self.unanswered.is_for(false, BACK_AFTER, now) => State::Degraded,
            State::Down => State::Down,
        }
    }
}
