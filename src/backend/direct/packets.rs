//! Packets without an end: what a server sends of its binary log.

use super::error::DirectError;
use crate::protocol::errors::ProtocolError;
use crate::protocol::framed::Framed;
use crate::protocol::result::{EOF_BYTE, ERR_BYTE, OK_BYTE, ServerError};

/// A connection that only receives.
#[derive(Debug)]
pub struct PacketStream {
    framed: Framed,
}

impl PacketStream {
    pub(super) fn new(framed: Framed) -> Self {
        Self { framed }
    }

    /// The next payload without the OK byte in front; `None` when the server ended the stream in good order.
    ///
    /// **Cancel safety**: safe; bytes read stay read.
    ///
    /// # Errors
    /// The server refused or ended it; the connection broke.
    pub async fn next(&mut self) -> Result<Option<&[u8]>, DirectError> {
        let packet = self.framed.read_packet().await?;
        match packet.first().copied() {
            Some(OK_BYTE) => Ok(Some(&self.framed.packet()[1..])),
            Some(ERR_BYTE) => Err(DirectError::of_server(ServerError::parse(packet)?)),
            Some(EOF_BYTE) => Ok(None),
            _ => Err(ProtocolError::Unexpected { what: "no packet of a stream" }.into()),
        }
    }

    /// Says whether more bytes wait already, so that the next packet costs no waiting.
    pub fn has_more(&self) -> bool {
        !self.framed.buffered().is_empty()
    }

    /// Bytes read from the server so far.
    pub fn bytes_read(&self) -> u64 {
        self.framed.traffic().0
    }
}
