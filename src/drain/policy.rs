//! What the ladder may do by itself.

use serde::{Deserialize, Serialize};

use super::rung::Stage;

/// What is done when a rung's time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nothing, and nothing is said.
    Off,
    /// Nothing, but an event says what would have been done.
    Advise,
    /// It is done.
    Act,
}

/// A rung of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// Suspect: the DDL lane is closed, migrations pause.
    Contain,
    /// Degraded: DDL in flight is killed, permits shrink, statements fail fast.
    Limit,
    /// No new writes; transactions finish within a bound, then are killed.
    Drain,
    /// A replica is promoted.
    FailOver,
}

impl Rung {
    /// The stage that it leads to.
    pub(super) fn stage(self) -> Stage {
        match self {
            Self::Contain => Stage::Contained,
            Self::Limit => Stage::Limited,
            Self::Drain => Stage::Draining,
            Self::FailOver => Stage::FailingOver,
        }
    }
}

/// What the ladder may do by itself. Operators' commands are not bound by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Mode of [`Rung::Contain`].
    pub contain: Mode,
    /// Mode of [`Rung::Limit`].
    pub limit: Mode,
    /// Mode of [`Rung::Drain`].
    pub drain: Mode,
    /// Mode of [`Rung::FailOver`].
    pub fail_over: Mode,
    /// Clusters that may be drained or failing over at once by the ladder's own decision.
    pub drains_max: usize,
}

impl Policy {
    /// Acts up to draining, advises on failing over, one cluster at a time.
    pub const DEFAULT: Self = Self {
        contain: Mode::Act,
        limit: Mode::Act,
        drain: Mode::Act,
        fail_over: Mode::Advise,
        drains_max: 1,
    };

    /// What is done on a rung: never more than on the rungs below it, as each builds on them.
    pub fn mode(&self, rung: Rung) -> Mode {
        let steps = [
            (Rung::Contain, self.contain),
            (Rung::Limit, self.limit),
            (Rung::Drain, self.drain),
            (Rung::FailOver, self.fail_over),
        ];
        steps.iter().filter(|(step, _)| *step <= rung).map(|(_, mode)| *mode).min().unwrap_or(Mode::Off)
    }
}
