//! What migrations need of their neighbours: the gates of tables, the states of clusters.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::announce::LaneLog;
use super::health::Board;
use crate::admission::Admissions;
use crate::drain::{Covers, GateState, Scope};
use crate::health::{Meters, Signal};
use crate::ids::ClusterName;
use crate::migrations::fleet::live::{Fleet, FleetSurroundings};
use crate::migrations::{ClusterNews, ClusterSignals, GatedTable, Migrations, Surroundings, TableGate};
use crate::topology::{SnapshotCell, Store};

/// The neighbours.
#[derive(Clone)]
pub(super) struct Beside {
    pub(super) board: Arc<Board>,
    pub(super) admissions: Arc<Admissions>,
}

impl Beside {
    /// The service, not yet started.
    pub(super) fn migrations(
        &self,
        snapshots: &Arc<SnapshotCell>,
        store: &Arc<dyn Store>,
        meters: &Arc<Meters>,
    ) -> Migrations {
        Migrations::new(Surroundings {
            snapshots: snapshots.clone(),
            store: store.clone(),
            gate: Arc::new(self.clone()),
            signals: Arc::new(self.clone()),
            meters: meters.clone(),
        })
    }

    /// The fleet's service, not yet started, beside that of single tables.
    pub(super) fn fleet(
        &self,
        migrations: &Migrations,
        (snapshots, store, meters): (&Arc<SnapshotCell>, &Arc<dyn Store>, &Arc<Meters>),
    ) -> Fleet {
        Fleet::new(FleetSurroundings {
            snapshots: snapshots.clone(),
            store: store.clone(),
            migrations: migrations.clone(),
            signals: Arc::new(self.clone()),
            meters: meters.clone(),
            hook: Arc::new(LaneLog),
        })
    }

    fn set(&self, table: &GatedTable, state: GateState) {
        let admission = self.admissions.of(&table.cluster);
        admission.set_gate(scope(table), state, Covers::All, Instant::now());
    }
}

/// Where workspaces have databases of their own, a table's name is that of thousands.
fn scope(table: &GatedTable) -> Scope {
    let (keyspace, shard, name) = (table.keyspace.clone(), table.shard.clone(), table.table.clone());
    match &table.workspace {
        Some(workspace) => Scope::OwnTable(keyspace, shard, workspace.clone(), name),
        None => Scope::Table(keyspace, shard, name),
    }
}

/// Says whether writes stall by these signals. Slow ones do not: a schema change's pace goes by their times.
fn is_stalling(raised: impl IntoIterator<Item = Signal>) -> bool {
    let stalls = [Signal::OverdueWrites, Signal::WriteErrors, Signal::Heartbeat];
    raised.into_iter().any(|signal| stalls.contains(&signal))
}

impl TableGate for Beside {
    fn hold(&self, table: &GatedTable, within: Duration) {
        self.set(table, GateState::Buffering { until: Instant::now() + within });
    }

    fn release(&self, table: &GatedTable) {
        self.set(table, GateState::Open);
    }
}

impl ClusterSignals for Beside {
    fn news(&self, cluster: &ClusterName) -> Option<ClusterNews> {
        let is_lane_open = !self.admissions.of(cluster).is_ddl_closed();
        self.board.look(cluster, |at, row| ClusterNews {
            at,
            state: row.state,
            is_stalling: is_stalling(row.evidence.iter().map(|evidence| evidence.signal)),
            is_lane_open,
            is_drained: row.decision.stage.is_drain(),
        })
    }
}
