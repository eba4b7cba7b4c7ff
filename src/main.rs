//! The `bulkhead` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    bulkhead::server::cli::run()
}
