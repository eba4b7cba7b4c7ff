//! The one timer of a session.
//!
//! Deadlines of a session mostly move away from it: each statement has a new one. A timer of the runtime for
//! each would be set and taken back on every statement, so this one stays set and, when it goes off too
//! early, is set anew for what is wanted by then.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::time::{self, Sleep};

/// A timer that is kept between deadlines. Costs nothing until the first.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Resolves at `deadline`; never without one. Cancel safe.
    pub(super) async fn ring(&mut self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return pending().await };
        poll_fn(|cx| self.poll_ring(cx, deadline.into())).await;
    }

    fn poll_ring(&mut self, cx: &mut Context<'_>, deadline: time::Instant) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(time::sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if time::Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_rings_at_each_deadline_in_any_order() {
        let start = time::Instant::now();
        let mut alarm = Alarm::default();
        for seconds in [10, 30, 20, 31, 31, 90] {
            let deadline = start + Duration::from_secs(seconds);
            let rung_before = time::Instant::now();
            alarm.ring(Some(deadline.into_std())).await;
            assert_eq!(time::Instant::now(), deadline.max(rung_before), "{seconds}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_was_given_up_does_not_ring() {
        let start = time::Instant::now();
        let mut alarm = Alarm::default();
        let early = Some((start + Duration::from_secs(1)).into_std());
        let late = Some((start + Duration::from_secs(60)).into_std());
        let given_up = time::timeout(Duration::from_millis(1), alarm.ring(early)).await;
        assert!(given_up.is_err());
        alarm.ring(late).await;
        assert_eq!(start.elapsed(), Duration::from_secs(60));
        let never = time::timeout(Duration::from_secs(3600), alarm.ring(None)).await;
        assert!(never.is_err());
    }
}
