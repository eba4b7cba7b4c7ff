//! What stored code may not hold because nobody would see that it ran.
//!
//! Stored code runs inside statements that do not show it: a trigger in an INSERT, a function behind a view.
//! What it leaves on the connection is told by the server's session tracking, except for the forms found here
//! (seen on MySQL 9.7 and MariaDB 10.11); the next session that is lent the connection would find it.
//!
//! By tokens, so that it reads bodies that no parser reads: more is found than would be wrong, never less.

use crate::error::Code;
use crate::plan::Refusal;
use crate::sql::{Span, SqlMode, Token, TokenKind};

use super::PlanInput;
use super::whole::{tokens, tokens_of};

/// Functions that take locks which stay until they are released.
const LOCKING: [&str; 5] = [
    "GET_LOCK",
    "SERVICE_GET_READ_LOCKS",
    "SERVICE_GET_WRITE_LOCKS",
    "VERSION_TOKENS_LOCK_EXCLUSIVE",
    "VERSION_TOKENS_LOCK_SHARED",
];
/// What ends a list of INTO's targets.
const BEHIND_INTO: [&str; 7] = ["FROM", "SELECT", "SET", "TABLE", "VALUE", "VALUES", "WITH"];
/// The variable that would switch the telling off.
const TRACKING: &[u8] = b"session_track_state_change";
/// Variables that make a server keep the texts of statements on the connection, past a reset (seen:
/// `profiling` on MariaDB 10.11, `optimizer_trace` on MySQL 9.7).
const HISTORY: [&[u8]; 2] = [b"profiling", b"optimizer_trace"];

/// Refuses CREATE and ALTER of stored code that leaves what session tracking does not tell of.
pub(crate) fn check_left_behind(input: &PlanInput<'_>) -> Result<(), Refusal> {
    match find(input.text, tokens(input)) {
        Some((what, at)) => Err(Refusal::because(Code::NotSupported, what).at(at)),
        None => Ok(()),
    }
}

/// What a body of stored code leaves on its connection that session tracking does not tell of, in words.
pub fn left_behind(body: &str, mode: SqlMode) -> Option<&'static str> {
    let span = Span::new(0, body.len());
    find(body.as_bytes(), tokens_of(body.as_bytes(), span, mode)).map(|(what, _)| what)
}

/// Says whether the text may define a routine or trigger, though it could not be read.
pub(crate) fn may_define_code(input: &PlanInput<'_>) -> bool {
    let objects = ["TRIGGER", "FUNCTION", "PROCEDURE", "PACKAGE", "VIEW"];
    tokens(input).any(|token| {
        let word = token.span.of(input.text);
        objects.iter().any(|object| word.eq_ignore_ascii_case(object.as_bytes()))
    })
}

fn find(text: &[u8], tokens: impl Iterator<Item = Token>) -> Option<(&'static str, usize)> {
    let mut reader = Reader { text, ..Reader::default() };
    for token in tokens {
        if let Some(what) = reader.take(token) {
            return Some((what, token.span.start as usize));
        }
        reader.previous = Some(token);
    }
    None
}

#[derive(Default)]
struct Reader<'a> {
    text: &'a [u8],
    previous: Option<Token>,
    /// In the list behind INTO.
    in_targets: bool,
    /// In a CALL or GET DIAGNOSTICS.
    in_arguments: bool,
    /// The user variable in front, and whether a SET stands before it.
    set: Option<bool>,
    /// What is found if an assignment follows.
    assigned: Option<&'static str>,
    /// What is found unless the word in front turns out to be a column's or variable's name.
    pending: Option<&'static str>,
}

impl Reader<'_> {
    fn take(&mut self, token: Token) -> Option<&'static str> {
        let word = token.span.of(self.text);
        let set = self.set.take();
        if let Some(what) = self.pending.take()
            && !matches!(token.kind, TokenKind::Operator | TokenKind::Dot)
        {
            return Some(what);
        }
        if let Some(what) = self.assigned.take()
            && token.kind == TokenKind::Operator
            && (word == b"=" || word == b":=")
        {
            return Some(what);
        }
        match token.kind {
            TokenKind::UserVariable => self.take_variable(),
            TokenKind::Operator if word == b":=" && set == Some(false) => {
                Some("`@x := …` in stored code is not seen: write SET @x = …")
            }
            TokenKind::Open => self.take_call(),
            TokenKind::Semicolon => {
                (self.in_targets, self.in_arguments) = (false, false);
                None
            }
            TokenKind::Word | TokenKind::Name | TokenKind::QuotedName | TokenKind::SystemVariable => {
                self.take_word(token.kind, word)
            }
            _ => None,
        }
    }

    fn take_variable(&mut self) -> Option<&'static str> {
        if self.in_arguments {
            return Some(
                "a user variable in CALL or GET DIAGNOSTICS in stored code is not seen: use a declared \
                 variable, and SET @x to it",
            );
        }
        let is_listed = self.previous.is_some_and(|token| token.kind == TokenKind::Comma);
        if self.in_targets && (is_listed || self.follows("INTO")) {
            return Some("`INTO @x` in stored code is not seen: write SET @x = (SELECT …)");
        }
        self.set = Some(self.follows("SET"));
        None
    }

    fn take_call(&self) -> Option<&'static str> {
        let name = self.previous?.span.of(self.text);
        let name = match name {
            [b'`' | b'"', inner @ .., b'`' | b'"'] => inner,
            name => name,
        };
        let locks = LOCKING.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        locks.then_some(
            "a user lock in stored code stays on the connection unseen: take it by a statement of its own",
        )
    }

    fn take_word(&mut self, kind: TokenKind, word: &[u8]) -> Option<&'static str> {
        if word.windows(TRACKING.len()).any(|part| part.eq_ignore_ascii_case(TRACKING)) {
            return Some("stored code must not switch session_track_state_change");
        }
        let name = word.strip_prefix(b"@@").unwrap_or(word);
        let name =
            name.trim_ascii().strip_prefix(b"`").and_then(|name| name.strip_suffix(b"`")).unwrap_or(name);
        if HISTORY.iter().any(|known| name.eq_ignore_ascii_case(known)) {
            self.assigned = Some(
                "`profiling` and `optimizer_trace` in stored code stay on the connection, with statements",
            );
        }
        let is = |known: &str| word.eq_ignore_ascii_case(known.as_bytes());
        let is_qualified = self.previous.is_some_and(|token| token.kind == TokenKind::Dot);
        if kind != TokenKind::Word || is_qualified {
            return None;
        }
        if is("TRANSACTION") && ["SET", "SESSION", "LOCAL"].iter().any(|before| self.follows(before)) {
            self.pending = Some("SET TRANSACTION in stored code is not seen: let the session set it");
        }
        if is("ROLE") && (self.follows("SET") || self.follows("DEFAULT")) {
            self.pending = Some("SET ROLE in stored code is not seen, and roles are the servers' own");
        }
        if is("INTO") {
            self.in_targets = true;
        } else if BEHIND_INTO.iter().any(|known| is(known)) {
            self.in_targets = false;
        }
        let asks = ["GET", "CURRENT", "STACKED"].iter().any(|before| self.follows(before));
        self.in_arguments |= is("CALL") || (is("DIAGNOSTICS") && asks);
        None
    }

    fn follows(&self, word: &str) -> bool {
        self.previous.is_some_and(|token| {
            token.kind == TokenKind::Word && token.span.of(self.text).eq_ignore_ascii_case(word.as_bytes())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(body: &str) -> Option<&'static str> {
        left_behind(body, SqlMode::default())
    }

    #[test]
    fn what_tracking_does_not_tell_is_found() {
        for body in [
            "BEGIN SELECT 1 INTO @x; END",
            "BEGIN DECLARE a INT; SELECT 1, 2 INTO a, @x FROM t; END",
            "SELECT body INTO @`x y` FROM t",
            "BEGIN DECLARE q INT; SET q = (@x := NEW.a); END",
            "UPDATE t SET a = @x := a",
            "SET a = 1, @x := 2",
            "RETURN (@x := 5)",
            "CALL p(1, @x)",
            "GET DIAGNOSTICS @n = NUMBER",
            "GET STACKED DIAGNOSTICS CONDITION 1 @m = MESSAGE_TEXT",
            "DO get_lock('a', 0)",
            "SET q = `GET_LOCK` ('a', 0)",
            "SET SESSION session_track_state_change = 0",
            "SET @@session.session_track_state_change = 0",
            "SET @@`SESSION_TRACK_STATE_CHANGE` = 0",
            "SET profiling = 1",
            "SET SESSION `profiling` := 1",
            "SET @@session.profiling = 1",
            "SET a = 1, @@optimizer_trace = 'enabled=on'",
            "SET TRANSACTION READ ONLY",
            "SET SESSION TRANSACTION READ ONLY",
            "SET ROLE NONE",
        ] {
            assert!(found(body).is_some(), "{body}");
        }
    }

    #[test]
    fn what_is_told_or_leaves_nothing_passes() {
        for body in [
            "SET @x = NEW.secret",
            "SET @x := NEW.secret",
            "SET @a = 1, @b = @a + 1, SESSION sql_select_limit = 0",
            "INSERT INTO audit VALUES (@current_user_id, NEW.id)",
            "INSERT INTO audit SELECT id, @current_user_id FROM t",
            "INSERT INTO audit (a, b) VALUES (1, @x)",
            "BEGIN DECLARE a INT; SELECT b, @x INTO a FROM t WHERE c = @y; END",
            "BEGIN CALL p(NEW.id); SET @x = 1; END",
            "BEGIN START TRANSACTION; COMMIT; END",
            "SELECT release_lock('a'), get_lock FROM t",
            "UPDATE t SET role = 1, t.transaction = 2",
            "UPDATE t SET transaction = 1",
            "INSERT INTO t (a, profiling) VALUES (1, 2)",
        ] {
            assert_eq!(found(body), None, "{body}");
        }
    }
}
