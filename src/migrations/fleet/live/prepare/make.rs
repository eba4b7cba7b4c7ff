//! From a request to a plan with its rows.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::planner::{Grounds, Mark, Planned, plan};
use super::scratch::Scratch;
use crate::config::FleetChanges;
use crate::ids::ClusterName;
use crate::migrations::fleet::ledger::{Again, Moment, OrderStep, Record, Row, Standing, Wave};
use crate::migrations::fleet::live::door::FleetError;
use crate::migrations::fleet::live::door::FleetPlan;
use crate::migrations::fleet::live::door::FleetRequest;
use crate::migrations::fleet::live::statements::{Statement, mode_of, read_statements};
use crate::migrations::fleet::live::survey::{Definitions, Target, Targets, survey, targets_of};
use crate::migrations::fleet::live::turns::budget_of;
use crate::migrations::fleet::plan::{Canary, Candidate, Ordering, WaveFault, WavePlan, lay_out};
use crate::migrations::run::Clusters;
use crate::migrations::{Failure, StatementSettings};
use crate::sql::ServerVersion;
use crate::topology::Snapshot;

/// A plan, and what an order is made of.
pub(in crate::migrations::fleet::live) struct Made {
    pub(in crate::migrations::fleet::live) plan: FleetPlan,
    pub(in crate::migrations::fleet::live) draft: Draft,
    /// It is refused for naming what is not there: another migration may be about to make that.
    pub(in crate::migrations::fleet::live) lacks: bool,
    pub(super) targets: Vec<Target>,
    /// What becomes of each target.
    pub(super) marks: Vec<Mark>,
}

/// What an order and its rows are made of, beside the request.
pub(in crate::migrations::fleet::live) struct Draft {
    pub(in crate::migrations::fleet::live) steps: Vec<OrderStep>,
    pub(in crate::migrations::fleet::live) statements: u16,
    pub(in crate::migrations::fleet::live) settings: StatementSettings,
    pub(in crate::migrations::fleet::live) again: Again,
    pub(in crate::migrations::fleet::live) waves: Vec<Wave>,
    pub(in crate::migrations::fleet::live) rows: Vec<Row>,
}

/// Plans a request: reads what the databases are like, decides, lays out waves.
///
/// # Errors
/// See [`FleetError`].
pub(in crate::migrations::fleet::live) async fn make_plan(
    snapshot: &Snapshot,
    clusters: &Arc<Clusters>,
    definitions: &Arc<Definitions>,
    request: &FleetRequest,
) -> Result<Made, FleetError> {
    let no_keyspace = || FleetError::NoKeyspace(request.keyspace.clone());
    let targets = targets_of(snapshot, &request.keyspace).ok_or_else(no_keyspace)?;
    let (settings, server) = ground(clusters, &targets, request).await?;
    let statements = read_statements(&request.statements, mode_of(&settings.sql_mode, server))?;
    let names = names_of(&statements);
    let with_sizes = request.options.ordering == Ordering::BySize;
    let survey = survey(clusters, definitions, &targets.all, &names, with_sizes).await;
    let fleet = &snapshot.config.schema_changes.fleet;
    let grounds = Grounds {
        request,
        statements: &statements,
        settings: &settings,
        targets: &targets,
        names: &names,
        clusters,
        definitions,
        budget: budget_of(fleet),
    };
    let planned = plan(grounds, survey).await?;
    forget_settled(definitions, (&targets.all, &planned.marks), &names);
    let again = again_of(request, fleet);
    let (waves, rows) = rows_of(&targets.all, &planned, &again)?;
    let Planned { mut plan, steps, statements, marks, lacks, .. } = planned;
    plan.waves.clone_from(&waves);
    let draft = Draft { steps, statements, settings, again, waves, rows };
    Ok(Made { plan, draft, lacks, targets: targets.all, marks })
}

/// What is to be changed is looked at again before it is. What is not is left at what was read, so that is
/// remembered for no later plan: somebody may have mended it by then, or undone it.
fn forget_settled(definitions: &Definitions, (targets, marks): (&[Target], &[Mark]), names: &[String]) {
    let is_settled = |mark: &Mark| matches!(mark, Mark::Done | Mark::Drifted(_));
    for (target, _) in targets.iter().zip(marks).filter(|(_, mark)| is_settled(mark)) {
        names.iter().for_each(|name| definitions.forget((&target.cluster, &target.database, name)));
    }
}

/// How a request is to go: what it does not say is as the config says.
pub(super) fn again_of(request: &FleetRequest, fleet: &FleetChanges) -> Again {
    let options = &request.options;
    let waves = WavePlan {
        canary: options.canary.clone().unwrap_or(Canary::Count(fleet.canary)),
        shares: options.waves.clone().unwrap_or_else(|| fleet.waves.clone()),
        soak: options.soak.unwrap_or(fleet.soak),
        ordering: options.ordering.clone(),
    };
    let (failures_max, takes_drifted) = (options.failures_max, options.takes_drifted);
    Again { waves, failures_max, takes_drifted, is_due: false }
}

/// The names that statements are about, each once.
fn names_of(statements: &[Statement]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for statement in statements {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(&statement.table)) {
            names.push(statement.table.clone());
        }
    }
    names
}

/// The settings under which statements are read and carried out, and the version of the first server that
/// answers.
pub(super) async fn ground(
    clusters: &Clusters,
    targets: &Targets,
    request: &FleetRequest,
) -> Result<(StatementSettings, ServerVersion), FleetError> {
    let names: BTreeSet<&ClusterName> = targets.all.iter().map(|target| &target.cluster).collect();
    let mut last = None;
    for name in names {
        let asked = async {
            let mut scratch = Scratch::open(clusters, name).await?;
            let settings = scratch.settings().await?;
            let server = scratch.server();
            scratch.close().await;
            Ok::<_, String>((settings, server))
        };
        match asked.await {
            Ok((own, server)) => return Ok((request.settings.over(own), server)),
            Err(why) => last = Some(format!("cluster {name}: {why}")),
        }
    }
    match last {
        Some(why) => Err(FleetError::Unread(why)),
        // Without databases there is nothing to ask.
        None => Ok((request.settings.over(StatementSettings::default()), ServerVersion::default())),
    }
}

/// Lays out what is to be changed; what drifted is among the rows of the last wave, so that it is not
/// forgotten.
fn rows_of(
    targets: &[Target],
    planned: &Planned,
    again: &Again,
) -> Result<(Vec<Wave>, Vec<Row>), FleetError> {
    let mut waves = again.waves.clone();
    let known = planned.bytes.iter().zip(&planned.there);
    let marked = || targets.iter().zip(&planned.marks).zip(known.clone());
    let is_due = |mark: &Mark| matches!(mark, Mark::Todo | Mark::Unread(_));
    let candidates: Vec<Candidate> = marked()
        .filter(|((_, mark), _)| is_due(mark))
        .map(|((target, _), (bytes, there))| candidate(target, *bytes, *there))
        .collect();
    forget_done(targets, &planned.marks, &mut waves)?;
    let (mut laid, mut rows) = lay_out(candidates, &waves)?;
    let drifted: Vec<Row> = marked()
        .filter_map(|((target, mark), _)| match mark {
            Mark::Drifted(why) => Some(settled(target, Standing::Drifted, Some(why))),
            _ => None,
        })
        .collect();
    let count = u32::try_from(drifted.len()).unwrap_or(u32::MAX);
    match laid.last_mut() {
        Some(wave) => wave.databases += count,
        None if count > 0 => laid.push(Wave {
            name: "left".to_owned(),
            databases: count,
            soak_ms: 0,
            failures_max: 0,
            closings_max: 0,
        }),
        None => {}
    }
    let last = u16::try_from(laid.len().saturating_sub(1)).unwrap_or(u16::MAX);
    rows.extend(drifted.into_iter().map(|row| Row { wave: last, ..row }));
    bear(&mut laid, again);
    Ok((laid, rows))
}

/// What each wave bears, where the request says so.
pub(super) fn bear(waves: &mut [Wave], again: &Again) {
    if let Some(failures_max) = again.failures_max {
        waves.iter_mut().for_each(|wave| wave.failures_max = failures_max);
    }
}

pub(super) fn candidate(target: &Target, bytes: Option<u64>, there: u64) -> Candidate {
    Candidate {
        database: target.database.clone(),
        workspace: target.workspace.clone(),
        shard: target.shard.clone(),
        cluster: target.cluster.clone(),
        bytes,
        there,
    }
}

/// Canaries and listed databases that are done already, or drifted, are no longer asked for; those that are
/// not there at all stay, and are refused.
fn forget_done(targets: &[Target], marks: &[Mark], waves: &mut WavePlan) -> Result<(), WaveFault> {
    let lists = [
        match &mut waves.canary {
            Canary::Names(names) => Some(names),
            Canary::Count(_) => None,
        },
        match &mut waves.ordering {
            Ordering::ByList(names) => Some(names),
            Ordering::AsGiven | Ordering::BySize => None,
        },
    ];
    for names in lists.into_iter().flatten() {
        let mut due = Vec::with_capacity(names.len());
        for name in names.drain(..) {
            let is_it = |target: &Target| {
                *target.database == *name
                    || target.workspace.as_ref().is_some_and(|workspace| workspace.to_string() == name)
            };
            match targets.iter().position(is_it) {
                None => return Err(WaveFault::Unknown(name)),
                Some(at) if matches!(marks[at], Mark::Todo | Mark::Unread(_)) => due.push(name),
                Some(_) => {}
            }
        }
        *names = due;
    }
    Ok(())
}

/// A database of which nothing is to come.
pub(super) fn settled(target: &Target, standing: Standing, why: Option<&str>) -> Row {
    let ended = Some(Moment::from_wall(std::time::SystemTime::now()));
    let failure = why.map(|why| Box::new(Failure::new(why)));
    Row {
        database: target.database.clone(),
        workspace: target.workspace.clone(),
        shard: target.shard.clone(),
        cluster: target.cluster.clone(),
        wave: 0,
        there: 0,
        made: 0,
        unsure: 0,
        record: Record { standing, ended, failure, ..Record::WAITING },
    }
}
