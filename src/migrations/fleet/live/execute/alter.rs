//! ALTER TABLE, CREATE INDEX, DROP INDEX of one database: decided as for a session, with the live definition.

use std::sync::Arc;

use super::direct::{Sent, send};
use super::hold::Hold;
use super::trouble::Trouble;
use super::{Done, LiveExecutor};
use crate::ddl::{self, Decision, Route, Standing, Table, Texts, claims, edited, wait_edits};
use crate::ids::MigrationId;
use crate::migrations::fleet::definition::{Definition, repair};
use crate::migrations::fleet::ledger::{Action, OrderStep, Outcome, Wanted};
use crate::migrations::fleet::live::statements::mode_of;
use crate::migrations::fleet::live::survey::Found;
use crate::migrations::fleet::schedule::Work;
use crate::migrations::view::State;
use crate::migrations::{CommandError, Ended, Failure, MigrationRequest, SubmitError};
use crate::schema::{Asked, Proof, prove_on, read_asked, refuse};
use crate::topology::StoreError;

/// A statement for one database.
struct Statement<'a> {
    text: String,
    definition: &'a Arc<Definition>,
    prove: bool,
    acknowledged: bool,
}

impl Statement<'_> {
    fn read(&self, work: &Work) -> Result<Asked<'_>, Trouble> {
        let mode = mode_of(&work.order.settings.sql_mode, self.definition.server);
        let asked = read_asked(self.text.as_bytes(), mode);
        let asked = asked.map_err(|error| Trouble::failed(error.to_string()))?;
        asked.ok_or_else(|| Trouble::failed("it changes no table"))
    }

    fn decide(&self, asked: &Asked<'_>, must_copy: bool) -> Decision {
        ddl::decide(&ddl::Request {
            text: asked.text,
            change: &asked.change,
            table: Some(&self.definition.table),
            server: self.definition.server,
            prove: self.prove,
            acknowledged: self.acknowledged,
            standing: Standing::InUse,
            must_copy,
        })
    }
}

impl LiveExecutor {
    /// Changes the table, directly or by a copy.
    pub(super) async fn alter(
        &self,
        work: &Work,
        step: &OrderStep,
        (found, hold): (&Found, &mut Hold),
    ) -> Result<Done, Trouble> {
        let Found::Defined(definition) = found else { return Err(Trouble::Gone) };
        let order = &work.order;
        let text = match &order.action {
            Action::Change | Action::Revert { redoes: true, .. } => step.text.clone(),
            Action::Revert { .. } => {
                if let Some(done) = self.put_back(work, step).await? {
                    return Ok(done);
                }
                self.text_back(step, definition)?
            }
        };
        let is_revert = order.action != Action::Change;
        let statement = Statement {
            text,
            definition,
            // Who takes something back wants what there was; what it loses is what came since.
            acknowledged: order.acknowledged || is_revert,
            prove: order.prove || is_revert,
        };
        let asked = statement.read(work)?;
        let decision = statement.decide(&asked, false);
        match decision.route {
            Route::Refuse => Err(refused(&decision)),
            Route::Copy => self.copy(work, step, (&statement, &asked, &decision)).await,
            Route::Direct => {
                self.prove(work, (&statement, &asked, &decision)).await?;
                let mut edits = decision.edits.clone();
                edits.extend(wait_edits(asked.text, asked.mode));
                match send(work, hold, &edited(asked.text, &edits)).await? {
                    Sent::Done => {
                        self.check_made(work, step, hold).await;
                        Ok(Done::Changed)
                    }
                    Sent::NotInPlace(error) => {
                        let (database, errno) = (&work.database, error.errno);
                        tracing::info!(target: "bulkhead::fleet", database, errno, "not in place: copied");
                        let decision = statement.decide(&asked, true);
                        if decision.route == Route::Refuse {
                            return Err(refused(&decision));
                        }
                        self.copy(work, step, (&statement, &asked, &decision)).await
                    }
                }
            }
        }
    }

    /// Tells when the server made something else of the statement than was foretold: then a later look would
    /// not know the table.
    pub(super) async fn check_made(&self, work: &Work, step: &OrderStep, hold: &mut Hold) {
        let Ok(Found::Defined(made)) = hold.find(&self.definitions, &step.table).await else { return };
        let print = made.fingerprint();
        if !step.wanted.iter().any(|wanted| wanted.to == Some(print)) {
            let (id, database, print) = (&work.order.id, &work.database, print.short());
            tracing::warn!(
                target: "bulkhead::fleet",
                %id, database, print, "the table is changed, and not as was foretold"
            );
        }
    }

    /// Scans the rows, where the decision needs it.
    async fn prove(
        &self,
        work: &Work,
        (statement, asked, decision): (&Statement<'_>, &Asked<'_>, &Decision),
    ) -> Result<(), Trouble> {
        if !decision.needs_proof {
            return Ok(());
        }
        let definition = statement.definition;
        let texts = Texts { definition: definition.text.as_bytes(), change: asked.text };
        let claims = claims(&asked.change, &definition.table, definition.server, texts)
            .map_err(|unprovable| Trouble::failed(unprovable.to_string()))?;
        let table = Table { definition: Some(&definition.table), server: definition.server };
        let key = table.row_keys().into_iter().next().unwrap_or_default();
        let no_cluster = || Trouble::again(format!("no cluster {}", work.cluster));
        let cluster = self.clusters.cluster(&work.cluster).ok_or_else(no_cluster)?;
        let name = (&*work.database, definition.table.name.name.text.as_str());
        match prove_on(&cluster, name, (&key, &claims)).await {
            Ok(Proof::Holds) => Ok(()),
            Ok(Proof::Fails { column, why }) => {
                Err(Trouble::failed(format!("the scan of its rows says of `{column}`: {why}")))
            }
            Err(error) => Err(Trouble::again(format!("its rows could not be scanned: {error}"))),
        }
    }

    /// Submits an online copy, and waits for its end.
    async fn copy(
        &self,
        work: &Work,
        step: &OrderStep,
        (statement, asked, decision): (&Statement<'_>, &Asked<'_>, &Decision),
    ) -> Result<Done, Trouble> {
        self.prove(work, (statement, asked, decision)).await?;
        let text = edited(asked.text, &wait_edits(asked.text, asked.mode));
        let text = String::from_utf8(text).map_err(|_| Trouble::failed("the statement is no UTF-8"))?;
        let order = &work.order;
        let request = MigrationRequest {
            keyspace: order.keyspace.clone(),
            shard: work.shard.clone(),
            workspace: work.workspace.clone(),
            cluster: work.cluster.clone(),
            database: work.database.to_string(),
            table: statement.definition.table.name.name.text.clone(),
            text,
            settings: order.settings.clone(),
            prove: statement.prove,
            acknowledged: statement.acknowledged,
            postponed: false,
            is_paced: true,
            user: order.user.clone(),
        };
        let id = match self.migrations.submit(request).await {
            Ok(id) => id,
            Err(error) => return Err(not_submitted(&error)),
        };
        let (fleet, database, table) = (&order.id, &work.database, &step.table);
        tracing::debug!(target: "bulkhead::fleet", %fleet, %id, database, table, "copied online");
        self.wait_for(work, &id).await
    }

    async fn wait_for(&self, work: &Work, id: &MigrationId) -> Result<Done, Trouble> {
        match self.migrations.wait(id).await {
            Ended::Done { .. } => Ok(Done::Changed),
            Ended::Failed(failure) => Err(Trouble::Failed(failure)),
            Ended::Cancelled { .. } if self.was_stopped(work) => Ok(Done::Ends(Outcome::Unchanged)),
            Ended::Cancelled { by } => Err(Trouble::failed(format!("migration {id} was cancelled by {by}"))),
            Ended::Unknown(failure) => Err(Trouble::Unknown(failure)),
            Ended::Elsewhere => Err(Trouble::Unknown(Failure::new(format!("migration {id} goes on")))),
        }
    }

    /// Puts the old table back that the step's copy left; `None` when there is none.
    async fn put_back(&self, work: &Work, step: &OrderStep) -> Result<Option<Done>, Trouble> {
        let all = self.migrations.shared().ledger.all();
        let mut own = all.iter().rev().filter(|record| {
            let request = &record.request;
            request.cluster == work.cluster
                && request.database == *work.database
                && request.table.eq_ignore_ascii_case(&step.table)
                && record.state == State::Done
                && record.reverts.is_none()
                && record.kept.as_ref().is_some_and(|kept| kept.position.is_some())
        });
        let Some(newest) = own.next().filter(|record| record.request.text == step.text) else {
            return Ok(None);
        };
        let id = match self.migrations.take_back(&newest.id, &work.order.user).await {
            Ok(id) => id,
            Err(CommandError::Submit(error)) => return Err(not_submitted(&error)),
            Err(error) => return Err(Trouble::failed(error.to_string())),
        };
        self.wait_for(work, &id).await.map(Some)
    }

    /// The statement that makes the table what it was.
    fn text_back(&self, step: &OrderStep, definition: &Arc<Definition>) -> Result<String, Trouble> {
        let own = Some(definition.fingerprint());
        // Where some had it before it is among what is wanted, as what is left as it is.
        let back = |wanted: &&Wanted| wanted.from == own && wanted.to != own;
        let wanted = step.wanted.iter().find(back).and_then(|wanted| wanted.to);
        let before = step.before.iter().find(|before| Some(before.fingerprint) == wanted);
        let before = before.ok_or_else(|| Trouble::failed("what the table was like is not kept"))?;
        let before = self.definitions.read(&before.text, definition.server);
        let before = before.map_err(|fault| Trouble::failed(fault.to_string()))?;
        let repair = repair(definition, &before);
        if let Some(left) = repair.by_hand.first() {
            return Err(Trouble::failed(format!("it cannot be taken back by a statement: {left}")));
        }
        repair.statement.ok_or_else(|| Trouble::failed("no statement takes it back"))
    }
}

fn not_submitted(error: &SubmitError) -> Trouble {
    let why = error.to_string();
    match error {
        SubmitError::Busy { .. } | SubmitError::Full { .. } => Trouble::again(why),
        SubmitError::Store(StoreError::Conflict { .. } | StoreError::Invalid { .. }) => Trouble::again(why),
        // It may have been written down, and is carried out then.
        SubmitError::Store(_) => Trouble::Unknown(Failure::new(why)),
        _ => Trouble::failed(why),
    }
}

fn refused(decision: &Decision) -> Trouble {
    let refusal = refuse::refusal(decision, Standing::InUse);
    let state = refusal.sqlstate().to_string();
    Trouble::Failed(Failure { server: Some((refusal.errno(), state)), message: refusal.to_string() })
}
