//! The scheduler's clock: the wall's time at the start, and the machine's since.

use std::time::{Instant, SystemTime};

use crate::migrations::fleet::ledger::Moment;

/// Does not go back when somebody sets the wall's clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticker {
    began: Moment,
    at: Instant,
}

impl Ticker {
    pub(super) fn new() -> Self {
        Self { began: Moment::from_wall(SystemTime::now()), at: Instant::now() }
    }

    pub(super) fn now(&self) -> Moment {
        self.began.after(self.at.elapsed())
    }
}
