//! What is known of migrations: in the store, in memory, and on the cluster that each is on.
//!
//! The store decides. One key per migration, `migrations/ID`, replaced by compare-and-swap; one key per table
//! that is being changed, written together with the first, so that two proxies cannot begin two migrations of
//! one table. Memory follows the store by its watch; whoever waits is woken by it, whichever proxy wrote.
//! What operators want is written into the record too, so a command may be given to any proxy.
//!
//! The cluster has a copy (`tables`), of which `active` is unique per table: proxies that share no store
//! cannot change one table at the same time either.

mod fence;
mod keeper;
mod record;
pub(super) mod tables;
#[cfg(test)]
mod tests;

pub(super) use fence::{Fence, Part, end_holders};
pub(super) use keeper::Owned;
pub(super) use record::{Definitions, Kept, Orders, Record, id_in, id_in_database, new_id, time_of};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::drain::SharedLease;
use crate::ids::{ClusterName, MigrationId};
use crate::topology::{Expect, Store, StoreError, Versioned, Write};

const PREFIX: &str = "migrations/";
const TABLES_PREFIX: &str = "migration-tables/";
/// Attempts to write a record that others write too.
const CONFLICTS_MAX: usize = 16;
/// Ended migrations that the store keeps, without those whose old table is kept; the oldest are forgotten.
pub(super) const ENDED_KEPT_MAX: usize = 2_000;

/// The epoch of a migration that was taken up as it was begun.
pub(super) const FIRST_EPOCH: u64 = 1;

/// Changes in place that the store keeps; the oldest are forgotten.
pub(super) const DIRECT_KEPT_MAX: usize = 500;

/// The migrations, as the store has them.
pub(super) struct Ledger {
    store: Arc<dyn Store>,
    known: Mutex<BTreeMap<MigrationId, (Arc<Record>, u64)>>,
    /// Those of them that are not over: thousands that are may be kept.
    open: Mutex<BTreeSet<MigrationId>>,
    /// Those that were taken up here as they were begun, and that nobody carries out yet.
    begun: Mutex<BTreeSet<MigrationId>>,
    /// Counts changes of `known`.
    changes: watch::Sender<u64>,
    pub(super) lease: SharedLease,
    pub(super) proxy: String,
}

/// How a record is written.
struct Writer<M> {
    /// Asked about the record as it is before.
    may: M,
    /// The claim on the table is given up.
    frees: bool,
}

/// Why a migration was not begun.
pub(super) enum NotBegun {
    /// Another one changes the table.
    Busy(MigrationId),
    /// The store.
    Store(StoreError),
}

impl Ledger {
    /// Empty; [`Ledger::load`] reads the store.
    pub(super) fn new(store: Arc<dyn Store>, lease: SharedLease, proxy: String) -> Self {
        let (known, open, begun) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { store, known, open, begun, changes: watch::Sender::new(0), lease, proxy }
    }

    /// Reads what the store has.
    ///
    /// # Errors
    /// The store cannot be read. A record that cannot be read is left alone, and told.
    pub(super) async fn load(&self) -> Result<(), StoreError> {
        let found = self.store.list(PREFIX).await?;
        let mut known = BTreeMap::new();
        for (key, value) in found {
            if let Some((id, record)) = decode(&key, &value) {
                known.insert(id, (Arc::new(record), value.version));
            }
        }
        let open = known.iter().filter(|(_, (record, _))| !record.state.is_over());
        let open = open.map(|(id, _)| id.clone()).collect();
        let mut kept = self.known();
        *kept = known;
        *self.open() = open;
        drop(kept);
        self.tell();
        Ok(())
    }

    /// A record as of now.
    pub(super) fn get(&self, id: &MigrationId) -> Option<Arc<Record>> {
        self.known().get(id).map(|(record, _)| record.clone())
    }

    /// All records, oldest first.
    pub(super) fn all(&self) -> Vec<Arc<Record>> {
        self.known().values().map(|(record, _)| record.clone()).collect()
    }

    /// Those that are not over, oldest first: few, however many there were.
    pub(super) fn all_open(&self) -> Vec<Arc<Record>> {
        let known = self.known();
        let open = self.open();
        open.iter().filter_map(|id| known.get(id)).map(|(record, _)| record.clone()).collect()
    }

    /// The one that changes a table and is not over.
    pub(super) fn active_on_table(
        &self,
        cluster: &ClusterName,
        database: &str,
        table: &str,
    ) -> Option<MigrationId> {
        let open = self.all_open();
        let is_it = |record: &&Arc<Record>| {
            let request = &record.request;
            request.cluster == *cluster
                && request.database == database
                && request.table.eq_ignore_ascii_case(table)
        };
        open.iter().find(is_it).map(|record| record.id.clone())
    }

    /// Wakes with every change.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Writes a new migration down, with the claim on its table. One that says that it is taken up here, by
    /// its first epoch, is handed over by the first [`Ledger::take_up`], which writes nothing then.
    ///
    /// # Errors
    /// See [`NotBegun`].
    pub(super) async fn begin(&self, record: Record) -> Result<(), NotBegun> {
        if record.epoch == FIRST_EPOCH {
            // Before anybody can hear of it.
            self.begun().insert(record.id.clone());
        }
        let id = record.id.clone();
        let begun = self.write_new(record).await;
        if begun.is_err() {
            self.begun().remove(&id);
        }
        begun
    }

    async fn write_new(&self, record: Record) -> Result<(), NotBegun> {
        let (id, claim) = (record.id.clone(), claim_key(&record));
        let writes = vec![
            Write { key: key_of(&id), value: Some(encode(&record)), expect: Expect::Absent },
            Write { key: claim.clone(), value: Some(id.as_str().into()), expect: Expect::Absent },
        ];
        match self.store.commit(writes).await {
            Ok(version) => {
                self.take(id, record, version);
                Ok(())
            }
            Err(StoreError::Conflict { key }) if key == claim => Err(self.holder_of(&claim).await),
            Err(error) => {
                // It may be written down all the same: then it is to be known here.
                let _ = self.refresh(&id).await;
                Err(NotBegun::Store(error))
            }
        }
    }

    /// Writes one down that is over, and claims nothing; forgets the oldest of its kind beyond a number.
    ///
    /// # Errors
    /// As the store has them.
    pub(super) async fn note_direct(&self, record: Record) -> Result<(), StoreError> {
        let (key, id) = (key_of(&record.id), record.id.clone());
        let write = Write { key, value: Some(encode(&record)), expect: Expect::Absent };
        let version = self.store.commit(vec![write]).await?;
        self.take(id, record, version);
        // By their ids the oldest are first.
        let all = self.all();
        let direct: Vec<_> = all.iter().filter(|record| record.is_direct).collect();
        for record in &direct[..direct.len().saturating_sub(DIRECT_KEPT_MAX)] {
            self.forget(&record.id).await?;
        }
        Ok(())
    }

    async fn holder_of(&self, claim: &str) -> NotBegun {
        match self.store.get(claim).await {
            Ok(Some(value)) => {
                NotBegun::Busy(MigrationId::new(String::from_utf8_lossy(&value.value).into_owned()))
            }
            Ok(None) => NotBegun::Store(StoreError::Conflict { key: claim.to_owned() }),
            Err(error) => NotBegun::Store(error),
        }
    }

    /// Claims the table again for a migration that begins anew.
    ///
    /// # Errors
    /// See [`NotBegun`].
    pub(super) async fn claim_again(
        &self,
        id: &MigrationId,
        change: impl Fn(&mut Record),
    ) -> Result<(), NotBegun> {
        let Some((record, version)) = self.known().get(id).cloned() else {
            return Err(NotBegun::Store(StoreError::Conflict { key: key_of(id) }));
        };
        let mut record = Record::clone(&record);
        change(&mut record);
        let claim = claim_key(&record);
        let writes = vec![
            Write { key: key_of(id), value: Some(encode(&record)), expect: Expect::Version(version) },
            Write { key: claim.clone(), value: Some(id.as_str().into()), expect: Expect::Absent },
        ];
        match self.store.commit(writes).await {
            Ok(version) => {
                self.take(id.clone(), record, version);
                Ok(())
            }
            Err(StoreError::Conflict { key }) if key == claim => Err(self.holder_of(&claim).await),
            Err(error) => Err(NotBegun::Store(error)),
        }
    }

    /// Changes a record; what others wrote meanwhile stays. `None` when there is none of that id.
    ///
    /// # Errors
    /// As the store has them; a conflict when others write it all the time.
    pub(super) async fn update(
        &self,
        id: &MigrationId,
        change: impl Fn(&mut Record),
    ) -> Result<Option<Arc<Record>>, StoreError> {
        self.write(id, change, Writer { may: |_: &Record| true, frees: false }).await
    }

    /// Takes a migration up: whoever did before writes no more about it. `None` when it is over.
    ///
    /// # Errors
    /// As [`Ledger::update`].
    pub(super) async fn take_up(&self, id: &MigrationId) -> Result<Option<Arc<Record>>, StoreError> {
        let is_begun_here = self.begun().remove(id);
        if let Some(record) = self.get(id).filter(|_| is_begun_here)
            && record.is_under(FIRST_EPOCH)
        {
            return Ok(Some(record));
        }
        let change = |record: &mut Record| {
            record.epoch += 1;
            record.owner = Some(self.proxy.clone());
        };
        self.write(id, change, Writer { may: |record: &Record| !record.state.is_over(), frees: false }).await
    }

    /// As [`Ledger::update`], by whoever took it up under this epoch. `None` also when it is over, or was
    /// taken up again since.
    ///
    /// # Errors
    /// As [`Ledger::update`].
    pub(super) async fn update_as(
        &self,
        id: &MigrationId,
        epoch: u64,
        change: impl Fn(&mut Record),
    ) -> Result<Option<Arc<Record>>, StoreError> {
        self.write(id, change, Writer { may: |record: &Record| record.is_under(epoch), frees: false }).await
    }

    /// The same, and gives the claim on the table up.
    ///
    /// # Errors
    /// As [`Ledger::update`].
    pub(super) async fn end_as(
        &self,
        id: &MigrationId,
        epoch: u64,
        change: impl Fn(&mut Record),
    ) -> Result<Option<Arc<Record>>, StoreError> {
        self.write(id, change, Writer { may: |record: &Record| record.is_under(epoch), frees: true }).await
    }

    /// Asks the store, not memory, whether a migration was last taken up under this epoch.
    ///
    /// # Errors
    /// The store does not answer.
    pub(super) async fn is_current(&self, id: &MigrationId, epoch: u64) -> Result<bool, StoreError> {
        let key = key_of(id);
        let found = self.store.get(&key).await?;
        let record = found.and_then(|value| decode(&key, &value));
        Ok(record.is_some_and(|(_, record)| record.epoch == epoch))
    }

    async fn write(
        &self,
        id: &MigrationId,
        change: impl Fn(&mut Record),
        Writer { may, frees }: Writer<impl Fn(&Record) -> bool>,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        let key = key_of(id);
        for _ in 0..CONFLICTS_MAX {
            let Some((record, version)) = self.known().get(id).cloned() else { return Ok(None) };
            if !may(&record) {
                return Ok(None);
            }
            let mut changed = Record::clone(&record);
            change(&mut changed);
            let is_same = changed == *record;
            let mut writes = Vec::with_capacity(2);
            if !is_same {
                let value = Some(encode(&changed));
                writes.push(Write { key: key.clone(), value, expect: Expect::Version(version) });
            }
            let claim = claim_key(&changed);
            if frees
                && let Some(value) = self.store.get(&claim).await?
                && value.value == id.as_str().as_bytes()
            {
                writes.push(Write { key: claim, value: None, expect: Expect::Version(value.version) });
            }
            if writes.is_empty() {
                return Ok(Some(record));
            }
            match self.store.commit(writes).await {
                Ok(version) => return Ok(Some(self.take(id.clone(), changed, version))),
                Err(StoreError::Conflict { .. }) => self.refresh(id).await?,
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Conflict { key })
    }

    /// Forgets an ended migration.
    ///
    /// # Errors
    /// As the store has them.
    pub(super) async fn forget(&self, id: &MigrationId) -> Result<(), StoreError> {
        let version = self.known().get(id).map(|(_, version)| *version);
        let Some(version) = version else { return Ok(()) };
        self.store.delete_if(&key_of(id), version).await?;
        self.drop_known(id.as_str());
        self.tell();
        Ok(())
    }

    async fn refresh(&self, id: &MigrationId) -> Result<(), StoreError> {
        let key = key_of(id);
        match self.store.get(&key).await? {
            Some(value) => {
                if let Some((id, record)) = decode(&key, &value) {
                    self.take(id, record, value.version);
                }
            }
            None => {
                self.drop_known(id.as_str());
                self.tell();
            }
        }
        Ok(())
    }

    /// Takes over what the store has, unless something newer is known.
    fn take(&self, id: MigrationId, record: Record, version: u64) -> Arc<Record> {
        let record = Arc::new(record);
        let mut known = self.known();
        match known.get(&id) {
            Some((newer, seen)) if *seen > version => return newer.clone(),
            _ => {
                if record.state.is_over() {
                    self.open().remove(&id);
                } else {
                    self.open().insert(id.clone());
                }
                known.insert(id, (record.clone(), version))
            }
        };
        drop(known);
        self.tell();
        record
    }

    /// What the store's watch told.
    fn follow(&self, key: &str, value: Option<Versioned>) {
        match value {
            Some(value) => {
                if let Some((id, record)) = decode(key, &value) {
                    self.take(id, record, value.version);
                }
            }
            None => {
                if let Some(id) = key.strip_prefix(PREFIX) {
                    self.drop_known(id);
                    self.tell();
                }
            }
        }
    }

    fn tell(&self) {
        self.changes.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    /// Migrations of a cluster that are not over.
    pub(super) fn active_on(&self, cluster: &ClusterName) -> usize {
        self.all_open().iter().filter(|record| record.request.cluster == *cluster).count()
    }

    fn drop_known(&self, id: &str) {
        let mut known = self.known();
        known.remove(id);
        self.open().remove(id);
    }

    /// Taken behind the lock of what is known, and never the other way round.
    fn open(&self) -> MutexGuard<'_, BTreeSet<MigrationId>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Taken alone.
    fn begun(&self) -> MutexGuard<'_, BTreeSet<MigrationId>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Each change is whole, so a panic elsewhere does not spoil it.
    fn known(&self) -> MutexGuard<'_, BTreeMap<MigrationId, (Arc<Record>, u64)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key_of(id: &MigrationId) -> String {
    format!("{PREFIX}{id}")
}

/// The key that stands for a table: a hash, since names may be longer than keys.
fn claim_key(record: &Record) -> String {
    let request = &record.request;
    let name = format!("{}\0{}\0{}", request.cluster, request.database, request.table);
    format!("{TABLES_PREFIX}{:032x}", xxhash_rust::xxh3::xxh3_128(name.as_bytes()))
}

fn encode(record: &Record) -> Vec<u8> {
    serde_json::to_vec(record).expect("a record has a JSON form: its keys are text, its numbers finite")
}

fn decode(key: &str, value: &Versioned) -> Option<(MigrationId, Record)> {
    let id = MigrationId::new(key.strip_prefix(PREFIX)?);
    match serde_json::from_slice(&value.value) {
        Ok(record) => Some((id, record)),
        Err(error) => {
            tracing::error!(key, %error, "a migration cannot be read; it is left alone");
            None
        }
    }
}
