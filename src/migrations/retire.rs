//! Old tables whose time is over, and what migrations left behind.
//!
//! A table is dropped because the ledger says so, or because its own name bears the id of a migration that is
//! over, or that nobody knows and that is older than anything kept. Never for any other reason. The kept
//! table of a change that was to be taken back, which bears the name of the migration that came to nothing,
//! gets its own name back.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::ARTIFACTS;
use super::engine;
use super::ledger::tables::{self, Leftover};
use super::ledger::{ENDED_KEPT_MAX, Record, time_of};
use super::run::{Shared, Side, Step, put_back};
use super::view::State;
use crate::backend::direct::{Direct, DirectError};
use crate::ids::{ClusterName, MigrationId};
use crate::topology::StoreError;

/// Between two looks at what is due.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Between two looks at what was left behind.
const CLEAR_EVERY: Duration = Duration::from_secs(3600);
/// A table of a migration that nobody knows is kept for so long, and at least as long as old tables are.
const UNKNOWN_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Between two drops: a fleet's old tables are due at the same time, and are to leave gently.
const DROP_EVERY: Duration = Duration::from_millis(100);
/// Between two looks at the least: everything that migrations do wakes this.
const LOOK_AFTER: Duration = Duration::from_millis(200);

/// Looks until dropped; does nothing while another proxy carries migrations out.
pub(super) async fn keep_retiring(shared: Arc<Shared>) {
    let mut owned = shared.owned();
    let mut changes = shared.ledger.changes();
    let mut cleared: Option<tokio::time::Instant> = None;
    loop {
        if *owned.borrow_and_update() {
            // Before the look: what changes while it lasts is looked at again.
            changes.mark_unchanged();
            let next = retire_due(&shared).await;
            if cleared.is_none_or(|at| at.elapsed() >= CLEAR_EVERY) {
                cleared = Some(tokio::time::Instant::now());
                clear_all(&shared).await;
                forget_old(&shared).await;
            }
            tokio::select! {
                () = tokio::time::sleep(next) => {}
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    tokio::time::sleep(LOOK_AFTER).await;
                }
            }
        } else if owned.changed().await.is_err() {
            return;
        }
    }
}

/// Drops an old table at the next look, which is at once.
pub(super) async fn retire_soon(shared: &Shared, id: &MigrationId) -> Result<(), StoreError> {
    let now = SystemTime::now();
    let changed = shared.ledger.update(id, |record| {
        if let Some(kept) = &mut record.kept {
            kept.until = kept.until.min(now);
        }
    });
    changed.await.map(drop)
}

/// Drops what is due; says when to look again.
async fn retire_due(shared: &Shared) -> Duration {
    let now = SystemTime::now();
    let mut next = LOOK_EVERY;
    for record in shared.ledger.all() {
        let Some(kept) = record.kept.as_ref().filter(|_| record.state == State::Done) else { continue };
        match kept.until.duration_since(now) {
            Ok(left) if !left.is_zero() => next = next.min(left),
            _ if shared.throttles.is_lane_closed(&record.request.cluster) => {}
            _ => {
                if let Err(why) = retire(shared, &record).await {
                    tracing::warn!(id = %record.id, why, "an old table could not be dropped yet");
                }
                tokio::time::sleep(DROP_EVERY).await;
            }
        }
    }
    next.max(Duration::from_millis(100))
}

async fn retire(shared: &Shared, record: &Record) -> Result<(), String> {
    if is_being_reverted(shared, record) {
        return Ok(());
    }
    shared.fail_points.pass(Side::Before, Step::Retire);
    let mut conn = open(shared, &record.request.cluster).await?;
    let (home, old) = (record.old_home(), record.old());
    tables::drop_table(&mut conn, &home, &old).await.map_err(|error| error.to_string())?;
    tables::drop_own_databases(&mut conn, record).await.map_err(|error| error.to_string())?;
    let changed = shared.ledger.update(&record.id, |record| record.kept = None);
    let changed = changed.await.map_err(|error| error.to_string())?;
    if let Some(record) = changed {
        tables::end(&mut conn, &record, SystemTime::now()).await.map_err(|error| error.to_string())?;
    }
    conn.close().await;
    tracing::info!(id = %record.id, table = record.old(), "an old table is dropped");
    shared.fail_points.pass(Side::After, Step::Retire);
    Ok(())
}

/// A migration that takes this one back has begun: the old table is its shadow.
fn is_being_reverted(shared: &Shared, record: &Record) -> bool {
    let all = shared.ledger.all();
    all.iter().any(|other| other.reverts.as_ref() == Some(&record.id) && !other.state.is_over())
}

async fn open(shared: &Shared, cluster: &ClusterName) -> Result<Direct, String> {
    let endpoint = shared.clusters.endpoint(cluster).map_err(|error| error.to_string())?;
    engine::open_session(&endpoint).await.map_err(|error| error.to_string())
}

async fn clear_all(shared: &Shared) {
    for cluster in shared.clusters.names() {
        if let Err(why) = clear(shared, &cluster).await {
            tracing::debug!(%cluster, why, "what migrations left behind could not be looked at");
        }
    }
}

async fn clear(shared: &Shared, cluster: &ClusterName) -> Result<(), String> {
    let mut conn = open(shared, cluster).await?;
    let found = match tables::leftovers(&mut conn).await {
        Ok(found) => found,
        // There is no database of artifacts: nothing was ever changed on this cluster.
        Err(error) if !error.is_lost() => return Ok(()),
        Err(error) => return Err(error.to_string()),
    };
    let now = SystemTime::now();
    let kept_for = shared.clusters.settings().keep_old_table.max(UNKNOWN_KEPT);
    for leftover in found {
        let known = shared.ledger.get(&leftover.id);
        let original = known.as_ref().and_then(|known| shared.ledger.get(known.reverts.as_ref()?));
        let fate = fate_of(&leftover, (known.as_deref(), original.as_deref()), kept_for, now);
        let (id, table) = (&leftover.id, &leftover.table);
        let done = match (fate, &known, &original) {
            (Fate::Dropped, _, _) => drop_leftover(&mut conn, &leftover).await,
            (Fate::PutBack, Some(revert), Some(original)) => put_back(&mut conn, revert, original).await,
            (Fate::PutBack | Fate::Kept, _, _) => continue,
        };
        match done {
            Ok(()) => tracing::info!(%cluster, %id, table, ?fate, "what a migration left behind is cleared"),
            Err(error) => tracing::warn!(%cluster, %id, table, ?fate, %error, "could not be cleared yet"),
        }
    }
    let twins = tables::drop_left_twins(&mut conn).await;
    conn.close().await;
    twins.map_err(|error| error.to_string())
}

async fn drop_leftover(conn: &mut Direct, leftover: &Leftover) -> Result<(), DirectError> {
    tables::drop_table(conn, &leftover.home, &leftover.table).await?;
    if leftover.home == ARTIFACTS { Ok(()) } else { tables::drop_if_empty(conn, &leftover.home).await }
}

/// What becomes of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Somebody needs it, or may.
    Kept,
    /// Nobody does.
    Dropped,
    /// It is the table that another migration keeps, under the name of the one that was to take that back.
    PutBack,
}

/// Decides about a table by the migration in its name (`known`), and the one that this was to take back.
fn fate_of(
    leftover: &Leftover,
    (known, original): (Option<&Record>, Option<&Record>),
    kept_for: Duration,
    now: SystemTime,
) -> Fate {
    let is_old_table = leftover.table.starts_with("old_");
    if let Some(record) = known {
        let is_kept = is_old_table && record.kept.is_some();
        let is_originals = !is_old_table && original.is_some_and(|original| original.kept.is_some());
        return match (record.state.is_over() && !is_kept, is_originals) {
            (false, _) => Fate::Kept,
            (true, true) => Fate::PutBack,
            (true, false) => Fate::Dropped,
        };
    }
    let age = time_of(&leftover.id).and_then(|at| now.duration_since(at).ok());
    let is_aged = age.is_some_and(|age| age > kept_for);
    // Another Bulkhead's, as far as the cluster knows: it is left to it.
    let is_others = leftover.state.is_some_and(|state| !state.is_over());
    if is_aged && !is_others { Fate::Dropped } else { Fate::Kept }
}

/// Says whether a record only tells what was. Those of changes in place have a bound of their own.
fn is_of_no_use(record: &Record) -> bool {
    record.state.is_over() && record.kept.is_none() && !record.is_direct
}

/// Ended migrations beyond a number are forgotten, oldest first.
async fn forget_old(shared: &Shared) {
    let all = shared.ledger.all();
    let mut ended: Vec<_> = all.iter().filter(|record| is_of_no_use(record)).collect();
    ended.sort_by_key(|record| record.ended);
    let beyond = ended.len().saturating_sub(ENDED_KEPT_MAX);
    for record in &ended[..beyond] {
        if let Err(error) = shared.ledger.forget(&record.id).await {
            tracing::debug!(id = %record.id, %error, "an old migration is forgotten later");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrations::ledger::{Kept, new_id};
    use crate::migrations::testing;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn only_what_nobody_needs_is_dropped() {
        let now = SystemTime::UNIX_EPOCH + DAY * 20_000;
        let id = new_id(now - DAY * 30);
        let left = |table: &str, state| Leftover {
            home: ARTIFACTS.to_owned(),
            table: format!("{table}_{id}"),
            id: id.clone(),
            state,
        };
        let mut record = testing::record(id.clone());
        let fate = |leftover: &Leftover, known: (Option<&Record>, Option<&Record>), kept_for| {
            fate_of(leftover, known, kept_for, now)
        };
        let is_dropped = |leftover: &Leftover, known: Option<&Record>, kept_for| {
            fate(leftover, (known, None), kept_for) == Fate::Dropped
        };
        let old = |record: &Record, table: &str| is_dropped(&left(table, None), Some(record), DAY);
        let unknown = |leftover: Leftover, kept_for| is_dropped(&leftover, None, kept_for);
        record.state = State::Copying;
        assert!(!old(&record, "new") && !old(&record, "old"));
        record.state = State::Done;
        record.kept = Some(Kept { until: now, position: None });
        assert!(old(&record, "new") && !old(&record, "old"), "it can still be reverted");
        record.kept = None;
        assert!(old(&record, "old"));
        // Nobody knows it: by its age, and only when the cluster does not say that it goes on.
        assert!(unknown(left("old", None), DAY * 7));
        assert!(!unknown(left("old", None), DAY * 31));
        assert!(!unknown(left("new", Some(State::Copying)), DAY * 7));
        assert!(unknown(left("new", Some(State::Failed)), DAY * 7));
        // The shadow of one that was to take another back is the other's kept table.
        let mut original = testing::record(new_id(now - DAY * 31));
        original.state = State::Done;
        record.reverts = Some(original.id.clone());
        let mut reverts = |state, kept: bool| {
            record.state = state;
            original.kept = kept.then_some(Kept { until: now, position: None });
            fate(&left("new", None), (Some(&record), Some(&original)), DAY)
        };
        assert_eq!(reverts(State::Copying, true), Fate::Kept);
        for state in [State::Failed, State::Cancelled] {
            assert_eq!(reverts(state, true), Fate::PutBack);
            assert_eq!(reverts(state, false), Fate::Dropped, "its time is over");
        }
    }
}
