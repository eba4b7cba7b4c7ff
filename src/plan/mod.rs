//! Statement + vschema → [`Plan`] → [`Destination`].
//!
//! Pure and synchronous: no IO, no clock, no topology. A plan depends on the statement's shape, the vschema
//! and the [`TargetShape`], never on a value; values (literals, parameters, the session's workspace) come in
//! [`Plan::bind`]. So a plan can be cached under (shape, SQL mode, target shape, generation).
//!
//! Phases: names → `names` · tables, routing columns and what ties them → `query` · the route →
//! `statements` · values, agreement and the tenant guard → `binding`.
//!
//! A statement is right or refused: what the phases cannot prove to stay within one workspace is a
//! [`Refusal`].

mod binding;
mod cache;
mod describe;
mod effects;
mod functions;
mod names;
mod query;
mod refusal;
mod route;
mod statements;
mod tables;
mod target;

pub use binding::{Address, Bound, Destination, LocalAnswer, NoParams, ParamValues, Piece, PieceText};
pub use cache::{PlanCache, PlanKey, Planned};
pub use describe::{describe, describe_destination};
pub use effects::{Effects, Pins, TransactionEffect};
pub use refusal::Refusal;
pub use route::{DatabaseRoute, KeyRoute, KeySource, Plan, Route, SystemRoute};
pub use statements::bodies::left_behind;
pub use statements::whole::REMOTE_ENGINES;
pub use statements::{PlanInput, plan, plan_unread};
pub use tables::Tables;
pub use target::{TargetShape, WorkspacePins};

/// Plans a statement from its text: reads it, or routes it whole where it cannot be read.
///
/// # Errors
/// As [`plan()`] and [`plan_unread`].
pub fn plan_text(input: &PlanInput<'_>) -> Planned {
    let planned = match crate::sql::parse(input.text, input.scan, input.mode) {
        Ok(parsed) => plan(&parsed, input),
        Err(unread) => plan_unread(&unread, input),
    };
    planned.map(|plan| Plan { digest: crate::sql::digest(input.text, input.mode, input.scan), ..plan })
}
