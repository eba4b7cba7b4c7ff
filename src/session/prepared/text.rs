//! PREPARE, EXECUTE and DEALLOCATE as SQL text: kept by the server, so they pin the session to its
//! connection.

use crate::error::{ClientError, Code};
use crate::plan::Destination;
use crate::sql::{self, Parsed, PrepareSource, Scan};
use crate::topology::Snapshot;

use crate::session::Session;
use crate::session::flow::Flow;
use crate::session::query::Statement;
use crate::session::run::job::Job;
use crate::session::run::place::Place;
use crate::session::statements::local::unread;

/// Statements one session may have prepared this way.
const TEXT_PREPARED_MAX: usize = 256;

impl Session {
    /// PREPARE name FROM 'text': the text is planned like any statement; it must go to one place whatever its
    /// parameters are, because those come from variables that only the server sees.
    pub(in crate::session) async fn text_prepare(
        &mut self,
        job: &Job<'_>,
        statement: &Statement<'_>,
        snapshot: &Snapshot,
    ) -> Flow {
        let Parsed::Prepare { name, source } = self.parse(statement)? else { return Err(unread()) };
        let PrepareSource::Text(inner, _) = source else {
            let message = "PREPARE takes its text as a literal through the proxy";
            return Err(ClientError::new(Code::NotSupported, message).into());
        };
        if self.state.text_prepared.len() >= TEXT_PREPARED_MAX {
            return Err(ClientError::of(Code::TooManyPrepared).into());
        }
        let mut scan = Scan::default();
        sql::scan(&inner, self.state.mode, &mut scan);
        let asked = Statement {
            attributes: &[],
            text: &inner,
            scan: &scan,
            said: statement.said.clone(),
            started: statement.started,
        };
        let planned = self.plan_statement(&asked, snapshot);
        let plan = planned.as_ref().as_ref().map_err(Clone::clone)?;
        if plan.reads_parameters() {
            let message =
                "the statement's place depends on its parameters; prepare it in the binary protocol";
            return Err(ClientError::new(Code::NotSupported, message).into());
        }
        let place = match self.bind_prepare(&asked, plan, snapshot)? {
            Destination::One(address) => self.place_of(snapshot, &address, job, &statement.said)?,
            Destination::Any => self.any_place(snapshot, job, &statement.said)?,
            _ => {
                let message = "only statements of one shard can be prepared as text";
                return Err(ClientError::new(Code::NotSupported, message).into());
            }
        };
        let known = self.state.text_prepared.insert(name.text.to_lowercase());
        let result = self.run_job(job, place).await;
        if (result.is_err() || self.answer_failed) && known {
            self.state.text_prepared.remove(&name.text.to_lowercase());
            self.release_if_free();
        }
        result
    }

    /// `EXECUTE name [USING @a, …]`.
    pub(in crate::session) async fn text_execute(
        &mut self,
        job: &Job<'_>,
        statement: &Statement<'_>,
    ) -> Flow {
        let Parsed::Execute { name, .. } = self.parse(statement)? else { return Err(unread()) };
        let place = self.text_prepared_place(&name.text, "EXECUTE")?;
        self.run_job(job, place).await
    }

    /// DEALLOCATE PREPARE name.
    pub(in crate::session) async fn text_deallocate(
        &mut self,
        job: &Job<'_>,
        statement: &Statement<'_>,
    ) -> Flow {
        let Parsed::Deallocate { name } = self.parse(statement)? else { return Err(unread()) };
        let place = self.text_prepared_place(&name.text, "DEALLOCATE PREPARE")?;
        self.state.text_prepared.remove(&name.text.to_lowercase());
        self.run_job(job, place).await
    }

    fn text_prepared_place(&self, name: &str, verb: &str) -> Result<Place, ClientError> {
        let held =
            self.state.held.as_ref().filter(|_| self.state.text_prepared.contains(&name.to_lowercase()));
        let held = held.ok_or_else(|| {
            let message = format!("Unknown prepared statement handler ({name}) given to {verb}");
            ClientError::new(Code::UnknownStatementHandler, message)
        })?;
        let database = held.checkout.database().cloned();
        Ok(Place { cluster: held.cluster.clone(), shard: None, database, role: held.role, begins: true })
    }

    fn release_if_free(&mut self) {
        if let Some(held) = self.state.held.take() {
            self.keep_or_release(held, false);
        }
    }
}
