//! Compares the shadow with its source, range by range, and repairs what differs.
//!
//! For a moment the source is locked for reading, every change is applied, and snapshots are opened: they
//! show both tables as of one moment. The lock is gone before anything is compared. What differs is copied
//! anew, alone, and then everything is compared again: equal is only what a whole pass found without a
//! difference.

mod checksum;
mod pass;

pub use checksum::{Side, Sum};

pub(crate) use pass::{Pass, read_sum, verify};
