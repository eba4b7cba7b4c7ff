//! Tests of the directory against the embedded store.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::topology::{Change, EmbeddedStore, Expect, StoreFuture, Write};

const MEMORY_BYTES_MAX: usize = 120 * 1024 * 1024;

/// Counts reads of the store below it.
struct Counting {
    below: EmbeddedStore,
    reads: AtomicUsize,
}

impl Store for Counting {
    fn get<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Option<Versioned>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.below.get(key)
    }

    fn commit(&self, writes: Vec<Write>) -> StoreFuture<'_, u64> {
        self.below.commit(writes)
    }

    fn list<'a>(&'a self, prefix: &'a str) -> StoreFuture<'a, Vec<(String, Versioned)>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.below.list(prefix)
    }

    fn watch(&self, prefix: &str) -> tokio::sync::mpsc::Receiver<Change> {
        self.below.watch(prefix)
    }
}

fn keyspace() -> Keyspace {
    Keyspace::new("workspaces")
}

/// Writes a directory of `ids` straight into the store, over three shards.
async fn fill(store: &dyn Store, ids: impl Iterator<Item = WorkspaceId>) {
    let directory = Directory::new(keyspace());
    let shards: Vec<u16> =
        ["ws-a", "ws-b", "ws-c"].map(|name| directory.shards.intern(&ShardName::new(name)).unwrap()).into();
    let mut pages = vec![Page::default(); page::PAGES];
    for (at, workspace) in ids.enumerate() {
        let slot = Slot { revision: 1, shard: shards[at % 3], state: WorkspaceState::Active };
        pages[page_of(&workspace)].set(&workspace, Some(slot));
    }
    let write = |(number, page): (usize, &Page)| Write {
        key: directory.key_of(number),
        value: Some(directory.encode(page)),
        expect: Expect::Absent,
    };
    let filled = pages.iter().enumerate().filter(|(_, page)| page.len() > 0);
    let writes: Vec<Write> = filled.map(write).collect();
    for batch in writes.chunks(crate::topology::COMMIT_WRITES_MAX) {
        store.commit(batch.to_vec()).await.unwrap();
    }
}

fn id(text: &str) -> WorkspaceId {
    WorkspaceId::parse(text).unwrap()
}

#[tokio::test]
async fn a_million_workspaces_fit_and_are_read_at_once() {
    // Texts are slow to make without optimisation; a quarter of them must fit into a quarter of the memory.
    for (text, entries) in [(false, 1_000_000_u64), (true, 250_000)] {
        let name = |number: u64| {
            let number = number * 7;
            if text { id(&format!("customer-{number}")) } else { WorkspaceId::Number(number) }
        };
        let store = Counting { below: EmbeddedStore::in_memory().unwrap(), reads: AtomicUsize::new(0) };
        fill(&store, (0..entries).map(name)).await;
        let (directory, report) = Directory::load(&store, keyspace()).await.unwrap();
        assert_eq!(store.reads.load(Ordering::Relaxed), 1);
        assert_eq!((report.pages, report.entries), (page::PAGES, usize::try_from(entries).unwrap()));
        assert!(report.damaged.is_empty());
        let memory = directory.memory_bytes();
        assert!(memory < MEMORY_BYTES_MAX / if text { 4 } else { 1 }, "{memory} bytes");
        let found = (0..entries).filter(|number| directory.lookup(&name(*number)).unwrap().is_some());
        assert_eq!(found.count(), usize::try_from(entries).unwrap());
        assert_eq!(directory.lookup(&id("7000001")).unwrap(), None);
        let largest = directory.pages().map(|page| page.len()).max().unwrap();
        assert!(largest < 400, "a page of {largest}: a change rewrites it");
    }
}

#[tokio::test]
async fn a_damaged_page_refuses_only_its_own() {
    let store = EmbeddedStore::in_memory().unwrap();
    fill(&store, (0..5_000).map(WorkspaceId::Number)).await;
    let victim = WorkspaceId::Number(42);
    let key = Directory::new(keyspace()).key_of(page_of(&victim));
    let stored = store.get(&key).await.unwrap().unwrap();
    let mut spoilt = stored.value.clone();
    let middle = spoilt.len() / 2;
    spoilt[middle] ^= 1;
    store.put_if(&key, spoilt, Expect::Version(stored.version)).await.unwrap();

    let (directory, report) = Directory::load(&store, keyspace()).await.unwrap();
    assert_eq!(report.damaged, [DamagedPage { key: key.clone(), reason: "its checksum is wrong".into() }]);
    let refused = directory.lookup(&victim).unwrap_err();
    assert!(matches!(&refused, RouteError::DamagedPage { key: named, .. } if *named == key), "{refused}");
    let others = (0..5_000).map(WorkspaceId::Number).filter(|id| page_of(id) != page_of(&victim));
    assert!(others.clone().all(|id| directory.lookup(&id).unwrap().is_some()));

    let version = store.get(&key).await.unwrap().unwrap().version;
    store.put_if(&key, stored.value, Expect::Version(version)).await.unwrap();
    assert!(directory.reload(&store).await.unwrap().damaged.is_empty());
    assert!(directory.lookup(&victim).unwrap().is_some());
    assert_eq!(directory.counts().iter().map(|(_, states)| states[0]).sum::<u64>(), 5_000);
}

#[test]
fn pages_that_are_not_as_written_are_damaged() {
    let directory = Directory::new(keyspace());
    let shard = directory.shards.intern(&ShardName::new("ws-a")).unwrap();
    let mut page = Page::default();
    let workspace = id("acme");
    page.set(&workspace, Some(Slot { revision: 3, shard, state: WorkspaceState::Moving }));
    let bytes = directory.encode(&page);
    let number = page_of(&workspace);
    let decode = |bytes: &[u8], number| {
        let page = directory.decode(number, &Versioned { value: bytes.to_vec(), version: 1 });
        page.damage.map(|reason| reason.to_string())
    };
    assert_eq!(decode(&bytes, number), None);
    assert!(decode(&bytes, number ^ 1).unwrap().contains("belongs to page"));
    for cut in 0..bytes.len() {
        assert!(decode(&bytes[..cut], number).is_some(), "cut at {cut}");
    }
    let mut newer = bytes.clone();
    newer[4] = 9;
    assert!(decode(&newer, number).unwrap().contains("format version is 9"));
}

#[tokio::test]
async fn lists_are_ordered_and_paged() {
    let store = EmbeddedStore::in_memory().unwrap();
    let ids = (0..100).map(WorkspaceId::Number).chain(["b", "a"].map(id));
    fill(&store, ids).await;
    let (directory, _) = Directory::load(&store, keyspace()).await.unwrap();
    let names = |filter: ListFilter| -> Vec<String> {
        directory.list(&filter).into_iter().map(|(id, _)| id.to_string()).collect()
    };
    assert_eq!(names(ListFilter { limit: 3, ..ListFilter::default() }), ["0", "1", "2"]);
    assert_eq!(
        names(ListFilter { limit: 9, after: Some(id("98")), ..ListFilter::default() }),
        ["99", "a", "b"]
    );
    let shard = Some(ShardName::new("ws-b"));
    assert_eq!(names(ListFilter { limit: 2, shard, ..ListFilter::default() }), ["1", "4"]);
    let state = Some(WorkspaceState::Suspended);
    assert!(names(ListFilter { limit: 2, state, ..ListFilter::default() }).is_empty());
}

#[tokio::test]
async fn changes_of_another_proxy_are_followed() {
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().unwrap());
    let (directory, _) = Directory::load(&*store, keyspace()).await.unwrap();
    let directory = Arc::new(directory);
    let following = tokio::spawn(Arc::clone(&directory).follow(Arc::clone(&store)));
    fill(&*store, [id("acme")].into_iter()).await;
    while directory.lookup(&id("acme")).unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    following.abort();
    assert_eq!(directory.len(), 1);
}
