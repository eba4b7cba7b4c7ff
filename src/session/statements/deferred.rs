//! A transaction that no server has seen: BEGIN was answered, and the shard is not known yet. Pure.

use crate::error::{ClientError, Code};
use crate::sql::{TransactionStatement, quote};

use crate::session::state::Transaction;

/// Savepoints that may be set before a shard is known.
const SAVEPOINTS_MAX: usize = 64;

/// What goes ahead of the first routed statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::session) struct Deferred {
    /// BEGIN as the client wrote it; absent where `autocommit = 0` began the transaction.
    begin: Option<Vec<u8>>,
    /// Names in the order they were set.
    savepoints: Vec<String>,
}

impl Deferred {
    /// The statements to run, in order.
    pub(in crate::session) fn statements(self) -> Vec<Vec<u8>> {
        let savepoints = self.savepoints.iter().map(|name| {
            let name = quote::identifier(name);
            format!("SAVEPOINT {name}").into_bytes()
        });
        self.begin.into_iter().chain(savepoints).collect()
    }

    fn begun_by(text: &[u8]) -> Self {
        Self { begin: Some(text.to_vec()), savepoints: Vec::new() }
    }

    fn position(&self, name: &str) -> Result<usize, ClientError> {
        let same = |known: &String| known.to_lowercase() == name.to_lowercase();
        self.savepoints.iter().position(same).ok_or_else(|| no_savepoint(name))
    }

    fn set_savepoint(&mut self, name: &str) -> Result<(), ClientError> {
        if let Ok(at) = self.position(name) {
            self.savepoints.remove(at);
        }
        if self.savepoints.len() >= SAVEPOINTS_MAX {
            let message = "too many savepoints before the first statement of the transaction";
            return Err(ClientError::new(Code::NotSupported, message));
        }
        self.savepoints.push(name.to_owned());
        Ok(())
    }
}

fn no_savepoint(name: &str) -> ClientError {
    ClientError::new(Code::NoSavepoint, format!("SAVEPOINT {name} does not exist"))
}

/// What `text`, a transaction statement that no server is to see yet, makes of a transaction that no server
/// has seen. `chains` says whether a COMMIT or ROLLBACK begins the next one.
///
/// # Errors
/// The savepoint does not exist; too many of them.
pub(super) fn defer(
    transaction: &mut Transaction,
    autocommit: bool,
    (text, statement): (&[u8], &TransactionStatement),
    chains: bool,
) -> Result<(), ClientError> {
    let mut waiting = match transaction {
        Transaction::Deferred(waiting) => Some(waiting),
        _ => None,
    };
    match statement {
        TransactionStatement::Begin { .. } => *transaction = Transaction::Deferred(Deferred::begun_by(text)),
        TransactionStatement::Commit(_) | TransactionStatement::Rollback(_) if chains => {
            // The next one has the characteristics of the one before.
            let begin = waiting.and_then(|waiting| waiting.begin.take());
            let begin = begin.unwrap_or_else(|| b"BEGIN".to_vec());
            *transaction = Transaction::Deferred(Deferred::begun_by(&begin));
        }
        TransactionStatement::Commit(_) | TransactionStatement::Rollback(_) => {
            *transaction = Transaction::Idle;
        }
        TransactionStatement::Savepoint(name) => match &mut waiting {
            Some(waiting) => waiting.set_savepoint(&name.text)?,
            // With autocommit a savepoint is a transaction of its own, over at once.
            None if autocommit => {}
            None => {
                let mut begun = Deferred::default();
                begun.set_savepoint(&name.text)?;
                *transaction = Transaction::Deferred(begun);
            }
        },
        TransactionStatement::RollbackTo(name) => {
            let waiting = waiting.ok_or_else(|| no_savepoint(&name.text))?;
            let at = waiting.position(&name.text)?;
            waiting.savepoints.truncate(at + 1);
        }
        TransactionStatement::ReleaseSavepoint(name) => {
            let waiting = waiting.ok_or_else(|| no_savepoint(&name.text))?;
            let at = waiting.position(&name.text)?;
            waiting.savepoints.truncate(at);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{self, Parsed, Scan, SqlMode};

    /// The statements that wait after all of `texts`; "-" when nothing does.
    fn after(autocommit: bool, texts: &[&str]) -> String {
        let mut transaction = Transaction::Idle;
        for text in texts {
            let mut scan = Scan::default();
            sql::scan(text.as_bytes(), SqlMode::default(), &mut scan);
            let parsed = sql::parse(text.as_bytes(), &scan, SqlMode::default()).expect("a statement");
            let Parsed::Transaction(statement) = parsed else { panic!("{text}") };
            let chains = text.contains("AND CHAIN");
            let done = defer(&mut transaction, autocommit, (text.as_bytes(), &statement), chains);
            if let Err(error) = done {
                return error.message.into_owned();
            }
        }
        match transaction {
            Transaction::Deferred(waiting) => {
                let texts = waiting.statements();
                texts.iter().map(|text| String::from_utf8_lossy(text)).collect::<Vec<_>>().join("; ")
            }
            _ => "-".to_owned(),
        }
    }

    #[test]
    fn what_waits_is_what_the_client_said() {
        for (texts, expected) in [
            (&["BEGIN", "COMMIT"][..], "-"),
            (&["START TRANSACTION READ ONLY", "SAVEPOINT a"], "START TRANSACTION READ ONLY; SAVEPOINT `a`"),
            (&["BEGIN", "SAVEPOINT a", "SAVEPOINT b", "ROLLBACK TO A"], "BEGIN; SAVEPOINT `a`"),
            (&["BEGIN", "SAVEPOINT a", "SAVEPOINT b", "SAVEPOINT a"], "BEGIN; SAVEPOINT `b`; SAVEPOINT `a`"),
            (&["BEGIN", "SAVEPOINT a", "SAVEPOINT b", "RELEASE SAVEPOINT a"], "BEGIN"),
            (&["BEGIN", "ROLLBACK TO a"], "SAVEPOINT a does not exist"),
            (&["RELEASE SAVEPOINT a"], "SAVEPOINT a does not exist"),
            (&["SAVEPOINT a"], "-"),
            (&["COMMIT AND CHAIN"], "BEGIN"),
            (&["START TRANSACTION READ ONLY", "ROLLBACK AND CHAIN"], "START TRANSACTION READ ONLY"),
            (&["BEGIN", "SAVEPOINT a", "COMMIT AND CHAIN"], "BEGIN"),
        ] {
            assert_eq!(after(true, texts), expected, "{texts:?}");
        }
        assert_eq!(after(false, &["SAVEPOINT `a``b`"]), "SAVEPOINT `a``b`");
        assert_eq!(after(false, &["SAVEPOINT a", "COMMIT"]), "-");
    }

    #[test]
    fn savepoints_are_bounded() {
        let texts: Vec<String> = (0..=SAVEPOINTS_MAX).map(|n| format!("SAVEPOINT s{n}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        assert!(after(false, &texts).contains("too many savepoints"));
    }
}
