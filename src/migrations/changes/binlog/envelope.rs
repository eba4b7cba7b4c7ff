//! MariaDB's compressed queries and rows (`log_bin_compress`).
//!
//! **Source**: MariaDB, `binlog_buf_uncompress` (sql/log_event.cc): one byte with the algorithm (0: zlib) and the
//! number of bytes of the length, the length, big endian, and a zlib stream.

use std::io::Read as _;

use flate2::read::ZlibDecoder;

use super::BinlogError;

/// Bytes of what is in an envelope: the largest packet.
const PLAIN_BYTES_MAX: u64 = 1 << 30;
/// Memory taken before anything is unpacked: the length is only claimed.
const PLAIN_BYTES_FIRST: usize = 64 * 1024;

/// Unpacks an envelope.
pub(super) fn open(envelope: &[u8], out: &mut Vec<u8>) -> Result<(), BinlogError> {
    let fault = |what| BinlogError::Compression { what };
    let (head, rest) = envelope.split_first().ok_or(BinlogError::Truncated { what: "a compressed event" })?;
    if head >> 4 & 7 != 0 {
        return Err(fault("the algorithm is not zlib"));
    }
    let length_bytes = usize::from(head & 7);
    if !(1..=4).contains(&length_bytes) || rest.len() < length_bytes {
        return Err(fault("it has no length"));
    }
    let (length, packed) = rest.split_at(length_bytes);
    let length = length.iter().fold(0_u64, |length, byte| length << 8 | u64::from(*byte));
    if length > PLAIN_BYTES_MAX {
        return Err(BinlogError::TooLarge { bytes: length, bytes_max: PLAIN_BYTES_MAX });
    }
    let before = out.len();
    out.reserve(PLAIN_BYTES_FIRST.min(length as usize));
    // One byte more than it says, to see that there is none.
    let read = ZlibDecoder::new(packed).take(length + 1).read_to_end(out);
    read.map_err(|_| fault("the zlib stream is broken"))?;
    if (out.len() - before) as u64 == length { Ok(()) } else { Err(fault("its length is another one")) }
}
