//! From measurements to facts: which clusters are sick, since when, and what says so.
//!
//! Nothing in here runs by itself, acts, sleeps, or reads a clock: it is called with values and the monotonic
//! time, and gives values; a wall clock that jumps changes nothing. [`Fleet`] holds one [`Detector`] per
//! cluster. It is told of heartbeats and status readings as they come, and every [`TICK_EVERY`] it looks at
//! the meters, raises and clears [`Signal`]s and moves each cluster's [`State`]: healthy, suspect, degraded,
//! down. What comes out is [`Facts`].
//!
//! Invariants:
//! - What sessions saw (passive signals) makes a cluster suspect, never more. Degraded needs a probe's word
//!   too (an active signal), or a heartbeat that has failed for long and is not contradicted by writes that
//!   work.
//! - Slow statements of one workspace are that workspace's, not the server's: every passive signal is judged
//!   without its worst owner.
//! - While the proxy itself is short of CPU nothing gets worse but by a refused connection.

mod detector;
mod facts;
mod fleet;
mod heartbeat;
mod own;
mod probe;
mod siblings;
mod signal;
mod state;
#[cfg(test)]
mod tests;
mod window;

use std::time::Duration;

pub use detector::Detector;
pub use facts::{Backing, Facts, Standing};
pub use fleet::{Alert, Fleet, Tick};
pub use heartbeat::{BEAT_EVERY, BEAT_WITHIN, Beat};
pub use probe::{DDL_STATEMENT, PROBE_EVERY, ProbeFault, Reading};
pub use signal::{Evidence, Signal, SignalKind};
pub use state::State;

/// The detector looks at the meters this often: a look costs microseconds, and a stall must be found in
/// three seconds with a second of hysteresis.
pub const TICK_EVERY: Duration = Duration::from_millis(250);

/// Baselines are brought up to date this often.
pub const LEARN_EVERY: Duration = Duration::from_secs(10);
