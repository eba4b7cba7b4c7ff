//! One cluster's feed: a task that reads the binary log of the primary and gives subscribers what is theirs.
//!
//! States: *waiting* for the first subscriber → *connecting* → *reading* ⇄ *connecting* (the connection was
//! lost, or the feed goes back for a subscriber) → *ended* (nobody is left; or what cannot be read).
//!
//! Invariants: subscribers come in between transactions only, so that each gets whole ones; what a subscriber
//! has got is known by transaction, and within one by rows, so that nothing is given twice or left out when
//! the log is read again from before; nobody keeps others waiting for long (`patience`).

mod counters;
mod dump;
mod ground;
mod marker;
mod patience;
mod run;
mod state;
mod statements;
mod subscriber;

pub(super) use counters::Counters;
pub(super) use ground::{check, end_of_log, survey};
pub(super) use marker::Marker;
pub(super) use run::{Context, Join, run};
pub(super) use subscriber::{BYTES_MAX, PARCELS_MAX, Parcel, Way};
