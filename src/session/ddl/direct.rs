//! On the server itself: with an assertion, and a bounded wait for the table.
//!
//! While a statement waits for a table's metadata lock, every other statement of the table queues behind it.
//! So it waits a second or so, gives up, and comes again after a pause that grows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Asked, Sent, Site, as_text};
use crate::backend::{SessionSettings, SettingChange};
use crate::ddl::{Decision, Edit, edited, wait_edits};
use crate::error::{ClientError, Code};
use crate::migrations::{MigrationRequest, StatementSettings};
use crate::protocol::result::ServerError;
use crate::schema::{BUSY, NOT_IN_PLACE, Pauses, WITHHELD, is_of_table};

use crate::session::Session;
use crate::session::flow::{Failure, Flow};
use crate::session::run::job::Job;

/// The variable that bounds the wait for a table.
const LOCK_WAIT: &str = "lock_wait_timeout";

/// What one statement has waited for so far.
#[derive(Debug, Default)]
pub(in crate::session) struct Waits {
    /// Since when it waits for the lane of schema changes.
    pub lane_since: Option<Instant>,
    /// Errors of the server that the client is not told: what follows from them is Bulkhead's.
    pub withholds: &'static [u16],
    /// The error that was not told.
    pub withheld: Option<ServerError>,
    pauses: Pauses,
}

impl Session {
    /// Waits before a schema change is tried again; tells when its time is over.
    async fn pause(&mut self, site: &Site<'_>) -> Flow {
        let within = self.serving.config.timeouts.ddl_retry;
        let Some(pause) = self.waits.get_or_insert_default().pauses.next(within) else {
            let message = format!("{} (cluster {})", Code::DdlTableBusy.sentence(), site.place.cluster);
            return Err(ClientError::new(Code::DdlTableBusy, message).into());
        };
        let until = Instant::now() + pause;
        let mut waiting = self.entry.waiting();
        tokio::select! {
            biased;
            () = self.alarm.ring(Some(until)) => Ok(()),
            error = self.client.watch_close() => Err(error.into()),
            stopped = waiting.stopped() => Err(stopped.into()),
        }
    }

    /// Sends a schema change about which nothing is to be asserted.
    ///
    /// # Errors
    /// [`Failure::TableBusy`] when it did not get its table.
    pub(super) async fn run_unasserted(&mut self, job: &Job<'_>, site: &Site<'_>) -> Flow {
        let (text, mode) = (job.server_text(), self.state.mode);
        // A routine's body may hold queries that wait.
        let edits = if is_of_table(text, mode) { wait_edits(text, mode) } else { Vec::new() };
        match self.run_bounded(job, site, &edits, &BUSY).await? {
            Sent::Answered => Ok(()),
            Sent::NotInPlace(error) => Err(crate::session::run::exchange::refused_by_server(&error).into()),
        }
    }

    /// Sends a schema change with the assertion that was decided on.
    ///
    /// # Errors
    /// [`Failure::TableBusy`] when it did not get its table.
    pub(super) async fn run_asserted(
        &mut self,
        job: &Job<'_>,
        site: &Site<'_>,
        asked: &Asked<'_>,
        edits: &[Edit],
    ) -> Flow<Sent> {
        let mut edits = edits.to_vec();
        edits.extend(wait_edits(asked.text, asked.mode));
        let withheld: &'static [u16] = if asked.needs_definition() { &WITHHELD } else { &BUSY };
        self.run_bounded(job, site, &edits, withheld).await
    }

    /// Writes an acknowledged change that the server has made into the ledger of migrations.
    pub(super) async fn note_acknowledged(
        &mut self,
        asked: &Asked<'_>,
        site: &Site<'_>,
        decision: &Decision,
    ) {
        if self.answer_failed || !site.said.ddl_acknowledged || !decision.breaks {
            return;
        }
        let (place, change) = (&site.place, &asked.change);
        let Some(shard) = &place.shard else { return };
        let qualifier = change.table.qualifier.as_ref().map(|name| name.text.as_str());
        let request = MigrationRequest {
            keyspace: shard.keyspace.clone(),
            shard: shard.name.clone(),
            workspace: site.address.workspace().cloned(),
            cluster: place.cluster.clone(),
            database: qualifier.or(place.database.as_deref()).unwrap_or_default().to_owned(),
            table: change.table.name.text.clone(),
            text: String::from_utf8_lossy(asked.text).into_owned(),
            settings: StatementSettings::default(),
            prove: site.said.ddl_prove,
            acknowledged: true,
            postponed: false,
            is_paced: false,
            user: self.user.name.clone(),
        };
        let (cluster, table) = (place.cluster.clone(), change.table.name.text.as_str());
        // The client has its answer: the change is made. The log has told of it before.
        if let Err(error) = self.services.migrations.note_direct(request).await {
            tracing::warn!(target: "bulkhead::ddl", %cluster, table, %error, "not written into the ledger");
        }
    }

    async fn run_bounded(
        &mut self,
        job: &Job<'_>,
        site: &Site<'_>,
        edits: &[Edit],
        withheld: &'static [u16],
    ) -> Flow<Sent> {
        let own = Arc::clone(&self.state.settings);
        self.state.settings = bounded(&own, self.serving.config.timeouts.ddl_lock)?;
        self.waits.get_or_insert_default().withholds = withheld;
        let done = match edits {
            [] => self.run_job(job, site.place.clone()).await,
            edits => {
                let text = edited(job.server_text(), edits);
                match as_text(job, &text) {
                    Ok(job) => self.run_job(&job, site.place.clone()).await,
                    Err(error) => Err(error.into()),
                }
            }
        };
        // Its warnings are asked for now: to set the wait back, later, would clear them.
        Box::pin(self.end_linger()).await;
        Box::pin(self.keep_held_warnings()).await;
        self.state.settings = own;
        let waits = self.waits.get_or_insert_default();
        waits.withholds = &[];
        let told_otherwise = waits.withheld.take();
        done?;
        match told_otherwise {
            None => Ok(Sent::Answered),
            Some(error) if NOT_IN_PLACE.contains(&error.errno) => Ok(Sent::NotInPlace(error)),
            Some(_) => {
                self.pause(site).await?;
                Err(Failure::TableBusy)
            }
        }
    }
}

/// The session's settings, with a wait for tables that is no longer than `bound`.
fn bounded(own: &Arc<SessionSettings>, bound: Duration) -> Result<Arc<SessionSettings>, ClientError> {
    let seconds = bound.as_secs().max(1);
    let own_seconds = own.variable(LOCK_WAIT).and_then(|literal| literal.parse::<u64>().ok());
    if own_seconds.is_some_and(|own| own <= seconds) {
        return Ok(Arc::clone(own));
    }
    let literal = seconds.to_string();
    let change = [SettingChange::Variable { name: LOCK_WAIT, literal: &literal }];
    let settings = own.with(&change);
    settings.map(Arc::new).map_err(|error| ClientError::new(Code::NotSupported, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_wait_of_the_session_stays() {
        let set = |literal: &str| {
            let change = [SettingChange::Variable { name: LOCK_WAIT, literal }];
            Arc::new(SessionSettings::new(45).with(&change).unwrap())
        };
        let seconds = |settings: &Arc<SessionSettings>| {
            let bounded = bounded(settings, Duration::from_secs(2)).unwrap();
            bounded.variable(LOCK_WAIT).unwrap().to_owned()
        };
        assert_eq!(seconds(&set("1")), "1");
        assert_eq!(seconds(&set("31536000")), "2");
        assert_eq!(seconds(&Arc::new(SessionSettings::new(45))), "2");
    }
}
