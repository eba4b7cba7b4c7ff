//! Keys, foreign keys and checks.

use super::column::read_parenthesis;
use super::data_type::span_from;
use super::parts::{Check, ForeignKey, KeyDefinition, KeyKind, KeyPart, UnknownPart};
use super::{expression_of, is_clause_end};
use crate::sql::lexer::TokenKind;
use crate::sql::span::Span;
use crate::sql::statement::cursor::Cursor;
use crate::sql::statement::{Name, Unread};

/// A key or constraint of a table, as it stands in CREATE TABLE and behind ADD.
pub(super) enum Keyed {
    /// A key.
    Key(KeyDefinition),
    /// A foreign key.
    Foreign(ForeignKey),
    /// A check.
    Check(Check),
}

/// Says whether a key or constraint follows rather than a column.
pub(super) fn is_keyed(cursor: &Cursor<'_>) -> bool {
    let followed = |word: &str, next: &[&str]| {
        cursor.is(word) && next.iter().any(|next| cursor.word_at(1, next))
            || (cursor.is(word) && cursor.peek_at(1).kind == TokenKind::Open)
    };
    // None of these words can be a column's name without quotes, but for CHECK in old MariaDB and VECTOR.
    cursor.is_any(&["CONSTRAINT", "PRIMARY", "UNIQUE", "FULLTEXT", "SPATIAL", "FOREIGN", "KEY", "INDEX"])
        || followed("CHECK", &[])
        || followed("VECTOR", &["INDEX", "KEY"])
}

/// A check, with or without a name.
pub(super) fn is_check(cursor: &Cursor<'_>) -> bool {
    cursor.is("CHECK")
        || cursor.is("CONSTRAINT") && (cursor.word_at(1, "CHECK") || cursor.word_at(2, "CHECK"))
}

pub(super) fn read_keyed(cursor: &mut Cursor<'_>) -> Result<Keyed, Unread> {
    if is_check(cursor) {
        return read_check(cursor).map(Keyed::Check);
    }
    let start = cursor.peek().span;
    let mut name = None;
    if cursor.eat("CONSTRAINT") && !cursor.is_any(&["PRIMARY", "UNIQUE", "FOREIGN"]) {
        cursor.eat_words(&["IF", "NOT", "EXISTS"]);
        name = Some(cursor.name()?);
    }
    if cursor.eat_words(&["FOREIGN", "KEY"]) {
        return read_foreign(cursor, name, start).map(Keyed::Foreign);
    }
    let kind = read_kind(cursor)?;
    cursor.eat_words(&["IF", "NOT", "EXISTS"]);
    let is_named = !cursor.is_kind(TokenKind::Open) && !cursor.is_any(&["USING", "TYPE"]);
    if is_named {
        name = Some(cursor.name()?);
    }
    let mut key = KeyDefinition {
        kind,
        name,
        parts: Vec::new(),
        invisible: false,
        options: Vec::new(),
        unknown: Vec::new(),
        span: start,
    };
    read_body(cursor, &mut key)?;
    Ok(Keyed::Key(key))
}

fn read_kind(cursor: &mut Cursor<'_>) -> Result<KeyKind, Unread> {
    let kinds = [
        ("PRIMARY", KeyKind::Primary),
        ("UNIQUE", KeyKind::Unique),
        ("FULLTEXT", KeyKind::FullText),
        ("SPATIAL", KeyKind::Spatial),
        ("VECTOR", KeyKind::Vector),
    ];
    let found = kinds.iter().find(|(word, _)| cursor.eat(word)).map(|(_, kind)| *kind);
    let word = cursor.eat_any(&["KEY", "INDEX"]);
    match found {
        Some(kind) => Ok(kind),
        None if word => Ok(KeyKind::Plain),
        None => cursor.fail("a key was expected"),
    }
}

/// Columns and options; the columns may stand behind USING.
pub(super) fn read_body(cursor: &mut Cursor<'_>, key: &mut KeyDefinition) -> Result<(), Unread> {
    read_key_option(cursor, key)?;
    cursor.expect_kind(TokenKind::Open, "the key's columns were expected")?;
    loop {
        key.parts.push(read_part(cursor)?);
        if !cursor.eat_kind(TokenKind::Comma) {
            break;
        }
        if cursor.is_any(&["PERIOD"]) || cursor.word_at(1, "WITHOUT") {
            let at = cursor.peek().span;
            cursor.skip_until(|cursor| cursor.is_kind(TokenKind::Close));
            key.unknown.push(UnknownPart { span: span_from(cursor, at) });
            break;
        }
    }
    cursor.expect_kind(TokenKind::Close, "a closing parenthesis was expected")?;
    while !is_clause_end(cursor) && !cursor.is_any(&["ALGORITHM", "LOCK", "WAIT", "NOWAIT"]) {
        if !read_key_option(cursor, key)? {
            let at = cursor.peek().span;
            cursor.skip_until(is_clause_end);
            key.unknown.push(UnknownPart { span: span_from(cursor, at) });
        }
    }
    key.span = span_from(cursor, key.span);
    Ok(())
}

fn read_part(cursor: &mut Cursor<'_>) -> Result<KeyPart, Unread> {
    if cursor.is_kind(TokenKind::Open) {
        let mut expression = read_parenthesis(cursor)?;
        if cursor.eat("DESC") {
            expression.text.push_str(" desc");
        }
        cursor.eat("ASC");
        return Ok(KeyPart::Expression(expression));
    }
    let name = cursor.name()?;
    let mut prefix = None;
    if cursor.eat_kind(TokenKind::Open) {
        prefix = Some(cursor.number()?);
        cursor.expect_kind(TokenKind::Close, "a closing parenthesis was expected")?;
    }
    let descending = cursor.eat("DESC");
    cursor.eat("ASC");
    Ok(KeyPart::Column { name, prefix, descending })
}

/// One option of a key; false when none follows.
fn read_key_option(cursor: &mut Cursor<'_>, key: &mut KeyDefinition) -> Result<bool, Unread> {
    let mark = cursor.mark();
    let is_option = read_plain_option(cursor, key.kind)?;
    if is_option {
        key.options.push(expression_of(cursor, mark).text);
        return Ok(true);
    }
    if cursor.eat_words(&["NOT", "IGNORED"]) || cursor.eat("VISIBLE") {
        key.invisible = false;
        return Ok(true);
    }
    key.invisible |= cursor.is_any(&["INVISIBLE", "IGNORED"]);
    Ok(cursor.eat_any(&["INVISIBLE", "IGNORED"]))
}

/// An option that says nothing about whether the key is used.
fn read_plain_option(cursor: &mut Cursor<'_>, kind: KeyKind) -> Result<bool, Unread> {
    if cursor.eat_any(&["USING", "TYPE"]) {
        return cursor.name().map(|_| true);
    }
    if cursor.eat("COMMENT") {
        return cursor.string().map(|_| true);
    }
    if cursor.eat_words(&["WITH", "PARSER"]) {
        return cursor.name().map(|_| true);
    }
    if cursor.eat_any(&["KEY_BLOCK_SIZE", "ENGINE_ATTRIBUTE", "SECONDARY_ENGINE_ATTRIBUTE", "CLUSTERING"])
        || (kind == KeyKind::Vector && cursor.eat_any(&["M", "DISTANCE"]))
    {
        cursor.eat_operator("=");
        cursor.next();
        return Ok(true);
    }
    Ok(false)
}

fn read_foreign(
    cursor: &mut Cursor<'_>,
    constraint: Option<Name>,
    start: Span,
) -> Result<ForeignKey, Unread> {
    cursor.eat_words(&["IF", "NOT", "EXISTS"]);
    let mut name = constraint;
    if !cursor.is_kind(TokenKind::Open) {
        let index = cursor.name()?;
        name = name.or(Some(index));
    }
    let columns = read_names(cursor)?;
    cursor.expect("REFERENCES", "REFERENCES was expected")?;
    let table = cursor.object()?;
    let referenced = if cursor.is_kind(TokenKind::Open) { read_names(cursor)? } else { Vec::new() };
    let mark = cursor.mark();
    skip_reference_tail(cursor);
    let actions = expression_of(cursor, mark).text;
    Ok(ForeignKey { name, columns, table, referenced, actions, span: span_from(cursor, start) })
}

fn read_names(cursor: &mut Cursor<'_>) -> Result<Vec<Name>, Unread> {
    cursor.expect_kind(TokenKind::Open, "names in parentheses were expected")?;
    let mut names = vec![cursor.name()?];
    while cursor.eat_kind(TokenKind::Comma) {
        names.push(cursor.name()?);
    }
    cursor.expect_kind(TokenKind::Close, "a closing parenthesis was expected")?;
    Ok(names)
}

/// What may stand behind the table of REFERENCES.
pub(super) fn skip_reference_tail(cursor: &mut Cursor<'_>) {
    cursor.skip_parentheses();
    loop {
        if cursor.eat("MATCH") {
            cursor.next();
        } else if cursor.eat_words(&["ON", "DELETE"]) || cursor.eat_words(&["ON", "UPDATE"]) {
            let two = cursor.eat_words(&["SET", "NULL"])
                || cursor.eat_words(&["SET", "DEFAULT"])
                || cursor.eat_words(&["NO", "ACTION"]);
            if !two {
                cursor.next();
            }
        } else {
            return;
        }
    }
}

pub(super) fn read_check(cursor: &mut Cursor<'_>) -> Result<Check, Unread> {
    let mut name = None;
    if cursor.eat("CONSTRAINT") && !cursor.is("CHECK") {
        name = Some(cursor.name()?);
    }
    cursor.expect("CHECK", "CHECK was expected")?;
    let mark = cursor.mark();
    if !cursor.skip_parentheses() {
        return cursor.fail("a condition in parentheses was expected");
    }
    let condition = expression_of(cursor, mark);
    let enforced = !cursor.eat_words(&["NOT", "ENFORCED"]);
    cursor.eat("ENFORCED");
    Ok(Check { name, condition, enforced })
}
