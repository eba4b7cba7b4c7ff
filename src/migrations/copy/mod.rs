//! Chunks of rows: which come next, and which of their rows may be written. Pure.

mod book;
mod ranges;

pub use book::{Batch, Book, ChunkId, Op};
pub use ranges::{Copied, Next, Piece, Ranges};
