//! Transaction statements: run where the transaction is, deferred while no shard is known, refused after a
//! loss.

use crate::error::{ClientError, Code};
use crate::plan::TransactionEffect;
use crate::topology::Snapshot;

use crate::session::Session;
use crate::session::flow::{Ended, Flow};
use crate::session::query::{Said, Statement};
use crate::session::run::job::Job;
use crate::session::run::place::Place;
use crate::session::state::Transaction;

/// Statements that may wait for the first routed one.
const DEFERRED_MAX: usize = 64;

impl Session {
    /// BEGIN, COMMIT, ROLLBACK, SAVEPOINT and their kin.
    pub(in crate::session) async fn transaction_statement(
        &mut self,
        job: &Job<'_>,
        statement: &Statement<'_>,
        snapshot: &Snapshot,
    ) -> Flow {
        let effect = job.plan.effects.transaction;
        if let Transaction::Lost { code } = self.state.transaction {
            if effect != TransactionEffect::Rollback {
                return Err(ClientError::of(code).into());
            }
            self.state.transaction = Transaction::Idle;
            return self.send_ok().await;
        }
        let releases = ends_session(statement.text, effect);
        if self.state.held.is_some() || self.is_placed(&statement.said, effect) {
            let place = match &self.state.held {
                // Where the transaction is, whatever the session's target has become.
                Some(held) => {
                    let (cluster, role) = (held.cluster.clone(), held.role);
                    Place { cluster, shard: None, database: None, role, begins: true }
                }
                None => self.any_place(snapshot, job, &statement.said)?,
            };
            self.run_job(job, place).await?;
        } else {
            self.defer(statement.text, effect)?;
            self.send_ok().await?;
        }
        if releases { Err(Ended::Released.into()) } else { Ok(()) }
    }

    /// Says whether a transaction that begins now can only mean one shard.
    fn is_placed(&self, said: &Said, effect: TransactionEffect) -> bool {
        let starts = matches!(effect, TransactionEffect::Begin);
        let asks_server =
            matches!(effect, TransactionEffect::RollbackToSavepoint | TransactionEffect::ReleaseSavepoint);
        if matches!(self.state.transaction, Transaction::Deferred(_)) {
            return false;
        }
        asks_server || (starts && self.is_target_one_place(said))
    }

    /// Keeps a statement for the shard that the next one will name, or answers for a transaction that no
    /// server has seen.
    fn defer(&mut self, text: &[u8], effect: TransactionEffect) -> Result<(), ClientError> {
        let transaction = std::mem::take(&mut self.state.transaction);
        self.state.transaction = match (transaction, effect) {
            (_, TransactionEffect::Begin) => Transaction::Deferred(vec![text.to_vec()]),
            (_, TransactionEffect::Commit | TransactionEffect::Rollback) => {
                self.state.next_transaction.clear();
                Transaction::Idle
            }
            (Transaction::Deferred(mut statements), _) => {
                let is_full = statements.len() >= DEFERRED_MAX;
                if !is_full {
                    statements.push(text.to_vec());
                }
                self.state.transaction = Transaction::Deferred(statements);
                return if is_full { Err(ClientError::of(Code::NotSupported)) } else { Ok(()) };
            }
            (other, _) => other,
        };
        Ok(())
    }
}

/// Says whether `COMMIT RELEASE` or `ROLLBACK RELEASE` asks for the session's end.
fn ends_session(text: &[u8], effect: TransactionEffect) -> bool {
    if !matches!(effect, TransactionEffect::Commit | TransactionEffect::Rollback) {
        return false;
    }
    let words = text.split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut before: &[u8] = b"";
    for word in words {
        if word.eq_ignore_ascii_case(b"release") {
            return !before.eq_ignore_ascii_case(b"no");
        }
        before = word;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_is_read() {
        let commit = TransactionEffect::Commit;
        assert!(ends_session(b"commit release", commit));
        assert!(ends_session(b"COMMIT AND NO CHAIN RELEASE", commit));
        assert!(!ends_session(b"commit no release", commit));
        assert!(!ends_session(b"commit", commit));
        assert!(!ends_session(b"release savepoint a", TransactionEffect::ReleaseSavepoint));
    }
}
