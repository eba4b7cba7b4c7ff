//! Read and write buffers that an idle connection does not hold.
//!
//! Buffers are lent by a per-thread stock when bytes are about to arrive, and go back when a read finds
//! nothing and nothing is unread: thousands of idle connections share a few buffers, and a busy one
//! allocates nothing.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

use super::stream::Stream;

/// Bytes of a buffer as it is lent first.
const SMALL_BYTES: usize = 16 * 1024;
/// Bytes of a buffer once a read filled the small one: fewer system calls for long answers.
const LARGE_BYTES: usize = 64 * 1024;
/// Buffers of each size that a thread keeps.
const STOCK_MAX: usize = 32;

#[derive(Default)]
struct Stock {
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
    outgoing: Vec<Vec<u8>>,
}

thread_local! {
    static STOCK: RefCell<Stock> = RefCell::default();
}

fn borrow_buffer(large: bool) -> Vec<u8> {
    let found = STOCK.with_borrow_mut(|stock| if large { stock.large.pop() } else { stock.small.pop() });
    found.unwrap_or_else(|| vec![0; if large { LARGE_BYTES } else { SMALL_BYTES }])
}

fn return_buffer(buffer: Vec<u8>) {
    STOCK.with_borrow_mut(|stock| {
        let shelf = match buffer.len() {
            SMALL_BYTES => &mut stock.small,
            LARGE_BYTES => &mut stock.large,
            _ => return,
        };
        if shelf.len() < STOCK_MAX {
            shelf.push(buffer);
        }
    });
}

/// Gives `buffer` room for writing if it has none.
pub(super) fn lend_outgoing(buffer: &mut Vec<u8>) {
    if buffer.capacity() == 0 {
        let found = STOCK.with_borrow_mut(|stock| stock.outgoing.pop());
        *buffer = found.unwrap_or_else(|| Vec::with_capacity(1024));
    }
}

/// Empties `buffer` and takes its memory back.
pub(super) fn return_outgoing(buffer: &mut Vec<u8>) {
    let mut taken = std::mem::take(buffer);
    if taken.capacity() == 0 || taken.capacity() > LARGE_BYTES {
        return;
    }
    taken.clear();
    STOCK.with_borrow_mut(|stock| {
        if stock.outgoing.len() < STOCK_MAX {
            stock.outgoing.push(taken);
        }
    });
}

/// Bytes read and not yet consumed.
///
/// Invariant: `start <= end <= bytes.len()`; all of `bytes` is initialised.
#[derive(Debug, Default)]
pub(super) struct ReadBuffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// The last read filled the buffer: more is likely waiting.
    is_busy: bool,
}

impl ReadBuffer {
    /// What is unread.
    pub(super) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Bytes unread.
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Drops `count` unread bytes from the front, at most all.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// Memory held, bytes.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives the memory back if nothing is unread.
    pub(super) fn release_if_empty(&mut self) {
        if self.start == self.end && !self.bytes.is_empty() {
            (self.start, self.end) = (0, 0);
            return_buffer(std::mem::take(&mut self.bytes));
        }
    }

    /// Reads once from `stream`, behind what is unread, in a buffer of at most `bytes_max`; `Ok(0)` is the
    /// end of the stream, `None` says that the buffer is full of unread bytes.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut Stream,
        bytes_max: usize,
    ) -> Poll<io::Result<Option<usize>>> {
        if stream.poll_maybe_readable(cx).is_pending() {
            self.is_busy = false;
            self.release_if_empty();
            return Poll::Pending;
        }
        if !self.make_room(bytes_max) {
            return Poll::Ready(Ok(None));
        }
        let mut into = ReadBuf::new(&mut self.bytes[self.end..]);
        match Pin::new(stream).poll_read(cx, &mut into) {
            Poll::Ready(Ok(())) => {
                let count = into.filled().len();
                self.end += count;
                self.is_busy = self.end == self.bytes.len();
                if count == 0 {
                    self.release_if_empty();
                }
                Poll::Ready(Ok(Some(count)))
            }
            Poll::Ready(Err(error)) => {
                self.release_if_empty();
                Poll::Ready(Err(error))
            }
            Poll::Pending => {
                self.is_busy = false;
                self.release_if_empty();
                Poll::Pending
            }
        }
    }

    /// The next `count` bytes behind what is unread, to be written by the caller; they count as unread.
    pub(super) fn extend(&mut self, count: usize) -> &mut [u8] {
        self.compact();
        let end = self.end + count;
        if self.bytes.is_empty() && end <= SMALL_BYTES {
            self.bytes = borrow_buffer(false);
        }
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        let room = &mut self.bytes[self.end..end];
        self.end = end;
        room
    }

    /// Takes back the last `count` bytes of an [`Self::extend`] that came to nothing.
    pub(super) fn retract(&mut self, count: usize) {
        self.end = (self.end - count).max(self.start);
    }

    fn compact(&mut self) {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }

    /// Makes room for at least one byte; false if `bytes_max` are unread already.
    fn make_room(&mut self, bytes_max: usize) -> bool {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            let wanted = if self.is_busy { LARGE_BYTES } else { SMALL_BYTES };
            if self.bytes.len() > LARGE_BYTES || self.bytes.len() < wanted {
                return_buffer(std::mem::take(&mut self.bytes));
                self.bytes = borrow_buffer(self.is_busy);
            }
            return true;
        }
        let (unread, size) = (self.len(), self.bytes.len());
        if size - self.end < size / 4 && unread < size / 2 {
            self.compact();
        }
        if self.end < self.bytes.len() {
            return true;
        }
        self.compact();
        if self.end < self.bytes.len() {
            return true;
        }
        if self.bytes.len() >= bytes_max {
            return false;
        }
        let size = (self.bytes.len() * 2).min(bytes_max.max(LARGE_BYTES));
        self.bytes.resize(size, 0);
        true
    }
}
