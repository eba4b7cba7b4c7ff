//! How long a waiting statement may wait: CoDel's idea on the clock of a queue.
//!
//! A queue that empties now and then absorbs bursts; one that has not been empty for a while only makes every
//! statement late. In the second case waiting is cut short, so that those who still come in time are served
//! and the others learn at once that they are not.

use std::time::{Duration, Instant};

/// A queue that was not empty for so long is standing.
const STANDING_AFTER: Duration = Duration::from_millis(500);
/// In a standing queue nobody waits longer: a few times what a write takes.
const STANDING_WAIT: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Turns {
    empty_at: Instant,
}

impl Turns {
    pub(super) fn new(now: Instant) -> Self {
        Self { empty_at: now }
    }

    pub(super) fn note_empty(&mut self, now: Instant) {
        self.empty_at = now;
    }

    /// The longest that a statement may have waited when its turn comes.
    pub(super) fn wait_max(&self, patience: Duration, now: Instant) -> Duration {
        let is_standing = now.saturating_duration_since(self.empty_at) >= STANDING_AFTER;
        if is_standing { STANDING_WAIT.min(patience) } else { patience }
    }
}
