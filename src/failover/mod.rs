//! Making another server the primary of its cluster, and following when somebody else did.
//!
//! - [`FailoverPlan`]: what is going to be done, what can be lost; or a [`Refusal`].
//! - [`Failovers`] reads the servers, carries plans out, and publishes who is the primary.
//!
//! It decides nothing about health and holds back no statement: the caller's gate does, before and after.

mod carry;
mod command;
mod decide;
mod end;
mod link;
mod near;
mod ops;
mod primaries;
mod read;
mod resume;
mod run;
mod tend;
mod watch;

pub use crate::gtid::{GtidFault, GtidSet, Origin};
pub use carry::Reached;
pub use decide::{
    Before, FailoverPlan, Heard, Identity, Judgement, Loss, Receiving, Refusal, Replication, Said, SemiSync,
    ServerView, Situation, Step, Unfit, decide, judge,
};
pub use end::{Found, PrimaryRow, Undecided};
pub use primaries::{Primaries, Record};
pub use run::{FailoverRequest, Failovers};
