//! On the server itself: marked, with a bounded wait for the table, and again after pauses that grow.

use std::time::Duration;

use super::hold::Hold;
use super::trouble::{Trouble, failure_of};
use crate::backend::direct::DirectError;
use crate::migrations::engine::client_settings;
use crate::migrations::fleet::schedule::Work;
use crate::protocol::result::ServerError;
use crate::schema::{BUSY, NOT_IN_PLACE, Pauses};

/// A table that is not had for so long is left, and comes again by the ledger.
const RETRY_WITHIN: Duration = Duration::from_secs(5);
/// While it waits for its table, other statements of the table queue behind it: seconds.
const LOCK_WAIT_S: u32 = 1;
/// What every statement of a fleet migration begins with in the process list. The ladder may kill them: they
/// are tried again.
pub(in crate::migrations::fleet::live) const MARK: &str = "/*fleet migration ";

/// What became of a statement.
pub(super) enum Sent {
    /// It was carried out.
    Done,
    /// The server will not do it as it was asserted; nothing was changed.
    NotInPlace(ServerError),
}

/// Carries one statement out in the database, with the client's settings; the connection looks again
/// afterwards.
///
/// # Errors
/// [`Trouble::Unknown`] when the connection was lost; else nothing was changed.
pub(super) async fn send(work: &Work, hold: &mut Hold, text: &[u8]) -> Result<Sent, Trouble> {
    let mut settings = client_settings(&work.order.settings);
    settings.push(format!("SET SESSION lock_wait_timeout = {LOCK_WAIT_S}"));
    hold.enter(&settings).await?;
    let sent = send_marked(work, hold, text).await?;
    // What was carried out stays so, whatever becomes of the connection; it is used no more then.
    match (&sent, hold.settle().await) {
        (Sent::Done, Err(_)) => hold.give_up(),
        (_, settled) => settled?,
    }
    Ok(sent)
}

async fn send_marked(work: &Work, hold: &mut Hold, text: &[u8]) -> Result<Sent, Trouble> {
    let mut marked = format!("{MARK}{}*/ ", work.order.id).into_bytes();
    marked.extend_from_slice(text);
    let mut pauses = Pauses::default();
    loop {
        let error = match hold.send(&marked).await {
            Ok(_) => return Ok(Sent::Done),
            Err(DirectError::Refused(error)) => error,
            Err(error) => return Err(Trouble::of_change(error)),
        };
        if NOT_IN_PLACE.contains(&error.errno) {
            return Ok(Sent::NotInPlace(error));
        }
        if !BUSY.contains(&error.errno) {
            return Err(Trouble::of_change(DirectError::Refused(error)));
        }
        match pauses.next(RETRY_WITHIN) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(Trouble::Again(failure_of(&error))),
        }
    }
}
