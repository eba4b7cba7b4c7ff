//! Following the store, and the lease that says which proxy carries migrations out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{Ledger, PREFIX};
use crate::drain::{Holder, LeaseDue, Ownership};
use crate::topology::{Change, Expect, StoreError};

/// Where the lease is.
const LEASE_KEY: &str = "leases/migrations";
/// Between two looks at the lease.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Whether this proxy carries migrations out.
pub(in crate::migrations) type Owned = watch::Receiver<bool>;

impl Ledger {
    /// Follows the store and keeps the lease; tells through `owned` whether it is held. Ends when the proxy
    /// stops: then nothing is carried out here any more.
    pub(in crate::migrations) async fn keep(
        self: Arc<Self>,
        owned: watch::Sender<bool>,
        mut stopping: watch::Receiver<bool>,
    ) {
        tokio::select! {
            () = self.keep_following(&owned) => {}
            _ = stopping.wait_for(|is_stopping| *is_stopping) => {}
        }
        owned.send_replace(false);
    }

    async fn keep_following(&self, owned: &watch::Sender<bool>) {
        loop {
            let (mut changes, mut lease) = (self.store.watch(PREFIX), self.store.watch(LEASE_KEY));
            if let Err(error) = self.load().await {
                tracing::warn!(%error, "migrations cannot be read from the store");
            }
            self.look(owned).await;
            let mut every = tokio::time::interval(LOOK_EVERY);
            loop {
                tokio::select! {
                    changed = changes.recv() => match changed {
                        Some(Change { key, value }) => self.follow(&key, value),
                        // Changes may have been missed: everything is read again.
                        None => break,
                    },
                    changed = lease.recv() => match changed {
                        Some(_) => self.look(owned).await,
                        None => break,
                    },
                    _ = every.tick() => self.look(owned).await,
                }
            }
        }
    }

    /// One look at the lease: takes it, renews it, or notes whose it is.
    async fn look(&self, owned: &watch::Sender<bool>) {
        if let Err(error) = self.try_look().await {
            tracing::debug!(%error, "the lease of migrations could not be looked at");
        }
        let is_owner = self.lease.ownership() == Ownership::Owner;
        owned.send_if_modified(|was| std::mem::replace(was, is_owner) != is_owner);
    }

    async fn try_look(&self) -> Result<(), StoreError> {
        if !self.lease.with(|lease| lease.is_exclusive()) {
            let found = self.store.get(LEASE_KEY).await?;
            let found = found.map(|value| {
                // What cannot be read is a lease of which nothing is known but its version.
                let unknown = Holder { owner: String::new(), lasts_ms: 0 };
                (serde_json::from_slice(&value.value).unwrap_or(unknown), value.version)
            });
            self.lease.with(|lease| lease.saw(found, Instant::now()));
        }
        let sent = Instant::now();
        let LeaseDue::Write(expect) = self.lease.with(|lease| lease.due(sent)) else { return Ok(()) };
        let value = self.lease.with(|lease| lease.stored());
        match self.store.put_if(LEASE_KEY, value, expect).await {
            Ok(version) => self.lease.with(|lease| lease.wrote(version, sent, Instant::now())),
            Err(StoreError::Conflict { .. }) => {
                self.lease.with(|lease| lease.lost(Instant::now()));
                if self.lease.with(|lease| lease.is_exclusive()) && expect == Expect::Absent {
                    let found = self.store.get(LEASE_KEY).await?;
                    let unknown = Holder { owner: String::new(), lasts_ms: 0 };
                    let found = found.map(|value| (unknown, value.version));
                    self.lease.with(|lease| lease.saw(found, Instant::now()));
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
