//! `KILL [QUERY | CONNECTION] <id>`.

use super::super::context::{AdminContext, KillTarget};
use super::super::table::AdminAnswer;
use super::super::words::Words;
use super::done;
use crate::error::{ClientError, Code};
use crate::ids::SessionId;

pub(in crate::admin) async fn kill(
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Result<AdminAnswer, ClientError> {
    let target = if words.take("QUERY") {
        KillTarget::Query
    } else {
        words.take("CONNECTION");
        KillTarget::Connection
    };
    let number = words.number("a session id (SHOW SESSIONS)")?;
    words.end()?;
    let unknown = || ClientError::new(Code::NoSuchThread, format!("Unknown thread id: {number}"));
    let id = SessionId(u32::try_from(number).map_err(|_| unknown())?);
    if context.sessions.kill(id, target).await? { done(1, "") } else { Err(unknown()) }
}
