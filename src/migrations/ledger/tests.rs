//! The ledger on an embedded store.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::*;
use crate::drain::Lease;
use crate::ids::UserName;
use crate::migrations::run::Step;
use crate::migrations::testing;
use crate::migrations::view::State;
use crate::topology::EmbeddedStore;

fn ledger(store: &Arc<dyn Store>) -> Arc<Ledger> {
    let lease = SharedLease::new(Lease::new("p", store.is_exclusive(), Instant::now()));
    Arc::new(Ledger::new(store.clone(), lease, "p".to_owned()))
}

fn store(folder: &tempfile::TempDir) -> Arc<dyn Store> {
    Arc::new(EmbeddedStore::open(&folder.path().join("store.redb")).unwrap())
}

#[tokio::test]
async fn one_migration_at_a_time_changes_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let ledger = ledger(&store);
    let now = SystemTime::now();
    let first = testing::record(new_id(now));
    assert!(ledger.begin(first.clone()).await.is_ok());
    let second = testing::record(new_id(now + Duration::from_secs(1)));
    let Err(NotBegun::Busy(holder)) = ledger.begin(second.clone()).await else { panic!("two at once") };
    assert_eq!(holder, first.id);
    assert!(ledger.get(&second.id).is_none(), "nothing is written of the second");
    ledger.end_as(&first.id, 0, |record| record.state = State::Failed).await.unwrap();
    assert!(ledger.begin(second).await.is_ok());
    // The first one cannot begin again while the second has the table.
    let again = ledger.claim_again(&first.id, |record| record.state = State::Queued).await;
    assert!(matches!(again, Err(NotBegun::Busy(_))));
    assert_eq!(ledger.get(&first.id).unwrap().state, State::Failed);
}

#[tokio::test]
async fn two_writers_lose_nothing_of_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let (here, there) = (ledger(&store), ledger(&store));
    let id = new_id(SystemTime::now());
    assert!(here.begin(testing::record(id.clone())).await.is_ok());
    there.load().await.unwrap();
    here.update(&id, |record| record.attempts = 7).await.unwrap();
    // The other one's memory is older than the store now.
    let by = UserName::new("op");
    there.update(&id, |record| record.orders.cancelled_by = Some(by.clone())).await.unwrap();
    let record = there.get(&id).unwrap();
    assert_eq!((record.attempts, record.orders.cancelled_by.as_ref()), (7, Some(&by)));
}

/// Two proxies on one migration, as behind a lease that changed hands while the first one was stopped.
#[tokio::test]
async fn who_was_followed_by_another_writes_nothing_more() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let (here, there) = (ledger(&store), ledger(&store));
    let id = new_id(SystemTime::now());
    assert!(here.begin(testing::record(id.clone())).await.is_ok());
    there.load().await.unwrap();
    let first = here.take_up(&id).await.unwrap().unwrap().epoch;
    // Its memory is older than the store: it takes the migration up behind the first one all the same.
    let second = there.take_up(&id).await.unwrap().unwrap().epoch;
    assert!(second > first);
    assert!(here.update_as(&id, first, |record| record.attempts = 9).await.unwrap().is_none());
    assert!(!here.is_current(&id, first).await.unwrap() && there.is_current(&id, second).await.unwrap());
    let done = there.end_as(&id, second, |record| record.state = State::Done).await.unwrap();
    assert!(done.is_some());
    for (ledger, epoch) in [(&here, first), (&there, second)] {
        let again = ledger.end_as(&id, epoch, |record| record.state = State::Failed).await.unwrap();
        assert!(again.is_none(), "an end stays what it is");
    }
    assert!(here.take_up(&id).await.unwrap().is_none(), "what is over is not begun again");
    there.load().await.unwrap();
    let record = there.get(&id).unwrap();
    assert_eq!((record.state, record.attempts), (State::Done, 0));
}

/// Whoever begins one and carries it out has taken it up with that, once; the store still decides.
#[tokio::test]
async fn who_begins_one_has_taken_it_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let (here, there) = (ledger(&store), ledger(&store));
    let now = SystemTime::now();
    let begun = |seconds| {
        let id = new_id(now + Duration::from_secs(seconds));
        Record { epoch: FIRST_EPOCH, ..testing::record(id) }
    };
    let first = begun(0);
    assert!(here.begin(first.clone()).await.is_ok());
    let epoch = here.take_up(&first.id).await.unwrap().unwrap().epoch;
    assert_eq!(epoch, FIRST_EPOCH, "it is handed over");
    assert!(here.is_current(&first.id, epoch).await.unwrap());
    let again = here.take_up(&first.id).await.unwrap().unwrap().epoch;
    assert_eq!(again, FIRST_EPOCH + 1, "a second round is another one");
    here.end_as(&first.id, again, |record| record.state = State::Done).await.unwrap();
    // Another one takes it up before it is begun here.
    let second = begun(1);
    assert!(here.begin(second.clone()).await.is_ok());
    there.load().await.unwrap();
    assert_eq!(there.take_up(&second.id).await.unwrap().unwrap().epoch, FIRST_EPOCH + 1);
    let late = here.take_up(&second.id).await.unwrap().unwrap().epoch;
    assert!(!here.is_current(&second.id, late).await.unwrap(), "which is what a connection asks first");
    assert!(here.update_as(&second.id, late, |record| record.attempts = 9).await.unwrap().is_none());
}

/// Nothing is written of a light one before its end: from its second life on the server is asked.
#[test]
fn a_light_one_may_have_been_exchanged_by_whoever_had_it_before() {
    let mut record = testing::record(new_id(SystemTime::now()));
    for epoch in 0..3 {
        record.epoch = epoch;
        assert!(!record.may_be_swapped(), "others say so by their step");
    }
    record.request.is_paced = true;
    record.epoch = FIRST_EPOCH;
    assert!(record.is_light() && !record.may_be_swapped());
    record.epoch += 1;
    assert!(record.may_be_swapped());
    let of = |change: fn(&mut Record)| {
        let mut other = record.clone();
        change(&mut other);
        (other.is_light(), other.may_be_swapped())
    };
    assert_eq!(of(|record| record.reverts = Some(MigrationId::new("1"))), (false, false));
    let larger = of(|record| {
        let (before, after) = (String::new(), String::new());
        record.definitions = Some(Definitions { before, after });
    });
    assert_eq!(larger, (false, false), "it goes by its steps, as it turned out to be large");
    assert_eq!(of(|record| record.step = Step::Gate), (true, true));
    assert_eq!(of(|record| record.state = State::Unknown), (true, true));
}

#[tokio::test]
async fn changes_in_place_claim_nothing_and_the_oldest_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let ledger = ledger(&store);
    let at = |n: usize| SystemTime::UNIX_EPOCH + Duration::from_secs(1_764_000_000 + n as u64);
    let copied = testing::record(new_id(at(0)));
    assert!(ledger.begin(copied.clone()).await.is_ok());
    let mut ids = Vec::new();
    for n in 1..=DIRECT_KEPT_MAX + 3 {
        let record = Record::direct(new_id(at(n)), testing::request(), at(n));
        assert!(record.state.is_over() && record.step_name() == "in_place");
        ids.push(record.id.clone());
        ledger.note_direct(record).await.unwrap();
    }
    let kept: Vec<_> = ledger.all().iter().map(|record| record.id.clone()).collect();
    assert_eq!(kept[0], copied.id, "what is under way is not forgotten for them");
    assert_eq!(kept[1..], ids[3..]);
    ledger.load().await.unwrap();
    assert_eq!(ledger.all().len(), DIRECT_KEPT_MAX + 1, "the store has no more either");
}

#[tokio::test]
async fn what_is_written_is_read_by_the_next_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    let id = new_id(SystemTime::now());
    ledger(&store).begin(testing::record(id.clone())).await.map_err(|_| "not begun").unwrap();
    let next = ledger(&store);
    let (owned, mut is_owned) = watch::channel(false);
    let (stop, stopping) = watch::channel(false);
    let keeping = tokio::spawn(next.clone().keep(owned, stopping));
    is_owned.wait_for(|owned| *owned).await.unwrap();
    assert_eq!(next.get(&id).unwrap().request, testing::request());
    // Changes of others come by the watch.
    let mut changes = next.changes();
    let other = ledger(&store);
    other.load().await.unwrap();
    other.update(&id, |record| record.orders.is_paused = true).await.unwrap();
    while !next.get(&id).unwrap().orders.is_paused {
        changes.changed().await.unwrap();
    }
    stop.send_replace(true);
    keeping.await.unwrap();
    assert!(!*is_owned.borrow(), "what has stopped carries nothing out");
}
