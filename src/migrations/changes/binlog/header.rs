//! Event headers and checksums.

use flate2::Crc;

use super::BinlogError;
use crate::protocol::codec::Cursor;

/// Bytes of a header.
pub(super) const HEADER_BYTES: usize = 19;
/// Bytes of a checksum.
const CHECKSUM_BYTES: usize = 4;
/// Checksums by CRC32.
const CRC32: u8 = 1;
/// The server made the event up: it is in no file.
const ARTIFICIAL: u16 = 0x20;
/// Who does not know the event may ignore it.
const IGNORABLE: u16 = 0x80;

/// Numbers of the event types.
#[allow(missing_docs, reason = "the names are MySQL's and MariaDB's own")]
pub(super) mod kind {
    pub(in super::super) const QUERY: u8 = 2;
    pub(in super::super) const STOP: u8 = 3;
    pub(in super::super) const ROTATE: u8 = 4;
    pub(in super::super) const INTVAR: u8 = 5;
    pub(in super::super) const RAND: u8 = 13;
    pub(in super::super) const USER_VAR: u8 = 14;
    pub(in super::super) const FORMAT_DESCRIPTION: u8 = 15;
    pub(in super::super) const XID: u8 = 16;
    pub(in super::super) const BEGIN_LOAD_QUERY: u8 = 17;
    pub(in super::super) const EXECUTE_LOAD_QUERY: u8 = 18;
    pub(in super::super) const TABLE_MAP: u8 = 19;
    pub(in super::super) const WRITE_ROWS_V1: u8 = 23;
    pub(in super::super) const UPDATE_ROWS_V1: u8 = 24;
    pub(in super::super) const DELETE_ROWS_V1: u8 = 25;
    pub(in super::super) const INCIDENT: u8 = 26;
    pub(in super::super) const HEARTBEAT: u8 = 27;
    pub(in super::super) const IGNORABLE: u8 = 28;
    pub(in super::super) const ROWS_QUERY: u8 = 29;
    pub(in super::super) const WRITE_ROWS: u8 = 30;
    pub(in super::super) const UPDATE_ROWS: u8 = 31;
    pub(in super::super) const DELETE_ROWS: u8 = 32;
    pub(in super::super) const GTID: u8 = 33;
    pub(in super::super) const ANONYMOUS_GTID: u8 = 34;
    pub(in super::super) const PREVIOUS_GTIDS: u8 = 35;
    pub(in super::super) const TRANSACTION_CONTEXT: u8 = 36;
    pub(in super::super) const VIEW_CHANGE: u8 = 37;
    pub(in super::super) const XA_PREPARE: u8 = 38;
    pub(in super::super) const PARTIAL_UPDATE_ROWS: u8 = 39;
    pub(in super::super) const TRANSACTION_PAYLOAD: u8 = 40;
    pub(in super::super) const HEARTBEAT_V2: u8 = 41;
    pub(in super::super) const TAGGED_GTID: u8 = 42;
    pub(in super::super) const ANNOTATE_ROWS: u8 = 160;
    pub(in super::super) const BINLOG_CHECKPOINT: u8 = 161;
    pub(in super::super) const MARIADB_GTID: u8 = 162;
    pub(in super::super) const GTID_LIST: u8 = 163;
    pub(in super::super) const START_ENCRYPTION: u8 = 164;
    pub(in super::super) const QUERY_COMPRESSED: u8 = 165;
    pub(in super::super) const WRITE_ROWS_COMPRESSED_V1: u8 = 166;
    pub(in super::super) const UPDATE_ROWS_COMPRESSED_V1: u8 = 167;
    pub(in super::super) const DELETE_ROWS_COMPRESSED_V1: u8 = 168;
    pub(in super::super) const WRITE_ROWS_COMPRESSED: u8 = 169;
    pub(in super::super) const UPDATE_ROWS_COMPRESSED: u8 = 170;
    pub(in super::super) const DELETE_ROWS_COMPRESSED: u8 = 171;
}

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// When the statement began, seconds since 1970; 0 in what the server made up.
    pub(super) timestamp: u32,
    /// Number of the type.
    pub(super) kind: u8,
    /// Who wrote it first.
    pub(super) server_id: u32,
    /// Bytes of the event, header and checksum included.
    pub(super) size: u32,
    /// Where the next event is in the file, its lower 32 bits; 0 in what the server made up.
    pub(super) next: u32,
    flags: u16,
}

impl Header {
    /// Reads the header at the front of `event`.
    pub(super) fn read(event: &[u8]) -> Result<Self, BinlogError> {
        let mut cursor = Cursor::new(event);
        let what = "the header of an event";
        Ok(Self {
            timestamp: cursor.u32(what)?,
            kind: cursor.u8(what)?,
            server_id: cursor.u32(what)?,
            size: cursor.u32(what)?,
            next: cursor.u32(what)?,
            flags: cursor.u16(what)?,
        })
    }

    pub(super) fn is_artificial(self) -> bool {
        self.flags & ARTIFICIAL != 0 || self.next == 0
    }

    pub(super) fn may_be_ignored(self) -> bool {
        self.flags & IGNORABLE != 0
    }
}

/// Whether events end with a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checksums {
    /// No format description was seen yet: found out for each event.
    Unknown,
    None,
    Crc32,
}

impl Checksums {
    /// What a format description says: its last byte before its own checksum, which it always has.
    pub(super) fn of_format(event: &[u8]) -> Result<Self, BinlogError> {
        let what = "a format description";
        let at = event.len().checked_sub(CHECKSUM_BYTES + 1).ok_or(BinlogError::Truncated { what })?;
        match event[at] {
            CRC32 => Ok(Self::Crc32),
            0 | 255 => Ok(Self::None),
            _ => Err(BinlogError::Malformed { what: "the checksum algorithm" }),
        }
    }

    /// The event without its checksum, which is checked.
    pub(super) fn strip(self, event: &[u8]) -> Result<&[u8], BinlogError> {
        let kind = event.get(4).copied().unwrap_or_default();
        if self == Self::None {
            return Ok(event);
        }
        let Some((bytes, sum)) = event.split_last_chunk::<CHECKSUM_BYTES>() else {
            return Err(BinlogError::Truncated { what: "a checksum" });
        };
        let mut crc = Crc::new();
        crc.update(bytes);
        match (crc.sum() == u32::from_le_bytes(*sum), self) {
            (true, _) => Ok(bytes),
            (false, Self::Unknown) => Ok(event),
            (false, _) => Err(BinlogError::Checksum { kind }),
        }
    }

    /// The event without its checksum, which is not looked at.
    pub(super) fn cut(self, event: &[u8]) -> &[u8] {
        let sum = if self == Self::Crc32 { CHECKSUM_BYTES } else { 0 };
        &event[..event.len().saturating_sub(sum)]
    }
}
