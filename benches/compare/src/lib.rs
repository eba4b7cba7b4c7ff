//! The pieces of three benchmarks: `make bench` (what Bulkhead costs, `src/main.rs`), `make incident` (what
//! it does on the worst day, `incident`), `make bench-ddl` (how it changes tables, `ddl`).
//!
//! `servers` and `systems` start what is measured, `client` talks to it, `report` and `histogram` count. The
//! comparison's own parts are `stage`, `scenarios`, `load`, `sysbench`, `bars`; the replay's are in
//! `incident`, the schema changes' in `ddl`.

pub mod bars;
pub mod callgrind;
pub mod client;
pub mod ddl;
pub mod histogram;
pub mod incident;
pub mod load;
pub mod machine;
pub mod options;
pub mod places;
pub mod process;
pub mod random;
pub mod report;
pub mod scenarios;
pub mod servers;
pub mod stage;
pub mod sysbench;
pub mod systems;
