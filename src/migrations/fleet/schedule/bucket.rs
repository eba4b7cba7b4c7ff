//! Statements in a second.

use crate::migrations::fleet::ledger::Moment;

/// Longest time for which statements are owed: a flood of foreign ones holds ours back no longer.
const DEBT_SECONDS_MAX: f64 = 10.0;

/// A bucket of tokens, one a statement. Whoever finds a token may begin and owes what it takes beyond, so
/// that something that takes more than the bucket holds is begun too, and the rate is right over time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    tokens: f64,
    filled: Option<Moment>,
}

impl Bucket {
    /// Without a token: what was begun a moment ago, by a process that is gone, is not known.
    pub(super) fn new() -> Self {
        Self { tokens: 0.0, filled: None }
    }

    /// Adds what has come since the last time; holds what comes in a second, and one at least.
    pub(super) fn fill(&mut self, per_second: f64, now: Moment) {
        let since = self.filled.map_or(0.0, |filled| now.since(filled).as_secs_f64());
        self.filled = Some(now);
        let most = per_second.max(1.0);
        let least = -per_second.max(1.0) * DEBT_SECONDS_MAX;
        self.tokens = (self.tokens + since * per_second).clamp(least, most);
    }

    pub(super) fn has_any(&self) -> bool {
        self.tokens > 0.0
    }

    pub(super) fn take(&mut self, statements: f64) {
        self.tokens -= statements;
    }
}
