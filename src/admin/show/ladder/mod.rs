//! The ladder: `SHOW SHARD STATUS`, `SHOW EVENTS`, `SHOW INCIDENT`.

mod events;
mod incident;
mod status;

pub(in crate::admin) use incident::incident;

pub(super) use events::{events, keep_like};
pub(super) use status::status;
