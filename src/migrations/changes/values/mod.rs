//! Values of rows: what the binary log holds, and the SQL literals that bring them into another table
//! unchanged.
//!
//! Owns [`ColumnKind`] (what a column's values are), [`Value`] (one value of a binlog row) and their
//! literals, which are the same bytes whether a row was SELECTed or came from the binary log. Pure: no IO.
//!
//! Literals are for a session with `SET NAMES binary`, `time_zone = '+00:00'`, and a sql_mode with
//! `ALLOW_INVALID_DATES` and without `NO_BACKSLASH_ESCAPES`, `NO_ZERO_DATE` and `NO_ZERO_IN_DATE`.

mod decimal;
mod decode;
mod json;
mod kind;
mod literal;
mod members;
mod time;
mod value;

pub use kind::{ColumnKind, KindFault};
pub use literal::{RowKey, write_text_literal};
pub use members::Members;
pub use value::{Row, Value, ValueError};

pub(super) use decode::{ColumnShape, decode, skip};

#[cfg(test)]
mod tests;
