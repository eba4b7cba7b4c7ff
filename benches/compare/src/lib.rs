//! The pieces of two benchmarks: `make bench` (what Bulkhead costs, `src/main.rs`) and `make incident` (what
//! it does on the worst day, `incident`).
//!
//! `servers` and `systems` start what is measured, `client` talks to it, `report` and `histogram` count. The
//! comparison's own parts are `stage`, `scenarios`, `load`, `sysbench`, `bars`; the replay's are in
//! `incident`.

pub mod bars;
pub mod callgrind;
pub mod client;
pub mod histogram;
pub mod incident;
pub mod load;
pub mod machine;
pub mod options;
pub mod places;
pub mod process;
pub mod report;
pub mod scenarios;
pub mod servers;
pub mod stage;
pub mod sysbench;
pub mod systems;
