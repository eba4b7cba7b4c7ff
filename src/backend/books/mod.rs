//! A pool's books: who is idle, busy, being opened, waiting; how attempts to connect go; counts. Pure: no IO,
//! no lock.

mod breaker;
mod state;
mod stats;

pub use breaker::BreakerState;
pub use stats::{Counters, PoolStats, WAIT_BUCKETS_US};

pub(super) use state::{Due, PoolState, Taken};
