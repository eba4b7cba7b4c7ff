//! Errors of the protocol module: bytes that make no sense, and framed IO that failed.

use std::io;

/// Bytes that break the MySQL protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A field reaches past the end of its packet.
    #[error("{what} reaches past the end of the packet")]
    Truncated {
        /// The field.
        what: &'static str,
    },
    /// A field holds a value it cannot hold.
    #[error("{what} has an impossible value")]
    Malformed {
        /// The field.
        what: &'static str,
    },
    /// A packet's sequence id is not the next one.
    #[error("packet number {got} where {expected} was due")]
    OutOfOrder {
        /// The sequence id due.
        expected: u8,
        /// The sequence id found.
        got: u8,
    },
    /// The server said, unasked, why it ends the connection: ERR packet number 0.
    #[error("the server ended the connection before the command")]
    Farewell,
    /// A packet came that the state of the conversation does not allow.
    #[error("unexpected packet: {what}")]
    Unexpected {
        /// What was being read.
        what: &'static str,
    },
    /// A packet that must be read whole is larger than its bound.
    #[error("{what} of {bytes} bytes is beyond the bound of {bytes_max}")]
    TooLarge {
        /// The packet.
        what: &'static str,
        /// Its size.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
}

/// Framed IO that failed.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The peer closed the connection; `mid_packet` if a packet was half read.
    #[error("the peer closed the connection{}", if *mid_packet { " in the middle of a packet" } else { "" })]
    Closed {
        /// A packet was half read.
        mid_packet: bool,
    },
    /// The connection failed.
    #[error("connection failed: {source}")]
    Io {
        /// Why.
        #[from]
        source: io::Error,
    },
    /// A packet (joined) is larger than `max_packet`.
    #[error("packet larger than {bytes_max} bytes")]
    PacketTooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// A packet's sequence id is not the next one.
    #[error("packet number {got} where {expected} was due")]
    OutOfOrder {
        /// The sequence id due.
        expected: u8,
        /// The sequence id found.
        got: u8,
    },
    /// A compressed frame that does not decompress to what it says.
    #[error("compressed frame broken: {what}")]
    Compression {
        /// What is wrong.
        what: &'static str,
    },
}

impl FrameError {
    /// True if the peer closed the connection between packets: an ordinary goodbye.
    pub fn is_clean_close(&self) -> bool {
        matches!(self, FrameError::Closed { mid_packet: false })
    }
}
