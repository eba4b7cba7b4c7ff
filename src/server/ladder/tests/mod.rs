//! The ladder's means without servers: the ledger on a store, and whole proxies on one store.

mod alerts;
mod ledger;
mod proxies;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::topology::{Change, EmbeddedStore, Store, StoreError, StoreFuture, Versioned, Write};

/// Nothing in here takes longer on an idle machine by far; a busy one may.
const PATIENCE: Duration = Duration::from_secs(30);

/// Several proxies' store, which can be away.
struct SharedStore {
    inner: EmbeddedStore,
    is_away: AtomicBool,
}

impl SharedStore {
    fn new() -> Arc<Self> {
        let inner = EmbeddedStore::in_memory().unwrap();
        Arc::new(Self { inner, is_away: AtomicBool::new(false) })
    }

    fn set_away(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::SeqCst);
    }

    fn guarded<'a, T: 'a>(&'a self, asked: StoreFuture<'a, T>) -> StoreFuture<'a, T> {
        if self.is_away.load(Ordering::SeqCst) {
            let reason = "no space left on device".to_owned();
            return Box::pin(async { Err(StoreError::Failed { action: "write", reason }) });
        }
        asked
    }
}

impl Store for SharedStore {
    fn get<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Option<Versioned>> {
        self.guarded(self.inner.get(key))
    }

    fn commit(&self, writes: Vec<Write>) -> StoreFuture<'_, u64> {
        self.guarded(self.inner.commit(writes))
    }

    fn list<'a>(&'a self, prefix: &'a str) -> StoreFuture<'a, Vec<(String, Versioned)>> {
        self.guarded(self.inner.list(prefix))
    }

    fn watch(&self, prefix: &str) -> mpsc::Receiver<Change> {
        self.inner.watch(prefix)
    }
}

/// Waits until it is so, and gives how long that took.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "still not: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    began.elapsed()
}
