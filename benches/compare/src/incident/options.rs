//! What the command line asks for.

use std::path::PathBuf;

use clap::Parser;

use super::cases::Case;

/// Replays a bad day against Bulkhead: three clusters, a load on all of them, and what befalls one of them.
///
/// Starts its own MySQL servers, Bulkhead and load on loopback, prints the bars, and writes report.json and a
/// picture of each case. Ends with 1 when a case could not be played; bars that do not hold are a result, not
/// a failure.
#[derive(Clone, Debug, Parser)]
#[command(name = "make incident ARGS=…", max_term_width = 100)]
pub struct Options {
    /// Less of everything, and only the flood (off and on) and the switchover: ends within four minutes on
    /// two cores.
    #[arg(long)]
    pub quick: bool,
    /// Only these cases (may be repeated, or separated by commas).
    #[arg(long = "case", value_name = "NAME", value_delimiter = ',')]
    pub cases: Vec<Case>,
    /// Clients.
    #[arg(long, default_value_t = 240, value_parser = clap::value_parser!(u32).range(3..=3000))]
    pub clients: u32,
    /// Mean time that a client thinks between two operations, milliseconds. Without it: 300.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub think: Option<u64>,
    /// Workspace databases of each cluster. Without it: 200, 100 in a quick run.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(16..=5000))]
    pub databases: Option<u64>,
    /// ALTER TABLE per second of the flood, from 16 connections.
    #[arg(long, value_name = "NUMBER", default_value_t = 30.0, value_parser = per_second)]
    pub flood_rate: f64,
    /// Where report.json, pictures and logs go.
    #[arg(long, value_name = "FOLDER", default_value = "target/incident")]
    pub output: PathBuf,
    /// Keep the logs of Bulkhead and of the servers, though all went well.
    #[arg(long)]
    pub keep: bool,
    /// The project's folder.
    #[arg(long, value_name = "FOLDER", default_value = ".", hide = true)]
    pub root: PathBuf,
    /// The bulkhead to try. benches/incident.sh builds it.
    #[arg(long, value_name = "FILE", default_value = "target/incident/bin/bulkhead")]
    pub bulkhead: PathBuf,
}

fn per_second(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "a number is wanted".to_owned())?;
    if (0.1..=10_000.0).contains(&number) { Ok(number) } else { Err("from 0.1 to 10000".to_owned()) }
}

/// How long the parts of a case take, seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Until the detector knows what is usual.
    pub learning: u64,
    /// Undisturbed, before and after.
    pub calm: u64,
    /// The incident's cause is there.
    pub ill: u64,
    /// From the end of the cause, or of the waiting for a cure, until everything should be over.
    pub recovering: u64,
}

impl Options {
    /// Mean time between two operations of a client, milliseconds.
    pub fn think_ms(&self) -> u64 {
        self.think.unwrap_or(300)
    }

    /// Workspaces of all three clusters.
    pub fn workspaces(&self) -> u64 {
        let each = self.databases.unwrap_or(if self.quick { 100 } else { 200 });
        each * crate::servers::CLUSTERS as u64
    }

    /// The cases to play.
    pub fn chosen(&self) -> Vec<Case> {
        match (self.cases.is_empty(), self.quick) {
            (false, _) => self.cases.clone(),
            (true, true) => Case::QUICK.to_vec(),
            (true, false) => Case::ALL.to_vec(),
        }
    }

    /// How long things take.
    pub fn times(&self) -> Times {
        if self.quick {
            Times { learning: 22, calm: 6, ill: 22, recovering: 14 }
        } else {
            Times { learning: 25, calm: 30, ill: 70, recovering: 40 }
        }
    }

    /// What of it belongs into the report.
    pub fn described(&self) -> [(&'static str, String); 5] {
        [
            ("clients", self.clients.to_string()),
            ("think_ms", self.think_ms().to_string()),
            ("workspaces", self.workspaces().to_string()),
            ("flood_rate", self.flood_rate.to_string()),
            ("quick", self.quick.to_string()),
        ]
    }
}
