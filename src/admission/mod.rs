//! What keeps each cluster's statements apart from the others': its permits, its gates, its lane for schema
//! changes. [`crate::drain`] decides; here statements wait, and here what was decided takes effect.
//!
//! A statement asks with [`Admission::enter`] once it is placed and before it has a connection. It is
//! admitted, waits for a permit ([`Queued`]), is held at a gate ([`Held`]), or is refused ([`Refusal`]). All
//! three are guards: dropped, they give back what they have. No lock is held while anything waits, and
//! nothing changeable is shared between clusters.
//!
//! **Memory**: what is held for a cluster's statements is counted ([`Admission::memory`]): a statement from
//! when it asks if it is large, and while it waits in any case. What is held goes along from guard to guard,
//! so one that was held and asks anew is not refused for want of it.
//!
//! **Order**: a statement that has its permit was let through by the gates as they were when it got it. So
//! once a gate is closed, who reads the number in flight and finds none knows that none will follow.

mod clusters;
mod entry;
mod gates;
mod lane;
mod limits;
mod queue;
mod refusal;
mod request;
#[cfg(test)]
mod tests;
mod view;

pub use clusters::{Admissions, NearAdmission};
pub use entry::{Admission, Admitted, Entry, Seat};
pub use gates::{Held, Released};
pub use lane::LaneWait;
pub use limits::{LimitError, OWN_LIMITS_MAX, WorkspaceLimitsBook};
pub use queue::{Queued, Turn};
pub use refusal::{Refusal, Why};
pub use request::{Request, owner_of, workspace_key};
pub use view::{AdmissionView, ClassView, GateView, MemoryView};

use std::time::Instant;

/// The time, on the runtime's clock, so that tests can step it.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
