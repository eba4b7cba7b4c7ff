//! From what the databases are like to a plan, statement by statement.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::scratch::Scratch;
use crate::ddl::Table;
use crate::error::ClientError;
use crate::ids::ClusterName;
use crate::migrations::StatementSettings;
use crate::migrations::fleet::definition::{Definition, Fingerprint, Groups, Seen};
use crate::migrations::fleet::ledger::{Before, OrderStep, StepKind, Wanted};
use crate::migrations::fleet::live::door::FleetError;
use crate::migrations::fleet::live::door::FleetRequest;
use crate::migrations::fleet::live::door::{FleetPlan, StepPlan};
use crate::migrations::fleet::live::statements::Statement;
use crate::migrations::fleet::live::survey::{Definitions, Found, Survey, Target, Targets};
use crate::migrations::fleet::plan::{ClusterPlan, Costs, Intent, Summary, Verdict, summarize};
use crate::migrations::fleet::schedule::Budget;
use crate::migrations::run::Clusters;
use crate::schema::{Asked, refuse};

/// Names of databases that are told of each kind.
const NAMES_MAX: usize = 20;
/// Bytes of definitions that are kept for a revert.
const BEFORE_BYTES_MAX: usize = 128 << 10;

/// What becomes of one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// It is as the statements would make it.
    Done,
    /// Something is to be done.
    Todo,
    /// It is left as it is; why.
    Drifted(String),
    /// It could not be read; why.
    Unread(String),
    /// It is not there.
    Gone,
}

/// A plan, and what an order is made of.
pub(super) struct Planned {
    pub(super) plan: FleetPlan,
    pub(super) steps: Vec<OrderStep>,
    /// Statements that one database takes, at most.
    pub(super) statements: u16,
    /// What becomes of each target.
    pub(super) marks: Vec<Mark>,
    /// Bytes of each target's tables, where that is known.
    pub(super) bytes: Vec<Option<u64>>,
    /// Steps that each target has already, one bit each.
    pub(super) there: Vec<u64>,
    /// It is refused for naming what is not there: another migration may be about to make that.
    pub(super) lacks: bool,
}

/// What is planned with.
pub(super) struct Grounds<'a> {
    pub(super) request: &'a FleetRequest,
    pub(super) statements: &'a [Statement],
    pub(super) settings: &'a StatementSettings,
    pub(super) targets: &'a Targets,
    /// Names that the survey asked for, in order.
    pub(super) names: &'a [String],
    pub(super) clusters: &'a Clusters,
    pub(super) definitions: &'a Definitions,
    pub(super) budget: Budget,
}

struct Planner<'a> {
    grounds: Grounds<'a>,
    /// For each target, what stands under each name behind the steps so far.
    have: Vec<Vec<Found>>,
    bytes: Vec<Option<u64>>,
    marks: Vec<Mark>,
    /// Steps that change each target, one bit each.
    changing: Vec<u64>,
    /// The bit of the step that is planned.
    step: u64,
    /// Connections that try statements out, one to each cluster that was asked.
    scratch: HashMap<ClusterName, Scratch>,
    /// Names of tables that the plan itself makes.
    made: HashSet<usize>,
    clusters: BTreeMap<ClusterName, ClusterPlan>,
    refused: Option<ClientError>,
    lacks: bool,
    statements: u16,
    breaks_code: bool,
}

/// Plans the statements, one after the other.
///
/// # Errors
/// [`FleetError::NoTable`], [`FleetError::Unfit`], [`FleetError::Unread`].
pub(super) async fn plan(grounds: Grounds<'_>, survey: Survey) -> Result<Planned, FleetError> {
    let Survey { found, bytes } = survey;
    let (marks, changing) = (vec![Mark::Done; found.len()], vec![0; found.len()]);
    let mut planner = Planner {
        grounds,
        have: found,
        bytes,
        marks,
        changing,
        step: 0,
        scratch: HashMap::new(),
        made: HashSet::new(),
        clusters: BTreeMap::new(),
        refused: None,
        lacks: false,
        statements: 0,
        breaks_code: false,
    };
    let (mut plans, mut steps) = (Vec::new(), Vec::new());
    for at in 0..planner.grounds.statements.len() {
        planner.step = 1 << at;
        let (plan, step) = planner.plan_step(at, &steps).await?;
        plans.push(plan);
        steps.push(step);
    }
    for (_, scratch) in planner.scratch.drain() {
        scratch.close().await;
    }
    Ok(planner.finish(plans, steps))
}

impl Planner<'_> {
    async fn plan_step(
        &mut self,
        at: usize,
        before: &[OrderStep],
    ) -> Result<(StepPlan, OrderStep), FleetError> {
        let statement = self.grounds.statements[at].clone();
        let names = self.grounds.names;
        let name = names.iter().position(|name| name.eq_ignore_ascii_case(&statement.table));
        let name = name.expect("the survey asked for the names of all statements");
        self.set_aside(name);
        let (summary, wanted, kept) = match statement.kind {
            StepKind::Alter => self.plan_alter((at, name), &statement).await?,
            StepKind::DropTable => self.plan_drop(name, &statement),
            StepKind::CreateTable => (None, self.plan_create((at, name), &statement).await?, Vec::new()),
            StepKind::CreateView | StepKind::DropView => {
                self.plan_view(name, statement.kind);
                (None, Vec::new(), Vec::new())
            }
        };
        let own = before.iter().filter(|step| step.table.eq_ignore_ascii_case(&statement.table));
        let mut known = own.flat_map(|step| &step.wanted).filter(|wanted| wanted.from != wanted.to);
        let goes_back = |to: Option<Fingerprint>| known.any(|wanted| wanted.from == to);
        if wanted.iter().filter(|wanted| wanted.from != wanted.to).map(|wanted| wanted.to).any(goes_back) {
            let why = "it takes back what a statement before it does: which databases are done could not be \
                       told"
                .to_owned();
            return Err(FleetError::Unfit { at: at + 1, why });
        }
        self.statements += summary.as_ref().map_or(1, |summary| summary.statements);
        let Statement { text, kind, table, .. } = statement;
        let plan = StepPlan { text: text.clone(), table: table.clone(), kind, summary };
        Ok((plan, OrderStep { text, table, kind, wanted, before: kept }))
    }

    /// Databases that cannot be told anything about are out.
    fn set_aside(&mut self, name: usize) {
        for (mark, have) in self.marks.iter_mut().zip(&self.have) {
            if !matches!(mark, Mark::Done | Mark::Todo) {
                continue;
            }
            match &have[name] {
                Found::Unread(why) => *mark = Mark::Unread(why.clone()),
                Found::Gone => *mark = Mark::Gone,
                Found::Defined(_) | Found::Missing | Found::View => {}
            }
        }
    }

    /// Targets that are still in, with what they have under a name.
    fn open(&self, name: usize) -> impl Iterator<Item = (usize, &Target, &Found)> {
        let targets = self.grounds.targets.all.iter().zip(&self.have).zip(&self.marks).enumerate();
        targets.filter_map(move |(at, ((target, have), mark))| {
            matches!(mark, Mark::Done | Mark::Todo).then_some((at, target, &have[name]))
        })
    }

    fn groups(&self, name: usize) -> Groups {
        let mut groups = Groups::default();
        for (_, target, found) in self.open(name) {
            let seen = match found {
                Found::Defined(definition) => Seen::Defined(definition.clone()),
                _ => Seen::Missing,
            };
            groups.add(&target.cluster, &target.database, seen);
        }
        groups
    }

    fn summarize(&mut self, groups: &Groups, name: usize, statement: &Statement) -> Option<Summary> {
        let options = &self.grounds.request.options;
        let change = statement.change.as_ref()?;
        let intent = Intent {
            text: &statement.text,
            change,
            prove: options.prove,
            acknowledged: options.acknowledged,
            // Tables that were just made differ by what their databases have for defaults.
            takes_drifted: options.takes_drifted || self.made.contains(&name),
        };
        let mut known: Vec<u64> = self.bytes.iter().copied().flatten().collect();
        known.sort_unstable();
        let size = known.get(known.len() / 2).copied();
        let grounds = &self.grounds;
        let bears = |cluster: &ClusterName| {
            let known = grounds.clusters.cluster(cluster);
            (grounds.budget, known.map(|known| known.primary.host))
        };
        let summary = summarize(groups, &intent, size, bears, &Costs::default());
        self.note_refusal(&summary, statement);
        for (cluster, part) in &summary.clusters {
            let own = self.clusters.entry(cluster.clone()).or_default();
            own.copied += part.copied;
            own.statements += part.statements;
            own.time += part.time;
        }
        self.breaks_code |= summary.breaks_code;
        Some(summary)
    }

    /// What a session would be told of the statement, by the most common definition for which it is refused.
    fn note_refusal(&mut self, summary: &Summary, statement: &Statement) {
        let refused = summary.groups.iter().find(|group| group.verdict == Verdict::Refused);
        let (Some(group), Some(change), None) = (refused, &statement.change, &self.refused) else { return };
        let asked = Asked { text: statement.text.as_bytes(), change: change.clone(), mode: statement.mode };
        let table = Table { definition: Some(&group.definition.table), server: group.definition.server };
        self.lacks = refuse::names_nothing(&group.decision);
        let own = self.lacks.then(|| refuse::error_of_nothing(&asked, table));
        let standing = crate::ddl::Standing::InUse;
        self.refused = Some(own.flatten().unwrap_or_else(|| refuse::refusal(&group.decision, standing)));
    }

    async fn plan_alter(
        &mut self,
        (at, name): (usize, usize),
        statement: &Statement,
    ) -> Result<(Option<Summary>, Vec<Wanted>, Vec<Before>), FleetError> {
        let groups = self.groups(name);
        let databases = u32::try_from(self.marks.len()).unwrap_or(u32::MAX);
        if groups.is_empty() {
            let why = self.marks.iter().find_map(|mark| match mark {
                Mark::Unread(why) => Some(why.clone()),
                _ => None,
            });
            if let Some(why) = why {
                return Err(FleetError::Unread(why));
            }
            let keyspace = self.grounds.request.keyspace.clone();
            return Err(FleetError::NoTable { keyspace, databases, table: statement.table.clone() });
        }
        let summary = self.summarize(&groups, name, statement).expect("it is a change of a table");
        let mut next: HashMap<Fingerprint, Result<Arc<Definition>, Fingerprint>> = HashMap::new();
        let mut wanted = Vec::new();
        for group in &summary.groups {
            let from = group.definition.fingerprint();
            match group.verdict {
                Verdict::Change => {
                    let to = self.foretell((at, name), group.to, &group.definition).await?;
                    let print = to.as_ref().map_or_else(|print| *print, |made| made.fingerprint());
                    if print == from {
                        let why = "it leaves the definition as it is: which databases are done could not be \
                                   told"
                            .to_owned();
                        return Err(FleetError::Unfit { at: at + 1, why });
                    }
                    wanted.push(Wanted { from: Some(from), to: Some(print) });
                    next.insert(from, to);
                }
                Verdict::Done => wanted.push(Wanted { from: Some(from), to: Some(from) }),
                Verdict::Drifted(_) | Verdict::Refused => {}
            }
        }
        if statement.change.as_ref().is_some_and(|change| change.if_exists) {
            // To a database without the table there is nothing to do, and the next statement follows.
            wanted.push(Wanted { from: None, to: None });
        }
        self.apply_alter(name, &summary, &next, statement);
        let before = kept(&summary);
        Ok((Some(summary), wanted, before))
    }

    /// What a definition is behind the statement. As a whole where a later statement changes the table too,
    /// or where only a server can tell.
    async fn foretell(
        &mut self,
        (at, name): (usize, usize),
        to: Option<Fingerprint>,
        from: &Arc<Definition>,
    ) -> Result<Result<Arc<Definition>, Fingerprint>, FleetError> {
        let statements = self.grounds.statements;
        let own = &self.grounds.names[name];
        let is_last = !statements[at + 1..].iter().any(|later| later.table.eq_ignore_ascii_case(own));
        if let (Some(to), true) = (to, is_last) {
            return Ok(Err(to));
        }
        let unfit = |why: String| FleetError::Unfit {
            at: at + 1,
            why: format!("what the table would be then cannot be foretold: {why}"),
        };
        let text = statements[at].text.clone();
        let cluster = self.cluster_of(from, name).ok_or_else(|| unfit("no database has it".to_owned()))?;
        let settings = self.grounds.settings;
        let scratch = self.scratch(&cluster).await?;
        let server = scratch.server();
        let made = scratch.altered(from, &[&text], settings).await;
        let made = made.map_err(|untold| untold.into_error(unfit))?;
        let made = made.into_iter().next_back().unwrap_or_default();
        let made = self.grounds.definitions.read(&made, server);
        Ok(Ok(made.map_err(|fault| unfit(fault.to_string()))?))
    }

    fn cluster_of(&self, definition: &Arc<Definition>, name: usize) -> Option<ClusterName> {
        let print = definition.fingerprint();
        let has = |found: &Found| matches!(found, Found::Defined(own) if own.fingerprint() == print);
        self.open(name).find(|(_, _, found)| has(found)).map(|(_, target, _)| target.cluster.clone())
    }

    /// The connection that tries statements out on a cluster.
    async fn scratch(&mut self, cluster: &ClusterName) -> Result<&mut Scratch, FleetError> {
        if !self.scratch.contains_key(cluster) {
            let scratch = Scratch::open(self.grounds.clusters, cluster).await;
            self.scratch.insert(cluster.clone(), scratch.map_err(FleetError::Unread)?);
        }
        Ok(self.scratch.get_mut(cluster).expect("it was inserted"))
    }

    fn apply_alter(
        &mut self,
        name: usize,
        summary: &Summary,
        next: &HashMap<Fingerprint, Result<Arc<Definition>, Fingerprint>>,
        statement: &Statement,
    ) {
        let is_lenient = statement.change.as_ref().is_some_and(|change| change.if_exists);
        let verdicts: HashMap<Fingerprint, &Verdict> =
            summary.groups.iter().map(|group| (group.definition.fingerprint(), &group.verdict)).collect();
        let changing = self.changing.iter_mut();
        for ((mark, have), changing) in self.marks.iter_mut().zip(&mut self.have).zip(changing) {
            if !matches!(mark, Mark::Done | Mark::Todo) {
                continue;
            }
            let print = match &have[name] {
                Found::Defined(definition) => definition.fingerprint(),
                Found::View => {
                    *mark = Mark::Drifted(format!("{} is a view", statement.table));
                    continue;
                }
                _ if is_lenient => continue,
                _ => {
                    *mark = Mark::Drifted(format!("it has no table {}", statement.table));
                    continue;
                }
            };
            match verdicts.get(&print) {
                Some(Verdict::Change) => {
                    *mark = Mark::Todo;
                    *changing |= self.step;
                    if let Some(Ok(made)) = next.get(&print) {
                        have[name] = Found::Defined(made.clone());
                    }
                }
                Some(Verdict::Drifted(why)) => *mark = Mark::Drifted(why.clone()),
                Some(Verdict::Refused) => *mark = Mark::Drifted("the statement is refused".to_owned()),
                Some(Verdict::Done) | None => {}
            }
        }
    }

    fn plan_drop(
        &mut self,
        name: usize,
        statement: &Statement,
    ) -> (Option<Summary>, Vec<Wanted>, Vec<Before>) {
        let groups = self.groups(name);
        let Some(summary) = self.summarize(&groups, name, statement) else {
            return (None, Vec::new(), Vec::new());
        };
        let changed: HashMap<Fingerprint, bool> = summary
            .groups
            .iter()
            .map(|group| (group.definition.fingerprint(), group.verdict == Verdict::Change))
            .collect();
        let changing = self.changing.iter_mut();
        for ((mark, have), changing) in self.marks.iter_mut().zip(&mut self.have).zip(changing) {
            let (Mark::Done | Mark::Todo, found) = (&*mark, &have[name]) else { continue };
            match found {
                Found::Defined(definition) if changed.get(&definition.fingerprint()) == Some(&true) => {
                    (*mark, have[name]) = (Mark::Todo, Found::Missing);
                    *changing |= self.step;
                }
                Found::Defined(_) => {
                    *mark = Mark::Drifted(format!("its table {} is not like most", statement.table));
                }
                Found::View => *mark = Mark::Drifted(format!("{} is a view", statement.table)),
                _ => {}
            }
        }
        let from = changed.iter().filter(|(_, is_changed)| **is_changed).map(|(print, _)| *print);
        let mut wanted: Vec<Wanted> = from.map(|from| Wanted { from: Some(from), to: None }).collect();
        wanted.sort_by_key(|wanted| wanted.from);
        if wanted.is_empty() {
            // Missing everywhere is done.
            wanted.push(Wanted { from: None, to: None });
        }
        let before = kept(&summary);
        (Some(summary), wanted, before)
    }

    /// What is made depends on the defaults of server and database, so each cluster is asked.
    async fn plan_create(
        &mut self,
        (at, name): (usize, usize),
        statement: &Statement,
    ) -> Result<Vec<Wanted>, FleetError> {
        let unfit = |why: String| FleetError::Unfit { at: at + 1, why };
        let mut samples: BTreeMap<ClusterName, Target> = BTreeMap::new();
        for (_, target, found) in self.open(name) {
            let is_better = matches!(found, Found::Missing);
            if is_better || !samples.contains_key(&target.cluster) {
                samples.insert(target.cluster.clone(), target.clone());
            }
        }
        if samples.is_empty() {
            return Err(FleetError::Unread("no database could be read".to_owned()));
        }
        let mut made = HashMap::new();
        for (cluster, target) in samples {
            let settings = self.grounds.settings;
            let scratch = self.scratch(&cluster).await?;
            let server = scratch.server();
            let asked = (statement.table.as_str(), statement.text.as_str());
            let text = scratch.created(&target.database, asked, settings).await;
            let text = text.map_err(|untold| untold.into_error(unfit))?;
            let definition = self.grounds.definitions.read(&text, server);
            made.insert(cluster, definition.map_err(|fault| unfit(fault.to_string()))?);
        }
        let known: BTreeSet<Fingerprint> = made.values().map(|definition| definition.fingerprint()).collect();
        let targets = self.grounds.targets.all.iter().zip(&mut self.changing);
        for ((mark, have), (target, changing)) in self.marks.iter_mut().zip(&mut self.have).zip(targets) {
            let (Mark::Done | Mark::Todo, found) = (&*mark, &have[name]) else { continue };
            match (found, made.get(&target.cluster)) {
                (Found::Missing, Some(definition)) => {
                    (*mark, have[name]) = (Mark::Todo, Found::Defined(definition.clone()));
                    *changing |= self.step;
                    self.clusters.entry(target.cluster.clone()).or_default().statements += 1;
                }
                (Found::Defined(own), _) if known.contains(&own.fingerprint()) => {}
                _ => *mark = Mark::Drifted(format!("another {} is there", statement.table)),
            }
        }
        self.made.insert(name);
        Ok(known.into_iter().map(|to| Wanted { from: None, to: Some(to) }).collect())
    }

    fn plan_view(&mut self, name: usize, kind: StepKind) {
        let table = self.grounds.names[name].clone();
        let targets = self.grounds.targets.all.iter().zip(&mut self.changing);
        for ((mark, have), (target, changing)) in self.marks.iter_mut().zip(&mut self.have).zip(targets) {
            let (Mark::Done | Mark::Todo, found) = (&*mark, &have[name]) else { continue };
            match (kind, found) {
                (_, Found::Defined(_)) => *mark = Mark::Drifted(format!("{table} is a table")),
                (StepKind::DropView, Found::Missing) => {}
                _ => {
                    *mark = Mark::Todo;
                    *changing |= self.step;
                    have[name] = if kind == StepKind::DropView { Found::Missing } else { Found::View };
                    self.clusters.entry(target.cluster.clone()).or_default().statements += 1;
                }
            }
        }
    }

    fn finish(mut self, steps: Vec<StepPlan>, order: Vec<OrderStep>) -> Planned {
        let targets = &self.grounds.targets.all;
        let (mut to_change, mut done) = (0, 0);
        let (mut drifted, mut unread) = ((0, Vec::new()), (0, Vec::new()));
        let note = |list: &mut (u32, Vec<(String, String)>), target: &Target, why: &str| {
            list.0 += 1;
            if list.1.len() < NAMES_MAX {
                list.1.push((target.database.to_string(), why.to_owned()));
            }
        };
        for (target, mark) in targets.iter().zip(&self.marks) {
            let part = self.clusters.entry(target.cluster.clone()).or_default();
            match mark {
                Mark::Todo => (to_change, part.to_change) = (to_change + 1, part.to_change + 1),
                Mark::Done | Mark::Gone => (done, part.done) = (done + 1, part.done + 1),
                Mark::Drifted(why) => {
                    note(&mut drifted, target, why);
                    part.left += 1;
                }
                Mark::Unread(why) => {
                    note(&mut unread, target, why);
                    part.left += 1;
                }
            }
        }
        let rate = self.grounds.budget.statements_per_second.max(1e-9);
        for part in self.clusters.values_mut() {
            let least = std::time::Duration::from_secs_f64((part.statements as f64 / rate).min(1e9));
            part.time = part.time.max(least);
            let seconds = part.time.as_secs_f64();
            part.statements_per_second = if seconds > 0.0 { part.statements as f64 / seconds } else { 0.0 };
        }
        let warnings = self.warnings(to_change);
        let there = self.there(order.len());
        let plan = FleetPlan {
            keyspace: self.grounds.request.keyspace.clone(),
            databases: u32::try_from(targets.len()).unwrap_or(u32::MAX),
            steps,
            to_change,
            done,
            drifted,
            unread,
            later: self.grounds.targets.later.clone(),
            clusters: self.clusters,
            waves: Vec::new(),
            behind: Vec::new(),
            refused: self.refused,
            warnings,
        };
        Planned {
            plan,
            steps: order,
            statements: self.statements.max(1),
            marks: self.marks,
            bytes: self.bytes,
            there,
            lacks: self.lacks,
        }
    }

    /// Of so many steps those that each target has already, one bit each.
    fn there(&self, steps: usize) -> Vec<u64> {
        let all = u64::MAX >> (64 - steps.clamp(1, 64));
        let of = |(mark, changing): (&Mark, &u64)| if *mark == Mark::Todo { all & !changing } else { 0 };
        self.marks.iter().zip(&self.changing).map(of).collect()
    }

    fn warnings(&self, to_change: u32) -> Vec<String> {
        let mut warnings = Vec::new();
        if to_change > 1 {
            warnings.push(
                "meanwhile some databases have the new definition and some the old: code has to cope with \
                 both"
                    .to_owned(),
            );
        }
        if self.breaks_code {
            warnings.push("code that runs can break: see the rules".to_owned());
        }
        if self.grounds.targets.unplaced > 0 {
            let count = self.grounds.targets.unplaced;
            warnings.push(format!("{count} workspaces cannot be placed, and are left out"));
        }
        if self.grounds.statements.iter().any(|statement| statement.kind == StepKind::DropTable) {
            warnings.push(
                "dropped tables are renamed away first, and dropped for good when their time is over"
                    .to_owned(),
            );
        }
        warnings
    }
}

/// Definitions that are changed, for a revert; none when they are too long.
fn kept(summary: &Summary) -> Vec<Before> {
    let changed = summary.groups.iter().filter(|group| group.verdict == Verdict::Change);
    let before: Vec<Before> = changed
        .map(|group| Before {
            fingerprint: group.definition.fingerprint(),
            text: group.definition.text.clone(),
        })
        .collect();
    let bytes: usize = before.iter().map(|before| before.text.len()).sum();
    if bytes > BEFORE_BYTES_MAX { Vec::new() } else { before }
}
