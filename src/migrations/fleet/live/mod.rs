//! Fleet migrations on real servers: the service that plans them, takes them on, carries them out and answers
//! for them.
//!
//! [`Fleet`] is what the rest of Bulkhead sees. Doors (admin statements, sessions, the command line) make a
//! [`FleetRequest`]; [`Fleet::plan`] says what it would do, [`Fleet::submit`] takes it on, [`Fleet::wait`]
//! waits for its end, [`Fleet::command`] gives it orders.
//!
//! - `request`, `view`, `error`: what doors see.
//!
//! Invariants: no database is touched before its definition was looked at, on the connection that changes it
//! and under a lock that others of its kind respect; what is sent is decided as for a session; a database
//! whose definition is none that the plan knows is left as it is.

mod error;
mod plan;
mod request;
mod service;
mod view;

pub use error::FleetError;
pub use plan::{FleetPlan, StepPlan};
pub use request::{FleetOptions, FleetRequest, Submitted};
pub use service::{Fleet, FleetHook, FleetSurroundings};
pub use view::{
    DatabaseFilter, DatabaseRow, FleetClusterRow, FleetEnded, FleetNotice, FleetRow, FleetStatus, WaveStatus,
};
