//! A schema change of every database of a keyspace: a fleet migration, which the session asks for and waits
//! for.
//!
//! Nothing of it is held here but its id, however many databases there are. A KILL QUERY, a client that
//! leaves and the end of `timeouts.query` end the wait and not the migration.

use std::sync::Arc;
use std::time::Instant;

use super::copy::Then;
use crate::backend::text_of_literal;
use crate::ddl::{edited, wait_edits};
use crate::error::{ClientError, Code};
use crate::ids::{Keyspace, MigrationId};
use crate::migrations::fleet::live::{FleetEnded, FleetOptions, FleetRequest, FleetSettings, Submitted};
use crate::protocol::response::CommandKind;
use crate::protocol::result::OkPacket;

use crate::session::Session;
use crate::session::flow::Flow;
use crate::session::query::Said;
use crate::session::registry::Stopped;

impl Session {
    /// Has every database of a keyspace changed, and gives the end of that, or the migration's id at once.
    pub(in crate::session) async fn change_fleet(
        &mut self,
        kind: CommandKind,
        (text, said): (&[u8], &Said),
        keyspace: &Keyspace,
    ) -> Flow {
        let then = self.then()?;
        // The migration waits for the end of whatever holds the tables.
        if self.holds_tables() {
            return Err(ClientError::of(Code::DdlPinned).into());
        }
        let request = self.fleet_request(text, said, keyspace)?;
        let submitted = self.submit_fleet(request).await?;
        // What the session reads next is to know of the change.
        let snapshot = self.services.snapshots.load();
        snapshot.shards(keyspace).iter().for_each(|shard| self.state.note_write(&shard.cluster));
        match (submitted, then) {
            (Submitted::AllThere { .. }, Then::Leaves) => {
                self.answer_rows(kind, &["migration_id"], &[]).await
            }
            (Submitted::Begun(id), Then::Leaves) => {
                self.answer_rows(kind, &["migration_id"], &[&[id.as_str()]]).await
            }
            (Submitted::AllThere { databases }, Then::Waits) => {
                self.answer_fleet(format!("Databases: {databases}  Changed: 0")).await
            }
            (Submitted::Begun(id), Then::Waits) => {
                let ended = self.wait_for_fleet(&id).await?;
                match (ended.error(&id), ended) {
                    (None, FleetEnded::Finished { counts }) => {
                        let (all, done) = (counts.total(), counts.done());
                        self.answer_fleet(format!("Databases: {all}  Changed: {done}  Migration: {id}")).await
                    }
                    (error, _) => Err(error.unwrap_or_else(|| ClientError::of(Code::Internal)).into()),
                }
            }
        }
    }

    fn fleet_request(
        &self,
        text: &[u8],
        said: &Said,
        keyspace: &Keyspace,
    ) -> Result<FleetRequest, ClientError> {
        // Refuses what may be another statement to a server than to the reader.
        self.read_change(text)?;
        let text = edited(text, &wait_edits(text, self.state.mode));
        let is_readable = text.is_ascii() || self.is_utf8_throughout();
        let text = String::from_utf8(text).ok().filter(|_| is_readable).ok_or_else(|| {
            let message = "a schema change beyond ASCII is made in UTF-8 only: SET NAMES utf8mb4";
            ClientError::new(Code::NotSupported, message)
        })?;
        let options = FleetOptions {
            acknowledged: said.ddl_acknowledged,
            prove: said.ddl_prove,
            ..FleetOptions::default()
        };
        Ok(FleetRequest {
            keyspace: keyspace.clone(),
            statements: vec![text],
            settings: self.fleet_settings(),
            options,
            user: self.user.name.clone(),
        })
    }

    /// What the session has set; what it has not is the servers' own.
    fn fleet_settings(&self) -> FleetSettings {
        let set = |name: &str| self.state.settings.variable(name).and_then(text_of_literal);
        let collation = set("collation_connection").filter(|name| name.starts_with("utf8mb4"));
        FleetSettings { sql_mode: set("sql_mode"), collation, time_zone: set("time_zone") }
    }

    /// Plans it, which takes as long as reading every database's definitions and may be given up, then has it
    /// taken on.
    async fn submit_fleet(&mut self, request: FleetRequest) -> Flow<Submitted> {
        let (fleet, entry) = (self.services.fleet.clone(), Arc::clone(&self.entry));
        let deadline = self.statement_deadline(Instant::now());
        self.entry.update(|activity| activity.command = "Schema change");
        let mut waiting = entry.waiting();
        let plan = tokio::select! {
            biased;
            plan = fleet.plan(&request) => plan.map_err(ClientError::from)?,
            error = self.client.watch_close() => return Err(error.into()),
            stopped = waiting.stopped() => return Err(stopped.into()),
            () = self.alarm.ring(deadline) => return Err(ClientError::of(Code::QueryTimeout).into()),
        };
        let (keyspace, user) = (request.keyspace.clone(), request.user.clone());
        drop(waiting);
        if let Some(refused) = plan.refused {
            return Err(refused.into());
        }
        // As a server does before a schema change; the session's own locks would be waited for, too.
        self.commit_first().await?;
        let submitted = fleet.submit_planned(request, &plan).await.map_err(ClientError::from)?;
        let (databases, to_change, drifted) = (plan.databases, plan.to_change, plan.drifted.0);
        tracing::info!(
            target: "bulkhead::ddl",
            %keyspace, %user, ?submitted, databases, to_change, drifted,
            "a schema change of every database"
        );
        Ok(submitted)
    }

    /// Waits for the end of a migration, which goes on whatever ends the wait.
    async fn wait_for_fleet(&mut self, id: &MigrationId) -> Flow<FleetEnded> {
        let (fleet, entry) = (self.services.fleet.clone(), Arc::clone(&self.entry));
        let deadline = self.statement_deadline(Instant::now());
        let mut waiting = entry.waiting();
        tokio::select! {
            biased;
            ended = fleet.wait(id) => Ok(ended),
            error = self.client.watch_close() => {
                tracing::info!(target: "bulkhead::ddl", migration = %id, "its client left; it goes on");
                Err(error.into())
            }
            stopped = waiting.stopped() => match stopped {
                Stopped::Session => Err(self.ended_by_kill()),
                Stopped::Statement => {
                    let interrupted = Code::QueryInterrupted;
                    let message = format!("{}; {}", interrupted.sentence(), goes_on(id));
                    Err(ClientError::new(interrupted, message).into())
                }
            },
            () = self.alarm.ring(deadline) => {
                let message = format!("timeouts.query is over; {}", goes_on(id));
                Err(ClientError::new(Code::FleetElsewhere, message).into())
            }
        }
    }

    async fn answer_fleet(&mut self, info: String) -> Flow {
        self.forget_last(0);
        let ok = OkPacket { info, ..OkPacket::with_status(self.status()) };
        self.client.queue_packet(&ok.payload(self.capabilities));
        Ok(self.client.flush().await?)
    }
}

fn goes_on(id: &MigrationId) -> String {
    format!("fleet migration {id} goes on: CANCEL MIGRATION '{id}' on the admin port ends it")
}
