//! For the tests of fleet migrations: a store that fails on demand, orders, rows, readings.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;

use super::ledger::{Action, Moment, Order, Record, Row, Wave};
use super::schedule::{Foreign, Place, Places, Reading};
use crate::health::State;
use crate::ids::{ClusterName, Keyspace, MigrationId, ShardName, UserName, WorkspaceId};
use crate::migrations::StatementSettings;
use crate::topology::{COMMIT_WRITES_MAX, Change, Expect, Store, StoreError, StoreFuture, Versioned, Write};

/// What becomes of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It fails and is not applied.
    Lost,
    /// It is applied, and fails all the same.
    Unheard,
}

#[derive(Default)]
struct Inner {
    values: BTreeMap<String, Versioned>,
    version: u64,
    commits: usize,
    faults: BTreeMap<usize, Fault>,
    longest_list: usize,
    largest_commit: usize,
}

/// A store in memory that answers at once.
#[derive(Clone, Default)]
pub(super) struct TestStore(Arc<Mutex<Inner>>);

impl TestStore {
    /// The commit of this number (from 0, counted over the store's life) meets a fault.
    pub(super) fn fail_at(&self, commit: usize, fault: Fault) {
        self.0.lock().unwrap().faults.insert(commit, fault);
    }

    pub(super) fn commits(&self) -> usize {
        self.0.lock().unwrap().commits
    }

    pub(super) fn longest_list(&self) -> usize {
        self.0.lock().unwrap().longest_list
    }

    pub(super) fn largest_commit(&self) -> usize {
        self.0.lock().unwrap().largest_commit
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.0.lock().unwrap().values.keys().cloned().collect()
    }
}

impl Inner {
    fn apply(&mut self, writes: &[Write]) -> Result<u64, StoreError> {
        for write in writes {
            let expected = match write.expect {
                Expect::Absent => None,
                Expect::Version(version) => Some(version),
            };
            if self.values.get(&write.key).map(|value| value.version) != expected {
                return Err(StoreError::Conflict { key: write.key.clone() });
            }
        }
        self.version += 1;
        for write in writes {
            match &write.value {
                Some(value) => {
                    let value = Versioned { value: value.clone(), version: self.version };
                    self.values.insert(write.key.clone(), value);
                }
                None => drop(self.values.remove(&write.key)),
            }
        }
        Ok(self.version)
    }
}

impl Store for TestStore {
    fn get<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Option<Versioned>> {
        let found = self.0.lock().unwrap().values.get(key).cloned();
        Box::pin(async move { Ok(found) })
    }

    fn commit(&self, writes: Vec<Write>) -> StoreFuture<'_, u64> {
        assert!(writes.len() <= COMMIT_WRITES_MAX, "{} writes", writes.len());
        let mut inner = self.0.lock().unwrap();
        let bytes = writes.iter().map(|write| write.value.as_ref().map_or(0, Vec::len)).sum();
        inner.largest_commit = inner.largest_commit.max(bytes);
        let number = inner.commits;
        inner.commits += 1;
        let failed = || Err(StoreError::Failed { action: "write", reason: "as the test wants".into() });
        let result = match inner.faults.remove(&number) {
            Some(Fault::Lost) => failed(),
            Some(Fault::Unheard) => inner.apply(&writes).and_then(|_| failed()),
            None => inner.apply(&writes),
        };
        Box::pin(async move { result })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> StoreFuture<'a, Vec<(String, Versioned)>> {
        let mut inner = self.0.lock().unwrap();
        let rows = inner.values.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        let found: Vec<_> = rows.map(|(key, value)| (key.clone(), value.clone())).collect();
        inner.longest_list = inner.longest_list.max(found.len());
        Box::pin(async move { Ok(found) })
    }

    /// Whoever asks for the lease has it at once, as where only one process can hold the store.
    fn is_exclusive(&self) -> bool {
        true
    }

    fn watch(&self, _prefix: &str) -> mpsc::Receiver<Change> {
        mpsc::channel(1).1
    }
}

pub(super) fn cluster(number: usize) -> ClusterName {
    ClusterName::new(format!("c{number}"))
}

/// A row of the cluster of this number.
pub(super) fn row(number: usize, on: usize, wave: u16) -> Row {
    Row {
        database: format!("ws_{number}").into(),
        workspace: Some(WorkspaceId::Number(number as u64)),
        shard: ShardName::new(format!("s{on}")),
        cluster: cluster(on),
        wave,
        there: 0,
        made: 0,
        unsure: 0,
        record: Record::WAITING,
    }
}

/// A wave that stops at nothing.
pub(super) fn wave(name: &str, databases: u32, soak: Duration) -> Wave {
    Wave {
        name: name.to_owned(),
        databases,
        soak_ms: u64::try_from(soak.as_millis()).unwrap(),
        failures_max: u32::MAX,
        closings_max: u32::MAX,
    }
}

/// A change of one table, of five statements.
pub(super) fn order(id: &str, table: &str, waves: Vec<Wave>) -> Order {
    Order {
        id: MigrationId::new(id),
        keyspace: Keyspace::new("workspaces"),
        tables: vec![table.to_owned()],
        statement: format!("ALTER TABLE {table} MODIFY a BIGINT /* {id} */"),
        steps: Vec::new(),
        settings: StatementSettings::default(),
        action: Action::Change,
        prove: false,
        acknowledged: false,
        statements: 5,
        waves,
        user: UserName::new("app"),
        submitted: Moment(0),
        again: None,
    }
}

/// A cluster that is well.
pub(super) fn well(at: Moment) -> Reading {
    Reading {
        at,
        state: State::Healthy,
        is_stalling: false,
        is_drained: false,
        write_p99: Some(Duration::from_millis(10)),
        usual_write_p99: Some(Duration::from_millis(10)),
        lag: None,
        threads: None,
        foreign: Foreign::default(),
    }
}

/// Every database is where its row says.
pub(super) struct Here;

impl Places for Here {
    fn place(&self, _order: &Order, _row: &Row) -> Place {
        Place::Ready
    }
}

/// Numbers that look random, the same each time.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// Below `sides`.
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}
