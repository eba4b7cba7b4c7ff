//! Counters and latencies of one shard, by role.
//!
//! Written by every thread at once, so the counters are kept in several copies and each thread has its own.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;

use super::feed::{Ended, Outcome};
use super::histogram::{Histogram, HistogramReport};
use crate::ids::{Keyspace, NameMap, Role, ShardName};

/// Copies of the counters; threads beyond that share.
const COPIES: usize = 8;

thread_local! {
    static COPY: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed) % COPIES
    };
}

/// Every shard that was ever used, by keyspace and name.
pub(super) struct ShardTable {
    rows: ArcSwap<Rows>,
    /// Held while a shard is added.
    adding: Mutex<()>,
}

type Rows = NameMap<Keyspace, NameMap<ShardName, Arc<ShardCounters>>>;

struct ShardCounters {
    primary: [Stripe; COPIES],
    replica: [Stripe; COPIES],
}

/// One thread's share; a cache line of its own, so that threads do not slow each other.
#[repr(align(128))]
#[derive(Default)]
struct Stripe {
    errors: AtomicU64,
    lost: AtomicU64,
    rows: AtomicU64,
    bytes: AtomicU64,
    writes: AtomicU64,
    latency: Histogram,
}

/// What a shard's servers of one role did until now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardReport {
    /// The keyspace.
    pub keyspace: Keyspace,
    /// The shard.
    pub shard: ShardName,
    /// The role.
    pub role: Role,
    /// Statements that reached a server.
    pub statements: u64,
    /// Of these, statements that may change data.
    pub writes: u64,
    /// Statements that a server answered with an error.
    pub errors: u64,
    /// Statements whose connection was lost.
    pub lost: u64,
    /// Rows returned or affected.
    pub rows: u64,
    /// Bytes of answers.
    pub bytes: u64,
    /// Latencies.
    pub latency: HistogramReport,
}

impl ShardTable {
    pub(super) fn new() -> Self {
        Self { rows: ArcSwap::default(), adding: Mutex::new(()) }
    }

    pub(super) fn record(&self, outcome: &Outcome<'_>) {
        let (keyspace, shard) = (&outcome.shard.keyspace, &outcome.shard.name);
        match self.rows.load().get(keyspace).and_then(|shards| shards.get(shard)) {
            Some(counters) => counters.add(outcome),
            None => self.added(keyspace, shard).add(outcome),
        }
    }

    fn added(&self, keyspace: &Keyspace, shard: &ShardName) -> Arc<ShardCounters> {
        let _adding = self.adding.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut rows = Rows::clone(&self.rows.load());
        let shards = rows.entry(keyspace.clone()).or_default();
        let counters = shards.entry(shard.clone()).or_insert_with(|| Arc::new(ShardCounters::new()));
        let counters = Arc::clone(counters);
        self.rows.store(Arc::new(rows));
        counters
    }

    /// Every shard and role that did anything, in order.
    pub(super) fn report(&self) -> Vec<ShardReport> {
        let mut rows: Vec<ShardReport> = Vec::new();
        for (keyspace, shards) in self.rows.load().iter() {
            for (shard, counters) in shards {
                rows.push(report(keyspace, shard, Role::Primary, &counters.primary));
                rows.push(report(keyspace, shard, Role::Replica, &counters.replica));
            }
        }
        rows.retain(|row| row.statements > 0);
        rows.sort_by(|a, b| (&a.keyspace, &a.shard, a.role).cmp(&(&b.keyspace, &b.shard, b.role)));
        rows
    }
}

impl ShardCounters {
    fn new() -> Self {
        Self { primary: Default::default(), replica: Default::default() }
    }

    fn add(&self, outcome: &Outcome<'_>) {
        let copies = match outcome.role {
            Role::Primary => &self.primary,
            Role::Replica => &self.replica,
        };
        let copy = &copies[COPY.with(|copy| *copy)];
        copy.latency.record(outcome.latency);
        copy.rows.fetch_add(outcome.rows, Ordering::Relaxed);
        copy.bytes.fetch_add(outcome.bytes, Ordering::Relaxed);
        copy.writes.fetch_add(u64::from(outcome.is_write), Ordering::Relaxed);
        match outcome.ended {
            Ended::Well => {}
            Ended::Error(_) => add_one(&copy.errors),
            Ended::Lost => add_one(&copy.lost),
        }
    }
}

fn add_one(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn report(keyspace: &Keyspace, shard: &ShardName, role: Role, copies: &[Stripe; COPIES]) -> ShardReport {
    let sum = |counter: fn(&Stripe) -> &AtomicU64| -> u64 {
        copies.iter().map(|copy| counter(copy).load(Ordering::Relaxed)).sum()
    };
    let mut latency = copies[0].latency.report();
    copies[1..].iter().for_each(|copy| latency.add(&copy.latency.report()));
    ShardReport {
        keyspace: keyspace.clone(),
        shard: shard.clone(),
        role,
        statements: latency.count(),
        writes: sum(|copy| &copy.writes),
        errors: sum(|copy| &copy.errors),
        lost: sum(|copy| &copy.lost),
        rows: sum(|copy| &copy.rows),
        bytes: sum(|copy| &copy.bytes),
        latency,
    }
}
