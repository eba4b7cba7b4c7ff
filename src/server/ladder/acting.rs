//! Carries out what the ladder decides.
//!
//! Gates, permits and lanes are set at once, by every proxy for itself. What touches a server is done by the
//! owner of the decisions, in a task of its own; its end comes back as a [`Call`] and is an event, also when
//! it failed or is not known. Nothing in here waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::super::health::Target;
use super::alerts::Outbox;
use super::kill::{Killed, Reserve};
use super::ledger::{Ledger, StoreNews};
use super::policy;
use crate::drain::{
    ActEnd, Action, Because, By, Command, Decision, Ended, Entry, FailoverEnd, How, Ladder, Moment, Notice,
    Ownership, Policy, Refused, Stage, Stand, StateChange, Step, Witness,
};
use crate::failover::{FailoverRequest, Failovers, Found, Undecided};
use crate::health::{Facts, State};
use crate::ids::ClusterName;
use crate::session::Services;
use crate::topology::Snapshot;

/// Orders and ends that wait for the watching task.
pub(super) const CALLS_MAX: usize = 256;
/// A failover that another proxy began, which may still be there, is looked after when it has had this time.
const FOREIGN_FAILOVER_AFTER: Duration = Duration::from_secs(60);

/// What comes to the watching task from outside.
#[derive(Debug)]
pub(in crate::server) enum Call {
    /// An operator's order, or a rehearsal of one.
    Order { command: Command, is_rehearsal: bool, reply: oneshot::Sender<Result<Answered, Refused>> },
    /// Something that touched a server has ended.
    Ended(Act),
}

/// What an order came to.
#[derive(Debug)]
pub(in crate::server) struct Answered {
    pub(in crate::server) step: Step,
    /// The cluster worked before: a failover of it is a switchover.
    pub(in crate::server) works: bool,
}

/// Something that touched a server, at its end.
#[derive(Debug)]
pub(in crate::server) struct Act {
    cluster: ClusterName,
    action: Action,
    came_to: CameTo,
    took: Duration,
}

#[derive(Debug)]
enum CameTo {
    Killed(Killed),
    FailedOver(FailoverEnd),
    Found(Found),
    /// The lease was lost before it began.
    NotOwner,
}

/// One cluster's reserved connection and the task that keeps it.
#[derive(Debug)]
struct Reserved {
    target: Target,
    reserve: Arc<Reserve>,
    /// Ends with this.
    _keeping: JoinSet<()>,
}

/// The ladder and what carries it out.
pub(in crate::server) struct Acting {
    services: Arc<Services>,
    failovers: Arc<Failovers>,
    ledger: Arc<Ledger>,
    outbox: Outbox,
    calls: mpsc::Sender<Call>,
    ladder: Ladder,
    reserves: BTreeMap<ClusterName, Reserved>,
    /// What runs, so that nothing runs twice.
    running: BTreeSet<(ClusterName, &'static str)>,
    away: Option<String>,
}

impl Acting {
    pub(super) fn new(
        services: Arc<Services>,
        failovers: Arc<Failovers>,
        ledger: Arc<Ledger>,
        outbox: Outbox,
        calls: mpsc::Sender<Call>,
    ) -> Self {
        Self {
            services,
            failovers,
            ledger,
            outbox,
            calls,
            ladder: Ladder::new(Policy::DEFAULT),
            reserves: BTreeMap::new(),
            running: BTreeSet::new(),
            away: None,
        }
    }

    /// Takes over a config: policies, clusters, and what was decided about clusters that are new here.
    pub(in crate::server) fn follow_config(&mut self, snapshot: &Snapshot, targets: &[Target], now: Instant) {
        let (all, own) = policy::policies(&snapshot.config, &snapshot.vschema);
        self.ladder.set_policies(all, own);
        let is_kept = |cluster: &ClusterName| targets.iter().any(|target| target.cluster == *cluster);
        self.ladder.retain(is_kept);
        self.reserves.retain(|cluster, _| is_kept(cluster));
        for target in targets {
            let cluster = &target.cluster;
            if self.ladder.stand(cluster).is_none() {
                self.follow(cluster, self.ledger.decision(cluster).unwrap_or(Decision::OPEN), now);
            }
            if self.reserves.get(cluster).is_none_or(|reserved| reserved.target != *target) {
                let reserve = Reserve::new(target.clone());
                let mut keeping = JoinSet::new();
                keeping.spawn(reserve.clone().keep());
                let reserved = Reserved { target: target.clone(), reserve, _keeping: keeping };
                self.reserves.insert(cluster.clone(), reserved);
            }
        }
    }

    /// Takes over a decision: another proxy's, or one from before a restart.
    fn follow(&mut self, cluster: &ClusterName, decision: Decision, now: Instant) {
        let actions = self.ladder.follow(cluster, decision, now);
        let stage = decision.stage.name();
        if !actions.is_empty() {
            tracing::warn!(%cluster, stage, ?actions, "ladder: a decision is taken over");
        }
        self.apply(cluster, &actions, now);
    }

    /// What the store tells.
    pub(in crate::server) fn hear(&mut self, news: StoreNews, now: Instant) {
        match news {
            StoreNews::Decided(cluster, decision) => {
                if self.ladder.stand(&cluster).is_some() {
                    self.follow(&cluster, decision, now);
                }
            }
            StoreNews::Away(why) => {
                self.tell_store(true, why.clone());
                self.away = Some(why);
            }
            StoreNews::Back => {
                self.away = None;
                self.tell_store(false, "it answers again".into());
            }
        }
    }

    fn tell_store(&self, is_raised: bool, said: String) {
        self.notice(None, is_raised, "store_away", said);
    }

    /// Looks at the facts, decides, and begins what was decided.
    pub(in crate::server) fn look(&mut self, facts: &[Facts], moment: Moment) {
        let ownership = self.ownership();
        for step in self.ladder.step(facts, ownership, moment) {
            self.take(step, moment.now);
        }
        if ownership == Ownership::Owner {
            self.settle_foreign_failovers(moment.now);
        }
    }

    /// A failover that this proxy does not run was begun by one that is gone: what became of it is sought.
    fn settle_foreign_failovers(&mut self, now: Instant) {
        let is_sole = self.ledger.lease.with(|lease| lease.is_exclusive());
        let is_time =
            |stand: &Stand| is_sole || now.saturating_duration_since(stand.since) >= FOREIGN_FAILOVER_AFTER;
        let lost: Vec<ClusterName> = self
            .reserves
            .keys()
            .filter(|cluster| {
                let stand = self.ladder.stand(cluster);
                stand.is_some_and(|stand| stand.decision.stage == Stage::FailingOver && is_time(stand))
                    && !self.is_running(cluster, &Action::FailOver(None))
            })
            .cloned()
            .collect();
        for cluster in lost {
            self.begin(cluster, Action::FindPrimary, String::new());
        }
    }

    /// An operator's order, or a call of something that has ended.
    pub(in crate::server) fn answer(&mut self, call: Call, facts: &[Facts], moment: Moment) {
        match call {
            Call::Order { command, is_rehearsal, reply } => {
                let ownership = self.ownership();
                let works = self.ladder.works(&command.cluster, facts);
                let done = if is_rehearsal {
                    self.ladder.rehearse(&command, facts, ownership, moment)
                } else {
                    self.ladder.order(&command, facts, ownership, moment)
                };
                if let (Ok(step), false) = (&done, is_rehearsal) {
                    self.take(step.clone(), moment.now);
                }
                // The operator may be gone; the order counts all the same.
                let _ = reply.send(done.map(|step| Answered { step, works }));
            }
            Call::Ended(act) => self.end(act, moment),
        }
    }

    /// Who decides at this moment.
    pub(in crate::server) fn ownership(&self) -> Ownership {
        self.ledger.lease.ownership()
    }

    /// Where a cluster stands.
    pub(in crate::server) fn stand(&self, cluster: &ClusterName) -> Option<&Stand> {
        self.ladder.stand(cluster)
    }

    /// The reserved connection to a cluster's primary.
    pub(in crate::server) fn reserves(&self) -> BTreeMap<ClusterName, Arc<Reserve>> {
        self.reserves.iter().map(|(cluster, one)| (cluster.clone(), one.reserve.clone())).collect()
    }

    /// Why the store is away, if it is.
    pub(in crate::server) fn store_away(&self) -> Option<&str> {
        self.away.as_deref()
    }

    fn apply(&self, cluster: &ClusterName, actions: &[Action], now: Instant) {
        let admission = self.services.admissions.of(cluster);
        for action in actions.iter().filter(|action| !action.touches_server()) {
            admission.apply(action, now);
        }
    }

    /// Sets gates, writes down, tells, and begins what touches servers.
    fn take(&mut self, step: Step, now: Instant) {
        let Step { cluster, actions, event } = step;
        self.apply(&cluster, &actions, now);
        let decision = self.ladder.stand(&cluster).map(|stand| stand.decision);
        let why = event.because.to_string();
        // What is done again on the same stage is told by its end.
        let is_repeated = event.from == event.to && event.how == How::Acted && event.by == By::Policy;
        if !is_repeated {
            if event.to == Stage::Open || matches!(event.because, Because::Recovered | Because::RampIsOver) {
                tracing::info!(%cluster, %event, "ladder");
            } else {
                tracing::warn!(%cluster, ?actions, %event, "ladder");
            }
            self.write(Entry::Step(event), decision.map(|decision| (cluster.clone(), decision)));
        }
        for action in actions.into_iter().filter(Action::touches_server) {
            self.begin(cluster.clone(), action, why.clone());
        }
    }

    /// Notes an entry, and sends it to those who want to know.
    fn write(&self, entry: Entry, decision: Option<(ClusterName, Decision)>) {
        self.outbox.offer(&entry);
        self.ledger.note(entry, decision);
    }

    fn is_running(&self, cluster: &ClusterName, action: &Action) -> bool {
        self.running.contains(&(cluster.clone(), action.name()))
    }

    /// Begins what touches a server, in a task of its own. What runs already is not begun again.
    fn begin(&mut self, cluster: ClusterName, action: Action, why: String) {
        let Some(reserved) = self.reserves.get(&cluster) else { return };
        if !self.running.insert((cluster.clone(), action.name())) {
            return;
        }
        let (reserve, failovers, ledger) =
            (reserved.reserve.clone(), self.failovers.clone(), self.ledger.clone());
        let planned = self.ladder.stand(&cluster).is_some_and(|stand| stand.decision.is_planned);
        let calls = self.calls.clone();
        // Not ended with this: a failover that is cut short is worse than one that nobody waits for.
        tokio::spawn(async move {
            let began = Instant::now();
            let came_to = if ledger.lease.ownership() == Ownership::Owner {
                match &action {
                    Action::KillDdl => CameTo::Killed(reserve.kill_ddl().await),
                    Action::KillTransactions => CameTo::Killed(reserve.kill_transactions().await),
                    Action::FailOver(to) => {
                        let request = FailoverRequest { to: to.clone(), planned, why };
                        CameTo::FailedOver(failovers.fail_over(&cluster, request).await)
                    }
                    Action::FindPrimary => CameTo::Found(failovers.find_primary(&cluster).await),
                    Action::DdlLane(_) | Action::Permits(_) | Action::Gate(_) => return,
                }
            } else {
                CameTo::NotOwner
            };
            let act = Act { cluster, action, came_to, took: began.elapsed() };
            // The watching task ends with the proxy, and nobody is left to be told.
            let _ = calls.send(Call::Ended(act)).await;
        });
    }

    fn end(&mut self, act: Act, moment: Moment) {
        let Act { cluster, action, came_to, took } = act;
        self.running.remove(&(cluster.clone(), action.name()));
        let failing_over =
            self.ladder.stand(&cluster).is_some_and(|stand| stand.decision.stage == Stage::FailingOver);
        let failover_end = match &came_to {
            CameTo::FailedOver(end) => Some(end.clone()),
            CameTo::Found(found) if failing_over => Some(end_of(found)),
            CameTo::NotOwner if matches!(action, Action::FailOver(_)) => {
                Some(FailoverEnd::Undone("another proxy decides now".into()))
            }
            _ => None,
        };
        let (ended, said, statements) = told(came_to);
        if ended == Ended::Done {
            tracing::info!(%cluster, action = action.name(), ?took, said, "ladder: an action has ended");
        } else {
            tracing::error!(%cluster, action = action.name(), ?took, said, "ladder: an action has ended");
        }
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let (at, name) = (moment.wall, cluster.clone());
        self.write(Entry::Act(ActEnd { at, cluster: name, action, ended, said, statements, took_ms }), None);
        // Only its owner decides what follows.
        if let Some(end) = failover_end.filter(|_| self.ownership() != Ownership::Follower)
            && let Some(step) = self.ladder.failover_ended(&cluster, end, moment)
        {
            self.take(step, moment.now);
        }
    }

    /// A cluster's state has changed. What comes and goes below degraded is told by the ladder's steps.
    pub(in crate::server) fn state_changed(&self, facts: &Facts, before: State, now: Instant) {
        if facts.state.max(before) < State::Degraded || self.ownership() == Ownership::Follower {
            return;
        }
        let evidence = facts.evidence.iter().map(|evidence| Witness::of(evidence, now)).collect();
        let change = StateChange {
            at: SystemTime::now(),
            cluster: facts.cluster.clone(),
            from: before.name().into(),
            to: facts.state.name().into(),
            evidence,
        };
        self.write(Entry::State(change), None);
    }

    /// Something that operators should know began or is over.
    pub(in crate::server) fn notice(
        &self,
        cluster: Option<&ClusterName>,
        is_raised: bool,
        name: &str,
        said: String,
    ) {
        let cluster = cluster.cloned();
        let notice = Notice { at: SystemTime::now(), cluster, is_raised, name: name.into(), said };
        self.write(Entry::Notice(notice), None);
    }
}

/// What a failover came to that another process began, by what was found afterwards.
fn end_of(found: &Found) -> FailoverEnd {
    match found {
        Found::Followed { to, .. } => FailoverEnd::Done(to.clone()),
        Found::Same(server) => {
            FailoverEnd::Undone(format!("the proxy that began it is gone; {server} is still the primary"))
        }
        Found::Undecided(why @ Undecided::Undone { .. }) => {
            FailoverEnd::Undone(format!("the proxy that began it is gone; {why}"))
        }
        Found::Undecided(why) => FailoverEnd::Unknown(format!("the proxy that began it is gone; {why}")),
    }
}

fn told(came_to: CameTo) -> (Ended, String, Vec<String>) {
    match came_to {
        CameTo::Killed(Killed { ended, said, statements }) => (ended, said, statements),
        CameTo::FailedOver(FailoverEnd::Done(server)) => {
            (Ended::Done, format!("{server} is the primary"), Vec::new())
        }
        CameTo::FailedOver(FailoverEnd::Undone(why)) => (Ended::Failed, why, Vec::new()),
        CameTo::FailedOver(FailoverEnd::Unknown(why)) => (Ended::Unknown, why, Vec::new()),
        CameTo::Found(found @ (Found::Same(_) | Found::Followed { .. })) => {
            (Ended::Done, found.to_string(), Vec::new())
        }
        CameTo::Found(found @ Found::Undecided(_)) => (Ended::Failed, found.to_string(), Vec::new()),
        CameTo::NotOwner => (Ended::Failed, "not begun: another proxy decides now".into(), Vec::new()),
    }
}
