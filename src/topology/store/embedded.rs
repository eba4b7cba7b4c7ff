//! The embedded store: one redb file, one process.
//!
//! Calls run on the runtime's blocking threads, because a commit waits for the disk. Commits that come while
//! one waits are written together behind it, each whole or not at all and with a version of its own: so many
//! writers wait for the disk twice at most, and not for each other. The stored form of a value is its version
//! (8 bytes, little-endian) and then the bytes.

use std::path::Path;
use std::sync::{Arc, Mutex};

use redb::backends::InMemoryBackend;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, TableError};
use tokio::sync::{mpsc, oneshot};

use super::{
    COMMIT_WRITES_MAX, Change, Expect, KEY_BYTES_MAX, Store, StoreError, StoreFuture, Versioned,
    WATCH_QUEUE_MAX, Write,
};

const VALUES: TableDefinition<'static, &'static str, &'static [u8]> = TableDefinition::new("values");
const COUNTERS: TableDefinition<'static, &'static str, u64> = TableDefinition::new("counters");
const LAST_VERSION: &str = "last_version";
const VERSION_BYTES: usize = 8;

/// The state store of a single proxy, in a local file.
pub struct EmbeddedStore {
    inner: Arc<Inner>,
    /// A file is locked by its process; what is in memory may stand for a store that several share.
    is_file: bool,
}

struct Inner {
    database: Database,
    /// Commits that nobody writes yet, in the order in which they came.
    waiting: Mutex<Vec<Waiting>>,
    /// Held by a commit from its write to its last `try_send`, so that watchers see changes in order.
    watchers: Mutex<Vec<Watcher>>,
}

/// A commit that is to be written.
struct Waiting {
    writes: Vec<Write>,
    told: oneshot::Sender<Result<u64, StoreError>>,
}

struct Watcher {
    prefix: String,
    sender: mpsc::Sender<Change>,
}

impl EmbeddedStore {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process has it open; [`StoreError::Unopened`] when the file cannot
    /// be read, or is not a store.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let unopened = |reason: String| StoreError::Unopened { path: path.to_owned(), reason };
        let database = Database::create(path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => StoreError::Locked { path: path.to_owned() },
            other => unopened(other.to_string()),
        })?;
        Ok(Self { is_file: true, ..Self::over(database) })
    }

    /// A store that lives as long as the value, for tests and benches.
    ///
    /// # Errors
    /// [`StoreError::Unopened`] when memory is short.
    pub fn in_memory() -> Result<Self, StoreError> {
        let opened = Database::builder().create_with_backend(InMemoryBackend::new());
        let database = opened
            .map_err(|error| StoreError::Unopened { path: "(memory)".into(), reason: error.to_string() })?;
        Ok(Self::over(database))
    }

    fn over(database: Database) -> Self {
        let inner = Inner { database, waiting: Mutex::default(), watchers: Mutex::default() };
        Self { inner: Arc::new(inner), is_file: false }
    }

    fn run<T, F>(&self, action: &'static str, work: F) -> StoreFuture<'static, T>
    where
        T: Send + 'static,
        F: FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let joined = tokio::task::spawn_blocking(move || work(&inner)).await;
            joined.map_err(failed(action))?
        })
    }
}

impl Store for EmbeddedStore {
    fn get<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Option<Versioned>> {
        let key = key.to_owned();
        self.run("read", move |inner| inner.get(&key))
    }

    fn commit(&self, writes: Vec<Write>) -> StoreFuture<'_, u64> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            check_bounds(&writes)?;
            let (told, answer) = oneshot::channel();
            inner.lock_waiting().push(Waiting { writes, told });
            let written = tokio::task::spawn_blocking(move || inner.commit_waiting()).await;
            written.map_err(failed("write"))?;
            answer.await.map_err(failed("write"))?
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> StoreFuture<'a, Vec<(String, Versioned)>> {
        let prefix = prefix.to_owned();
        self.run("list", move |inner| inner.list(&prefix))
    }

    fn is_exclusive(&self) -> bool {
        self.is_file
    }

    fn watch(&self, prefix: &str) -> mpsc::Receiver<Change> {
        let (sender, receiver) = mpsc::channel(WATCH_QUEUE_MAX);
        self.inner.lock_watchers().push(Watcher { prefix: prefix.to_owned(), sender });
        receiver
    }
}

impl Inner {
    fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        let read = self.database.begin_read().map_err(failed("read"))?;
        let table = match read.open_table(VALUES) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            other => other.map_err(failed("read"))?,
        };
        let found = table.get(key).map_err(failed("read"))?;
        found.map(|guard| unpack(key, guard.value())).transpose()
    }

    fn list(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, StoreError> {
        let read = self.database.begin_read().map_err(failed("list"))?;
        let table = match read.open_table(VALUES) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            other => other.map_err(failed("list"))?,
        };
        let mut found = Vec::new();
        for row in table.range(prefix..).map_err(failed("list"))? {
            let (key, value) = row.map_err(failed("list"))?;
            if !key.value().starts_with(prefix) {
                break;
            }
            found.push((key.value().to_owned(), unpack(key.value(), value.value())?));
        }
        Ok(found)
    }

    /// Writes every commit that waits. Each caller runs this behind its own: whoever comes first writes all
    /// of them, and the others find nothing left.
    fn commit_waiting(&self) {
        let mut watchers = self.lock_watchers();
        let waiting = std::mem::take(&mut *self.lock_waiting());
        if waiting.is_empty() {
            return;
        }
        let outcomes = self.write(&waiting).unwrap_or_else(|error| {
            // What failed once for all of them is told to each.
            let again = || Err(StoreError::Failed { action: "write", reason: error.to_string() });
            waiting.iter().map(|_| again()).collect()
        });
        for (Waiting { writes, told }, outcome) in waiting.into_iter().zip(outcomes) {
            if let Ok(version) = outcome {
                watchers.retain(|watcher| watcher.notify(&writes, version));
            }
            // Whoever asked may not wait any more.
            let _ = told.send(outcome);
        }
    }

    /// What becomes of each.
    fn write(&self, waiting: &[Waiting]) -> Result<Vec<Result<u64, StoreError>>, StoreError> {
        let transaction = self.database.begin_write().map_err(failed("write"))?;
        let mut outcomes = Vec::with_capacity(waiting.len());
        {
            let mut counters = transaction.open_table(COUNTERS).map_err(failed("write"))?;
            let mut values = transaction.open_table(VALUES).map_err(failed("write"))?;
            let last = counters.get(LAST_VERSION).map_err(failed("write"))?;
            let mut last = last.map_or(0, |guard| guard.value());
            for Waiting { writes, .. } in waiting {
                if let Err(refused) = check_expected(&values, writes) {
                    outcomes.push(Err(refused));
                    continue;
                }
                last += 1;
                writes.iter().try_for_each(|write| apply(&mut values, write, last))?;
                outcomes.push(Ok(last));
            }
            counters.insert(LAST_VERSION, last).map_err(failed("write"))?;
        }
        if outcomes.iter().any(Result::is_ok) {
            transaction.commit().map_err(failed("write"))?;
        } else {
            transaction.abort().map_err(failed("write"))?;
        }
        Ok(outcomes)
    }

    fn lock_waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        // A commit is pushed, or all are taken: the list is whole at any time.
        self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn lock_watchers(&self) -> std::sync::MutexGuard<'_, Vec<Watcher>> {
        // A watcher list is whole at any time, so a panic elsewhere does not spoil it.
        self.watchers.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Watcher {
    /// Says whether the watcher is still there and kept up.
    fn notify(&self, writes: &[Write], version: u64) -> bool {
        let mine = writes.iter().filter(|write| write.key.starts_with(&self.prefix));
        mine.map(|write| Change {
            key: write.key.clone(),
            value: write.value.clone().map(|value| Versioned { value, version }),
        })
        .all(|change| self.sender.try_send(change).is_ok())
            && !self.sender.is_closed()
    }
}

fn check_bounds(writes: &[Write]) -> Result<(), StoreError> {
    if writes.len() > COMMIT_WRITES_MAX {
        let reason = format!("{} writes in one commit, at most {COMMIT_WRITES_MAX}", writes.len());
        return Err(StoreError::Invalid { reason });
    }
    match writes.iter().find(|write| write.key.is_empty() || write.key.len() > KEY_BYTES_MAX) {
        Some(write) => {
            let reason = format!("a key of {} bytes, must be 1 to {KEY_BYTES_MAX}", write.key.len());
            Err(StoreError::Invalid { reason })
        }
        None => Ok(()),
    }
}

/// # Errors
/// [`StoreError::Conflict`] with the first key that is not as its writer expects.
fn check_expected(table: &redb::Table<'_, &str, &[u8]>, writes: &[Write]) -> Result<(), StoreError> {
    for write in writes {
        let key = write.key.as_str();
        let current = match table.get(key).map_err(failed("write"))? {
            Some(guard) => Some(unpack(key, guard.value())?.version),
            None => None,
        };
        let expected = match write.expect {
            Expect::Absent => None,
            Expect::Version(version) => Some(version),
        };
        if current != expected {
            return Err(StoreError::Conflict { key: write.key.clone() });
        }
    }
    Ok(())
}

fn apply(table: &mut redb::Table<'_, &str, &[u8]>, write: &Write, version: u64) -> Result<(), StoreError> {
    let key = write.key.as_str();
    match &write.value {
        Some(value) => {
            let mut packed = Vec::with_capacity(VERSION_BYTES + value.len());
            packed.extend_from_slice(&version.to_le_bytes());
            packed.extend_from_slice(value);
            table.insert(key, packed.as_slice()).map_err(failed("write"))?;
        }
        None => {
            table.remove(key).map_err(failed("write"))?;
        }
    }
    Ok(())
}

fn unpack(key: &str, packed: &[u8]) -> Result<Versioned, StoreError> {
    match packed.split_first_chunk::<VERSION_BYTES>() {
        Some((version, value)) => {
            Ok(Versioned { value: value.to_vec(), version: u64::from_le_bytes(*version) })
        }
        None => {
            Err(StoreError::Failed { action: "read", reason: format!("the value of {key} is cut short") })
        }
    }
}

fn failed<E: std::fmt::Display>(action: &'static str) -> impl Fn(E) -> StoreError {
    move |error| StoreError::Failed { action, reason: error.to_string() }
}
