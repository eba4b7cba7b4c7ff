//! Values of routing columns: from literals and parameters to what a vindex takes.

use crate::error::Code;
use crate::sql::{ClientCharset, Literal, LiteralKind, SqlMode};
use crate::vschema::Value;

use super::Bound;
use crate::plan::Refusal;
use crate::plan::route::KeySource;

/// The parameters of a prepared statement.
pub trait ParamValues {
    /// The value of a parameter, counted from zero; `None` while it is not known.
    fn value(&self, index: usize) -> Option<Value<'_>>;
}

/// No parameters: text statements, and prepared statements before they are executed.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoParams;

impl ParamValues for NoParams {
    fn value(&self, _: usize) -> Option<Value<'_>> {
        None
    }
}

/// The value of a source; `None` for a parameter that is not known yet.
///
/// # Errors
/// `unroutable_value` for a value that MySQL may compare in more than one way.
pub(super) fn value_of<'a>(source: &KeySource, bound: &Bound<'a>) -> Result<Option<Value<'a>>, Refusal> {
    let value = match source {
        KeySource::Literal(index) => match bound.scan.literals.get(*index) {
            Some(literal) => literal_value(literal, bound.text, bound.mode),
            None => return Err(Refusal::because(Code::Internal, "a literal was lost")),
        },
        KeySource::Parameter(index) => match bound.params.value(*index) {
            Some(value) => value,
            None => return Ok(None),
        },
        KeySource::CurrentDatabase => {
            return Err(Refusal::because(Code::UnroutableValue, "a function is no plain value"));
        }
    };
    check(&value)?;
    Ok(Some(value))
}

fn check(value: &Value<'_>) -> Result<(), Refusal> {
    let refuse = |why: &str| Err(Refusal::because(Code::UnroutableValue, why.to_owned()));
    match value {
        Value::Null => refuse("NULL"),
        Value::Other(kind) => refuse(kind),
        Value::Text(text) if is_other_spelling(text) => refuse("text that is a number in another spelling"),
        Value::Text(text) if text.is_empty() => refuse("empty text"),
        Value::Text(text) if text.last() == Some(&b' ') => refuse("text that ends with a space"),
        Value::Text(_) | Value::Int(_) | Value::Uint(_) => Ok(()),
    }
}

/// The value of a literal.
pub(super) fn literal_value<'a>(literal: &Literal, text: &'a [u8], mode: SqlMode) -> Value<'a> {
    match literal.kind {
        LiteralKind::Integer => integer(literal.span.of(text)),
        LiteralKind::Decimal => Value::Other("a decimal number"),
        LiteralKind::Float => Value::Other("a floating-point number"),
        LiteralKind::Hex => Value::Other("a hexadecimal literal"),
        LiteralKind::Bit => Value::Other("a bit literal"),
        LiteralKind::String | LiteralKind::NationalString => {
            let bytes = literal.bytes(text, mode);
            if is_plain_text(literal, &bytes, text, mode) {
                Value::Text(bytes)
            } else {
                Value::Other("text in a character set that is not UTF-8")
            }
        }
    }
}

fn integer(digits: &[u8]) -> Value<'static> {
    let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok());
    match number {
        Some(number) => i64::try_from(number).map_or(Value::Uint(number), Value::Int),
        None => Value::Other("a number of more than 64 bits"),
    }
}

/// Says whether the bytes are the same text in UTF-8.
fn is_plain_text(literal: &Literal, bytes: &[u8], text: &[u8], mode: SqlMode) -> bool {
    if literal.introducer == 0 {
        return bytes.is_ascii() || mode.charset == ClientCharset::Utf8;
    }
    match literal.charset(text).as_deref() {
        Some("utf8mb4" | "utf8mb3" | "utf8" | "binary") => true,
        Some(
            "ascii" | "latin1" | "latin2" | "latin5" | "latin7" | "cp1250" | "cp1251" | "cp1256" | "cp1257",
        ) => bytes.is_ascii(),
        _ => false,
    }
}

/// Says whether a text is, as a whole, a number that is not written in the plain way: `' 42'`, `'42.0'`,
/// `'+42'`, `'4e1'`. A numeric column would be equal to it, a vindex would not see the same number. Leading
/// zeros alone do not count: `'042'` is the id of another workspace.
fn is_other_spelling(text: &[u8]) -> bool {
    let trimmed = text.trim_ascii();
    let unsigned = trimmed.strip_prefix(b"+").or_else(|| trimmed.strip_prefix(b"-")).unwrap_or(trimmed);
    let digits_only = !unsigned.is_empty() && unsigned.iter().all(u8::is_ascii_digit);
    if digits_only {
        return unsigned.len() != text.len() && !(text.len() == unsigned.len() + 1 && text[0] == b'-');
    }
    let begins = unsigned.first().is_some_and(|b| b.is_ascii_digit() || *b == b'.');
    let numeric = std::str::from_utf8(unsigned).is_ok_and(|text| text.parse::<f64>().is_ok());
    begins && numeric
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_spellings_of_numbers_are_found() {
        for text in [" 42", "42 ", "+42", "42.0", "42.", ".5", "4e1", "\t42", "-4.0"] {
            assert!(is_other_spelling(text.as_bytes()), "{text:?}");
        }
        for text in ["42", "042", "-42", "acme", "4f1c-22", "", "infinity", "nan", "1.2.3"] {
            assert!(!is_other_spelling(text.as_bytes()), "{text:?}");
        }
    }
}
