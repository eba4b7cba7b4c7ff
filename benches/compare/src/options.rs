//! What the command line asks for.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::scenarios::Scenario;
use crate::systems::Kind;

/// Compares Bulkhead with a direct connection, HAProxy in TCP mode and a baseline proxy, on this machine.
///
/// Starts its own MySQL servers, systems and load on loopback, lets the systems take turns, prints a table
/// and the bars, and writes report.json. Ends with 1 when something could not be measured; bars that do not
/// hold are a result, not a failure.
#[derive(Clone, Debug, Parser)]
#[command(name = "make bench ARGS=…", max_term_width = 100)]
pub struct Options {
    /// Less of everything: ends within three minutes on two cores, and is good for a first look only.
    #[arg(long)]
    pub quick: bool,
    /// Only these scenarios (may be repeated, or separated by commas).
    #[arg(long = "scenario", value_name = "NAME", value_delimiter = ',')]
    pub scenarios: Vec<Scenario>,
    /// Only these systems, separated by commas. Without it: all that are installed.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub systems: Vec<Kind>,
    /// Only these numbers of clients, of 1, 8 and 64 (point selects, range, rows, sysbench).
    #[arg(long, value_name = "NUMBERS", value_delimiter = ',')]
    pub threads: Vec<usize>,
    /// Rounds: every system once in each.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: Option<u32>,
    /// Seconds of each measured window.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: Option<u64>,
    /// Where report.json and the logs go.
    #[arg(long, value_name = "FOLDER", default_value = "target/bench")]
    pub output: PathBuf,
    /// The project's folder.
    #[arg(long, value_name = "FOLDER", default_value = ".", hide = true)]
    pub root: PathBuf,
    /// The bulkhead to measure. benches/run.sh builds it.
    #[arg(long, value_name = "FILE", default_value = "target/bench/bin/bulkhead")]
    pub bulkhead: PathBuf,
}

impl Options {
    /// Rounds of the comparison.
    pub fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 2 } else { 5 })
    }

    /// Rounds of what is slow or has no bar: one in a quick run.
    pub fn rounds_aside(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 1 } else { 5 })
    }

    /// Length of a measured window.
    pub fn window(&self) -> Duration {
        let standard = Duration::from_millis(if self.quick { 700 } else { 5_000 });
        self.seconds.map_or(standard, Duration::from_secs)
    }

    /// What comes before it.
    pub fn warm_up(&self) -> Duration {
        Duration::from_millis(if self.quick { 200 } else { 1_000 })
    }

    /// Rows of each large table.
    pub fn rows(&self) -> u64 {
        if self.quick { 5_000 } else { 20_000 }
    }

    /// Workspaces that have a database.
    pub fn workspaces(&self) -> u64 {
        if self.quick { 300 } else { 1_000 }
    }

    /// The scenarios to run.
    pub fn chosen(&self) -> Vec<Scenario> {
        if self.scenarios.is_empty() { Scenario::ALL.to_vec() } else { self.scenarios.clone() }
    }

    /// The systems to run.
    pub fn kinds(&self) -> Vec<Kind> {
        let asked = |kind: &Kind| {
            if self.systems.is_empty() { kind.is_installed() } else { self.systems.contains(kind) }
        };
        Kind::ALL.into_iter().filter(asked).collect()
    }

    /// What of it belongs into the report.
    pub fn described(&self) -> [(&'static str, String); 3] {
        [
            ("rounds", self.rounds().to_string()),
            ("seconds", self.window().as_secs_f64().to_string()),
            ("quick", self.quick.to_string()),
        ]
    }

    /// Whether this number of clients is wanted.
    pub fn wants_threads(&self, threads: usize) -> bool {
        self.threads.is_empty() || self.threads.contains(&threads)
    }
}
