//! Which database comes in which wave, and in which order.

use std::collections::HashMap;

use crate::ids::{ClusterName, ShardName, WorkspaceId};
use crate::migrations::fleet::ledger::{Canary, Ordering, Record, Row, Wave, WavePlan};

/// Most databases of one fleet migration.
pub const DATABASES_MAX: usize = 1_000_000;
/// Failures that a wave after the canary bears at least.
const FAILURES_MIN: u32 = 2;
/// Share of a wave after the canary that may fail.
const FAILURES_SHARE: f64 = 0.01;
/// Clusters that may become suspect while a wave after the canary is done.
const CLOSINGS_MAX: u32 = 3;

/// A database that is to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The database on the server.
    pub database: Box<str>,
    /// Its workspace; absent where tables are shared or the keyspace is unsharded.
    pub workspace: Option<WorkspaceId>,
    /// The shard.
    pub shard: ShardName,
    /// The cluster that holds it.
    pub cluster: ClusterName,
    /// Bytes of its tables, if that is known.
    pub bytes: Option<u64>,
    /// See [`Row::there`].
    pub there: u64,
}

/// Why databases cannot be laid out.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WaveFault {
    /// The shares do not rise from above 0 to below 1.
    #[error("the shares of waves must rise, above 0 and below 1: {0:?}")]
    Shares(Vec<f64>),
    /// A canary or a name of the order is not among the databases.
    #[error("there is no database or workspace {0}")]
    Unknown(String),
    /// A database is there twice.
    #[error("database {0} on cluster {1} is there twice")]
    Twice(String, ClusterName),
    /// Too many databases.
    #[error("{0} databases, at most {DATABASES_MAX}")]
    TooMany(usize),
}

/// Lays the databases out: the waves that are not empty, and the rows in the order in which they come. Every
/// wave takes the same share of every cluster, as nearly as whole databases allow.
///
/// # Errors
/// [`WaveFault`].
pub fn lay_out(candidates: Vec<Candidate>, plan: &WavePlan) -> Result<(Vec<Wave>, Vec<Row>), WaveFault> {
    check(&candidates, plan)?;
    let mut ordered = order(candidates, &plan.ordering)?;
    let canaries = match &plan.canary {
        Canary::Names(names) => take_named(&mut ordered, names)?,
        Canary::Count(_) => Vec::new(),
    };
    let spread = spread(ordered);
    let total = canaries.len() + spread.len();
    let mut bounds = vec![match plan.canary {
        Canary::Names(_) => canaries.len(),
        Canary::Count(count) => (count as usize).min(total),
    }];
    bounds.extend(plan.shares.iter().map(|share| (share * total as f64).ceil() as usize));
    bounds.push(total);
    let all: Vec<Candidate> = canaries.into_iter().chain(spread).collect();
    Ok(cut(all, &bounds, plan))
}

fn check(candidates: &[Candidate], plan: &WavePlan) -> Result<(), WaveFault> {
    if candidates.len() > DATABASES_MAX {
        return Err(WaveFault::TooMany(candidates.len()));
    }
    let mut below = 0.0;
    for share in &plan.shares {
        if !(*share > below && *share < 1.0) {
            return Err(WaveFault::Shares(plan.shares.clone()));
        }
        below = *share;
    }
    let mut seen = std::collections::HashSet::with_capacity(candidates.len());
    match candidates.iter().find(|candidate| !seen.insert((&candidate.cluster, &candidate.database))) {
        Some(twice) => Err(WaveFault::Twice(twice.database.to_string(), twice.cluster.clone())),
        None => Ok(()),
    }
}

fn order(mut candidates: Vec<Candidate>, by: &Ordering) -> Result<Vec<Candidate>, WaveFault> {
    match by {
        Ordering::AsGiven => {}
        Ordering::BySize => candidates.sort_by_key(|candidate| candidate.bytes.unwrap_or(u64::MAX)),
        Ordering::ByList(names) => {
            let mut listed = take_named(&mut candidates, names)?;
            listed.append(&mut candidates);
            return Ok(listed);
        }
    }
    Ok(candidates)
}

/// Takes the named databases out, in the order of the names.
fn take_named(candidates: &mut Vec<Candidate>, names: &[String]) -> Result<Vec<Candidate>, WaveFault> {
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(names.len());
    for (at, name) in names.iter().enumerate() {
        places.entry(name).or_insert(at);
    }
    let mut taken: Vec<(usize, Candidate)> = Vec::with_capacity(names.len());
    let mut rest = Vec::with_capacity(candidates.len());
    for candidate in candidates.drain(..) {
        let workspace = candidate.workspace.as_ref().map(ToString::to_string);
        let by_database = places.get(&*candidate.database);
        match by_database.or_else(|| places.get(workspace.as_deref()?)) {
            Some(at) => taken.push((*at, candidate)),
            None => rest.push(candidate),
        }
    }
    *candidates = rest;
    let mut is_found = vec![false; names.len()];
    taken.iter().for_each(|(at, _)| is_found[*at] = true);
    // A name that is there twice is found by its first place.
    let unknown = names.iter().find(|name| places.get(name.as_str()).is_some_and(|at| !is_found[*at]));
    if let Some(name) = unknown {
        return Err(WaveFault::Unknown(name.clone()));
    }
    taken.sort_by_key(|(at, _)| *at);
    Ok(taken.into_iter().map(|(_, candidate)| candidate).collect())
}

/// Mixes the clusters, each in its own order, so that any beginning of the list has the same share of each.
fn spread(candidates: Vec<Candidate>) -> Vec<Candidate> {
    let mut sizes: HashMap<ClusterName, u64> = HashMap::new();
    for candidate in &candidates {
        *sizes.entry(candidate.cluster.clone()).or_default() += 1;
    }
    let mut ranks: HashMap<ClusterName, u64> = HashMap::new();
    let mut keyed: Vec<(u64, Candidate)> = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let rank = ranks.entry(candidate.cluster.clone()).or_default();
        // The share of its cluster that is before it, in 2^-32: a million times that fits.
        let before = (*rank << 32) / sizes[&candidate.cluster];
        *rank += 1;
        keyed.push((before, candidate));
    }
    keyed.sort_by(|a, b| (a.0, &a.1.cluster).cmp(&(b.0, &b.1.cluster)));
    keyed.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Cuts the list into waves; a wave without databases is none.
fn cut(all: Vec<Candidate>, bounds: &[usize], plan: &WavePlan) -> (Vec<Wave>, Vec<Row>) {
    let total = all.len();
    let (mut waves, mut rows) = (Vec::new(), Vec::with_capacity(total));
    let mut left = all.into_iter();
    let mut start = 0;
    for (at, bound) in bounds.iter().enumerate() {
        let end = (*bound).clamp(start, total);
        if end == start {
            continue;
        }
        let wave = u16::try_from(waves.len()).expect("there are few waves");
        waves.push(wave_of(at, bounds.len(), end - start, plan));
        rows.extend(left.by_ref().take(end - start).map(|candidate| Row {
            database: candidate.database,
            workspace: candidate.workspace,
            shard: candidate.shard,
            cluster: candidate.cluster,
            wave,
            there: candidate.there,
            made: 0,
            unsure: 0,
            record: Record::WAITING,
        }));
        start = end;
    }
    (waves, rows)
}

fn wave_of(at: usize, waves: usize, databases: usize, plan: &WavePlan) -> Wave {
    let databases = u32::try_from(databases).expect("a million at most");
    let is_last = at + 1 == waves;
    let name = match at {
        0 => "canary".to_owned(),
        _ if is_last => "all".to_owned(),
        _ => format!("{} %", (plan.shares[at - 1] * 10_000.0).round() / 100.0),
    };
    let share = (f64::from(databases) * FAILURES_SHARE).floor() as u32;
    Wave {
        name,
        databases,
        soak_ms: if is_last { 0 } else { u64::try_from(plan.soak.as_millis()).unwrap_or(u64::MAX) },
        failures_max: if at == 0 { 0 } else { share.max(FAILURES_MIN) },
        closings_max: if at == 0 { 0 } else { CLOSINGS_MAX },
    }
}
