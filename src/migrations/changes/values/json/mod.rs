//! MySQL's binary JSON as text, byte for byte as the server prints it.
//!
//! Faithful where a plain printer is not: `1.0` stays a double, a DECIMAL keeps its digits, dates, times and
//! opaque values look as the server shows them.
//!
//! **Source**: MySQL, `json_binary.h` (the format) and `json_dom.cc` (`wrapper_to_string`). Every offset is
//! checked; nesting and output are bounded, for bytes that are no JSON may point anywhere, several times
//! over.

mod double;
mod scalar;

use super::value::ValueError;

/// Nesting: what MySQL allows, and the document itself.
const DEPTH_MAX: usize = 101;
/// Text bytes per byte of the document: a control character becomes six, `true` with its separator.
const GROWTH_MAX: usize = 8;
/// Text bytes beyond that: of a document without any.
const TEXT_BYTES_SPARE: usize = 64;

const SMALL_OBJECT: u8 = 0;
const LARGE_OBJECT: u8 = 1;
const SMALL_ARRAY: u8 = 2;
const LARGE_ARRAY: u8 = 3;
const LITERAL: u8 = 4;
const INT16: u8 = 5;
const UINT16: u8 = 6;
const INT32: u8 = 7;
const UINT32: u8 = 8;
const INT64: u8 = 9;
const UINT64: u8 = 10;
const DOUBLE: u8 = 11;
const STRING: u8 = 12;
const OPAQUE: u8 = 15;

/// Appends the text of a document.
///
/// # Errors
/// `Malformed`, `Truncated`, `TooDeep`; `out` then has part of the text.
pub(super) fn write_text(document: &[u8], out: &mut Vec<u8>) -> Result<(), ValueError> {
    let text_max = out.len() + document.len().saturating_mul(GROWTH_MAX) + TEXT_BYTES_SPARE;
    // What INSERT IGNORE stores for a text that is no JSON.
    let Some((kind, value)) = document.split_first() else {
        out.extend_from_slice(b"null");
        return Ok(());
    };
    Printer { out, text_max, depth: 0 }.value(*kind, value)
}

struct Printer<'a> {
    out: &'a mut Vec<u8>,
    text_max: usize,
    depth: usize,
}

/// The number formats of a container: small ones have two bytes, large ones four.
#[derive(Clone, Copy)]
struct Container<'a> {
    bytes: &'a [u8],
    is_large: bool,
    is_object: bool,
}

impl<'a> Container<'a> {
    fn new(kind: u8, bytes: &'a [u8]) -> Self {
        let is_large = matches!(kind, LARGE_OBJECT | LARGE_ARRAY);
        Self { bytes, is_large, is_object: matches!(kind, SMALL_OBJECT | LARGE_OBJECT) }
    }

    fn width(self) -> usize {
        if self.is_large { 4 } else { 2 }
    }

    fn number(self, at: usize) -> Result<usize, ValueError> {
        let bytes = self.bytes.get(at..at + self.width()).ok_or(ValueError::Truncated)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    /// Elements; their entries are all there.
    fn count(self) -> Result<usize, ValueError> {
        let count = self.number(0)?;
        let entries = self.entry_of_value(count)?;
        if entries > self.bytes.len() || self.number(self.width())? > self.bytes.len() {
            return Err(ValueError::Truncated);
        }
        Ok(count)
    }

    /// Where the entry of the value of element `at` is.
    fn entry_of_value(self, at: usize) -> Result<usize, ValueError> {
        let keys = if self.is_object { self.number(0)? * (self.width() + 2) } else { 0 };
        Ok(2 * self.width() + keys + at * (1 + self.width()))
    }

    fn key(self, at: usize) -> Result<&'a [u8], ValueError> {
        let entry = 2 * self.width() + at * (self.width() + 2);
        let start = self.number(entry)?;
        let length = self.bytes.get(entry + self.width()..entry + self.width() + 2);
        let [low, high] = *length.ok_or(ValueError::Truncated)? else { return Err(ValueError::Truncated) };
        let end = start + usize::from(u16::from_le_bytes([low, high]));
        self.bytes.get(start..end).ok_or(ValueError::Truncated)
    }

    /// Kind of the value of element `at`, and its bytes: in its entry, or where that points to.
    fn value(self, at: usize) -> Result<(u8, &'a [u8]), ValueError> {
        let entry = self.entry_of_value(at)?;
        let kind = *self.bytes.get(entry).ok_or(ValueError::Truncated)?;
        let is_inlined =
            matches!(kind, LITERAL | INT16 | UINT16) || (self.is_large && matches!(kind, INT32 | UINT32));
        let start = if is_inlined { entry + 1 } else { self.number(entry + 1)? };
        let end = if is_inlined { entry + 1 + self.width() } else { self.number(self.width())? };
        Ok((kind, self.bytes.get(start..end).ok_or(ValueError::Truncated)?))
    }
}

impl Printer<'_> {
    fn value(&mut self, kind: u8, value: &[u8]) -> Result<(), ValueError> {
        match kind {
            SMALL_OBJECT | LARGE_OBJECT | SMALL_ARRAY | LARGE_ARRAY => {
                self.container(Container::new(kind, value))?;
            }
            kind => scalar::write(kind, value, self.out)?,
        }
        if self.out.len() > self.text_max {
            return Err(ValueError::Malformed { what: "JSON" });
        }
        Ok(())
    }

    fn container(&mut self, container: Container<'_>) -> Result<(), ValueError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(ValueError::TooDeep);
        }
        let (open, close) = if container.is_object { (b'{', b'}') } else { (b'[', b']') };
        self.out.push(open);
        for at in 0..container.count()? {
            if at > 0 {
                self.out.extend_from_slice(b", ");
            }
            if container.is_object {
                scalar::write_quoted(container.key(at)?, self.out);
                self.out.extend_from_slice(b": ");
            }
            let (kind, value) = container.value(at)?;
            self.value(kind, value)?;
        }
        self.out.push(close);
        self.depth -= 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
