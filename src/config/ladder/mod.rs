//! What the ladder may do by itself, and who is told.

mod address;
mod alerts;
mod policy;

pub use address::WebAddress;
pub use alerts::{AlertCommand, Alerts, Webhook};
pub use policy::{LadderPolicy, RungMode, Rungs};

pub(super) use alerts::ALERTS;
pub(super) use policy::LADDER;
pub(crate) use policy::RUNGS;
