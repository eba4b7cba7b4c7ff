//! Files of several statements: definitions of tables, and migrations.

mod statements;

use std::collections::HashMap;

use self::statements::{Found, Statements};
use super::apply::apply;
use super::decide::{Decision, Request, decide};
use super::standing::Standing;
use crate::sql::{
    self, ChangeForm, Lexer, ObjectName, ServerVersion, Span, SqlMode, StatementKind, TableChange,
    TableDefinition, TokenKind, UnreadReason, line_and_column,
};

/// Largest file that is read: 16 MiB.
pub const FILE_BYTES_MAX: usize = 16 << 20;

/// A statement that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {why}")]
pub struct ScriptError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is in the way.
    pub why: String,
}

/// Known definitions, by the name of the table without its database, lower case.
#[derive(Clone, Debug, Default)]
pub struct Script {
    tables: HashMap<String, TableDefinition>,
}

/// What is allowed for every statement; a comment `/* bulkhead: ddl_prove, ddl_acknowledged */` allows it for
/// one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permits {
    /// The rows may be scanned first.
    pub prove: bool,
    /// It is known that running code breaks or rows are dropped.
    pub acknowledged: bool,
    /// Whom the statements could hurt.
    pub standing: Standing,
}

/// A statement of a file that changes a table, and what was decided about it.
#[derive(Clone, Debug)]
pub struct Step {
    /// Where its text begins in the file; spans of the decision count from here.
    pub start: usize,
    /// Where its text ends, the semicolon included.
    pub end: usize,
    /// The statement's text in the file.
    pub span: Span,
    /// The table.
    pub table: String,
    /// The decision.
    pub decision: Decision,
}

impl Script {
    /// A definition by the table's name.
    pub fn table(&self, name: &str) -> Option<&TableDefinition> {
        self.tables.get(&name.to_lowercase())
    }

    /// Says how many definitions are known.
    pub fn len(&self) -> usize {
        self.tables.len()
    }

    /// Says whether none is known.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Makes a definition known.
    pub fn define(&mut self, table: TableDefinition) {
        self.tables.insert(table.name.name.text.to_lowercase(), table);
    }

    /// Makes all definitions of another known; they win.
    pub fn extend(&mut self, other: Self) {
        self.tables.extend(other.tables);
    }

    /// Follows a change.
    fn follow(&mut self, change: &TableChange) {
        let name = change.table.name.text.to_lowercase();
        match &change.form {
            ChangeForm::Create(Some(table)) => {
                if !(change.if_exists && self.tables.contains_key(&name)) {
                    self.define((**table).clone());
                }
            }
            ChangeForm::Create(None) | ChangeForm::Drop => {
                self.tables.remove(&name);
                for table in &change.more_tables {
                    self.tables.remove(&table.name.text.to_lowercase());
                }
            }
            ChangeForm::Rename => self.rename(change),
            _ => {
                if let Some(mut table) = self.tables.remove(&name) {
                    apply(&mut table, change);
                    self.define(table);
                }
            }
        }
    }

    fn rename(&mut self, change: &TableChange) {
        let from = std::iter::once(&change.table).chain(&change.more_tables);
        for (from, clause) in from.zip(&change.clauses) {
            let sql::ClauseKind::RenameTable(to) = &clause.kind else { continue };
            if let Some(mut table) = self.tables.remove(&from.name.text.to_lowercase()) {
                table.name = to.clone();
                self.define(table);
            }
        }
    }
}

fn mode_of(server: ServerVersion) -> SqlMode {
    SqlMode { server, ..SqlMode::default() }
}

fn place(text: &[u8], at: usize, why: impl std::fmt::Display) -> ScriptError {
    let (line, column) = line_and_column(text, at);
    ScriptError { line, column, why: why.to_string() }
}

/// Where a byte is not SQL, or what is not closed begins.
fn invalid_at(text: &[u8], mode: SqlMode) -> usize {
    let mut lexer = Lexer::new(text, mode);
    loop {
        let token = lexer.next_with_comments();
        if matches!(token.kind, TokenKind::Invalid | TokenKind::End) || lexer.is_unterminated() {
            return token.span.start as usize;
        }
    }
}

/// The statements of a text, and what they change.
fn read<'a>(
    text: &'a [u8],
    server: ServerVersion,
) -> impl Iterator<Item = Result<(Found<'a>, Option<TableChange>), ScriptError>> {
    let mode = mode_of(server);
    Statements::of(text, mode).map(move |found| {
        let change = sql::read_change(found.text, &found.scan, mode).map_err(|unread| {
            let is_invalid = unread.why == UnreadReason::Invalid;
            let at = if is_invalid { invalid_at(found.text, mode) } else { unread.at };
            place(text, found.start + at, &unread.why)
        })?;
        Ok((found, change))
    })
}

/// Reads the tables that a text defines, in order, and follows what it changes of them; other statements are
/// passed over.
///
/// # Errors
/// The first statement about a table that cannot be read, with its place; a text of more than
/// [`FILE_BYTES_MAX`].
pub fn read_definitions(text: &[u8], server: ServerVersion) -> Result<Script, ScriptError> {
    check_size(text)?;
    let mut known = Script::default();
    for one in read(text, server) {
        if let (_, Some(change)) = one? {
            known.follow(&change);
        }
    }
    Ok(known)
}

/// The tables that the statements of a text are about.
///
/// # Errors
/// As [`read_definitions`].
pub fn tables_of(text: &[u8], server: ServerVersion) -> Result<Vec<ObjectName>, ScriptError> {
    let mut names = Vec::new();
    for one in read(text, server) {
        if let (_, Some(change)) = one? {
            names.push(change.table);
            names.extend(change.more_tables);
        }
    }
    Ok(names)
}

fn check_size(text: &[u8]) -> Result<(), ScriptError> {
    if text.len() <= FILE_BYTES_MAX {
        return Ok(());
    }
    Err(place(text, 0, format!("{} bytes, at most {FILE_BYTES_MAX}", text.len())))
}

/// Decides about every statement of a text that changes a table; `known` follows the changes.
///
/// # Errors
/// The first such statement that cannot be read, and the first one that is not known to be about anything
/// else, with its place; a text of more than [`FILE_BYTES_MAX`].
pub fn read_script(
    text: &[u8],
    known: &mut Script,
    server: ServerVersion,
    permits: Permits,
) -> Result<Vec<Step>, ScriptError> {
    check_size(text)?;
    let mut steps = Vec::new();
    for one in read(text, server) {
        let (Found { start, text: one, scan }, change) = one?;
        let body = start + scan.body.start as usize;
        let Some(change) = change else {
            if matches!(scan.kind, StatementKind::Unknown | StatementKind::Compound) {
                return Err(place(
                    text,
                    body,
                    "a statement of which it is not known whether it changes a table",
                ));
            }
            continue;
        };
        let said = sql::directives(one, &scan).map_err(|error| place(text, body, error))?;
        let prove = permits.prove || said.ddl_prove;
        let acknowledged = permits.acknowledged || said.ddl_acknowledged;
        let table = known.table(&change.table.name.text);
        let decision = decide(&Request {
            text: one,
            change: &change,
            table,
            server,
            prove,
            acknowledged,
            standing: permits.standing,
            must_copy: false,
        });
        let span = Span::new(start + change.span.start as usize, start + change.span.end as usize);
        let (end, table) = (start + one.len(), change.table.name.text.clone());
        steps.push(Step { start, end, span, table, decision });
        known.follow(&change);
    }
    Ok(steps)
}
