//! What changing a database takes: statements, and time.

use std::time::Duration;

use crate::ddl::{Decision, Route};

/// DDL statements of a change that is sent as it is.
const STATEMENTS_DIRECT: u16 = 1;
/// DDL statements of a copy: create the shadow table, change it, exchange, drop the old one; and the copy
/// itself.
const STATEMENTS_COPY: u16 = 5;

/// How long things take. First guesses; whoever has measured passes better ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// A statement that is sent as it is.
    pub direct: Duration,
    /// A copy of a table of one chunk.
    pub small_copy: Duration,
    /// Bytes that a copy of a large table moves in a second.
    pub copy_bytes_per_second: u64,
    /// Tables up to this size are of one chunk.
    pub small_bytes_max: u64,
}

impl Default for Costs {
    /// From measurements of small tables on a busy server (docs/performance.md), and from what other tools
    /// publish about large ones.
    fn default() -> Self {
        Self {
            direct: Duration::from_millis(10),
            small_copy: Duration::from_millis(30),
            copy_bytes_per_second: 20 << 20,
            small_bytes_max: 1 << 20,
        }
    }
}

/// DDL statements that a decision takes in each database; none when it is refused.
pub fn statements_of(decision: &Decision) -> u16 {
    match decision.route {
        Route::Direct => STATEMENTS_DIRECT,
        Route::Copy => STATEMENTS_COPY,
        Route::Refuse => 0,
    }
}

impl Costs {
    /// How long one database takes; the size counts for copies, and is small where it is not known.
    pub fn time_of(&self, route: Route, bytes: Option<u64>) -> Duration {
        match (route, bytes) {
            (Route::Refuse, _) => Duration::ZERO,
            (Route::Direct, _) => self.direct,
            (Route::Copy, Some(bytes)) if bytes > self.small_bytes_max => {
                let seconds = bytes as f64 / self.copy_bytes_per_second.max(1) as f64;
                self.small_copy + Duration::from_secs_f64(seconds.min(1e9))
            }
            (Route::Copy, _) => self.small_copy,
        }
    }
}
