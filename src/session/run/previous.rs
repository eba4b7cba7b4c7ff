//! Questions about the previous statement, when its connection is no longer the session's.
//!
//! SHOW WARNINGS is answered from what was kept, `LAST_INSERT_ID()` is set on the connection at hand before
//! it is asked for, `ROW_COUNT()`, `FOUND_ROWS()` and `CONNECTION_ID()` alone are answered from what the
//! session knows; inside other statements their values stand in for them ([`SessionValues`]), because another
//! session's numbers would be wrong.

use crate::error::{ClientError, Code};
use crate::protocol::packet;
use crate::protocol::response::CommandKind;
use crate::protocol::result::{Column, EOF_BYTE, parse_text_row};
use crate::sql::{Lexer, ScanFlags, SqlMode, StatementKind, TokenKind};

use crate::session::Session;
use crate::session::flow::Flow;
use crate::session::run::functions::{SessionValues, tokens};
use crate::session::run::job::Job;
use crate::session::run::place::Place;
use crate::session::state::Held;

/// Longest statement that is looked at as a lone question, in bytes.
const LONE_MAX: usize = 96;

/// An error of Bulkhead's own, for questions about it.
#[derive(Debug)]
pub(in crate::session) struct Refusal {
    errno: u16,
    message: String,
}

/// What a statement asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Diagnostics(Diagnostics),
    RowCount,
    FoundRows,
    ConnectionId,
    Database,
    /// Not a question that stands alone.
    Other,
}

/// Says whether the statement may be a question about the previous one, or about the session.
pub(in crate::session) fn may_ask_previous(job: &Job<'_>) -> bool {
    let flags = job.scan.map(|scan| scan.flags).unwrap_or_default();
    let functions = ScanFlags::SESSION_FUNCTION.union(ScanFlags::DATABASE_FUNCTION);
    job.plan.effects.asks_previous || flags.intersects(functions)
}

impl Session {
    /// Answers a statement that asks only about the previous one, or about the session; `false` when a server
    /// must be asked. Only where [`may_ask_previous`].
    pub(in crate::session) async fn answer_previous(
        &mut self,
        job: &Job<'_>,
        has_no_database: bool,
    ) -> Flow<bool> {
        // A prepared statement's answer has another form: the server gives it.
        let is_text = job.kind == CommandKind::Query;
        let (question, title) = match lone_call(bare_text(job)).filter(|_| is_text) {
            Some((name, title)) => (question_of(name), title),
            None => match Diagnostics::of(bare_text(job), self.state.mode).filter(|_| is_text) {
                Some(asked) => (Question::Diagnostics(asked), String::new()),
                None => (Question::Other, String::new()),
            },
        };
        match question {
            Question::ConnectionId => {
                self.send_number(&title, i128::from(self.admission.id.0)).await?;
                self.remember_one_row();
                return Ok(true);
            }
            // A connection keeps the last database that it was in.
            Question::Database if has_no_database => {
                self.send_database(&title).await?;
                self.remember_one_row();
                return Ok(true);
            }
            _ => {}
        }
        // What the connection would tell is not about the statement that the client means.
        let is_known_here = self.refusal.is_some() || self.kept_warnings.is_some();
        let is_answered_here = is_known_here && matches!(question, Question::Diagnostics(_));
        if !job.plan.effects.asks_previous || (self.state.held.is_some() && !is_answered_here) {
            return Ok(false);
        }
        match question {
            Question::Diagnostics(asked) => self.show_diagnostics(asked).await?,
            Question::RowCount => {
                self.send_number(&title, i128::from(self.state.last.row_count)).await?;
                self.remember_one_row();
            }
            Question::FoundRows => {
                self.send_number(&title, i128::from(self.state.last.found_rows)).await?;
                self.remember_one_row();
            }
            Question::ConnectionId | Question::Database | Question::Other => {
                if job.plan.kind == StatementKind::Show || mentions(job.text, "diagnostics") {
                    let message = "the statement asks about one whose connection was given back";
                    return Err(ClientError::new(Code::NotSupported, message).into());
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What session functions inside the statement must give, where a pooled connection would get them wrong.
    pub(in crate::session) fn session_values(&self, job: &Job<'_>, place: &Place) -> SessionValues {
        let flags = job.scan.map(|scan| scan.flags).unwrap_or_default();
        let mut values = SessionValues::default();
        if matches!(job.plan.kind, StatementKind::Create | StatementKind::Alter) {
            // The bodies of routines, triggers, views and events keep their calls.
            return values;
        }
        if flags.contains(ScanFlags::DATABASE_FUNCTION) {
            let target = &self.state.target;
            let is_other = target.workspace.is_some() && place.database != target.database;
            if place.database.is_none() || is_other {
                values.database = Some(target.name.as_deref().map(str::to_owned));
            }
        }
        let is_known_here = self.refusal.is_some() || self.kept_warnings.is_some();
        let no_server_knows = self.state.held.is_none() || is_known_here;
        if flags.contains(ScanFlags::SYSTEM_VARIABLE) && no_server_knows {
            let (warnings, errors) = (u64::from(self.state.last.warnings), u64::from(self.state.last.failed));
            values.conditions = Some((warnings.max(errors), errors));
        }
        if flags.contains(ScanFlags::SESSION_FUNCTION) {
            values.connection_id = Some(self.admission.id.0);
            // A connection that is still held knows more than the session.
            if self.state.held.is_none() {
                values.row_count = Some(self.state.last.row_count);
                values.found_rows = Some(self.state.last.found_rows);
            }
        }
        values
    }

    /// Sets `LAST_INSERT_ID()` on a connection that did not generate it.
    pub(in crate::session) async fn restore_insert_id(&mut self, job: &Job<'_>, held: &mut Held) -> Flow {
        let last = self.state.last;
        let is_there = last.insert_thread == Some(held.checkout.thread_id());
        if !job.plan.effects.asks_previous || is_there || !mentions(job.text, "last_insert_id") {
            return Ok(());
        }
        self.ask(held, format!("SET LAST_INSERT_ID = {}", last.insert_id).as_bytes()).await?;
        Ok(())
    }

    /// Asks what `SELECT LAST_INSERT_ID(expr)` has set: no packet of its answer tells.
    pub(in crate::session) async fn learn_insert_id(&mut self, job: &Job<'_>, held: &mut Held) -> Flow {
        let has_rows = self.tracker.end().columns > 0 && self.tracker.end().error.is_none();
        if !has_rows || !job.plan.effects.asks_previous || !sets_insert_id(job.text, self.state.mode) {
            return Ok(());
        }
        let answered = std::mem::take(&mut self.tracker);
        let asked = self.ask_value(held, "SELECT LAST_INSERT_ID()").await;
        self.tracker = answered;
        let id = asked?.and_then(|digits| digits.parse().ok());
        if let Some(id) = id {
            self.state.last.insert_id = id;
            self.state.last.insert_thread = Some(held.checkout.thread_id());
        }
        Ok(())
    }

    /// The statement came to an error that no server knows of.
    pub(in crate::session) fn note_refusal(&mut self, error: &ClientError) {
        self.forget_lingering();
        let (errno, message) = (error.errno(), error.wire_message());
        self.refusal = Some(Refusal { errno, message });
        let last = &mut self.state.last;
        (last.row_count, last.warnings, last.failed) = (-1, 0, true);
    }

    /// Another statement is answered by Bulkhead itself, without conditions.
    pub(in crate::session) fn forget_refusal(&mut self) {
        if self.refusal.take().is_some() {
            (self.state.last.warnings, self.state.last.failed) = (0, false);
        }
    }

    async fn show_diagnostics(&mut self, asked: Diagnostics) -> Flow {
        let conditions = match (&self.refusal, &self.kept_warnings) {
            (Some(refusal), _) => {
                Some(vec![("Error".to_owned(), refusal.errno.to_string(), refusal.message.clone())])
            }
            (None, Some(kept)) => conditions_of(&kept.0),
            (None, None) if self.state.last.warnings == 0 && !self.state.last.failed => Some(Vec::new()),
            (None, None) => None,
        };
        let Some(mut conditions) = conditions else {
            let message = "the warnings of the statement before were not kept";
            return Err(ClientError::new(Code::NotSupported, message).into());
        };
        if asked.errors_only {
            conditions.retain(|(level, _, _)| level == "Error");
        }
        if asked.counts {
            let title = if asked.errors_only { "@@session.error_count" } else { "@@session.warning_count" };
            let mut rows = self.start_rows(&[Column::unsigned_bigint(title)]);
            rows.display(conditions.len());
            return self.send_rows(rows).await;
        }
        let mut rows = self.start_rows(&[
            Column::text("Level", 7).not_null(),
            Column::unsigned_bigint("Code").not_null(),
            Column::text("Message", 512).not_null(),
        ]);
        for (level, code, message) in conditions.into_iter().skip(asked.offset).take(asked.limit) {
            rows.text(&level).text(&code).text(&message);
        }
        self.send_rows(rows).await
    }

    /// The statement was a SELECT of one row, for questions about it.
    fn remember_one_row(&mut self) {
        (self.kept_warnings, self.refusal) = (None, None);
        let last = &mut self.state.last;
        (last.row_count, last.found_rows, last.warnings, last.failed) = (-1, 1, 0, false);
    }

    async fn send_database(&mut self, title: &str) -> Flow {
        let name = self.state.target.name.clone();
        let mut rows = self.start_rows(&[Column::text(title, 34)]);
        rows.value(name.as_deref().map(str::as_bytes));
        self.send_rows(rows).await
    }

    async fn send_number(&mut self, title: &str, number: i128) -> Flow {
        let mut rows = self.start_rows(&[Column::bigint(title).not_null()]);
        rows.display(number);
        self.send_rows(rows).await
    }
}

fn question_of(name: &str) -> Question {
    match name.to_ascii_lowercase().as_str() {
        "row_count" => Question::RowCount,
        "found_rows" => Question::FoundRows,
        "connection_id" => Question::ConnectionId,
        "database" | "schema" => Question::Database,
        _ => Question::Other,
    }
}

/// The statement without the comments around it.
fn bare_text<'a>(job: &Job<'a>) -> &'a [u8] {
    let Some(scan) = job.scan else { return job.text };
    let (leading, trailing) = scan.comments.split_at(scan.leading_comments.min(scan.comments.len()));
    let start = leading.last().map_or(0, |span| span.end as usize);
    let end = trailing.first().map_or(job.text.len(), |span| span.start as usize);
    job.text.get(start..end).unwrap_or(job.text)
}

/// SHOW WARNINGS, SHOW ERRORS and their kin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Diagnostics {
    errors_only: bool,
    /// `COUNT(*)`.
    counts: bool,
    offset: usize,
    limit: usize,
}

impl Diagnostics {
    /// What a statement asks for; `None` when it is another one.
    fn of(text: &[u8], mode: SqlMode) -> Option<Self> {
        if text.len() > LONE_MAX {
            return None;
        }
        let tokens = tokens(text, mode);
        let words: Vec<String> = tokens
            .iter()
            .filter(|token| !matches!(token.kind, TokenKind::End | TokenKind::Semicolon))
            .map(|token| String::from_utf8_lossy(token.span.of(text)).to_ascii_lowercase())
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (counts, rest) = match words.as_slice() {
            ["show", "count", "(", "*", ")", rest @ ..] => (true, rest),
            ["show", rest @ ..] => (false, rest),
            _ => return None,
        };
        let (what, rest) = rest.split_first()?;
        let errors_only = match *what {
            "warnings" => false,
            "errors" => true,
            _ => return None,
        };
        let number = |digits: &str| digits.parse::<usize>().ok();
        let (offset, limit) = match rest {
            [] => (0, usize::MAX),
            ["limit", limit] if !counts => (0, number(limit)?),
            ["limit", offset, ",", limit] if !counts => (number(offset)?, number(limit)?),
            ["limit", limit, "offset", offset] if !counts => (number(offset)?, number(limit)?),
            _ => return None,
        };
        Some(Self { errors_only, counts, offset, limit })
    }
}

/// Level, code and message of each row of a SHOW WARNINGS answer, from its wire bytes.
fn conditions_of(answer: &[u8]) -> Option<Vec<(String, String, String)>> {
    let mut rows = Vec::new();
    // Column count and three definitions; an EOF behind them reads as no row.
    for payload in packet::payloads(answer).skip(4) {
        if payload.first() == Some(&EOF_BYTE) {
            continue;
        }
        let text = |value: &Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
        match parse_text_row(payload, 3).ok()?.as_slice() {
            [level, code, message] => rows.push((text(level), text(code), text(message))),
            _ => return None,
        }
    }
    Some(rows)
}

/// `SELECT name()`, with an alias or without: the function's name and the column's title.
fn lone_call(text: &[u8]) -> Option<(&str, String)> {
    if text.len() > LONE_MAX {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?.trim().trim_end_matches(';').trim_end();
    let (select, rest) = text.split_at_checked("select".len())?;
    let call = rest.trim_start();
    if !select.eq_ignore_ascii_case("select") || call.len() == rest.len() {
        return None;
    }
    let (name, behind) = call.split_once('(')?;
    let behind = behind.trim_start().strip_prefix(')')?;
    let title = behind.trim_start();
    if title.is_empty() {
        return Some((name.trim_end(), call.to_owned()));
    }
    let alias = match title.split_at_checked(3) {
        Some((word, alias)) if word.eq_ignore_ascii_case("as ") => alias.trim_start(),
        _ => title,
    };
    let alias = alias.strip_prefix('`').and_then(|quoted| quoted.strip_suffix('`')).unwrap_or(alias);
    let is_plain = alias.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_word = ["from", "limit", "union", "into", "where", "for", "order"];
    (is_plain && !is_word.contains(&alias.to_ascii_lowercase().as_str()))
        .then(|| (name.trim_end(), alias.to_owned()))
}

/// Says whether `LAST_INSERT_ID` is called with an argument.
fn sets_insert_id(text: &[u8], mode: SqlMode) -> bool {
    if !mentions(text, "last_insert_id") {
        return false;
    }
    let mut lexer = Lexer::new(text, mode);
    let mut is_call = false;
    loop {
        let token = lexer.next_token();
        let is_name = token.span.of(text).eq_ignore_ascii_case(b"last_insert_id");
        match token.kind {
            TokenKind::End => return false,
            TokenKind::Open if is_call => {
                if lexer.next_token().kind != TokenKind::Close {
                    return true;
                }
                is_call = false;
            }
            kind => is_call = kind == TokenKind::Word && is_name,
        }
    }
}

fn mentions(text: &[u8], word: &str) -> bool {
    text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_questions_are_told_apart() {
        let lone = |text: &str| lone_call(text.as_bytes()).map(|(name, title)| (question_of(name), title));
        let asked = |text: &str| {
            Diagnostics::of(text.as_bytes(), SqlMode::default())
                .map(|asked| (asked.errors_only, asked.counts, asked.offset, asked.limit))
        };
        assert_eq!(asked("SHOW  WARNINGS"), Some((false, false, 0, usize::MAX)));
        assert_eq!(asked("show errors limit 2, 3;"), Some((true, false, 2, 3)));
        assert_eq!(asked("show warnings limit 1 offset 4"), Some((false, false, 4, 1)));
        assert_eq!(asked("show count(*) errors"), Some((true, true, 0, usize::MAX)));
        for other in ["SHOW WARNINGSX", "show warnings limit x", "show count(*) warnings limit 1", "show"] {
            assert_eq!(asked(other), None, "{other}");
        }
        assert_eq!(lone("select row_count()"), Some((Question::RowCount, "row_count()".into())));
        assert_eq!(
            lone(" SELECT connection_id ( );"),
            Some((Question::ConnectionId, "connection_id ( )".into()))
        );
        assert_eq!(lone("select database() AS d"), Some((Question::Database, "d".into())));
        assert_eq!(lone("select found_rows() `n`"), Some((Question::FoundRows, "n".into())));
        for text in
            ["select row_count(), 1", "select database() from t", "selectx database()", "select", "se"]
        {
            assert_eq!(lone(text), None, "{text}");
        }
        assert!(mentions(b"select Last_Insert_ID()", "last_insert_id"));
        let sets = |text: &str| sets_insert_id(text.as_bytes(), SqlMode::default());
        assert!(
            sets("select last_insert_id(99)") && sets("select last_insert_id(), Last_Insert_Id (a) from t")
        );
        assert!(!sets("select last_insert_id()") && !sets("select 'last_insert_id(1)', last_insert_id ( )"));
    }
}
