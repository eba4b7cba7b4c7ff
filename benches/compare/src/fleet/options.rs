//! What the command line asks for.

use std::path::PathBuf;

use clap::Parser;

use super::cases::Case;
use crate::servers::CLUSTERS;

/// Changes the type of a column in every database of a fleet, on this machine, and watches what others
/// notice.
///
/// Starts its own MySQL servers (three clusters, durable settings), Bulkhead and load on loopback, plays the
/// cases one after the other, each on the same data, prints the bars, and writes report.json and a picture.
/// Ends with 1 when a case could not be played; bars that do not hold are a result, not a failure.
#[derive(Clone, Debug, Parser)]
#[command(name = "make bench-fleet ARGS=…", max_term_width = 100)]
pub struct Options {
    /// Few databases, short spans, and only pt_osc, direct, bulkhead and killed: ends within five minutes on
    /// two cores, once the data is made, and is good for a first look only.
    #[arg(long)]
    pub quick: bool,
    /// Only these cases (may be repeated, or separated by commas).
    #[arg(long = "case", value_name = "NAME", value_delimiter = ',')]
    pub cases: Vec<Case>,
    /// Databases that are changed, on all clusters together. Without it: 3000, in a quick run 210.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(6..=30_000))]
    pub databases: Option<u64>,
    /// Databases that pt-online-schema-change changes. Without it: 60, in a quick run 9.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=30_000))]
    pub sample: Option<u64>,
    /// Clients: one half works in the databases that are changed, the other half in others.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(6..=3000))]
    pub clients: u32,
    /// Mean time that a client thinks between two operations, milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 300)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub think: u64,
    /// How long one change of the whole fleet may take, minutes.
    #[arg(long, value_name = "MINUTES", default_value_t = 90)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100))]
    pub longest: u64,
    /// Where report.json, the picture, logs and the prepared data go.
    #[arg(long, value_name = "FOLDER", default_value = "target/fleet")]
    pub output: PathBuf,
    /// Keep the logs of Bulkhead and of the servers, though all went well.
    #[arg(long)]
    pub keep: bool,
    /// The project's folder.
    #[arg(long, value_name = "FOLDER", default_value = ".", hide = true)]
    pub root: PathBuf,
    /// The bulkhead to measure. benches/fleet.sh builds it.
    #[arg(long, value_name = "FILE", default_value = "target/fleet/bin/bulkhead")]
    pub bulkhead: PathBuf,
}

/// How long the parts of a case take, seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Until caches are warm, and Bulkhead knows what is usual.
    pub learning: u64,
    /// Undisturbed, before the change.
    pub before: u64,
    /// Undisturbed, after the change.
    pub after: u64,
}

impl Options {
    /// Databases that are changed.
    pub fn databases(&self) -> u64 {
        self.databases.unwrap_or(if self.quick { 210 } else { 3_000 })
    }

    /// Databases besides, on the same servers, which nobody changes.
    pub fn unrelated(&self) -> u64 {
        (self.databases() / 10).clamp(3, 150)
    }

    /// Databases that pt-online-schema-change changes.
    pub fn sample(&self) -> u64 {
        self.sample.unwrap_or(if self.quick { 9 } else { 60 }).min(self.databases())
    }

    /// Clients of one half.
    pub fn half(&self) -> usize {
        (self.clients / 2).max(CLUSTERS as u32) as usize
    }

    /// The cases to play.
    pub fn chosen(&self) -> Vec<Case> {
        match (self.cases.is_empty(), self.quick) {
            // Always in the same order.
            (false, _) => Case::ALL.into_iter().filter(|case| self.cases.contains(case)).collect(),
            (true, true) => Case::QUICK.to_vec(),
            (true, false) => Case::ALL.to_vec(),
        }
    }

    /// How long a fleet migration waits between two waves, seconds: nobody is to sit through the usual
    /// minutes.
    pub fn soak_s(&self) -> u64 {
        if self.quick { 1 } else { 5 }
    }

    /// How long things take.
    pub fn times(&self) -> Times {
        if self.quick {
            Times { learning: 12, before: 12, after: 6 }
        } else {
            Times { learning: 30, before: 60, after: 30 }
        }
    }

    /// What of it belongs into the report.
    pub fn described(&self) -> [(&'static str, String); 6] {
        [
            ("databases", self.databases().to_string()),
            ("unrelated_databases", self.unrelated().to_string()),
            ("sample", self.sample().to_string()),
            ("clients", (2 * self.half()).to_string()),
            ("think_ms", self.think.to_string()),
            ("quick", self.quick.to_string()),
        ]
    }
}
