//! Permits: bounds, fairness, nothing lost.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::drain::{Answer, Ask, Due, Permit, PermitLimits, Permits, Shed, Ticket, WorkspaceLimits};

const LIMITS: PermitLimits = PermitLimits {
    floor: 4,
    ceiling: 8,
    waiting_max: 10,
    waiting_bytes_max: 1000,
    wait_max: Duration::from_secs(1),
    workspace: WorkspaceLimits { in_flight_max: None, per_second_max: None },
};

fn ask(workspace: u64) -> Ask {
    Ask { workspace: Some(workspace), bytes: 10, is_in_transaction: false, was_held: false }
}

fn admitted(answer: Answer) -> Permit {
    match answer {
        Answer::Admit(permit) => permit,
        other => panic!("{other:?}"),
    }
}

fn ticket(answer: Answer) -> Ticket {
    match answer {
        Answer::Wait { ticket, .. } => ticket,
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_workspace_cannot_take_all_permits() {
    let now = Instant::now();
    let mut permits = Permits::new(LIMITS, now);
    let mut hot: Vec<_> = (0..4).map(|_| admitted(permits.try_admit(ask(1), now))).collect();
    let waiting: Vec<_> = (0..3).map(|_| ticket(permits.try_admit(ask(1), now))).collect();
    // Half is left for the others, although the first workspace waits.
    let others: Vec<_> = (2..6).map(|other| admitted(permits.try_admit(ask(other), now))).collect();
    assert_eq!((permits.in_flight(), permits.waiting()), (8, 3));
    // Its own release gives its own turn, in order.
    let due = permits.release(hot.pop().expect("four"), Some(1.0), false, now);
    assert_eq!(due.admitted.iter().map(|(ticket, _)| *ticket).collect::<Vec<_>>(), waiting[..1]);
    drop((due, others));
}

#[test]
fn those_that_wait_take_turns() {
    let now = Instant::now();
    let mut permits = Permits::new(LIMITS, now);
    let mut held: Vec<_> = (10..18).map(|other| admitted(permits.try_admit(ask(other), now))).collect();
    let first: Vec<_> = (0..3).map(|_| ticket(permits.try_admit(ask(1), now))).collect();
    let second = ticket(permits.try_admit(ask(2), now));
    let third = ticket(permits.try_admit(ask(3), now));
    let mut order = Vec::new();
    while let Some(permit) = held.pop() {
        let due = permits.release(permit, None, false, now);
        order.extend(due.admitted.into_iter().map(|(ticket, _)| ticket));
    }
    assert_eq!(order, [first[0], second, third, first[1], first[2]]);
}

#[test]
fn a_transaction_is_admitted_at_once_and_counts() {
    let now = Instant::now();
    let mut permits = Permits::new(LIMITS, now);
    permits.limit.hold(0);
    assert!(matches!(permits.try_admit(ask(1), now), Answer::Shed { why: Shed::Closed, .. }));
    let permit = admitted(permits.try_admit(Ask { is_in_transaction: true, ..ask(1) }, now));
    assert_eq!(permits.in_flight(), 1);
    permits.give_back(permit, now);
    assert_eq!((permits.in_flight(), permits.workspaces()), (0, 0));
}

#[test]
fn the_queue_is_bounded_in_number_bytes_and_time() {
    let start = Instant::now();
    let mut permits = Permits::new(LIMITS, start);
    let held: Vec<_> = (10..18).map(|other| admitted(permits.try_admit(ask(other), start))).collect();
    let shed = |why| Answer::Shed { why, retry_after: Duration::from_secs(1) };
    let big = Ask { bytes: 1001, ..ask(1) };
    assert_eq!(permits.try_admit(big, start), shed(Shed::QueueBytes));
    let waiting: Vec<_> = (0..10).map(|n| ticket(permits.try_admit(ask(n), start))).collect();
    assert_eq!(permits.try_admit(ask(99), start), shed(Shed::QueueFull));
    // The ladder holds the limit, and the queue has stood for longer than half a second: who waited longer
    // than 50 ms is told so.
    permits.limit.hold(8);
    let late = start + Duration::from_millis(900);
    let mut held = held.into_iter();
    let due = permits.release(held.next().expect("eight"), None, false, late);
    assert_eq!((due.admitted.len(), due.shed.len()), (0, 10));
    assert!(waiting.iter().all(|ticket| !permits.cancel(*ticket, late)), "none waits any more");
    assert_eq!(permits.waiting(), 0);
}

#[test]
fn on_a_cluster_that_is_well_a_standing_queue_is_patient() {
    let start = Instant::now();
    let mut permits = Permits::new(LIMITS, start);
    let held: Vec<_> = (10..18).map(|other| admitted(permits.try_admit(ask(other), start))).collect();
    let waiting: Vec<_> = (20..25).map(|n| ticket(permits.try_admit(ask(n), start))).collect();
    let late = start + Duration::from_millis(900);
    let mut order = Vec::new();
    for permit in held {
        let due = permits.release(permit, None, false, late);
        assert_eq!(due.shed, []);
        order.extend(due.admitted.into_iter().map(|(ticket, _)| ticket));
    }
    assert_eq!(order, waiting);
}

#[test]
fn one_workspace_cannot_take_all_of_the_queue() {
    let now = Instant::now();
    let mut permits = Permits::new(LIMITS, now);
    let _held: Vec<_> = (10..18).map(|other| admitted(permits.try_admit(ask(other), now))).collect();
    let mut flood: Vec<_> = (0..5).map(|_| ticket(permits.try_admit(ask(1), now))).collect();
    let answer = permits.try_admit(ask(1), now);
    assert!(matches!(answer, Answer::Shed { why: Shed::WorkspaceQueue, .. }), "{answer:?}");
    ticket(permits.try_admit(ask(2), now));
    // One that gave up in the middle makes a place.
    assert!(permits.cancel(flood.remove(2), now));
    ticket(permits.try_admit(ask(1), now));
}

#[test]
fn the_transactions_of_one_workspace_take_half_of_the_connections() {
    let now = Instant::now();
    let mut permits = Permits::new(LIMITS, now);
    let within = |workspace| Ask { is_in_transaction: true, ..ask(workspace) };
    for _ in 0..4 {
        let permit = admitted(permits.try_admit(ask(1), now));
        permits.release(permit, None, false, now);
        permits.take_seat(1, now);
    }
    assert_eq!(permits.in_flight(), 0, "idle ones are not in flight");
    let waiting = ticket(permits.try_admit(ask(1), now));
    // Its transactions go on, and the others are not held up.
    let own: Vec<_> = (0..4).map(|_| admitted(permits.try_admit(within(1), now))).collect();
    let others: Vec<_> = (2..6).map(|other| admitted(permits.try_admit(ask(other), now))).collect();
    for permit in own.into_iter().chain(others) {
        assert_eq!(permits.give_back(permit, now), Due::default());
    }
    let due = permits.leave_seat(1, now);
    assert_eq!(due.admitted.iter().map(|(ticket, _)| *ticket).collect::<Vec<_>>(), [waiting]);
    due.admitted.into_iter().for_each(|(_, permit)| drop(permits.give_back(permit, now)));
    (0..3).for_each(|_| drop(permits.leave_seat(1, now)));
    assert_eq!(permits.workspaces(), 0);
}

#[test]
fn what_a_gate_held_has_a_place_and_time() {
    let start = Instant::now();
    let mut permits = Permits::new(LIMITS, start);
    let held: Vec<_> = (10..18).map(|other| admitted(permits.try_admit(ask(other), start))).collect();
    permits.limit.hold(8);
    let released = Ask { was_held: true, ..ask(1) };
    let waiting: Vec<_> = (0..20).map(|_| ticket(permits.try_admit(released, start))).collect();
    let late = start + Duration::from_millis(900);
    let due = held.into_iter().map(|permit| permits.release(permit, None, false, late));
    let due: Vec<_> = due.collect();
    assert!(due.iter().all(|due| due.shed.is_empty()));
    let admitted = due.iter().flat_map(|due| due.admitted.iter().map(|(ticket, _)| *ticket));
    // Its workspace's half of the permits.
    assert_eq!(admitted.collect::<Vec<_>>(), waiting[..4]);
}

#[test]
fn own_limits_say_what_is_other_than_for_all() {
    let now = Instant::now();
    let all = WorkspaceLimits { in_flight_max: Some(1), per_second_max: Some(1.0) };
    let mut permits = Permits::new(PermitLimits { workspace: all, ..LIMITS }, now);
    let own = WorkspaceLimits { in_flight_max: Some(0), per_second_max: None };
    permits.limit_workspace(1, Some(own));
    permits.limit_workspace(2, Some(WorkspaceLimits { in_flight_max: None, per_second_max: Some(0.0) }));
    let _one = admitted(permits.try_admit(ask(1), now));
    assert!(matches!(permits.try_admit(ask(1), now), Answer::Shed { why: Shed::WorkspaceRate, .. }));
    let _other = admitted(permits.try_admit(ask(2), now));
    ticket(permits.try_admit(ask(2), now));
}

#[test]
fn a_workspaces_own_limits_hold() {
    let now = Instant::now();
    let mut permits = Permits::new(LIMITS, now);
    let own = WorkspaceLimits { in_flight_max: Some(1), per_second_max: Some(5.0) };
    permits.limit_workspace(1, Some(own));
    let permit = admitted(permits.try_admit(ask(1), now));
    let waiting = ticket(permits.try_admit(ask(1), now));
    let _other = admitted(permits.try_admit(ask(2), now));
    (0..3).for_each(|_| assert!(matches!(permits.try_admit(ask(1), now), Answer::Wait { .. })));
    let answer = permits.try_admit(ask(1), now);
    let Answer::Shed { why: Shed::WorkspaceRate, retry_after } = answer else { panic!("{answer:?}") };
    assert!(retry_after <= Duration::from_millis(200) && !retry_after.is_zero(), "{retry_after:?}");
    let due = permits.release(permit, None, false, now);
    assert_eq!(due.admitted[0].0, waiting);
}

#[test]
fn a_stall_in_which_ever_new_workspaces_give_up_leaves_nothing_behind() {
    let now = Instant::now();
    let mut permits = Permits::new(LIMITS, now);
    let held: Vec<_> = (1..9).map(|other| admitted(permits.try_admit(ask(other), now))).collect();
    for workspace in 100..50_000 {
        let ticket = ticket(permits.try_admit(ask(workspace), now));
        assert!(permits.cancel(ticket, now));
        assert!(permits.workspaces() < 100, "{}", permits.workspaces());
    }
    held.into_iter().for_each(|permit| drop(permits.release(permit, None, false, now)));
    assert_eq!((permits.in_flight(), permits.waiting(), permits.workspaces()), (0, 0, 0));
}

/// What happens to permits.
#[derive(Clone, Debug)]
enum Move {
    Ask { workspace: u64, bytes: usize, within: bool },
    Release { which: usize, times: f64, failed: bool },
    Cancel { which: usize },
    Sit { workspace: u64 },
    Rise { which: usize },
    Pass { ms: u64 },
    Hold { cap: u32 },
    Ramp,
    Uncap,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        6 => (0..6_u64, 0..400_usize, prop::bool::weighted(0.1))
            .prop_map(|(workspace, bytes, within)| Move::Ask { workspace, bytes, within }),
        5 => (any::<usize>(), 0.1..20.0, prop::bool::weighted(0.1))
            .prop_map(|(which, times, failed)| Move::Release { which, times, failed }),
        2 => any::<usize>().prop_map(|which| Move::Cancel { which }),
        2 => (1..6_u64).prop_map(|workspace| Move::Sit { workspace }),
        2 => any::<usize>().prop_map(|which| Move::Rise { which }),
        2 => (0..700_u64).prop_map(|ms| Move::Pass { ms }),
        1 => (0..9_u32).prop_map(|cap| Move::Hold { cap }),
        1 => Just(Move::Ramp),
        1 => Just(Move::Uncap),
    ];
    prop::collection::vec(one, 1..200)
}

/// Whoever uses permits, and what they believe.
struct Users {
    permits: Permits,
    now: Instant,
    flying: Vec<(u64, Permit)>,
    waiting: BTreeMap<Ticket, (u64, usize)>,
    /// Statements of open transactions in flight, which no bound holds back.
    free: HashMap<u64, usize>,
    seats: Vec<u64>,
}

impl Users {
    fn new() -> Self {
        let now = Instant::now();
        let permits = Permits::new(LIMITS, now);
        Self {
            permits,
            now,
            flying: Vec::new(),
            waiting: BTreeMap::new(),
            free: HashMap::new(),
            seats: Vec::new(),
        }
    }

    fn take(&mut self, due: Due) {
        for (ticket, permit) in due.admitted {
            let (workspace, _) = self.waiting.remove(&ticket).expect("only who waits is admitted");
            self.flying.push((workspace, permit));
        }
        due.shed.iter().for_each(|ticket| {
            self.waiting.remove(ticket).expect("only who waits is shed");
        });
    }

    fn play(&mut self, what: Move) {
        let now = self.now;
        let limit = self.permits.limit.current(now);
        let before = self.flying.len();
        match what {
            Move::Ask { workspace, bytes, within } => {
                let owner = (workspace > 0).then_some(workspace);
                let ask = Ask { workspace: owner, bytes, is_in_transaction: within, was_held: false };
                match self.permits.try_admit(ask, now) {
                    Answer::Admit(permit) => {
                        assert!(within || before < limit as usize, "beyond the limit");
                        *self.free.entry(workspace).or_default() += usize::from(within);
                        self.flying.push((workspace, permit));
                    }
                    Answer::Wait { ticket, until } => {
                        assert!(until >= now && until <= now + LIMITS.wait_max);
                        assert!(self.waiting.insert(ticket, (workspace, bytes)).is_none());
                    }
                    Answer::Shed { .. } => assert!(!within),
                }
            }
            Move::Release { which, times, failed } if !self.flying.is_empty() => {
                let (_, permit) = self.flying.swap_remove(which % before);
                let due = self.permits.release(permit, Some(times), failed, now);
                self.take(due);
            }
            Move::Cancel { which } if !self.waiting.is_empty() => {
                let ticket = *self.waiting.keys().nth(which % self.waiting.len()).expect("within");
                assert!(self.permits.cancel(ticket, now));
                self.waiting.remove(&ticket);
            }
            Move::Sit { workspace } => {
                self.permits.take_seat(workspace, now);
                self.seats.push(workspace);
            }
            Move::Rise { which } if !self.seats.is_empty() => {
                let workspace = self.seats.swap_remove(which % self.seats.len());
                let due = self.permits.leave_seat(workspace, now);
                self.take(due);
            }
            Move::Pass { ms } => {
                self.now += Duration::from_millis(ms);
                let due = self.permits.pump(self.now);
                self.take(due);
            }
            Move::Hold { cap } => self.permits.limit.hold(cap),
            Move::Ramp => self.permits.limit.ramp(1, now),
            Move::Uncap => self.permits.limit.uncap(),
            Move::Release { .. } | Move::Cancel { .. } | Move::Rise { .. } => {}
        }
        self.check();
    }

    fn check(&self) {
        assert_eq!(self.permits.in_flight() as usize, self.flying.len());
        assert_eq!(self.permits.waiting(), self.waiting.len());
        assert!(self.waiting.len() <= LIMITS.waiting_max);
        let bytes: usize = self.waiting.values().map(|(_, bytes)| bytes).sum();
        assert!(bytes <= LIMITS.waiting_bytes_max);
        for workspace in 1..6 {
            let flying = self.flying.iter().filter(|(owner, _)| *owner == workspace).count();
            let free = self.free.get(&workspace).copied().unwrap_or_default();
            assert!(flying <= LIMITS.ceiling as usize / 2 + free, "more than its share");
        }
    }
}

proptest! {
    #[test]
    fn permits_are_never_exceeded_never_lost_and_shared(moves in moves()) {
        let mut users = Users::new();
        moves.into_iter().for_each(|what| users.play(what));
        // Everything ends: whoever waits is served or told so, and nothing is remembered.
        users.permits.limit.uncap();
        while let Some(workspace) = users.seats.pop() {
            let due = users.permits.leave_seat(workspace, users.now);
            users.take(due);
        }
        for _ in 0..1000 {
            let due = users.permits.pump(users.now);
            users.take(due);
            users.check();
            let Some((_, permit)) = users.flying.pop() else { break };
            let due = users.permits.give_back(permit, users.now);
            users.take(due);
        }
        prop_assert_eq!(users.waiting.len(), 0);
        prop_assert_eq!(users.permits.in_flight(), 0);
        prop_assert_eq!(users.permits.workspaces(), 0);
    }
}
