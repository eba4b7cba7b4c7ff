//! What one database of a server holds now: definitions, rows that a change would lose, room of integers.
//!
//! Read through the control plane, on connections of its own, each question bounded in time; one database at
//! a time, never `information_schema` across databases. Nothing is kept between statements: a definition
//! that was read is as old as the statement that asked. It decides nothing: that is [`crate::ddl`]'s.
//!
//! - [`Asked`]: a statement that changes a table, read as it would be sent.
//! - [`refuse`]: the words of a refusal.
//! - [`Pauses`]: coming again for a table that was not had.

mod asked;
mod error;
mod headroom;
mod prove;
mod reader;
pub mod refuse;
mod waits;

pub use asked::{Asked, is_of_table, read_asked};
pub use error::ReadError;
pub use headroom::read_facts;
pub use prove::{Proof, prove, prove_on};
pub use reader::{LiveTable, Reader, Seen, ServerFacts};
pub use waits::{BUSY, NOT_IN_PLACE, Pauses, WITHHELD};
