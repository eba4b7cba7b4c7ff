//! Packet framing without IO: the four-byte header, and splitting of payloads at 16 MiB.

/// Bytes of a packet header: three of length, one of sequence id.
pub const HEADER_BYTES: usize = 4;

/// Payload bytes of a full packet; a packet of this length says that another one continues it.
pub const PAYLOAD_BYTES_MAX: usize = 0xff_ffff;

/// A packet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Payload bytes that follow.
    pub length: usize,
    /// Sequence id.
    pub sequence: u8,
}

impl Header {
    /// Reads a header from the front of `bytes`, `None` if fewer than four bytes are there.
    pub fn read(bytes: &[u8]) -> Option<Header> {
        let header = bytes.first_chunk::<HEADER_BYTES>()?;
        let length = u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize;
        Some(Header { length, sequence: header[3] })
    }

    /// The header's bytes.
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let length = (self.length as u32).to_le_bytes();
        [length[0], length[1], length[2], self.sequence]
    }

    /// True if the next packet continues this one's payload.
    pub fn is_continued(self) -> bool {
        self.length == PAYLOAD_BYTES_MAX
    }
}

/// Splits a payload into the pieces of its packets: full ones, and a shorter last one, empty if the payload
/// is a multiple of the full length.
pub fn pieces(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let count = payload.len() / PAYLOAD_BYTES_MAX + 1;
    (0..count).map(move |index| {
        let start = index * PAYLOAD_BYTES_MAX;
        &payload[start..payload.len().min(start + PAYLOAD_BYTES_MAX)]
    })
}

/// Appends the packets of `payload`, numbered from `sequence`; returns the next sequence id.
pub fn put_packets(out: &mut Vec<u8>, payload: &[u8], mut sequence: u8) -> u8 {
    out.reserve(payload.len() + HEADER_BYTES * (payload.len() / PAYLOAD_BYTES_MAX + 1));
    for piece in pieces(payload) {
        out.extend_from_slice(&Header { length: piece.len(), sequence }.to_bytes());
        out.extend_from_slice(piece);
        sequence = sequence.wrapping_add(1);
    }
    sequence
}

/// The payloads of whole packets that stand one behind the other; what is cut off at the end is left out,
/// and a payload beyond 16 MiB comes in its pieces.
pub fn payloads(wire: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = wire;
    std::iter::from_fn(move || {
        let header = Header::read(rest)?;
        let payload = rest.get(HEADER_BYTES..HEADER_BYTES + header.length)?;
        rest = &rest[HEADER_BYTES + header.length..];
        Some(payload)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_with_a_trailing_empty_packet() {
        let lengths = |size: usize| pieces(&vec![0; size]).map(<[u8]>::len).collect::<Vec<_>>();
        assert_eq!(lengths(0), [0]);
        assert_eq!(lengths(5), [5]);
        assert_eq!(lengths(PAYLOAD_BYTES_MAX - 1), [PAYLOAD_BYTES_MAX - 1]);
        assert_eq!(lengths(PAYLOAD_BYTES_MAX), [PAYLOAD_BYTES_MAX, 0]);
        assert_eq!(lengths(PAYLOAD_BYTES_MAX * 2 + 1), [PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MAX, 1]);
    }

    #[test]
    fn header_round_trip() {
        let header = Header { length: 0x01_0203, sequence: 9 };
        assert_eq!(Header::read(&header.to_bytes()), Some(header));
        assert_eq!(Header::read(&[1, 2, 3]), None);
        let mut out = Vec::new();
        assert_eq!(put_packets(&mut out, b"abc", 255), 0);
        assert_eq!(out, [3, 0, 0, 255, b'a', b'b', b'c']);
    }
}
