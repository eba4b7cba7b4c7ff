//! Assertions put into the client's own text: byte spans are replaced, nothing is printed from a tree.

use super::offer::Offer;
use crate::sql::{ChangeForm, ClauseKind, Lexer, ServerVersion, Span, SqlMode, TableChange, TokenKind};

/// Bytes of the client's text that give way to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What gives way; empty where something is only put in.
    pub span: Span,
    /// What takes its place.
    pub text: Vec<u8>,
}

impl Edit {
    fn insert(at: u32, text: impl Into<Vec<u8>>) -> Self {
        Self { span: Span { start: at, end: at }, text: text.into() }
    }
}

/// The text with the edits done; every other byte is the client's.
pub fn edited(text: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut sorted: Vec<&Edit> = edits.iter().collect();
    sorted.sort_by_key(|edit| edit.span);
    let mut result = Vec::with_capacity(text.len() + 64);
    let mut at = 0;
    for edit in sorted {
        let (start, end) = (edit.span.start as usize, edit.span.end as usize);
        result.extend_from_slice(text.get(at..start).unwrap_or_default());
        result.extend_from_slice(&edit.text);
        at = end;
    }
    result.extend_from_slice(text.get(at..).unwrap_or_default());
    result
}

/// What makes the server refuse anything worse than the offer. The client's own ALGORITHM and LOCK give way.
pub fn assert_edits(text: &[u8], change: &TableChange, offer: Offer, server: ServerVersion) -> Vec<Edit> {
    let (algorithm, lock) = offer.assertion(server);
    let mut edits = Vec::new();
    let (mut has_algorithm, mut has_lock) = (false, false);
    for clause in &change.clauses {
        let replaced = match clause.kind {
            ClauseKind::Algorithm(_) => {
                has_algorithm = true;
                format!("ALGORITHM={algorithm}")
            }
            ClauseKind::Lock(_) => {
                has_lock = true;
                // MySQL takes no LOCK but DEFAULT beside INSTANT.
                format!("LOCK={}", lock.unwrap_or("DEFAULT"))
            }
            _ => continue,
        };
        edits.push(Edit { span: clause.span, text: replaced.into_bytes() });
    }
    let mut added = Vec::new();
    if !has_algorithm {
        added.push(format!("ALGORITHM={algorithm}"));
    }
    if let Some(lock) = lock.filter(|_| !has_lock) {
        added.push(format!("LOCK={lock}"));
    }
    edits.extend(added_edits(text, change, &added, server));
    edits
}

fn added_edits(text: &[u8], change: &TableChange, added: &[String], server: ServerVersion) -> Vec<Edit> {
    let name_end = change.table.span().end;
    match &change.form {
        ChangeForm::DropIndex(index) if server.mariadb => drop_index_edits(text, change, *index, added),
        _ if added.is_empty() => Vec::new(),
        ChangeForm::Alter { is_partitions_only: true } => {
            vec![Edit::insert(name_end, format!(" {},", added.join(", ")))]
        }
        ChangeForm::Alter { .. } if change.clauses.is_empty() => {
            vec![Edit::insert(change.span.end, format!(" {}", added.join(", ")))]
        }
        ChangeForm::CreateIndex | ChangeForm::DropIndex(_) => {
            vec![Edit::insert(change.span.end, format!(" {}", added.join(" ")))]
        }
        _ => vec![Edit::insert(change.span.end, format!(", {}", added.join(", ")))],
    }
}

/// MariaDB's DROP INDEX takes no ALGORITHM: `DROP INDEX i ON t` becomes `ALTER TABLE t DROP INDEX i, …`, the
/// names in the client's own bytes.
fn drop_index_edits(text: &[u8], change: &TableChange, index: Span, added: &[String]) -> Vec<Edit> {
    let table = change.table.span();
    let mut front = b"ALTER TABLE ".to_vec();
    front.extend_from_slice(table.of(text));
    front.push(b' ');
    let mut tail = String::new();
    for assertion in added {
        tail.push_str(", ");
        tail.push_str(assertion);
    }
    let between = Span { start: index.end, end: table.end };
    let mut edits = vec![
        Edit::insert(change.span.start, front),
        Edit { span: between, text: Vec::new() },
        Edit::insert(change.span.end, tail),
    ];
    edits.retain(|edit| !edit.span.is_empty() || !edit.text.is_empty());
    edits
}

/// Takes MariaDB's `WAIT n` out of a schema change: how long the statements of a table queue behind it is
/// bounded by the session's own variable.
pub fn wait_edits(text: &[u8], mode: SqlMode) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut lexer = Lexer::new(text, mode);
    let mut wait: Option<Span> = None;
    loop {
        let token = lexer.next_token();
        match (wait.take(), token.kind) {
            (_, TokenKind::End) => return edits,
            // What follows is a query with waits of its own.
            (_, TokenKind::Word) if token.span.of(text).eq_ignore_ascii_case(b"SELECT") => return edits,
            (Some(word), kind) if is_number(kind) => {
                let span = Span { start: word.start, end: token.span.end };
                edits.push(Edit { span, text: Vec::new() });
            }
            (_, TokenKind::Word) if token.span.of(text).eq_ignore_ascii_case(b"WAIT") => {
                wait = Some(token.span);
            }
            _ => {}
        }
    }
}

fn is_number(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::Integer | TokenKind::Decimal | TokenKind::Float | TokenKind::Hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_own_wait_is_taken_out() {
        // Also where MySQL is advertised: the server may be MariaDB.
        let mode = SqlMode::default();
        let without = |text: &str| {
            let edits = wait_edits(text.as_bytes(), mode);
            String::from_utf8(edited(text.as_bytes(), &edits)).unwrap()
        };
        assert_eq!(without("ALTER TABLE t WAIT 3600 ADD x INT"), "ALTER TABLE t  ADD x INT");
        assert_eq!(without("rename table a wait 5 to b"), "rename table a  to b");
        assert_eq!(without("drop table a wait 0.5"), "drop table a ");
        for same in [
            "ALTER TABLE t NOWAIT ADD x INT",
            "ALTER TABLE t ADD `wait` INT DEFAULT 'wait 5'",
            "CREATE TABLE t SELECT a FROM u FOR UPDATE WAIT 5",
        ] {
            assert_eq!(without(same), same);
        }
    }
}
