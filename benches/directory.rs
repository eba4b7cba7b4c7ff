//! The directory at a million workspaces: reading it at start, looking one up, changing one.
//!
//! What it must do: start in 3 s, a lookup in 200 ns, 120 MB. `cargo bench --bench directory`.

use std::fs::Permissions;
use std::hint::black_box;
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use bulkhead::ids::{Keyspace, WorkspaceId};
use bulkhead::topology::{
    Directories, Directory, DirectoryAdmin, EmbeddedStore, Existing, RowFormat, Snapshot, SnapshotCell,
    Store, WorkspaceState,
};
use criterion::Criterion;
use tokio::runtime::Runtime;

const WORKSPACES: u64 = 1_000_000;

const CONFIG: &str = r#"
[users.bench]
password_file = "c1.pw"
[clusters.c1]
primary = "127.0.0.1:1"
user = "bench"
password_file = "c1.pw"
[keyspaces.workspaces]
shards = { "ws-a" = "c1", "ws-b" = "c1" }
"#;

const VSCHEMA: &str = r#"
layout = "database_per_workspace"
database = "ws_{workspace_id}"
"#;

/// An odd step, so that ids are spread as customers' ids are.
fn workspace(number: u64) -> WorkspaceId {
    WorkspaceId::Number(number * 7 + 1)
}

struct Stand {
    runtime: Runtime,
    store: Arc<dyn Store>,
    keyspace: Keyspace,
    directory: Arc<Directory>,
    admin: DirectoryAdmin,
}

fn stand(folder: &Path) -> Stand {
    let runtime = Runtime::new().expect("a runtime starts");
    std::fs::create_dir(folder.join("vschema")).expect("the folder is empty");
    let password = folder.join("c1.pw");
    std::fs::write(&password, "unused\n").expect("the folder can be written");
    std::fs::set_permissions(&password, Permissions::from_mode(0o600)).expect("the file is ours");
    std::fs::write(folder.join("bulkhead.toml"), CONFIG).expect("the folder can be written");
    std::fs::write(folder.join("vschema/workspaces.toml"), VSCHEMA).expect("the folder can be written");
    let loaded = bulkhead::vschema::load(&folder.join("bulkhead.toml")).expect("the files are right");
    let store: Arc<dyn Store> =
        Arc::new(EmbeddedStore::open(&folder.join("bench.redb")).expect("the store opens"));
    let keyspace = Keyspace::new("workspaces");
    let (directory, _) =
        runtime.block_on(Directory::load(&*store, keyspace.clone())).expect("the store is empty");
    let directory = Arc::new(directory);
    let mut directories = Directories::default();
    directories.insert(Arc::clone(&directory));
    let snapshot = Snapshot::build(loaded.config, loaded.vschema, directories);
    let cell = Arc::new(SnapshotCell::new(snapshot.expect("the parts fit")));
    let admin = DirectoryAdmin::new(Arc::clone(&store), cell);
    let mut csv = String::from("workspace,shard,state\n");
    (0..WORKSPACES).for_each(|number| csv.push_str(&format!("{},,\n", workspace(number))));
    let started = std::time::Instant::now();
    let import = admin.import(&keyspace, Cursor::new(csv), RowFormat::Csv, Existing::Refuse);
    runtime.block_on(import).expect("the rows are right");
    println!("import of {WORKSPACES}: {:?}; {} bytes", started.elapsed(), directory.memory_bytes());
    Stand { runtime, store, keyspace, directory, admin }
}

fn directory(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let stand = stand(folder.path());
    let mut group = criterion.benchmark_group("directory");
    group.bench_function("lookup", |bencher| {
        let mut number = 0;
        bencher.iter(|| {
            number = (number + 7919) % WORKSPACES;
            black_box(stand.directory.lookup(&workspace(number)))
        });
    });
    group.bench_function("lookup_hot", |bencher| {
        let mut number = 0;
        bencher.iter(|| {
            number = (number + 1) % 100;
            black_box(stand.directory.lookup(&workspace(number)))
        });
    });
    group.sample_size(10);
    group.bench_function("load", |bencher| {
        bencher.iter(|| {
            stand.runtime.block_on(Directory::load(&*stand.store, stand.keyspace.clone())).expect("it loads")
        });
    });
    group.bench_function("change_one", |bencher| {
        let states = [WorkspaceState::Moving, WorkspaceState::Active];
        let mut at = 0;
        let changed = workspace(42);
        bencher.iter(|| {
            at += 1;
            let change = stand.admin.set_state(&stand.keyspace, &changed, states[at % 2]);
            stand.runtime.block_on(change).expect("the workspace is there")
        });
    });
    group.finish();
}

fn main() {
    directory(&mut Criterion::default().configure_from_args());
}
