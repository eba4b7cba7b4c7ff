//! Carrying a migration out: its steps, in order, each of which may be repeated.
//!
//! One task per migration (`runner`). Before a step from which there is no way back by itself is begun, the
//! store has it: a proxy that ends anywhere leaves a record by which the next one goes on, asks the server
//! what became of the exchange, or clears away.
//!
//! States: see [`crate::migrations::State`]; each is made of the [`Step`]s that `Step::state` gives.
//! Transitions: steps in order; *any but an exchange under way* → cancelled, failed; *exchange, connection
//! lost* → unknown → done, or back to copying.

mod chunk;
mod clusters;
mod cut;
mod pace;
mod prepare;
mod revert;
mod runner;
mod sessions;
mod shared;
mod step;
mod trouble;

pub(super) use clusters::{Clusters, Unreached};
pub(super) use pace::held_by;
pub(super) use revert::put_back;
pub(super) use runner::carry_out;
pub(super) use sessions::Sessions;
pub(super) use shared::{Parts, Shared};
pub use step::Step;
pub(super) use step::{FailPoints, Side};
