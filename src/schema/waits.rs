//! Waiting for a table: which errors of a server mean that it was not had, and when to come again.

use std::time::{Duration, Instant};

/// ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK: it did not get its table.
pub const BUSY: [u16; 2] = [1205, 1213];
/// ER_ALTER_OPERATION_NOT_SUPPORTED, … _REASON, ER_INNODB_MAX_ROW_VERSION, and
/// ER_INNODB_ONLINE_LOG_TOO_BIG: it will not be done in place.
pub const NOT_IN_PLACE: [u16; 4] = [1845, 1846, 4092, 1799];
/// What the client does not hear of a statement that was asserted.
pub const WITHHELD: [u16; 6] = [1205, 1213, 1845, 1846, 4092, 1799];

/// The first pause.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(8);

/// The pauses between attempts at one statement.
#[derive(Debug, Default)]
pub struct Pauses {
    since: Option<Instant>,
    made: u32,
}

impl Pauses {
    /// The next pause; `None` when the time is over: `within` since the first one was asked for.
    pub fn next(&mut self, within: Duration) -> Option<Duration> {
        let now = tokio::time::Instant::now().into_std();
        let since = *self.since.get_or_insert(now);
        let pause = PAUSE_MIN.saturating_mul(1 << self.made.min(8)).min(PAUSE_MAX);
        self.made += 1;
        (now.duration_since(since) + pause <= within).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_end() {
        let mut pauses = Pauses::default();
        let within = Duration::from_secs(10);
        let mut made = Vec::new();
        while let Some(pause) = pauses.next(within) {
            made.push(pause.as_millis());
            // An attempt of a second, then the pause.
            tokio::time::advance(pause + Duration::from_secs(1)).await;
        }
        assert_eq!(made, [250, 500, 1000, 2000]);
        assert_eq!(Pauses::default().next(Duration::ZERO), None);
    }
}
