//! The statements that make the shadow: byte spans of the server's and the client's own texts.

use super::Names;
use super::check::check_change;
use super::refusal::Refusal;
use crate::ddl::{Edit, edited};
use crate::sql::{
    self, ChangeForm, Check, ClauseKind, Lexer, Scan, ServerVersion, Span, SqlMode, TableChange,
    TableDefinition, Token, TokenKind,
};

/// What makes the shadow, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowStatements {
    /// The table as it is, empty, under the shadow's name. For a session of utf8mb4 with backticks.
    pub create: Vec<u8>,
    /// The client's statement, about the shadow, without its assertions; for a session with the client's own
    /// settings. `None` where the copy itself is what was asked for (OPTIMIZE TABLE).
    pub change: Option<Vec<u8>>,
}

fn scan(text: &[u8], mode: SqlMode) -> Scan {
    let mut found = Scan::default();
    sql::scan(text, mode, &mut found);
    found
}

/// Reads what SHOW CREATE TABLE printed.
///
/// # Errors
/// A definition that cannot be read.
pub fn read_definition(text: &[u8], server: ServerVersion) -> Result<TableDefinition, Refusal> {
    let mode = SqlMode { server, ..SqlMode::default() };
    sql::read_definition(text, &scan(text, mode), mode).map_err(|unread| {
        let why = format!("the table's definition cannot be read: {} at byte {}", unread.why, unread.at);
        Refusal::new(why, "change it by hand, and report the definition")
    })
}

/// Reads the client's statement.
///
/// # Errors
/// A statement that cannot be read, or that is not about a table's definition.
pub fn read_change(text: &[u8], mode: SqlMode) -> Result<TableChange, Refusal> {
    let remedy = "change the table by hand, and report the statement";
    match sql::read_change(text, &scan(text, mode), mode) {
        Ok(Some(change)) => Ok(change),
        Ok(None) => Err(Refusal::new("the statement does not change a table", remedy)),
        Err(unread) => {
            let why = format!("the statement cannot be read: {} at byte {}", unread.why, unread.at);
            Err(Refusal::new(why, remedy))
        }
    }
}

/// The SQL that makes the shadow, from SHOW CREATE TABLE's text and the client's.
///
/// # Errors
/// See [`Refusal`]: a statement that means something else on an empty table.
pub fn shadow_statements(
    names: &Names,
    (created, definition): (&[u8], &TableDefinition),
    (text, change): (&[u8], &TableChange),
    mode: SqlMode,
) -> Result<ShadowStatements, Refusal> {
    check_change(change)?;
    let target = names.target();
    let mut edits = vec![Edit { span: definition.name.span(), text: target.clone().into_bytes() }];
    if !mode.server.mariadb {
        edits.extend(unnamed_checks(created, definition));
    }
    Ok(ShadowStatements {
        create: edited(created, &edits),
        change: change_statement(&target, text, change, mode),
    })
}

fn change_statement(target: &str, text: &[u8], change: &TableChange, mode: SqlMode) -> Option<Vec<u8>> {
    let is_assertion = |kind: &ClauseKind| matches!(kind, ClauseKind::Algorithm(_) | ClauseKind::Lock(_));
    let acts = change.clauses.iter().any(|clause| !is_assertion(&clause.kind));
    if change.form == ChangeForm::Optimize || !acts {
        return None;
    }
    let tokens = tokens(text, mode);
    let mut edits = vec![Edit { span: change.table.span(), text: target.as_bytes().to_vec() }];
    // What stands in front of and behind the statement (comments, a semicolon) stays.
    for clause in change.clauses.iter().filter(|clause| is_assertion(&clause.kind)) {
        edits.push(Edit { span: clause.span, text: Vec::new() });
        let comma = comma_of(&tokens, clause.span, &edits);
        edits.extend(comma);
    }
    Some(edited(text, &edits))
}

fn tokens(text: &[u8], mode: SqlMode) -> Vec<Token> {
    let mut lexer = Lexer::new(text, mode);
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next_token();
        if token.kind == TokenKind::End {
            return tokens;
        }
        tokens.push(token);
    }
}

/// The comma that goes with a clause: the one in front of it, else the one behind, unless it is gone already.
fn comma_of(tokens: &[Token], clause: Span, edits: &[Edit]) -> Option<Edit> {
    let before = tokens.iter().rfind(|token| token.span.end <= clause.start);
    let behind = tokens.iter().find(|token| token.span.start >= clause.end);
    let is_free =
        |token: &&&Token| token.kind == TokenKind::Comma && edits.iter().all(|edit| edit.span != token.span);
    let comma = before.as_ref().filter(is_free).or(behind.as_ref().filter(is_free))?;
    Some(Edit { span: comma.span, text: Vec::new() })
}

/// MySQL's names of checks are a database's, and it renames those that it made itself (`TABLE_chk_1`) along
/// with their table. So those are made anew under the shadow's name, and get their old names back with the
/// exchange; otherwise the copies of two tables of one name could not be made at once.
fn unnamed_checks(created: &[u8], definition: &TableDefinition) -> Vec<Edit> {
    let own = format!("{}_chk_", definition.name.name.text);
    let columns = definition.columns.iter().flat_map(|column| &column.checks);
    let checks = definition.checks.iter().chain(columns);
    checks.filter_map(|check| unnamed_check(created, check, &own)).collect()
}

fn unnamed_check(created: &[u8], check: &Check, own: &str) -> Option<Edit> {
    let name = check.name.as_ref()?;
    let number = name.text.strip_prefix(own)?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let before = created.get(..name.span.start as usize)?.trim_ascii_end();
    let start = before.len().checked_sub("CONSTRAINT".len())?;
    before[start..]
        .eq_ignore_ascii_case(b"CONSTRAINT")
        .then(|| Edit { span: Span::new(start, name.span.end as usize), text: Vec::new() })
}
