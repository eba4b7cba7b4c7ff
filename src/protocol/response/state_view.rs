//! What a client sees of changed session state: what a plain server would have told it.
//!
//! Every server connection has `SESSION_TRACK` and `session_track_state_change`, so that Bulkhead learns what
//! stored code leaves behind. A client without the capability gets OK packets without session state; one with
//! it gets the entries of state changes only if it asked for them itself. Packets that tell no change are
//! never looked at here.

use std::ops::Range;

use crate::protocol::capability::{Capabilities, StatusFlags};
use crate::protocol::codec::{Cursor, put_lenenc, put_lenenc_bytes};
use crate::protocol::errors::ProtocolError;
use crate::protocol::packet::{HEADER_BYTES, Header};
use crate::protocol::result::{RawOk, TRACK_STATE};

/// Payload bytes of an EOF packet; an OK packet has at least seven.
const EOF_BYTES: usize = 5;

/// What a client is to be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateView {
    /// It negotiated `SESSION_TRACK`.
    pub tracks: bool,
    /// It switched `session_track_state_change` on.
    pub asked: bool,
}

impl StateView {
    /// Wire bytes as the client is to see them; `None` where they are that already.
    ///
    /// **Shape**: `changed` are the places of whole packets in `wire`, header included, in order, that tell
    /// of changed state.
    pub fn of(self, wire: &[u8], changed: &[Range<usize>]) -> Option<Vec<u8>> {
        if self.tracks && self.asked {
            return None;
        }
        let (mut out, mut copied) = (Vec::new(), 0);
        for place in changed {
            let packet = wire.get(place.clone())?;
            let Some(payload) = self.payload(&packet[HEADER_BYTES.min(packet.len())..]) else { continue };
            let sequence = packet[HEADER_BYTES - 1];
            out.extend_from_slice(&wire[copied..place.start]);
            out.extend_from_slice(&Header { length: payload.len(), sequence }.to_bytes());
            out.extend_from_slice(&payload);
            copied = place.end;
        }
        if copied == 0 {
            return None;
        }
        out.extend_from_slice(&wire[copied..]);
        Some(out)
    }

    /// An answer of one packet to a statement without rows, as the client is to see it.
    pub fn of_one(self, wire: &[u8]) -> Option<Vec<u8>> {
        let header = Header::read(wire)?;
        let is_one = HEADER_BYTES + header.length == wire.len();
        if !is_one || wire.get(HEADER_BYTES) != Some(&crate::protocol::result::OK_BYTE) {
            return None;
        }
        let whole = 0..wire.len();
        self.of(wire, std::slice::from_ref(&whole))
    }

    fn payload(self, payload: &[u8]) -> Option<Vec<u8>> {
        if payload.len() == EOF_BYTES {
            if self.asked {
                // MariaDB sets the flag here whatever the client negotiated.
                return None;
            }
            let mut out = payload.to_vec();
            let status = StatusFlags(u16::from_le_bytes([out[3], out[4]]));
            let status = status.without(StatusFlags::SESSION_STATE_CHANGED);
            out[3..].copy_from_slice(&status.0.to_le_bytes());
            return Some(out);
        }
        // The tracker has read it: what cannot be read stays as it is.
        let ok = RawOk::parse(payload, Capabilities::SESSION_TRACK).ok()?;
        let changes = ok.changes.unwrap_or_default();
        let entries = self.entries(changes).ok()?;
        if self.tracks && entries == changes {
            // MySQL sets the flag with no entry at all, too.
            return None;
        }
        let mut status = ok.status;
        if entries.is_empty() {
            status = status.without(StatusFlags::SESSION_STATE_CHANGED);
        }
        let mut out = vec![payload[0]];
        put_lenenc(&mut out, ok.affected_rows);
        put_lenenc(&mut out, ok.last_insert_id);
        out.extend_from_slice(&status.0.to_le_bytes());
        out.extend_from_slice(&ok.warnings.to_le_bytes());
        if !ok.info.is_empty() || !entries.is_empty() {
            put_lenenc_bytes(&mut out, ok.info);
        }
        if !entries.is_empty() {
            put_lenenc_bytes(&mut out, &entries);
        }
        (out != payload).then_some(out)
    }

    /// The entries that the client is to see.
    fn entries(self, changes: &[u8]) -> Result<Vec<u8>, ProtocolError> {
        let mut kept = Vec::new();
        let mut cursor = Cursor::new(changes);
        while self.tracks && !cursor.is_empty() {
            let kind = cursor.u8("session state kind")?;
            let data = cursor.lenenc_bytes("session state")?;
            if kind != TRACK_STATE {
                kept.push(kind);
                put_lenenc_bytes(&mut kept, data);
            }
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::result::{OkPacket, SessionChanges};

    const TRACK: Capabilities = Capabilities::SESSION_TRACK;
    const PLAIN: StateView = StateView { tracks: false, asked: false };
    const TRACKING: StateView = StateView { tracks: true, asked: false };
    const ASKING: StateView = StateView { tracks: true, asked: true };

    fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
        let mut wire = Header { length: payload.len(), sequence }.to_bytes().to_vec();
        wire.extend_from_slice(payload);
        wire
    }

    fn ok(info: &str, changes: Option<SessionChanges>) -> Vec<u8> {
        let ok = OkPacket {
            affected_rows: 300,
            status: StatusFlags::AUTOCOMMIT,
            warnings: 2,
            info: info.to_owned(),
            changes,
            ..OkPacket::default()
        };
        ok.payload(TRACK)
    }

    fn schema(is_changed: Option<bool>) -> Option<SessionChanges> {
        Some(SessionChanges { schema: Some("a".into()), is_changed, ..SessionChanges::default() })
    }

    #[test]
    fn packets_become_what_a_plain_server_sends() {
        let state = Some(SessionChanges { is_changed: Some(true), ..SessionChanges::default() });
        for info in ["", "Rows matched: 1"] {
            let wire = packet(7, &ok(info, state.clone()));
            assert_eq!(PLAIN.of_one(&wire), Some(packet(7, &ok(info, None))), "{info}");
            assert_eq!(TRACKING.of_one(&wire), Some(packet(7, &ok(info, None))), "{info}");
            assert_eq!(ASKING.of_one(&wire), None, "{info}");
            let wire = packet(1, &ok(info, schema(Some(true))));
            assert_eq!(PLAIN.of_one(&wire), Some(packet(1, &ok(info, None))), "{info}");
            assert_eq!(TRACKING.of_one(&wire), Some(packet(1, &ok(info, schema(None)))), "{info}");
            let wire = packet(1, &ok(info, schema(None)));
            assert_eq!(TRACKING.of_one(&wire), None, "{info}: it is that already");
        }
    }

    #[test]
    fn only_the_packets_named_are_touched() {
        let eof = packet(3, &[0xfe, 0, 0, 2, 0x40]);
        let wire =
            [packet(1, b"row"), eof.clone(), packet(4, &ok("", schema(Some(true)))), packet(5, b"row")];
        let starts: Vec<usize> = (0..4).map(|at| wire[..at].iter().map(Vec::len).sum()).collect();
        let seen = PLAIN.of(&wire.concat(), &[starts[1]..starts[2], starts[2]..starts[3]]);
        let eof = packet(3, &[0xfe, 0, 0, 2, 0]);
        let expected = [packet(1, b"row"), eof, packet(4, &ok("", None)), packet(5, b"row")];
        assert_eq!(seen, Some(expected.concat()));
        assert_eq!(PLAIN.of(&wire.concat(), &[]), None);
    }

    #[test]
    fn what_cannot_be_read_stays() {
        for payload in [&b""[..], b"\0", b"\0\x01\x02\x03", b"\xff\x10"] {
            assert_eq!(PLAIN.of_one(&packet(1, payload)), None, "{payload:?}");
        }
        assert_eq!(PLAIN.of_one(b"\x01\0"), None);
    }
}
