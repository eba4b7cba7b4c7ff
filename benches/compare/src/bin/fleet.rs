//! `make bench-fleet`: one schema change over thousands of databases, by Bulkhead and by other means. How to
//! read what comes of it is in docs/performance.md.

use std::process::ExitCode;

use bulkhead_compare::fleet::{self, Options};
use bulkhead_compare::process::run_to_exit;
use clap::Parser;

fn main() -> ExitCode {
    run_to_exit(fleet::run(Options::parse()))
}
