//! Running one job: from an address to a place, from a place to a connection, from a connection to an answer.

pub(in crate::session) mod answer;
pub(in crate::session) mod exchange;
mod functions;
pub(in crate::session) mod job;
pub(in crate::session) mod linger;
pub(in crate::session) mod locks;
mod own_writes;
pub(in crate::session) mod place;
pub(in crate::session) mod previous;
pub(in crate::session) mod temporary;
mod wide;
mod xa;
