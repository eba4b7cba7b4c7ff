//! A table of one chunk: copied and exchanged under one lock, with no feed.

use super::cut::Filled;
use super::prepare::Prepared;
use super::runner::Runner;
use super::step::Step;
use super::trouble::Trouble;
use crate::backend::direct::Direct;

/// Attempts under one lock; then the table goes the way of large ones, which holds its lock only for the end.
const ATTEMPTS_MAX: u32 = 3;

impl Runner {
    /// Copies and exchanges the table. A shadow that an attempt has filled is made anew by the next round,
    /// which begins from the request.
    pub(super) async fn exchange_chunk(&self, prepared: Prepared, conn: Box<Direct>) -> Result<(), Trouble> {
        let filled = Filled::Chunk(&prepared.plan, Some(conn));
        let swapped = self.exchange(filled, &prepared.before).await;
        match swapped {
            Ok(swapped) => self.settle(&swapped).await,
            Err(Trouble::Passing(why)) => {
                self.update(|record| record.step = Step::Shadow).await?;
                Err(Trouble::Passing(why))
            }
            Err(trouble) => Err(trouble),
        }
    }
}

/// Says whether a small table has had its attempts under one lock.
pub(super) fn has_had_its_attempts(attempts: u32) -> bool {
    attempts >= ATTEMPTS_MAX
}
