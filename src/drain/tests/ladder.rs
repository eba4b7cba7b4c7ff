//! The ladder: its way up and down, what holds it back, orders.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use proptest::prelude::*;

use crate::drain::{
    Action, Because, By, Command, Decision, FailoverEnd, How, Ladder, Lane, Mode, Moment, Order, Ownership,
    PermitsHeld, Policy, Refused, Rung, Stage, Step, WriteGate,
};
use crate::health::{Evidence, Facts, Reading, Signal, Standing, State};
use crate::ids::{ClusterName, ServerId};

fn facts(cluster: &str, state: State, signals: &[Signal], now: Instant) -> Facts {
    let evidence = |signal: &Signal| Evidence { signal: *signal, value: 2.0, threshold: 1.0, since: now };
    Facts {
        cluster: ClusterName::new(cluster),
        state,
        since: now,
        evidence: signals.iter().map(evidence).collect(),
        standing: Standing::StandsOut,
        is_own_fault: false,
        hot_spot: None,
        reading: Reading::default(),
        writes_in_flight: 0,
        oldest_write: Duration::ZERO,
    }
}

const STUCK: [Signal; 2] = [Signal::OverdueWrites, Signal::Heartbeat];

struct Play {
    ladder: Ladder,
    moment: Moment,
}

impl Play {
    fn new(policy: Policy) -> Self {
        let moment = Moment { now: Instant::now(), wall: SystemTime::UNIX_EPOCH };
        Self { ladder: Ladder::new(policy), moment }
    }

    fn pass(&mut self, seconds: u64) {
        self.moment.now += Duration::from_secs(seconds);
        self.moment.wall += Duration::from_secs(seconds);
    }

    fn see(&mut self, facts: &[Facts]) -> Vec<Step> {
        self.ladder.step(facts, Ownership::Owner, self.moment)
    }

    fn one(&mut self, state: State, signals: &[Signal]) -> Vec<Step> {
        let facts = facts("c1", state, signals, self.moment.now);
        self.see(&[facts])
    }

    fn order(&mut self, order: Order) -> Result<Step, Refused> {
        let command =
            Command { cluster: ClusterName::new("c1"), order, by: "ana".into(), why: "drill".into() };
        let rehearsed = self.ladder.rehearse(&command, &[], Ownership::Owner, self.moment);
        let done = self.ladder.order(&command, &[], Ownership::Owner, self.moment);
        assert_eq!(rehearsed, done, "a rehearsal says what is done");
        done
    }

    fn stage(&self) -> Stage {
        self.ladder.stand(&ClusterName::new("c1")).expect("known").decision.stage
    }
}

fn only(steps: Vec<Step>) -> Step {
    let [step] = <[Step; 1]>::try_from(steps).expect("one step");
    step
}

#[test]
fn the_way_up_and_down() {
    let mut play = Play::new(Policy { fail_over: Mode::Act, ..Policy::DEFAULT });
    assert!(play.one(State::Healthy, &[]).is_empty());
    let step = only(play.one(State::Suspect, &STUCK[..1]));
    assert_eq!(step.actions, [Action::DdlLane(Lane::Closed)]);
    assert_eq!((step.event.to, step.event.how, step.event.by), (Stage::Contained, How::Acted, By::Policy));
    let step = only(play.one(State::Degraded, &STUCK));
    let limited = [Action::Permits(PermitsHeld::Few), Action::Gate(WriteGate::Limited)];
    assert_eq!(step.actions, limited);
    assert_eq!(step.event.evidence.len(), 2);
    play.pass(9);
    assert!(play.one(State::Degraded, &STUCK).is_empty(), "limiting has its time");
    play.pass(1);
    // A failover is expected, so writes are held, not refused.
    assert_eq!(only(play.one(State::Degraded, &STUCK)).actions, [Action::Gate(WriteGate::Buffering)]);
    play.pass(5);
    let step = only(play.one(State::Degraded, &STUCK));
    assert_eq!(step.actions, [Action::Gate(WriteGate::Drained), Action::KillTransactions]);
    let step = only(play.one(State::Degraded, &STUCK));
    assert_eq!(step.actions, [Action::Gate(WriteGate::Buffering), Action::FailOver(None)]);
    let cluster = ClusterName::new("c1");
    let end = FailoverEnd::Done(ServerId::parse("10.0.0.2:3306").expect("a server"));
    let step = play.ladder.failover_ended(&cluster, end, play.moment).expect("under way");
    assert_eq!(step.actions, [Action::Permits(PermitsHeld::Ramping), Action::Gate(WriteGate::Open)]);
    play.pass(30);
    assert_eq!(only(play.one(State::Healthy, &[])).actions, [Action::Permits(PermitsHeld::Free)]);
    assert_eq!(only(play.one(State::Healthy, &[])).actions, [Action::DdlLane(Lane::Open)]);
    assert_eq!(play.stage(), Stage::Open);
}

#[test]
fn ddl_in_flight_is_killed_first_and_again() {
    let mut play = Play::new(Policy::DEFAULT);
    play.one(State::Suspect, &STUCK);
    let mut sick = facts("c1", State::Degraded, &STUCK, play.moment.now);
    sick.reading.ddl_running = Some(40);
    assert_eq!(only(play.see(&[sick.clone()])).actions[0], Action::KillDdl);
    assert!(play.see(&[sick.clone()]).is_empty());
    play.pass(5);
    let step = only(play.see(&[sick]));
    assert_eq!((step.actions, step.event.because), (vec![Action::KillDdl], Because::DdlStillRuns));
}

#[test]
fn what_is_only_advised_is_told_once_and_not_done() {
    let mut play = Play::new(Policy { limit: Mode::Advise, ..Policy::DEFAULT });
    play.one(State::Suspect, &STUCK);
    let step = only(play.one(State::Degraded, &STUCK));
    assert_eq!((step.event.how, step.event.to, step.actions.len()), (How::Advised, Stage::Limited, 0));
    play.pass(100);
    assert!(play.one(State::Degraded, &STUCK).is_empty());
    assert_eq!(play.stage(), Stage::Contained);
    assert_eq!(Policy { contain: Mode::Off, ..Policy::DEFAULT }.mode(Rung::FailOver), Mode::Off);
    assert_eq!(Policy::DEFAULT.mode(Rung::FailOver), Mode::Advise);
}

#[test]
fn slow_writes_are_limited_and_not_drained() {
    let mut play = Play::new(Policy::DEFAULT);
    let mut slow = facts("c1", State::Degraded, &[Signal::SlowWrites, Signal::Heartbeat], play.moment.now);
    slow.evidence[1].value = 0.1;
    play.see(&[slow.clone()]);
    play.see(&[slow.clone()]);
    play.pass(60);
    let step = only(play.see(&[slow]));
    assert_eq!((step.event.how, step.event.because), (How::HeldBack, Because::NotStuck));
    assert_eq!(play.stage(), Stage::Limited);
}

#[test]
fn a_second_cluster_waits_for_its_turn() {
    let mut play = Play::new(Policy::DEFAULT);
    let both = |play: &Play| ["c1", "c2"].map(|name| facts(name, State::Degraded, &STUCK, play.moment.now));
    play.see(&both(&play));
    play.see(&both(&play));
    play.pass(10);
    let steps = play.see(&both(&play));
    assert_eq!((steps[0].event.to, steps[0].event.how), (Stage::Draining, How::Acted));
    assert_eq!((steps[1].event.how, &steps[1].event.because), (How::HeldBack, &Because::OthersDrain));
}

#[test]
fn a_failover_that_is_not_heard_of_or_fails_is_not_repeated_at_once() {
    let mut play = Play::new(Policy { fail_over: Mode::Act, ..Policy::DEFAULT });
    for wait in [0, 0, 10, 5, 0] {
        play.pass(wait);
        play.one(State::Degraded, &STUCK);
    }
    assert_eq!(play.stage(), Stage::FailingOver);
    let cluster = ClusterName::new("c1");
    let undone = FailoverEnd::Undone("no replica is fit".to_owned());
    let step = play.ladder.failover_ended(&cluster, undone, play.moment).expect("under way");
    assert_eq!(step.event.to, Stage::Drained);
    let step = only(play.one(State::Degraded, &STUCK));
    assert_eq!((step.event.how, step.event.because), (How::HeldBack, Because::FailoverTooSoon));
    play.pass(60);
    assert_eq!(only(play.one(State::Degraded, &STUCK)).event.to, Stage::FailingOver);
    play.pass(120);
    assert_eq!(only(play.one(State::Degraded, &STUCK)).event.because, Because::FailoverUnheard);
    // Nobody knows which server is the primary now.
    play.pass(100_000);
    assert!(play.one(State::Degraded, &STUCK).is_empty() && play.one(State::Healthy, &[]).is_empty());
    play.order(Order::Undrain).expect("an operator knows");
    assert_eq!(play.stage(), Stage::Ramping);
}

#[test]
fn orders_are_followed_and_only_an_operator_ends_them() {
    let mut play = Play::new(Policy::DEFAULT);
    let unknown = Refused::UnknownCluster(ClusterName::new("c1"));
    assert_eq!(play.order(Order::Drain), Err(unknown));
    play.one(State::Healthy, &[]);
    assert_eq!(play.order(Order::Undrain), Err(Refused::IsNot("drained")));
    let step = play.order(Order::FreezeDdl).expect("followed");
    assert_eq!(step.actions, [Action::DdlLane(Lane::Closed)]);
    assert_eq!(play.order(Order::FreezeDdl), Err(Refused::Already("frozen")));
    let step = play.order(Order::Drain).expect("followed");
    assert_eq!(step.actions, [Action::Permits(PermitsHeld::Few), Action::Gate(WriteGate::Refusing)]);
    assert_eq!(step.event.by, By::Operator("ana".into()));
    assert_eq!(play.order(Order::Drain), Err(Refused::Already("drained")));
    play.pass(5);
    assert_eq!(only(play.one(State::Healthy, &[])).event.to, Stage::Drained);
    play.pass(10_000);
    assert!(play.one(State::Healthy, &[]).is_empty(), "it does not come back by itself");
    play.order(Order::Undrain).expect("followed");
    play.pass(30);
    play.one(State::Healthy, &[]);
    let step = only(play.one(State::Healthy, &[]));
    assert_eq!((step.event.to, step.actions.len()), (Stage::Open, 0), "frozen as before");
    assert_eq!(play.order(Order::ThawDdl).expect("followed").actions, [Action::DdlLane(Lane::Open)]);
    let to = ServerId::parse("10.0.0.2:3306");
    let step = play.order(Order::FailOver(to.clone())).expect("followed");
    assert_eq!(step.actions.last(), Some(&Action::FailOver(to)));
    assert_eq!(play.order(Order::Drain), Err(Refused::FailingOver));
}

#[test]
fn a_planned_failover_ends_without_a_ramp_unless_its_end_is_unknown() {
    let server = || ServerId::parse("10.0.0.2:3306").expect("a server");
    let ends = [
        (FailoverEnd::Done(server()), Stage::Contained),
        (FailoverEnd::Undone("errant transactions".into()), Stage::Contained),
        (FailoverEnd::Unknown("connection lost".into()), Stage::Drained),
    ];
    for (end, to) in ends {
        let mut play = Play::new(Policy::DEFAULT);
        let well = [facts("c1", State::Healthy, &[], play.moment.now)];
        play.see(&well);
        let cluster = ClusterName::new("c1");
        let order = Order::FailOver(None);
        let command = Command { cluster: cluster.clone(), order, by: "ana".into(), why: "kernel".into() };
        let step = play.ladder.order(&command, &well, Ownership::Owner, play.moment).expect("followed");
        assert!(step.actions.contains(&Action::Gate(WriteGate::Buffering)));
        let step = play.ladder.failover_ended(&cluster, end, play.moment).expect("under way");
        assert_eq!(step.event.to, to);
        play.pass(100_000);
        let later = play.see(&well);
        assert_eq!(later.is_empty(), to == Stage::Drained, "what is unknown stays until an operator's word");
        assert!(play.ladder.failover_ended(&cluster, FailoverEnd::Done(server()), play.moment).is_none());
    }
}

#[test]
fn a_read_only_primary_is_looked_for_a_successor_at_once() {
    let mut play = Play::new(Policy::DEFAULT);
    let step = only(play.one(State::Healthy, &[Signal::ReadOnly]));
    assert_eq!((step.actions, step.event.because), (vec![Action::FindPrimary], Because::ReadOnly));
    assert!(play.one(State::Healthy, &[Signal::ReadOnly]).is_empty());
    play.pass(30);
    assert_eq!(only(play.one(State::Healthy, &[Signal::ReadOnly])).actions, [Action::FindPrimary]);
}

#[test]
fn a_follower_decides_nothing_and_does_its_own_part() {
    let mut play = Play::new(Policy::DEFAULT);
    let sick = [facts("c1", State::Degraded, &STUCK, play.moment.now)];
    assert!(play.ladder.step(&sick, Ownership::Follower, play.moment).is_empty());
    let cluster = ClusterName::new("c1");
    let stand = play.ladder.stand(&cluster).expect("known");
    let decision = Decision { stage: Stage::Drained, is_ddl_frozen: true, ..stand.decision };
    let actions = play.ladder.follow(&cluster, decision, play.moment.now);
    assert!(actions.iter().all(|action| !action.touches_server()));
    assert_eq!(actions.len(), 3);
    assert!(play.ladder.follow(&cluster, decision, play.moment.now).is_empty());
    let open = Decision { stage: Stage::Open, ..decision };
    let actions = play.ladder.follow(&cluster, open, play.moment.now);
    assert_eq!(actions, [Action::Permits(PermitsHeld::Free), Action::Gate(WriteGate::Open)], "still frozen");
    let command = Command { cluster, order: Order::Undrain, by: "ana".into(), why: "drill".into() };
    let refused = play.ladder.order(&command, &sick, Ownership::Follower, play.moment);
    assert_eq!(refused, Err(Refused::NotOwner));
}

#[test]
fn a_drain_goes_on_after_a_restart() {
    let mut play = Play::new(Policy::DEFAULT);
    play.one(State::Healthy, &[]);
    play.order(Order::Drain).expect("followed");
    let cluster = ClusterName::new("c1");
    let decision = play.ladder.stand(&cluster).expect("known").decision;
    let text = serde_json::to_string(&decision).expect("writes");
    let mut play = Play::new(Policy::DEFAULT);
    let read: Decision = serde_json::from_str(&text).expect("reads");
    let actions = play.ladder.follow(&cluster, read, play.moment.now);
    assert!(actions.contains(&Action::Gate(WriteGate::Refusing)), "the gate is set again");
    play.pass(5);
    let step = only(play.one(State::Healthy, &[]));
    assert_eq!((step.event.to, step.event.because), (Stage::Drained, Because::DrainIsOver));
    play.pass(1000);
    assert!(play.one(State::Healthy, &[]).is_empty(), "still the operator's");
}

#[test]
fn what_was_drained_before_a_restart_is_not_let_in_unseen() {
    let taken = |stage| {
        let mut play = Play::new(Policy::DEFAULT);
        let decision = Decision { stage, ..Decision::OPEN };
        play.ladder.follow(&ClusterName::new("c1"), decision, play.moment.now);
        play
    };
    // Detectors that have just begun call everything healthy.
    for stage in [Stage::Limited, Stage::Drained] {
        let mut play = taken(stage);
        play.pass(1);
        assert!(play.one(State::Healthy, &[]).is_empty(), "too soon");
        play.pass(15);
        assert!(play.one(State::Suspect, &[Signal::Heartbeat]).is_empty(), "not without doubt");
        assert_eq!(only(play.one(State::Healthy, &[])).event.to, Stage::Ramping);
    }
    let mut play = taken(Stage::Drained);
    play.pass(60);
    assert_eq!(only(play.one(State::Suspect, &[Signal::Heartbeat])).event.to, Stage::Ramping, "as always");
}

#[test]
fn who_is_alone_sets_gates_and_touches_no_server() {
    let mut play = Play::new(Policy { fail_over: Mode::Act, ..Policy::DEFAULT });
    let look = |play: &mut Play, seconds| {
        play.pass(seconds);
        let mut facts = facts("c1", State::Degraded, &STUCK, play.moment.now);
        facts.reading.ddl_running = Some(9);
        let steps = play.ladder.step(&[facts], Ownership::Alone, play.moment);
        assert!(steps.iter().all(|step| step.actions.iter().all(|action| !action.touches_server())));
        steps
    };
    assert_eq!(only(look(&mut play, 0)).event.to, Stage::Contained);
    assert_eq!(only(look(&mut play, 1)).event.to, Stage::Limited);
    assert!(look(&mut play, 5).is_empty(), "DDL is not killed");
    assert!(look(&mut play, 5).is_empty(), "and not again");
    assert_eq!(only(look(&mut play, 0)).event.to, Stage::Draining);
    let step = only(look(&mut play, 5));
    assert!(step.actions.contains(&Action::Gate(WriteGate::Drained)), "{step:?}");
    let told = only(look(&mut play, 5)).event;
    assert_eq!((told.to, told.how, told.because), (Stage::FailingOver, How::HeldBack, Because::StoreAway));
    let command =
        |order| Command { cluster: ClusterName::new("c1"), order, by: "ana".into(), why: "drill".into() };
    let refused = play.ladder.order(&command(Order::FailOver(None)), &[], Ownership::Alone, play.moment);
    assert_eq!(refused, Err(Refused::StoreAway));
    assert!(play.ladder.order(&command(Order::Undrain), &[], Ownership::Alone, play.moment).is_ok());
}

#[test]
fn a_cluster_may_have_a_policy_of_its_own() {
    let mut play = Play::new(Policy::DEFAULT);
    let careful = Policy { contain: Mode::Advise, ..Policy::DEFAULT };
    play.ladder.set_policies(Policy::DEFAULT, BTreeMap::from([(ClusterName::new("c1"), careful)]));
    let sick = |play: &Play| ["c1", "c2"].map(|name| facts(name, State::Suspect, &STUCK, play.moment.now));
    let steps = {
        let facts = sick(&play);
        play.see(&facts)
    };
    let told: Vec<_> = steps.iter().map(|step| (step.event.how, step.actions.is_empty())).collect();
    assert_eq!(told, [(How::Advised, true), (How::Acted, false)]);
    let advice = play.ladder.stand(&ClusterName::new("c1")).expect("known").advice();
    assert_eq!(advice, Some((Stage::Contained, How::Advised, &Because::Suspect)));
    // It is told again when it comes again.
    let again = {
        let facts = sick(&play);
        play.see(&facts)
    };
    assert!(again.is_empty());
    play.one(State::Healthy, &[]);
    assert_eq!(only(play.one(State::Suspect, &STUCK)).event.how, How::Advised);
    play.ladder.set_policies(Policy::DEFAULT, BTreeMap::new());
    assert_eq!(only(play.one(State::Suspect, &STUCK)).event.how, How::Acted, "a new policy counts at once");
}

#[test]
fn events_survive_being_written_down() {
    let mut play = Play::new(Policy::DEFAULT);
    let event = only(play.one(State::Suspect, &STUCK)).event;
    let text = serde_json::to_string(&event).expect("writes");
    assert_eq!(serde_json::from_str::<crate::drain::Event>(&text).expect("reads"), event);
    assert!(
        event.to_string().starts_with("c1: open → contained, because it is suspect; overdue_writes 2.00")
    );
}

fn any_facts() -> impl Strategy<Value = Vec<Facts>> {
    let state =
        prop_oneof![Just(State::Healthy), Just(State::Suspect), Just(State::Degraded), Just(State::Down)];
    let standing = prop_oneof![Just(Standing::Unknown), Just(Standing::StandsOut), Just(Standing::Alike)];
    let signals = prop::sample::subsequence(Signal::ALL.to_vec(), 0..6);
    let one = (state, standing, signals, any::<bool>(), 0..3_u32);
    prop::collection::vec(one, 3).prop_map(|all| {
        let now = Instant::now();
        let one = |(at, (state, standing, signals, is_own_fault, ddl)): (usize, (_, _, Vec<_>, _, _))| {
            let mut facts = facts(&format!("c{at}"), state, &signals, now);
            (facts.standing, facts.is_own_fault) = (standing, is_own_fault);
            facts.reading.ddl_running = Some(ddl);
            facts
        };
        all.into_iter().enumerate().map(one).collect()
    })
}

proptest! {
    #[test]
    fn the_ladder_keeps_its_promises(
        looks in prop::collection::vec((any_facts(), 0..20_u64), 1..60),
        fail_over in prop::sample::select(vec![Mode::Off, Mode::Advise, Mode::Act]),
    ) {
        let mut play = Play::new(Policy { fail_over, ..Policy::DEFAULT });
        let mut stages: BTreeMap<ClusterName, Stage> = BTreeMap::new();
        for (facts, wait) in looks {
            play.pass(wait);
            let steps = play.see(&facts);
            let mut changed = Vec::new();
            for step in &steps {
                let facts = facts.iter().find(|facts| facts.cluster == step.cluster).expect("known");
                let has = |kind| facts.evidence.iter().any(|e| e.signal.kind() == kind);
                let active = has(crate::health::detect::SignalKind::Active);
                let passive = has(crate::health::detect::SignalKind::Passive);
                let old = stages.insert(step.cluster.clone(), step.event.to).unwrap_or(Stage::Open);
                if step.event.how != How::Acted {
                    stages.insert(step.cluster.clone(), old);
                    prop_assert!(step.actions.is_empty());
                    continue;
                }
                prop_assert_eq!(step.event.from, old, "no change without its event");
                changed.push(step.cluster.clone());
                if step.actions == [Action::FindPrimary] {
                    prop_assert_eq!(step.event.to, old);
                    continue;
                }
                if step.event.to == Stage::Limited && old != Stage::Limited {
                    prop_assert!(active && facts.standing != Standing::Alike);
                }
                if step.event.to == Stage::Draining {
                    prop_assert!(facts.standing != Standing::Alike);
                    prop_assert!(active && passive || facts.state == State::Down);
                }
                if step.actions.contains(&Action::FailOver(None)) {
                    prop_assert_eq!(fail_over, Mode::Act);
                    prop_assert!(facts.standing != Standing::Alike && old == Stage::Drained);
                }
            }
            changed.sort();
            changed.dedup();
            let drains = ["c0", "c1", "c2"].iter().filter(|name| {
                let stand = play.ladder.stand(&ClusterName::new(**name)).expect("known");
                stand.decision.stage.is_drain()
            });
            prop_assert!(drains.count() <= 1, "one drain at a time");
            for (cluster, stage) in &stages {
                prop_assert_eq!(play.ladder.stand(cluster).expect("known").decision.stage, *stage);
            }
        }
    }
}
