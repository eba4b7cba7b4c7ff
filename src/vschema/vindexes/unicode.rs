//! `unicode_loose_xxhash` and `unicode_loose_md5`: text without trailing spaces, case, accents and width.

use crate::ids::KeyspaceId;

use super::super::value::{Value, with_printed};
use super::VindexError;
use super::bytes::{md5_bytes, xxhash_bytes};

/// xxHash64 of the collation key.
pub(super) fn loose_xxhash(value: &Value<'_>) -> Result<KeyspaceId, VindexError> {
    Ok(xxhash_bytes(&key(value, "unicode_loose_xxhash")?))
}

/// MD5 of the collation key.
pub(super) fn loose_md5(value: &Value<'_>) -> Result<KeyspaceId, VindexError> {
    Ok(md5_bytes(&key(value, "unicode_loose_md5")?))
}

fn key(value: &Value<'_>, vindex: &'static str) -> Result<Vec<u8>, VindexError> {
    let takes = "text";
    let refused = Err(VindexError::Unmappable { vindex, why: "text without a known collation key" });
    with_printed(value, |_| refused).ok_or(VindexError::WrongKind { vindex, takes, found: value.kind() })?
}
