//! Decisions and events on a store: written, read again, disputed, and kept while it is away.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::super::ledger::{Keeper, Ledger, StoreNews};
use super::super::log::EVENTS_MAX;
use super::{SharedStore, until};
use crate::drain::{Decision, Entry, Notice, Ownership, Stage};
use crate::ids::ClusterName;
use crate::topology::{EmbeddedStore, Expect, Store};

struct Kept {
    ledger: Arc<Ledger>,
    news: mpsc::Receiver<StoreNews>,
    /// Ends with this.
    running: JoinSet<()>,
}

async fn keep(store: Arc<dyn Store>) -> Kept {
    let ledger = Arc::new(Ledger::new(&*store));
    let (tell, news) = mpsc::channel(64);
    let mut keeper = Keeper::new(store, ledger.clone(), tell);
    keeper.begin().await.unwrap();
    let mut running = JoinSet::new();
    running.spawn(keeper.keep());
    Kept { ledger, news, running }
}

fn notice(said: &str) -> Entry {
    let (at, said) = (SystemTime::now(), said.to_owned());
    Entry::Notice(Notice { at, cluster: None, is_raised: true, name: "hot_spot".into(), said })
}

fn drained() -> Decision {
    Decision { stage: Stage::Drained, is_operators: true, ..Decision::OPEN }
}

fn said(ledger: &Ledger) -> Vec<(Option<u64>, String)> {
    ledger.events.entries().iter().map(|logged| (logged.id, logged.entry.why())).collect()
}

#[tokio::test]
async fn what_was_decided_and_what_happened_survive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let c1 = ClusterName::new("c1");
    {
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&path).unwrap());
        let mut kept = keep(store.clone()).await;
        assert_eq!(kept.ledger.lease.ownership(), Ownership::Owner, "nobody else can have this store");
        kept.ledger.note(notice("one"), Some((c1.clone(), drained())));
        kept.ledger.note(notice("two"), None);
        until("both are stored", || said(&kept.ledger).iter().all(|(id, _)| id.is_some())).await;
        until("the decision is stored", || !kept.ledger.has_unwritten()).await;
        // As kill -9 does: nothing is said.
        kept.running.shutdown().await;
    }
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&path).unwrap());
    let kept = keep(store).await;
    assert_eq!(kept.ledger.decision(&c1), Some(drained()));
    assert_eq!(said(&kept.ledger), [(Some(1), "one".into()), (Some(2), "two".into())]);
    kept.ledger.note(notice("three"), None);
    until("it goes on counting", || said(&kept.ledger).last() == Some(&(Some(3), "three".into()))).await;
}

#[tokio::test]
async fn what_cannot_be_written_is_kept_and_written_later() {
    let store = SharedStore::new();
    let mut kept = keep(store.clone()).await;
    until("it owns the lease", || kept.ledger.lease.ownership() == Ownership::Owner).await;
    store.set_away(true);
    let c1 = ClusterName::new("c1");
    kept.ledger.note(notice("one"), Some((c1.clone(), drained())));
    let told = kept.news.recv().await.unwrap();
    assert!(matches!(&told, StoreNews::Away(why) if why.contains("no space left")), "{told:?}");
    assert_eq!(kept.ledger.decision(&c1), Some(drained()), "it holds here all the same");
    assert_eq!(said(&kept.ledger), [(None, "one".into())], "and can be read");
    until("nobody is known to decide", || kept.ledger.lease.ownership() == Ownership::Alone).await;
    store.set_away(false);
    assert_eq!(kept.news.recv().await, Some(StoreNews::Back));
    until("it is stored", || said(&kept.ledger) == [(Some(1), "one".into())]).await;
    until("so is the decision", || !kept.ledger.has_unwritten()).await;
    assert!(store.get("clusters/c1/decision").await.unwrap().is_some());
    assert_eq!(kept.ledger.lease.ownership(), Ownership::Owner);
}

#[tokio::test]
async fn the_decision_of_the_one_who_holds_the_lease_wins() {
    let store = SharedStore::new();
    let c1 = ClusterName::new("c1");
    let first = keep(store.clone()).await;
    until("the first owns", || first.ledger.lease.ownership() == Ownership::Owner).await;
    let mut second = keep(store.clone()).await;
    assert_eq!(second.ledger.lease.ownership(), Ownership::Follower);
    // One who believes to decide, and does not.
    second.ledger.note(notice("mine"), Some((c1.clone(), drained())));
    assert_eq!(second.news.recv().await, Some(StoreNews::Decided(c1.clone(), Decision::OPEN)));
    assert!(!second.ledger.has_unwritten());
    assert!(store.get("clusters/c1/decision").await.unwrap().is_none());
    let limited = Decision { stage: Stage::Limited, ..Decision::OPEN };
    first.ledger.note(notice("theirs"), Some((c1.clone(), limited)));
    assert_eq!(second.news.recv().await, Some(StoreNews::Decided(c1, limited)));
    // Events of both are in one order, seen by both.
    let both = |ledger: &Ledger| {
        let mut all = said(ledger);
        all.sort();
        all.len() == 2 && all.iter().all(|(id, _)| id.is_some())
    };
    until("both see both", || both(&first.ledger) && both(&second.ledger)).await;
    assert_eq!(said(&first.ledger), said(&second.ledger));
}

#[tokio::test]
async fn old_events_are_removed_from_the_store_too() {
    let store = SharedStore::new();
    let kept = keep(store.clone()).await;
    for number in 0..EVENTS_MAX + 40 {
        kept.ledger.note(notice(&number.to_string()), None);
        if number % 500 == 499 {
            until("they are stored", || said(&kept.ledger).iter().all(|(id, _)| id.is_some())).await;
        }
    }
    until("the oldest are gone", || {
        let said = said(&kept.ledger);
        said.len() == EVENTS_MAX && said[0] == (Some(41), "40".into())
    })
    .await;
    until("nothing is left to do", || kept.ledger.events.outdated(SystemTime::now(), 1).is_empty()).await;
    assert_eq!(store.list("events/").await.unwrap().len(), EVENTS_MAX);
}

#[tokio::test]
async fn values_that_cannot_be_read_are_left_alone() {
    let store = SharedStore::new();
    for key in ["clusters/c1/decision", "leases/ladder", "events/00000000000000000007"] {
        store.put_if(key, b"{nonsense".to_vec(), Expect::Absent).await.unwrap();
    }
    store.put_if("clusters/c1/primary", b"another's".to_vec(), Expect::Absent).await.unwrap();
    let kept = keep(store.clone()).await;
    assert_eq!(kept.ledger.decision(&ClusterName::new("c1")), None);
    kept.ledger.note(notice("next"), None);
    until("the next one has the next number", || said(&kept.ledger) == [(Some(8), "next".into())]).await;
    let left = store.get("clusters/c1/decision").await.unwrap().unwrap();
    assert_eq!(left.value, b"{nonsense");
    // A lease of which nothing is known ends like any other.
    until("the lease is taken", || kept.ledger.lease.ownership() == Ownership::Owner).await;
}
