use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::ids::{MigrationId, UserName};
use crate::migrations::Failure;
use crate::migrations::fleet::fixture::{Dice, Fault, Here, TestStore, cluster, order, row, wave, well};
use crate::migrations::fleet::ledger::{
    Again, Book, BookError, Counts, Ending, Header, Kind, Moment, Order, Outcome, Pace, Phase, Record, Row,
    Standing, Steps, WavePlan, encode_new,
};
use crate::migrations::fleet::schedule::{
    Afresh, Budget, Command, Event, Limits, Refusal, Scheduler, SubmitRefusal, Unplanned, Work,
};

const CLUSTERS: usize = 3;
const PACE: Option<Pace> = Some(Pace { at_once: 1, statements_per_second: 0.5 });

/// What every change finds done, and does.
const SEEN: Steps = Steps { there: 0b10, made: 0b01, unsure: 0 };

/// A row of a migration.
type Key = (MigrationId, u32);

fn key(work: &Work) -> Key {
    (work.order.id.clone(), work.row)
}

/// Servers that go on whatever becomes of the proxy.
#[derive(Default)]
struct Servers {
    changed: BTreeSet<Key>,
    at_work: BTreeSet<Key>,
    sent: u32,
    faults: Option<Dice>,
    stopped: BTreeSet<Key>,
    /// Orders that were planned again.
    plans: u32,
    /// What must not happen; a panic in a task would only be an outcome that is not known.
    violations: Vec<String>,
}

#[derive(Clone, Default)]
struct FakeExecutor(Arc<Mutex<Servers>>);

impl FakeExecutor {
    fn faulty(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Servers { faults: Some(Dice(seed)), ..Servers::default() })))
    }

    fn changed(&self) -> usize {
        self.0.lock().unwrap().changed.len()
    }

    fn roll(&self, sides: u64) -> u64 {
        self.0.lock().unwrap().faults.as_mut().map_or(sides, |dice| dice.roll(sides))
    }
}

impl Executor for FakeExecutor {
    fn change(&self, work: Work) -> ExecutorFuture<'_, Ending> {
        Box::pin(async move {
            let fate = self.roll(10);
            if fate == 0 {
                return Outcome::Again(Failure::new("no connection")).into();
            }
            {
                let mut servers = self.0.lock().unwrap();
                if servers.changed.contains(&key(&work)) || !servers.at_work.insert(key(&work)) {
                    servers.violations.push(format!("row {} is sent again", work.row));
                }
                servers.sent += 1;
            }
            let (servers, row) = (self.0.clone(), key(&work));
            // The statement goes on when the process that sent it is gone.
            let statement = tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(300)).await;
                let mut servers = servers.lock().unwrap();
                servers.at_work.remove(&row);
                if fate == 1 || servers.stopped.contains(&row) {
                    return false;
                }
                if !servers.changed.insert(row.clone()) {
                    servers.violations.push(format!("row {row:?} is changed twice"));
                }
                true
            });
            let is_changed = statement.await.expect("it does not panic");
            let outcome = match (fate, is_changed) {
                (1 | 2, _) => Outcome::Unknown(Failure::new("connection lost")),
                (3, _) => panic!("a bug of the executor"),
                (_, true) => return Ending { outcome: Outcome::Changed, steps: SEEN },
                (_, false) => Outcome::Unchanged,
            };
            outcome.into()
        })
    }

    fn look(&self, work: Work) -> ExecutorFuture<'_, Outcome> {
        let servers = self.0.lock().unwrap();
        let seen = if servers.at_work.contains(&key(&work)) {
            Outcome::StillRunning
        } else if servers.changed.contains(&key(&work)) {
            Outcome::Changed
        } else {
            Outcome::Unchanged
        };
        Box::pin(async move { seen })
    }

    fn stop(&self, work: Work) -> ExecutorFuture<'_, ()> {
        Box::pin(async move {
            self.0.lock().unwrap().stopped.insert(key(&work));
        })
    }

    /// Fifteen databases are to be changed, the last first; of the others four are there, and no more.
    fn plan(&self, order: Arc<Order>) -> ExecutorFuture<'_, Result<Afresh, Unplanned>> {
        let mut servers = self.0.lock().unwrap();
        servers.plans += 1;
        let is_first = servers.plans == 1;
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(250)).await;
            if is_first {
                return Err(Unplanned::Later("no connection".to_owned()));
            }
            let there = |row: Row| Row { record: Record { standing: Standing::There, ..row.record }, ..row };
            let todo = (0..15).rev().map(|at| row(at, at % CLUSTERS, u16::from(at < 12)));
            Ok(Afresh {
                order: Order { statements: 2, ..Order::clone(&order) },
                rows: todo.collect(),
                settled: (15..19).map(|at| there(row(at, at % CLUSTERS, 0))).collect(),
            })
        })
    }
}

fn driver(store: &TestStore, executor: &FakeExecutor, owner: &str) -> Driver<FakeExecutor> {
    let book = Book::new(Arc::new(store.clone()), owner);
    let owner = owner.to_owned();
    let budget = Budget { at_once: 4, statements_per_second: 200.0 };
    Driver::new(Arc::new(executor.clone()), book, move || Scheduler::new(&owner, budget, Limits::default()))
}

/// By Tokio's clock, which stands still while anything can be done.
fn moment() -> Moment {
    thread_local!(static FIRST: tokio::time::Instant = tokio::time::Instant::now());
    let since = FIRST.with(|first| tokio::time::Instant::now().saturating_duration_since(*first));
    Moment(1_000_000).after(since)
}

fn rows(databases: usize) -> Vec<Row> {
    let wave_of = |at| u16::from(at >= 3);
    (0..databases).map(|at| row(at, at % CLUSTERS, wave_of(at))).collect()
}

fn an_order() -> Order {
    let soak = Duration::from_secs(1);
    order("0001", "issues", vec![wave("canary", 3, soak), wave("all", 1, soak)])
}

async fn turn(driver: &mut Driver<FakeExecutor>) -> Result<Turned, DriverError> {
    for at in 0..CLUSTERS {
        driver.read(cluster(at), well(moment()));
    }
    driver.turn(&Here, moment()).await
}

fn phase(driver: &Driver<FakeExecutor>, id: &MigrationId) -> Option<Phase> {
    Some(driver.header(id)?.progress.phase.clone())
}

/// The process ends; what it has begun by then has reached the servers.
async fn die(
    store: &TestStore,
    executor: &FakeExecutor,
    old: Driver<FakeExecutor>,
    process: usize,
) -> Driver<FakeExecutor> {
    tokio::time::sleep(Duration::from_millis(1)).await;
    drop(old);
    driver(store, executor, &format!("p{process}"))
}

/// Turns until it is over; after an error it reads the store again, as the same process or as a new one.
async fn drive(
    store: &TestStore,
    executor: &FakeExecutor,
    (mut driver, last): (Driver<FakeExecutor>, &str),
    mut dies: impl FnMut() -> bool,
) {
    let id = MigrationId::new(last);
    for process in 0..5_000 {
        match turn(&mut driver).await {
            Ok(_) if phase(&driver, &id) == Some(Phase::Finished) => return,
            Ok(_) => {}
            Err(DriverError::Book(_) | DriverError::NotResumed) => {
                if dies() {
                    driver = die(store, executor, driver, process).await;
                }
                // Whether that succeeds shows in the next turn.
                let _read = driver.resume(moment()).await;
            }
            Err(other) => panic!("{other}"),
        }
        if dies() {
            driver = die(store, executor, driver, process).await;
            let _read = driver.resume(moment()).await;
        }
        driver.wait(Duration::from_millis(100)).await;
    }
    panic!("it does not come to its end: {:?}", driver.scheduler().status(moment()));
}

/// What the store says is what the servers have.
async fn check(store: &TestStore, executor: &FakeExecutor, databases: usize) {
    let mut book = Book::new(Arc::new(store.clone()), "reader");
    let (loaded, faults) = book.load().await.unwrap();
    assert!(faults.is_empty(), "{faults:?}");
    for found in loaded {
        let rows = book.rows(&found.header).await.unwrap();
        assert_eq!(rows.len(), databases);
        let servers = executor.0.lock().unwrap();
        assert_eq!(servers.violations, Vec::<String>::new());
        for (row, at) in rows.iter().zip(0..) {
            let is_changed = servers.changed.contains(&(found.header.order.id.clone(), at));
            match row.record.standing.kind() {
                Kind::Changed => assert!(is_changed, "row {at}"),
                Kind::Failed | Kind::There | Kind::Gone => assert!(!is_changed, "row {at}"),
                other => panic!("row {at} is {other:?}"),
            }
        }
    }
}

/// While the process lives it knows what it saw, but of what may have been begun by a commit that was not
/// heard of.
async fn check_steps(store: &TestStore, fault: Fault) {
    let mut book = Book::new(Arc::new(store.clone()), "reader");
    let (loaded, _) = book.load().await.unwrap();
    for row in book.rows(&loaded[0].header).await.unwrap() {
        let is_orphan = fault == Fault::Unheard && row.record.attempts == 2;
        let expected = if is_orphan { (0, 0b01, u64::MAX) } else { (0b10, 0b01, 0) };
        assert_eq!((row.there, row.made, row.unsure), expected, "{} {fault:?}", row.database);
    }
}

#[tokio::test(start_paused = true)]
async fn every_database_is_changed_once() {
    let (store, executor) = (TestStore::default(), FakeExecutor::default());
    let mut driver = driver(&store, &executor, "a");
    assert!(matches!(turn(&mut driver).await, Err(DriverError::NotResumed)));
    driver.resume(moment()).await.unwrap();
    let id = driver.submit(an_order(), (rows(100), None), moment()).await.unwrap();
    let twice = driver.submit(an_order(), (rows(100), None), moment()).await;
    assert!(matches!(twice, Err(DriverError::Submit(SubmitRefusal::Taken(_)))));
    let mut events = Vec::new();
    while phase(&driver, &id) != Some(Phase::Finished) {
        events.extend(turn(&mut driver).await.unwrap().events);
        driver.wait(Duration::from_millis(100)).await;
    }
    check(&store, &executor, 100).await;
    assert_eq!((executor.changed(), executor.0.lock().unwrap().sent), (100, 100));
    assert!(events.contains(&Event::WaveBegan { id: id.clone(), wave: 1 }));
    assert!(events.contains(&Event::Ended { id: id.clone() }));
    // A process that begins later knows that it is over, and can take it back.
    let mut later = self::driver(&store, &executor, "b");
    later.resume(moment()).await.unwrap();
    assert!(later.scheduler().header(&id).is_none(), "its rows are not read at start");
    assert_eq!(phase(&later, &id), Some(Phase::Finished));
    let user = UserName::new("operator");
    let unknown = later.command(&MigrationId::new("0009"), &Command::Pause, &user, moment()).await;
    assert!(matches!(unknown, Err(DriverError::Command(Refusal::NotFound(_)))));
    executor.0.lock().unwrap().changed.clear();
    let new = later.revert(&id, MigrationId::new("0002"), &user, moment()).await.unwrap();
    while phase(&later, &new) != Some(Phase::Finished) {
        turn(&mut later).await.unwrap();
        later.wait(Duration::from_millis(100)).await;
    }
    assert_eq!(executor.changed(), 100);
}

/// What ended is written with what is begun next, or a little later; the process may die before that.
#[tokio::test(start_paused = true)]
async fn ends_wait_for_a_commit_and_none_is_lost() {
    for dies in [false, true] {
        let (store, executor) = (TestStore::default(), FakeExecutor::default());
        let mut driver = driver(&store, &executor, "a");
        driver.resume(moment()).await.unwrap();
        let id = driver.submit(an_order(), (rows(4), None), moment()).await.unwrap();
        let changed =
            |rows: &[Row]| rows.iter().filter(|row| row.record.standing.kind() == Kind::Changed).count();
        // The canaries; behind them nothing is begun for a second.
        while changed(driver.scheduler().rows(&id).unwrap()) < 3 {
            turn(&mut driver).await.unwrap();
            driver.wait(Duration::from_millis(10)).await;
        }
        let header = driver.header(&id).unwrap().clone();
        let mut reader = Book::new(Arc::new(store.clone()), "reader");
        assert!(changed(&reader.rows(&header).await.unwrap()) < 3, "the last end waits");
        if dies {
            driver = die(&store, &executor, driver, 1).await;
            driver.resume(moment()).await.unwrap();
        } else {
            let commits = store.commits();
            for _ in 0..40 {
                turn(&mut driver).await.unwrap();
                driver.wait(Duration::from_millis(10)).await;
            }
            assert_eq!(changed(&reader.rows(&header).await.unwrap()), 3);
            assert!(store.commits() <= commits + 2, "together");
        }
        drive(&store, &executor, (driver, "0001"), || false).await;
        check(&store, &executor, 4).await;
        assert_eq!((executor.changed(), executor.0.lock().unwrap().sent), (4, 4), "dies: {dies}");
    }
}

/// The store fails at every single commit, applied or not, and the process dies with it or does not.
#[tokio::test(start_paused = true)]
async fn nothing_is_repeated_whichever_commit_fails() {
    const DATABASES: usize = 20;
    // How many commits a quiet run takes.
    let (store, executor) = (TestStore::default(), FakeExecutor::default());
    let mut quiet = driver(&store, &executor, "a");
    quiet.resume(moment()).await.unwrap();
    quiet.submit(an_order(), (rows(DATABASES), None), moment()).await.unwrap();
    let submitted = store.commits();
    drive(&store, &executor, (quiet, "0001"), || false).await;
    let all = store.commits();
    assert!(all > submitted + 5, "{submitted} and {all} commits");
    for at in submitted..all {
        for fault in [Fault::Lost, Fault::Unheard] {
            for dies in [false, true] {
                let (store, executor) = (TestStore::default(), FakeExecutor::default());
                let mut driver = driver(&store, &executor, "a");
                driver.resume(moment()).await.unwrap();
                driver.submit(an_order(), (rows(DATABASES), None), moment()).await.unwrap();
                store.fail_at(at, fault);
                let mut is_alive = true;
                let dies_now = || {
                    let dies_now = dies && is_alive && store.commits() == at + 1;
                    is_alive &= !dies_now;
                    dies_now
                };
                drive(&store, &executor, (driver, "0001"), dies_now).await;
                assert!(store.commits() > at, "the fault was met");
                check(&store, &executor, DATABASES).await;
                let sent = executor.0.lock().unwrap().sent;
                assert_eq!(sent as usize, DATABASES, "commit {at}, {fault:?}, dies: {dies}");
                if !dies {
                    check_steps(&store, fault).await;
                }
            }
        }
    }
}

/// One that has to wait for the first: same table.
fn an_order_behind() -> Order {
    let waves = WavePlan::default();
    let again = Again { waves, failures_max: None, takes_drifted: false, is_due: false };
    let statement = "ALTER TABLE issues MODIFY b BIGINT".to_owned();
    Order { id: MigrationId::new("0002"), statement, again: Some(Box::new(again)), ..an_order() }
}

async fn two_in_a_row(store: &TestStore, executor: &FakeExecutor) -> Driver<FakeExecutor> {
    let mut driver = driver(store, executor, "a");
    driver.resume(moment()).await.unwrap();
    driver.submit(an_order(), (rows(20), None), moment()).await.unwrap();
    let second = driver.submit(an_order_behind(), (rows(20), None), moment()).await.unwrap();
    assert!(driver.header(&second).unwrap().is_provisional);
    driver
}

/// What waits behind another one of its table is planned again when its turn comes, and every commit of that
/// may fail.
#[tokio::test(start_paused = true)]
async fn one_that_waited_is_planned_again_whichever_commit_fails() {
    let (store, executor) = (TestStore::default(), FakeExecutor::default());
    let mut first = two_in_a_row(&store, &executor).await;
    while phase(&first, &MigrationId::new("0001")) != Some(Phase::Finished) {
        turn(&mut first).await.unwrap();
        first.wait(Duration::from_millis(100)).await;
    }
    let from = store.commits();
    drive(&store, &executor, (first, "0002"), || false).await;
    let to = store.commits();
    assert_eq!(executor.0.lock().unwrap().plans, 2, "once it could not be, and then it was");
    for at in from..to {
        for (fault, dies) in
            [(Fault::Lost, false), (Fault::Lost, true), (Fault::Unheard, false), (Fault::Unheard, true)]
        {
            let (store, executor) = (TestStore::default(), FakeExecutor::default());
            let driver = two_in_a_row(&store, &executor).await;
            store.fail_at(at, fault);
            let mut is_alive = true;
            let dies_now = || {
                let dies_now = dies && is_alive && store.commits() == at + 1;
                is_alive &= !dies_now;
                dies_now
            };
            drive(&store, &executor, (driver, "0002"), dies_now).await;
            assert!(store.commits() > at, "the fault was met");
            check(&store, &executor, 20).await;
            assert_eq!(executor.0.lock().unwrap().sent, 20 + 15, "commit {at}, {fault:?}, dies: {dies}");
            let keys = store.keys();
            let pages: Vec<&String> = keys.iter().filter(|key| key.contains("rows/0002")).collect();
            assert_eq!(pages, ["fleet/rows/0002.1/00000"], "the old edition is gone");
        }
    }
}

/// What ended up with its databases as they should be has nothing to begin; what is refused begins nothing.
#[tokio::test(start_paused = true)]
async fn nobody_plans_again_what_had_nobody_before_it() {
    let (store, executor) = (TestStore::default(), FakeExecutor::default());
    let mut driver = driver(&store, &executor, "a");
    driver.resume(moment()).await.unwrap();
    let id = driver.submit(an_order_behind(), (rows(5), None), moment()).await.unwrap();
    let header = driver.header(&id).unwrap();
    assert!(!header.is_provisional && header.order.again.is_none(), "{header:?}");
    // The same, of a plan that was made while another one was ahead which has ended since.
    let order = an_order_behind();
    let again = order.again.map(|again| Box::new(Again { is_due: true, ..*again }));
    let late = Order { id: MigrationId::new("0003"), tables: vec!["users".into()], again, ..an_order() };
    let id = driver.submit(late, (rows(5), None), moment()).await.unwrap();
    assert!(driver.header(&id).unwrap().is_provisional);
}

/// A submission whose commits fail is there as a whole afterwards, or not at all.
#[tokio::test(start_paused = true)]
async fn a_submission_is_whole_or_not_there() {
    for at in 0..6 {
        for fault in [Fault::Lost, Fault::Unheard] {
            let (store, executor) = (TestStore::default(), FakeExecutor::default());
            let mut driver = driver(&store, &executor, "a");
            driver.resume(moment()).await.unwrap();
            let first = store.commits();
            store.fail_at(first + at, fault);
            let submitted = driver.submit(an_order(), (rows(10_000), PACE), moment()).await;
            if submitted.is_ok() {
                continue;
            }
            driver.resume(moment()).await.unwrap();
            match driver.scheduler().rows(&MigrationId::new("0001")) {
                Some(found) => {
                    assert_eq!(found, rows(10_000).as_slice());
                    // Nothing of it is ever begun any faster.
                    let header = driver.header(&MigrationId::new("0001")).unwrap();
                    assert_eq!(header.progress.pace, PACE);
                }
                None => assert!(!store.keys().iter().any(|key| key.contains("/0001")), "{:?}", store.keys()),
            }
        }
    }
}

/// Servers that fail in every way, a store that fails, processes that die.
#[tokio::test(start_paused = true)]
async fn faults_of_all_kinds_repeat_nothing() {
    for seed in 0..30 {
        let (store, executor) = (TestStore::default(), FakeExecutor::faulty(seed));
        let mut driver = driver(&store, &executor, "a");
        driver.resume(moment()).await.unwrap();
        driver.submit(an_order(), (rows(60), None), moment()).await.unwrap();
        let mut dice = Dice(seed + 1000);
        for _ in 0..20 {
            let at = store.commits() + usize::try_from(dice.roll(300)).unwrap();
            store.fail_at(at, if dice.roll(2) == 0 { Fault::Lost } else { Fault::Unheard });
        }
        drive(&store, &executor, (driver, "0001"), || dice.roll(40) == 0).await;
        check(&store, &executor, 60).await;
    }
}

#[tokio::test]
async fn the_oldest_of_those_that_are_over_are_removed() {
    let (store, executor) = (TestStore::default(), FakeExecutor::default());
    let mut book = Book::new(Arc::new(store.clone()), "a");
    book.keep_lease().await.unwrap();
    for number in 0..205 {
        let order = order(&format!("{number:04}"), "issues", vec![wave("all", 1, Duration::ZERO)]);
        let mut header = Header::new(order, 1, 0);
        (header.progress.phase, header.progress.ended) = (Phase::Finished, Some(Moment(number)));
        for part in encode_new(&header, &rows(1)) {
            book.write(part).await.unwrap();
        }
    }
    let mut driver = driver(&store, &executor, "b");
    driver.resume(moment()).await.unwrap();
    let keys = store.keys();
    assert_eq!(keys.len(), 200 * 2 + 1, "a header and a page each, and the lease");
    assert!(
        keys.contains(&"fleet/rows/0005/00000".to_owned()) && !keys.iter().any(|key| key.contains("/0004"))
    );
}

/// What is over is asked about and changed as to its rows, and is over as before: not in memory, and what is
/// told of it is as its rows are.
#[tokio::test(start_paused = true)]
async fn orders_to_what_is_over_leave_it_so() {
    let (store, executor) = (TestStore::default(), FakeExecutor::default());
    let mut driver = driver(&store, &executor, "a");
    driver.resume(moment()).await.unwrap();
    let failed = Row { record: Record { standing: Standing::Failed, ..Record::WAITING }, ..row(9, 0, 1) };
    let all = rows(9).into_iter().chain([failed]).collect();
    let id = driver.submit(an_order(), (all, None), moment()).await.unwrap();
    while phase(&driver, &id) != Some(Phase::Finished) {
        turn(&mut driver).await.unwrap();
        driver.wait(Duration::from_millis(100)).await;
    }
    let user = UserName::new("operator");
    let refused = driver.command(&id, &Command::Pause, &user, moment()).await;
    assert!(matches!(refused, Err(DriverError::Command(Refusal::NotNow { .. }))), "{refused:?}");
    assert!(driver.scheduler().status(moment()).is_empty(), "its rows are not kept in memory");
    let skip = Command::Skip { database: "ws_9".to_owned() };
    driver.command(&id, &skip, &user, moment()).await.unwrap();
    assert!(driver.scheduler().status(moment()).is_empty(), "its rows are not kept in memory");
    let kinds = |counts: &Counts| [Kind::Changed, Kind::Failed, Kind::Skipped].map(|kind| counts.of(kind));
    for _ in 0..2 {
        let progress = &driver.header(&id).unwrap().progress;
        assert_eq!(kinds(&progress.totals.unwrap()), [9, 0, 1]);
        let mut parts = Counts::default();
        progress.parts.iter().flat_map(|(_, waves)| waves).for_each(|counts| parts.plus(counts));
        assert_eq!(kinds(&parts), [9, 0, 1]);
        // The same when it is read from the store.
        driver.resume(moment()).await.unwrap();
    }
    // To take it back does not bring it into memory either.
    let back = driver.revert(&id, MigrationId::new("0002"), &user, moment()).await.unwrap();
    let known: Vec<_> = driver.scheduler().status(moment()).into_iter().map(|status| status.id).collect();
    assert_eq!(known, [back]);
}

#[tokio::test(start_paused = true)]
async fn commands_are_written_and_another_owner_ends_it() {
    let (store, executor) = (TestStore::default(), FakeExecutor::default());
    let mut first = driver(&store, &executor, "a");
    first.resume(moment()).await.unwrap();
    let id = first.submit(an_order(), (rows(30), None), moment()).await.unwrap();
    let user = UserName::new("operator");
    for _ in 0..3 {
        turn(&mut first).await.unwrap();
        first.wait(Duration::from_millis(100)).await;
    }
    first.command(&id, &Command::Pause, &user, moment()).await.unwrap();
    let mut second = driver(&store, &executor, "b");
    second.resume(moment()).await.unwrap();
    assert_eq!(phase(&second, &id), Some(Phase::Paused { by: user.clone() }));
    // Whoever had it before writes nothing more, and says so.
    let refused = first.command(&id, &Command::Resume, &user, moment()).await;
    assert!(matches!(refused, Err(DriverError::Book(BookError::NotOwner))), "{refused:?}");
    assert!(matches!(turn(&mut first).await, Err(DriverError::NotResumed)));
    second.command(&id, &Command::Cancel, &user, moment()).await.unwrap();
    for _ in 0..50 {
        turn(&mut second).await.unwrap();
        second.wait(Duration::from_millis(100)).await;
    }
    assert!(second.scheduler().header(&id).is_none(), "its rows are not kept in memory");
    let header = second.header(&id).unwrap();
    assert!(header.progress.ended.is_some(), "{header:?}");
    assert_eq!(header.progress.phase, Phase::Cancelled { by: user });
    let changed = executor.changed();
    assert!(changed < 30, "{changed}");
    assert_eq!(executor.0.lock().unwrap().violations, Vec::<String>::new());
    assert_eq!(header.progress.totals.unwrap().of(Kind::Changed) as usize, changed);
}
