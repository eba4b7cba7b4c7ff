//! Who a transaction is.

use std::sync::Arc;

use super::BinlogError;
use super::header::Header;
use crate::gtid::Origin;
use crate::protocol::codec::Cursor;

/// MariaDB: nothing ends the transaction but its one statement.
const STANDALONE: u8 = 1;
/// Version of the format of tagged GTIDs.
const TAGGED_VERSION: u64 = 1;
/// Longest tag.
const TAG_BYTES_MAX: u64 = 32;

/// A transaction's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum TransactionId {
    /// Its global transaction id.
    Gtid {
        /// Where it was first committed.
        origin: Origin,
        /// Its number there.
        number: u64,
    },
    /// It has none: where it begins.
    File {
        /// The file.
        name: Arc<str>,
        /// The offset.
        offset: u64,
    },
}

/// Reads the body of a GTID event.
pub(super) fn read_gtid(body: &[u8]) -> Result<TransactionId, BinlogError> {
    let mut cursor = Cursor::new(body);
    cursor.u8("the flags of a GTID")?;
    let mut uuid = [0; 16];
    uuid.copy_from_slice(cursor.take(16, "the UUID of a GTID")?);
    let number = cursor.u64("the number of a GTID")?;
    let origin = Origin::MySql { uuid: u128::from_be_bytes(uuid), tag: Box::default() };
    Ok(TransactionId::Gtid { origin, number: valid(number)? })
}

fn valid(number: u64) -> Result<u64, BinlogError> {
    let is_valid = (1..i64::MAX as u64).contains(&number);
    if is_valid { Ok(number) } else { Err(BinlogError::Malformed { what: "the number of a GTID" }) }
}

/// Reads the body of a tagged GTID event: a message of numbered fields, each number written with one bit more
/// in front for each byte more. Flags (0), UUID (1), number (2) and tag (3) are wanted, in this order; what
/// follows is passed over.
pub(super) fn read_tagged(body: &[u8]) -> Result<TransactionId, BinlogError> {
    let what = "a tagged GTID";
    let mut cursor = Cursor::new(body);
    if varint(&mut cursor)? != TAGGED_VERSION {
        return Err(BinlogError::Malformed { what: "the version of a tagged GTID" });
    }
    varint(&mut cursor)?;
    varint(&mut cursor)?;
    let mut field = varint(&mut cursor)?;
    if field == 0 {
        varint(&mut cursor)?;
        field = varint(&mut cursor)?;
    }
    if field != 1 {
        return Err(BinlogError::Malformed { what });
    }
    let mut uuid = 0_u128;
    for _ in 0..16 {
        let byte = u8::try_from(varint(&mut cursor)?).map_err(|_| BinlogError::Malformed { what })?;
        uuid = uuid << 8 | u128::from(byte);
    }
    if varint(&mut cursor)? != 2 {
        return Err(BinlogError::Malformed { what });
    }
    // Signed: the lowest bit is the sign.
    let number = varint(&mut cursor)?;
    if number & 1 == 1 {
        return Err(BinlogError::Malformed { what });
    }
    let number = valid(number >> 1)?;
    let tag = match cursor.is_empty() || varint(&mut cursor)? != 3 {
        true => "",
        false => {
            let length = varint(&mut cursor)?;
            if length > TAG_BYTES_MAX {
                return Err(BinlogError::Malformed { what: "a tag" });
            }
            std::str::from_utf8(cursor.take(length as usize, "a tag")?)
                .map_err(|_| BinlogError::Malformed { what: "a tag" })?
        }
    };
    Ok(TransactionId::Gtid { origin: Origin::MySql { uuid, tag: tag.into() }, number })
}

/// A number whose first byte ends in as many ones as bytes follow.
pub(super) fn varint(cursor: &mut Cursor<'_>) -> Result<u64, BinlogError> {
    let what = "a number of a tagged GTID";
    let first = cursor.u8(what)?;
    let more = first.trailing_ones() as usize;
    let mut bytes = [0; 16];
    bytes[0] = first;
    bytes[1..=more].copy_from_slice(cursor.take(more, what)?);
    let number = u128::from_le_bytes(bytes);
    // Nine bytes hold all of a number behind the one of the ones.
    let shift = if more == 8 { 8 } else { more + 1 };
    u64::try_from(number >> shift).map_err(|_| BinlogError::Malformed { what })
}

/// Reads the body of MariaDB's GTID event; gives whether one statement is all that follows.
pub(super) fn read_mariadb(header: Header, body: &[u8]) -> Result<(TransactionId, bool), BinlogError> {
    let mut cursor = Cursor::new(body);
    let number = cursor.u64("the number of a GTID")?;
    let domain = cursor.u32("the domain of a GTID")?;
    let flags = cursor.u8("the flags of a GTID")?;
    let origin = Origin::MariaDb { domain, server: header.server_id };
    Ok((TransactionId::Gtid { origin, number }, flags & STANDALONE != 0))
}
