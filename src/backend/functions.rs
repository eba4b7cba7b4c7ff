//! Whether a cluster may have stored functions.
//!
//! A function behind a view is all that lets a SELECT change session state. MySQL does not tell of that by
//! rows that end in EOF, so behind such a SELECT it is asked by one more command; where there is no stored
//! function at all, which is looked at now and then, that command is saved.

use std::sync::atomic::{AtomicU64, Ordering};

use super::connection::Connection;
use super::error::OpenError;
use crate::protocol::command;

/// Asked on the control connection: the admin login sees every routine. No table is opened for it.
const QUESTION: &str = "SELECT EXISTS (SELECT 1 FROM information_schema.routines \
    WHERE routine_type = 'FUNCTION' \
    AND routine_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema'))";

/// What is known of a cluster's stored functions; until the first look there may be some.
///
/// **Shape**: the lowest bit says that there may be some, the others count what made that likely, so that a
/// look which began before is not believed.
#[derive(Debug)]
pub(super) struct StoredFunctions(AtomicU64);

impl Default for StoredFunctions {
    fn default() -> Self {
        Self(AtomicU64::new(1))
    }
}

impl StoredFunctions {
    /// Says whether there may be some.
    pub(super) fn may_exist(&self) -> bool {
        self.0.load(Ordering::Relaxed) & 1 == 1
    }

    /// Tells that one may have been created.
    pub(super) fn expect(&self) {
        // Whatever it was, it is odd and higher now.
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |before| Some((before + 2) | 1));
    }

    /// Looks, on a connection that sees all routines.
    ///
    /// # Errors
    /// The server was not asked, or answered something else; what was known stays.
    pub(super) async fn look(&self, connection: &mut Connection) -> Result<(), OpenError> {
        let before = self.0.load(Ordering::Acquire);
        let payload = command::query_payload(QUESTION.as_bytes(), &[], connection.capabilities());
        connection.queue_command(&payload);
        connection.framed.flush().await?;
        let found = connection.read_value().await?.as_deref() != Some("0");
        // A creation in between counts for more than this answer.
        let _ = self.0.compare_exchange(
            before,
            (before & !1) | u64::from(found),
            Ordering::AcqRel,
            Ordering::Acquire,
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_may_be_some_until_a_look_found_none() {
        let functions = StoredFunctions::default();
        assert!(functions.may_exist());
        functions.0.store(6, Ordering::Relaxed);
        assert!(!functions.may_exist());
        functions.expect();
        assert!(functions.may_exist());
        assert_eq!(functions.0.load(Ordering::Relaxed), 9);
    }
}
