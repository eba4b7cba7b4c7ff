//! Questions about the previous statement, when its connection is no longer the session's.
//!
//! SHOW WARNINGS is answered from what was kept, `LAST_INSERT_ID()` is set on the connection at hand before
//! it is asked for, `ROW_COUNT()`, `FOUND_ROWS()` and `CONNECTION_ID()` alone are answered from what the
//! session knows; inside other statements the first two are refused, because another session's numbers would
//! be wrong.

use crate::error::{ClientError, Code};
use crate::protocol::result::Column;

use crate::session::Session;
use crate::session::flow::Flow;
use crate::session::run::job::Job;
use crate::session::state::Held;

/// What a statement asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Warnings,
    RowCount,
    FoundRows,
    ConnectionId,
    /// Not a question that stands alone.
    Other,
}

impl Session {
    /// Answers a statement that asks only about the previous one; `false` when a server must be asked.
    pub(in crate::session) async fn answer_previous(&mut self, job: &Job<'_>) -> Flow<bool> {
        let question = question_of(job.text);
        if question == Question::ConnectionId {
            self.send_number("CONNECTION_ID()", i128::from(self.admission.id.0)).await?;
            return Ok(true);
        }
        if !job.plan.effects.asks_previous || self.state.held.is_some() {
            return Ok(false);
        }
        match question {
            Question::Warnings => self.show_warnings().await?,
            Question::RowCount => {
                self.send_number("ROW_COUNT()", i128::from(self.state.last.row_count)).await?
            }
            Question::FoundRows => {
                self.send_number("FOUND_ROWS()", i128::from(self.state.last.found_rows)).await?
            }
            Question::ConnectionId | Question::Other => {
                if ["row_count", "found_rows", "diagnostics"].iter().any(|word| mentions(job.text, word)) {
                    let message = "the statement asks about one whose connection was given back";
                    return Err(ClientError::new(Code::NotSupported, message).into());
                }
                return Ok(false);
            }
        }
        Ok(true)
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

    async fn show_warnings(&mut self) -> Flow {
        if let Some(kept) = &self.kept_warnings {
            let answer = kept.0.clone();
            return self.send_collected(answer).await;
        }
        let columns =
            [Column::text("Level", 7), Column::unsigned_bigint("Code"), Column::text("Message", 512)];
        let rows = self.start_rows(&columns);
        self.send_rows(rows).await
    }

    async fn send_number(&mut self, title: &str, number: i128) -> Flow {
        let mut rows = self.start_rows(&[Column::bigint(title)]);
        rows.display(number);
        self.send_rows(rows).await
    }
}

fn question_of(text: &[u8]) -> Question {
    let is = |wanted: &str| {
        let mut left = text.iter().filter(|byte| !byte.is_ascii_whitespace() && **byte != b';');
        let same =
            wanted.bytes().all(|byte| left.next().is_some_and(|other| other.eq_ignore_ascii_case(&byte)));
        same && left.next().is_none()
    };
    match text.len() {
        0..64 if is("showwarnings") => Question::Warnings,
        0..64 if is("selectrow_count()") => Question::RowCount,
        0..64 if is("selectfound_rows()") => Question::FoundRows,
        0..64 if is("selectconnection_id()") => Question::ConnectionId,
        _ => Question::Other,
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
        assert_eq!(question_of(b"SHOW  WARNINGS;"), Question::Warnings);
        assert_eq!(question_of(b"select row_count()"), Question::RowCount);
        assert_eq!(question_of(b"select connection_id ( )"), Question::ConnectionId);
        assert_eq!(question_of(b"select row_count(), 1"), Question::Other);
        assert!(mentions(b"select Last_Insert_ID()", "last_insert_id"));
    }
}
