//! User locks: GET_LOCK ties the session to its connection until the last lock is given back.
//!
//! Answers are relayed unread, so it is not known whether a lock was taken or released. Behind GET_LOCK and
//! RELEASE_LOCK the server is asked whether the session has one of the names that GET_LOCK was called with: a
//! lock that another session has ties this one to nothing. Where a name is no plain string, only
//! RELEASE_ALL_LOCKS (or the end of the session) frees the connection.

use std::collections::BTreeSet;

use crate::plan::Pins;

use crate::session::Session;
use crate::session::flow::Failure;
use crate::session::run::job::Job;

/// Names that are kept; with more, the connection is held until RELEASE_ALL_LOCKS.
const NAMES_MAX: usize = 64;

/// The locks that a session may hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::session) struct UserLocks {
    /// The names as string literals, as the client wrote them.
    names: BTreeSet<Vec<u8>>,
    /// A lock whose name is not known may be held.
    is_unknown: bool,
}

/// Says whether a text releases locks, and neither takes nor looks at one.
pub(in crate::session) fn only_releases(text: &[u8]) -> bool {
    let text = text.to_ascii_lowercase();
    let has = |name: &[u8]| find(&text, name).is_some();
    has(b"release_") && !has(b"get_lock") && !has(b"is_free_lock") && !has(b"is_used_lock")
}

impl UserLocks {
    fn is_empty(&self) -> bool {
        self.names.is_empty() && !self.is_unknown
    }

    /// Takes over what a statement may have done; `true` when only the server knows what is left.
    fn note(&mut self, text: &[u8]) -> bool {
        let text = text.to_ascii_lowercase();
        let mut rest = text.as_slice();
        let mut takes = false;
        while let Some(at) = find(rest, b"get_lock") {
            rest = &rest[at + b"get_lock".len()..];
            takes = true;
            match first_argument(rest) {
                Some(name) if self.names.len() < NAMES_MAX => {
                    self.names.insert(name.to_vec());
                }
                _ => self.is_unknown = true,
            }
        }
        if find(&text, b"release_all_locks").is_some() && !takes {
            *self = Self::default();
        }
        let changes = takes || find(&text, b"release_lock").is_some();
        changes && !self.is_unknown && !self.names.is_empty()
    }

    /// A statement that gives a row if one of the locks is still the connection's.
    fn question(&self) -> Vec<u8> {
        let mut sql = b"SELECT 1 FROM DUAL WHERE FALSE".to_vec();
        for name in &self.names {
            sql.extend_from_slice(b" OR IS_USED_LOCK(");
            sql.extend_from_slice(name);
            sql.extend_from_slice(b") = CONNECTION_ID()");
        }
        sql
    }
}

impl Session {
    /// Keeps or frees the connection after a statement that took or released user locks.
    pub(in crate::session) async fn settle_locks(&mut self, job: &Job<'_>) {
        if !job.plan.effects.pins.contains(Pins::USER_LOCK) || self.answer_failed {
            return;
        }
        // Names are no secrets of case: MySQL compares them without it.
        let mut locks = std::mem::take(&mut self.state.user_locks);
        if locks.note(job.text)
            && let Some(mut held) = self.state.held.take()
        {
            match self.ask(&mut held, &locks.question()).await {
                Ok(_) if self.tracker.end().rows == 0 => locks = UserLocks::default(),
                Ok(_) | Err(Failure::Refused(_)) => {}
                // It may still owe an answer.
                Err(_) => return self.lose(held),
            }
            self.state.held = Some(held);
        }
        if locks.is_empty() {
            self.state.pins = self.state.pins.without(Pins::USER_LOCK);
            self.release_if_free();
        }
        self.state.user_locks = locks;
    }
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

/// The first argument behind a function's name, if it is a string without quotes and escapes in it.
fn first_argument(rest: &[u8]) -> Option<&[u8]> {
    let rest = rest.trim_ascii_start().strip_prefix(b"(")?.trim_ascii_start();
    let quote = *rest.first().filter(|byte| matches!(byte, b'\'' | b'"'))?;
    let length = rest[1..].iter().position(|byte| *byte == quote)? + 2;
    let (literal, behind) = rest.split_at(length);
    let is_plain = !literal.contains(&b'\\') && behind.trim_ascii_start().first() == Some(&b',');
    is_plain.then_some(literal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(statements: &[&str]) -> (UserLocks, bool) {
        let mut locks = UserLocks::default();
        let mut asks = false;
        for statement in statements {
            asks = locks.note(statement.as_bytes());
        }
        (locks, asks)
    }

    #[test]
    fn locks_are_remembered_by_name_until_the_server_says_otherwise() {
        let (locks, asks) = after(&["SELECT GET_LOCK('Rails:1', 0)", "select get_lock ( \"b\" , 1)"]);
        assert_eq!((locks.names.len(), locks.is_unknown, asks), (2, false, true));
        assert!(locks.question().ends_with(b" OR IS_USED_LOCK('rails:1') = CONNECTION_ID()"));
        assert!(after(&["SELECT GET_LOCK('a', 0)", "SELECT RELEASE_LOCK('a')"]).1);
        assert!(!after(&["SELECT GET_LOCK('a', 0)", "SELECT IS_USED_LOCK('a')"]).1);
        assert!(after(&["SELECT GET_LOCK('a', 0)", "DO RELEASE_ALL_LOCKS()"]).0.is_empty());
        assert!(after(&["SELECT IS_FREE_LOCK('a')"]).0.is_empty());
    }

    #[test]
    fn names_that_cannot_be_read_keep_the_connection() {
        for name in ["?", "@x", "CONCAT('a', 'b')", "'it''s'", "'a\\'b'", "123"] {
            let (locks, asks) = after(&[&format!("SELECT GET_LOCK({name}, 0)"), "SELECT RELEASE_LOCK('a')"]);
            assert!(locks.is_unknown && !asks, "{name}");
        }
        let many: Vec<String> = (0..=NAMES_MAX).map(|n| format!("SELECT GET_LOCK('{n}', 0)")).collect();
        assert!(after(&many.iter().map(String::as_str).collect::<Vec<_>>()).0.is_unknown);
    }
}
