//! All clusters: one look at every meter, comparison of siblings, what is to be told to people.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::LEARN_EVERY;
use super::detector::{Detector, Look};
use super::facts::{Facts, Standing};
use super::heartbeat::Beat;
use super::own::OwnDelay;
use super::probe::{ProbeFault, Reading};
use super::siblings::compare;
use super::signal::Signal;
use super::state::State;
use crate::health::meter::{Class, Meter};
use crate::ids::ClusterName;

/// One look.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    /// The time.
    pub now: Instant,
    /// How much later than due it comes, or any other measure of how long the proxy's threads wait for CPU,
    /// whichever is larger.
    pub late: Duration,
}

/// Something that people should know and that no gate follows from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alert {
    /// The proxy itself is short of CPU.
    ProxyStarved,
    /// All clusters are in the same trouble: look at what they share.
    AllAlike,
    /// One owner's statements are slow, the others' are not.
    HotSpot {
        /// The cluster.
        cluster: ClusterName,
        /// The owner's bucket; see [`crate::health::Statement::owner`].
        bucket: usize,
    },
    /// A replica is far behind: reads that must not be old should not go there.
    ReplicaLag {
        /// The cluster.
        cluster: ClusterName,
    },
    /// Purging undo records is blocked: an old transaction is open.
    LongHistory {
        /// The cluster.
        cluster: ClusterName,
    },
}

impl Alert {
    /// A short name, for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ProxyStarved => "proxy_starved",
            Self::AllAlike => "all_alike",
            Self::HotSpot { .. } => "hot_spot",
            Self::ReplicaLag { .. } => "replica_lag",
            Self::LongHistory { .. } => "long_history",
        }
    }

    /// Which cluster it is about; `None`: the proxy, or all.
    pub fn cluster(&self) -> Option<&ClusterName> {
        match self {
            Self::ProxyStarved | Self::AllAlike => None,
            Self::HotSpot { cluster, .. } | Self::ReplicaLag { cluster } | Self::LongHistory { cluster } => {
                Some(cluster)
            }
        }
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProxyStarved => f.write_str("the proxy itself is short of CPU"),
            Self::AllAlike => f.write_str("all clusters are in the same trouble: look at what they share"),
            Self::HotSpot { bucket, .. } => {
                write!(f, "one owner's statements are slow, the others' are not (bucket {bucket})")
            }
            Self::ReplicaLag { .. } => f.write_str("a replica is far behind"),
            Self::LongHistory { .. } => {
                f.write_str("undo records are not purged: an old transaction is open")
            }
        }
    }
}

struct Watched {
    detector: Detector,
    meter: Arc<Meter>,
}

/// The detectors of all clusters; owned by one task.
pub struct Fleet {
    clusters: BTreeMap<ClusterName, Watched>,
    own: OwnDelay,
    looked_at: Instant,
    learnt_at: Instant,
}

impl Fleet {
    /// Watches nothing yet.
    pub fn new(now: Instant) -> Self {
        Self { clusters: BTreeMap::new(), own: OwnDelay::default(), looked_at: now, learnt_at: now }
    }

    /// Begins to watch a cluster, or begins anew.
    pub fn watch(&mut self, cluster: &ClusterName, meter: Arc<Meter>, now: Instant) {
        let detector = Detector::new(cluster.clone(), now);
        self.clusters.insert(cluster.clone(), Watched { detector, meter });
    }

    /// Stops watching every cluster that `is_kept` says no to.
    pub fn retain(&mut self, is_kept: impl Fn(&ClusterName) -> bool) {
        self.clusters.retain(|cluster, _| is_kept(cluster));
    }

    /// A heartbeat was sent.
    pub fn beat_sent(&mut self, cluster: &ClusterName, now: Instant) {
        if let Some(watched) = self.clusters.get_mut(cluster) {
            watched.detector.heartbeat.sent(now);
        }
    }

    /// A heartbeat ended.
    pub fn beat_ended(&mut self, cluster: &ClusterName, beat: Beat) {
        if let Some(watched) = self.clusters.get_mut(cluster) {
            watched.detector.beat_ended(beat);
        }
    }

    /// A status reading was asked for.
    pub fn probe_sent(&mut self, cluster: &ClusterName, now: Instant) {
        if let Some(watched) = self.clusters.get_mut(cluster) {
            watched.detector.probe.sent(now);
        }
    }

    /// A status reading is there, or not to be had.
    pub fn probe_ended(&mut self, cluster: &ClusterName, reading: Result<Reading, ProbeFault>, now: Instant) {
        if let Some(watched) = self.clusters.get_mut(cluster) {
            watched.detector.probe_ended(reading, now);
        }
    }

    /// No heartbeat can be sent, for no fault of the server's (its login is refused): the last one is taken
    /// back.
    pub fn beat_withdrawn(&mut self, cluster: &ClusterName) {
        if let Some(watched) = self.clusters.get_mut(cluster) {
            watched.detector.heartbeat.withdrawn();
        }
    }

    /// The same of a status reading.
    pub fn probe_withdrawn(&mut self, cluster: &ClusterName) {
        if let Some(watched) = self.clusters.get_mut(cluster) {
            watched.detector.probe.withdrawn();
        }
    }

    /// Looks at every meter, compares, and moves every state.
    pub fn tick(&mut self, tick: Tick) {
        let now = tick.now;
        let was_stopped = self.own.note(tick.late, now);
        let is_own_fault = self.own.is_blamed(now);
        let passed = now.saturating_duration_since(self.looked_at);
        self.looked_at = now;
        let mut troubles = Vec::with_capacity(self.clusters.len());
        for Watched { detector, meter } in self.clusters.values_mut() {
            let (writes, reads) = (meter.take(Class::Write, now), meter.take(Class::Read, now));
            detector.fold(Look { writes, reads, passed });
            if is_own_fault || was_stopped {
                detector.forgive(now);
            }
            troubles.push(detector.trouble(now));
        }
        let comparisons = compare(&troubles);
        for (Watched { detector, meter }, comparison) in self.clusters.values_mut().zip(comparisons) {
            detector.judge(comparison, is_own_fault, now);
            // A suspect cluster still learns, or a lasting change of its work would keep it suspect forever.
            let is_frozen = is_own_fault || detector.state() >= State::Degraded;
            meter.freeze(is_frozen);
            detector.heartbeat.freeze(is_frozen);
        }
        if now.saturating_duration_since(self.learnt_at) >= LEARN_EVERY {
            self.learnt_at = now;
            for Watched { detector, meter } in self.clusters.values() {
                meter.learn();
                detector.heartbeat.learn();
            }
        }
    }

    /// What is known of every cluster, in order of names.
    pub fn facts(&self) -> Vec<Facts> {
        self.clusters.values().map(|watched| watched.detector.facts()).collect()
    }

    /// The state of every cluster, in order of names.
    pub fn states(&self) -> impl Iterator<Item = (&ClusterName, State)> {
        self.clusters.iter().map(|(cluster, watched)| (cluster, watched.detector.state()))
    }
}

impl Alert {
    /// What the facts of all clusters give cause to tell, in order.
    pub fn of(facts: &[Facts]) -> Vec<Self> {
        let mut alerts = Vec::new();
        if facts.iter().any(|facts| facts.is_own_fault) {
            alerts.push(Self::ProxyStarved);
        }
        if facts.iter().any(|facts| facts.standing == Standing::Alike) {
            alerts.push(Self::AllAlike);
        }
        for facts in facts {
            let cluster = || facts.cluster.clone();
            if let Some(bucket) = facts.hot_spot {
                alerts.push(Self::HotSpot { cluster: cluster(), bucket });
            }
            if facts.has(Signal::ReplicaLag) {
                alerts.push(Self::ReplicaLag { cluster: cluster() });
            }
            if facts.has(Signal::HistoryList) {
                alerts.push(Self::LongHistory { cluster: cluster() });
            }
        }
        alerts
    }
}
