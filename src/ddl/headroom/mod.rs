//! Room of integer columns: how far each is from the end of its type, and when it gets there.
//!
//! A key that counts is one thing; the columns that refer to it are another: widening the key does nothing
//! for an INT that holds its values elsewhere. So a column is judged by its own values, by the counter or
//! sequence that feeds it, and by the counter of the key that it refers to: by foreign key, or by the name
//! that Rails gives it (`order_id` refers to `orders.id`). Pure: facts in, rooms out; reading them is
//! [`crate::schema`]'s.

mod facts;
mod judge;
mod names;

pub use facts::{IntegerColumn, Reference, SchemaFacts, SequenceFacts};
pub use judge::{Danger, Mismatch, Room, Source, judge};
