//! A fleet migration that is under way, for the golden answers.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::{AdminFuture, FleetOrders, FleetView};
use crate::error::ClientError;
use crate::ids::{ClusterName, Keyspace, MigrationId, ShardName, UserName, WorkspaceId};
use crate::migrations::Failure;
use crate::migrations::fleet::ledger::{Counts, Kind, Moment, Pace, Phase, Record, Standing, Wave};
use crate::migrations::fleet::live::{
    DatabaseFilter, DatabaseRow, FleetClusterRow, FleetError, FleetPlan, FleetRequest, FleetRow, FleetStatus,
    Submitted, WaveStatus,
};
use crate::migrations::fleet::schedule::{Closed, Command, LaneStatus, Refusal, Stage};

/// Its id.
const ID: &str = "018f00000000dddd";

/// The same at any time.
pub(super) struct FixedFleet;

fn second(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_709_156_400 + seconds)
}

/// By their stored form: nothing else outside of the scheduler makes counts.
fn counts(of: &[(Kind, u32)]) -> Counts {
    let count = |kind: Kind| of.iter().find(|(known, _)| *known == kind).map_or(0, |(_, count)| *count);
    serde_json::from_value(Kind::ALL.map(count).as_slice().into()).unwrap()
}

fn row() -> FleetRow {
    FleetRow {
        id: MigrationId::new(ID),
        keyspace: Keyspace::new("workspaces"),
        statement: "ALTER TABLE issues ADD a INT".into(),
        tables: vec!["issues".into()],
        user: UserName::new("app"),
        submitted: second(30),
        phase: Phase::Active,
        stage: Stage::Working,
        wave: 1,
        wave_name: "all".into(),
        waves: 2,
        counts: counts(&[
            (Kind::Waiting, 87),
            (Kind::Later, 1),
            (Kind::Running, 2),
            (Kind::Changed, 28),
            (Kind::There, 1),
            (Kind::Failed, 1),
        ]),
        per_second: 2.5,
        remaining: Some(Duration::from_secs(36)),
        waits_for: None,
        is_mixed: true,
        reverts: None,
        ended: None,
    }
}

fn lane(cluster: &str, closed: Option<Closed>) -> LaneStatus {
    LaneStatus {
        cluster: ClusterName::new(cluster),
        closed,
        share: 0.55,
        at_once: 4,
        statements_per_second: 5.5,
        occupied: 2,
        foreign: u32::from(closed.is_some()),
        worse: closed.map(|_| "writes take longer"),
    }
}

fn wave(name: &str, databases: u32, soak_ms: u64, failures_max: u32) -> Wave {
    Wave { name: name.into(), databases, soak_ms, failures_max, closings_max: 0 }
}

fn failed() -> DatabaseRow {
    let record = Record {
        standing: Standing::Failed,
        attempts: 5,
        began: Some(Moment::from_wall(second(40))),
        ended: Some(Moment::from_wall(second(42))),
        failure: Some(Box::new(Failure::new("Lock wait timeout exceeded"))),
        ..Record::WAITING
    };
    DatabaseRow {
        database: "ws_7".into(),
        workspace: Some(WorkspaceId::Number(7)),
        shard: ShardName::new("ws-b"),
        cluster: ClusterName::new("c2"),
        wave: 1,
        record,
    }
}

impl FleetView for FixedFleet {
    fn rows(&self) -> Vec<FleetRow> {
        vec![row()]
    }

    fn status(&self, id: &MigrationId) -> Option<FleetStatus> {
        let canary = counts(&[(Kind::Changed, 3)]);
        let rest = counts(&[(Kind::Waiting, 87), (Kind::Running, 2), (Kind::Changed, 25), (Kind::Failed, 1)]);
        (id.as_str() == ID).then(|| FleetStatus {
            row: row(),
            waves: vec![
                WaveStatus { wave: wave("canary", 3, 300_000, 0), counts: canary },
                WaveStatus { wave: wave("all", 117, 0, 2), counts: rest },
            ],
            clusters: vec![
                FleetClusterRow { lane: lane("c1", None), waves: vec![canary] },
                FleetClusterRow { lane: lane("c2", Some(Closed::Drained)), waves: vec![rest] },
            ],
            troubled: vec![failed()],
            later: BTreeMap::from([("moving", 1)]),
            pace: Some(Pace { at_once: 4, statements_per_second: 5.5 }),
        })
    }

    fn lanes(&self) -> Vec<LaneStatus> {
        vec![lane("c1", None), lane("c2", Some(Closed::Drained))]
    }

    fn databases<'a>(
        &'a self,
        _: &'a MigrationId,
        filter: &'a DatabaseFilter,
    ) -> AdminFuture<'a, Result<Vec<DatabaseRow>, ClientError>> {
        let waiting = DatabaseRow {
            database: "ws_8".into(),
            workspace: Some(WorkspaceId::Number(8)),
            record: Record::WAITING,
            ..failed()
        };
        let is_wanted = |row: &DatabaseRow| {
            filter.kind.is_none_or(|kind| kind == row.record.standing.kind())
                && filter.cluster.as_ref().is_none_or(|cluster| *cluster == row.cluster)
        };
        let rows = [failed(), waiting].into_iter().filter(is_wanted).skip(filter.skip).take(filter.limit);
        let rows: Vec<DatabaseRow> = rows.collect();
        Box::pin(async move { Ok(rows) })
    }
}

impl FleetOrders for FixedFleet {
    fn plan<'a>(&'a self, request: &'a FleetRequest) -> AdminFuture<'a, Result<FleetPlan, ClientError>> {
        Box::pin(async move {
            Ok(FleetPlan {
                keyspace: request.keyspace.clone(),
                databases: 120,
                steps: Vec::new(),
                to_change: 119,
                done: 1,
                drifted: (0, Vec::new()),
                unread: (0, Vec::new()),
                later: BTreeMap::new(),
                clusters: BTreeMap::new(),
                waves: vec![wave("canary", 3, 60_000, 0), wave("all", 117, 0, 2)],
                behind: Vec::new(),
                refused: None,
                warnings: Vec::new(),
            })
        })
    }

    fn submit(&self, request: FleetRequest) -> AdminFuture<'_, Result<Submitted, ClientError>> {
        Box::pin(async move {
            if request.keyspace.as_str() != "workspaces" {
                return Err(FleetError::NoKeyspace(request.keyspace).into());
            }
            match request.statements.len() {
                1 => Ok(Submitted::Begun(MigrationId::new(ID))),
                databases => Ok(Submitted::AllThere { databases: databases as u32 }),
            }
        })
    }

    fn revert<'a>(
        &'a self,
        id: &'a MigrationId,
        _: &'a UserName,
    ) -> AdminFuture<'a, Result<MigrationId, ClientError>> {
        let refusal = Refusal::NotAtRest { id: id.clone(), phase: "active" };
        Box::pin(async move { Err(FleetError::Command(refusal).into()) })
    }

    fn command<'a>(
        &'a self,
        id: &'a MigrationId,
        command: Command,
        by: &'a UserName,
    ) -> AdminFuture<'a, Result<String, ClientError>> {
        Box::pin(async move { Ok(format!("fleet migration {id}: {command:?} by {by}")) })
    }
}
