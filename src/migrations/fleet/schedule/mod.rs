//! Who begins when.
//!
//! [`Scheduler`] is a state machine: it is told what time it is, how clusters are ([`Reading`]), what
//! became of what was begun ([`Scheduler::ended`]) and what operators want ([`Command`]), and says what to
//! do now ([`Act`]). It sends nothing and reads no clock. What has to be written down before its acts are
//! carried out is in [`Scheduler::take_writes`].
//!
//! - `lane`: one physical cluster: its budget, whatever the keyspaces on it, and whether it is open.
//! - `campaign`: one fleet migration: its rows, waves and queues.
//! - `scheduler`: picks, in turns: clusters by turns, and on each cluster the migrations by turns.
//! - `status`: what is shown.
//!
//! A lane is *open* or *closed*. It closes when its cluster is suspect or worse, is drained, or has not
//! been read for [`STALE_AFTER`]; after it was suspect it opens again once it has been well for
//! [`RESUME_AFTER`], at the smallest share of its budget. While it is open the share grows by the same step
//! every second that is no worse than usual, and is halved by one that is.

mod bucket;
mod campaign;
mod command;
mod lane;
mod queue;
mod reading;
mod scheduler;
mod status;

pub use command::{Command, Refusal};
pub use lane::{Budget, Closed, GROW_BY, HALVE_EVERY, RESUME_AFTER, SHARE_MIN, STALE_AFTER};
pub use reading::{Foreign, Reading, Verdict, judge};
pub use scheduler::{
    Act, Event, LATER_AGAIN, Limits, Place, Places, STARTS_MAX, Scheduler, Step, SubmitRefusal, Work,
};
pub use status::{ClusterStatus, LaneStatus, Stage, Status};

#[cfg(test)]
mod tests;
