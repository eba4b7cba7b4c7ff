//! What doors see, made from what the driver knows.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::door::{DatabaseFilter, DatabaseRow, FleetClusterRow, FleetRow, FleetStatus, WaveStatus};
use super::execute::LiveExecutor;
use crate::ids::{ClusterName, MigrationId};
use crate::migrations::fleet::drive::Driver;
use crate::migrations::fleet::ledger::{
    Action, Counts, Header, Kind, Moment, Order, Phase, Row, Standing, Wave,
};
use crate::migrations::fleet::schedule::{LaneStatus, Stage, Status};

/// Troubled databases that are shown with a migration.
const TROUBLED_MAX: usize = 20;
/// Databases in one list.
const LISTED_MAX: usize = 100_000;

/// Everything that is shown.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Shown {
    pub(super) statuses: BTreeMap<MigrationId, FleetStatus>,
    pub(super) lanes: Vec<LaneStatus>,
    /// What new databases are changed by, oldest first.
    pub(super) orders: Vec<Arc<Order>>,
}

/// As of now.
pub(super) fn of(driver: &Driver<LiveExecutor>, now: Moment) -> Shown {
    let scheduler = driver.scheduler();
    let lanes = scheduler.lanes();
    let by_name: HashMap<&ClusterName, &LaneStatus> =
        lanes.iter().map(|lane| (&lane.cluster, lane)).collect();
    let mut statuses: BTreeMap<MigrationId, FleetStatus> =
        driver.past().map(|header| (header.order.id.clone(), past(header, &by_name))).collect();
    for status in scheduler.status(now) {
        let (Some(header), Some(rows)) = (scheduler.header(&status.id), scheduler.rows(&status.id)) else {
            continue;
        };
        statuses.insert(status.id.clone(), present((header, rows), &status, &by_name, now));
    }
    let headers = driver.past().chain(statuses.keys().filter_map(|id| scheduler.header(id)));
    Shown { orders: settled(headers), statuses, lanes }
}

/// What was decided for all databases, by now: nothing that is still with its canaries, was cancelled, or was
/// taken back, unless that was taken back itself.
fn settled<'a>(headers: impl Iterator<Item = &'a Header>) -> Vec<Arc<Order>> {
    let mut headers: Vec<&Header> = headers.collect();
    headers.sort_by(|a, b| b.order.id.cmp(&a.order.id));
    let (mut settled, mut taken_back) = (Vec::new(), HashSet::new());
    for Header { order, progress, .. } in headers {
        let is_settled = match progress.phase {
            Phase::Finished => true,
            Phase::Active => progress.wave > 0,
            Phase::Paused { .. }
            | Phase::Stopped { .. }
            | Phase::Cancelled { .. }
            | Phase::Refused { .. } => false,
        };
        // Whatever takes one back is younger, and was met before.
        match &order.action {
            _ if taken_back.contains(&order.id) => {}
            Action::Revert { of, .. } => {
                taken_back.insert(of.clone());
            }
            Action::Change if is_settled => settled.push(order.clone()),
            Action::Change => {}
        }
    }
    settled.reverse();
    settled
}

/// One that is over, and whose rows are not in memory: as it was at its end, and the lanes as they are now.
fn past(header: &Header, lanes: &HashMap<&ClusterName, &LaneStatus>) -> FleetStatus {
    let counts = header.progress.totals.unwrap_or_default();
    let row = row_of(header, counts, Stage::Still, (0.0, None));
    let part = |(cluster, waves): &(ClusterName, Vec<Counts>)| {
        let lane = lanes.get(cluster).map_or_else(|| LaneStatus::unread(cluster), |lane| (*lane).clone());
        FleetClusterRow { lane, waves: waves.clone() }
    };
    let mut clusters: Vec<FleetClusterRow> = header.progress.parts.iter().map(part).collect();
    clusters.sort_by(|a, b| a.lane.cluster.cmp(&b.lane.cluster));
    FleetStatus {
        row,
        waves: waves_of(header, &clusters),
        clusters,
        troubled: Vec::new(),
        later: BTreeMap::new(),
        pace: header.progress.pace,
    }
}

fn present(
    (header, rows): (&Header, &[Row]),
    status: &Status,
    lanes: &HashMap<&ClusterName, &LaneStatus>,
    now: Moment,
) -> FleetStatus {
    let counts = status.counts();
    let mut row = row_of(header, counts, status.stage.clone(), (status.per_second, status.remaining));
    row.waits_for = waits_for(header, status, now);
    let part = |part: &crate::migrations::fleet::schedule::ClusterStatus| {
        let lane = LaneStatus::clone(lanes.get(&part.cluster)?);
        Some(FleetClusterRow { lane, waves: part.waves.clone() })
    };
    let mut clusters: Vec<FleetClusterRow> = status.clusters.iter().filter_map(part).collect();
    clusters.sort_by(|a, b| a.lane.cluster.cmp(&b.lane.cluster));
    let waves = waves_of(header, &clusters);
    let (troubled, later) = if counts.of(Kind::Failed) + counts.of(Kind::Drifted) + counts.of(Kind::Later) > 0
    {
        (troubled(rows), later(rows))
    } else {
        (Vec::new(), BTreeMap::new())
    };
    FleetStatus { row, waves, clusters, troubled, later, pace: header.progress.pace }
}

/// The waves, all clusters together.
fn waves_of(header: &Header, clusters: &[FleetClusterRow]) -> Vec<WaveStatus> {
    let wave = |(at, wave): (usize, &Wave)| {
        let mut counts = Counts::default();
        clusters.iter().filter_map(|part| part.waves.get(at)).for_each(|part| counts.plus(part));
        WaveStatus { wave: wave.clone(), counts }
    };
    // Of one that ended before its parts were written down nothing is known by wave.
    if clusters.is_empty() { Vec::new() } else { header.order.waves.iter().enumerate().map(wave).collect() }
}

fn troubled(rows: &[Row]) -> Vec<DatabaseRow> {
    let is_troubled = |row: &&Row| matches!(row.record.standing, Standing::Failed | Standing::Drifted);
    rows.iter().filter(is_troubled).take(TROUBLED_MAX).map(database).collect()
}

fn later(rows: &[Row]) -> BTreeMap<&'static str, u32> {
    let mut later = BTreeMap::new();
    for row in rows {
        if let Standing::Later(why) = row.record.standing {
            *later.entry(why.word()).or_default() += 1;
        }
    }
    later
}

fn row_of(
    header: &Header,
    counts: Counts,
    stage: Stage,
    (per_second, remaining): (f64, Option<Duration>),
) -> FleetRow {
    let (order, progress) = (&header.order, &header.progress);
    let wave_name = order.waves.get(usize::from(progress.wave)).map(|wave| wave.name.clone());
    let old = counts.total() - counts.done() - counts.of(Kind::Gone);
    FleetRow {
        id: order.id.clone(),
        keyspace: order.keyspace.clone(),
        statement: order.statement.clone(),
        tables: order.tables.clone(),
        user: order.user.clone(),
        submitted: wall(order.submitted),
        phase: progress.phase.clone(),
        stage,
        wave: progress.wave,
        wave_name: wave_name.unwrap_or_default(),
        waves: u16::try_from(order.waves.len()).unwrap_or(u16::MAX),
        counts,
        per_second,
        remaining,
        waits_for: match &progress.phase {
            Phase::Refused { why } => Some(why.clone()),
            _ => None,
        },
        is_mixed: counts.done() > 0 && old > 0,
        reverts: match &order.action {
            Action::Revert { of, .. } => Some(of.clone()),
            Action::Change => None,
        },
        ended: progress.ended.map(wall),
    }
}

fn waits_for(header: &Header, status: &Status, now: Moment) -> Option<String> {
    match (&header.progress.phase, &status.stage) {
        (Phase::Paused { by }, _) => Some(format!("{by} paused it")),
        (Phase::Stopped { why } | Phase::Refused { why }, _) => Some(why.clone()),
        (Phase::Cancelled { .. }, _) if header.progress.ended.is_none() => {
            Some("what is being changed comes to its end".to_owned())
        }
        (Phase::Cancelled { .. } | Phase::Finished, _) => None,
        (Phase::Active, Stage::Queued { behind }) => {
            Some(format!("fleet migration {behind} changes the same table"))
        }
        (Phase::Active, Stage::Planning { trouble: None }) => {
            Some("its turn has come: what its databases are like is read again".to_owned())
        }
        (Phase::Active, Stage::Planning { trouble: Some(why) }) => {
            Some(format!("its databases cannot be read, which is tried again: {why}"))
        }
        (Phase::Active, Stage::Soaking { until }) => {
            let left = until.since(now).as_secs();
            Some(format!("whether all stays well, for {left} s more"))
        }
        (Phase::Active, Stage::WaitsForLater) => {
            Some("workspaces are moving or suspended, or shards drained".to_owned())
        }
        (Phase::Active, Stage::Working | Stage::Still) => {
            let closed = status.clusters.iter().filter_map(|part| {
                let waiting = part.counts().of(Kind::Waiting) > 0;
                let why = part.closed.filter(|_| waiting)?;
                Some(format!("cluster {}: {}", part.cluster, why.words()))
            });
            let closed: Vec<String> = closed.collect();
            (!closed.is_empty()).then(|| closed.join("; "))
        }
    }
}

/// Those that match, in order.
pub(super) fn databases(rows: &[Row], filter: &DatabaseFilter) -> Vec<DatabaseRow> {
    let matches = |row: &&Row| {
        filter.kind.is_none_or(|kind| row.record.standing.kind() == kind)
            && filter.cluster.as_ref().is_none_or(|cluster| row.cluster == *cluster)
    };
    let limit = filter.limit.min(LISTED_MAX);
    rows.iter().filter(matches).skip(filter.skip).take(limit).map(database).collect()
}

fn database(row: &Row) -> DatabaseRow {
    DatabaseRow {
        database: row.database.to_string(),
        workspace: row.workspace.clone(),
        shard: row.shard.clone(),
        cluster: row.cluster.clone(),
        wave: row.wave,
        record: row.record.clone(),
    }
}

fn wall(moment: Moment) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(moment.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrations::fleet::fixture::order;

    #[test]
    fn what_was_taken_back_is_not_for_new_databases() {
        let header = |id: &str, of: Option<&str>| {
            let mut order = order(id, "issues", Vec::new());
            if let Some(of) = of {
                order.action = Action::Revert { of: MigrationId::new(of), redoes: false };
            }
            let mut header = Header::new(order, 1, 0);
            header.progress.phase = Phase::Finished;
            header
        };
        let all = [
            header("0001", None),
            header("0002", None),
            header("0003", Some("0001")),
            header("0004", Some("0002")),
            // The first one is done again.
            header("0005", Some("0003")),
        ];
        let ids = |count: usize| {
            let settled = settled(all[..count].iter());
            settled.iter().map(|order| order.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(ids(2), ["0001", "0002"]);
        assert_eq!(ids(3), ["0002"]);
        assert_eq!(ids(4), Vec::<String>::new());
        assert_eq!(ids(5), ["0001"]);
    }
}
