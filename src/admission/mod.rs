//! What keeps each cluster's statements apart from the others': its permits, its gates, its lane for schema
//! changes. [`crate::drain`] decides; here statements wait, and here what was decided takes effect.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;

use crate::drain::Action;
use crate::ids::{ClusterName, NameMap};

/// Every cluster's admission.
#[derive(Debug, Default)]
pub struct Admissions {
    by_cluster: ArcSwap<NameMap<ClusterName, Arc<Admission>>>,
}

impl Admissions {
    /// The cluster's admission; made when it is first asked for.
    pub fn of(&self, cluster: &ClusterName) -> Arc<Admission> {
        if let Some(admission) = self.by_cluster.load().get(cluster) {
            return Arc::clone(admission);
        }
        let made = Arc::new(Admission::default());
        self.by_cluster.rcu(|old| {
            let mut new = NameMap::clone(old);
            new.entry(cluster.clone()).or_insert_with(|| Arc::clone(&made));
            new
        });
        self.by_cluster.load().get(cluster).cloned().unwrap_or(made)
    }
}

/// One cluster's.
#[derive(Debug, Default)]
pub struct Admission {}

impl Admission {
    /// Carries out an action that touches no server; others are not its business.
    pub fn apply(&self, _action: &Action, _now: Instant) {}
}
