//! What one database of a server holds now: definitions, rows that a change would lose, room of integers.
//!
//! Read through the control plane, on connections of its own, each question bounded in time; one database at
//! a time, never `information_schema` across databases. Nothing is kept between statements: a definition
//! that was read is as old as the statement that asked. It decides nothing: that is [`crate::ddl`]'s.

mod error;
mod headroom;
mod looks;
mod prove;
mod reader;

pub use error::ReadError;
pub use headroom::read_facts;
pub use looks::{Looks, LooksFull, Purpose, Room};
pub use prove::{Proof, prove};
pub use reader::{LiveTable, Reader, Seen, ServerFacts};
