//! From a request to a plan with its rows.
//!
//! - `make`: all of it, in order.
//! - `planner`: statement by statement, from what the databases are like.
//! - `scratch`: what a table would be, asked of a server.

mod make;
mod planner;
mod scratch;

pub(super) use make::{Made, make_plan};
