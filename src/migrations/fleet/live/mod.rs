//! Fleet migrations on real servers: the service that plans them, takes them on, carries them out and answers
//! for them.
//!
//! [`Fleet`] is what the rest of Bulkhead sees. Doors (admin statements, sessions, the command line) make a
//! [`FleetRequest`]; [`Fleet::plan`] says what it would do, [`Fleet::submit`] takes it on, [`Fleet::wait`]
//! waits for its end, [`Fleet::command`] gives it orders.
//!
//! - `door`: what doors see: requests, plans, ends, errors.
//! - `statements`: the statements of a request, read. Pure.
//! - `survey`: what the databases are like, read gently.
//! - `prepare`: from a request to a plan with its rows; `scratch` asks a server what a table would be.
//! - `execute`: changes one database.
//! - `passing`: refusals of servers after which another try may help.
//! - `gauge`: how clusters are.
//! - `newcomer`: what was decided for all is done to databases that are made later.
//! - `turns`: the task that owns the driver; `shown`: what it shows.
//!
//! Invariants: no database is touched before its definition was looked at, on the connection that changes it
//! and under a lock that others of its kind respect; what is sent is decided as for a session; a database
//! whose definition is none that the plan knows is left as it is.

mod clock;
mod door;
mod execute;
mod gauge;
mod newcomer;
mod passing;
mod prepare;
mod service;
mod shown;
mod statements;
mod survey;
mod turns;

pub use door::{
    DatabaseFilter, DatabaseRow, FleetClusterRow, FleetEnded, FleetError, FleetNotice, FleetOptions,
    FleetPlan, FleetRequest, FleetRow, FleetSettings, FleetStatus, StepPlan, Submitted, WaveStatus,
};
pub use service::{Fleet, FleetHook, FleetSurroundings};
