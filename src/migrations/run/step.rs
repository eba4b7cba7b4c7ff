//! The steps of a migration, and where a test may stop the process.

use serde::{Deserialize, Serialize};

use crate::fail_point;
use crate::migrations::view::State;

/// The steps, in order. Each may be repeated: what it finds done it does not do again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Enters it into the ledger of the cluster.
    Claim,
    /// Looks at the table and the server, and chooses between one chunk and the feed.
    Inspect,
    /// Makes the shadow table.
    Shadow,
    /// Subscribes to the table's changes.
    Subscribe,
    /// Copies the rows.
    Copy,
    /// Builds the indexes that were left out.
    Index,
    /// Compares the tables.
    Verify,
    /// Waits for an operator, if it is postponed.
    Await,
    /// Holds the table's statements at the proxy.
    Gate,
    /// Locks both tables on the server.
    Lock,
    /// Applies the last changes, or copies the one chunk, under the lock.
    Drain,
    /// Exchanges the tables.
    Swap,
    /// Lets go of the locks and the statements.
    Unlock,
    /// Writes down that it is done.
    Settle,
    /// Drops the old table, when its time is over.
    Retire,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Self; 15] = [
        Self::Claim,
        Self::Inspect,
        Self::Shadow,
        Self::Subscribe,
        Self::Copy,
        Self::Index,
        Self::Verify,
        Self::Await,
        Self::Gate,
        Self::Lock,
        Self::Drain,
        Self::Swap,
        Self::Unlock,
        Self::Settle,
        Self::Retire,
    ];

    /// Name for people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Inspect => "inspect",
            Self::Shadow => "shadow",
            Self::Subscribe => "subscribe",
            Self::Copy => "copy",
            Self::Index => "index",
            Self::Verify => "verify",
            Self::Await => "await",
            Self::Gate => "gate",
            Self::Lock => "lock",
            Self::Drain => "drain",
            Self::Swap => "swap",
            Self::Unlock => "unlock",
            Self::Settle => "settle",
            Self::Retire => "retire",
        }
    }

    /// The state that people are shown meanwhile.
    pub fn state(self) -> State {
        match self {
            Self::Claim | Self::Inspect | Self::Shadow => State::Preparing,
            Self::Subscribe | Self::Copy | Self::Index => State::Copying,
            Self::Verify => State::Verifying,
            Self::Await => State::Postponed,
            Self::Gate | Self::Lock | Self::Drain | Self::Swap | Self::Unlock | Self::Settle => {
                State::CuttingOver
            }
            Self::Retire => State::Done,
        }
    }

    /// Says whether the tables may have been exchanged when this was the step that was written down.
    pub(in crate::migrations) fn may_be_swapped(self) -> bool {
        matches!(self, Self::Gate | Self::Lock | Self::Drain | Self::Swap | Self::Unlock | Self::Settle)
    }
}

/// Which side of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::migrations) enum Side {
    Before,
    After,
}

/// Where a test stops the process: `before:swap`, `after:copy`.
#[derive(Clone, Debug, Default)]
pub(in crate::migrations) struct FailPoints(fail_point::FailPoints);

impl FailPoints {
    /// As the environment says, in builds for tests.
    pub(in crate::migrations) fn of_environment() -> Self {
        Self(fail_point::FailPoints::of_environment())
    }

    /// Ends the process here, as a crash would, if a test wants that.
    pub(in crate::migrations) fn pass(&self, side: Side, step: Step) {
        let side = if side == Side::Before { "before" } else { "after" };
        self.0.pass(format_args!("{side}:{}", step.name()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_names_of_their_own_and_an_order() {
        let mut names: Vec<_> = Step::ALL.iter().map(|step| step.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Step::ALL.len());
        assert!(Step::ALL.is_sorted());
        for step in Step::ALL {
            assert!(!step.state().is_over() || step == Step::Retire, "{step:?}");
        }
    }
}
