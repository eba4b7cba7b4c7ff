//! What is shown of fleet migrations and lanes.

use std::time::Duration;

use super::lane::Closed;
use crate::ids::{ClusterName, MigrationId};
use crate::migrations::fleet::ledger::{Counts, Kind, Moment, Phase};

/// What a fleet migration does now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Waits until another one that changes the same table is over.
    Queued {
        /// That one.
        behind: MigrationId,
    },
    /// Its turn has come, and its databases are read: it was planned while another one changed the table.
    Planning {
        /// Why they could not be read; it is tried again.
        trouble: Option<String>,
    },
    /// Begins databases of the wave.
    Working,
    /// The wave is done; waits whether all stays well.
    Soaking {
        /// Until then, if it does.
        until: Moment,
    },
    /// Everything else is done; workspaces are moving or suspended, shards drained.
    WaitsForLater,
    /// Does nothing: paused, stopped, cancelled or finished.
    Still,
}

/// One cluster's part.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterStatus {
    /// The cluster.
    pub cluster: ClusterName,
    /// Why nothing is begun there.
    pub closed: Option<Closed>,
    /// By wave.
    pub waves: Vec<Counts>,
}

impl ClusterStatus {
    /// All waves together.
    pub fn counts(&self) -> Counts {
        let mut all = Counts::default();
        self.waves.iter().for_each(|wave| all.plus(wave));
        all
    }
}

/// One fleet migration, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Its id.
    pub id: MigrationId,
    /// Where it stands.
    pub phase: Phase,
    /// What it does now.
    pub stage: Stage,
    /// The wave, from 0.
    pub wave: u16,
    /// Its clusters.
    pub clusters: Vec<ClusterStatus>,
    /// Databases that were over in a second, of late.
    pub per_second: f64,
    /// Until all is over at that rate, pauses between waves not counted; absent while that is not known.
    pub remaining: Option<Duration>,
}

impl Status {
    /// All clusters and waves together.
    pub fn counts(&self) -> Counts {
        let mut all = Counts::default();
        self.clusters.iter().for_each(|cluster| all.plus(&cluster.counts()));
        all
    }

    /// Databases of both definitions are in use: running code has to cope with both.
    pub fn is_mixed(&self) -> bool {
        let counts = self.counts();
        let old = counts.total() - counts.done() - counts.of(Kind::Gone);
        counts.done() > 0 && old > 0
    }
}

/// One cluster's lane, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneStatus {
    /// The cluster.
    pub cluster: ClusterName,
    /// Why nothing is begun there.
    pub closed: Option<Closed>,
    /// The share of the budget that is used.
    pub share: f64,
    /// Databases that may be changed at once now.
    pub at_once: u32,
    /// Statements that may be sent in a second now.
    pub statements_per_second: f64,
    /// Databases that are being changed, or of which it is not known.
    pub occupied: u32,
    /// Schema changes of others that are running.
    pub foreign: u32,
    /// Why the share was halved last.
    pub worse: Option<&'static str>,
}

impl LaneStatus {
    /// Of a cluster of which nothing is known.
    pub(in crate::migrations::fleet) fn unread(cluster: &ClusterName) -> Self {
        Self {
            cluster: cluster.clone(),
            closed: Some(Closed::Unread),
            share: 0.0,
            at_once: 0,
            statements_per_second: 0.0,
            occupied: 0,
            foreign: 0,
            worse: None,
        }
    }
}
