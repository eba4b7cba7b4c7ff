//! The pieces of four benchmarks: `make bench` (what Bulkhead costs, `src/main.rs`), `make incident` (what it
//! does on the worst day, `incident`), `make bench-ddl` (how it changes a table, `ddl`), `make bench-fleet`
//! (how it changes thousands, `fleet`).
//!
//! `servers` and `systems` start what is measured, `client` talks to it, `report` and `histogram` count. The
//! comparison's own parts are `stage`, `scenarios`, `load`, `sysbench`, `bars`; the replay's are in
//! `incident`, the schema changes' in `ddl` and `fleet`; `picture` draws what happened over time.

pub mod bars;
pub mod callgrind;
pub mod client;
pub mod ddl;
pub mod fleet;
pub mod histogram;
pub mod incident;
pub mod load;
pub mod machine;
pub mod options;
pub mod picture;
pub mod places;
pub mod process;
pub mod random;
pub mod report;
pub mod scenarios;
pub mod servers;
pub mod stage;
pub mod sysbench;
pub mod systems;
