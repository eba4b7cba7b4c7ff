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
        let trouble = match swapped {
            Ok(swapped) => return self.settle(&swapped).await,
            Err(trouble) => trouble,
        };
        if let Trouble::Passing(_) = &trouble {
            self.update(|record| {
                record.step = Step::Shadow;
                // Of others that was written as the attempt was begun.
                record.attempts += u32::from(record.is_light());
            })
            .await?;
        }
        Err(trouble)
    }
}

/// Says whether a small table has had its attempts under one lock.
pub(super) fn has_had_its_attempts(attempts: u32) -> bool {
    attempts >= ATTEMPTS_MAX
}
