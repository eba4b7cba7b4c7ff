//! What operators see of the clusters' health: written by the watching task, read by the admin port.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;

use crate::admin::{ClustersView, HealthRow};
use crate::health::State;
use crate::ids::ClusterName;

/// The rows of the last look, and when it was.
#[derive(Debug, Default)]
pub(in crate::server) struct Board(ArcSwap<Option<(Instant, Vec<HealthRow>)>>);

impl Board {
    pub(super) fn publish(&self, rows: Vec<HealthRow>) {
        self.0.store(Arc::new(Some((Instant::now(), rows))));
    }

    /// A cluster's state, whether it is drained or being drained, and when it was looked at; `None` before
    /// the first look at it.
    pub(in crate::server) fn state(&self, cluster: &ClusterName) -> Option<(Instant, State, bool)> {
        let last = self.0.load();
        let (at, rows) = Option::as_ref(&last)?;
        let row = rows.iter().find(|row| row.cluster == *cluster)?;
        Some((*at, row.state, row.decision.stage.is_drain()))
    }
}

impl ClustersView for Board {
    fn clusters(&self) -> Vec<HealthRow> {
        Option::as_ref(&self.0.load()).map(|(_, rows)| rows.clone()).unwrap_or_default()
    }
}
