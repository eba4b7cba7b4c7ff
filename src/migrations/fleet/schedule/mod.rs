//! Who begins when.
//!
//! [`Scheduler`] is a state machine: it is told what time it is, how clusters are ([`Reading`]), what
//! became of what was begun ([`Scheduler::ended`]) and what operators want ([`Command`]), and says what to
//! do now ([`Act`]). It sends nothing and reads no clock. What has to be written down before its acts are
//! carried out is in [`Scheduler::take_writes`].
//!
//! - `lane`: one physical cluster: its budget, whatever the keyspaces on it, and whether it is open.
//! - `hosts`: clusters whose primaries run on one machine, which have together what each may change at once.
//! - `campaign`: one fleet migration: its rows, waves and queues.
//! - `scheduler`: picks, in turns: clusters by turns, and on each cluster the migrations by turns.
//! - `again`: what waited behind another migration of its table is planned again when its turn comes.
//! - `status`: what is shown.
//!
//! A lane is *open* or *closed*. It closes when its cluster is suspect or worse, is drained, or has not
//! been read for [`STALE_AFTER`]; after it was suspect it opens again once it has been well for
//! [`RESUME_AFTER`], at the smallest share of its budget. While it is open the share grows by the same step
//! every second that is no worse than usual, and is halved by one that is. When writes stay slower than usual
//! at the smallest share, nothing is begun for a moment, in which what is usual is learnt anew.

mod act;
mod again;
mod bucket;
mod campaign;
mod command;
mod hosts;
mod lane;
mod queue;
mod reading;
mod scheduler;
mod status;

pub use act::{Act, Event, Place, Places, Step, Work};
pub use again::{Afresh, PLAN_AGAIN, Unplanned};
pub use command::{Command, Refusal};
pub use hosts::SHORT_FOR;
pub use lane::{
    Budget, Closed, GROW_BY, HALVE_EVERY, LEARN_FOR, RESUME_AFTER, SHARE_MIN, STALE_AFTER, STUCK_FOR,
};
pub use reading::{Foreign, Reading, Verdict, judge};
pub use scheduler::{LATER_AGAIN, Limits, STARTS_MAX, Scheduler, SubmitRefusal};
pub use status::{ClusterStatus, LaneStatus, Stage, Status};

#[cfg(test)]
mod tests;
