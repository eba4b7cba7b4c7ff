//! The directory of one keyspace: workspace → shard, state, revision.
//!
//! Kept in memory whole, as [`page::PAGES`] pages of workspaces by hash; each page is one key of the store
//! (`directory/<keyspace>/<page in hex>`), made when its first workspace is. So a start reads some thousand
//! keys instead of a million, and a change writes one. Reading takes no lock.

mod codec;
mod list;
mod page;
mod shards;
#[cfg(test)]
mod tests;

pub use list::{LIST_ROWS_MAX, ListFilter};
pub(super) use page::{Page, Slot, page_of};

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;

use self::shards::ShardTable;
use super::store::{Store, StoreError, Versioned};
use super::{RouteError, WorkspaceState};
use crate::ids::{Keyspace, ShardName, WorkspaceId};

/// What the directory says about a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The shard it is on.
    pub shard: ShardName,
    /// What it accepts.
    pub state: WorkspaceState,
    /// Grows with every change of this entry.
    pub revision: u32,
}

/// A page of the store that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedPage {
    /// The store's key.
    pub key: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What loading a directory found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadReport {
    /// The keyspace.
    pub keyspace: Keyspace,
    /// Pages that are in the store.
    pub pages: usize,
    /// Workspaces in them.
    pub entries: usize,
    /// Pages that cannot be read; their workspaces are refused.
    pub damaged: Vec<DamagedPage>,
}

/// The directory of one keyspace.
pub struct Directory {
    keyspace: Keyspace,
    pages: Box<[ArcSwap<Page>]>,
    shards: ShardTable,
    /// Held while a page and the counts are replaced.
    installing: Mutex<()>,
}

impl Directory {
    /// An empty directory, not tied to a store.
    pub fn new(keyspace: Keyspace) -> Self {
        let empty = Arc::new(Page::default());
        let pages = (0..page::PAGES).map(|_| ArcSwap::new(Arc::clone(&empty))).collect();
        Self { keyspace, pages, shards: ShardTable::new(), installing: Mutex::new(()) }
    }

    /// Reads the directory of a keyspace from the store. Damaged pages are reported and refused, not fatal.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read at all.
    pub async fn load(store: &dyn Store, keyspace: Keyspace) -> Result<(Self, LoadReport), StoreError> {
        let directory = Self::new(keyspace);
        let report = directory.reload(store).await?;
        Ok((directory, report))
    }

    /// Reads every page again that changed in the store.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read; then nothing changes.
    pub async fn reload(&self, store: &dyn Store) -> Result<LoadReport, StoreError> {
        let prefix = self.prefix();
        let listed = store.list(&prefix).await?;
        let pages = listed.len();
        let mut damaged = Vec::new();
        for (key, stored) in listed {
            match self.page_number(&key) {
                Some(number) => self.install(number, self.decode(number, &stored)),
                None => damaged.push(DamagedPage { key, reason: "its name is not that of a page".into() }),
            }
        }
        damaged.extend(self.damaged());
        Ok(LoadReport { keyspace: self.keyspace.clone(), pages, entries: self.len(), damaged })
    }

    /// Follows changes that other proxies make, until the task is dropped.
    ///
    /// **Cancel safety**: every change is whole.
    pub async fn follow(self: Arc<Self>, store: Arc<dyn Store>) {
        loop {
            let mut changes = store.watch(&self.prefix());
            if let Err(error) = self.reload(&*store).await {
                let keyspace = &self.keyspace;
                tracing::warn!(%keyspace, %error, "directory not read again; serving from memory");
            }
            while let Some(change) = changes.recv().await {
                let Some(number) = self.page_number(&change.key) else { continue };
                match change.value {
                    Some(stored) => self.install(number, self.decode(number, &stored)),
                    None => self.forget(number),
                }
            }
            tokio::time::sleep(FOLLOW_PAUSE).await;
        }
    }

    /// The keyspace.
    pub fn keyspace(&self) -> &Keyspace {
        &self.keyspace
    }

    /// What is known of a workspace; `None` when it is not there.
    ///
    /// # Errors
    /// [`RouteError::DamagedPage`] when the page that would hold it cannot be read.
    pub fn lookup(&self, workspace: &WorkspaceId) -> Result<Option<Entry>, RouteError> {
        let number = page_of(workspace);
        let page = self.pages[number].load();
        if let Some(reason) = &page.damage {
            return Err(RouteError::DamagedPage {
                key: self.key_of(number),
                reason: reason.to_string(),
                workspace: workspace.clone(),
            });
        }
        Ok(page.get(workspace).map(|slot| self.entry(slot)))
    }

    /// Number of workspaces.
    pub fn len(&self) -> usize {
        self.pages.iter().map(|page| page.load().len()).sum()
    }

    /// Says whether no workspace is there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Workspaces on each shard by state, in the order of [`WorkspaceState::ALL`].
    pub fn counts(&self) -> Vec<(ShardName, [u64; 4])> {
        self.shards.counts()
    }

    /// Every workspace, in no order, a page at a time; those of pages that cannot be read are left out.
    pub fn entries(&self) -> impl Iterator<Item = (WorkspaceId, Entry)> {
        self.pages().flat_map(|page| {
            let rows = page.entries().map(|(workspace, slot)| (workspace, self.entry(slot)));
            rows.collect::<Vec<_>>()
        })
    }

    /// Pages that cannot be read.
    pub fn damaged(&self) -> Vec<DamagedPage> {
        let page = |number: usize| {
            let reason = self.pages[number].load().damage.as_deref()?.to_owned();
            Some(DamagedPage { key: self.key_of(number), reason })
        };
        (0..page::PAGES).filter_map(page).collect()
    }

    /// Bytes this directory holds in memory, an allocator's overhead included.
    pub fn memory_bytes(&self) -> usize {
        let page =
            |page: &ArcSwap<Page>| size_of::<ArcSwap<Page>>() + PAGE_BYTES + page.load().memory_bytes();
        size_of::<Self>() + self.pages.iter().map(page).sum::<usize>()
    }

    pub(super) fn shards(&self) -> &ShardTable {
        &self.shards
    }

    /// The current contents of a page.
    pub(super) fn page(&self, number: usize) -> Arc<Page> {
        self.pages[number].load_full()
    }

    /// All pages, one after the other.
    pub(super) fn pages(&self) -> impl Iterator<Item = Arc<Page>> {
        self.pages.iter().map(ArcSwap::load_full)
    }

    pub(super) fn entry(&self, slot: Slot) -> Entry {
        Entry { shard: self.shards.name(slot.shard), state: slot.state, revision: slot.revision }
    }

    /// The store's key of a page.
    pub(super) fn key_of(&self, number: usize) -> String {
        format!("{}{number:03x}", self.prefix())
    }

    fn prefix(&self) -> String {
        format!("directory/{}/", self.keyspace)
    }

    fn page_number(&self, key: &str) -> Option<usize> {
        let digits = key.strip_prefix(&self.prefix())?;
        let number = usize::from_str_radix(digits, 16).ok()?;
        (number < page::PAGES && key == self.key_of(number)).then_some(number)
    }

    /// The stored form of a page.
    pub(super) fn encode(&self, page: &Page) -> Vec<u8> {
        codec::encode(page, &self.shards)
    }

    /// Reads a stored page; one that cannot be read becomes a damaged page.
    pub(super) fn decode(&self, number: usize, stored: &Versioned) -> Page {
        match codec::decode(&stored.value, number, &self.shards) {
            Ok(page) => page.at_version(stored.version),
            Err(reason) => {
                let key = self.key_of(number);
                tracing::error!(key, reason, "directory page is damaged; its workspaces are refused");
                Page::damaged(stored.version, reason)
            }
        }
    }

    /// Makes a page visible unless a newer one already is.
    pub(super) fn install(&self, number: usize, page: Page) {
        if self.page(number).version < page.version {
            self.replace(number, page);
        }
    }

    /// Shows a page as empty, because its key is no longer in the store.
    pub(super) fn forget(&self, number: usize) {
        self.replace(number, Page::default());
    }

    fn replace(&self, number: usize, mut page: Page) {
        page.shrink();
        let _installing = self.installing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let current = self.pages[number].load_full();
        if page.version != 0 && page.version <= current.version {
            return;
        }
        self.shards.recount(&current, &page);
        self.pages[number].store(Arc::new(page));
    }
}

/// Between the loss of a watch and the next one.
const FOLLOW_PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

/// A page's own block: two counters of the `Arc`, the page, the allocator's header.
const PAGE_BYTES: usize = 16 + size_of::<Page>() + 16;

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").field("keyspace", &self.keyspace).field("entries", &self.len()).finish()
    }
}

/// The directories of all keyspaces that have one; they outlive snapshots.
#[derive(Clone, Debug, Default)]
pub struct Directories {
    by_keyspace: BTreeMap<Keyspace, Arc<Directory>>,
}

impl Directories {
    /// Reads the directories of `keyspaces`; those already in `known` are kept as they are.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read at all.
    pub async fn load(
        store: &dyn Store,
        keyspaces: impl IntoIterator<Item = Keyspace>,
        known: &Self,
    ) -> Result<(Self, Vec<LoadReport>), StoreError> {
        let mut directories = Self::default();
        let mut reports = Vec::new();
        for keyspace in keyspaces {
            if let Some(directory) = known.get(&keyspace) {
                directories.insert(Arc::clone(directory));
                continue;
            }
            let (directory, report) = Directory::load(store, keyspace).await?;
            directories.insert(Arc::new(directory));
            reports.push(report);
        }
        Ok((directories, reports))
    }

    /// Adds a directory under its own keyspace.
    pub fn insert(&mut self, directory: Arc<Directory>) {
        self.by_keyspace.insert(directory.keyspace().clone(), directory);
    }

    /// The directory of a keyspace.
    pub fn get(&self, keyspace: &Keyspace) -> Option<&Arc<Directory>> {
        self.by_keyspace.get(keyspace)
    }

    /// All directories, by keyspace.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Directory>> {
        self.by_keyspace.values()
    }
}
