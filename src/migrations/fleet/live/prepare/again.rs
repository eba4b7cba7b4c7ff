//! Migrations that wait behind another one of their table: what the databases are like now says nothing about
//! what they will be like when the turn comes.

use std::collections::HashSet;
use std::sync::Arc;

use super::make::{Draft, Made, again_of, bear, candidate, ground, make_plan, settled};
use super::planner::Mark;
use crate::error::ClientError;
use crate::migrations::fleet::ledger::{Again, Canary, Order, OrderStep, Ordering, Row, Standing};
use crate::migrations::fleet::live::door::{FleetError, FleetOptions, FleetRequest, FleetSettings};
use crate::migrations::fleet::live::statements::{mode_of, read_statements};
use crate::migrations::fleet::live::survey::{Definitions, Target, targets_of};
use crate::migrations::fleet::plan::lay_out;
use crate::migrations::fleet::schedule::{Afresh, Unplanned};
use crate::migrations::run::Clusters;
use crate::topology::Snapshot;

/// What a request is until its turn comes: every database of the keyspace, laid out in waves, and statements
/// without a definition.
///
/// # Errors
/// See [`FleetError`].
pub(in crate::migrations::fleet::live) async fn provisional(
    snapshot: &Snapshot,
    clusters: &Clusters,
    request: &FleetRequest,
) -> Result<Draft, FleetError> {
    let no_keyspace = || FleetError::NoKeyspace(request.keyspace.clone());
    let targets = targets_of(snapshot, &request.keyspace).ok_or_else(no_keyspace)?;
    let (settings, server) = ground(clusters, &targets, request).await?;
    let statements = read_statements(&request.statements, mode_of(&settings.sql_mode, server))?;
    let mut again = again_of(request, &snapshot.config.schema_changes.fleet);
    again.is_due = true;
    let candidates = targets.all.iter().map(|target| candidate(target, None, 0)).collect();
    let (mut waves, rows) = lay_out(candidates, &again.waves)?;
    bear(&mut waves, &again);
    let steps = statements.into_iter().map(|statement| OrderStep {
        text: statement.text,
        table: statement.table,
        kind: statement.kind,
        wanted: Vec::new(),
        before: Vec::new(),
    });
    Ok(Draft { steps: steps.collect(), statements: 1, settings, again, waves, rows })
}

/// Plans an order again whose turn has come.
///
/// # Errors
/// [`Unplanned`].
pub(in crate::migrations::fleet::live) async fn plan_again(
    snapshot: &Snapshot,
    (clusters, definitions): (&Arc<Clusters>, &Arc<Definitions>),
    order: &Order,
) -> Result<Afresh, Unplanned> {
    let refused = |error: FleetError| Unplanned::Refused(ClientError::from(error).message.into_owned());
    let Some(again) = &order.again else {
        return Err(Unplanned::Refused("how it is to be planned again is not kept".to_owned()));
    };
    let no_keyspace = || FleetError::NoKeyspace(order.keyspace.clone());
    let targets = targets_of(snapshot, &order.keyspace).ok_or_else(|| refused(no_keyspace()))?;
    let request = request_of(order, again, &targets.all);
    // Whoever was ahead has changed the tables, here or at another proxy.
    for target in &targets.all {
        order.tables.iter().for_each(|table| definitions.forget((&target.cluster, &target.database, table)));
    }
    let made = match make_plan(snapshot, clusters, definitions, &request).await {
        Ok(made) => made,
        Err(FleetError::Unread(why)) => return Err(Unplanned::Later(why)),
        Err(error) => return Err(refused(error)),
    };
    if let Some(error) = &made.plan.refused {
        return Err(Unplanned::Refused(error.message.to_string()));
    }
    Ok(afresh(order, made))
}

fn afresh(order: &Order, made: Made) -> Afresh {
    let Made { draft, targets, marks, .. } = made;
    let row = |(target, mark): (&Target, &Mark)| -> Option<Row> {
        match mark {
            Mark::Done => Some(settled(target, Standing::There, None)),
            Mark::Gone => Some(settled(target, Standing::Gone, None)),
            Mark::Todo | Mark::Drifted(_) | Mark::Unread(_) => None,
        }
    };
    let settled = targets.iter().zip(&marks).filter_map(row).collect();
    let Draft { steps, statements, waves, rows, .. } = draft;
    let order = Order { steps, statements, waves, ..order.clone() };
    Afresh { order, rows, settled }
}

/// The request that an order was made of, as far as its databases are still there.
fn request_of(order: &Order, again: &Again, targets: &[Target]) -> FleetRequest {
    let waves = &again.waves;
    let names = names_in(targets);
    let known = |list: &[String]| list.iter().filter(|name| names.contains(*name)).cloned().collect();
    let canary = match &waves.canary {
        Canary::Names(list) => Canary::Names(known(list)),
        Canary::Count(count) => Canary::Count(*count),
    };
    let ordering = match &waves.ordering {
        Ordering::ByList(list) => Ordering::ByList(known(list)),
        ordering => ordering.clone(),
    };
    let settings = order.settings.clone();
    FleetRequest {
        keyspace: order.keyspace.clone(),
        statements: order.steps.iter().map(|step| step.text.clone()).collect(),
        settings: FleetSettings {
            sql_mode: Some(settings.sql_mode),
            collation: Some(settings.collation),
            time_zone: Some(settings.time_zone),
        },
        options: FleetOptions {
            canary: Some(canary),
            waves: Some(waves.shares.clone()),
            soak: Some(waves.soak),
            ordering,
            pace: None,
            failures_max: again.failures_max,
            takes_drifted: again.takes_drifted,
            acknowledged: order.acknowledged,
            prove: order.prove,
        },
        user: order.user.clone(),
    }
}

/// Databases and workspaces, by name.
fn names_in(targets: &[Target]) -> HashSet<String> {
    let workspaces = targets.iter().filter_map(|target| target.workspace.as_ref().map(ToString::to_string));
    targets.iter().map(|target| target.database.to_string()).chain(workspaces).collect()
}
