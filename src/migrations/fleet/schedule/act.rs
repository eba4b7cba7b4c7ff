//! What a scheduler says: what is to be done, and what is to be told.

use std::sync::Arc;

use super::campaign::Campaign;
use super::lane::Closed;
use crate::ids::{ClusterName, MigrationId, ShardName, WorkspaceId};
use crate::migrations::fleet::ledger::{Action, Order, Row, Why};

/// Where a database is and whether it may be touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where its row says.
    Ready,
    /// Somewhere else.
    Elsewhere {
        /// The shard.
        shard: ShardName,
        /// The cluster.
        cluster: ClusterName,
    },
    /// It is to be left alone now.
    Later(Why),
    /// It is not there any more.
    Gone,
}

/// Answers where databases are; asked before each is begun, so it must be quick.
pub trait Places {
    /// Where the database of a row is.
    fn place(&self, order: &Order, row: &Row) -> Place;

    /// Databases that came into being since the order was made, as rows of its last wave: asked when
    /// everything else is done.
    fn latecomers(&self, order: &Order, rows: &[Row]) -> Vec<Row> {
        let _nobody_comes_late = (order, rows);
        Vec::new()
    }
}

/// What is to be done with one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The fleet migration.
    pub order: Arc<Order>,
    /// The row.
    pub row: u32,
    /// How often the database was begun, this time included.
    pub attempt: u16,
    /// Steps that were done already, one bit each; of a revert those that are not its own.
    pub there: u64,
    /// The database on the server.
    pub database: Box<str>,
    /// Its workspace.
    pub workspace: Option<WorkspaceId>,
    /// The shard.
    pub shard: ShardName,
    /// The cluster.
    pub cluster: ClusterName,
}

impl Work {
    /// Says whether a step is none of this database's: what was there before is not taken back.
    pub fn passes_over(&self, step: usize) -> bool {
        self.order.action != Action::Change && self.there >> step & 1 == 1
    }

    /// What is to be done with a row.
    pub(super) fn of(campaign: &Campaign, row: u32) -> Self {
        let known = &campaign.rows[row as usize];
        Self {
            order: campaign.order().clone(),
            row,
            attempt: known.record.attempts,
            there: known.there,
            database: known.database.clone(),
            workspace: known.workspace.clone(),
            shard: known.shard.clone(),
            cluster: known.cluster.clone(),
        }
    }
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Change the database; its row says *running*.
    Change(Work),
    /// Look what became of it.
    Look(Work),
    /// Stop changing it, if that still can be done; its end is told as any other.
    Stop(Work),
    /// Plan the order again: its turn has come. What comes of it is told by [`Scheduler::planned`] or
    /// [`Scheduler::unplanned`].
    ///
    /// [`Scheduler::planned`]: super::Scheduler::planned
    /// [`Scheduler::unplanned`]: super::Scheduler::unplanned
    Plan(Arc<Order>),
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A wave has begun.
    WaveBegan {
        /// The migration.
        id: MigrationId,
        /// The wave, from 0.
        wave: u16,
    },
    /// A migration stopped by itself.
    Stopped {
        /// The migration.
        id: MigrationId,
        /// Why.
        why: String,
    },
    /// A migration is over.
    Ended {
        /// The migration.
        id: MigrationId,
    },
    /// Nothing is begun on a cluster any more.
    Closed {
        /// The cluster.
        cluster: ClusterName,
        /// Why.
        why: Closed,
    },
    /// Something may be begun on a cluster again.
    Opened {
        /// The cluster.
        cluster: ClusterName,
    },
}

/// What follows from being told something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// To be done, once what [`take_writes`](super::Scheduler::take_writes) gives is written.
    pub acts: Vec<Act>,
    /// To be told.
    pub events: Vec<Event>,
}
