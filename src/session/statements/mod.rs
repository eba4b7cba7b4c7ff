//! Statements that are the session's own business: SET, transactions, what Bulkhead answers, texts of several
//! statements.

pub(in crate::session) mod deferred;
pub(in crate::session) mod local;
pub(in crate::session) mod multi;
mod transaction;
pub(in crate::session) mod variables;
