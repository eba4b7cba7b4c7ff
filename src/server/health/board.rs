//! What operators see of the clusters' health: written by the watching task, read by the admin port.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::admin::{ClustersView, HealthRow};

/// The rows of the last look.
#[derive(Debug, Default)]
pub(in crate::server) struct Board(ArcSwap<Vec<HealthRow>>);

impl Board {
    pub(super) fn publish(&self, rows: Vec<HealthRow>) {
        self.0.store(Arc::new(rows));
    }
}

impl ClustersView for Board {
    fn clusters(&self) -> Vec<HealthRow> {
        Vec::clone(&self.0.load())
    }
}
