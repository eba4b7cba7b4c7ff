//! Vindexes of bytes as they are: `xxhash`, `binary`, `binary_md5`. A number is hashed as its decimal text,
//! NULL as no bytes.

use md5::{Digest, Md5};
use xxhash_rust::xxh64::xxh64;

use crate::ids::KeyspaceId;

use super::super::value::{Value, with_printed};
use super::VindexError;

/// xxHash64 with seed 0, little-endian.
pub(super) fn xxhash(value: &Value<'_>) -> Result<KeyspaceId, VindexError> {
    with_printed(value, xxhash_bytes).ok_or_else(|| refuse("xxhash", value))
}

/// The bytes themselves.
pub(super) fn binary(value: &Value<'_>) -> Result<KeyspaceId, VindexError> {
    with_printed(value, KeyspaceId::new).ok_or_else(|| refuse("binary", value))
}

/// MD5, 16 bytes.
pub(super) fn binary_md5(value: &Value<'_>) -> Result<KeyspaceId, VindexError> {
    with_printed(value, md5_bytes).ok_or_else(|| refuse("binary_md5", value))
}

pub(super) fn xxhash_bytes(bytes: &[u8]) -> KeyspaceId {
    KeyspaceId::new(&xxh64(bytes, 0).to_le_bytes())
}

pub(super) fn md5_bytes(bytes: &[u8]) -> KeyspaceId {
    KeyspaceId::new(&Md5::digest(bytes))
}

fn refuse(vindex: &'static str, value: &Value<'_>) -> VindexError {
    VindexError::WrongKind { vindex, takes: "whole numbers, text or bytes", found: value.kind() }
}
