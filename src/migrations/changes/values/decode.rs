//! Values out of a binlog row.
//!
//! **Source**: MySQL, `Table_map_event` (types and their metadata) and `log_event_print_value` (values).

use bytes::Bytes;

use super::decimal;
use super::kind::ColumnKind;
use super::time::{Date, DateTime, Time, Timestamp, fraction_length};
use super::value::{Value, ValueError};
use crate::protocol::codec::Cursor;
use crate::protocol::errors::ProtocolError;

const TINY: u8 = 1;
const SHORT: u8 = 2;
const LONG: u8 = 3;
const FLOAT: u8 = 4;
const DOUBLE: u8 = 5;
const TIMESTAMP: u8 = 7;
const LONGLONG: u8 = 8;
const INT24: u8 = 9;
const DATE: u8 = 10;
const TIME: u8 = 11;
const DATETIME: u8 = 12;
const YEAR: u8 = 13;
const NEWDATE: u8 = 14;
const VARCHAR: u8 = 15;
const BIT: u8 = 16;
const TIMESTAMP2: u8 = 17;
const DATETIME2: u8 = 18;
const TIME2: u8 = 19;
const VECTOR: u8 = 242;
const JSON: u8 = 245;
const NEWDECIMAL: u8 = 246;
const ENUM: u8 = 247;
const SET: u8 = 248;
const TINY_BLOB: u8 = 249;
const BLOB: u8 = 252;
const VAR_STRING: u8 = 253;
const STRING: u8 = 254;
const GEOMETRY: u8 = 255;

/// What the table map tells of a column: enough to find where each value ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct ColumnShape {
    /// Type; ENUM and SET as such, although the log calls them strings.
    logged: u8,
    /// Length, or bytes of the length, or bytes of the value, or digits of the fraction, by type.
    size: u16,
    /// Digits behind the point, or bits.
    extra: u8,
}

impl ColumnShape {
    /// Reads the metadata of a column of type `logged`.
    ///
    /// # Errors
    /// `Mismatch` for a type that is not known: how much metadata it has is not known either. `Truncated`.
    pub(in super::super) fn read(logged: u8, metadata: &mut Cursor<'_>) -> Result<Self, ValueError> {
        let plain = Self { logged, size: 0, extra: 0 };
        match logged {
            TINY | SHORT | LONG | LONGLONG | INT24 | TIMESTAMP | DATE | TIME | DATETIME | YEAR | NEWDATE => {
                Ok(plain)
            }
            FLOAT | DOUBLE | TIMESTAMP2 | DATETIME2 | TIME2 | VECTOR | JSON | TINY_BLOB..=BLOB | GEOMETRY => {
                Ok(Self { size: u16::from(byte(metadata)?), ..plain })
            }
            VARCHAR => {
                let length = u16::from_le_bytes([byte(metadata)?, byte(metadata)?]);
                Ok(Self { size: length, ..plain })
            }
            BIT => {
                let (bits, bytes) = (byte(metadata)?, byte(metadata)?);
                Ok(Self { size: u16::from(bytes), extra: bits, ..plain })
            }
            NEWDECIMAL => {
                let (precision, scale) = (byte(metadata)?, byte(metadata)?);
                Ok(Self { size: u16::from(precision), extra: scale, ..plain })
            }
            ENUM | SET | VAR_STRING | STRING => Ok(Self::of_string(byte(metadata)?, byte(metadata)?)),
            logged => Err(ValueError::Mismatch { logged }),
        }
    }

    /// Strings hide their real type in their metadata, and two bits of their length in the type.
    fn of_string(first: u8, second: u8) -> Self {
        let (logged, size) = if first & 0x30 == 0x30 {
            (first, u16::from(second))
        } else {
            (first | 0x30, u16::from(second) | u16::from((first & 0x30) ^ 0x30) << 4)
        };
        Self { logged, size, extra: 0 }
    }

    /// Says whether values of this shape can be read as `kind`.
    fn suits(self, kind: &ColumnKind) -> bool {
        let is_blob = (TINY_BLOB..=BLOB).contains(&self.logged);
        let is_string = matches!(self.logged, VARCHAR | VAR_STRING | STRING);
        match kind {
            ColumnKind::Integer { .. } => matches!(self.logged, TINY | SHORT | LONG | LONGLONG | INT24),
            ColumnKind::Decimal => self.logged == NEWDECIMAL,
            ColumnKind::Float => self.logged == FLOAT,
            ColumnKind::Double => self.logged == DOUBLE,
            ColumnKind::Bit => self.logged == BIT,
            ColumnKind::Year => self.logged == YEAR,
            ColumnKind::Date => matches!(self.logged, DATE | NEWDATE),
            ColumnKind::Time => matches!(self.logged, TIME | TIME2),
            ColumnKind::DateTime => matches!(self.logged, DATETIME | DATETIME2),
            ColumnKind::Timestamp => matches!(self.logged, TIMESTAMP | TIMESTAMP2),
            ColumnKind::Text { .. } | ColumnKind::Bytes => is_blob || is_string,
            ColumnKind::Binary { length } => self.logged == STRING && u32::from(self.size) <= *length,
            ColumnKind::Enum(_) => self.logged == ENUM,
            ColumnKind::Set(_) => self.logged == SET,
            ColumnKind::Json => self.logged == JSON,
            ColumnKind::Geometry => self.logged == GEOMETRY,
            ColumnKind::Vector => self.logged == VECTOR,
            ColumnKind::Skipped => true,
        }
    }

    /// Bytes of a value at the front of `row`, its length in front included, and how many of them that takes.
    fn extent(self, row: &[u8]) -> Result<(usize, usize), ValueError> {
        let fixed = |length: usize| Ok((0, length));
        let size = usize::from(self.size);
        match self.logged {
            TINY | YEAR => fixed(1),
            SHORT => fixed(2),
            INT24 | DATE | NEWDATE | TIME => fixed(3),
            LONG | TIMESTAMP | FLOAT => fixed(4),
            LONGLONG | DATETIME | DOUBLE => fixed(8),
            TIMESTAMP2 => fixed(4 + fraction_length(self.fraction()?)),
            DATETIME2 => fixed(5 + fraction_length(self.fraction()?)),
            TIME2 => fixed(3 + fraction_length(self.fraction()?)),
            NEWDECIMAL => fixed(decimal::packed_length(size as u8, self.extra)?),
            BIT => fixed(size + usize::from(self.extra > 0)),
            ENUM | SET => fixed(size),
            VARCHAR | VAR_STRING | STRING => prefixed(row, 1 + usize::from(size > 255)),
            VECTOR | JSON | TINY_BLOB..=BLOB | GEOMETRY => prefixed(row, size),
            logged => Err(ValueError::Mismatch { logged }),
        }
    }

    fn fraction(self) -> Result<u8, ValueError> {
        let is_right = self.size <= 6;
        if is_right {
            Ok(self.size as u8)
        } else {
            Err(ValueError::Malformed { what: "the size of a fraction" })
        }
    }
}

fn byte(metadata: &mut Cursor<'_>) -> Result<u8, ValueError> {
    metadata.u8("metadata of a column").map_err(|_: ProtocolError| ValueError::Truncated)
}

/// A value with its length in front, in so many bytes.
fn prefixed(row: &[u8], bytes: usize) -> Result<(usize, usize), ValueError> {
    if !(1..=4).contains(&bytes) {
        return Err(ValueError::Malformed { what: "the size of a length" });
    }
    let length = row.get(..bytes).ok_or(ValueError::Truncated)?;
    Ok((bytes, little_endian(length) as usize))
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Passes over one value at `at`; gives where the next begins.
///
/// # Errors
/// `Truncated`, `Malformed`.
pub(in super::super) fn skip(shape: ColumnShape, event: &Bytes, at: usize) -> Result<usize, ValueError> {
    let row = event.get(at..).ok_or(ValueError::Truncated)?;
    let (prefix, length) = shape.extent(row)?;
    // Both are bounded: a length has at most four bytes.
    let end = at + prefix + length;
    if end <= event.len() { Ok(end) } else { Err(ValueError::Truncated) }
}

/// Reads one value at `at`; gives it, and where the next begins.
///
/// # Errors
/// `Mismatch` when the shape is not one of `kind`; `Truncated`, `Malformed`.
pub(in super::super) fn decode(
    shape: ColumnShape,
    kind: &ColumnKind,
    event: &Bytes,
    at: usize,
) -> Result<(Value, usize), ValueError> {
    if !shape.suits(kind) {
        return Err(ValueError::Mismatch { logged: shape.logged });
    }
    let row = event.get(at..).ok_or(ValueError::Truncated)?;
    let (prefix, length) = shape.extent(row)?;
    let start = at + prefix;
    let end = start + length;
    let bytes = event.get(start..end).ok_or(ValueError::Truncated)?;
    let value = match kind {
        ColumnKind::Integer { is_unsigned } => integer(bytes, *is_unsigned),
        ColumnKind::Decimal => Value::Decimal {
            packed: event.slice(start..end),
            precision: shape.size as u8,
            scale: shape.extra,
        },
        ColumnKind::Float => Value::Float(f32::from_le_bytes(array(bytes)?)),
        ColumnKind::Double => Value::Double(f64::from_le_bytes(array(bytes)?)),
        ColumnKind::Bit => bit(bytes)?,
        ColumnKind::Enum(_) | ColumnKind::Set(_) if length <= 8 => Value::Unsigned(little_endian(bytes)),
        ColumnKind::Enum(_) | ColumnKind::Set(_) => {
            return Err(ValueError::Malformed { what: "the size of an ENUM or SET" });
        }
        ColumnKind::Skipped => Value::Skipped,
        ColumnKind::Text { .. }
        | ColumnKind::Binary { .. }
        | ColumnKind::Bytes
        | ColumnKind::Json
        | ColumnKind::Geometry
        | ColumnKind::Vector => Value::Bytes(event.slice(start..end)),
        ColumnKind::Year
        | ColumnKind::Date
        | ColumnKind::Time
        | ColumnKind::DateTime
        | ColumnKind::Timestamp => moment(shape, bytes)?,
    };
    Ok((value, end))
}

fn moment(shape: ColumnShape, bytes: &[u8]) -> Result<Value, ValueError> {
    let decimals = shape.size as u8;
    Ok(match shape.logged {
        YEAR => match array::<1>(bytes)? {
            [0] => Value::Year(0),
            [since] => Value::Year(1900 + u16::from(since)),
        },
        DATE | NEWDATE => Value::Date(Date::unpack(array(bytes)?)?),
        TIME => Value::Time(Time::unpack_old(array(bytes)?)?),
        TIME2 => Value::Time(Time::unpack(bytes, decimals)?),
        DATETIME => Value::DateTime(DateTime::unpack_old(array(bytes)?)?),
        DATETIME2 => Value::DateTime(DateTime::unpack(bytes, decimals)?),
        TIMESTAMP => Value::Timestamp(Timestamp::unpack_old(array(bytes)?)),
        TIMESTAMP2 => Value::Timestamp(Timestamp::unpack(bytes, decimals)?),
        logged => return Err(ValueError::Mismatch { logged }),
    })
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], ValueError> {
    bytes.try_into().map_err(|_| ValueError::Truncated)
}

/// One to eight bytes, little endian.
fn integer(bytes: &[u8], is_unsigned: bool) -> Value {
    let number = little_endian(bytes);
    if is_unsigned {
        return Value::Unsigned(number);
    }
    let unused = 64 - 8 * bytes.len() as u32;
    Value::Integer(((number << unused) as i64) >> unused)
}

/// Up to eight bytes, big endian.
fn bit(bytes: &[u8]) -> Result<Value, ValueError> {
    if bytes.len() > 8 {
        return Err(ValueError::Malformed { what: "the size of a BIT" });
    }
    Ok(Value::Unsigned(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))))
}
