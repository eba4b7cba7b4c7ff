//! A client's file on its way to a server.

use super::Advance;
use crate::protocol::errors::ProtocolError;
use crate::protocol::packet::{HEADER_BYTES, Header};

/// Finds the end of what a client sends after a LOCAL INFILE request: packets up to an empty one.
#[derive(Clone, Copy, Debug)]
pub struct UploadTracker {
    sequence: u8,
    skip: usize,
    /// The packet before was full: an empty one continues it and is not the end.
    is_continued: bool,
    is_done: bool,
}

impl UploadTracker {
    /// Starts; `sequence` is the id of the client's next packet (the request's plus one).
    pub fn new(sequence: u8) -> Self {
        Self { sequence, skip: 0, is_continued: false, is_done: false }
    }

    /// Looks at wire bytes of the client, as [`super::ResponseTracker::advance`] does at a server's.
    ///
    /// # Errors
    /// `OutOfOrder` for a wrong sequence id.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<Advance, ProtocolError> {
        let mut at = 0;
        while !self.is_done {
            let skipped = self.skip.min(bytes.len() - at);
            at += skipped;
            self.skip -= skipped;
            if self.skip > 0 {
                return Ok(Advance::More { forward: at });
            }
            let Some(header) = Header::read(&bytes[at..]) else { return Ok(Advance::More { forward: at }) };
            if header.sequence != self.sequence {
                return Err(ProtocolError::OutOfOrder { expected: self.sequence, got: header.sequence });
            }
            self.sequence = self.sequence.wrapping_add(1);
            at += HEADER_BYTES;
            self.skip = header.length;
            self.is_done = header.length == 0 && !self.is_continued;
            self.is_continued = header.is_continued();
        }
        Ok(Advance::Done { forward: at })
    }

    /// The sequence id of the server's next packet, once the upload is complete.
    pub fn sequence(&self) -> u8 {
        self.sequence
    }
}
