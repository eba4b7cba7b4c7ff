//! The replay's pure parts, tested without building the benchmark: the ledger's check, what is read from
//! clients' seconds, bars, the picture, the fault proxy's reading of packets. The tests are in the files
//! themselves.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "files of a program")]

#[path = "../benches/compare/src/histogram.rs"]
mod histogram;
#[path = "../benches/compare/src/incident/judge.rs"]
mod judge;
#[path = "../benches/compare/src/incident/ledger.rs"]
mod ledger;
#[path = "../benches/compare/src/incident/moment.rs"]
mod moment;
#[path = "../benches/compare/src/picture.rs"]
mod picture;
#[path = "../benches/compare/src/incident/record.rs"]
mod record;
#[path = "../benches/compare/src/report.rs"]
mod report;
#[path = "../benches/compare/src/incident/series.rs"]
mod series;
#[path = "../benches/compare/src/incident/svg.rs"]
mod svg;
#[path = "../benches/compare/src/incident/wire.rs"]
mod wire;

/// As the files name each other.
mod incident {
    pub(crate) use super::{record, series};
}
