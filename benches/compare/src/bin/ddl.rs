//! `make bench-ddl`: changes of a column's type, by Bulkhead and by other tools. How to read what comes of it
//! is in docs/performance.md.

use std::process::ExitCode;

use bulkhead_compare::ddl::{self, Options};
use bulkhead_compare::process::run_to_exit;
use clap::Parser;

fn main() -> ExitCode {
    run_to_exit(ddl::run(Options::parse()))
}
