//! Relays one command's answer from a server connection to the client, as bytes.
//!
//! Owns the loop of the one-shard path: read what the server sent, ask the tracker how much of it belongs to
//! the answer, write that to the client. No row is decoded and nothing is copied between the two sockets'
//! buffers. It decides nothing: who may run what, and what happens after an error, is the session's.

use std::future::Future;
use std::pin::Pin;

use crate::backend::Connection;
use crate::memory::Full;
use crate::protocol::errors::{FrameError, ProtocolError};
use crate::protocol::framed::Framed;
use crate::protocol::response::{Advance, CommandKind, ResponseTracker, StateView};
use crate::protocol::result::ServerError;

use super::rechain::Rechain;

/// Why a relay is to stop before the answer is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The statement's time is over.
    Deadline,
    /// The session is killed.
    Killed,
    /// The client went away.
    Left,
    /// The answer is larger than the user may have.
    TooLarge,
}

/// Why an answer did not arrive whole.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The client went away or does not read.
    #[error("the client's connection failed: {0}")]
    Client(#[source] FrameError),
    /// The server went away.
    #[error("the server's connection failed: {0}")]
    Server(#[source] FrameError),
    /// The server's bytes make no sense.
    #[error("the server broke the protocol: {0}")]
    Protocol(#[source] ProtocolError),
    /// A command that sets the connection up for the session failed; what came behind it may have run.
    #[error("the session's state could not be applied: {}", .0.message)]
    State(ServerError),
    /// The answer is larger than what is collected.
    #[error("the answer is larger than {bytes_max} bytes")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// The answer is more than may be held for the cluster.
    #[error("the answer cannot be held: {0}")]
    Memory(#[source] Full),
    /// The server asked for a file that nobody was asked to send.
    #[error("the server asks for a client's file")]
    UnaskedFile,
    /// Asked to stop.
    #[error("stopped: {0:?}")]
    Stopped(Stop),
}

/// The answer that is being relayed.
pub struct Answer<'a> {
    /// Started for the command that was queued last.
    pub tracker: &'a mut ResponseTracker,
    /// Answers that come before it, of commands that set the connection's state.
    pub state_answers: u32,
    /// What the client sees of changed session state.
    pub view: StateView,
    /// Numbers and flags of the client's packets, where the answer is one of several to one command.
    pub rechain: Option<Rechain>,
    /// Wire bytes that are passed on, at least; beyond, the relay stops. 0: no bound.
    pub bytes_max: u64,
    /// An ERR packet with one of these errnos is not passed on: the caller has a better one.
    pub withheld_errnos: &'static [u16],
    /// It was not passed on.
    pub withheld: bool,
}

impl Answer<'_> {
    /// How much of the last bytes the client is not to see.
    fn withhold(&mut self) -> usize {
        let end = self.tracker.end();
        self.withheld = end.error.as_ref().is_some_and(|error| self.withheld_errnos.contains(&error.errno));
        if self.withheld { end.error_packet_bytes } else { 0 }
    }

    fn is_too_large(&self) -> bool {
        self.bytes_max > 0 && self.tracker.end().bytes > self.bytes_max
    }
}

/// Relays the answer to what was queued on `connection`.
///
/// `stop` is polled only while the server is silent.
///
/// # Errors
/// See [`RelayError`]; [`ResponseTracker::has_begun`] then tells whether the client saw a part of the answer.
///
/// Cancel safety: none; a relay that is dropped leaves both connections in mid-answer.
pub async fn relay<S: Future<Output = Stop>>(
    client: &mut Framed,
    connection: &mut Connection,
    answer: &mut Answer<'_>,
    mut stop: Pin<&mut S>,
) -> Result<(), RelayError> {
    tokio::select! {
        biased;
        flushed = connection.framed.flush() => flushed.map_err(RelayError::Server)?,
        error = client.watch_close() => return Err(RelayError::Client(error)),
        why = stop.as_mut() => return Err(RelayError::Stopped(why)),
    }
    skip_state_answers(client, connection, answer, stop.as_mut()).await?;
    loop {
        let advance = answer.tracker.advance(connection.framed.buffered()).map_err(RelayError::Protocol)?;
        match advance {
            Advance::More { forward } => {
                pass(client, connection, answer, forward, stop.as_mut()).await?;
                if answer.is_too_large() {
                    return Err(RelayError::Stopped(Stop::TooLarge));
                }
                wait_for_server(client, connection, stop.as_mut()).await?;
            }
            Advance::Done { forward } => {
                let withheld = answer.withhold().min(forward);
                pass(client, connection, answer, forward - withheld, stop.as_mut()).await?;
                connection.framed.consume(withheld);
                return Ok(());
            }
            Advance::LocalInfile { forward } => {
                pass(client, connection, answer, forward, stop.as_mut()).await?;
                send_file(client, connection, answer, stop.as_mut()).await?;
                wait_for_server(client, connection, stop.as_mut()).await?;
            }
        }
    }
}

async fn wait_for_server<S: Future<Output = Stop>>(
    client: &mut Framed,
    connection: &mut Connection,
    stop: Pin<&mut S>,
) -> Result<(), RelayError> {
    tokio::select! {
        biased;
        read = connection.framed.fill() => read.map(|_| ()).map_err(RelayError::Server),
        error = client.watch_close() => Err(RelayError::Client(error)),
        why = stop => Err(RelayError::Stopped(why)),
    }
}

async fn skip_state_answers<S: Future<Output = Stop>>(
    client: &mut Framed,
    connection: &mut Connection,
    answer: &mut Answer<'_>,
    mut stop: Pin<&mut S>,
) -> Result<(), RelayError> {
    while answer.state_answers > 0 {
        let mut tracker = ResponseTracker::new();
        tracker.start(CommandKind::Simple, connection.capabilities());
        loop {
            let advance = tracker.advance(connection.framed.buffered()).map_err(RelayError::Protocol)?;
            connection.framed.consume(advance.forward());
            if matches!(advance, Advance::Done { .. }) {
                break;
            }
            wait_for_server(client, connection, stop.as_mut()).await?;
        }
        if let Some(error) = tracker.take_end().error {
            return Err(RelayError::State(error));
        }
        answer.state_answers -= 1;
    }
    Ok(())
}

async fn pass<S: Future<Output = Stop>>(
    client: &mut Framed,
    connection: &mut Connection,
    answer: &mut Answer<'_>,
    forward: usize,
    stop: Pin<&mut S>,
) -> Result<(), RelayError> {
    if forward == 0 {
        return Ok(());
    }
    let bytes = &connection.framed.buffered()[..forward];
    let changed = answer.tracker.changed();
    let seen = if changed.is_empty() { None } else { answer.view.of(bytes, changed) };
    let bytes = seen.as_deref().unwrap_or(bytes);
    let write = async {
        match &mut answer.rechain {
            None => client.write_raw(bytes).await,
            Some(rechain) => {
                let mut bytes = bytes.to_vec();
                rechain.rewrite(&mut bytes, answer.tracker.is_done() && !answer.withheld);
                client.write_raw(&bytes).await
            }
        }
    };
    tokio::select! {
        biased;
        written = write => written.map_err(RelayError::Client)?,
        // The client does not read: an answer that is cut here cannot go on, so its connection is given up.
        _ = stop => return Err(RelayError::Client(FrameError::Closed { mid_packet: true })),
    }
    connection.framed.consume(forward);
    Ok(())
}

/// Relays the file of LOAD DATA LOCAL INFILE: packets from the client up to and including the empty one. Its
/// packets are numbered by the client's chain, which may be ahead of the server's.
async fn send_file<S: Future<Output = Stop>>(
    client: &mut Framed,
    connection: &mut Connection,
    answer: &mut Answer<'_>,
    mut stop: Pin<&mut S>,
) -> Result<(), RelayError> {
    let sequence = answer.tracker.sequence();
    client.set_sequence(answer.rechain.as_ref().map_or(sequence, Rechain::sequence));
    connection.framed.set_sequence(sequence);
    loop {
        let packet = tokio::select! {
            packet = client.read_packet() => packet.map_err(RelayError::Client)?,
            why = stop.as_mut() => return Err(RelayError::Stopped(why)),
        };
        let is_last = packet.is_empty();
        connection.framed.queue_packet(packet);
        client.release_packet();
        tokio::select! {
            biased;
            flushed = connection.framed.flush() => flushed.map_err(RelayError::Server)?,
            why = stop.as_mut() => return Err(RelayError::Stopped(why)),
        }
        if is_last {
            break;
        }
    }
    if let Some(rechain) = &mut answer.rechain {
        rechain.set_sequence(client.sequence());
    }
    Ok(())
}
