//! Into an online copy: submitted to [`crate::migrations`], and waited for unless the session said not to.

use std::sync::Arc;
use std::time::Instant;

use super::look::{Look, full};
use super::{Asked, Site};
use crate::backend::text_of_literal;
use crate::ddl::{Claim, Decision, Table, Texts, claims, edited, wait_edits};
use crate::error::{ClientError, Code};
use crate::ids::MigrationId;
use crate::migrations::{Command, Ended as MigrationEnd, MigrationRequest, StatementSettings};
use crate::plan::Pins;
use crate::protocol::response::CommandKind;
use crate::protocol::result::{Column, OkPacket};
use crate::schema::{Looks, Proof, Purpose, prove_on};
use crate::sql::ChangeForm;

use crate::session::Session;
use crate::session::flow::{Ended, Failure, Flow};
use crate::session::registry::{Interrupt, Stopped};
use crate::session::run::job::Job;
use crate::session::state::Transaction;

/// The user variable that says whether a session waits for its copies.
const MODE_VARIABLE: &str = "bulkhead_ddl";
/// What holds a table's metadata lock beyond a transaction.
const HOLDS_TABLES: [Pins; 3] = [Pins::TABLE_LOCK, Pins::XA, Pins::HANDLER];

/// What InnoDB answers to OPTIMIZE TABLE.
const OPTIMIZED: [(&str, &str); 2] =
    [("note", "Table does not support optimize, doing recreate + analyze instead"), ("status", "OK")];

/// What a session does once its copy is submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Answers when it has ended.
    Waits,
    /// Answers with its id.
    Leaves,
}

impl Session {
    /// Submits a change to be copied online, and gives its true end, or its id at once.
    pub(super) async fn copy_online(
        &mut self,
        job: &Job<'_>,
        site: &Site<'_>,
        asked: &Asked<'_>,
        (look, decision): (&mut Look, &Decision),
    ) -> Flow {
        let then = self.then()?;
        self.learn_transaction().await;
        self.check_holds_nothing(site)?;
        let request = self.request_of(site, asked, look)?;
        look.close().await;
        self.prove(site, asked, (look, decision)).await?;
        self.commit_first().await?;
        let (cluster, user) = (site.place.cluster.clone(), self.user.name.clone());
        let id = self.services.migrations.submit(request).await.map_err(ClientError::from)?;
        tracing::info!(target: "bulkhead::ddl", migration = %id, %cluster, %user, "to be copied online");
        self.state.note_write(&cluster);
        if then == Then::Leaves {
            return self.answer_rows(job.kind, &["migration_id"], &[&[id.as_str()]]).await;
        }
        let ended = self.wait_for(&id).await?;
        match ended.error(&id) {
            Some(error) => Err(error.into()),
            None => self.answer_changed(job, site, asked, &ended).await,
        }
    }

    /// What `@bulkhead_ddl` says.
    pub(super) fn then(&self) -> Result<Then, ClientError> {
        let literal = self.state.settings.user_variable(MODE_VARIABLE);
        match literal.map(|literal| text_of_literal(literal).unwrap_or_else(|| literal.to_owned())) {
            None => Ok(Then::Waits),
            Some(mode) if mode.is_empty() || mode.eq_ignore_ascii_case("wait") => Ok(Then::Waits),
            Some(mode) if mode.eq_ignore_ascii_case("submit") => Ok(Then::Leaves),
            Some(_) => Err(ClientError::of(Code::DdlMode)),
        }
    }

    /// Says whether the session holds metadata locks that its transaction's end does not release.
    pub(super) fn holds_tables(&self) -> bool {
        HOLDS_TABLES.iter().any(|pin| self.state.pins.contains(*pin))
    }

    /// A copy waits for everybody's locks of the table: the session must not hold some itself.
    fn check_holds_nothing(&self, site: &Site<'_>) -> Result<(), ClientError> {
        if self.holds_tables() {
            return Err(ClientError::of(Code::DdlPinned));
        }
        match &self.state.held {
            Some(held) if held.cluster != site.place.cluster => Err(self.held_elsewhere()),
            _ => Ok(()),
        }
    }

    /// A direct change of a table that is being copied would be lost, or end the copy.
    pub(super) fn check_not_migrating(&self, site: &Site<'_>, asked: &Asked<'_>) -> Result<(), ClientError> {
        let own = site.place.database.as_deref().unwrap_or_default();
        for row in self.services.migrations.rows() {
            if row.state.is_over() || row.cluster != site.place.cluster {
                continue;
            }
            let is_it = asked.tables().any(|name| {
                let database = name.qualifier.as_ref().map_or(own, |qualifier| qualifier.text.as_str());
                row.database == database && row.table.eq_ignore_ascii_case(&name.name.text)
            });
            if is_it {
                let message = format!("migration {} is copying the table", row.id);
                return Err(ClientError::new(Code::MigrationBusy, message));
            }
        }
        Ok(())
    }

    fn request_of(
        &self,
        site: &Site<'_>,
        asked: &Asked<'_>,
        look: &Look,
    ) -> Result<MigrationRequest, ClientError> {
        let text = edited(asked.text, &wait_edits(asked.text, asked.mode));
        let is_readable = text.is_ascii() || self.is_utf8_throughout();
        let text = String::from_utf8(text).ok().filter(|_| is_readable).ok_or_else(|| {
            let message = "a schema change beyond ASCII is copied online in UTF-8 only: SET NAMES utf8mb4";
            ClientError::new(Code::NotSupported, message)
        })?;
        let (place, table) = (&site.place, look.definition());
        let (Some(shard), Some(table)) = (&place.shard, table) else {
            return Err(ClientError::of(Code::Internal));
        };
        let qualifier = asked.change.table.qualifier.as_ref().map(|name| name.text.as_str());
        let database = qualifier.or(place.database.as_deref()).unwrap_or_default();
        Ok(MigrationRequest {
            keyspace: shard.keyspace.clone(),
            shard: shard.name.clone(),
            workspace: site.address.workspace().cloned(),
            cluster: place.cluster.clone(),
            database: database.to_owned(),
            table: table.name.name.text.clone(),
            text,
            settings: self.statement_settings(look),
            prove: site.said.ddl_prove,
            acknowledged: site.said.ddl_acknowledged,
            postponed: false,
            is_paced: false,
            user: self.user.name.clone(),
        })
    }

    /// What the statement means depends on these; where the session did not set them, on the server's own.
    fn statement_settings(&self, look: &Look) -> StatementSettings {
        let set = |name: &str| self.state.settings.variable(name).and_then(text_of_literal);
        let facts = look.facts();
        StatementSettings {
            sql_mode: set("sql_mode").unwrap_or_else(|| facts.sql_mode.clone()),
            character_set: "utf8mb4".to_owned(),
            collation: set("collation_connection")
                .filter(|name| name.starts_with("utf8mb4"))
                .unwrap_or_default(),
            time_zone: set("time_zone").unwrap_or_else(|| facts.time_zone.clone()),
        }
    }

    /// Scans the rows, where the decision needs it: on a replica, if one can be asked.
    ///
    /// # Errors
    /// `ddl_disproved`; `ddl_unscanned`; `ddl_looks_full`; the client left.
    pub(super) async fn prove(
        &mut self,
        site: &Site<'_>,
        asked: &Asked<'_>,
        (look, decision): (&Look, &Decision),
    ) -> Flow {
        let (Some(table), Some(definition)) = (look.table(), look.definition()) else { return Ok(()) };
        if !decision.needs_proof {
            return Ok(());
        }
        let texts = Texts { definition: table.text.as_bytes(), change: asked.text };
        let claims = claims(&asked.change, definition, look.server(), texts)
            .map_err(|unprovable| ClientError::new(Code::DdlUnproven, unprovable.to_string()))?;
        let key = Table { definition: Some(definition), server: look.server() }.row_keys();
        let key = key.into_iter().next().unwrap_or_default();
        let name = &definition.name.name.text;
        let scanned = scan(&self.services.looks, site, asked, name, (&key, &claims));
        let mut waiting = self.entry.waiting();
        let proof = tokio::select! {
            biased;
            proof = scanned => proof?,
            error = self.client.watch_close() => return Err(error.into()),
            stopped = waiting.stopped() => return Err(stopped.into()),
        };
        match proof {
            Proof::Holds => Ok(()),
            Proof::Fails { column, why } => {
                let message = format!("{}: `{column}`: {why}", Code::DdlDisproved.sentence());
                Err(ClientError::new(Code::DdlDisproved, message).into())
            }
        }
    }

    /// Commits what is open, as a server does before a schema change: the copy would wait for its end.
    pub(super) async fn commit_first(&mut self) -> Flow {
        match &self.state.transaction {
            Transaction::Idle => return Ok(()),
            Transaction::Lost { code } => return Err(ClientError::of(*code).into()),
            Transaction::Deferred(_) => {
                self.state.transaction = Transaction::Idle;
                return Ok(());
            }
            Transaction::Open { .. } => {}
        }
        let Some(mut held) = self.state.held.take() else {
            self.state.transaction = Transaction::Idle;
            return Ok(());
        };
        match self.ask(&mut held, b"COMMIT AND NO CHAIN NO RELEASE").await {
            Ok(_) => {
                self.state.transaction = Transaction::Idle;
                self.keep_or_release(held, false);
                Ok(())
            }
            Err(failure) => {
                self.put_back(held, &failure);
                Err(failure)
            }
        }
    }

    /// Waits for the end of a migration. A KILL QUERY cancels it; a client that leaves does not.
    async fn wait_for(&mut self, id: &MigrationId) -> Flow<MigrationEnd> {
        let deadline = self.statement_deadline(Instant::now());
        let entry = Arc::clone(&self.entry);
        let mut waiting = entry.waiting();
        let (migrations, user) = (self.services.migrations.clone(), self.user.name.clone());
        self.entry.update(|activity| activity.command = "Schema change");
        let mut is_cancelled = false;
        loop {
            tokio::select! {
                biased;
                ended = migrations.wait(id) => return Ok(ended),
                error = self.client.watch_close() => {
                    tracing::info!(target: "bulkhead::ddl", migration = %id, "its client left; it goes on");
                    return Err(error.into());
                }
                () = entry.killed(), if is_cancelled => return Err(self.ended_by_kill()),
                stopped = waiting.stopped(), if !is_cancelled => {
                    if stopped == Stopped::Session {
                        return Err(self.ended_by_kill());
                    }
                    is_cancelled = true;
                    if let Err(error) = migrations.command(id, Command::Cancel, &user).await {
                        tracing::info!(target: "bulkhead::ddl", migration = %id, %error, "not cancelled");
                        is_cancelled = false;
                        waiting.go_on();
                    }
                }
                () = self.alarm.ring(deadline) => {
                    let message = format!("migration {id}: timeouts.query is over; it goes on");
                    return Err(ClientError::new(Code::MigrationElsewhere, message).into());
                }
            }
        }
    }

    pub(super) fn ended_by_kill(&self) -> Failure {
        let is_stop = self.entry.interrupt() == Some(Interrupt::Stop);
        Failure::End(if is_stop { Ended::Shutdown } else { Ended::Killed })
    }

    /// What a server answers to a change that it made by copying the table.
    async fn answer_changed(
        &mut self,
        job: &Job<'_>,
        site: &Site<'_>,
        asked: &Asked<'_>,
        ended: &MigrationEnd,
    ) -> Flow {
        if asked.change.form == ChangeForm::Optimize {
            let database = site.place.database.as_deref().unwrap_or_default();
            let table = format!("{database}.{}", asked.change.table.name.text);
            let titles = ["Table", "Op", "Msg_type", "Msg_text"];
            let rows = OPTIMIZED.map(|(kind, text)| [table.as_str(), "optimize", kind, text]);
            return self.answer_rows(job.kind, &titles, &[&rows[0], &rows[1]]).await;
        }
        let rows = if let MigrationEnd::Done { rows } = ended { *rows } else { 0 };
        self.forget_last(i64::try_from(rows).unwrap_or(i64::MAX));
        let info = format!("Records: {rows}  Duplicates: 0  Warnings: 0");
        let ok = OkPacket { affected_rows: rows, info, ..OkPacket::with_status(self.status()) };
        self.client.queue_packet(&ok.payload(self.capabilities));
        Ok(self.client.flush().await?)
    }

    /// Rows of texts, in the protocol of the command.
    pub(super) async fn answer_rows(&mut self, kind: CommandKind, titles: &[&str], all: &[&[&str]]) -> Flow {
        self.forget_last(-1);
        let columns: Vec<Column> = titles.iter().map(|title| Column::text(title, 128)).collect();
        let mut rows = self.start_rows(&columns);
        for values in all {
            match kind {
                CommandKind::Execute => rows.binary_row(values),
                _ => rows.row(values.iter().map(|value| Some(*value))),
            };
        }
        self.send_rows(rows).await
    }

    /// The last statement was this one: no warnings, no rows found.
    pub(super) fn forget_last(&mut self, row_count: i64) {
        self.forget_lingering();
        (self.kept_warnings, self.refusal, self.answer_failed) = (None, None, false);
        let last = &mut self.state.last;
        (last.row_count, last.found_rows, last.warnings, last.failed) = (row_count, 0, 0, false);
    }
}

/// Scans for what is claimed: on the first replica that can be asked, else on the primary.
async fn scan(
    looks: &Looks,
    site: &Site<'_>,
    asked: &Asked<'_>,
    table: &str,
    (key, claims): (&[String], &[Claim]),
) -> Result<Proof, ClientError> {
    let unscanned = |error: &dyn std::fmt::Display| {
        ClientError::new(Code::DdlUnscanned, format!("{}: {error}", Code::DdlUnscanned.sentence()))
    };
    let cluster = site.snapshot.cluster(&site.place.cluster).map_err(ClientError::from)?;
    let _room = looks.admit(&site.place.cluster, Purpose::Scan).await.map_err(full)?;
    let qualifier = asked.change.table.qualifier.as_ref().map(|name| name.text.as_str());
    let database = qualifier.or(site.place.database.as_deref()).unwrap_or_default();
    prove_on(cluster, (database, table), (key, claims)).await.map_err(|error| unscanned(&error))
}
