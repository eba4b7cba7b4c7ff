//! What statements and probes tell about shards.
//!
//! Owns the outcome feed ([`Health::record`]), counters and latency histograms per shard and role, the
//! bounded table of digests, the meters that statements' times are left in ([`Meter`]), and the detectors
//! that make [`Facts`] of them ([`detect`]). It measures and never acts; it keeps no value of a
//! statement, only its normalised text.
//!
//! A shard is as healthy as the primary of its cluster, so meters and detectors are per cluster.
//!
//! Invariants: recording an outcome takes no exclusive lock and allocates nothing once shard and digest were
//! seen; memory is bounded by [`DIGESTS_MAX`] and the number of shards and clusters.

pub mod detect;
mod digests;
mod feed;
mod histogram;
mod meter;
mod shards;

pub use detect::{
    Alert, BEAT_EVERY, BEAT_WITHIN, Backing, Beat, DDL_STATEMENT, Evidence, Facts, Fleet, PROBE_EVERY,
    ProbeFault, Reading, Signal, SignalKind, Standing, State, TICK_EVERY, Tick,
};
pub use digests::{DIGESTS_MAX, DigestReport};
pub use feed::{Ended, Health, Outcome};
pub use histogram::{Histogram, HistogramReport};
pub use meter::{
    BUCKETS, Class, Counts, Flight, Meter, Meters, NearMeter, Sample, Statement, is_servers_fault,
};
pub use shards::ShardReport;
