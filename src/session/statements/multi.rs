//! Several statements in one COM_QUERY: run one after another, answered as one chain of results.
//!
//! Each is scanned, planned and run on its own, so a text may hold statements for several places, USE and SET
//! among them. As on a server, the first error ends the text.

use std::time::Instant;

use crate::error::{ClientError, Code};
use crate::protocol::capability::Capabilities;
use crate::sql::{self, Scan, ScanFlags};

use crate::session::Session;
use crate::session::flow::Flow;
use crate::session::query::Statement;

impl Session {
    /// Runs every statement of a text; `scan` holds the first one.
    pub(in crate::session) async fn several_statements(
        &mut self,
        attributes: &[u8],
        text: &[u8],
        scan: &mut Scan,
        started: Instant,
    ) -> Flow {
        if !self.capabilities.contains(Capabilities::MULTI_STATEMENTS) {
            let is_mariadb = self.services.server_version().mariadb;
            return Err(second_statement(&text[scan.end..], is_mariadb).into());
        }
        let mut rest = text;
        loop {
            let next = scan.end.min(rest.len());
            let is_last = !scan.flags.contains(ScanFlags::MORE);
            let has_tail = is_last && has_comment_behind(rest, scan);
            self.more_results = !is_last || has_tail;
            let one = &rest[..next];
            let said = self.read_comments(one, scan)?;
            let statement = Statement { attributes, text: trim_delimiter(one), scan, said, started };
            self.answer_failed = false;
            self.run_statement(&statement).await?;
            if has_tail && !self.answer_failed {
                self.more_results = false;
                return self.send_ok().await;
            }
            if is_last || self.answer_failed {
                return Ok(());
            }
            rest = &rest[next..];
            sql::scan(rest, self.state.mode, scan);
        }
    }
}

/// Says whether a comment follows the delimiter of the last statement: to a server that takes several it is
/// one more, which does nothing.
pub(in crate::session) fn has_comment_behind(text: &[u8], scan: &Scan) -> bool {
    let behind = text.get(scan.body.end as usize..).unwrap_or_default();
    let tail = behind.trim_ascii_start().strip_prefix(b";").unwrap_or_default();
    matches!(tail.trim_ascii_start().first(), Some(b'#' | b'-' | b'/'))
}

/// What a server says of a second statement that the client did not announce.
fn second_statement(rest: &[u8], is_mariadb: bool) -> ClientError {
    let product = if is_mariadb { "MariaDB" } else { "MySQL" };
    let near: String = String::from_utf8_lossy(&rest[..rest.len().min(80)]).trim().to_owned();
    ClientError::new(
        Code::SyntaxError,
        format!(
            "You have an error in your SQL syntax; check the manual that corresponds to your {product} \
             server version for the right syntax to use near '{near}' at line 1"
        ),
    )
}

fn trim_delimiter(text: &[u8]) -> &[u8] {
    let trimmed = text.trim_ascii_end();
    trimmed.strip_suffix(b";").unwrap_or(trimmed)
}
