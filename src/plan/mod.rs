//! Statement + vschema → [`Plan`] → [`Destination`].
//!
//! Pure and synchronous: no IO, no clock, no topology. A plan depends on the statement's shape, the vschema and
//! the [`TargetShape`], never on a value; values (literals, parameters, the session's workspace) come in
//! [`Plan::bind`]. So a plan can be cached under (shape, SQL mode, target shape, generation).

mod destination;
mod effects;
mod refusal;
mod route;
mod target;

pub use destination::{Address, Destination, LocalAnswer, PieceText};
pub use effects::{Effects, Pins, TransactionEffect};
pub use refusal::Refusal;
pub use route::{KeySource, Plan, Route, WorkspaceRoute};
pub use target::{TargetShape, WorkspacePins};
