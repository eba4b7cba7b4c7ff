//! Collects one command's whole answer, for statements whose answer the session reads before the client does.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;

use crate::backend::Connection;
use crate::memory::{Full, Holding, Memory, OWN_BYTES};
use crate::protocol::response::{Advance, ResponseTracker};

use super::relay::{RelayError, Stop};

/// Largest answer that is collected, in bytes; what may be longer is relayed.
pub const COLLECT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// An answer as wire bytes, counted for its cluster while it is kept.
#[derive(Debug, Default)]
pub struct Collected {
    bytes: Vec<u8>,
    held: Option<Holding>,
}

impl Collected {
    /// Adds bytes; `memory` holds what is beyond a session's own buffers.
    fn add(&mut self, more: &[u8], memory: Option<&Arc<Memory>>) -> Result<(), Full> {
        let length = self.bytes.len() + more.len();
        if length > OWN_BYTES && length > self.bytes.capacity() {
            // What is counted is what is allocated.
            let room = length.next_power_of_two();
            match (&mut self.held, memory) {
                (Some(held), _) => held.grow_to(room)?,
                (held @ None, Some(memory)) => *held = Some(memory.hold(room)?),
                (None, None) => {}
            }
            self.bytes.reserve_exact(room - self.bytes.len());
        }
        self.bytes.extend_from_slice(more);
        Ok(())
    }
}

impl From<Vec<u8>> for Collected {
    /// Bytes that nobody counts: an answer that is small.
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, held: None }
    }
}

impl Deref for Collected {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl DerefMut for Collected {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

/// Collects the answer to the one command that was queued on `connection`, as wire bytes. They are held of
/// the cluster's `memory`; absent: for commands that are answered by OK or ERR.
///
/// # Errors
/// As `super::relay`; an answer beyond [`COLLECT_BYTES_MAX`] is [`RelayError::TooLarge`], one that cannot be
/// held [`RelayError::Memory`]. The connection is then in mid-answer.
pub async fn collect<S: Future<Output = Stop>>(
    connection: &mut Connection,
    tracker: &mut ResponseTracker,
    memory: Option<&Arc<Memory>>,
    mut stop: Pin<&mut S>,
) -> Result<Collected, RelayError> {
    tokio::select! {
        biased;
        flushed = connection.framed.flush() => flushed.map_err(RelayError::Server)?,
        why = stop.as_mut() => return Err(RelayError::Stopped(why)),
    }
    let mut answer = Collected::default();
    loop {
        let advance = tracker.advance(connection.framed.buffered()).map_err(RelayError::Protocol)?;
        let take = advance.forward();
        if answer.len() + take > COLLECT_BYTES_MAX {
            return Err(RelayError::TooLarge { bytes_max: COLLECT_BYTES_MAX });
        }
        answer.add(&connection.framed.buffered()[..take], memory).map_err(RelayError::Memory)?;
        connection.framed.consume(take);
        match advance {
            // Several answers may have come with one read: more is read only when what is there is used up.
            Advance::More { .. } => wait_for_server(connection, stop.as_mut()).await?,
            Advance::Done { .. } => {
                connection.note_aside(tracker.end());
                return Ok(answer);
            }
            Advance::LocalInfile { .. } => return Err(RelayError::UnaskedFile),
        }
    }
}

async fn wait_for_server<S: Future<Output = Stop>>(
    connection: &mut Connection,
    stop: Pin<&mut S>,
) -> Result<(), RelayError> {
    tokio::select! {
        biased;
        read = connection.framed.fill() => read.map(|_| ()).map_err(RelayError::Server),
        why = stop => Err(RelayError::Stopped(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_an_answer_is_counted() {
        let memory = Memory::new(3 * OWN_BYTES);
        let mut small = Collected::default();
        small.add(&[1; OWN_BYTES], Some(&memory)).unwrap();
        assert_eq!((memory.used(), small.len()), (0, OWN_BYTES), "the session's own buffers");
        small.add(&[2; 1], Some(&memory)).unwrap();
        assert_eq!((memory.used(), small.bytes.capacity()), (2 * OWN_BYTES, 2 * OWN_BYTES));
        let mut other = Collected::default();
        assert!(other.add(&[3; OWN_BYTES + 1], Some(&memory)).is_err());
        assert!(small.add(&[3; OWN_BYTES], Some(&memory)).is_err(), "it would be four times as much");
        small.add(&[2; OWN_BYTES - 1], Some(&memory)).unwrap();
        drop(small);
        assert_eq!(memory.used(), 0);
        other.add(&[3; OWN_BYTES + 1], Some(&memory)).unwrap();
        assert_eq!((memory.used(), other.len()), (2 * OWN_BYTES, OWN_BYTES + 1));
    }
}
