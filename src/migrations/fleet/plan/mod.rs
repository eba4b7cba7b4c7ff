//! Before anything is done: which database comes when, and what all of it would take. Pure.

mod estimate;
mod show;
mod summary;
mod waves;

pub use estimate::{Costs, statements_of};
pub use show::{to_json, to_text};
pub use summary::{ClusterPlan, GroupPlan, Intent, Summary, Verdict, summarize};
pub use waves::{Canary, Candidate, DATABASES_MAX, Ordering, WaveFault, WavePlan, lay_out};

#[cfg(test)]
mod tests;
