//! What a pool tells about itself.

use std::time::Duration;

use super::breaker::BreakerState;
use crate::ids::{ClusterName, Role, ServerId};

/// Upper bounds of the buckets of `PoolStats::wait_histogram`, in microseconds; the last bucket has none.
pub const WAIT_BUCKETS_US: [u64; 9] = [100, 500, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000];

/// Counts since the pool was made; written under the pool's lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections asked for.
    pub checkouts: u64,
    /// Connections opened.
    pub opened: u64,
    /// Connections closed, for whatever reason.
    pub closed: u64,
    /// Failures to open.
    pub open_errors: u64,
    /// Of these, the ones with which the server began to be left alone.
    pub trips: u64,
    /// Statements that were told at once of a failure before them.
    pub refused_at_once: u64,
    /// Idle connections that the server had closed, found when they were to be lent.
    pub stale: u64,
    /// Idle connections closed to make room for one of another class.
    pub evicted: u64,
    /// Connections reset between two sessions.
    pub resets: u64,
    /// Statements that had to wait and got a connection.
    pub waits: u64,
    /// Time they waited, microseconds.
    pub wait_us: u64,
    /// Longest wait, microseconds.
    pub wait_us_max: u64,
    /// Statements that waited until their deadline.
    pub timeouts: u64,
    /// Statements refused because too many waited.
    pub queue_full: u64,
    /// KILLs sent.
    pub kills: u64,
    /// Waits by length; see [`WAIT_BUCKETS_US`].
    pub wait_histogram: [u64; WAIT_BUCKETS_US.len() + 1],
}

impl Counters {
    pub(in crate::backend) fn count_wait(&mut self, waited: Duration) {
        let us = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        self.waits += 1;
        self.wait_us = self.wait_us.saturating_add(us);
        self.wait_us_max = self.wait_us_max.max(us);
        self.wait_histogram[WAIT_BUCKETS_US.partition_point(|bound| *bound < us)] += 1;
    }
}

/// One pool at one moment.
#[derive(Clone, Debug)]
pub struct PoolStats {
    /// The cluster.
    pub cluster: ClusterName,
    /// Role of the server.
    pub role: Role,
    /// The server.
    pub server: ServerId,
    /// Connections that nobody uses.
    pub idle: usize,
    /// Connections lent, or being reset.
    pub busy: usize,
    /// Connections being opened.
    pub opening: usize,
    /// Statements that wait.
    pub waiting: usize,
    /// Bound of the connections.
    pub max_connections: usize,
    /// Counts since the pool was made.
    pub counters: Counters,
    /// How the server's breaker stands.
    pub breaker: BreakerState,
    /// How long the server is still left alone after failures.
    pub backoff: Option<Duration>,
    /// The failure that began it; stays until a connection is opened.
    pub last_error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_fall_into_buckets() {
        let mut counters = Counters::default();
        for us in [0, 100, 101, 2_000_000] {
            counters.count_wait(Duration::from_micros(us));
        }
        assert_eq!((counters.waits, counters.wait_us_max), (4, 2_000_000));
        assert_eq!(counters.wait_histogram, [2, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
    }
}
