//! What is written down: [`Event`]s, one for each step, and the [`Entry`]s of the log that survives
//! a restart.

mod record;
mod step;

pub use record::{ActEnd, Ended, Entry, FleetEvent, FleetTurn, Notice, StateChange, utc};
pub use step::{Because, By, Event, How, Witness};
