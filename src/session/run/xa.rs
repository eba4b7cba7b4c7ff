//! XA: a session ends only the transaction that it began.
//!
//! Ids of XA transactions are the server's, not a database's: by `XA COMMIT` or `XA ROLLBACK` of an id that
//! another session has prepared, a session would decide about rows of another workspace.

use crate::error::{ClientError, Code};
use crate::plan::Pins;
use crate::sql::StatementKind;

use crate::session::Session;
use crate::session::run::job::Job;

impl Session {
    /// Refuses the end of an XA transaction of somebody else.
    pub(in crate::session) fn check_xa(&self, job: &Job<'_>) -> Result<(), ClientError> {
        let ends = job.plan.kind == StatementKind::Xa && job.plan.effects.releases.contains(Pins::XA);
        if !ends || self.user.may_cross_workspaces || self.state.xa == Some(xa_id(job)) {
            return Ok(());
        }
        let message = "XA COMMIT and XA ROLLBACK of a transaction that this session did not begin";
        Err(ClientError::new(Code::NotSupported, message))
    }

    /// Takes over what an XA statement that succeeded began or ended.
    pub(in crate::session) fn note_xa(&mut self, job: &Job<'_>) {
        if job.plan.kind != StatementKind::Xa {
            return;
        }
        let effects = &job.plan.effects;
        if effects.pins.contains(Pins::XA) {
            self.state.xa = Some(xa_id(job));
        } else if effects.releases.contains(Pins::XA) {
            self.state.xa = None;
        }
    }
}

/// The id as the statement writes it: its literals, at most three that the server takes.
fn xa_id(job: &Job<'_>) -> Box<[u8]> {
    let literals = job.scan.map(|scan| scan.literals.as_slice()).unwrap_or_default();
    let parts: Vec<&[u8]> = literals.iter().map(|literal| literal.span.of(job.text)).collect();
    parts.join(&b',').into_boxed_slice()
}
