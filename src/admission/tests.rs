//! Waiting, holding and giving up, on a stepped clock: nothing is lost, doubled, or out of order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::drain::{
    Action, Covers, GateState, Lane, PermitLimits, PermitsHeld, Scope, WorkspaceLimits, WriteGate,
};
use crate::health::Class;
use crate::ids::{ClusterName, Keyspace, ShardName, TableName, WorkspaceId};
use crate::memory::{Holding, OWN_BYTES};
use crate::plan::Tables;
use crate::sql::{ClientCharset, ServerVersion, SqlMode};
use crate::topology::{EmbeddedStore, Shard, Store};

const LIMITS: PermitLimits = PermitLimits {
    floor: 1,
    ceiling: 4,
    waiting_max: 20,
    waiting_bytes_max: 1 << 20,
    wait_max: Duration::from_secs(5),
    workspace: WorkspaceLimits { in_flight_max: None, per_second_max: None },
};

const MODE: SqlMode = SqlMode {
    ansi_quotes: false,
    no_backslash_escapes: false,
    ignore_space: false,
    pipes_as_concat: false,
    high_not_precedence: false,
    charset: ClientCharset::Utf8,
    server: ServerVersion { mariadb: false, number: 80_408 },
};

const WRITE: Request<'static> = Request {
    class: Class::Write,
    may_write: true,
    is_in_transaction: false,
    has_connection: false,
    changes_schema: false,
    was_held: false,
    workspace: None,
    shards: &[],
    tables: &Tables::Unread,
    text: b"",
    mode: MODE,
    bytes: 100,
};
const READ: Request<'static> = Request { class: Class::Read, may_write: false, ..WRITE };
const WITHIN: Request<'static> = Request { is_in_transaction: true, has_connection: true, ..WRITE };

/// More than any test holds that is not about it.
const MEMORY: usize = 1 << 30;

fn admission() -> Arc<Admission> {
    admission_with(MEMORY)
}

fn admission_with(memory: usize) -> Arc<Admission> {
    let bounds = super::entry::Bounds { permits: [LIMITS; 2], memory };
    Arc::new(Admission::new(ClusterName::new("c1"), bounds, now()))
}

fn let_in(admission: &Arc<Admission>, request: &Request<'_>) -> Admitted {
    match admission.enter(request, now()) {
        Entry::In(admitted) => admitted,
        other => panic!("{other:?}"),
    }
}

fn queued(admission: &Arc<Admission>, request: &Request<'_>) -> Queued {
    match admission.enter(request, now()) {
        Entry::Waits(queued) => queued,
        other => panic!("{other:?}"),
    }
}

fn held(admission: &Arc<Admission>, request: &Request<'_>) -> Held {
    match admission.enter(request, now()) {
        Entry::Held(held) => held,
        other => panic!("{other:?}"),
    }
}

fn refused(admission: &Arc<Admission>, request: &Request<'_>) -> Why {
    match admission.enter(request, now()) {
        Entry::Refused(refusal) => refusal.why,
        other => panic!("{other:?}"),
    }
}

fn gate(admission: &Arc<Admission>, gate: WriteGate) {
    admission.apply(&Action::Gate(gate), now());
}

fn in_flight(admission: &Admission) -> u32 {
    admission.in_flight(Class::Write)
}

#[tokio::test(start_paused = true)]
async fn permits_come_back_in_turn_whether_landed_or_dropped() {
    let admission = admission();
    let mut flying: Vec<_> = (0..4).map(|_| let_in(&admission, &WRITE)).collect();
    let mut waiting: Vec<_> = (0..4).map(|_| queued(&admission, &WRITE)).collect();
    let _read = let_in(&admission, &READ);
    assert_eq!(in_flight(&admission), 4);
    flying.remove(0).land(Some(1.0), false, now());
    drop(flying.remove(0));
    let Turn::In(first) = waiting[0].turn().await else { panic!("the first was due") };
    let Turn::In(_second) = waiting[1].turn().await else { panic!("the second was due") };
    assert_eq!(in_flight(&admission), 4);
    // One that gives up leaves its turn to the next; one that got its permit unseen gives it back.
    drop(waiting.remove(2));
    drop(first);
    assert_eq!(in_flight(&admission), 4);
    drop(waiting);
    assert_eq!((in_flight(&admission), admission.view().classes[0].waiting), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_held_in_memory_is_bounded_and_comes_back() {
    let large = Request { bytes: 2 * OWN_BYTES, ..WRITE };
    let small = Request { bytes: OWN_BYTES, ..WRITE };
    // Two large ones on their way, each there twice, and something beside.
    let admission = admission_with(10 * OWN_BYTES);
    let used = || admission.memory().used();
    let small_ones: Vec<_> = (0..2).map(|_| let_in(&admission, &small)).collect();
    assert_eq!(used(), 0, "what fits a session's own buffers is not counted");
    let first = let_in(&admission, &large);
    let second = let_in(&admission, &Request { is_in_transaction: true, ..large });
    assert!(used() > 8 * OWN_BYTES, "{}", used());
    assert_eq!(refused(&admission, &large), Why::Memory);
    assert_eq!(refused(&admission, &Request { class: Class::Read, ..large }), Why::Memory);
    // What waits is counted, however small.
    let waiting = queued(&admission, &small);
    let before = used();
    assert_eq!(refused(&admission, &small), Why::Memory);
    assert_eq!((used(), admission.view().classes[0].waiting), (before, 1), "its place was given up");
    drop(let_in(&admission, &Request { is_in_transaction: true, ..small }));
    drop((first, waiting));
    second.land(Some(1.0), false, now());
    drop(small_ones);
    let view = admission.view();
    assert_eq!((view.memory.used, view.classes[0].waiting, in_flight(&admission)), (0, 0, 0));
    assert!(view.memory.peak > 9 * OWN_BYTES && view.memory.peak <= view.memory.bytes_max);
    let refused = view.classes.map(|class| class.refused[Why::Memory as usize].1);
    assert_eq!(refused, [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_was_held_in_memory_goes_along() {
    let admission = admission_with(8 * OWN_BYTES);
    let large = Request { bytes: 2 * OWN_BYTES, ..WRITE };
    gate(&admission, WriteGate::Buffering);
    let mut waiting = held(&admission, &large);
    let before = admission.memory().used();
    assert!(before > 4 * OWN_BYTES);
    assert_eq!(refused(&admission, &large), Why::Memory);
    assert_eq!(admission.view().held().0, 1);
    gate(&admission, WriteGate::Open);
    assert_eq!(waiting.released().await, Released::Again);
    let kept = waiting.take_memory();
    drop(waiting);
    // Others come first; it is let in with what it has.
    let _other = let_in(&admission, &Request { bytes: OWN_BYTES + 1, ..READ });
    let again = Request { was_held: true, ..large };
    let Entry::In(mut admitted) = admission.enter_again(&again, kept, now()) else { panic!("it was held") };
    let kept = admitted.take_memory();
    assert_eq!(kept.as_ref().map(Holding::bytes), Some(before));
    drop(admitted);
    // What is held of another cluster is no use here.
    let elsewhere = admission_with(2 * OWN_BYTES);
    assert!(matches!(elsewhere.enter_again(&again, kept, now()), Entry::Refused(Refusal::MEMORY)));
    drop(_other);
    assert_eq!((admission.memory().used(), elsewhere.memory().used()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_and_says_whose_fault_it_was() {
    let admission = admission();
    let one = Request { workspace: Some(1), ..WRITE };
    let _flying: Vec<_> = (0..2).map(|_| let_in(&admission, &one)).collect();
    let started = tokio::time::Instant::now();
    let Turn::Refused(refusal) = queued(&admission, &one).turn().await else { panic!("no permit") };
    assert_eq!((refusal.why, started.elapsed()), (Why::WorkspaceLimit, LIMITS.wait_max));
    let _others: Vec<_> = (0..2).map(|_| let_in(&admission, &WRITE)).collect();
    let Turn::Refused(refusal) = queued(&admission, &WRITE).turn().await else { panic!("no permit") };
    assert_eq!(refusal.why, Why::Late);
    let class = &admission.view().classes[0];
    assert_eq!((class.waiting, class.waiting_bytes, class.in_flight), (0, 0, 4));
    let counted = class.refused.iter().filter(|(_, count)| *count > 0).collect::<Vec<_>>();
    assert_eq!(counted, [&(Why::Late, 1), &(Why::WorkspaceLimit, 1)]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_when_a_cluster_degrades_is_told_soon() {
    let admission = admission();
    let _stuck: Vec<_> = (0..4).map(|_| let_in(&admission, &WRITE)).collect();
    let mut waiting = queued(&admission, &WRITE);
    let started = tokio::time::Instant::now();
    let degrades = tokio::spawn({
        let admission = admission.clone();
        async move {
            tokio::time::sleep(Duration::from_secs(2)).await;
            admission.apply(&Action::Permits(PermitsHeld::Few), now());
        }
    });
    let Turn::Refused(refusal) = waiting.turn().await else { panic!("no permit") };
    assert_eq!(refusal.why, Why::Late);
    let waited = started.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_millis(2600)).contains(&waited), "{waited:?}");
    degrades.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_ramp_lets_more_in_by_the_clock_alone() {
    let admission = admission();
    admission.apply(&Action::Permits(PermitsHeld::Few), now());
    let _stuck = let_in(&admission, &WRITE);
    // One that was held is not cut short while the ladder holds the limit; others are told to come again.
    let mut waiting = queued(&admission, &Request { was_held: true, ..WRITE });
    let mut other = queued(&admission, &WRITE);
    admission.apply(&Action::Permits(PermitsHeld::Ramping), now());
    let started = tokio::time::Instant::now();
    let turn = waiting.turn().await;
    assert!(matches!(turn, Turn::In(_)), "{turn:?}");
    assert!(started.elapsed() <= Duration::from_millis(3500), "{:?}", started.elapsed());
    let turn = other.turn().await;
    assert!(matches!(turn, Turn::Refused(Refusal { why: Why::Late, .. })), "{turn:?}");
}

#[tokio::test(start_paused = true)]
async fn each_gate_does_what_it_says() {
    let admission = admission();
    gate(&admission, WriteGate::Limited);
    let mut flying: Vec<_> = (0..4).map(|_| let_in(&admission, &WRITE)).collect();
    assert_eq!(refused(&admission, &WRITE), Why::NoFreePermit);
    flying.push(let_in(&admission, &WITHIN));
    gate(&admission, WriteGate::Refusing);
    assert_eq!(refused(&admission, &WRITE), Why::Refused);
    flying.push(let_in(&admission, &WITHIN));
    flying.push(let_in(&admission, &READ));
    assert_eq!(admission.drains(), 0);
    gate(&admission, WriteGate::Drained);
    assert_eq!((refused(&admission, &WRITE), refused(&admission, &WITHIN)), (Why::Drained, Why::Drained));
    assert_eq!(admission.drains(), 1);
    gate(&admission, WriteGate::Drained);
    assert_eq!(admission.drains(), 1, "it is drained already");
    flying.push(let_in(&admission, &READ));
    gate(&admission, WriteGate::Open);
    drop(flying);
    let_in(&admission, &WRITE).land(None, false, now());
    let ddl = Request { changes_schema: true, ..WRITE };
    admission.apply(&Action::DdlLane(Lane::Closed), now());
    assert_eq!(refused(&admission, &ddl), Why::DdlLane);
    admission.apply(&Action::DdlLane(Lane::Open), now());
    drop(let_in(&admission, &ddl));
    assert_eq!(in_flight(&admission), 0);
}

#[tokio::test(start_paused = true)]
async fn held_statements_are_let_go_in_order_and_ask_anew() {
    let admission = admission();
    gate(&admission, WriteGate::Buffering);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = Vec::new();
    for number in 0..30 {
        let (admission, order, mut held) = (admission.clone(), order.clone(), held(&admission, &WRITE));
        tasks.push(tokio::spawn(async move {
            assert_eq!(held.released().await, Released::Again);
            drop(held);
            // More than may wait: those that were held have their places.
            let again = Request { was_held: true, ..WRITE };
            let admitted = match admission.enter(&again, now()) {
                Entry::In(admitted) => admitted,
                Entry::Waits(mut queued) => match queued.turn().await {
                    Turn::In(admitted) => admitted,
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            };
            order.lock().unwrap().push(number);
            tokio::time::sleep(Duration::from_millis(10)).await;
            drop(admitted);
        }));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(admission.view().held().0, 30);
    assert_eq!(order.lock().unwrap().len(), 0);
    gate(&admission, WriteGate::Open);
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..30).collect::<Vec<_>>());
    let view = admission.view();
    assert_eq!((view.held(), view.gates, in_flight(&admission)), ((0, 0), Vec::new(), 0));
}

#[tokio::test(start_paused = true)]
async fn holding_is_bounded_in_time_and_given_up_with_the_client() {
    let admission = admission();
    gate(&admission, WriteGate::Buffering);
    let started = tokio::time::Instant::now();
    let mut first = held(&admission, &WRITE);
    drop(held(&admission, &WRITE));
    assert_eq!(admission.view().held().0, 1);
    let Released::Refused(refusal) = first.released().await else { panic!("nobody opened the gate") };
    assert_eq!((refusal.why, started.elapsed()), (Why::HeldTooLong, Duration::from_secs(10)));
    drop(first);
    assert_eq!(refused(&admission, &WRITE), Why::Refused, "its time is over");
    assert_eq!(admission.view().held(), (0, 0));
    gate(&admission, WriteGate::Buffering);
    let mut second = held(&admission, &WRITE);
    gate(&admission, WriteGate::Refusing);
    assert_eq!(second.released().await, Released::Again);
    drop(second);
    assert_eq!(refused(&admission, &WRITE), Why::Refused);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_permit_asks_the_gates_anew() {
    let admission = admission();
    let flying: Vec<_> = (0..4).map(|_| let_in(&admission, &WRITE)).collect();
    let mut waiting = queued(&admission, &WRITE);
    let early = flying.last().expect("four").is_stale();
    gate(&admission, WriteGate::Refusing);
    assert_eq!((early, flying[0].is_stale()), (false, true));
    drop(flying);
    let turn = waiting.turn().await;
    assert!(matches!(turn, Turn::Changed), "{turn:?}");
    assert_eq!(in_flight(&admission), 0, "none is added behind a gate that is closed");
}

#[tokio::test(start_paused = true)]
async fn gates_of_shards_and_tables_stand_before_their_own_statements() {
    let admission = admission();
    let shard = |name: &str| {
        let (keyspace, cluster) = (Keyspace::new("shop"), ClusterName::new("c1"));
        Arc::new(Shard { keyspace, name: ShardName::new(name), cluster, range: None, weight: 1 })
    };
    let (one, other) = ([shard("a")], [shard("b")]);
    let table = Scope::Table(Keyspace::new("shop"), ShardName::new("a"), TableName::new("orders"));
    let until = now() + Duration::from_secs(3);
    admission.set_gate(table.clone(), GateState::Buffering { until }, Covers::All, now());
    let (orders, customers) = (Tables::named(["Orders", "items"]), Tables::named(["customers"]));
    let on_table = Request { shards: &one, tables: &orders, ..READ };
    let mut waiting = held(&admission, &on_table);
    drop(let_in(&admission, &Request { shards: &other, ..on_table }));
    // What is known of its tables rules, whatever its text says; without that, every name in it counts.
    let text = b"select 'orders' from customers orders";
    drop(let_in(&admission, &Request { tables: &customers, text, ..on_table }));
    drop(held(&admission, &Request { tables: &Tables::Unread, text, ..on_table }));
    let text = b"call customers('orders') -- orders";
    drop(let_in(&admission, &Request { tables: &Tables::Unread, text, ..on_table }));
    drop(let_in(&admission, &Request { is_in_transaction: true, ..on_table }));
    admission.set_gate(table, GateState::Open, Covers::All, now());
    assert_eq!(waiting.released().await, Released::Again);
    drop(waiting);
    let of_shard = Scope::Shard(Keyspace::new("shop"), ShardName::new("b"));
    admission.set_gate(of_shard.clone(), GateState::Refusing, Covers::Writes, now());
    assert_eq!(refused(&admission, &Request { shards: &other, ..WRITE }), Why::Refused);
    drop(let_in(&admission, &Request { shards: &one, ..WRITE }));
    admission.set_gate(of_shard, GateState::Open, Covers::Writes, now());
    assert_eq!((admission.view().gates, admission.gates().state().1), (Vec::new(), false));
}

#[tokio::test]
async fn own_limits_of_workspaces_are_kept_and_followed() {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&directory.path().join("s.redb")).unwrap());
    let book = || {
        let admissions = Arc::new(Admissions::default());
        (admissions.clone(), Arc::new(WorkspaceLimitsBook::new(store.clone(), admissions)))
    };
    let (shop, seven) = (Keyspace::new("shop"), WorkspaceId::Number(7));
    let (here, mine) = book();
    let (there, theirs) = book();
    let following = tokio::spawn(theirs.follow());
    let none = WorkspaceLimits { in_flight_max: Some(1), per_second_max: None };
    let early = here.of(&ClusterName::new("c1"));
    mine.set(&shop, &seven, none).await.unwrap();
    let key = workspace_key(&shop, owner_of(&seven));
    for admission in [early, here.of(&ClusterName::new("c2"))] {
        let _one = let_in(&admission, &Request { workspace: key, ..WRITE });
        drop(queued(&admission, &Request { workspace: key, ..WRITE }));
    }
    let is_there = |count: usize| {
        let there = there.clone();
        async move {
            while there.own_limits().len() != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), is_there(1)).await.expect("another proxy follows");
    let (later, read) = book();
    read.load().await.unwrap();
    assert_eq!(later.own_limits().into_iter().collect::<Vec<_>>(), [((shop.clone(), seven.clone()), none)]);
    mine.clear(&shop, &seven).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), is_there(0)).await.expect("another proxy follows");
    assert!(matches!(mine.clear(&shop, &seven).await, Err(LimitError::Unknown { .. })));
    read.load().await.unwrap();
    assert_eq!(later.own_limits().len(), 0);
    following.abort();
}

/// What happens to one cluster's statements.
#[derive(Clone, Debug)]
enum Move {
    Ask { workspace: u64, within: bool, bytes: usize },
    Land { which: usize },
    Leave { which: usize },
    Gate(WriteGate),
    Permits(PermitsHeld),
    Pass { ms: u64 },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let gates = prop::sample::select(vec![
        WriteGate::Open,
        WriteGate::Open,
        WriteGate::Limited,
        WriteGate::Buffering,
        WriteGate::Refusing,
        WriteGate::Drained,
    ]);
    let permits = prop::sample::select(vec![PermitsHeld::Free, PermitsHeld::Few, PermitsHeld::Ramping]);
    let one = prop_oneof![
        8 => (0..4_u64, prop::bool::weighted(0.15), 0..40_000_usize)
            .prop_map(|(workspace, within, bytes)| Move::Ask { workspace, within, bytes }),
        5 => any::<usize>().prop_map(|which| Move::Land { which }),
        3 => any::<usize>().prop_map(|which| Move::Leave { which }),
        2 => gates.prop_map(Move::Gate),
        1 => permits.prop_map(Move::Permits),
        2 => (0..4000_u64).prop_map(|ms| Move::Pass { ms }),
    ];
    prop::collection::vec(one, 1..120)
}

/// Statements as sessions run them: planned again when they were held, aborted when their client leaves.
struct Clients {
    admission: Arc<Admission>,
    tasks: Vec<(JoinHandle<()>, oneshot::Sender<()>)>,
    /// Statements that have their permit.
    flying: Arc<AtomicUsize>,
}

struct Flying(Arc<AtomicUsize>);

impl Drop for Flying {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Clients {
    fn begin(&mut self, request: Request<'static>) {
        let (land, landed) = oneshot::channel();
        let (admission, flying) = (self.admission.clone(), self.flying.clone());
        let task = tokio::spawn(async move {
            let mut request = request;
            let admitted = loop {
                match admission.enter(&request, now()) {
                    Entry::In(admitted) => break admitted,
                    Entry::Refused(_) => return,
                    Entry::Waits(mut queued) => match queued.turn().await {
                        Turn::In(admitted) => break admitted,
                        Turn::Refused(_) => return,
                        Turn::Changed => {}
                    },
                    Entry::Held(mut held) => {
                        if held.released().await != Released::Again {
                            return;
                        }
                    }
                }
                request.was_held = true;
            };
            flying.fetch_add(1, Ordering::SeqCst);
            let counted = Flying(flying);
            // Either way the statement is over.
            let is_landed = landed.await.is_ok();
            drop(counted);
            if is_landed {
                admitted.land(Some(1.0), false, now());
            }
        });
        self.tasks.push((task, land));
    }

    async fn play(&mut self, what: Move) {
        match what {
            Move::Ask { workspace, within, bytes } => {
                let workspace = (workspace > 0).then_some(workspace);
                let whole = if within { WITHIN } else { WRITE };
                self.begin(Request { workspace, bytes, ..whole });
            }
            Move::Land { which } if !self.tasks.is_empty() => {
                let (task, land) = self.tasks.swap_remove(which % self.tasks.len());
                // One that waits still lands when its turn comes, or leaves.
                let _ = land.send(());
                drop(task);
            }
            Move::Leave { which } if !self.tasks.is_empty() => {
                let (task, _land) = self.tasks.swap_remove(which % self.tasks.len());
                task.abort();
            }
            Move::Gate(state) => gate(&self.admission, state),
            Move::Permits(held) => self.admission.apply(&Action::Permits(held), now()),
            Move::Pass { ms } => tokio::time::sleep(Duration::from_millis(ms)).await,
            Move::Land { .. } | Move::Leave { .. } => {}
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        let view = self.admission.view();
        assert_eq!(view.classes[0].in_flight as usize, self.flying.load(Ordering::SeqCst));
        assert_eq!(self.admission.gates().state().1, !view.gates.is_empty());
    }

    async fn finish(mut self) {
        gate(&self.admission, WriteGate::Open);
        self.admission.apply(&Action::Permits(PermitsHeld::Free), now());
        for (task, land) in self.tasks.drain(..) {
            drop(land);
            // Aborted ones are over too.
            let _ = task.await;
        }
        tokio::time::sleep(Duration::from_secs(20)).await;
        let view = self.admission.view();
        assert_eq!((view.classes[0].in_flight, view.classes[0].waiting, view.held()), (0, 0, (0, 0)));
        assert_eq!((view.classes[0].waiting_bytes, view.gates), (0, Vec::new()));
        assert_eq!(view.memory.used, 0);
        assert_eq!(self.admission.queue(Class::Write).lock().permits.workspaces(), 0);
        drop(let_in(&self.admission, &WRITE));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn no_permit_is_lost_or_doubled(moves in moves()) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
        runtime.block_on(async {
            let (admission, flying) = (admission_with(300_000), Arc::default());
            let mut clients = Clients { admission, tasks: Vec::new(), flying };
            for what in moves {
                clients.play(what).await;
            }
            clients.finish().await;
        });
    }
}
