//! The pure part: from what servers say to what is to be done.

mod choose;
mod discover;
mod plan;
#[cfg(test)]
mod tests;
mod view;

pub use choose::{Situation, decide};
pub use discover::{Before, Judgement, judge};
pub use plan::{FailoverPlan, Loss, Refusal, Step, Unfit};
pub use view::{Heard, Identity, Receiving, Replication, Said, SemiSync, ServerView};
