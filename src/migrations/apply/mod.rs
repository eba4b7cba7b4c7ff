//! Applies changes to the shadow: one transaction per batch, the position recorded in it.
//!
//! A batch holds the newest change of each key. All of its keys are deleted first, then its rows are
//! inserted, plainly: a row is never ignored, nor does it replace another's. So values that move between rows
//! of one batch do not meet.
//!
//! A conflict with a row that was copied ahead of the feed (its unique value was another row's a moment
//! before) is settled: no chunk at work, everything up to a new marker in one batch. What conflicts then is a
//! true duplicate. Applying is never throttled.

mod batch;
mod gathering;
mod opening;
mod task;

pub(crate) use batch::{Unwritten, apply_batch, begin, write_rows};
pub(crate) use opening::Opening;
pub(crate) use task::Applier;
