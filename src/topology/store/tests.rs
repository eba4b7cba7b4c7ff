//! Tests of the embedded store.

use super::*;

async fn put(store: &dyn Store, key: &str, value: &str, expect: Expect) -> Result<u64, StoreError> {
    store.put_if(key, value.as_bytes().to_vec(), expect).await
}

#[tokio::test]
async fn compare_and_swap_refuses_what_changed() {
    let store = EmbeddedStore::in_memory().unwrap();
    assert_eq!(store.get("a").await.unwrap(), None);
    assert!(store.list("a").await.unwrap().is_empty());
    let first = put(&store, "a", "1", Expect::Absent).await.unwrap();
    assert!(matches!(put(&store, "a", "2", Expect::Absent).await, Err(StoreError::Conflict { .. })));
    let second = put(&store, "a", "2", Expect::Version(first)).await.unwrap();
    assert!(second > first);
    assert!(matches!(put(&store, "a", "3", Expect::Version(first)).await, Err(StoreError::Conflict { .. })));
    let read = store.get("a").await.unwrap().unwrap();
    assert_eq!((read.value.as_slice(), read.version), (b"2".as_slice(), second));
    assert!(matches!(store.delete_if("a", first).await, Err(StoreError::Conflict { .. })));
    store.delete_if("a", second).await.unwrap();
    assert_eq!(store.get("a").await.unwrap(), None);
}

#[tokio::test]
async fn a_commit_is_whole_or_nothing() {
    let store = EmbeddedStore::in_memory().unwrap();
    put(&store, "b", "1", Expect::Absent).await.unwrap();
    let write = |key: &str| Write { key: key.to_owned(), value: Some(b"x".to_vec()), expect: Expect::Absent };
    let refused = store.commit(vec![write("a"), write("b")]).await;
    assert!(matches!(refused, Err(StoreError::Conflict { key }) if key == "b"));
    assert_eq!(store.get("a").await.unwrap(), None);
    let many = (0..=COMMIT_WRITES_MAX).map(|i| write(&format!("k{i}"))).collect();
    assert!(matches!(store.commit(many).await, Err(StoreError::Invalid { .. })));
    assert!(matches!(store.commit(vec![write("")]).await, Err(StoreError::Invalid { .. })));
}

/// Commits that come together share a write to the disk, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commits_that_come_together_are_each_whole() {
    const WRITERS: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    let store = std::sync::Arc::new(EmbeddedStore::open(&folder.path().join("store")).unwrap());
    let mut watch = store.watch("own/");
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        tasks.spawn(async move {
            let write = |key: String| Write { key, value: Some(vec![7]), expect: Expect::Absent };
            // Of each pair one claims what both want, and only that one leaves something.
            let claim = format!("claim/{}", writer / 2);
            store.commit(vec![write(format!("own/{writer:02}")), write(claim)]).await
        });
    }
    let mut versions = std::collections::BTreeSet::new();
    let mut conflicts = 0;
    while let Some(committed) = tasks.join_next().await {
        match committed.unwrap() {
            Ok(version) => assert!(versions.insert(version), "{version} is there twice"),
            Err(StoreError::Conflict { key }) if key.starts_with("claim/") => conflicts += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((versions.len(), conflicts), (WRITERS / 2, WRITERS / 2));
    let listed = store.list("own/").await.unwrap();
    let kept: std::collections::BTreeSet<u64> = listed.iter().map(|(_, value)| value.version).collect();
    assert_eq!((listed.len(), &kept), (WRITERS / 2, &versions));
    let mut told = Vec::new();
    while let Ok(change) = watch.try_recv() {
        told.push(change.value.unwrap().version);
    }
    assert_eq!(told, versions.into_iter().collect::<Vec<_>>(), "in the order of their versions");
}

#[tokio::test]
async fn list_and_watch_follow_a_prefix() {
    let store = EmbeddedStore::in_memory().unwrap();
    let mut watch = store.watch("d/x/");
    for key in ["d/x/1", "d/y/1", "d/x/2", "e"] {
        put(&store, key, key, Expect::Absent).await.unwrap();
    }
    let listed = store.list("d/x/").await.unwrap();
    assert_eq!(listed.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["d/x/1", "d/x/2"]);
    store.delete_if("d/x/1", listed[0].1.version).await.unwrap();
    let mut seen = Vec::new();
    while let Ok(change) = watch.try_recv() {
        seen.push((change.key, change.value.is_some()));
    }
    assert_eq!(seen, [("d/x/1".into(), true), ("d/x/2".into(), true), ("d/x/1".into(), false)]);
}

#[tokio::test]
async fn a_slow_watcher_is_cut_off() {
    let store = EmbeddedStore::in_memory().unwrap();
    let mut watch = store.watch("k");
    for batch in 0..=(WATCH_QUEUE_MAX / COMMIT_WRITES_MAX) {
        let write =
            |i| Write { key: format!("k{batch}-{i}"), value: Some(Vec::new()), expect: Expect::Absent };
        store.commit((0..COMMIT_WRITES_MAX).map(write).collect()).await.unwrap();
    }
    let mut received = 0;
    while watch.recv().await.is_some() {
        received += 1;
    }
    assert_eq!(received, WATCH_QUEUE_MAX);
}

#[tokio::test]
async fn contents_survive_and_a_second_opener_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let version = {
        let store = EmbeddedStore::open(&path).unwrap();
        assert!(matches!(EmbeddedStore::open(&path), Err(StoreError::Locked { .. })));
        put(&store, "a", "1", Expect::Absent).await.unwrap()
    };
    let store = EmbeddedStore::open(&path).unwrap();
    let read = store.get("a").await.unwrap().unwrap();
    assert_eq!((read.value.as_slice(), read.version), (b"1".as_slice(), version));
    assert!(put(&store, "a", "2", Expect::Version(version)).await.unwrap() > version);
}

#[test]
fn a_file_that_is_no_store_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    std::fs::write(&path, vec![b'x'; 10_000]).unwrap();
    let error = EmbeddedStore::open(&path).err().unwrap();
    assert!(matches!(error, StoreError::Unopened { .. }), "{error}");
    assert!(error.to_string().contains("state.redb"));
}
