//! The scenarios. Each notes what it finds in the stage's report, and what it cannot measure as a failure.

mod connections;
mod instructions;
mod matrix;
mod scale;
mod stall;
mod switch;

use crate::stage::Stage;

/// A scenario by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Scenario {
    /// One row by primary key, as text.
    PointText,
    /// One row by primary key, prepared.
    PointPrepared,
    /// 100 rows by primary key.
    #[value(name = "range_100")]
    Range100,
    /// A row of 1 MiB.
    #[value(name = "row_1mib")]
    Row1Mib,
    /// sysbench's reads in transactions.
    OltpReadOnly,
    /// sysbench's reads and writes in transactions.
    OltpReadWrite,
    /// sysbench's writes in transactions.
    OltpWriteOnly,
    /// Connect, one statement, disconnect.
    Churn,
    /// Another workspace with each statement.
    Switch,
    /// 500 clients over 32 server connections.
    Multiplex,
    /// 10,000 idle clients, 64 active.
    Idle,
    /// One shard stalled while others are loaded.
    Stall,
    /// 20,000 databases on one cluster.
    Databases,
    /// A directory of 1,000,000 workspaces.
    Directory,
    /// Instructions and allocations per statement, by callgrind.
    Instructions,
}

impl Scenario {
    /// All, in the order in which they run.
    pub const ALL: [Self; 15] = [
        Self::PointText,
        Self::PointPrepared,
        Self::Range100,
        Self::Row1Mib,
        Self::OltpReadOnly,
        Self::OltpReadWrite,
        Self::OltpWriteOnly,
        Self::Churn,
        Self::Switch,
        Self::Multiplex,
        Self::Idle,
        Self::Stall,
        Self::Databases,
        Self::Directory,
        Self::Instructions,
    ];

    /// As on the command line and in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::PointText => "point_text",
            Self::PointPrepared => "point_prepared",
            Self::Range100 => "range_100",
            Self::Row1Mib => "row_1mib",
            Self::OltpReadOnly => "oltp_read_only",
            Self::OltpReadWrite => "oltp_read_write",
            Self::OltpWriteOnly => "oltp_write_only",
            Self::Churn => "churn",
            Self::Switch => "switch",
            Self::Multiplex => "multiplex",
            Self::Idle => "idle",
            Self::Stall => "stall",
            Self::Databases => "databases",
            Self::Directory => "directory",
            Self::Instructions => "instructions",
        }
    }

    /// Runs it.
    pub async fn run(self, stage: &mut Stage) {
        stage.say(&format!("== {}", self.name()));
        match self {
            Self::PointText
            | Self::PointPrepared
            | Self::Range100
            | Self::Row1Mib
            | Self::OltpReadOnly
            | Self::OltpReadWrite
            | Self::OltpWriteOnly
            | Self::Churn => matrix::run(self, stage).await,
            Self::Switch => switch::run(stage).await,
            Self::Multiplex => connections::multiplex(stage).await,
            Self::Idle => connections::idle(stage).await,
            Self::Stall => stall::run(stage).await,
            Self::Databases => scale::databases(stage).await,
            Self::Directory => scale::million(stage).await,
            Self::Instructions => instructions::run(stage).await,
        }
    }
}
