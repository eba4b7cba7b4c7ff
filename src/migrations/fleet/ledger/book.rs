//! Fleet migrations in the store: reading, writing, owning.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::header::Header;
use super::row::{PageFault, Row, decode_page, page_key, pages_for, rows_prefix};
use crate::drain::{Holder, Lease, LeaseDue, Ownership, SharedLease};
use crate::ids::MigrationId;
use crate::topology::{COMMIT_WRITES_MAX, Expect, Store, StoreError, Versioned, Write};

/// Where the lease is.
pub const LEASE_KEY: &str = "leases/fleet";
const HEADERS: &str = "fleet/migrations/";
/// Bytes of one commit, at most: what etcd takes in one request is 1.5 MiB.
const COMMIT_BYTES_MAX: usize = 1 << 20;
/// Pages removed in one commit.
const REMOVED_AT_ONCE: usize = COMMIT_WRITES_MAX - 1;

/// Why something was not written, or not read.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// Another proxy owns the fleet migrations.
    #[error("another proxy carries fleet migrations out")]
    NotOwner,
    /// The store. What became of a write is not known: read again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A page or header cannot be read: the migration is left alone.
    #[error("{key}: {fault}")]
    Damaged {
        /// The store's key.
        key: String,
        /// What is wrong.
        #[source]
        fault: PageFault,
    },
    /// Pages are missing, or there are too many.
    #[error("fleet migration {id} has {found} rows in the store instead of {expected}")]
    Torn {
        /// The migration.
        id: MigrationId,
        /// Rows that its header tells.
        expected: u32,
        /// Rows that were found.
        found: usize,
    },
}

/// A fleet migration as it is in the store.
#[derive(Debug)]
pub struct Loaded {
    /// Its header.
    pub header: Header,
    /// Its rows; none are read of one that is over.
    pub rows: Vec<Row>,
}

/// The store's keys of fleet migrations, with the versions that this proxy has seen.
pub struct Book {
    store: Arc<dyn Store>,
    lease: SharedLease,
    versions: BTreeMap<String, u64>,
}

impl Book {
    /// Nothing is read yet, and the lease is not asked for. `owner` is a name that no other process has.
    pub fn new(store: Arc<dyn Store>, owner: &str) -> Self {
        let lease = SharedLease::new(Lease::new(owner, store.is_exclusive(), Instant::now()));
        Self { store, lease, versions: BTreeMap::new() }
    }

    /// Says whether this proxy owns the fleet migrations at this moment.
    pub fn is_owner(&self) -> bool {
        self.lease.ownership() == Ownership::Owner
    }

    /// Takes the lease, renews it, or looks at who has it; whether it is this proxy's now.
    ///
    /// # Errors
    /// [`BookError::Store`].
    pub async fn keep_lease(&self) -> Result<bool, BookError> {
        // Nobody else can write it.
        if self.lease.with(|lease| lease.is_exclusive() && lease.due(Instant::now()) == LeaseDue::Nothing) {
            return Ok(true);
        }
        let found = self.store.get(LEASE_KEY).await?;
        let seen = found.map(|value| {
            let holder = serde_json::from_slice::<Holder>(&value.value);
            // What cannot be read is a lease of which nothing is known but its version.
            (holder.unwrap_or(Holder { owner: "unknown".into(), lasts_ms: 0 }), value.version)
        });
        let sent = Instant::now();
        let due = self.lease.with(|lease| {
            lease.saw(seen, sent);
            lease.due(sent)
        });
        if let LeaseDue::Write(expect) = due {
            let value = self.lease.with(|lease| lease.stored());
            match self.store.put_if(LEASE_KEY, value, expect).await {
                Ok(version) => self.lease.with(|lease| lease.wrote(version, sent, Instant::now())),
                Err(StoreError::Conflict { .. }) => self.lease.with(|lease| lease.lost(Instant::now())),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.is_owner())
    }

    /// Reads every header, and the rows of those that are not over, a few pages at a time. What was written
    /// halfway is removed. What cannot be read is told beside the rest.
    ///
    /// # Errors
    /// [`BookError::Store`], and [`BookError::NotOwner`] when something has to be removed.
    pub async fn load(&mut self) -> Result<(Vec<Loaded>, Vec<BookError>), BookError> {
        let (mut loaded, mut faults) = (Vec::new(), Vec::new());
        self.versions.clear();
        for (key, value) in self.store.list(HEADERS).await? {
            match self.load_one(&key, &value).await {
                Ok(Some(found)) => loaded.push(found),
                Ok(None) => {}
                Err(fault @ (BookError::Damaged { .. } | BookError::Torn { .. })) => faults.push(fault),
                Err(error) => return Err(error),
            }
        }
        Ok((loaded, faults))
    }

    async fn load_one(&mut self, key: &str, value: &Versioned) -> Result<Option<Loaded>, BookError> {
        let header: Header = serde_json::from_slice(&value.value)
            .map_err(|error| BookError::Damaged { key: key.to_owned(), fault: error.into() })?;
        self.versions.insert(key.to_owned(), value.version);
        if !header.is_whole {
            self.remove(&header).await?;
            return Ok(None);
        }
        let is_over = header.progress.ended.is_some();
        if !is_over {
            self.remove_other_editions(&header).await?;
        }
        let rows = if is_over { Vec::new() } else { self.rows(&header).await? };
        Ok(Some(Loaded { header, rows }))
    }

    /// Reads the rows of one migration.
    ///
    /// # Errors
    /// [`BookError::Store`]; [`BookError::Damaged`] and [`BookError::Torn`] when they are not as they were
    /// written.
    pub async fn rows(&mut self, header: &Header) -> Result<Vec<Row>, BookError> {
        let (id, edition) = (&header.order.id, header.edition);
        let mut rows = Vec::with_capacity(header.databases as usize);
        // Keys end in five digits, so all but the last digit are sixteen pages, and 1,024 rows, in a list.
        for part in 0..pages_for(header.databases).div_ceil(16) {
            let prefix = format!("{}{part:04x}", rows_prefix(id, edition));
            for (key, value) in self.store.list(&prefix).await? {
                let page = decode_page(&value.value)
                    .map_err(|fault| BookError::Damaged { key: key.clone(), fault })?;
                self.versions.insert(key, value.version);
                rows.extend(page);
            }
        }
        // Pages are written before the header that counts their rows.
        rows.truncate(header.databases as usize);
        if rows.len() != header.databases as usize {
            let (id, expected) = (id.clone(), header.databases);
            return Err(BookError::Torn { id, expected, found: rows.len() });
        }
        Ok(rows)
    }

    /// Writes headers and pages, in parts that the store takes. After an error some parts may be written and
    /// others not, each whole: read again.
    ///
    /// # Errors
    /// [`BookError::NotOwner`]: nothing more is written. [`BookError::Store`]: unknown.
    pub async fn write(&mut self, values: Vec<(String, Vec<u8>)>) -> Result<(), BookError> {
        let (mut part, mut bytes) = (Vec::new(), 0);
        for (key, value) in values {
            let is_full = part.len() + 1 >= COMMIT_WRITES_MAX || bytes + value.len() > COMMIT_BYTES_MAX;
            if is_full && !part.is_empty() {
                self.commit(std::mem::take(&mut part)).await?;
                bytes = 0;
            }
            bytes += value.len();
            part.push((key, Some(value)));
        }
        if part.is_empty() { Ok(()) } else { self.commit(part).await }
    }

    /// Removes a migration: its rows, then its header.
    ///
    /// # Errors
    /// As [`Book::write`].
    pub async fn remove(&mut self, header: &Header) -> Result<(), BookError> {
        let id = &header.order.id;
        self.remove_other_editions(header).await?;
        self.remove_pages(id, header.edition).await?;
        self.commit(vec![(header_key(id), None)]).await
    }

    /// What is left of planning again that was cut short, before or behind the header's commit.
    async fn remove_other_editions(&mut self, header: &Header) -> Result<(), BookError> {
        let id = &header.order.id;
        if let Some(before) = header.edition.checked_sub(1) {
            self.remove_pages(id, before).await?;
        }
        if header.is_provisional {
            self.remove_pages(id, header.edition + 1).await?;
        }
        Ok(())
    }

    /// Removes the pages of one edition, if there are any.
    ///
    /// # Errors
    /// As [`Book::write`].
    pub async fn remove_pages(&mut self, id: &MigrationId, edition: u16) -> Result<(), BookError> {
        loop {
            let some = self.some_pages(id, edition).await?;
            if some.is_empty() {
                return Ok(());
            }
            for part in some.chunks(REMOVED_AT_ONCE) {
                self.commit(part.iter().map(|key| (key.clone(), None)).collect()).await?;
            }
        }
    }

    /// Keys of pages that are there; not all of them at once.
    async fn some_pages(&mut self, id: &MigrationId, edition: u16) -> Result<Vec<String>, BookError> {
        // Five digits; by the first, so that a part is 65,536 pages at most. Most migrations have one part.
        for digit in 0..16 {
            let listed = self.store.list(&format!("{}{digit:x}", rows_prefix(id, edition))).await?;
            if !listed.is_empty() {
                let keys = listed.into_iter().map(|(key, value)| {
                    self.versions.insert(key.clone(), value.version);
                    key
                });
                return Ok(keys.collect());
            }
        }
        Ok(Vec::new())
    }

    /// One commit, under the lease.
    async fn commit(&mut self, values: Vec<(String, Option<Vec<u8>>)>) -> Result<(), BookError> {
        let sent = Instant::now();
        if !self.is_owner() {
            return Err(BookError::NotOwner);
        }
        let mut writes = Vec::with_capacity(values.len() + 1);
        // A store that only this process can hold has no lease to expect.
        let held = self.lease.with(|lease| lease.held_version(sent).map(|version| (version, lease.stored())));
        if let Some((version, stored)) = &held {
            let expect = Expect::Version(*version);
            writes.push(Write { key: LEASE_KEY.to_owned(), value: Some(stored.clone()), expect });
        }
        for (key, value) in values {
            let expect = self.versions.get(&key).map_or(Expect::Absent, |version| Expect::Version(*version));
            writes.push(Write { key, value, expect });
        }
        let changed: Vec<(String, bool)> =
            writes.iter().map(|write| (write.key.clone(), write.value.is_some())).collect();
        match self.store.commit(writes).await {
            Ok(version) => {
                if held.is_some() {
                    self.lease.with(|lease| lease.wrote(version, sent, Instant::now()));
                }
                self.saw(changed, version);
                Ok(())
            }
            // Nobody but the owner writes here: whoever wrote owns it now.
            Err(StoreError::Conflict { .. }) => {
                self.lease.with(|lease| lease.lost(Instant::now()));
                Err(BookError::NotOwner)
            }
            Err(error) => {
                // The lease may have been written, under a version that is not known: it is taken anew.
                self.lease.with(|lease| lease.lost(Instant::now()));
                Err(error.into())
            }
        }
    }

    fn saw(&mut self, changed: Vec<(String, bool)>, version: u64) {
        for (key, is_there) in changed.into_iter().filter(|(key, _)| key != LEASE_KEY) {
            if is_there {
                self.versions.insert(key, version);
            } else {
                self.versions.remove(&key);
            }
        }
    }
}

/// The store's key of a header.
pub(crate) fn header_key(id: &MigrationId) -> String {
    format!("{HEADERS}{id}")
}

/// The stored form of a header.
pub(crate) fn encode_header(header: &Header) -> Vec<u8> {
    serde_json::to_vec(header).expect("a header has a JSON form: its keys are text, its numbers finite")
}

/// The stored form of all that a new migration is, in the order in which it is to be written: the header that
/// says that it is not whole, the pages, the header that says that it is.
pub(crate) fn encode_new(header: &Header, rows: &[Row]) -> [Vec<(String, Vec<u8>)>; 3] {
    let (id, edition) = (&header.order.id, header.edition);
    let begun = Header { is_whole: false, ..header.clone() };
    let whole = Header { is_whole: true, ..header.clone() };
    let pages = rows.chunks(super::ROWS_PER_PAGE as usize).zip(0..);
    let pages = pages.map(|(rows, page)| (page_key(id, edition, page), super::encode_page(rows)));
    [
        vec![(header_key(id), encode_header(&begun))],
        pages.collect(),
        vec![(header_key(id), encode_header(&whole))],
    ]
}
