//! What the databases of a keyspace are like, before anything is changed.
//!
//! - `targets`: which databases there are, by directory and config. Pure.
//! - `read`: their definitions, from the primaries: one table at a time, on two connections to each cluster,
//!   so many in a second.
//! - `cache`: what was read a moment ago, and every different definition once.

mod cache;
mod read;
mod targets;

pub(super) use cache::Definitions;
pub(super) use read::{Found, Survey, definition_of, survey};
pub(super) use targets::{Target, Targets, targets_of};
