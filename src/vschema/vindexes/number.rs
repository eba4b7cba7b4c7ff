//! Vindexes of whole numbers: `hash`, `numeric`, `reverse_bits`.

use std::sync::LazyLock;

use des::Des;
use des::cipher::{Array, BlockCipherEncrypt, KeyInit};

use crate::ids::KeyspaceId;

use super::super::value::Value;
use super::VindexError;

/// Single DES with a null key.
static NULL_KEY_DES: LazyLock<Des> = LazyLock::new(|| Des::new(&Array::default()));

/// DES of the number, big-endian; a negative number is taken as its two's complement.
pub(super) fn hash(value: &Value<'_>) -> Result<KeyspaceId, VindexError> {
    let number = match value {
        Value::Int(number) => number.cast_unsigned(),
        _ => to_u64(value, "hash", "whole numbers")?,
    };
    let mut block: Array<u8, _> = number.to_be_bytes().into();
    NULL_KEY_DES.encrypt_block(&mut block);
    Ok(KeyspaceId::new(&block))
}

/// The number itself, big-endian.
pub(super) fn numeric(value: &Value<'_>) -> Result<KeyspaceId, VindexError> {
    to_u64(value, "numeric", "whole numbers from 0 to 18446744073709551615").map(KeyspaceId::from)
}

/// The number's bits in reverse order, big-endian.
pub(super) fn reverse_bits(value: &Value<'_>) -> Result<KeyspaceId, VindexError> {
    let number = to_u64(value, "reverse_bits", "whole numbers from 0 to 18446744073709551615")?;
    Ok(KeyspaceId::from(number.reverse_bits()))
}

/// Reads a number without sign: an integer, or text of decimal digits only.
pub(super) fn to_u64(
    value: &Value<'_>,
    vindex: &'static str,
    takes: &'static str,
) -> Result<u64, VindexError> {
    match value {
        Value::Uint(number) => Ok(*number),
        Value::Int(number) => u64::try_from(*number).map_err(|_| VindexError::NotANumber { vindex, takes }),
        Value::Text(text) if !text.is_empty() && text.iter().all(u8::is_ascii_digit) => {
            std::str::from_utf8(text)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or(VindexError::NotANumber { vindex, takes })
        }
        Value::Text(_) => Err(VindexError::NotANumber { vindex, takes }),
        Value::Null | Value::Other(_) => Err(VindexError::WrongKind { vindex, takes, found: value.kind() }),
    }
}
