//! Where a test stops the process, as a crash would.

use std::fmt::Display;

/// The environment variable that names the point: `before:swap`, `failover:fenced`.
const STOP_AT: &str = "BULKHEAD_STOP_AT";

/// Where the process is to stop, in builds for tests; nowhere in others.
#[derive(Clone, Debug, Default)]
pub struct FailPoints(Option<String>);

impl FailPoints {
    /// As the environment says, in builds for tests.
    pub fn of_environment() -> Self {
        Self(if cfg!(debug_assertions) { std::env::var(STOP_AT).ok() } else { None })
    }

    /// Ends the process here, if a test named this point.
    pub fn pass(&self, point: impl Display) {
        let Some(wanted) = &self.0 else { return };
        if *wanted == point.to_string() {
            tracing::error!(wanted, "stopped by a test");
            std::process::abort();
        }
    }
}
