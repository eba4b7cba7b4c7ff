//! Files of several statements: definitions of tables, and migrations.

use std::collections::HashMap;

use super::apply::apply;
use super::decide::{Decision, Request, decide};
use super::standing::Standing;
use crate::sql::{
    self, ChangeForm, Scan, ScanFlags, ServerVersion, Span, SqlMode, TableChange, TableDefinition,
    line_and_column,
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

/// The statements of a text: where each begins, and what the scan of it found.
fn statements(text: &[u8], server: ServerVersion) -> impl Iterator<Item = (usize, Scan)> {
    let mut at = 0;
    let mut is_over = text.len() > FILE_BYTES_MAX;
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        let mut found = Scan::default();
        sql::scan(&text[at..], mode_of(server), &mut found);
        let start = at;
        at += found.end;
        is_over = !found.flags.contains(ScanFlags::MORE) || found.end == 0;
        Some((start, found))
    })
}

/// Reads every CREATE TABLE of a text, in order; other statements are passed over.
///
/// # Errors
/// The first CREATE TABLE that cannot be read, with its place; a text of more than [`FILE_BYTES_MAX`].
pub fn read_definitions(text: &[u8], server: ServerVersion) -> Result<Script, ScriptError> {
    check_size(text)?;
    let mut known = Script::default();
    for (start, found) in statements(text, server) {
        let one = &text[start..start + found.end];
        let change = sql::read_change(one, &found, mode_of(server))
            .map_err(|unread| place(text, start + unread.at, &unread.why))?;
        if let Some(TableChange { form: ChangeForm::Create(Some(table)), .. }) = change {
            known.define(*table);
        }
    }
    Ok(known)
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
/// The first such statement that cannot be read, with its place; a text of more than [`FILE_BYTES_MAX`].
pub fn read_script(
    text: &[u8],
    known: &mut Script,
    server: ServerVersion,
    permits: Permits,
) -> Result<Vec<Step>, ScriptError> {
    check_size(text)?;
    let mut steps = Vec::new();
    for (start, found) in statements(text, server) {
        let one = &text[start..start + found.end];
        let change = sql::read_change(one, &found, mode_of(server))
            .map_err(|unread| place(text, start + unread.at, &unread.why))?;
        let Some(change) = change else { continue };
        let said = sql::directives(one, &found)
            .map_err(|error| place(text, start + found.body.start as usize, error))?;
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
        steps.push(Step {
            start,
            end: start + found.end,
            span,
            table: change.table.name.text.clone(),
            decision,
        });
        known.follow(&change);
    }
    Ok(steps)
}
