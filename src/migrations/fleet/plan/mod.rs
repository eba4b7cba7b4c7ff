//! Before anything is done: which database comes when, and what all of it would take. Pure.

mod estimate;
mod show;
mod summary;
mod waves;

pub use estimate::{Costs, statements_of};
pub use show::{to_json, to_text};
pub use summary::{ClusterPlan, GroupPlan, Intent, Summary, Verdict, summarize};
pub use waves::{Candidate, DATABASES_MAX, WaveFault, lay_out};

pub use super::ledger::{Canary, Ordering, WavePlan};

#[cfg(test)]
mod tests;
