//! Collects one command's whole answer, for statements whose answer the session reads before the client does.

use std::future::Future;
use std::pin::Pin;

use crate::backend::Connection;
use crate::protocol::response::{Advance, ResponseTracker};

use super::relay::{RelayError, Stop};

/// Largest answer that is collected, in bytes; what may be longer is relayed.
pub const COLLECT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Collects the answer to the one command that was queued on `connection`, as wire bytes.
///
/// # Errors
/// As `super::relay`; an answer beyond [`COLLECT_BYTES_MAX`] is [`RelayError::TooLarge`]. The connection is
/// then in mid-answer.
pub async fn collect<S: Future<Output = Stop>>(
    connection: &mut Connection,
    tracker: &mut ResponseTracker,
    mut stop: Pin<&mut S>,
) -> Result<Vec<u8>, RelayError> {
    tokio::select! {
        biased;
        flushed = connection.framed.flush() => flushed.map_err(RelayError::Server)?,
        why = stop.as_mut() => return Err(RelayError::Stopped(why)),
    }
    let mut answer = Vec::new();
    loop {
        let advance = tracker.advance(connection.framed.buffered()).map_err(RelayError::Protocol)?;
        let take = advance.forward();
        if answer.len() + take > COLLECT_BYTES_MAX {
            return Err(RelayError::TooLarge { bytes_max: COLLECT_BYTES_MAX });
        }
        answer.extend_from_slice(&connection.framed.buffered()[..take]);
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
