//! Literals: where they stand and what value they have.

use std::borrow::Cow;

use super::SqlMode;
use crate::sql::span::Span;

/// The form of a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LiteralKind {
    /// Digits; a sign before them is an operator, not part of the literal.
    Integer,
    /// With a point.
    Decimal,
    /// With an exponent.
    Float,
    /// In quotes, possibly several adjacent ones.
    String,
    /// `N'…'`: UTF-8.
    NationalString,
    /// `x'…'`, `0x…`.
    Hex,
    /// `b'…'`, `0b…`.
    Bit,
}

/// A literal of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Literal {
    /// Its form.
    pub kind: LiteralKind,
    /// Where it stands, quotes included, introducer not.
    pub span: Span,
    /// Length in bytes of its introducer (`_latin1`), 0 without one.
    pub introducer: u8,
    /// Distance in bytes from the introducer's start to the literal's.
    pub introducer_distance: u16,
}

impl Literal {
    /// The character set that its introducer names, lower case, without the underscore.
    pub fn charset(&self, text: &[u8]) -> Option<String> {
        let start = self.span.start.checked_sub(u32::from(self.introducer_distance))? as usize;
        let name = text.get(start + 1..start + usize::from(self.introducer))?;
        (self.introducer > 1).then(|| String::from_utf8_lossy(name).to_ascii_lowercase())
    }

    /// Its value in bytes: digits of a number as written, a string with escapes undone and adjacent strings
    /// joined, the bytes that a hexadecimal or bit literal stands for.
    pub fn bytes<'a>(&self, text: &'a [u8], mode: SqlMode) -> Cow<'a, [u8]> {
        let raw = self.span.of(text);
        match self.kind {
            LiteralKind::Integer | LiteralKind::Decimal | LiteralKind::Float => Cow::Borrowed(raw),
            LiteralKind::String => unquote(raw, mode),
            LiteralKind::NationalString => unquote(raw.get(1..).unwrap_or_default(), mode),
            LiteralKind::Hex => Cow::Owned(digits_of(raw, 16)),
            LiteralKind::Bit => Cow::Owned(digits_of(raw, 2)),
        }
    }
}

/// The bytes of hexadecimal or bit digits, most significant first, padded in front.
fn digits_of(raw: &[u8], radix: u32) -> Vec<u8> {
    let per_byte = if radix == 16 { 2 } else { 8 };
    let digits: Vec<u8> = raw
        .iter()
        .skip(2)
        .filter(|b| **b != b'\'')
        .filter_map(|b| char::from(*b).to_digit(radix).map(|digit| digit as u8))
        .collect();
    let join = |chunk: &[u8]| chunk.iter().fold(0u8, |byte, digit| byte.wrapping_mul(radix as u8) | digit);
    let head = digits.len() % per_byte;
    let first = (head > 0).then(|| join(&digits[..head]));
    first.into_iter().chain(digits[head..].chunks(per_byte).map(join)).collect()
}

/// Undoes the quoting of a string token.
pub(in crate::sql) fn unquote(raw: &[u8], mode: SqlMode) -> Cow<'_, [u8]> {
    let Some((&quote, rest)) = raw.split_first() else { return Cow::Borrowed(raw) };
    let plain =
        memchr::memchr2(quote, b'\\', rest).filter(|end| end + 1 == rest.len() && rest[*end] == quote);
    if let Some(end) = plain {
        return Cow::Borrowed(&rest[..end]);
    }
    let mut value = Vec::with_capacity(raw.len());
    let mut lexer = super::Lexer::new(raw, SqlMode { ansi_quotes: false, ..mode });
    let mut at = 0;
    while at < raw.len() {
        at = unquote_part(raw, at, mode, &mut value);
        lexer.at = at;
        while lexer.at < raw.len() && !matches!(raw[lexer.at], b'\'' | b'"') {
            if super::is_space(raw[lexer.at]) {
                lexer.at += 1;
            } else {
                lexer.next_with_comments();
            }
        }
        at = lexer.at;
    }
    Cow::Owned(value)
}

/// Undoes one quoted string at `at`; returns the offset behind its closing quote.
fn unquote_part(raw: &[u8], at: usize, mode: SqlMode, value: &mut Vec<u8>) -> usize {
    let quote = raw[at];
    let mut at = at + 1;
    while at < raw.len() {
        let (byte, next) = (raw[at], raw.get(at + 1).copied());
        match next {
            Some(second) if mode.charset.is_pair(byte, second) => {
                value.extend([byte, second]);
                at += 2;
            }
            Some(second) if byte == quote && second == quote => {
                value.push(quote);
                at += 2;
            }
            Some(second) if byte == b'\\' && !mode.no_backslash_escapes => {
                push_escape(second, value);
                at += 2;
            }
            _ if byte == quote => return at + 1,
            _ => {
                value.push(byte);
                at += 1;
            }
        }
    }
    at
}

fn push_escape(second: u8, value: &mut Vec<u8>) {
    match second {
        b'n' => value.push(b'\n'),
        b't' => value.push(b'\t'),
        b'r' => value.push(b'\r'),
        b'b' => value.push(8),
        b'0' => value.push(0),
        b'Z' => value.push(26),
        b'_' | b'%' => value.extend([b'\\', second]),
        other => value.push(other),
    }
}
