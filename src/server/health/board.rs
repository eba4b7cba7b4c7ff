//! What operators see of the clusters' health: written by the watching task, read by the admin port.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;

use crate::admin::{ClustersView, HealthRow};
use crate::ids::ClusterName;

/// The rows of the last look, and when it was.
#[derive(Debug, Default)]
pub(in crate::server) struct Board(ArcSwap<Option<(Instant, Vec<HealthRow>)>>);

impl Board {
    pub(super) fn publish(&self, rows: Vec<HealthRow>) {
        self.0.store(Arc::new(Some((Instant::now(), rows))));
    }

    /// What is told of a cluster by its row, and by when that was looked at; `None` before the first look at
    /// it.
    pub(in crate::server) fn look<T>(
        &self,
        cluster: &ClusterName,
        tell: impl FnOnce(Instant, &HealthRow) -> T,
    ) -> Option<T> {
        let last = self.0.load();
        let (at, rows) = Option::as_ref(&last)?;
        let row = rows.iter().find(|row| row.cluster == *cluster)?;
        Some(tell(*at, row))
    }
}

impl ClustersView for Board {
    fn clusters(&self) -> Vec<HealthRow> {
        Option::as_ref(&self.0.load()).map(|(_, rows)| rows.clone()).unwrap_or_default()
    }
}
