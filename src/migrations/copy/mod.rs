//! Copies the rows that a table had when its migration began, in chunks of keys.
//!
//! - `book`: which changes may be applied now and which rows of a chunk may be written (pure).
//! - `ranges`: which chunk is next (pure).
//! - `chunk`: reads and writes one.
//! - `server`: lets the server copy one by itself, where nobody writes.
//! - `sizing`: how many rows a chunk is to have (pure).
//! - `run`: several at a time, as many as [`super::engine::Pace`] allows.
//!
//! The source is read by plain SELECTs, without a lock. A chunk is one transaction on the shadow, its range
//! recorded in it.

mod book;
mod chunk;
mod ranges;
mod run;
mod server;
mod sizing;
mod slices;

pub use book::{Batch, Book, ChunkId, Op};
pub use ranges::{Copied, Next, Piece, Ranges};

pub(crate) use chunk::{Fate, Replace, copy_alone};
pub(crate) use run::copy_rows;
pub(crate) use slices::{SliceRows, Slices, meant, worked};
