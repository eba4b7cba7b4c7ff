//! From a request to a plan with its rows.
//!
//! - `make`: all of it, in order.
//! - `again`: what waits behind another migration of its table: rows for now, and a plan when its turn comes.
//! - `planner`: statement by statement, from what the databases are like.
//! - `scratch`: what a table would be, asked of a server.

mod again;
mod make;
mod planner;
mod scratch;

pub(super) use again::{plan_again, provisional};
pub(super) use make::{Draft, Made, make_plan};
