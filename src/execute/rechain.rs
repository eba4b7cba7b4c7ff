//! Rewrites answers that are one of several to one command: packet numbers go on, and all but the last answer
//! say that more follow.

use crate::protocol::capability::{Capabilities, StatusFlags};
use crate::protocol::codec::Cursor;
use crate::protocol::packet::{HEADER_BYTES, Header};
use crate::protocol::result::{EOF_BYTE, EOF_BYTES_MAX, OK_BYTE};

/// Where in the client's chain of packets an answer stands.
#[derive(Clone, Copy, Debug)]
pub struct Rechain {
    /// Number of the next packet.
    sequence: u8,
    /// Another answer follows this one.
    more: bool,
    capabilities: Capabilities,
    /// Payload bytes of a packet that began in an earlier chunk.
    skip: usize,
}

impl Rechain {
    /// An answer whose first packet has the number `sequence`.
    pub fn new(sequence: u8, more: bool, capabilities: Capabilities) -> Self {
        Self { sequence, more, capabilities, skip: 0 }
    }

    /// Number of the packet behind what was rewritten.
    pub fn sequence(&self) -> u8 {
        self.sequence
    }

    /// The client sent packets of its own in between.
    pub fn set_sequence(&mut self, sequence: u8) {
        self.sequence = sequence;
    }

    /// Rewrites a chunk of wire bytes that starts where the last one ended; `is_last` when the answer ends
    /// with it.
    pub fn rewrite(&mut self, bytes: &mut [u8], is_last: bool) {
        let mut at = self.skip.min(bytes.len());
        self.skip -= at;
        while let Some(header) = Header::read(&bytes[at..]) {
            bytes[at + 3] = self.sequence;
            self.sequence = self.sequence.wrapping_add(1);
            let start = at + HEADER_BYTES;
            let end = start + header.length;
            let there = end.min(bytes.len());
            if self.more && is_eof(&bytes[start..there], header.length, self.capabilities) {
                // The EOF behind column definitions says it too.
                mark_more(&mut bytes[start..there], self.capabilities);
            }
            if end >= bytes.len() {
                self.skip = end - bytes.len();
                if is_last && self.more && end == bytes.len() {
                    mark_more(&mut bytes[start..], self.capabilities);
                }
                return;
            }
            at = end;
        }
    }
}

/// Sets "more results" in the status flags of the packet that ends an answer; an ERR packet has none.
fn mark_more(payload: &mut [u8], capabilities: Capabilities) {
    let Some(at) = status_at(payload, capabilities) else { return };
    let Some(flags) = payload.get_mut(at..at + 2) else { return };
    let status = StatusFlags(u16::from_le_bytes([flags[0], flags[1]])).with(StatusFlags::MORE_RESULTS);
    flags.copy_from_slice(&status.0.to_le_bytes());
}

/// Says whether a payload of `length` bytes, of which the first are there, is an EOF packet.
fn is_eof(there: &[u8], length: usize, capabilities: Capabilities) -> bool {
    there.first() == Some(&EOF_BYTE)
        && length <= EOF_BYTES_MAX
        && !capabilities.contains(Capabilities::DEPRECATE_EOF)
}

fn status_at(payload: &[u8], capabilities: Capabilities) -> Option<usize> {
    let first = *payload.first()?;
    if is_eof(payload, payload.len(), capabilities) {
        return Some(3);
    }
    if first != OK_BYTE && first != EOF_BYTE {
        return None;
    }
    let mut cursor = Cursor::new(&payload[1..]);
    cursor.lenenc("affected rows").ok()?;
    cursor.lenenc("last insert id").ok()?;
    Some(payload.len() - cursor.left())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
        let mut wire = Header { length: payload.len(), sequence }.to_bytes().to_vec();
        wire.extend_from_slice(payload);
        wire
    }

    #[test]
    fn numbers_go_on_and_the_last_packet_says_more() {
        let ok = [0, 1, 0xfc, 0, 1, 2, 0, 0, 0];
        let wire = [packet(1, b"abc"), packet(2, &ok)].concat();
        for cut in 0..4 {
            let mut rechain = Rechain::new(7, true, Capabilities::DEPRECATE_EOF);
            let mut out = wire.clone();
            let split = [0, 4, 5, 7][cut];
            let (head, tail) = out.split_at_mut(split);
            rechain.rewrite(head, false);
            rechain.rewrite(tail, true);
            assert_eq!((out[3], out[10]), (7, 8), "cut {cut}");
            assert_eq!(out[7 + 4 + 5] & 8, 8, "cut {cut}");
            assert_eq!(rechain.sequence(), 9);
        }
    }

    #[test]
    fn every_eof_says_more() {
        let eof = packet(1, &[0xfe, 0, 0, 2, 0]);
        let mut out = [eof.clone(), packet(2, b"\x01a"), eof].concat();
        Rechain::new(1, true, Capabilities::NONE).rewrite(&mut out, true);
        assert_eq!((out[4 + 3], out[out.len() - 2]), (2 | 8, 2 | 8));
    }

    #[test]
    fn errors_and_last_answers_keep_their_flags() {
        let error = packet(1, b"\xff\x28\x04#42000no");
        let mut out = error.clone();
        Rechain::new(1, true, Capabilities::NONE).rewrite(&mut out, true);
        assert_eq!(out, error);
        let eof = packet(1, &[0xfe, 0, 0, 2, 0]);
        let mut out = eof.clone();
        Rechain::new(1, false, Capabilities::NONE).rewrite(&mut out, true);
        assert_eq!(out, eof);
        Rechain::new(1, true, Capabilities::NONE).rewrite(&mut out, true);
        assert_eq!(out[4 + 3], 2 | 8);
    }
}
