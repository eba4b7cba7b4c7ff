//! `make incident`: the worst day, replayed against Bulkhead on real servers. How to read what comes of it is
//! in docs/incident.md.

use std::process::ExitCode;

use bulkhead_compare::incident::{self, Options};
use bulkhead_compare::process::run_to_exit;
use clap::Parser;

fn main() -> ExitCode {
    run_to_exit(incident::run(Options::parse()))
}
