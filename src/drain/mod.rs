//! Who may use a shard: permits, queues, gates, and the ladder that decides about them.
//!
//! Nothing in here runs by itself, waits, sends, or logs: it is called with values and the time, and gives
//! values. Degraded is measured, drained is decided: [`crate::health`] says the first, this module the
//! second.
//!
//! - [`Permits`]: how many statements of one class are in flight on one cluster, adaptive, shared fairly
//!   among workspaces, with a bounded queue in front.
//! - [`Gate`]s: open, limited, buffering, refusing, drained; per cluster, shard and table; for writes or all.
//! - [`Ladder`]: from [`crate::health::Facts`], policy and operators' commands to [`Step`]s, each a list of
//!   [`Action`]s and an [`Event`] that tells why.

mod action;
mod command;
mod event;
mod gate;
mod gates;
mod ladder;
mod lease;
mod limit;
mod permits;
mod policy;
mod rung;
#[cfg(test)]
mod tests;
mod turns;
mod workspaces;

pub use action::{Action, Lane, PermitsHeld, WriteGate};
pub use command::{Command, FailoverEnd, Order, Refused};
pub use event::{
    ActEnd, Because, By, Ended, Entry, Event, FleetEvent, FleetTurn, How, Notice, StateChange, Witness, utc,
};
pub use gate::{Covers, Gate, GateState, Ruling, Visit};
pub use gates::{Gates, Scope};
pub use ladder::{DRAIN_WITHIN, Ladder, Moment, Ownership, Step};
pub(crate) use lease::{Holder, Lease, LeaseDue, SharedLease, proxy_name};
pub use limit::Limit;
pub use permits::{Answer, Ask, Due, Permit, PermitLimits, Permits, Shed, Ticket};
pub use policy::{Mode, Policy, Rung};
pub use rung::{Decision, Stage, Stand};
pub use workspaces::WorkspaceLimits;
