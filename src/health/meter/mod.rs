//! Where statements leave their times, at the cost of a few atomic operations each.
//!
//! Nothing in here runs by itself: whoever sends a statement calls [`Meter::begin`] and [`Flight::end`], and
//! the detector calls [`Meter::take`]. One [`Meter`] per cluster, its size fixed: places for statements in
//! flight ([`Flight`]), what each fingerprint usually takes (the baseline), and counts since the last look.
//! [`Meter::take`] hands the counts over as a [`Sample`]. It judges nothing: that is [`super::detect`]'s.
//!
//! Writes and reads have places, baselines and counts of their own, so a flood of one hides nothing of the
//! other.

mod baseline;
mod class;
mod errnos;
mod flights;
mod sample;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

pub use class::{Class, Statement};
pub use errnos::is_servers_fault;
pub use sample::{BUCKETS, Counts, Sample};

pub(super) use baseline::{Baseline, Usual};

use super::feed::Ended;
use super::histogram::HistogramReport;
use crate::ids::ClusterName;
use class::ClassMeter;

/// The meters of all clusters; shared by sessions and the detector.
#[derive(Debug)]
pub struct Meters {
    epoch: Instant,
    by_cluster: ArcSwap<HashMap<ClusterName, Arc<Meter>>>,
    /// Held while a cluster is added.
    adding: Mutex<()>,
    /// Counts how often clusters were forgotten.
    forgotten: AtomicU64,
}

impl Meters {
    /// None yet. `epoch` is before anything that will be measured.
    pub fn new(epoch: Instant) -> Self {
        Self { epoch, by_cluster: ArcSwap::default(), adding: Mutex::new(()), forgotten: AtomicU64::new(0) }
    }

    /// The cluster's meter; made when it is first asked for. Takes no lock after that.
    pub fn of(&self, cluster: &ClusterName) -> Arc<Meter> {
        if let Some(meter) = self.by_cluster.load().get(cluster) {
            return Arc::clone(meter);
        }
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut meters = HashMap::clone(&self.by_cluster.load());
        let meter = meters.entry(cluster.clone()).or_insert_with(|| Arc::new(Meter::new(self.epoch)));
        let meter = Arc::clone(meter);
        self.by_cluster.store(Arc::new(meters));
        meter
    }

    /// Forgets every cluster that `is_kept` says no to.
    pub fn retain(&self, is_kept: impl Fn(&ClusterName) -> bool) {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let mut meters = HashMap::clone(&self.by_cluster.load());
        meters.retain(|cluster, _| is_kept(cluster));
        self.by_cluster.store(Arc::new(meters));
        self.forgotten.fetch_add(1, Ordering::Release);
    }
}

/// The meter that a session used last, so that a statement for the same cluster looks nothing up.
#[derive(Debug, Default)]
pub struct NearMeter {
    kept: Option<(ClusterName, Arc<Meter>)>,
    /// [`Meters::forgotten`] as of the look-up: a cluster that comes back has another meter.
    forgotten: u64,
}

impl NearMeter {
    /// The cluster's meter.
    pub fn of(&mut self, meters: &Meters, cluster: &ClusterName) -> &Arc<Meter> {
        let forgotten = meters.forgotten.load(Ordering::Acquire);
        let kept = self.kept.take().filter(|(name, _)| self.forgotten == forgotten && name == cluster);
        self.forgotten = forgotten;
        let (_, meter) = self.kept.insert(kept.unwrap_or_else(|| (cluster.clone(), meters.of(cluster))));
        meter
    }
}

/// What one cluster's statements leave behind; shared by all sessions.
///
/// **Shape**: about 235 KiB, whatever the load.
pub struct Meter {
    /// Instants are kept as microseconds since then.
    epoch: Instant,
    writes: ClassMeter,
    reads: ClassMeter,
}

impl Meter {
    /// Nothing measured yet. Instants before `epoch` count as `epoch`.
    pub fn new(epoch: Instant) -> Self {
        Self { epoch, writes: ClassMeter::new(), reads: ClassMeter::new() }
    }

    /// A statement is about to be sent. To be ended with [`Flight::end`] or [`Flight::abandon`]; dropped
    /// otherwise, it leaves no trace.
    pub fn begin(self: &Arc<Self>, statement: Statement, now: Instant) -> Flight {
        let class = self.class(statement.class);
        let started_us = self.micros(now);
        let usual = class.baseline.usual(statement.digest);
        let bucket = statement.bucket();
        let place = class.flights.begin(started_us, usual.overdue_after(), bucket);
        Flight { meter: Arc::clone(self), statement, usual, started_us, place, is_over: false }
    }

    /// A statement could not be sent: no connection could be opened.
    pub fn count_unreachable(&self, class: Class) {
        self.class(class).count_failed();
    }

    /// The counts since the last look, and what is in flight now. One caller only, the detector's.
    pub fn take(&self, class: Class, now: Instant) -> Sample {
        self.class(class).take(self.micros(now))
    }

    /// What a class's answered statements took, since the start: two looks and [`HistogramReport::since`]
    /// tell what they took between them.
    pub fn latency(&self, class: Class) -> HistogramReport {
        self.class(class).latency.report()
    }

    /// Brings the baselines up to date with what was seen; to be called every
    /// [`super::detect::LEARN_EVERY`].
    pub fn learn(&self) {
        self.writes.baseline.learn();
        self.reads.baseline.learn();
    }

    /// While frozen, nothing that is measured goes into a baseline: a sick server's latencies are not usual.
    pub fn freeze(&self, is_frozen: bool) {
        self.writes.baseline.freeze(is_frozen);
        self.reads.baseline.freeze(is_frozen);
    }

    fn class(&self, class: Class) -> &ClassMeter {
        match class {
            Class::Write => &self.writes,
            Class::Read => &self.reads,
        }
    }

    fn micros(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.epoch).as_micros()).unwrap_or(u64::MAX)
    }
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter").finish_non_exhaustive()
    }
}

/// A statement that was sent and has no answer yet.
#[derive(Debug)]
#[must_use = "a flight that is dropped at once measures nothing"]
pub struct Flight {
    meter: Arc<Meter>,
    statement: Statement,
    usual: Usual,
    started_us: u64,
    /// Absent when all places were taken: then its age is not watched.
    place: Option<usize>,
    is_over: bool,
}

impl Flight {
    /// The answer is there, or the connection is gone. Gives how many times its usual time the statement
    /// took; absent while its fingerprint has no usual time.
    pub fn end(mut self, ended: Ended, now: Instant) -> Option<f64> {
        let took = self.leave(now);
        let class = self.meter.class(self.statement.class);
        if ended.is_servers_fault() {
            class.count_failed();
            return None;
        }
        class.count_answered(&self.statement, took, self.usual);
        // An error that ended a statement early says nothing about how long it usually takes.
        if ended == Ended::Well {
            class.baseline.record(self.statement.digest, took);
        }
        self.usual.times(took)
    }

    /// The client went away before there was an answer. Counts only if the statement had been slow by then:
    /// clients that give up after a second would otherwise hide a stall.
    pub fn abandon(mut self, now: Instant) {
        let took = self.leave(now);
        if self.usual.is_slow(took) {
            self.meter.class(self.statement.class).count_answered(&self.statement, took, self.usual);
        }
    }

    /// How long it has been in flight.
    pub fn age(&self, now: Instant) -> Duration {
        Duration::from_micros(self.meter.micros(now).saturating_sub(self.started_us))
    }

    fn leave(&mut self, now: Instant) -> Duration {
        self.free_place();
        self.age(now)
    }

    fn free_place(&mut self) {
        if !self.is_over {
            self.is_over = true;
            self.meter.class(self.statement.class).flights.end(self.place);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.free_place();
    }
}
