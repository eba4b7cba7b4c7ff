//! Reload: on SIGHUP, on a changed file, by admin command. All or nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::failover::Primaries;
use crate::session::Services;
use crate::topology::{Directory, SnapshotChanges, Store};

use super::StartError;
use super::build::{self, Loaded, Proxy};

/// Editors write a file in several steps; this long nothing must change before it is read.
const SETTLE: Duration = Duration::from_millis(300);

/// Names and contents of the files that a reload reads.
type Files = Vec<(PathBuf, Vec<u8>)>;

/// Swaps config, vschema and topology, or keeps all of them.
pub(super) struct Reloader {
    path: PathBuf,
    services: Arc<Services>,
    store: Arc<dyn Store>,
    primaries: Arc<Primaries>,
    /// One reload at a time. What the files were when they were last read, so that a change back is seen as
    /// a change.
    reloading: Mutex<Files>,
    /// Directories whose changes in the store are taken over, with the tasks that do it.
    followed: Mutex<(Vec<Arc<Directory>>, JoinSet<()>)>,
    reloads: AtomicU64,
    failures: AtomicU64,
}

impl Reloader {
    pub(super) fn new(path: PathBuf, proxy: &Proxy) -> Self {
        let Proxy { services, store, primaries, .. } = proxy;
        let (services, store, primaries) = (services.clone(), store.clone(), primaries.clone());
        let reloading = Mutex::new(files(&path, &services));
        let (reloads, failures) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { path, services, store, primaries, reloading, followed: Mutex::default(), reloads, failures }
    }

    /// Takes over changes that other proxies make to the snapshot's directories, from now on.
    pub(super) async fn follow_directories(&self) {
        let snapshot = self.services.snapshots.load();
        let mut followed = self.followed.lock().await;
        for directory in snapshot.directories.iter() {
            if !followed.0.iter().any(|known| Arc::ptr_eq(known, directory)) {
                followed.0.push(directory.clone());
                followed.1.spawn(directory.clone().follow(self.store.clone()));
            }
        }
    }

    /// Reads all files again and swaps the whole snapshot. Running transactions keep the one they have.
    ///
    /// # Errors
    /// The faults found; nothing has changed then.
    pub(super) async fn reload(&self) -> Result<SnapshotChanges, StartError> {
        let mut last_read = self.reloading.lock().await;
        *last_read = files(&self.path, &self.services);
        let result = self.swap().await;
        match &result {
            Ok(changes) => {
                self.reloads.fetch_add(1, Ordering::Relaxed);
                tracing::info!(%changes, "reloaded");
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, "reload failed; the last good config stays");
            }
        }
        result
    }

    async fn swap(&self) -> Result<SnapshotChanges, StartError> {
        let path = self.path.clone();
        let loaded = tokio::task::spawn_blocking(move || build::load(&path)).await;
        let loaded: Loaded =
            loaded.map_err(|error| StartError::Config { rendered: format!("reading failed: {error}") })??;
        let before = self.services.snapshots.load();
        let mut snapshot = build::snapshot_of(&loaded, &self.store, &before.directories).await?;
        let auth = self.services.serving.load().auth.clone();
        let serving = build::serving_of(&loaded.config, auth)?;
        let changes = {
            // What takes long is done: a failover that is published from here on waits for moments, and one
            // that was published before is in what is derived.
            let _publishing = self.primaries.publishing().await;
            let config = Arc::new(self.primaries.derive(&loaded.config));
            // The pools first: a snapshot must not name a cluster that has none.
            self.services.pools.reconfigure(&config)?;
            self.services.admissions.configure(&config);
            snapshot.config = config;
            let changes = self.services.snapshots.swap(snapshot);
            self.primaries.declare(&loaded.config);
            changes
        };
        self.follow_directories().await;
        self.services.serving.store(Arc::new(serving));
        Ok(changes)
    }

    /// Reloads that swapped the snapshot.
    pub(super) fn reloads(&self) -> u64 {
        self.reloads.load(Ordering::Relaxed)
    }

    /// Reloads that failed.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Reloads whenever the main file or a vschema file changes, until dropped.
    pub(super) async fn watch_files(self: Arc<Self>) {
        let (changed, mut changes) = mpsc::channel::<()>(1);
        let notify = move |event: notify::Result<notify::Event>| {
            let counts = event.is_ok_and(|event| !event.kind.is_access());
            if counts {
                // Full means that a reload is due already.
                let _ = changed.try_send(());
            }
        };
        let mut watcher = match notify::recommended_watcher(notify) {
            Ok(watcher) => watcher,
            Err(error) => return tracing::warn!(%error, "files are not watched; reload by SIGHUP"),
        };
        for directory in self.directories() {
            if let Err(error) = watcher.watch(&directory, RecursiveMode::NonRecursive) {
                tracing::warn!(directory = %directory.display(), %error, "not watched; reload by SIGHUP");
            }
        }
        while changes.recv().await.is_some() {
            tokio::time::sleep(SETTLE).await;
            while changes.try_recv().is_ok() {}
            let is_new = *self.reloading.lock().await != files(&self.path, &self.services);
            if is_new {
                // The failure is logged and counted; the last good config stays.
                let _ = self.reload().await;
            }
        }
    }

    fn directories(&self) -> Vec<PathBuf> {
        let main = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let main = main.unwrap_or(Path::new(".")).to_owned();
        let vschema = self.services.serving.load().config.vschema_dir.clone();
        if main == vschema { vec![main] } else { vec![main, vschema] }
    }
}

/// What a reload would read now: the store lies beside these files and changes all the time.
fn files(path: &Path, services: &Services) -> Files {
    let vschema = services.serving.load().config.vschema_dir.clone();
    let listed = std::fs::read_dir(vschema).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_ours = |path: &PathBuf| path.extension().is_some_and(|ext| ext == "toml" || ext == "json");
    let mut paths: Vec<PathBuf> = listed.filter(is_ours).chain([path.to_owned()]).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(&path).unwrap_or_default())).collect()
}
