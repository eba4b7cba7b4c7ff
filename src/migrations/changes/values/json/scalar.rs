//! Scalars of binary JSON.

use std::io::Write as _;

use super::double;
use super::{DOUBLE, INT16, INT32, INT64, LITERAL, OPAQUE, STRING, UINT16, UINT32, UINT64};
use crate::migrations::changes::values::decimal;
use crate::migrations::changes::values::time;
use crate::migrations::changes::values::value::ValueError;

/// Types that an opaque value may have and that print as what they are.
const TIMESTAMP: u8 = 7;
const DATE: u8 = 10;
const TIME: u8 = 11;
const DATETIME: u8 = 12;
const NEWDECIMAL: u8 = 246;
/// Characters of a line of base64: the server breaks lines.
const BASE64_LINE: usize = 76;
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends the text of a scalar.
pub(super) fn write(kind: u8, value: &[u8], out: &mut Vec<u8>) -> Result<(), ValueError> {
    let text = |out: &mut Vec<u8>, number: &dyn std::fmt::Display| {
        let _infallible = write!(out, "{number}");
    };
    match kind {
        LITERAL => out.extend_from_slice(match value.first() {
            Some(0) => b"null",
            Some(1) => b"true",
            Some(2) => b"false",
            _ => return Err(ValueError::Malformed { what: "a JSON literal" }),
        }),
        INT16 => text(out, &i16::from_le_bytes(array(value)?)),
        UINT16 => text(out, &u16::from_le_bytes(array(value)?)),
        INT32 => text(out, &i32::from_le_bytes(array(value)?)),
        UINT32 => text(out, &u32::from_le_bytes(array(value)?)),
        INT64 => text(out, &i64::from_le_bytes(array(value)?)),
        UINT64 => text(out, &u64::from_le_bytes(array(value)?)),
        DOUBLE => double::write(f64::from_le_bytes(array(value)?), out)?,
        STRING => write_quoted(counted(value)?, out),
        OPAQUE => {
            let (kind, value) = value.split_first().ok_or(ValueError::Truncated)?;
            write_opaque(*kind, counted(value)?, out)?;
        }
        _ => return Err(ValueError::Malformed { what: "the type of a JSON value" }),
    }
    Ok(())
}

fn array<const N: usize>(value: &[u8]) -> Result<[u8; N], ValueError> {
    value.first_chunk().copied().ok_or(ValueError::Truncated)
}

/// Bytes with their length in front: seven bits a byte, the lowest first.
fn counted(value: &[u8]) -> Result<&[u8], ValueError> {
    let mut length = 0_usize;
    for at in 0..5 {
        let byte = *value.get(at).ok_or(ValueError::Truncated)?;
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return value.get(at + 1..at + 1 + length).ok_or(ValueError::Truncated);
        }
    }
    Err(ValueError::Malformed { what: "the length of a JSON value" })
}

/// Appends a string in double quotes.
pub(super) fn write_quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                let _infallible = write!(out, "\\u{byte:04x}");
            }
            byte => out.push(*byte),
        }
    }
    out.push(b'"');
}

fn write_opaque(kind: u8, value: &[u8], out: &mut Vec<u8>) -> Result<(), ValueError> {
    let packed = || array(value).map(i64::from_le_bytes);
    match kind {
        NEWDECIMAL => {
            let [precision, scale, packed @ ..] = value else { return Err(ValueError::Truncated) };
            decimal::write_text(packed, *precision, *scale, out)?;
        }
        DATE | DATETIME | TIMESTAMP | TIME => {
            out.push(b'"');
            match kind {
                DATE => time::json_datetime(packed()?)?.date.write(out),
                TIME => time::json_time(packed()?)?.write(out),
                _ => time::json_datetime(packed()?)?.write(out),
            }
            out.push(b'"');
        }
        kind => {
            let mut text = format!("base64:type{kind}:").into_bytes();
            write_base64(value, &mut text);
            write_quoted(&text, out);
        }
    }
    Ok(())
}

/// Base64 with a line break behind each full line that is not the last.
fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let mut column = 0;
    for chunk in bytes.chunks(3) {
        if column == BASE64_LINE {
            out.push(b'\n');
            column = 0;
        }
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = BASE64[(bits >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= chunk.len() { digit } else { b'=' });
        }
        column += 4;
    }
}
