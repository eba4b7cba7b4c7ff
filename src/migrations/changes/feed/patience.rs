//! How long one subscriber may keep the others of a feed waiting.

use std::time::Duration;

use tokio::time::Instant;

/// A subscriber that has not held the feed of late may hold it for so long.
const HELD_MAX: Duration = Duration::from_secs(10);
/// Of the time that passes, one part in so many is given back: one that is always behind, by a little each
/// time, does not take most of everybody's time either.
const GIVEN_BACK: u32 = 4;

/// What one subscriber may still take of the others' time.
#[derive(Debug)]
pub(super) struct Patience {
    used: Duration,
    at: Instant,
}

impl Patience {
    pub(super) fn new(now: Instant) -> Self {
        Self { used: Duration::ZERO, at: now }
    }

    /// How long it may hold the feed now.
    pub(super) fn left(&mut self, now: Instant) -> Duration {
        let back = now.saturating_duration_since(self.at) / GIVEN_BACK;
        self.used = self.used.saturating_sub(back);
        self.at = now;
        HELD_MAX.saturating_sub(self.used)
    }

    /// It held the feed for so long, until now.
    pub(super) fn use_up(&mut self, held: Duration, now: Instant) {
        self.used = self.used.saturating_add(held);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_long_wait_and_many_short_ones_use_it_up_alike() {
        let start = Instant::now();
        let mut patience = Patience::new(start);
        assert_eq!(patience.left(start), HELD_MAX);
        patience.use_up(HELD_MAX, start + HELD_MAX);
        assert_eq!(patience.left(start + HELD_MAX), Duration::ZERO);
        assert_eq!(patience.left(start + HELD_MAX + Duration::from_secs(8)), Duration::from_secs(2));

        // Half of the time, a second at a time.
        let (mut patience, mut now, mut turns) = (Patience::new(start), start, 0);
        while !patience.left(now).is_zero() {
            now += Duration::from_secs(1);
            patience.use_up(Duration::from_secs(1), now);
            now += Duration::from_secs(1);
            turns += 1;
            assert!(turns < 20, "it comes to an end");
        }
        // A tenth of the time: for ever.
        let (mut patience, mut now) = (Patience::new(start), start);
        for _ in 0..1_000 {
            assert!(patience.left(now) > HELD_MAX / 2);
            now += Duration::from_secs(1);
            patience.use_up(Duration::from_secs(1), now);
            now += Duration::from_secs(9);
        }
    }
}
