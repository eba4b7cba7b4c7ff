//! What statements tell about shards.
//!
//! Owns the outcome feed ([`Health::record`]), counters and latency histograms per shard and role, and the
//! bounded table of digests. It measures and never acts; it keeps no value of a statement, only its
//! normalised text.
//!
//! Invariants: recording an outcome takes no exclusive lock and allocates nothing once shard and digest were
//! seen; memory is bounded by [`DIGESTS_MAX`] and the number of shards.

mod digests;
mod feed;
mod histogram;
mod shards;

pub use digests::{DIGESTS_MAX, DigestReport};
pub use feed::{Ended, Health, Outcome};
pub use histogram::{Histogram, HistogramReport};
pub use shards::ShardReport;
