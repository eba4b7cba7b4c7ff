//! The outcome feed: every statement that reached a server, once it ended.

use std::fmt;
use std::time::Duration;

use super::digests::{Cost, DigestReport, Digests};
use super::meter::is_servers_fault;
use super::shards::{ShardReport, ShardTable};
use crate::ids::Role;
use crate::topology::Shard;

/// How a statement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The server answered without an error.
    Well,
    /// The server answered with this error number.
    Error(u16),
    /// The connection was lost before the answer was whole.
    Lost,
}

impl Ended {
    /// Says whether it speaks against the server.
    pub fn is_servers_fault(self) -> bool {
        match self {
            Self::Well => false,
            Self::Error(errno) => is_servers_fault(errno),
            Self::Lost => true,
        }
    }
}

/// One statement that reached a server.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// Where it ran; names keyspace and cluster too.
    pub shard: &'a Shard,
    /// On the primary or a replica.
    pub role: Role,
    /// Its fingerprint for statistics.
    pub digest: u64,
    /// It may change data.
    pub is_write: bool,
    /// From the first byte sent to the last byte of the answer.
    pub latency: Duration,
    /// How it ended.
    pub ended: Ended,
    /// Rows returned or affected.
    pub rows: u64,
    /// Bytes of the answer.
    pub bytes: u64,
}

/// Everything that is measured; shared by all sessions.
pub struct Health {
    shards: ShardTable,
    digests: Digests,
}

impl Health {
    /// Nothing measured yet.
    pub fn new() -> Self {
        Self { shards: ShardTable::new(), digests: Digests::new() }
    }

    /// Takes in one outcome. `text` gives the normalised statement, without values; it is called only when
    /// the digest is new to the table.
    pub fn record(&self, outcome: &Outcome<'_>, text: impl FnOnce() -> String) {
        self.shards.record(outcome);
        let cost = Cost {
            latency: outcome.latency,
            is_error: outcome.ended != Ended::Well,
            rows: outcome.rows,
            bytes: outcome.bytes,
        };
        self.digests.record(Some(&outcome.shard.keyspace), outcome.digest, cost, text);
    }

    /// Every shard and role that did anything, in order.
    pub fn shards(&self) -> Vec<ShardReport> {
        self.shards.report()
    }

    /// Every digest in the table, in no order.
    pub fn digests(&self) -> Vec<DigestReport> {
        self.digests.report()
    }

    /// Digests in the table.
    pub fn digest_count(&self) -> usize {
        self.digests.len()
    }

    /// Digests given up because the table was full.
    pub fn digests_evicted(&self) -> u64 {
        self.digests.evicted()
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("digests", &self.digest_count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ClusterName, Keyspace, ShardName};

    #[test]
    fn outcomes_are_counted_by_shard_and_role() {
        let shard = Shard {
            keyspace: Keyspace::new("shop"),
            name: ShardName::new("-80"),
            cluster: ClusterName::new("c1"),
            range: None,
            weight: 1,
        };
        let health = Health::new();
        let outcome = Outcome {
            shard: &shard,
            role: Role::Primary,
            digest: 7,
            is_write: true,
            latency: Duration::from_millis(2),
            ended: Ended::Well,
            rows: 3,
            bytes: 100,
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope
                    .spawn(|| (0..100).for_each(|_| health.record(&outcome, || "update t set x = ?".into())));
            }
        });
        let read = Outcome { role: Role::Replica, is_write: false, ended: Ended::Error(1213), ..outcome };
        health.record(&read, String::new);
        health.record(&Outcome { ended: Ended::Lost, ..read }, String::new);
        let rows = health.shards();
        let facts: Vec<_> = rows.iter().map(|r| (r.role, r.statements, r.writes, r.errors, r.lost)).collect();
        assert_eq!(facts, [(Role::Primary, 400, 400, 0, 0), (Role::Replica, 2, 0, 1, 1)]);
        assert_eq!((rows[0].rows, rows[0].bytes), (1200, 40_000));
        let digests = health.digests();
        assert_eq!((digests.len(), digests[0].calls, digests[0].errors), (1, 402, 2));
        assert_eq!(&*digests[0].text, "update t set x = ?");
    }
}
