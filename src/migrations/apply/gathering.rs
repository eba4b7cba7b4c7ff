//! How long changes are gathered before they are applied.

use std::time::{Duration, Instant};

/// Changes are gathered for so long, unless somebody waits for a marker behind them: a transaction for each
/// would cost the server, and its clients, more than the rows do.
const GATHER: Duration = Duration::from_millis(50);
/// What the feed has already comes along, but it is not waited with for longer: of few rows that change all
/// the time a batch never becomes full, and a feed that is behind always has something.
const PUT_OFF_MAX: Duration = Duration::from_millis(500);

/// What is pending is gathered; the default: nothing was seen to be pending.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gathering {
    due: Option<Due>,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    /// From now on it is applied when the feed has nothing more.
    at: Instant,
    /// From now on it is applied.
    latest: Instant,
}

impl Gathering {
    /// Something is pending: says whether it is to be applied now. `has_more`: the feed had something at the
    /// last look.
    pub(super) fn is_over(&mut self, now: Instant, has_more: bool) -> bool {
        let at = now + GATHER;
        let due = self.due.get_or_insert(Due { at, latest: at + PUT_OFF_MAX });
        now >= due.latest || (now >= due.at && !has_more)
    }

    /// Somebody waits for what has come.
    pub(super) fn hurry(&mut self, now: Instant) {
        let latest = self.due.map_or(now + PUT_OFF_MAX, |due| due.latest);
        self.due = Some(Due { at: now, latest });
    }

    /// How long it is gathered yet if the feed has nothing more; `None` if nothing is pending.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        self.due.map(|due| due.at.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// How long it takes until something is applied that is pending from now on; `None`: for ever.
    fn gathered(mut gathering: Gathering, has_more: bool) -> Option<Duration> {
        let began = Instant::now();
        (0..60_000).map(|ms| MS * ms).find(|passed| gathering.is_over(began + *passed, has_more))
    }

    #[test]
    fn changes_are_gathered_for_a_while() {
        assert_eq!(gathered(Gathering::default(), false), Some(GATHER));
    }

    #[test]
    fn a_feed_that_always_has_more_puts_it_off_for_a_bounded_time() {
        assert_eq!(gathered(Gathering::default(), true), Some(GATHER + PUT_OFF_MAX));
    }

    #[test]
    fn whoever_waits_for_a_marker_does_not_wait_for_more_to_be_gathered() {
        let mut gathering = Gathering::default();
        gathering.hurry(Instant::now());
        assert_eq!(gathered(gathering, false), Some(Duration::ZERO));
        let put_off = gathered(gathering, true).expect("it is not put off for ever");
        assert!(put_off <= PUT_OFF_MAX, "{put_off:?}");
        // One marker behind the other puts it off no further.
        let now = Instant::now();
        let mut gathering = Gathering::default();
        assert!(!gathering.is_over(now, true));
        gathering.hurry(now + PUT_OFF_MAX);
        assert!(gathering.is_over(now + GATHER + PUT_OFF_MAX, true));
        assert_eq!(gathering.left(now), Some(PUT_OFF_MAX));
    }
}
