//! Signals: what can speak against a cluster, and whether it does.

use std::fmt;
use std::time::{Duration, Instant};

/// Where a signal comes from, and so what it may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignalKind {
    /// From statements that clients sent. May limit, nothing more.
    Passive,
    /// From Bulkhead's own probes of the server.
    Active,
    /// Told along with the others; moves no state.
    Context,
}

/// One thing that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Writes in flight for several times their fingerprint's usual time.
    OverdueWrites,
    /// Share of writes slower than their fingerprint's 97.7th percentile.
    SlowWrites,
    /// The same share stands out from the other clusters'.
    Siblings,
    /// Share of writes that failed through the server's fault.
    WriteErrors,
    /// Reads in flight for several times their usual time.
    OverdueReads,
    /// Share of reads slower than their fingerprint's 97.7th percentile.
    SlowReads,
    /// Share of reads that failed through the server's fault.
    ReadErrors,
    /// Heartbeat writes are late, slow, or fail.
    Heartbeat,
    /// The primary says that it is read-only.
    ReadOnly,
    /// `Threads_running`.
    ThreadsRunning,
    /// Connections that wait for a metadata lock.
    MetadataLocks,
    /// Schema changes running on the server, those of others too.
    DdlRunning,
    /// No connection can be opened.
    Unreachable,
    /// Neither heartbeat nor status query is answered.
    Silent,
    /// Undo records not yet purged (`trx_rseg_history_len`).
    HistoryList,
    /// The replica that is furthest behind.
    ReplicaLag,
}

impl Signal {
    /// Every signal.
    pub const ALL: [Self; 16] = [
        Self::OverdueWrites,
        Self::SlowWrites,
        Self::Siblings,
        Self::WriteErrors,
        Self::OverdueReads,
        Self::SlowReads,
        Self::ReadErrors,
        Self::Heartbeat,
        Self::ReadOnly,
        Self::ThreadsRunning,
        Self::MetadataLocks,
        Self::DdlRunning,
        Self::Unreachable,
        Self::Silent,
        Self::HistoryList,
        Self::ReplicaLag,
    ];

    /// What it may lead to.
    pub fn kind(self) -> SignalKind {
        match self {
            Self::OverdueWrites
            | Self::SlowWrites
            | Self::Siblings
            | Self::WriteErrors
            | Self::OverdueReads
            | Self::SlowReads
            | Self::ReadErrors => SignalKind::Passive,
            Self::Heartbeat
            | Self::ReadOnly
            | Self::ThreadsRunning
            | Self::MetadataLocks
            | Self::DdlRunning
            | Self::Unreachable
            | Self::Silent => SignalKind::Active,
            Self::HistoryList | Self::ReplicaLag => SignalKind::Context,
        }
    }

    /// Name for metrics and people.
    pub fn name(self) -> &'static str {
        match self {
            Self::OverdueWrites => "overdue_writes",
            Self::SlowWrites => "slow_writes",
            Self::Siblings => "siblings",
            Self::WriteErrors => "write_errors",
            Self::OverdueReads => "overdue_reads",
            Self::SlowReads => "slow_reads",
            Self::ReadErrors => "read_errors",
            Self::Heartbeat => "heartbeat",
            Self::ReadOnly => "read_only",
            Self::ThreadsRunning => "threads_running",
            Self::MetadataLocks => "metadata_locks",
            Self::DdlRunning => "ddl_running",
            Self::Unreachable => "unreachable",
            Self::Silent => "silent",
            Self::HistoryList => "history_list",
            Self::ReplicaLag => "replica_lag",
        }
    }

    /// Unit of its value and threshold.
    pub fn unit(self) -> &'static str {
        match self {
            Self::OverdueWrites | Self::OverdueReads => "statements",
            Self::SlowWrites | Self::SlowReads | Self::Siblings => "share",
            Self::WriteErrors | Self::ReadErrors => "share",
            Self::Heartbeat | Self::Silent | Self::ReplicaLag => "s",
            Self::ReadOnly => "flag",
            Self::ThreadsRunning => "threads",
            Self::MetadataLocks => "waiters",
            Self::DdlRunning => "statements",
            Self::Unreachable => "attempts",
            Self::HistoryList => "records",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A raised signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// Which.
    pub signal: Signal,
    /// Its value at the last look; unit by [`Signal::unit`].
    pub value: f64,
    /// The value from which on it is raised.
    pub threshold: f64,
    /// Raised without a break since.
    pub since: Instant,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { signal, value, threshold, .. } = self;
        write!(f, "{signal} {value:.2} {} (from {threshold:.2})", signal.unit())
    }
}

/// What a look found of one signal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finding {
    pub(super) signal: Signal,
    pub(super) value: f64,
    pub(super) threshold: f64,
    pub(super) verdict: Verdict,
}

/// Raise, leave as it is, or clear: the gap between the first and the last is the hysteresis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Raise,
    Keep,
    Clear,
}

impl Verdict {
    pub(super) fn of(raise: bool, clear: bool) -> Self {
        match (raise, clear) {
            (true, _) => Self::Raise,
            (false, true) => Self::Clear,
            (false, false) => Self::Keep,
        }
    }
}

/// Which signals are raised.
#[derive(Clone, Debug)]
pub(super) struct Board {
    raised: [Option<Evidence>; Signal::ALL.len()],
}

impl Board {
    pub(super) const EMPTY: Self = Self { raised: [None; Signal::ALL.len()] };

    pub(super) fn note(&mut self, finding: Finding, now: Instant) {
        let Finding { signal, value, threshold, verdict } = finding;
        let place = &mut self.raised[signal as usize];
        *place = match (verdict, place.take()) {
            (Verdict::Clear, _) | (Verdict::Keep, None) => None,
            // What could not be read this time is as it was.
            (_, Some(old)) if value.is_nan() => Some(old),
            (_, Some(old)) => Some(Evidence { value, threshold, ..old }),
            (Verdict::Raise, None) => Some(Evidence { signal, value, threshold, since: now }),
        };
    }

    pub(super) fn clear(&mut self, signals: &[Signal]) {
        signals.iter().for_each(|signal| self.raised[*signal as usize] = None);
    }

    pub(super) fn is_raised(&self, signal: Signal) -> bool {
        self.raised[signal as usize].is_some()
    }

    /// How long it has been raised; zero when it is not.
    pub(super) fn held(&self, signal: Signal, now: Instant) -> Duration {
        self.raised[signal as usize].map_or(Duration::ZERO, |e| now.saturating_duration_since(e.since))
    }

    pub(super) fn any(&self, signals: &[Signal]) -> bool {
        signals.iter().any(|signal| self.is_raised(*signal))
    }

    pub(super) fn any_of_kind(&self, kind: SignalKind) -> bool {
        self.raised.iter().flatten().any(|evidence| evidence.signal.kind() == kind)
    }

    pub(super) fn evidence(&self) -> impl Iterator<Item = &Evidence> {
        self.raised.iter().flatten()
    }
}
