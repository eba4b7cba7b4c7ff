//! Refusals of servers that say nothing about the statement.

use crate::protocol::result::ServerError;
use crate::schema::BUSY;

/// A statement was ended (by KILL, by its time), the server has no connections left, or is read-only because
/// another one takes its place: another try may help.
const PASSING: [u16; 10] = [1040, 1053, 1203, 1290, 1317, 1792, 1836, 1969, 3024, 3100];

/// Says whether another try may help.
pub(super) fn is_passing(error: &ServerError) -> bool {
    PASSING.contains(&error.errno) || BUSY.contains(&error.errno)
}
