//! How clusters were of late: a sample every few seconds, for half an hour, in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::admin::ClusterSample;
use crate::ids::ClusterName;

/// Between two samples.
const SAMPLE_EVERY: Duration = Duration::from_secs(5);
/// Samples kept of each cluster: half an hour; about 50 KiB.
const SAMPLES_MAX: usize = 360;

#[derive(Debug, Default)]
struct Inner {
    sampled: Option<Instant>,
    clusters: BTreeMap<ClusterName, VecDeque<ClusterSample>>,
}

/// Samples of all clusters. Written by the watching task, read by the admin port.
#[derive(Debug, Default)]
pub(in crate::server) struct History(Mutex<Inner>);

impl History {
    /// Takes samples if it is time.
    pub(in crate::server) fn sample(
        &self,
        now: Instant,
        samples: impl FnOnce() -> Vec<(ClusterName, ClusterSample)>,
    ) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.sampled.is_some_and(|sampled| now.saturating_duration_since(sampled) < SAMPLE_EVERY) {
            return;
        }
        inner.sampled = Some(now);
        let samples = samples();
        inner.clusters.retain(|cluster, _| samples.iter().any(|(name, _)| name == cluster));
        for (cluster, sample) in samples {
            let kept = inner.clusters.entry(cluster).or_default();
            kept.push_back(sample);
            if kept.len() > SAMPLES_MAX {
                kept.pop_front();
            }
        }
    }

    /// A cluster's samples, oldest first.
    pub(in crate::server) fn of(&self, cluster: &ClusterName) -> Vec<ClusterSample> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clusters.get(cluster).map(|kept| kept.iter().cloned().collect()).unwrap_or_default()
    }
}
