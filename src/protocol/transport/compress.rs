//! The compressed protocol: frames of zlib or zstd around the packet stream.
//!
//! A frame is a seven-byte header (compressed length, sequence id, length before compression; zero: stored as
//! it is) and its body. Frames are independent of each other, so the compressors are shared per thread and an
//! idle compressed connection holds no compressor. What a frame may grow to is bounded by its 24-bit length
//! and must match it exactly.

use std::cell::RefCell;

use flate2::{Compress, Compression as Level, Decompress, FlushCompress, FlushDecompress, Status};

use super::buffer::ReadBuffer;
use crate::protocol::errors::FrameError;
use crate::protocol::packet::PAYLOAD_BYTES_MAX;

/// Bytes of a frame header.
const HEADER_BYTES: usize = 7;
/// Shorter bodies are stored: compression would not pay (MySQL's own bound).
const COMPRESS_BYTES_MIN: usize = 50;
/// Plain bytes put into one frame.
const FRAME_PLAIN_BYTES_MAX: usize = 1024 * 1024;
/// zstd levels that MySQL allows.
const ZSTD_LEVELS: std::ops::RangeInclusive<u8> = 1..=22;
/// The zlib level of MySQL.
const ZLIB_LEVEL: u32 = 6;

/// A compression algorithm of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// zlib.
    Zlib,
    /// zstd at a level of 1 to 22.
    Zstd {
        /// The level the client asked for.
        level: u8,
    },
}

impl Algorithm {
    /// zstd at a level forced into the allowed range.
    pub fn zstd(level: u8) -> Self {
        Algorithm::Zstd { level: level.clamp(*ZSTD_LEVELS.start(), *ZSTD_LEVELS.end()) }
    }
}

/// The zlib and zstd contexts of one thread.
struct Contexts {
    deflate: Compress,
    inflate: Decompress,
    zstd: Option<(u8, zstd::bulk::Compressor<'static>)>,
    unzstd: Option<zstd::bulk::Decompressor<'static>>,
}

thread_local! {
    static CONTEXTS: RefCell<Contexts> = RefCell::new(Contexts {
        deflate: Compress::new(Level::new(ZLIB_LEVEL), true),
        inflate: Decompress::new(true),
        zstd: None,
        unzstd: None,
    });
}

/// The state of a compressed conversation.
#[derive(Debug)]
pub(super) struct Compression {
    pub(super) algorithm: Algorithm,
    /// The next frame's sequence id, in either direction.
    pub(super) sequence: u8,
    /// Bytes as they came, frames not yet unpacked.
    pub(super) raw: ReadBuffer,
}

impl Compression {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, sequence: 0, raw: ReadBuffer::default() }
    }

    /// Unpacks the next frame into `plain`; false if it is not whole yet.
    pub(super) fn unpack(&mut self, plain: &mut ReadBuffer) -> Result<bool, FrameError> {
        let Some(header) = self.raw.unread().first_chunk::<HEADER_BYTES>() else { return Ok(false) };
        let &[a, b, c, sequence, d, e, f] = header;
        let length = u32::from_le_bytes([a, b, c, 0]) as usize;
        let plain_length = u32::from_le_bytes([d, e, f, 0]) as usize;
        if sequence != self.sequence {
            return Err(FrameError::OutOfOrder { expected: self.sequence, got: sequence });
        }
        let Some(body) = self.raw.unread().get(HEADER_BYTES..HEADER_BYTES + length) else { return Ok(false) };
        if plain_length == 0 {
            plain.extend(length).copy_from_slice(body);
        } else {
            let room = plain.extend(plain_length);
            if let Err(error) = decompress(self.algorithm, body, room) {
                plain.retract(plain_length);
                return Err(error);
            }
        }
        self.raw.consume(HEADER_BYTES + length);
        self.sequence = self.sequence.wrapping_add(1);
        Ok(true)
    }

    /// Bytes a frame may take at most.
    pub(super) const fn frame_bytes_max() -> usize {
        HEADER_BYTES + PAYLOAD_BYTES_MAX
    }

    /// Appends the frames of `plain` to `out`.
    pub(super) fn pack(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
        for chunk in plain.chunks(FRAME_PLAIN_BYTES_MAX) {
            let header_at = out.len();
            out.extend_from_slice(&[0; HEADER_BYTES]);
            let body_at = out.len();
            let is_packed =
                chunk.len() >= COMPRESS_BYTES_MIN && compress(self.algorithm, chunk, out, body_at)?;
            if !is_packed {
                out.truncate(body_at);
                out.extend_from_slice(chunk);
            }
            let length = ((out.len() - body_at) as u32).to_le_bytes();
            let plain_length = if is_packed { chunk.len() as u32 } else { 0 }.to_le_bytes();
            let header = &mut out[header_at..body_at];
            header[..3].copy_from_slice(&length[..3]);
            header[3] = self.sequence;
            header[4..].copy_from_slice(&plain_length[..3]);
            self.sequence = self.sequence.wrapping_add(1);
        }
        Ok(())
    }
}

/// Compresses `chunk` behind `body_at`; false if that does not make it shorter.
fn compress(
    algorithm: Algorithm,
    chunk: &[u8],
    out: &mut Vec<u8>,
    body_at: usize,
) -> Result<bool, FrameError> {
    let broken = |_| FrameError::Compression { what: "the compressor failed" };
    out.resize(body_at + chunk.len() - 1, 0);
    let room = &mut out[body_at..];
    let packed = CONTEXTS.with_borrow_mut(|contexts| match algorithm {
        Algorithm::Zlib => {
            contexts.deflate.reset();
            let status = contexts
                .deflate
                .compress(chunk, room, FlushCompress::Finish)
                .map_err(|_| FrameError::Compression { what: "the compressor failed" })?;
            let length = contexts.deflate.total_out() as usize;
            Ok((status == Status::StreamEnd).then_some(length))
        }
        Algorithm::Zstd { level } => {
            if contexts.zstd.as_ref().is_none_or(|(made_for, _)| *made_for != level) {
                contexts.zstd = Some((level, zstd::bulk::Compressor::new(i32::from(level)).map_err(broken)?));
            }
            let made = contexts.zstd.as_mut();
            // An error means that the result does not fit: not shorter than the chunk itself.
            Ok::<_, FrameError>(made.and_then(|(_, zstd)| zstd.compress_to_buffer(chunk, room).ok()))
        }
    })?;
    if let Some(length) = packed {
        out.truncate(body_at + length);
    }
    Ok(packed.is_some())
}

/// Decompresses `body` so that it fills `room` exactly.
fn decompress(algorithm: Algorithm, body: &[u8], room: &mut [u8]) -> Result<(), FrameError> {
    let broken = || FrameError::Compression { what: "the frame does not decompress" };
    let length = CONTEXTS.with_borrow_mut(|contexts| match algorithm {
        Algorithm::Zlib => {
            contexts.inflate.reset(true);
            let status = contexts.inflate.decompress(body, room, FlushDecompress::Finish);
            match status {
                Ok(Status::StreamEnd) => Ok(contexts.inflate.total_out() as usize),
                Ok(_) | Err(_) => Err(broken()),
            }
        }
        Algorithm::Zstd { .. } => {
            if contexts.unzstd.is_none() {
                contexts.unzstd = Some(zstd::bulk::Decompressor::new().map_err(|_| broken())?);
            }
            let made = contexts.unzstd.as_mut();
            made.and_then(|unzstd| unzstd.decompress_to_buffer(body, room).ok()).ok_or_else(broken)
        }
    })?;
    if length != room.len() {
        return Err(FrameError::Compression { what: "the frame is not as long as it says" });
    }
    Ok(())
}
