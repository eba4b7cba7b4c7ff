//! What the command line asks for.

use std::path::PathBuf;

use clap::Parser;

use super::tools::Tool;

/// Changes a column's type with Bulkhead and with other tools, on this machine.
///
/// Starts its own MySQL server, Bulkhead and load on loopback, lets the tools take turns, compares the table
/// after each change, prints a table and the bars, and writes report.json. Ends with 1 when something could
/// not be measured or a table is not what it must be; bars that do not hold are a result, not a failure.
#[derive(Clone, Debug, Parser)]
#[command(name = "make bench-ddl ARGS=…", max_term_width = 100)]
pub struct Options {
    /// Less of everything: ends within four minutes on two cores, and is good for a first look only.
    #[arg(long)]
    pub quick: bool,
    /// Only these scenarios (may be repeated, or separated by commas).
    #[arg(long = "scenario", value_name = "NAME", value_delimiter = ',')]
    pub scenarios: Vec<Scenario>,
    /// Only these tools, separated by commas. Without it: all that are installed.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub tools: Vec<Tool>,
    /// Rows of the table. Without it: 1,000,000, in a quick run 100,000.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(10_000..=100_000_000))]
    pub rows: Option<u64>,
    /// Rounds: every tool once in each. Without it: 3, in a quick run 1.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: Option<u32>,
    /// Writes per second of the load, half of them to the table that is changed.
    #[arg(long, value_name = "NUMBER", default_value_t = 300)]
    #[arg(value_parser = clap::value_parser!(u32).range(10..=20_000))]
    pub rate: u32,
    /// Cut-overs of Bulkhead that are watched. Without it: 40, in a quick run 8.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub cut_overs: Option<u32>,
    /// Small tables that Bulkhead changes. Without it: 100, in a quick run 20.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub small_tables: Option<u32>,
    /// The server flushes on every commit.
    #[arg(long)]
    pub durable: bool,
    /// Where report.json and the logs go.
    #[arg(long, value_name = "FOLDER", default_value = "target/bench-ddl")]
    pub output: PathBuf,
    /// Keep the logs, though all went well.
    #[arg(long)]
    pub keep: bool,
    /// The project's folder.
    #[arg(long, value_name = "FOLDER", default_value = ".", hide = true)]
    pub root: PathBuf,
    /// The bulkhead to measure. benches/ddl.sh builds it.
    #[arg(long, value_name = "FILE", default_value = "target/bench-ddl/bin/bulkhead")]
    pub bulkhead: PathBuf,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// Rows per second of the large table, nothing else running.
    Idle,
    /// The same beside writes of that table and of another one.
    Load,
    /// What writers of a small table see when it is exchanged.
    CutOver,
    /// Tables of 200 rows, from the statement to its answer.
    Small,
}

impl Scenario {
    /// In the order in which they are run.
    pub const ALL: [Self; 4] = [Self::Idle, Self::Load, Self::CutOver, Self::Small];

    /// As in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Load => "load",
            Self::CutOver => "cut_over",
            Self::Small => "small",
        }
    }
}

impl Options {
    /// Rows of the large table.
    pub fn rows(&self) -> u64 {
        self.rows.unwrap_or(if self.quick { 100_000 } else { 1_000_000 })
    }

    /// Rounds of the large table.
    pub fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 1 } else { 3 })
    }

    /// Seconds of the load before a change, and behind it.
    pub fn undisturbed_s(&self) -> u64 {
        if self.quick { 6 } else { 20 }
    }

    /// How often a tool exchanges the small table.
    pub fn cut_overs(&self, tool: Tool) -> u32 {
        let own = self.cut_overs.unwrap_or(if self.quick { 8 } else { 40 });
        if tool == Tool::Bulkhead { own } else { own.min(if self.quick { 2 } else { 5 }) }
    }

    /// How many tables of one chunk a tool changes.
    pub fn small_tables(&self, tool: Tool) -> u32 {
        let own = self.small_tables.unwrap_or(if self.quick { 20 } else { 100 });
        match tool {
            Tool::Bulkhead | Tool::Direct => own,
            Tool::PtOsc | Tool::GhOst | Tool::Spirit => own.min(if self.quick { 2 } else { 5 }),
        }
    }

    /// The scenarios to run.
    pub fn chosen(&self) -> Vec<Scenario> {
        let wanted = |scenario: &Scenario| self.scenarios.is_empty() || self.scenarios.contains(scenario);
        Scenario::ALL.into_iter().filter(wanted).collect()
    }

    /// The tools to run.
    pub fn tools(&self) -> Vec<Tool> {
        let asked = |tool: &Tool| {
            if self.tools.is_empty() { tool.is_installed() } else { self.tools.contains(tool) }
        };
        Tool::ALL.into_iter().filter(asked).collect()
    }

    /// What of it belongs into the report.
    pub fn described(&self) -> [(&'static str, String); 5] {
        [
            ("rows", self.rows().to_string()),
            ("rounds", self.rounds().to_string()),
            ("rate", self.rate.to_string()),
            ("durable", self.durable.to_string()),
            ("quick", self.quick.to_string()),
        ]
    }
}
