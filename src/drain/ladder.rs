//! The ladder: from facts, policy and orders to steps.
//!
//! ```text
//!   open → contained → limited → draining → drained → failing over
//!    ↑         ↑           ↓         ↓         ↓           ↓
//!    └─────────┴──────── ramping ←───┴─────────┴───────────┘
//! ```
//! Invariants: no more clusters than the policy says are drained by the ladder's own decision at once; none
//! is limited on passive signals alone, none is drained without both kinds (or being down), none while its
//! siblings look the same; every change of a stage has its event; what an operator drained, or where it is
//! not known which server is the primary, only an operator lets in again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use super::action::Action;
use super::command::{Command, FailoverEnd, Order, Refused};
use super::event::{Because, By, Event, How, Witness};
use super::policy::{Mode, Policy, Rung};
use super::rung::{Decision, Stage, Stand};
use crate::health::{Backing, Facts, Signal, Standing, State};
use crate::ids::ClusterName;

/// Limiting may help for so long before a drain: killing DDL takes effect within seconds, or not.
const DRAIN_AFTER: Duration = Duration::from_secs(10);
/// Transactions may finish for so long: they are what cannot be replayed.
pub const DRAIN_WITHIN: Duration = Duration::from_secs(5);
/// DDL that still runs is killed again after this: rolling back a copy takes a while.
const KILL_AGAIN: Duration = Duration::from_secs(5);
/// The actor reports a failover's end by then.
const FAILOVER_WITHIN: Duration = Duration::from_secs(120);
/// A primary that stays read-only is looked for a successor again after this.
const SEEK_AGAIN: Duration = Duration::from_secs(30);
/// After one that was not done none is tried by itself before: it would meet what the first met.
const FAILOVER_PAUSE: Duration = Duration::from_secs(60);
/// After a decision was taken over, detectors that began at that moment know nothing yet: for so long nothing
/// is concluded from a cluster's looking well, and for twice as long it must look well without any doubt.
const LOOKED_AT: Duration = Duration::from_secs(15);
/// By then a cap that doubles every three seconds binds no limit in use.
const RAMP_WITHIN: Duration = Duration::from_secs(30);

/// The time, twice.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Monotonic: everything is computed from this.
    pub now: Instant,
    /// Wall time, for events.
    pub wall: SystemTime,
}

/// Whether this proxy decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// It holds the lease: it decides, and touches servers.
    Owner,
    /// Another does; its decisions come by [`Ladder::follow`].
    Follower,
    /// It is not known who does, as the store is away: this proxy decides for itself, touches no server and
    /// fails nothing over.
    Alone,
}

/// What is to be done, and what is to be written down. An event without actions is only told.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Which cluster.
    pub cluster: ClusterName,
    /// What to do, in this order; nothing when it was only advised or held back.
    pub actions: Vec<Action>,
    /// What to write down.
    pub event: Event,
}

impl Step {
    /// Leaves out what touches a server.
    fn keep_to_gates(&mut self) {
        self.actions.retain(|action| !action.touches_server());
        self.event.actions.retain(|action| !action.touches_server());
    }
}

/// All clusters on the ladder.
#[derive(Clone, Debug)]
pub struct Ladder {
    policy: Policy,
    /// Of clusters that have one of their own; `drains_max` is that of `policy`.
    policies: BTreeMap<ClusterName, Policy>,
    clusters: BTreeMap<ClusterName, Stand>,
}

/// What a stage's look at the facts came to.
enum Next {
    Stay,
    /// A step of the policy's.
    Climb(Rung, Because),
    /// Something forbids the step.
    Hold(Rung, Because),
    /// Back, or on within what was begun.
    Go(Stage, Because),
    /// The same stage, something more to do.
    Do(Action, Because),
}

impl Ladder {
    /// No cluster yet.
    pub fn new(policy: Policy) -> Self {
        Self { policy, policies: BTreeMap::new(), clusters: BTreeMap::new() }
    }

    /// Follows other policies from now on: that of all clusters, and those of clusters that have their own.
    /// What was decided stays.
    pub fn set_policies(&mut self, policy: Policy, own: BTreeMap<ClusterName, Policy>) {
        (self.policy, self.policies) = (policy, own);
    }

    /// What the ladder may do with a cluster by itself.
    pub fn policy(&self, cluster: &ClusterName) -> &Policy {
        self.policies.get(cluster).unwrap_or(&self.policy)
    }

    /// Where a cluster stands.
    pub fn stand(&self, cluster: &ClusterName) -> Option<&Stand> {
        self.clusters.get(cluster)
    }

    /// Forgets every cluster that `is_kept` says no to.
    pub fn retain(&mut self, is_kept: impl Fn(&ClusterName) -> bool) {
        self.clusters.retain(|cluster, _| is_kept(cluster));
    }

    /// Looks at the facts of all clusters and decides. A follower decides nothing.
    pub fn step(&mut self, facts: &[Facts], ownership: Ownership, moment: Moment) -> Vec<Step> {
        let mut steps = Vec::new();
        for facts in facts {
            if !self.clusters.contains_key(&facts.cluster) {
                self.clusters.insert(facts.cluster.clone(), Stand::new(moment.now));
            }
            if ownership != Ownership::Follower {
                steps.extend(self.decide(facts, ownership, moment));
            }
        }
        steps
    }

    fn decide(&mut self, facts: &Facts, ownership: Ownership, moment: Moment) -> Option<Step> {
        let others = self.own_drains();
        let policy = self.policies.get(&facts.cluster).unwrap_or(&self.policy);
        let stand = self.clusters.get_mut(&facts.cluster)?;
        if stand.decision.stage == Stage::Open && facts.state == State::Healthy {
            stand.told.clear();
        }
        let is_alone = ownership == Ownership::Alone;
        let mut step = match next(stand, facts, moment.now) {
            Next::Stay => None,
            Next::Climb(Rung::FailOver, _) if is_alone && policy.mode(Rung::FailOver) == Mode::Act => {
                told(stand, facts, (Rung::FailOver, How::HeldBack, Because::StoreAway), moment)
            }
            Next::Go(stage, because) => {
                let from = stand.decision.stage;
                let mut actions = Vec::new();
                if stage == Stage::Drained && because == Because::DrainIsOver {
                    actions.push(Action::KillTransactions);
                }
                stand.decision.is_unsure |= from == Stage::FailingOver;
                actions.splice(0..0, stand.go(stage, moment.now));
                Some(acted(facts, from, stage, (actions, because), moment))
            }
            Next::Do(action, because) => {
                match action {
                    Action::FindPrimary => stand.primary_sought = Some(moment.now),
                    _ => stand.ddl_killed = Some(moment.now),
                }
                let stage = stand.decision.stage;
                Some(acted(facts, stage, stage, (vec![action], because), moment))
            }
            Next::Hold(rung, because) => told(stand, facts, (rung, How::HeldBack, because), moment),
            Next::Climb(Rung::Drain, _) if others >= self.policy.drains_max => {
                told(stand, facts, (Rung::Drain, How::HeldBack, Because::OthersDrain), moment)
            }
            Next::Climb(rung, because) => match policy.mode(rung) {
                Mode::Off => None,
                Mode::Advise => told(stand, facts, (rung, How::Advised, because), moment),
                Mode::Act => Some(climb(stand, facts, (rung, because), policy, moment)),
            },
        }?;
        if is_alone {
            step.keep_to_gates();
        }
        // Nothing is left of what would only have touched a server.
        let is_void = step.event.from == step.event.to && step.actions.is_empty();
        (!is_alone || !is_void).then_some(step)
    }

    /// Clusters drained by the ladder's own decision.
    fn own_drains(&self) -> usize {
        self.clusters
            .values()
            .filter(|stand| stand.decision.stage.is_drain() && !stand.decision.is_operators)
            .count()
    }

    /// Follows an operator's order.
    ///
    /// # Errors
    /// Every variant of [`Refused`], as named there; then nothing has changed.
    pub fn order(
        &mut self,
        command: &Command,
        facts: &[Facts],
        ownership: Ownership,
        moment: Moment,
    ) -> Result<Step, Refused> {
        match ownership {
            Ownership::Follower => return Err(Refused::NotOwner),
            Ownership::Alone if matches!(command.order, Order::FailOver(_)) => {
                return Err(Refused::StoreAway);
            }
            Ownership::Alone | Ownership::Owner => {}
        }
        let stand = self.clusters.get_mut(&command.cluster);
        let stand = stand.ok_or_else(|| Refused::UnknownCluster(command.cluster.clone()))?;
        let from = stand.decision.stage;
        let found = facts.iter().find(|facts| facts.cluster == command.cluster);
        let works = works(stand, found);
        let actions = obey(stand, &command.order, moment.now)?;
        stand.decision.is_planned |= works && stand.decision.stage == Stage::FailingOver;
        let event = Event {
            at: moment.wall,
            cluster: command.cluster.clone(),
            from,
            to: stand.decision.stage,
            how: How::Acted,
            by: By::Operator(command.by.clone()),
            because: Because::Ordered(command.why.clone()),
            evidence: found.map(|facts| witnesses(facts, moment.now)).unwrap_or_default(),
            actions: actions.clone(),
        };
        let mut step = Step { cluster: command.cluster.clone(), actions, event };
        if ownership == Ownership::Alone {
            step.keep_to_gates();
        }
        Ok(step)
    }

    /// Says whether a cluster works, so that a failover of it is a switchover.
    pub fn works(&self, cluster: &ClusterName, facts: &[Facts]) -> bool {
        let found = facts.iter().find(|facts| facts.cluster == *cluster);
        self.clusters.get(cluster).is_some_and(|stand| works(stand, found))
    }

    /// What [`Ladder::order`] would do; nothing changes.
    ///
    /// # Errors
    /// As [`Ladder::order`].
    pub fn rehearse(
        &self,
        command: &Command,
        facts: &[Facts],
        ownership: Ownership,
        moment: Moment,
    ) -> Result<Step, Refused> {
        self.clone().order(command, facts, ownership, moment)
    }

    /// A failover that was asked for has ended. Absent when none was under way.
    pub fn failover_ended(
        &mut self,
        cluster: &ClusterName,
        end: FailoverEnd,
        moment: Moment,
    ) -> Option<Step> {
        let stand =
            self.clusters.get_mut(cluster).filter(|stand| stand.decision.stage == Stage::FailingOver)?;
        if !matches!(end, FailoverEnd::Done(_)) {
            stand.no_failover_until = Some(moment.now + FAILOVER_PAUSE);
        }
        stand.decision.is_unsure = matches!(end, FailoverEnd::Unknown(_));
        let (to, because) = match end {
            // A planned one held writes for moments: there is no crowd to be let in slowly.
            FailoverEnd::Done(_) if stand.decision.is_planned => (Stage::Contained, Because::FailedOver),
            FailoverEnd::Done(_) => (Stage::Ramping, Because::FailedOver),
            FailoverEnd::Undone(why) if stand.decision.is_planned => {
                (Stage::Contained, Because::FailoverUndone(why))
            }
            FailoverEnd::Undone(why) => (Stage::Drained, Because::FailoverUndone(why)),
            // Two primaries are worse than none: an unknown end stays drained.
            FailoverEnd::Unknown(why) => (Stage::Drained, Because::FailoverUnknown(why)),
        };
        let actions = stand.go(to, moment.now);
        let event = Event {
            at: moment.wall,
            cluster: cluster.clone(),
            from: Stage::FailingOver,
            to,
            how: How::Acted,
            by: By::Policy,
            because,
            evidence: Vec::new(),
            actions: actions.clone(),
        };
        Some(Step { cluster: cluster.clone(), actions, event })
    }

    /// Takes over what the owner decided, or what was decided before a restart; gives what this proxy has to
    /// do for itself.
    pub fn follow(&mut self, cluster: &ClusterName, decision: Decision, now: Instant) -> Vec<Action> {
        let stand = self.clusters.entry(cluster.clone()).or_insert_with(|| Stand::new(now));
        stand.take(decision, now)
    }
}

fn works(stand: &Stand, facts: Option<&Facts>) -> bool {
    facts.is_some_and(|facts| facts.state < State::Degraded) && !stand.decision.stage.is_drain()
}

/// What is due where a cluster stands.
fn next(stand: &Stand, facts: &Facts, now: Instant) -> Next {
    let stands_for = now.saturating_duration_since(stand.since);
    let is_sick = facts.state >= State::Degraded;
    if seek_is_due(stand, facts, now) {
        return Next::Do(Action::FindPrimary, Because::ReadOnly);
    }
    match stand.decision.stage {
        // → Contained
        Stage::Open if facts.state >= State::Suspect => Next::Climb(Rung::Contain, Because::Suspect),
        Stage::Open => Next::Stay,
        // → Limited, → Open
        Stage::Contained if is_sick => limit_due(facts),
        Stage::Contained if facts.state == State::Healthy => Next::Go(Stage::Open, Because::Recovered),
        Stage::Contained => Next::Stay,
        // → Draining, → Ramping
        Stage::Limited if is_well(stand, facts, now) => Next::Go(Stage::Ramping, Because::Recovered),
        Stage::Limited if !is_sick => Next::Stay,
        Stage::Limited if ddl_is_due(stand, facts, now) => Next::Do(Action::KillDdl, Because::DdlStillRuns),
        Stage::Limited if stands_for >= DRAIN_AFTER => drain_due(facts),
        Stage::Limited => Next::Stay,
        // → Drained, → Ramping: not before the transactions had their time, or they would be cut for nothing
        Stage::Draining if stands_for < DRAIN_WITHIN => Next::Stay,
        Stage::Draining if is_own_recovery(stand, facts, now) => Next::Go(Stage::Ramping, Because::Recovered),
        Stage::Draining => Next::Go(Stage::Drained, Because::DrainIsOver),
        // → FailingOver, → Ramping
        Stage::Drained if is_own_recovery(stand, facts, now) => Next::Go(Stage::Ramping, Because::Recovered),
        Stage::Drained if stand.decision.is_operators || stand.decision.is_unsure || !is_sick => Next::Stay,
        Stage::Drained => fail_over_due(stand, facts, now),
        // → Drained; to Ramping by `failover_ended`
        Stage::FailingOver if stands_for >= FAILOVER_WITHIN => {
            Next::Go(Stage::Drained, Because::FailoverUnheard)
        }
        Stage::FailingOver => Next::Stay,
        // → Limited, → Contained (and from there to Open)
        Stage::Ramping if is_sick => limit_due(facts),
        Stage::Ramping if stands_for >= RAMP_WITHIN => Next::Go(Stage::Contained, Because::RampIsOver),
        Stage::Ramping => Next::Stay,
    }
}

fn limit_due(facts: &Facts) -> Next {
    let because = if facts.state == State::Down { Because::Down } else { Because::Degraded };
    match why_not(facts) {
        Some(why) => Next::Hold(Rung::Limit, why),
        None => Next::Climb(Rung::Limit, because),
    }
}

fn drain_due(facts: &Facts) -> Next {
    let is_sure = facts.state == State::Down || facts.backing() == Backing::Both;
    match why_not(facts) {
        Some(why) => Next::Hold(Rung::Drain, why),
        None if !is_sure => Next::Hold(Rung::Drain, Because::OneSided),
        None if !facts.is_stuck() => Next::Hold(Rung::Drain, Because::NotStuck),
        None => Next::Climb(Rung::Drain, Because::StillSick),
    }
}

fn fail_over_due(stand: &Stand, facts: &Facts, now: Instant) -> Next {
    if stand.no_failover_until.is_some_and(|until| now < until) {
        return Next::Hold(Rung::FailOver, Because::FailoverTooSoon);
    }
    match why_not(facts) {
        Some(why) => Next::Hold(Rung::FailOver, why),
        None => Next::Climb(Rung::FailOver, Because::StillSick),
    }
}

/// What forbids acting on a cluster, however sick it is.
fn why_not(facts: &Facts) -> Option<Because> {
    if facts.standing == Standing::Alike {
        return Some(Because::AllAlike);
    }
    if facts.is_own_fault && facts.state != State::Down {
        return Some(Because::OwnFault);
    }
    let is_backed = matches!(facts.backing(), Backing::Active | Backing::Both);
    (!is_backed).then_some(Because::OneSided)
}

fn is_own_recovery(stand: &Stand, facts: &Facts, now: Instant) -> bool {
    !stand.decision.is_operators && !stand.decision.is_unsure && is_well(stand, facts, now)
}

/// Works again, as far as can be known by now.
fn is_well(stand: &Stand, facts: &Facts, now: Instant) -> bool {
    let looked = stand.taken.map_or(Duration::MAX, |taken| now.saturating_duration_since(taken));
    let bound = if looked < 2 * LOOKED_AT { State::Healthy } else { State::Suspect };
    facts.state <= bound && looked >= LOOKED_AT
}

fn seek_is_due(stand: &Stand, facts: &Facts, now: Instant) -> bool {
    let is_time = |sought: Instant| now.saturating_duration_since(sought) >= SEEK_AGAIN;
    let is_free = stand.decision.stage != Stage::FailingOver;
    is_free && facts.has(Signal::ReadOnly) && stand.primary_sought.is_none_or(is_time)
}

fn ddl_is_due(stand: &Stand, facts: &Facts, now: Instant) -> bool {
    let is_running = facts.reading.ddl_running.is_some_and(|running| running > 0);
    let is_time = |killed: Instant| now.saturating_duration_since(killed) >= KILL_AGAIN;
    is_running && stand.ddl_killed.is_none_or(is_time)
}

/// One rung up.
fn climb(
    stand: &mut Stand,
    facts: &Facts,
    (rung, because): (Rung, Because),
    policy: &Policy,
    moment: Moment,
) -> Step {
    let from = stand.decision.stage;
    let to = rung.stage();
    if rung == Rung::Drain {
        stand.decision.expects_failover = policy.mode(Rung::FailOver) == Mode::Act;
    }
    let mut actions = stand.go(to, moment.now);
    match rung {
        Rung::Limit if ddl_is_due(stand, facts, moment.now) => {
            stand.ddl_killed = Some(moment.now);
            // What causes it goes first.
            actions.insert(0, Action::KillDdl);
        }
        Rung::FailOver => actions.push(Action::FailOver(None)),
        _ => {}
    }
    acted(facts, from, to, (actions, because), moment)
}

fn obey(stand: &mut Stand, order: &Order, now: Instant) -> Result<Vec<Action>, Refused> {
    if stand.decision.stage == Stage::FailingOver && !matches!(order, Order::FreezeDdl | Order::ThawDdl) {
        return Err(Refused::FailingOver);
    }
    let drained = matches!(stand.decision.stage, Stage::Draining | Stage::Drained);
    match order {
        Order::FreezeDdl if stand.decision.is_ddl_frozen => Err(Refused::Already("frozen")),
        Order::FreezeDdl => Ok(stand.change(|stand| stand.decision.is_ddl_frozen = true)),
        Order::ThawDdl if !stand.decision.is_ddl_frozen => Err(Refused::IsNot("frozen")),
        Order::ThawDdl => Ok(stand.change(|stand| stand.decision.is_ddl_frozen = false)),
        Order::Drain if drained && stand.decision.is_operators => Err(Refused::Already("drained")),
        // Drained by the ladder: the operator takes it over, so that it does not come back by itself.
        Order::Drain if drained => {
            stand.decision.is_operators = true;
            Ok(Vec::new())
        }
        Order::Drain => {
            stand.decision.is_operators = true;
            Ok(stand.go(Stage::Draining, now))
        }
        Order::Undrain if drained => Ok(stand.go(Stage::Ramping, now)),
        Order::Undrain => Err(Refused::IsNot("drained")),
        Order::FailOver(to) => {
            (stand.decision.is_operators, stand.decision.is_unsure) = (true, false);
            let mut actions = stand.go(Stage::FailingOver, now);
            actions.push(Action::FailOver(to.clone()));
            Ok(actions)
        }
    }
}

fn acted(
    facts: &Facts,
    from: Stage,
    to: Stage,
    (actions, because): (Vec<Action>, Because),
    moment: Moment,
) -> Step {
    let event = Event {
        at: moment.wall,
        cluster: facts.cluster.clone(),
        from,
        to,
        how: How::Acted,
        by: By::Policy,
        because,
        evidence: witnesses(facts, moment.now),
        actions: actions.clone(),
    };
    Step { cluster: facts.cluster.clone(), actions, event }
}

/// Tells once that something is advised or held back.
fn told(stand: &mut Stand, facts: &Facts, what: (Rung, How, Because), moment: Moment) -> Option<Step> {
    if stand.told.contains(&what) {
        return None;
    }
    stand.told.push(what.clone());
    let (rung, how, because) = what;
    let mut step = acted(facts, stand.decision.stage, stand.decision.stage, (Vec::new(), because), moment);
    step.event.how = how;
    step.event.to = rung.stage();
    Some(step)
}

fn witnesses(facts: &Facts, now: Instant) -> Vec<Witness> {
    facts.evidence.iter().map(|evidence| Witness::of(evidence, now)).collect()
}
