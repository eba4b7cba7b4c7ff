//! What a fleet migration would do: `--dry-run`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::estimate::{Costs, statements_of};
use crate::ddl::{self, Decision, Route};
use crate::ids::ClusterName;
use crate::migrations::fleet::definition::{
    Definition, Difference, Effect, Fingerprint, Groups, compare, foretell,
};
use crate::migrations::fleet::ledger::Wanted;
use crate::migrations::fleet::schedule::{Budget, SHORT_FOR};
use crate::sql::TableChange;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Intent<'a> {
    /// The statement.
    pub text: &'a str,
    /// The statement, read.
    pub change: &'a TableChange,
    /// Rows are scanned first where values can be lost.
    pub prove: bool,
    /// It is known that running code breaks.
    pub acknowledged: bool,
    /// Databases that drifted are changed too, where the statement fits them.
    pub takes_drifted: bool,
}

/// What becomes of the databases that have one definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They are changed.
    Change,
    /// They have the wanted definition.
    Done,
    /// They are not like most, and are left as they are; in words, why.
    Drifted(String),
    /// The statement is refused for them.
    Refused,
}

/// One definition.
#[derive(Clone, Debug)]
pub struct GroupPlan {
    /// The definition.
    pub definition: Arc<Definition>,
    /// Databases that have it, by cluster.
    pub clusters: BTreeMap<ClusterName, u32>,
    /// Some of their names.
    pub names: Vec<String>,
    /// What becomes of them.
    pub verdict: Verdict,
    /// What is decided about the statement for this definition.
    pub decision: Decision,
    /// The definition then; absent when that cannot be said without asking a server.
    pub to: Option<Fingerprint>,
    /// What is different from the most common definition that the statement changes.
    pub differences: Vec<Difference>,
}

impl GroupPlan {
    /// How many databases have it.
    pub fn databases(&self) -> u32 {
        self.clusters.values().sum()
    }
}

/// One cluster's part.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterPlan {
    /// Databases that are changed.
    pub to_change: u32,
    /// Of these, those that are copied.
    pub copied: u32,
    /// Databases that have the wanted definition.
    pub done: u32,
    /// Databases that are left as they are.
    pub left: u32,
    /// DDL statements.
    pub statements: u64,
    /// How long it takes at the cluster's full budget, pauses between waves not counted.
    pub time: Duration,
    /// DDL statements in a second meanwhile.
    pub statements_per_second: f64,
}

/// What a fleet migration would do.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The definitions, the most common first.
    pub groups: Vec<GroupPlan>,
    /// Databases without the table.
    pub missing: u32,
    /// Databases that could not be read.
    pub unread: u32,
    /// The clusters.
    pub clusters: BTreeMap<ClusterName, ClusterPlan>,
    /// DDL statements that one database takes, at most.
    pub statements: u16,
    /// For the order: definitions that are changed, and what becomes of them.
    pub wanted: Vec<Wanted>,
    /// Definitions that are changed and of which it has to be asked what becomes of them.
    pub unforeseen: Vec<Fingerprint>,
    /// Running code can break, or has to cope with both definitions meanwhile.
    pub breaks_code: bool,
}

impl Summary {
    /// Databases of one verdict.
    pub fn count(&self, of: impl Fn(&Verdict) -> bool) -> u32 {
        self.groups.iter().filter(|group| of(&group.verdict)).map(GroupPlan::databases).sum()
    }
}

/// Says what would be done: every definition once, whatever the number of databases. `size` gives the bytes
/// of a typical table; `bears` what a cluster bears, and the host of its primary where that is known.
pub fn summarize(
    groups: &Groups,
    intent: &Intent<'_>,
    size: Option<u64>,
    bears: impl Fn(&ClusterName) -> (Budget, Option<Arc<str>>),
    costs: &Costs,
) -> Summary {
    let mut plans: Vec<(GroupPlan, Effect)> = groups
        .definitions()
        .into_iter()
        .map(|(definition, clusters)| plan_of(groups, definition, clusters, intent))
        .collect();
    judge(&mut plans, intent);
    let groups_of: Vec<GroupPlan> = plans.into_iter().map(|(plan, _)| plan).collect();
    let changed = || groups_of.iter().filter(|group| group.verdict == Verdict::Change);
    let wanted = changed()
        .filter_map(|group| Some(Wanted { from: Some(group.definition.fingerprint()), to: Some(group.to?) }))
        .collect();
    let unforeseen =
        changed().filter(|group| group.to.is_none()).map(|group| group.definition.fingerprint()).collect();
    let mut clusters: BTreeMap<ClusterName, ClusterPlan> = BTreeMap::new();
    for group in &groups_of {
        add_group(&mut clusters, group, size, costs);
    }
    pace(&mut clusters, bears);
    Summary {
        missing: groups.missing().values().sum(),
        unread: groups.unread().values().sum(),
        clusters,
        statements: changed().map(|group| statements_of(&group.decision)).max().unwrap_or(0),
        wanted,
        unforeseen,
        breaks_code: changed().any(|group| group.decision.breaks),
        groups: groups_of,
    }
}

fn plan_of(
    groups: &Groups,
    definition: Arc<Definition>,
    clusters: BTreeMap<ClusterName, u32>,
    intent: &Intent<'_>,
) -> (GroupPlan, Effect) {
    let decision = ddl::decide(&ddl::Request {
        text: intent.text.as_bytes(),
        change: intent.change,
        table: Some(&definition.table),
        server: definition.server,
        prove: intent.prove,
        acknowledged: intent.acknowledged,
        standing: ddl::Standing::InUse,
        must_copy: false,
    });
    let effect = foretell(&definition, intent.change);
    let (verdict, to) = match &effect {
        Effect::There => (Verdict::Done, Some(definition.fingerprint())),
        Effect::Partly(why) => (Verdict::Drifted(why.clone()), None),
        _ if decision.route == Route::Refuse => (Verdict::Refused, None),
        Effect::Changes { to } => (Verdict::Change, *to),
        Effect::Whole => (Verdict::Change, None),
    };
    let names = groups.names(definition.fingerprint()).to_vec();
    let plan = GroupPlan { definition, clusters, names, verdict, decision, to, differences: Vec::new() };
    (plan, effect)
}

/// Compares the groups: what is not like the most common one of those that are to be changed has drifted,
/// and so has what has been changed and is not like that one then.
fn judge(plans: &mut [(GroupPlan, Effect)], intent: &Intent<'_>) {
    let is_change = |verdict: &Verdict| matches!(verdict, Verdict::Change | Verdict::Refused);
    let first = plans.iter().find(|(plan, _)| is_change(&plan.verdict)).map(|(plan, _)| plan.clone());
    let first_done =
        plans.iter().find(|(plan, _)| plan.verdict == Verdict::Done).map(|(plan, _)| plan.clone());
    for (plan, _) in plans.iter_mut() {
        let own = plan.definition.fingerprint();
        match &plan.verdict {
            Verdict::Change | Verdict::Refused => {
                let Some(common) = &first else { continue };
                plan.differences = compare(&plan.definition.normal, &common.definition.normal);
                if !plan.differences.is_empty() && !intent.takes_drifted && plan.verdict == Verdict::Change {
                    plan.verdict = Verdict::Drifted("it is not like most".to_owned());
                }
            }
            Verdict::Done => {
                let expected = first.as_ref().and_then(|common| common.to);
                let is_expected = match (expected, &first_done) {
                    (Some(expected), _) => own == expected,
                    (None, Some(done)) => own == done.definition.fingerprint(),
                    (None, None) => true,
                };
                if !is_expected && !intent.takes_drifted {
                    plan.verdict = Verdict::Drifted("it is changed, and not like most are then".to_owned());
                }
            }
            Verdict::Drifted(_) => {
                if let Some(common) = &first {
                    plan.differences = compare(&plan.definition.normal, &common.definition.normal);
                }
            }
        }
    }
}

fn add_group(
    clusters: &mut BTreeMap<ClusterName, ClusterPlan>,
    group: &GroupPlan,
    size: Option<u64>,
    costs: &Costs,
) {
    let route = group.decision.route;
    let statements = u64::from(statements_of(&group.decision));
    for (cluster, count) in &group.clusters {
        let plan = clusters.entry(cluster.clone()).or_default();
        match group.verdict {
            Verdict::Change => {
                plan.to_change += count;
                plan.copied += if route == Route::Copy { *count } else { 0 };
                plan.statements += statements * u64::from(*count);
                plan.time += costs.time_of(route, size).saturating_mul(*count);
            }
            Verdict::Done => plan.done += count,
            Verdict::Drifted(_) | Verdict::Refused => plan.left += count,
        }
    }
}

/// One cluster's part of a machine's work.
struct Share {
    host: Option<Arc<str>>,
    databases: u32,
    each: Duration,
}

/// `time` is that of all databases one after the other; what budgets make of it, and the turns that
/// neighbours on the same machine have in between.
fn pace(
    clusters: &mut BTreeMap<ClusterName, ClusterPlan>,
    bears: impl Fn(&ClusterName) -> (Budget, Option<Arc<str>>),
) {
    let share = |(cluster, plan): (&ClusterName, &ClusterPlan)| Share {
        host: bears(cluster).1,
        databases: plan.to_change,
        each: plan.time / plan.to_change.max(1),
    };
    let shares: Vec<Share> = clusters.iter().map(share).collect();
    for (at, (cluster, plan)) in clusters.iter_mut().enumerate() {
        let budget = bears(cluster).0;
        let rate = budget.statements_per_second.max(1e-9);
        let by_statements = Duration::from_secs_f64((plan.statements as f64 / rate).min(1e9));
        plan.time = (in_turn(&shares, at) / budget.at_once.max(1)).max(by_statements);
        let seconds = plan.time.as_secs_f64();
        plan.statements_per_second = if seconds > 0.0 { plan.statements as f64 / seconds } else { 0.0 };
    }
}

/// How long one cluster's databases take where neighbours have turns: for each of its own each of them
/// has one, if it has a database left and is done with the one before. A turn ends after two seconds.
fn in_turn(shares: &[Share], at: usize) -> Duration {
    /// Each round comes nearer to the time in which both fit.
    const ROUNDS: usize = 16;
    let own = &shares[at];
    let alone = own.each * own.databases;
    let neighbours = || {
        let others = shares.iter().enumerate().filter(|(other, _)| *other != at);
        others.map(|(_, share)| share).filter(|share| own.host.is_some() && share.host == own.host)
    };
    let mut time = alone;
    for _ in 0..ROUNDS {
        let turns = neighbours().map(|share| {
            let within = time.as_secs_f64() / share.each.as_secs_f64().max(1e-9);
            share.each.min(SHORT_FOR) * share.databases.min(own.databases).min(within as u32)
        });
        let busy = own.each.min(SHORT_FOR) * own.databases + turns.sum::<Duration>();
        time = alone.max(busy);
    }
    time
}
