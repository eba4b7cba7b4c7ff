//! CREATE TABLE, as people write it and as SHOW CREATE TABLE prints it.

use super::data_type::span_from;
use super::key::{Keyed, is_keyed, read_keyed};
use super::option::{read_option, read_partitioning};
use super::parts::{
    Check, ColumnDefinition, ForeignKey, KeyDefinition, Partitioning, TableOption, UnknownPart,
};
use super::{column, is_clause_end};
use crate::sql::lexer::TokenKind;
use crate::sql::statement::cursor::Cursor;
use crate::sql::statement::{ObjectName, Unread};

/// A table as its CREATE TABLE describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDefinition {
    /// Its name.
    pub name: ObjectName,
    /// Its columns, in order.
    pub columns: Vec<ColumnDefinition>,
    /// Its keys; those that columns bring along are in the columns.
    pub keys: Vec<KeyDefinition>,
    /// Its foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
    /// Its checks; those of columns are in the columns.
    pub checks: Vec<Check>,
    /// Its options.
    pub options: Vec<TableOption>,
    /// PARTITION BY.
    pub partitioning: Option<Partitioning>,
    /// TEMPORARY.
    pub temporary: bool,
    /// Parts that are not known, outside of columns and keys.
    pub unknown: Vec<UnknownPart>,
}

/// What CREATE TABLE makes.
pub(super) enum Created {
    /// A table whose definition is all there.
    Defined(Box<TableDefinition>),
    /// LIKE, SELECT: the definition is elsewhere.
    Derived(ObjectName),
}

/// From CREATE to the end.
pub(super) fn read_create(cursor: &mut Cursor<'_>) -> Result<(Created, bool), Unread> {
    cursor.expect("CREATE", "CREATE was expected")?;
    cursor.eat_words(&["OR", "REPLACE"]);
    let temporary = cursor.eat("TEMPORARY");
    cursor.expect("TABLE", "TABLE was expected")?;
    let if_exists = cursor.eat_words(&["IF", "NOT", "EXISTS"]);
    let name = cursor.object()?;
    let is_like = cursor.is("LIKE") || (cursor.is_kind(TokenKind::Open) && cursor.word_at(1, "LIKE"));
    if is_like || !cursor.is_kind(TokenKind::Open) {
        cursor.rest();
        return Ok((Created::Derived(name), if_exists));
    }
    let mut table = TableDefinition {
        name,
        columns: Vec::new(),
        keys: Vec::new(),
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        options: Vec::new(),
        partitioning: None,
        temporary,
        unknown: Vec::new(),
    };
    read_parts(cursor, &mut table)?;
    if !read_tail(cursor, &mut table)? {
        return Ok((Created::Derived(table.name), if_exists));
    }
    Ok((Created::Defined(Box::new(table)), if_exists))
}

fn read_parts(cursor: &mut Cursor<'_>, table: &mut TableDefinition) -> Result<(), Unread> {
    cursor.expect_kind(TokenKind::Open, "the table's columns were expected")?;
    loop {
        let at = cursor.peek().span;
        if is_keyed(cursor) {
            match read_keyed(cursor)? {
                Keyed::Key(key) => table.keys.push(key),
                Keyed::Foreign(key) => table.foreign_keys.push(key),
                Keyed::Check(check) => table.checks.push(check),
            }
        } else if cursor.is_any(&["PERIOD", "LIKE"]) {
            cursor.skip_until(is_clause_end);
            table.unknown.push(UnknownPart { span: span_from(cursor, at) });
        } else {
            table.columns.push(column::read(cursor)?);
        }
        if !is_clause_end(cursor) {
            let at = cursor.peek().span;
            cursor.skip_until(is_clause_end);
            table.unknown.push(UnknownPart { span: span_from(cursor, at) });
        }
        if !cursor.eat_kind(TokenKind::Comma) {
            return cursor.expect_kind(TokenKind::Close, "a comma or a closing parenthesis was expected");
        }
    }
}

/// Options and partitions; false when a query follows.
fn read_tail(cursor: &mut Cursor<'_>, table: &mut TableDefinition) -> Result<bool, Unread> {
    while !cursor.is_done() {
        if cursor.eat_kind(TokenKind::Comma) {
            continue;
        }
        let at = cursor.peek().span;
        if let Some(option) = read_option(cursor)? {
            table.options.push(option);
        } else if cursor.is("PARTITION") && cursor.word_at(1, "BY") {
            table.partitioning = Some(read_partitioning(cursor)?);
        } else if cursor.is_any(&["SELECT", "AS", "IGNORE", "REPLACE", "WITH", "VALUES", "TABLE"])
            || cursor.is_kind(TokenKind::Open)
        {
            cursor.rest();
            return Ok(false);
        } else if !cursor.eat_words(&["START", "TRANSACTION"]) {
            // MariaDB's engines have options of their own, `name=value` in any order.
            cursor.next();
            if cursor.eat_operator("=") {
                cursor.next();
            }
            table.unknown.push(UnknownPart { span: span_from(cursor, at) });
        }
    }
    Ok(true)
}
