//! One value of a binlog row.

use bytes::Bytes;

use super::time::{Date, DateTime, Time, Timestamp};

/// The values of one row, in the order of the subscription's columns.
pub type Row = Vec<Value>;

/// One value of a binlog row. What the bits mean is the [`super::ColumnKind`]'s to say.
///
/// Values of bytes are slices of the event, which lives as long as one of them does.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// Not read, or not in the log: of a [`super::ColumnKind::Skipped`] column.
    Skipped,
    /// A signed integer.
    Integer(i64),
    /// An unsigned integer; a BIT, a SET, the ordinal of an ENUM.
    Unsigned(u64),
    /// A FLOAT.
    Float(f32),
    /// A DOUBLE.
    Double(f64),
    /// A DECIMAL as the log packs it.
    Decimal {
        /// The packed digits.
        packed: Bytes,
        /// Digits in all.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
    },
    /// A YEAR; 0 is 0000.
    Year(u16),
    /// A DATE.
    Date(Date),
    /// A TIME.
    Time(Time),
    /// A DATETIME.
    DateTime(DateTime),
    /// A TIMESTAMP.
    Timestamp(Timestamp),
    /// Text in the column's character set, bytes, JSON in its binary form, geometry, vector.
    Bytes(Bytes),
}

/// A value that makes no sense, or no literal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The row ends inside the value.
    #[error("the row ends inside a value")]
    Truncated,
    /// The value is one that its type cannot have.
    #[error("{what} has an impossible value")]
    Malformed {
        /// What.
        what: &'static str,
    },
    /// The log's type is not the one of the definition: the table was changed.
    #[error("the log holds type {logged}, which is not what the definition says: the table was changed")]
    Mismatch {
        /// The type's number in the log.
        logged: u8,
    },
    /// A number that no member of the ENUM or SET has.
    #[error("no member of the ENUM or SET has the number {number}: the table was changed")]
    Member {
        /// Ordinal or bits.
        number: u64,
    },
    /// A value was asked for that the log left out.
    #[error("the log left the value out")]
    LeftOut,
    /// JSON nested deeper than MySQL allows.
    #[error("JSON nested too deep")]
    TooDeep,
}
