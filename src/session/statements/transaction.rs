//! Transaction statements: run where the transaction is, deferred while no shard is known, refused after a
//! loss.

use crate::error::ClientError;
use crate::plan::TransactionEffect;
use crate::sql::{Completion, Parsed, TransactionStatement};
use crate::topology::Snapshot;

use crate::session::Session;
use crate::session::admit::transaction_cut;
use crate::session::flow::{Ended, Flow};
use crate::session::query::{Said, Statement};
use crate::session::run::job::Job;
use crate::session::run::place::Place;
use crate::session::state::Transaction;
use crate::session::statements::deferred;
use crate::session::statements::local::unread;

impl Session {
    /// BEGIN, COMMIT, ROLLBACK, SAVEPOINT and their kin.
    pub(in crate::session) async fn transaction_statement(
        &mut self,
        job: &Job<'_>,
        statement: &Statement<'_>,
        snapshot: &Snapshot,
    ) -> Flow {
        let effect = job.plan.effects.transaction;
        let cut = self.cut_if_drained();
        if let Transaction::Lost { code } = self.state.transaction {
            if effect != TransactionEffect::Rollback {
                let told = cut.map_or(ClientError::of(code), |cluster| transaction_cut(&cluster));
                return Err(told.into());
            }
            self.state.transaction = Transaction::Idle;
            return self.send_ok().await;
        }
        let parsed = match self.parse(statement) {
            Ok(Parsed::Transaction(parsed)) => Some(parsed),
            _ => None,
        };
        let end = End::of(parsed.as_ref(), self.state.settings.variable("completion_type"));
        let is_waiting = matches!(self.state.transaction, Transaction::Deferred(_));
        if effect == TransactionEffect::Begin && self.state.held.is_some() {
            self.check_begin(job, &statement.said, snapshot).await?;
        }
        if !is_waiting && (self.state.held.is_some() || self.is_placed(&statement.said, effect)) {
            let place = match &self.state.held {
                // Where the transaction is, whatever the session's target has become.
                Some(held) => {
                    let (cluster, role) = (held.cluster.clone(), held.role);
                    Place { cluster, shard: None, database: None, owner: 0, role, begins: true }
                }
                None => self.any_place(snapshot, job, &statement.said)?,
            };
            self.is_releasing = end.releases;
            let done = self.run_job(job, place).await;
            self.is_releasing = false;
            done?;
            if self.answer_failed {
                // The server goes on, and so does the session.
                return Ok(());
            }
        } else {
            let parsed = parsed.ok_or_else(unread)?;
            if is_waiting && effect == TransactionEffect::Begin || is_end(effect) && !end.chains {
                // It was for the transaction that ends here.
                self.state.next_transaction.clear();
            }
            let (transaction, autocommit) = (&mut self.state.transaction, self.state.autocommit);
            deferred::defer(transaction, autocommit, (statement.text, &parsed), end.chains)?;
            self.send_ok().await?;
        }
        if end.releases { Err(Ended::Released.into()) } else { Ok(()) }
    }

    /// Sees to it that a transaction begins where it is meant to, though the session holds a connection. One
    /// that is open is committed by BEGIN, and the next begins beside it; one that the server has ended by an
    /// error is not in the way.
    ///
    /// # Errors
    /// `pinned_elsewhere`: locks and the like are held on another cluster than it can only mean.
    async fn check_begin(&mut self, job: &Job<'_>, said: &Said, snapshot: &Snapshot) -> Flow {
        let is_open = self.state.transaction.is_open() && !self.is_unsure();
        if is_open || !self.is_placed(said, TransactionEffect::Begin) {
            return Ok(());
        }
        let role = self.role_for(job, said)?;
        let Some(target) = self.target_place(snapshot, job, said, role)? else { return Ok(()) };
        if !self.is_held_elsewhere(&target.cluster) {
            return Ok(());
        }
        self.learn_transaction().await;
        let is_pinned = !self.state.transaction.is_open() && self.is_held_elsewhere(&target.cluster);
        if is_pinned { Err(self.held_elsewhere().into()) } else { Ok(()) }
    }

    /// Says whether a transaction that begins now can only mean one shard, or a server is to say why not.
    fn is_placed(&self, said: &Said, effect: TransactionEffect) -> bool {
        let begins = match effect {
            TransactionEffect::Begin => true,
            TransactionEffect::Savepoint => !self.state.autocommit,
            TransactionEffect::RollbackToSavepoint | TransactionEffect::ReleaseSavepoint => return true,
            _ => false,
        };
        begins && self.is_target_one_place(said)
    }
}

fn is_end(effect: TransactionEffect) -> bool {
    matches!(effect, TransactionEffect::Commit | TransactionEffect::Rollback)
}

/// What follows a COMMIT or ROLLBACK.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct End {
    /// A new transaction begins.
    chains: bool,
    /// The session ends.
    releases: bool,
}

impl End {
    /// `completion_type` holds where the statement itself says nothing (MySQL manual, "START TRANSACTION,
    /// COMMIT, and ROLLBACK Statements").
    fn of(statement: Option<&TransactionStatement>, completion_type: Option<&str>) -> Self {
        let (Some(TransactionStatement::Commit(said)) | Some(TransactionStatement::Rollback(said))) =
            statement
        else {
            return Self::default();
        };
        let default = match completion_type.unwrap_or_default().trim_matches('\'') {
            kind if kind == "1" || kind.eq_ignore_ascii_case("chain") => (true, false),
            kind if kind == "2" || kind.eq_ignore_ascii_case("release") => (false, true),
            _ => (false, false),
        };
        let Completion { chain, release } = *said;
        let (chains, releases) = if chain.is_none() && release.is_none() { default } else { (false, false) };
        Self { chains: chain.unwrap_or(chains), releases: release.unwrap_or(releases) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{self, Scan, SqlMode};

    fn end(text: &str, completion_type: Option<&str>) -> (bool, bool) {
        let mut scan = Scan::default();
        sql::scan(text.as_bytes(), SqlMode::default(), &mut scan);
        let parsed = match sql::parse(text.as_bytes(), &scan, SqlMode::default()) {
            Ok(Parsed::Transaction(parsed)) => Some(parsed),
            _ => None,
        };
        let End { chains, releases } = End::of(parsed.as_ref(), completion_type);
        (chains, releases)
    }

    #[test]
    fn ends_are_read() {
        for (text, kind, expected) in [
            ("commit release", None, (false, true)),
            ("COMMIT AND NO CHAIN RELEASE", None, (false, true)),
            ("commit no release", Some("2"), (false, false)),
            ("rollback and no chain", Some("'CHAIN'"), (false, false)),
            ("commit", Some("1"), (true, false)),
            ("commit", Some("'release'"), (false, true)),
            ("commit", None, (false, false)),
            ("rollback and chain", None, (true, false)),
            ("release savepoint a", Some("2"), (false, false)),
            ("begin", Some("1"), (false, false)),
        ] {
            assert_eq!(end(text, kind), expected, "{text} {kind:?}");
        }
    }
}
