//! MySQL's compressed transactions (TRANSACTION_PAYLOAD).
//!
//! **Source**: MySQL source documentation, "Transaction_payload_event": fields of type, length and value, all
//! in the protocol's length-encoded integers; type 0 ends them, and the events follow.

use std::io::{self, BufReader, Read};

use bytes::Bytes;
use zstd::stream::read::Decoder;

use super::BinlogError;
use super::header::HEADER_BYTES;
use crate::protocol::codec::Cursor;

const END: u64 = 0;
const SIZE: u64 = 1;
const COMPRESSION: u64 = 2;
/// Compression: zstd, none.
const ZSTD: u64 = 0;
const NONE: u64 = 255;
/// Bytes of one event inside: the largest packet and the fields around it.
const EVENT_BYTES_MAX: u64 = (1 << 30) + (1 << 20);
/// Memory taken for an event before it is unpacked: its length is only claimed.
const EVENT_BYTES_FIRST: usize = 64 * 1024;

/// The events of one transaction, unpacked one by one.
pub(super) struct Payload {
    events: Events,
}

enum Events {
    Zstd(Box<Decoder<'static, BufReader<io::Cursor<Bytes>>>>),
    Plain(io::Cursor<Bytes>),
}

impl Payload {
    /// Reads the fields in front of the events.
    pub(super) fn open(body: &[u8]) -> Result<Self, BinlogError> {
        let mut cursor = Cursor::new(body);
        let (mut compression, mut size) = (NONE, None);
        loop {
            match cursor.lenenc("a field of a compressed transaction")? {
                END => break,
                field => {
                    let value = cursor.lenenc_bytes("a field of a compressed transaction")?;
                    let number = || Cursor::new(value).lenenc("a field of a compressed transaction");
                    match field {
                        SIZE => size = Some(number()?),
                        COMPRESSION => compression = number()?,
                        // The size when unpacked, and what is to come: nothing hangs on it.
                        _ => {}
                    }
                }
            }
        }
        let events = cursor.rest();
        let is_complete = size.is_none_or(|size| size == events.len() as u64);
        if !is_complete {
            return Err(BinlogError::Truncated { what: "a compressed transaction" });
        }
        let events = io::Cursor::new(Bytes::copy_from_slice(events));
        let events = match compression {
            NONE => Events::Plain(events),
            ZSTD => Events::Zstd(Box::new(
                Decoder::new(events).map_err(|_| BinlogError::Compression { what: "no zstd decoder" })?,
            )),
            _ => return Err(BinlogError::Compression { what: "the algorithm is not zstd" }),
        };
        Ok(Self { events })
    }

    /// The next event, whole; `None` behind the last.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, BinlogError> {
        let mut event = Vec::with_capacity(HEADER_BYTES);
        self.read(HEADER_BYTES as u64, &mut event)?;
        if event.is_empty() {
            return Ok(None);
        }
        let truncated = BinlogError::Truncated { what: "an event of a compressed transaction" };
        let Some(size) = event.get(9..13).and_then(|size| size.first_chunk::<4>()) else {
            return Err(truncated);
        };
        let size = u64::from(u32::from_le_bytes(*size));
        if size > EVENT_BYTES_MAX {
            return Err(BinlogError::TooLarge { bytes: size, bytes_max: EVENT_BYTES_MAX });
        }
        let body = size.checked_sub(HEADER_BYTES as u64).ok_or(truncated.clone())?;
        event.reserve(EVENT_BYTES_FIRST.min(body as usize));
        self.read(body, &mut event)?;
        if event.len() as u64 == size { Ok(Some(event)) } else { Err(truncated) }
    }

    /// Reads so many bytes, or fewer at the end.
    fn read(&mut self, count: u64, out: &mut Vec<u8>) -> Result<(), BinlogError> {
        let read = match &mut self.events {
            Events::Zstd(events) => events.by_ref().take(count).read_to_end(out),
            Events::Plain(events) => events.by_ref().take(count).read_to_end(out),
        };
        read.map(drop).map_err(|_| BinlogError::Compression { what: "the zstd stream is broken" })
    }
}
