//! Whether a server is tried: a state machine over the outcomes of attempts to connect to it. Pure: time and
//! chance are passed in.
//!
//! ```text
//!   working ──failed──▶ left alone ──pause over, an attempt begins──▶ retrying
//!      ▲                 ▲   │ failed: a longer pause                   │  │
//!      │                 └───┴──────────── failed ──────────────────────┘  │
//!      └──────────────────────────── succeeded ────────────────────────────┘
//! ```
//!
//! Elsewhere these are called closed, open and half-open, and half of the readers take that the other way
//! round. While a server is left alone nobody waits for it; the pause over, one attempt is made, and the
//! others are told of the failure before it until that one has ended. Each server has a breaker of its own,
//! so a replica that is down says nothing about its primary.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::error::{OpenError, OpenFailure};

/// First pause after a failure.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// Doublings of the first pause, at most; that is beyond the longest one.
const DOUBLINGS_MAX: u32 = 10;
/// What chance is counted in: half of a pause is spread over so many parts.
pub(super) const SPREAD: u32 = 1024;

/// How a server's breaker stands, as it is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum BreakerState {
    /// The last attempt went well, or there was none.
    #[default]
    Working,
    /// The pause after a failure is over: one attempt is made, or will be with the next statement.
    Retrying,
    /// It failed a moment ago; nobody tries, and whoever needs it is told at once.
    LeftAlone,
}

impl BreakerState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Working, Self::Retrying, Self::LeftAlone];

    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Retrying => "retrying",
            Self::LeftAlone => "left_alone",
        }
    }
}

/// One server's breaker.
#[derive(Debug, Default)]
pub(in crate::backend) struct Breaker {
    standing: Standing,
}

#[derive(Debug, Default)]
enum Standing {
    #[default]
    Working,
    LeftAlone {
        until: Instant,
        failures: u32,
        cause: Arc<OpenError>,
    },
    Retrying {
        failures: u32,
        cause: Arc<OpenError>,
    },
}

impl Breaker {
    /// Says whether no attempt failed since one went well.
    pub(super) fn is_working(&self) -> bool {
        matches!(self.standing, Standing::Working)
    }

    /// Says whether an attempt may begin: any while it works, and one behind a pause.
    pub(super) fn may_begin(&self, now: Instant) -> bool {
        match &self.standing {
            Standing::Working => true,
            Standing::LeftAlone { until, .. } => now >= *until,
            Standing::Retrying { .. } => false,
        }
    }

    /// An attempt begins.
    pub(super) fn begin(&mut self, now: Instant) {
        if let Standing::LeftAlone { until, failures, cause } = &self.standing
            && now >= *until
        {
            self.standing = Standing::Retrying { failures: *failures, cause: Arc::clone(cause) };
        }
    }

    /// An attempt came to nothing, for no fault of the server: the next one may begin at once.
    pub(super) fn give_up(&mut self, now: Instant) {
        if let Standing::Retrying { failures, cause } = &self.standing {
            self.standing = Standing::LeftAlone { until: now, failures: *failures, cause: Arc::clone(cause) };
        }
    }

    /// An attempt went well.
    pub(super) fn succeed(&mut self) {
        self.standing = Standing::Working;
    }

    /// An attempt failed: gives the pause. Each failure in a row doubles it; half of it is by `chance`, less
    /// than [`SPREAD`], so that many proxies do not come back at once.
    pub(super) fn fail(&mut self, cause: Arc<OpenError>, chance: u32, now: Instant) -> Duration {
        let before = match &self.standing {
            Standing::Working => 0,
            Standing::LeftAlone { failures, .. } | Standing::Retrying { failures, .. } => *failures,
        };
        let full = PAUSE_FIRST.saturating_mul(1 << before.min(DOUBLINGS_MAX)).min(PAUSE_MAX);
        let pause = full / 2 + full / (2 * SPREAD) * chance.min(SPREAD);
        self.standing = Standing::LeftAlone { until: now + pause, failures: before.saturating_add(1), cause };
        pause
    }

    /// The failure, while the server is left alone for it.
    pub(super) fn left_alone(&self, now: Instant) -> Option<OpenFailure> {
        match &self.standing {
            Standing::LeftAlone { until, cause, .. } if now < *until => Some(remembered(cause)),
            _ => None,
        }
    }

    /// What whoever needs the server is told at once, unless something of it is left to wait for: while it is
    /// left alone, and while one attempt shows whether it is back.
    pub(super) fn refusal(&self, now: Instant) -> Option<OpenFailure> {
        match &self.standing {
            Standing::Retrying { cause, .. } => Some(remembered(cause)),
            Standing::Working | Standing::LeftAlone { .. } => self.left_alone(now),
        }
    }

    /// How it stands.
    pub(super) fn state(&self, now: Instant) -> BreakerState {
        match &self.standing {
            Standing::Working => BreakerState::Working,
            Standing::LeftAlone { until, .. } if now < *until => BreakerState::LeftAlone,
            Standing::LeftAlone { .. } | Standing::Retrying { .. } => BreakerState::Retrying,
        }
    }

    /// How long it is left alone yet.
    pub(super) fn pause_left(&self, now: Instant) -> Option<Duration> {
        match &self.standing {
            Standing::LeftAlone { until, .. } => Some(until.saturating_duration_since(now)),
            Standing::Working | Standing::Retrying { .. } => None,
        }
        .filter(|left| !left.is_zero())
    }

    /// The last failure, until an attempt goes well.
    pub(super) fn cause(&self) -> Option<&OpenError> {
        match &self.standing {
            Standing::Working => None,
            Standing::LeftAlone { cause, .. } | Standing::Retrying { cause, .. } => Some(cause),
        }
    }
}

fn remembered(cause: &Arc<OpenError>) -> OpenFailure {
    OpenFailure { cause: Arc::clone(cause), is_remembered: true }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cause() -> Arc<OpenError> {
        Arc::new(OpenError::TlsNotOffered)
    }

    /// Left alone since `now` after one failure; and for how long.
    fn failed(now: Instant) -> (Breaker, Duration) {
        let mut breaker = Breaker::default();
        let pause = breaker.fail(cause(), 0, now);
        (breaker, pause)
    }

    #[test]
    fn a_failure_is_remembered_then_one_attempt_decides() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        breaker.begin(now);
        assert!(breaker.may_begin(now) && breaker.refusal(now).is_none() && breaker.cause().is_none());
        let pause = breaker.fail(cause(), 0, now);
        assert_eq!(breaker.state(now), BreakerState::LeftAlone);
        assert_eq!(breaker.pause_left(now), Some(pause));
        assert!(!breaker.may_begin(now) && breaker.refusal(now).is_some_and(|failure| failure.is_remembered));
        let later = now + pause;
        assert_eq!((breaker.state(later), breaker.pause_left(later)), (BreakerState::Retrying, None));
        assert!(breaker.may_begin(later) && breaker.refusal(later).is_none(), "somebody has to try");
        breaker.begin(later);
        assert_eq!(breaker.state(later), BreakerState::Retrying);
        assert!(!breaker.may_begin(later) && breaker.refusal(later).is_some(), "the others are told at once");
        assert!(breaker.left_alone(later).is_none(), "who tries is not told");
        breaker.succeed();
        assert_eq!((breaker.state(later), breaker.is_working()), (BreakerState::Working, true));
        assert!(breaker.may_begin(later) && breaker.refusal(later).is_none());
    }

    #[test]
    fn an_attempt_that_is_given_up_decides_nothing() {
        let now = Instant::now();
        let (mut breaker, pause) = failed(now);
        breaker.give_up(now);
        assert_eq!(breaker.state(now), BreakerState::LeftAlone, "an older attempt does not end the pause");
        let later = now + pause;
        breaker.begin(later);
        breaker.give_up(later);
        assert!(breaker.may_begin(later) && !breaker.is_working() && breaker.cause().is_some());
    }

    #[test]
    fn pauses_grow_to_a_bound_and_end_with_a_success() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for failures in 0..20u32 {
            let full = PAUSE_FIRST.saturating_mul(1 << failures.min(10)).min(PAUSE_MAX);
            let chance = failures * 53 % SPREAD;
            let pause = breaker.fail(cause(), chance, now);
            assert!(pause >= full / 2 && pause <= full, "{pause:?} of {full:?}");
        }
        let longest = breaker.fail(cause(), SPREAD - 1, now);
        assert!(longest > PAUSE_MAX * 9 / 10 && longest <= PAUSE_MAX, "{longest:?}");
        breaker.succeed();
        assert!(breaker.fail(cause(), SPREAD - 1, now) <= PAUSE_FIRST, "it begins anew");
    }

    #[derive(Clone, Copy, Debug)]
    enum Move {
        Begin,
        Fail,
        Succeed,
        GiveUp,
        Pass(u64),
    }

    proptest! {
        #[test]
        fn behind_a_failure_there_is_one_attempt_at_a_time(
            moves in prop::collection::vec(
                prop_oneof![
                    3 => Just(Move::Begin), 3 => Just(Move::Fail), 1 => Just(Move::Succeed),
                    1 => Just(Move::GiveUp), 3 => (0..12_000u64).prop_map(Move::Pass),
                ],
                1..100,
            )
        ) {
            let mut now = Instant::now();
            let (mut breaker, _) = failed(now);
            let (mut attempts, mut is_failing) = (0_u32, true);
            for what in moves {
                match what {
                    Move::Begin if breaker.may_begin(now) => {
                        breaker.begin(now);
                        attempts += 1;
                        prop_assert!(!is_failing || attempts == 1);
                    }
                    Move::Fail if attempts > 0 => {
                        breaker.fail(cause(), 512, now);
                        // The others that were under way are not followed further here.
                        (attempts, is_failing) = (0, true);
                        prop_assert!(!breaker.may_begin(now) && breaker.refusal(now).is_some());
                    }
                    Move::Succeed if attempts > 0 => {
                        breaker.succeed();
                        (attempts, is_failing) = (0, false);
                    }
                    Move::GiveUp if attempts > 0 => {
                        breaker.give_up(now);
                        attempts -= 1;
                    }
                    Move::Pass(ms) => now += Duration::from_millis(ms),
                    Move::Begin | Move::Fail | Move::Succeed | Move::GiveUp => {}
                }
                prop_assert_eq!(breaker.is_working(), !is_failing);
                prop_assert_eq!(breaker.cause().is_some(), is_failing);
                prop_assert_eq!(breaker.state(now) == BreakerState::Working, !is_failing);
                // Told at once, or free to try, or one tries: nobody waits for nothing.
                let may = breaker.may_begin(now);
                prop_assert!(may != breaker.refusal(now).is_some());
            }
            // It never stays left alone.
            let (_, end) = (breaker.give_up(now), now + PAUSE_MAX);
            prop_assert!(breaker.may_begin(end));
        }
    }
}
