//! The benchmark's pure parts, tested without building the benchmark: percentiles, medians, ratios, bars, and
//! what is read from sysbench's and callgrind's output. The tests are in the files themselves.

#![allow(dead_code, unreachable_pub, reason = "these are files of a program, of which the tests use a part")]

#[path = "../benches/compare/src/bars.rs"]
mod bars;
#[path = "../benches/compare/src/callgrind.rs"]
mod callgrind;
#[path = "../benches/compare/src/histogram.rs"]
mod histogram;
#[path = "../benches/compare/src/report.rs"]
mod report;
