//! Raw connections for work of Bulkhead's own: schema changes copy rows and follow the binary log on them.
//!
//! Owns one [`Direct`] per connection: statements of bytes, answers whose rows stay packets, errors that tell
//! a refusal from a loss. Outside the pools: nobody else is lent such a connection, its session state is the
//! caller's alone, and no bound of a pool is used up by it. It does not own when a statement may be repeated:
//! a [`DirectError::Lost`] says whether anything was sent.
//!
//! States: *ready* ⇄ *answering*; either → *lost*. A call that is cancelled or fails in the middle of an
//! answer leaves the connection lost: the next call says so and sends nothing.

mod client;
mod error;
mod packets;
mod rows;

pub use client::{Direct, Kill, OkEnd, RowStream};
pub use error::{DirectError, LostCause};
pub use packets::PacketStream;
pub use rows::{Rows, TextRow};

#[cfg(test)]
mod tests;
