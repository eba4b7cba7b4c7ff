//! Packets over a stream: reading, queueing, writing, and raw access for the relay.
//!
//! Owns the sequence ids, the joining and splitting of payloads beyond 16 MiB, and the buffers. Does not know
//! what a packet means. One read call and one write call of the system per direction serve a small statement:
//! what is queued goes out with what is written, and an answer that came in one read is written from the read
//! buffer.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::AsyncWrite;

use super::buffer::{self, ReadBuffer};
use super::compress::{Algorithm, Compression};
use super::stream::Stream;
use crate::protocol::errors::FrameError;
use crate::protocol::packet::{self, HEADER_BYTES, Header, PAYLOAD_BYTES_MAX};

/// Unread bytes kept while watching for the peer's close; then watching stops.
const WATCH_BYTES_MAX: usize = 64 * 1024;
/// Raw bytes that may wait unread for the relay before it must consume some.
const RELAY_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + HEADER_BYTES + 64 * 1024;
/// Shorter writes are copied behind what is queued; longer ones are written from where they are.
const COALESCE_BYTES_MAX: usize = 4 * 1024;
/// Memory a joined payload may keep for the next one.
const JOIN_KEEP_BYTES: usize = 4 * 1024;

/// Where the current packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Current {
    None,
    /// At the front of the read buffer, header and payload, this many bytes in all.
    InBuffer(usize),
    Joined,
}

/// A packet of several pieces that is being read.
#[derive(Debug, Default)]
struct Join {
    payload: Vec<u8>,
    is_open: bool,
    piece_left: usize,
    piece_is_continued: bool,
}

/// Packets over a stream.
///
/// **Memory**: without unread or unsent bytes, no buffer is held.
#[derive(Debug)]
pub struct Framed {
    stream: Stream,
    read: ReadBuffer,
    write: Vec<u8>,
    written: usize,
    sequence: u8,
    max_packet: usize,
    current: Current,
    join: Join,
    compression: Option<Box<Compression>>,
    bytes_read: u64,
    bytes_written: u64,
}

impl Framed {
    /// Packets over `stream`, each payload at most `max_packet` bytes.
    pub fn new(stream: impl Into<Stream>, max_packet: usize) -> Self {
        Self {
            stream: stream.into(),
            read: ReadBuffer::default(),
            write: Vec::new(),
            written: 0,
            sequence: 0,
            max_packet,
            current: Current::None,
            join: Join::default(),
            compression: None,
            bytes_read: 0,
            bytes_written: 0,
        }
    }

    /// Changes the bound of a payload: small before login, `max_allowed_packet` after.
    pub fn set_max_packet(&mut self, max_packet: usize) {
        self.max_packet = max_packet;
    }

    /// The connection underneath.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Has the socket watched by the current runtime; see [`Stream`].
    ///
    /// # Errors
    /// The system's own; close the connection.
    pub fn rehome(&mut self) -> io::Result<()> {
        self.stream.rehome()
    }

    /// Bytes read from and written to the peer since the connection began, as they were on the wire.
    pub fn traffic(&self) -> (u64, u64) {
        (self.bytes_read, self.bytes_written)
    }

    /// The sequence id of the next packet, in either direction.
    pub fn sequence(&self) -> u8 {
        self.sequence
    }

    /// The next packet starts a conversation: sequence id 0.
    pub fn reset_sequence(&mut self) {
        self.sequence = 0;
        let nothing_unread = self.buffered().is_empty();
        if let Some(compression) = &mut self.compression {
            // A second command inside one frame is answered with the frame's numbers.
            if nothing_unread {
                compression.sequence = 0;
            }
        }
    }

    /// Sets the sequence id of the next packet.
    pub fn set_sequence(&mut self, next: u8) {
        self.sequence = next;
    }

    /// Compresses what follows, both ways.
    ///
    /// Unread bytes are taken as compressed already: the peer compresses from its first command on.
    pub fn start_compression(&mut self, algorithm: Algorithm) {
        let mut compression = Box::new(Compression::new(algorithm));
        let held = self.held();
        let unread = &self.read.unread()[held..];
        compression.raw.extend(unread.len()).copy_from_slice(unread);
        let count = unread.len();
        self.read.retract(count);
        self.compression = Some(compression);
    }

    /// The compression in use.
    pub fn compression(&self) -> Option<Algorithm> {
        self.compression.as_ref().map(|compression| compression.algorithm)
    }

    // ---- reading ------------------------------------------------------------------------------------------

    /// The next whole payload; packets of 16 MiB and more are joined.
    ///
    /// The packet stays readable through [`Self::packet`] until the next call.
    ///
    /// **Cancel safety**: safe; bytes read stay read.
    ///
    /// # Errors
    /// `PacketTooLarge` before the payload is read into memory; `Closed`; `Io`; `OutOfOrder`.
    pub async fn read_packet(&mut self) -> Result<&[u8], FrameError> {
        if !self.join.is_open {
            self.release_packet();
        }
        while !self.take_packet()? {
            if self.fill_within(self.packet_bytes_max()).await? == 0 {
                let mid_packet = self.join.is_open || !self.buffered().is_empty();
                return Err(FrameError::Closed { mid_packet });
            }
        }
        Ok(self.packet())
    }

    /// Reads and throws away a packet that [`Self::read_packet`] found too large, so that its sender comes to
    /// read why; the sequence goes on behind it.
    ///
    /// # Errors
    /// `PacketTooLarge` when it is longer than `bytes_max`; `Closed`; `Io`.
    pub async fn skip_packet(&mut self, bytes_max: usize) -> Result<(), FrameError> {
        self.join = Join::default();
        let mut skipped = 0;
        loop {
            let Some(header) = Header::read(self.buffered()) else {
                self.fill().await?;
                continue;
            };
            self.consume(HEADER_BYTES);
            self.sequence = header.sequence.wrapping_add(1);
            skipped += header.length;
            if skipped > bytes_max {
                return Err(FrameError::PacketTooLarge { bytes_max });
            }
            let mut left = header.length;
            while left > 0 {
                if self.buffered().is_empty() {
                    self.fill().await?;
                }
                let count = left.min(self.buffered().len());
                self.consume(count);
                left -= count;
            }
            if !header.is_continued() {
                return Ok(());
            }
        }
    }

    /// The payload that [`Self::read_packet`] gave last; empty if there is none.
    pub fn packet(&self) -> &[u8] {
        match self.current {
            Current::None => &[],
            Current::InBuffer(length) => &self.read.unread()[HEADER_BYTES..length],
            Current::Joined => &self.join.payload,
        }
    }

    /// The current packet as it was on the wire, header included; `None` if it was joined.
    pub fn packet_wire(&self) -> Option<&[u8]> {
        match self.current {
            Current::InBuffer(length) => Some(&self.read.unread()[..length]),
            Current::None | Current::Joined => None,
        }
    }

    /// Forgets the current packet and gives its memory back.
    pub fn release_packet(&mut self) {
        match std::mem::replace(&mut self.current, Current::None) {
            Current::None => {}
            Current::InBuffer(length) => self.read.consume(length),
            Current::Joined => {
                self.join.payload.clear();
                self.join.payload.shrink_to(JOIN_KEEP_BYTES);
            }
        }
    }

    /// Makes the next whole packet of the unread bytes current; false if it is not all there.
    fn take_packet(&mut self) -> Result<bool, FrameError> {
        loop {
            if self.join.is_open && self.join.piece_left > 0 {
                if !self.take_piece_bytes() {
                    return Ok(false);
                }
                continue;
            }
            if self.join.is_open && !self.join.piece_is_continued {
                self.join.is_open = false;
                self.current = Current::Joined;
                return Ok(true);
            }
            let Some(header) = Header::read(self.buffered()) else { return Ok(false) };
            self.check_header(header)?;
            if !self.join.is_open && !header.is_continued() {
                let length = HEADER_BYTES + header.length;
                if self.buffered().len() < length {
                    return Ok(false);
                }
                self.sequence = self.sequence.wrapping_add(1);
                self.current = Current::InBuffer(length);
                return Ok(true);
            }
            self.consume(HEADER_BYTES);
            self.sequence = self.sequence.wrapping_add(1);
            self.join.is_open = true;
            self.join.piece_left = header.length;
            self.join.piece_is_continued = header.is_continued();
        }
    }

    /// Moves unread bytes into the joined payload; true when the piece is complete.
    fn take_piece_bytes(&mut self) -> bool {
        let count = self.join.piece_left.min(self.read.len());
        self.join.payload.extend_from_slice(&self.read.unread()[..count]);
        self.read.consume(count);
        self.join.piece_left -= count;
        self.join.piece_left == 0
    }

    fn check_header(&self, header: Header) -> Result<(), FrameError> {
        // Inside compressed frames servers number packets by the frame; only frames are checked there.
        if header.sequence != self.sequence && self.compression.is_none() {
            return Err(FrameError::OutOfOrder { expected: self.sequence, got: header.sequence });
        }
        if self.join.payload.len() + header.length > self.max_packet {
            return Err(FrameError::PacketTooLarge { bytes_max: self.max_packet });
        }
        Ok(())
    }

    fn packet_bytes_max(&self) -> usize {
        self.max_packet.min(PAYLOAD_BYTES_MAX) + HEADER_BYTES
    }

    fn held(&self) -> usize {
        match self.current {
            Current::InBuffer(length) => length,
            Current::None | Current::Joined => 0,
        }
    }

    /// Unread bytes behind the current packet, as the relay sees them: packets with their headers.
    pub fn buffered(&self) -> &[u8] {
        &self.read.unread()[self.held()..]
    }

    /// Drops `count` bytes from the front of [`Self::buffered`]. The current packet, if any, is released.
    pub fn consume(&mut self, count: usize) {
        let held = self.held();
        if held > 0 {
            self.current = Current::None;
        }
        self.read.consume(held + count);
    }

    /// Reads more bytes behind [`Self::buffered`]; at least one.
    ///
    /// **Cancel safety**: safe.
    ///
    /// # Errors
    /// `Closed` at the end of the stream; `Io`; `PacketTooLarge` if 16 MiB wait unread.
    pub async fn fill(&mut self) -> Result<usize, FrameError> {
        match self.fill_within(RELAY_BYTES_MAX).await? {
            0 => Err(FrameError::Closed { mid_packet: !self.buffered().is_empty() }),
            count => Ok(count),
        }
    }

    async fn fill_within(&mut self, bytes_max: usize) -> Result<usize, FrameError> {
        let bytes_max = bytes_max + self.held();
        poll_fn(|cx| self.poll_fill(cx, bytes_max)).await
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, bytes_max: usize) -> Poll<Result<usize, FrameError>> {
        let Some(compression) = &mut self.compression else {
            return match self.read.poll_fill(cx, &mut self.stream, bytes_max) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(Some(count))) => {
                    self.bytes_read += count as u64;
                    Poll::Ready(Ok(count))
                }
                Poll::Ready(Ok(None)) => {
                    Poll::Ready(Err(FrameError::PacketTooLarge { bytes_max: self.max_packet }))
                }
                Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            };
        };
        loop {
            let before = self.read.len();
            if before > bytes_max {
                return Poll::Ready(Err(FrameError::PacketTooLarge { bytes_max: self.max_packet }));
            }
            if compression.unpack(&mut self.read)? && self.read.len() > before {
                return Poll::Ready(Ok(self.read.len() - before));
            }
            self.read.release_if_empty();
            let raw = &mut compression.raw;
            match raw.poll_fill(cx, &mut self.stream, Compression::frame_bytes_max()) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(Some(0))) => return Poll::Ready(Ok(0)),
                Poll::Ready(Ok(Some(count))) => self.bytes_read += count as u64,
                Poll::Ready(Ok(None)) => {
                    return Poll::Ready(Err(FrameError::PacketTooLarge { bytes_max: self.max_packet }));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// Resolves when the peer closed the connection or it failed; what the peer sends meanwhile is kept. Once
    /// 64 KiB wait unread, it never resolves.
    ///
    /// **Cancel safety**: safe.
    pub async fn watch_close(&mut self) -> FrameError {
        let held = self.held();
        poll_fn(|cx| {
            loop {
                let buffer = match &mut self.compression {
                    Some(compression) => &mut compression.raw,
                    None => &mut self.read,
                };
                if buffer.len() >= held + WATCH_BYTES_MAX {
                    return Poll::Pending;
                }
                match buffer.poll_fill(cx, &mut self.stream, held + 2 * WATCH_BYTES_MAX) {
                    Poll::Pending | Poll::Ready(Ok(None)) => return Poll::Pending,
                    Poll::Ready(Ok(Some(0))) => {
                        return Poll::Ready(FrameError::Closed { mid_packet: false });
                    }
                    Poll::Ready(Ok(Some(count))) => self.bytes_read += count as u64,
                    Poll::Ready(Err(error)) => return Poll::Ready(error.into()),
                }
            }
        })
        .await
    }

    /// True if the connection is open and the peer has sent nothing: what a pool wants of an idle connection.
    /// Costs no system call unless something happened.
    pub fn is_quiet(&mut self) -> bool {
        let raw = self.compression.as_ref().map_or(0, |compression| compression.raw.len());
        if raw > 0 || !self.buffered().is_empty() || self.join.is_open {
            return false;
        }
        if !self.stream.may_have_news() {
            self.read.release_if_empty();
            return true;
        }
        let mut cx = Context::from_waker(Waker::noop());
        self.poll_fill(&mut cx, RELAY_BYTES_MAX).is_pending()
    }

    // ---- writing ------------------------------------------------------------------------------------------

    /// Queues a payload as one or more packets with the next sequence ids. No IO.
    pub fn queue_packet(&mut self, payload: &[u8]) {
        buffer::lend_outgoing(&mut self.write);
        self.sequence = packet::put_packets(&mut self.write, payload, self.sequence);
    }

    /// Queues bytes that are packets already. No IO.
    pub fn queue_raw(&mut self, wire: &[u8]) {
        buffer::lend_outgoing(&mut self.write);
        self.write.extend_from_slice(wire);
    }

    /// Bytes queued and not yet written.
    pub fn queued(&self) -> usize {
        self.write.len() - self.written
    }

    /// Forgets what is queued.
    pub fn discard_queued(&mut self) {
        self.written = 0;
        buffer::return_outgoing(&mut self.write);
    }

    /// Writes what is queued.
    ///
    /// **Cancel safety**: safe without compression: a later call goes on where this one stopped. With
    /// compression a cancelled call loses bytes: close the connection.
    ///
    /// # Errors
    /// `Io`; `Compression` if the compressor fails.
    pub async fn flush(&mut self) -> Result<(), FrameError> {
        if let Some(compression) = &mut self.compression {
            let mut plain = std::mem::take(&mut self.write);
            buffer::lend_outgoing(&mut self.write);
            let packed = compression.pack(&plain, &mut self.write);
            buffer::return_outgoing(&mut plain);
            packed?;
        }
        while self.written < self.write.len() {
            let (stream, rest) = (&mut self.stream, &self.write[self.written..]);
            let count = poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, rest)).await?;
            self.count_written(count)?;
            self.written += count;
        }
        self.discard_queued();
        self.flush_stream().await
    }

    /// Writes what is queued and then `wire`, bytes that are packets already, without copying them if they
    /// are long.
    ///
    /// **Cancel safety**: not safe: a cancelled call leaves part of `wire` unsent; close the connection.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub async fn write_raw(&mut self, wire: &[u8]) -> Result<(), FrameError> {
        let queued = self.queued();
        if self.compression.is_some() || (queued > 0 && wire.len() <= COALESCE_BYTES_MAX) {
            self.queue_raw(wire);
            return self.flush().await;
        }
        let total = queued + wire.len();
        let mut sent = 0;
        while sent < total {
            let stream = &mut self.stream;
            let count = if sent < queued {
                let slices = [IoSlice::new(&self.write[self.written..]), IoSlice::new(wire)];
                poll_fn(|cx| Pin::new(&mut *stream).poll_write_vectored(cx, &slices)).await?
            } else {
                let rest = &wire[sent - queued..];
                poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, rest)).await?
            };
            self.count_written(count)?;
            self.written += count.min(queued.saturating_sub(sent));
            sent += count;
        }
        self.discard_queued();
        self.flush_stream().await
    }

    /// Writes what is queued and then a payload as packets, without copying it if it is long.
    ///
    /// **Cancel safety**: as [`Self::write_raw`].
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub async fn write_packet(&mut self, payload: &[u8]) -> Result<(), FrameError> {
        if payload.len() <= COALESCE_BYTES_MAX {
            self.queue_packet(payload);
            return self.flush().await;
        }
        for piece in packet::pieces(payload) {
            self.queue_raw(&Header { length: piece.len(), sequence: self.sequence }.to_bytes());
            self.sequence = self.sequence.wrapping_add(1);
            self.write_raw(piece).await?;
        }
        Ok(())
    }

    fn count_written(&mut self, count: usize) -> Result<(), FrameError> {
        if count == 0 {
            return Err(io::Error::from(io::ErrorKind::WriteZero).into());
        }
        self.bytes_written += count as u64;
        Ok(())
    }

    async fn flush_stream(&mut self) -> Result<(), FrameError> {
        if self.stream.is_tls() {
            let stream = &mut self.stream;
            poll_fn(|cx| Pin::new(&mut *stream).poll_flush(cx)).await?;
        }
        Ok(())
    }

    /// Writes what is queued and ends the connection for writing.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub async fn shutdown(&mut self) -> Result<(), FrameError> {
        self.flush().await?;
        let stream = &mut self.stream;
        poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx)).await?;
        Ok(())
    }

    // ---- TLS ----------------------------------------------------------------------------------------------

    /// Takes the stream out, with the bytes read from it and not consumed, for a TLS handshake.
    pub(super) fn take_stream(&mut self) -> (&mut Stream, Vec<u8>) {
        self.release_packet();
        let unread = self.read.unread().to_vec();
        self.read.consume(unread.len());
        self.read.release_if_empty();
        (&mut self.stream, unread)
    }

    /// Puts the encrypted stream in.
    pub(super) fn put_stream(&mut self, stream: Stream) {
        self.stream = stream;
    }

    /// Memory of the buffers held now, bytes.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        let raw = self.compression.as_ref().map_or(0, |compression| compression.raw.held_bytes());
        self.read.held_bytes() + self.write.capacity() + self.join.payload.capacity() + raw
    }
}
