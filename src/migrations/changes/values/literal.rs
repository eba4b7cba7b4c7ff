//! SQL literals of values: the same bytes for a row that was SELECTed and for the same row of the binary log.
//!
//! Numbers as digits; FLOAT and DOUBLE as the shortest text that is exactly that double; strings with the
//! introducer of their column's character set, so that their bytes are taken as they are; labels and JSON as
//! UTF-8; bytes with `_binary`.

use std::fmt;
use std::io::Write as _;

use super::decimal;
use super::json;
use super::kind::ColumnKind;
use super::members::Members;
use super::value::{Value, ValueError};

impl Value {
    /// Appends the literal of the value of a column of `kind`.
    ///
    /// # Errors
    /// A value that `kind` cannot have, bytes that are no JSON, a value that was left out; `out` then has
    /// part of a literal.
    pub fn write_literal(&self, kind: &ColumnKind, out: &mut Vec<u8>) -> Result<(), ValueError> {
        match (self, kind) {
            (Self::Null, _) => out.extend_from_slice(b"NULL"),
            (Self::Integer(number), ColumnKind::Integer { .. }) => write_number(out, number),
            (Self::Unsigned(number), ColumnKind::Integer { .. } | ColumnKind::Bit) => {
                write_number(out, number)
            }
            (Self::Unsigned(number), ColumnKind::Enum(members)) => write_member(members, *number, out)?,
            (Self::Unsigned(number), ColumnKind::Set(members)) => write_members(members, *number, out)?,
            (Self::Float(number), ColumnKind::Float) => write_double(f64::from(*number), out)?,
            (Self::Double(number), ColumnKind::Double) => write_double(*number, out)?,
            (Self::Decimal { packed, precision, scale }, ColumnKind::Decimal) => {
                decimal::write_text(packed, *precision, *scale, out)?;
            }
            (Self::Year(year), ColumnKind::Year) => {
                write_quoted(out, |out| write_number(out, format_args!("{year:04}")))
            }
            (Self::Date(date), ColumnKind::Date) => write_quoted(out, |out| date.write(out)),
            (Self::Time(time), ColumnKind::Time) => write_quoted(out, |out| time.write(out)),
            (Self::DateTime(moment), ColumnKind::DateTime) => write_quoted(out, |out| moment.write(out)),
            (Self::Timestamp(moment), ColumnKind::Timestamp) => {
                write_quoted(out, |out| moment.to_datetime().write(out));
            }
            (Self::Bytes(bytes), ColumnKind::Json) => {
                let mut text = Vec::new();
                json::write_text(bytes, &mut text)?;
                write_string("utf8mb4", &text, out);
            }
            (Self::Bytes(bytes), kind) => return write_bytes(bytes, kind, out),
            (Self::Skipped, _) => return Err(ValueError::LeftOut),
            _ => return Err(ValueError::Malformed { what: "a value of another kind" }),
        }
        Ok(())
    }
}

/// Appends the literal of a value as a text answer has it (`None`: NULL), of a session with `SET NAMES
/// binary` and `time_zone = '+00:00'`, of a column that was asked for by [`ColumnKind::select_expression`].
///
/// # Errors
/// A text that `kind` cannot have; `out` then has part of a literal.
pub fn write_text_literal(
    kind: &ColumnKind,
    text: Option<&[u8]>,
    out: &mut Vec<u8>,
) -> Result<(), ValueError> {
    let Some(text) = text else {
        out.extend_from_slice(b"NULL");
        return Ok(());
    };
    match kind {
        ColumnKind::Integer { .. } | ColumnKind::Decimal => write_digits(text, out),
        // It came as a double, and is exactly that.
        ColumnKind::Float => write_double(f64::from(parse_double(text)? as f32), out),
        ColumnKind::Double => write_double(parse_double(text)?, out),
        ColumnKind::Bit if text.len() <= 8 => {
            let number = text.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
            write_number(out, number);
            Ok(())
        }
        ColumnKind::Year
        | ColumnKind::Date
        | ColumnKind::Time
        | ColumnKind::DateTime
        | ColumnKind::Timestamp => {
            if !text.iter().all(|byte| byte.is_ascii_digit() || b"-:. ".contains(byte)) {
                return Err(ValueError::Malformed { what: "a date or time" });
            }
            write_quoted(out, |out| out.extend_from_slice(text));
            Ok(())
        }
        ColumnKind::Enum(_) | ColumnKind::Set(_) | ColumnKind::Json => {
            write_string("utf8mb4", text, out);
            Ok(())
        }
        ColumnKind::Skipped => Err(ValueError::LeftOut),
        kind => write_bytes(text, kind, out),
    }
}

fn write_bytes(bytes: &[u8], kind: &ColumnKind, out: &mut Vec<u8>) -> Result<(), ValueError> {
    match kind {
        ColumnKind::Text { charset } => write_string(charset, bytes, out),
        ColumnKind::Bytes | ColumnKind::Geometry | ColumnKind::Vector => write_string("binary", bytes, out),
        ColumnKind::Binary { length } => {
            write_string("binary", bytes, out);
            // The log leaves out zero bytes at the end.
            let missing = (*length as usize).checked_sub(bytes.len());
            let missing = missing.ok_or(ValueError::Malformed { what: "a BINARY" })?;
            out.pop();
            out.resize(out.len() + missing, 0);
            out.push(b'\'');
        }
        _ => return Err(ValueError::Malformed { what: "a value of another kind" }),
    }
    Ok(())
}

fn write_number(out: &mut Vec<u8>, number: impl fmt::Display) {
    let _infallible = write!(out, "{number}");
}

fn write_quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'\'');
    write(out);
    out.push(b'\'');
}

/// A string whose bytes are of `charset`. Escaped byte by byte, as a server reads it that takes what it gets
/// for bytes.
fn write_string(charset: &str, bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(charset.len() + bytes.len() + 3);
    out.push(b'_');
    out.extend_from_slice(charset.as_bytes());
    out.push(b'\'');
    let mut rest = bytes;
    while let Some(at) = memchr::memchr2(b'\'', b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(&[b'\\', rest[at]]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'\'');
}

/// Ordinal 0 is what servers store for a value that no member has; it reads as the empty string.
fn write_member(members: &Members, ordinal: u64, out: &mut Vec<u8>) -> Result<(), ValueError> {
    let label = match ordinal {
        0 => "",
        ordinal => members.label(ordinal).ok_or(ValueError::Member { number: ordinal })?,
    };
    write_string("utf8mb4", label.as_bytes(), out);
    Ok(())
}

fn write_members(members: &Members, bits: u64, out: &mut Vec<u8>) -> Result<(), ValueError> {
    let mut text = String::new();
    for label in members.labels(bits).ok_or(ValueError::Member { number: bits })? {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(label);
    }
    write_string("utf8mb4", text.as_bytes(), out);
    Ok(())
}

/// With an exponent, so that it is read as a double and not as a DECIMAL.
fn write_double(number: f64, out: &mut Vec<u8>) -> Result<(), ValueError> {
    if !number.is_finite() {
        return Err(ValueError::Malformed { what: "a FLOAT or DOUBLE" });
    }
    let _infallible = write!(out, "{number:e}");
    Ok(())
}

fn parse_double(text: &[u8]) -> Result<f64, ValueError> {
    let parsed = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    parsed.ok_or(ValueError::Malformed { what: "a FLOAT or DOUBLE" })
}

/// Digits as they are, but for the zeros that ZEROFILL puts in front.
fn write_digits(text: &[u8], out: &mut Vec<u8>) -> Result<(), ValueError> {
    let digits = match text.strip_prefix(b"-") {
        Some(digits) => {
            out.push(b'-');
            digits
        }
        None => text,
    };
    let is_number = digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.');
    if !is_number || !digits.first().is_some_and(u8::is_ascii_digit) {
        return Err(ValueError::Malformed { what: "a number" });
    }
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    let is_all_zero = digits.get(zeros).is_none_or(|next| *next == b'.');
    out.extend_from_slice(&digits[zeros - usize::from(is_all_zero)..]);
    Ok(())
}

/// A row's identity: the literals of its key columns, with commas between.
///
/// **Shape**: equal for a SELECTed row and the same row of the binary log. Rows whose keys a collation takes
/// for equal have different ones when their bytes differ.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowKey(Box<[u8]>);

impl RowKey {
    /// The identity of a binlog row; `key` are the places of the key's columns, in the key's order.
    ///
    /// # Errors
    /// As [`Value::write_literal`]; `LeftOut` for a place that the row does not have.
    pub fn of_row(row: &[Value], columns: &[ColumnKind], key: &[usize]) -> Result<Self, ValueError> {
        let mut out = Vec::with_capacity(24);
        for at in key {
            let (value, kind) = row.get(*at).zip(columns.get(*at)).ok_or(ValueError::LeftOut)?;
            separate(&mut out);
            value.write_literal(kind, &mut out)?;
        }
        Ok(Self(out.into()))
    }

    /// The identity of a SELECTed row, of the texts of its key's columns in the key's order.
    ///
    /// # Errors
    /// As [`write_text_literal`].
    pub fn of_texts<'a>(
        texts: impl IntoIterator<Item = (&'a ColumnKind, Option<&'a [u8]>)>,
    ) -> Result<Self, ValueError> {
        let mut out = Vec::with_capacity(24);
        for (kind, text) in texts {
            separate(&mut out);
            write_text_literal(kind, text, &mut out)?;
        }
        Ok(Self(out.into()))
    }

    /// The literals, with commas between: what goes into `(…)` behind IN.
    pub fn as_sql(&self) -> &[u8] {
        &self.0
    }
}

fn separate(out: &mut Vec<u8>) {
    if !out.is_empty() {
        out.push(b',');
    }
}

impl fmt::Debug for RowKey {
    /// Values of clients are not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowKey({} bytes)", self.0.len())
    }
}
