//! What doors ask for, and what they see.

mod error;
mod plan;
mod request;
mod view;

pub use error::FleetError;
pub use plan::{FleetPlan, StepPlan};
pub use request::{FleetOptions, FleetRequest, FleetSettings, Submitted};
pub use view::{
    DatabaseFilter, DatabaseRow, FleetClusterRow, FleetEnded, FleetNotice, FleetRow, FleetStatus, WaveStatus,
};
