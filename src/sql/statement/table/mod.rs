//! Tables: their definitions and what changes them, read completely for MySQL and MariaDB.
//!
//! [`read_definition`] reads CREATE TABLE and what SHOW CREATE TABLE prints; [`read_change`] reads ALTER
//! TABLE and its kin, clause by clause. Names and expressions keep their places in the text. What is not
//! known is kept as unknown ([`UnknownPart`], [`ClauseKind::Unknown`]) so that whoever decides can refuse. It
//! judges nothing.

mod alter;
mod clauses;
mod column;
mod create;
mod data_type;
mod key;
mod option;
mod parts;

pub use clauses::{ChangeForm, Clause, ClauseKind, ColumnChange, PartitionAction, Position, TableChange};
pub use create::TableDefinition;
pub use parts::{
    Check, ColumnDefinition, ColumnKey, DataType, DefaultValue, Expression, ForeignKey, Generated,
    KeyDefinition, KeyKind, KeyPart, PartitionKind, Partitioning, TableOption, TypeKind, UnknownPart,
};

use self::create::Created;
use super::cursor::Cursor;
use super::{Unread, UnreadReason};
use crate::sql::lexer::{SqlMode, Token, TokenKind};
use crate::sql::query::unquote_name;
use crate::sql::scan::{Scan, ScanFlags};
use crate::sql::span::Span;

/// Line and column of a byte, both from 1; the column counts characters.
pub fn line_and_column(text: &[u8], at: usize) -> (usize, usize) {
    let before = &text[..at.min(text.len())];
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    (line, String::from_utf8_lossy(&before[line_start..]).chars().count() + 1)
}

/// Reads the CREATE TABLE statement that `scan` found.
///
/// # Errors
/// [`Unread`] with the place; also for CREATE TABLE … LIKE and … SELECT, whose columns are elsewhere.
pub fn read_definition(text: &[u8], scan: &Scan, mode: SqlMode) -> Result<TableDefinition, Unread> {
    let mut cursor = open(text, scan, mode)?;
    match create::read_create(&mut cursor)?.0 {
        Created::Defined(table) => Ok(*table),
        Created::Derived(name) => {
            let why = UnreadReason::Form("the table's columns are not in the statement");
            Err(Unread { at: name.span().start as usize, why })
        }
    }
}

/// Reads a statement that changes a table: ALTER TABLE, CREATE and DROP INDEX, OPTIMIZE, RENAME, DROP,
/// TRUNCATE and CREATE TABLE. `None` for any other statement.
///
/// # Errors
/// [`Unread`] with the place, when it is such a statement and cannot be read. A clause that is not known is
/// no error: it is [`ClauseKind::Unknown`].
pub fn read_change(text: &[u8], scan: &Scan, mode: SqlMode) -> Result<Option<TableChange>, Unread> {
    let mut cursor = open(text, scan, mode)?;
    alter::read_change(&mut cursor)
}

fn open<'a>(text: &'a [u8], scan: &Scan, mode: SqlMode) -> Result<Cursor<'a>, Unread> {
    if scan.flags.contains(ScanFlags::INVALID) {
        return Err(Unread { at: scan.body.start as usize, why: UnreadReason::Invalid });
    }
    Cursor::new(text, scan.body, mode)
}

/// Where a part of a list ends.
fn is_clause_end(cursor: &Cursor<'_>) -> bool {
    matches!(cursor.peek().kind, TokenKind::Comma | TokenKind::Close | TokenKind::End)
}

/// A token's bytes.
fn word_of(cursor: &Cursor<'_>, token: Token) -> String {
    String::from_utf8_lossy(token.span.of(cursor.text)).into_owned()
}

/// The name of a character set or collation: lower case, `utf8` by its present name.
fn charset_name(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    match name.strip_prefix("utf8") {
        Some("") => "utf8mb3".to_owned(),
        Some(rest) if rest.starts_with('_') => format!("utf8mb3{rest}"),
        _ => name,
    }
}

/// The expression from a mark to here.
fn expression_of(cursor: &Cursor<'_>, mark: usize) -> Expression {
    let tokens = cursor.between(mark, cursor.mark());
    let mut text = String::new();
    for token in tokens {
        if !text.is_empty() {
            text.push(' ');
        }
        let bytes = token.span.of(cursor.text);
        match token.kind {
            TokenKind::Word | TokenKind::Name => {
                text.push_str(&String::from_utf8_lossy(bytes).to_ascii_lowercase());
            }
            TokenKind::QuotedName => text.push_str(&unquote_name(bytes).to_ascii_lowercase()),
            _ => text.push_str(&String::from_utf8_lossy(bytes)),
        }
    }
    let start = tokens.first().map_or(cursor.peek().span.start, |token| token.span.start);
    let end = tokens.last().map_or(start, |token| token.span.end);
    Expression { span: Span { start, end }, text }
}

#[cfg(test)]
mod tests;
