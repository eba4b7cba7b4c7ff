//! Making another server the primary of its cluster, and following when somebody else did.
//!
//! - [`FailoverPlan`]: what is going to be done, what can be lost; or a [`Refusal`].
//! - [`Failovers`] reads the servers, carries plans out, and publishes who is the primary.
//!
//! It decides nothing about health and holds back no statement: the caller's gate does, before and after.

mod decide;
mod end;
mod gtid;
mod plan;
mod read;
mod run;
mod view;

pub use decide::{Situation, decide};
pub use end::{Found, PrimaryRow, Undecided};
pub use gtid::{GtidFault, GtidSet, Origin};
pub use plan::{FailoverPlan, Loss, Refusal, Step, Unfit};
pub use run::{FailoverRequest, Failovers};
pub use view::{Heard, Identity, Receiving, Replication, Said, SemiSync, ServerView};
