//! Attempts to exchange the tables, until one succeeds.

use std::sync::Arc;
use std::time::Duration;

use super::runner::{Runner, names};
use super::step::Step;
use super::trouble::Trouble;
use crate::backend::direct::{Direct, Kill};
use crate::ids::TableName;
use crate::migrations::cutover::{self, Attempt, CutError, End, Fill, Gate, Swapped, Verdict};
use crate::migrations::engine::Engine;
use crate::migrations::ledger::Record;
use crate::migrations::plan::CopyPlan;
use crate::migrations::service::GatedTable;

/// Pauses between attempts: each twice the one before, a quarter of it random, so that migrations that failed
/// together do not try together.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// After so many attempts it is left to an operator: the copy is kept, and kept up to date.
const ATTEMPTS_MAX: u32 = 30;
/// Changes are caught up with for so long before an attempt.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(60);

/// What fills the shadow under the lock.
pub(super) enum Filled<'a> {
    /// The last changes.
    Feed(&'a mut Engine),
    /// The whole table, on the connection that made the shadow. One attempt: the shadow holds rows behind it.
    Chunk(&'a CopyPlan, Option<Box<Direct>>),
}

impl Runner {
    /// Exchanges the tables.
    ///
    /// # Errors
    /// Whatever ends the attempts; the tables are not exchanged then, or it is not known.
    pub(super) async fn exchange(&self, mut filled: Filled<'_>, before: &str) -> Result<Swapped, Trouble> {
        let mut pause = PAUSE_MIN;
        loop {
            let engine = match &filled {
                Filled::Feed(engine) => Some(&**engine),
                Filled::Chunk(..) => None,
            };
            self.await_orders(engine).await?;
            let made = self.record()?.attempts;
            let why = match self.attempt(&mut filled, before).await? {
                End::Swapped(swapped) => return Ok(swapped),
                End::Again(why) => why,
            };
            tracing::info!(id = %self.id, why, "the tables were not exchanged; tried again");
            self.note(&why).await;
            if matches!(filled, Filled::Chunk(..)) {
                return Err(Trouble::Passing(why));
            }
            self.give_up_after_many(made, &why).await?;
            self.pause(pause.mul_f64(0.75 + 0.25 * random())).await?;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn attempt(&self, filled: &mut Filled<'_>, before: &str) -> Result<End, Trouble> {
        if let Filled::Feed(engine) = filled {
            engine.catch_up(CATCH_UP_WITHIN).await.map_err(|error| self.why_ended(error))?;
        }
        let record = self.record()?;
        let mut ready = match filled {
            Filled::Feed(_) => None,
            Filled::Chunk(_, conn) => conn.take(),
        };
        if let Some(why) = self.look_for_blockers(&record, ready.as_deref_mut()).await? {
            if let Some(conn) = ready {
                (*conn).close().await;
            }
            return Ok(End::Again(why));
        }
        // From here on the tables may be exchanged, whatever becomes of this proxy.
        let record = self.begin_exchange(matches!(filled, Filled::Chunk(..))).await?;
        let gate = Gate::new(self.shared.gate.clone(), gated(&record));
        let (endpoint, names) = (self.endpoint(&record)?, names(&record));
        if let Filled::Feed(engine) = filled
            && *engine.server() != endpoint.server
        {
            return Err(Trouble::Passing("another server is the primary now".to_owned()));
        }
        let (old_home, old) = (record.old_home(), record.old());
        let fence = self.fence();
        let at = Attempt {
            id: &self.id,
            fence: &fence,
            endpoint: &endpoint,
            names: &names,
            old: (&old_home, &old),
            before,
            within: self.shared.clusters.settings().swap_within,
            fail_points: &self.shared.fail_points,
            sessions: &self.shared.sessions,
        };
        let mut fill = match filled {
            Filled::Feed(engine) => Fill::Changes(engine),
            Filled::Chunk(plan, _) => Fill::Chunk(plan),
        };
        let _exchanging = self.shared.exchanging();
        match cutover::attempt(&at, &gate, &mut fill, ready.map(|conn| *conn)).await {
            Ok(end) => Ok(end),
            Err(CutError::Lost(why)) => {
                tracing::warn!(id = %self.id, why, "a connection was lost; the server is asked");
                if self.was_swapped(&record).await? {
                    return Ok(End::Swapped(Swapped { took: Duration::ZERO, position: None, rows: None }));
                }
                Ok(End::Again(why))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes down that an exchange is begun. Of a light one only this process has to know: the next one asks
    /// the server in any case.
    async fn begin_exchange(&self, is_chunk: bool) -> Result<Arc<Record>, Trouble> {
        let record = self.record()?;
        if is_chunk && record.is_light() {
            self.check_orders()?;
            self.shared.note_step(&self.id, Step::Gate);
            return Ok(Arc::new(Record { step: Step::Gate, ..Record::clone(&record) }));
        }
        self.begin_with(Step::Gate, |record| record.attempts += 1).await
    }

    /// Why an attempt is not worth making; holders that may be ended are, when an operator forces it. Looked
    /// for on a connection that is there, or on one of its own.
    async fn look_for_blockers(
        &self,
        record: &Record,
        ready: Option<&mut Direct>,
    ) -> Result<Option<String>, Trouble> {
        if self.shared.throttles.is_lane_closed(&record.request.cluster) {
            return Ok(Some("schema changes are held back on the cluster".to_owned()));
        }
        let mut own = None;
        let conn = match ready {
            Some(conn) => conn,
            None => own.insert(self.session(record).await?),
        };
        let Some(blockers) = cutover::blockers(conn, &names(record)).await? else { return Ok(None) };
        match cutover::judge(&blockers, record.orders.is_forced) {
            Verdict::Clear => Ok(None),
            Verdict::Wait(why) => Ok(Some(why)),
            Verdict::End(threads) => {
                for thread in threads {
                    tracing::warn!(id = %self.id, thread, "a connection that holds the table is ended");
                    conn.kill(thread, Kill::Connection).await?;
                }
                Ok(None)
            }
        }
    }

    /// `made`: attempts before this one. A look that showed holders of the table was none: an operator who
    /// lets a migration go on that had its attempts is not to be told the same again at once.
    async fn give_up_after_many(&self, made: u32, why: &str) -> Result<(), Trouble> {
        let record = self.record()?;
        if is_enough(made, record.attempts) {
            let message = format!("postponed after {} attempts: {why}", record.attempts);
            tracing::warn!(id = %self.id, message, "a migration waits for an operator");
            self.update(|record| {
                record.orders.is_postponed = true;
                record.message = Some(message.clone());
            })
            .await?;
        }
        Ok(())
    }
}

/// Says whether it is left to an operator behind an attempt: `made` before it, `attempts` with it.
fn is_enough(made: u32, attempts: u32) -> bool {
    attempts > made && attempts.is_multiple_of(ATTEMPTS_MAX)
}

/// A number from 0 to 1.
fn random() -> f64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    (RandomState::new().build_hasher().finish() % 1024) as f64 / 1024.0
}

/// The table as statements name it.
fn gated(record: &Record) -> GatedTable {
    let request = &record.request;
    GatedTable {
        cluster: request.cluster.clone(),
        keyspace: request.keyspace.clone(),
        shard: request.shard.clone(),
        workspace: request.workspace.clone(),
        table: TableName::new(request.table.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_no_attempt_is_not_the_last_one() {
        assert!(!is_enough(0, 0), "a look at the holders only");
        assert!(!is_enough(ATTEMPTS_MAX - 2, ATTEMPTS_MAX - 1));
        assert!(is_enough(ATTEMPTS_MAX - 1, ATTEMPTS_MAX));
        assert!(!is_enough(ATTEMPTS_MAX, ATTEMPTS_MAX), "a look behind them, which an operator asked for");
        assert!(is_enough(2 * ATTEMPTS_MAX - 1, 2 * ATTEMPTS_MAX));
    }
}
