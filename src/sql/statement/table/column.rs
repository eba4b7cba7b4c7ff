//! Column definitions.

use super::data_type::{self, span_from};
use super::key::{is_check, read_check};
use super::parts::{ColumnDefinition, ColumnKey, DefaultValue, Expression, Generated, UnknownPart};
use super::{expression_of, is_clause_end, word_of};
use crate::sql::lexer::TokenKind;
use crate::sql::statement::Unread;
use crate::sql::statement::cursor::Cursor;

/// Name, type, attributes; stops before FIRST, AFTER, a comma, a closing parenthesis.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<ColumnDefinition, Unread> {
    let start = cursor.peek().span;
    let name = cursor.name()?;
    let is_serial = cursor.is("SERIAL");
    let data_type = data_type::read(cursor)?;
    let mut column = ColumnDefinition {
        name,
        data_type,
        nullable: is_serial.then_some(false),
        default: None,
        on_update: false,
        auto_increment: is_serial,
        key: is_serial.then_some(ColumnKey::Unique),
        invisible: false,
        comment: None,
        generated: None,
        checks: Vec::new(),
        references: None,
        srid: None,
        storage: Vec::new(),
        attributes: Vec::new(),
        unknown: Vec::new(),
        span: start,
    };
    column.data_type.unsigned |= is_serial;
    while !is_clause_end(cursor) && !cursor.is("FIRST") && !cursor.is("AFTER") {
        let at = cursor.peek().span;
        if !read_attribute(cursor, &mut column)? {
            cursor.skip_until(is_clause_end);
            column.unknown.push(UnknownPart { span: span_from(cursor, at) });
        }
    }
    column.span = span_from(cursor, start);
    Ok(column)
}

fn read_attribute(cursor: &mut Cursor<'_>, column: &mut ColumnDefinition) -> Result<bool, Unread> {
    if cursor.eat_words(&["NOT", "NULL"]) {
        column.nullable = Some(false);
    } else if cursor.eat("NULL") {
        column.nullable = Some(true);
    } else if cursor.eat("DEFAULT") {
        let mark = cursor.mark();
        column.default = Some(read_default(cursor)?);
        note_digits(cursor, mark, column);
    } else if cursor.eat_words(&["ON", "UPDATE"]) {
        column.on_update = true;
        let mark = cursor.mark();
        read_default(cursor)?;
        note_digits(cursor, mark, column);
    } else if cursor.eat("AUTO_INCREMENT") {
        column.auto_increment = true;
    } else if cursor.eat("COMMENT") {
        column.comment = Some(cursor.string()?.0);
    } else if cursor.eat("INVISIBLE") {
        column.invisible = true;
    } else if cursor.eat("VISIBLE") {
        column.invisible = false;
    } else if cursor.eat("COLLATE") {
        column.data_type.collation = Some(super::charset_name(&cursor.name_or_text()?.text));
    } else if cursor.eat_words(&["SERIAL", "DEFAULT", "VALUE"]) {
        column.nullable = Some(false);
        column.auto_increment = true;
        column.key = Some(ColumnKey::Unique);
    } else if cursor.eat("SRID") || cursor.eat("REF_SYSTEM_ID") {
        cursor.eat_operator("=");
        column.srid = Some(cursor.number()?);
    } else {
        return Ok(read_key(cursor, column)
            || read_constraint(cursor, column)?
            || read_generated(cursor, column)?
            || read_storage(cursor, column)?);
    }
    Ok(true)
}

/// `CURRENT_TIMESTAMP(3)` of a column that has not three digits.
fn note_digits(cursor: &Cursor<'_>, mark: usize, column: &mut ColumnDefinition) {
    let value = expression_of(cursor, mark).text;
    let Some((name, digits)) = value.strip_suffix(" )").and_then(|value| value.rsplit_once("( ")) else {
        return;
    };
    let is_now = NOW.iter().any(|now| name.trim_end().eq_ignore_ascii_case(now));
    let own = column.data_type.length.unwrap_or(0);
    if is_now && digits.trim().parse::<u64>().is_ok_and(|digits| digits != own) {
        column.attributes.push(value);
    }
}

fn read_key(cursor: &mut Cursor<'_>, column: &mut ColumnDefinition) -> bool {
    if cursor.eat_words(&["PRIMARY", "KEY"]) || cursor.eat("PRIMARY") || cursor.eat("KEY") {
        column.key = Some(ColumnKey::Primary);
        true
    } else if cursor.eat("UNIQUE") {
        cursor.eat_any(&["KEY", "INDEX"]);
        column.key = Some(ColumnKey::Unique);
        true
    } else {
        false
    }
}

fn read_constraint(cursor: &mut Cursor<'_>, column: &mut ColumnDefinition) -> Result<bool, Unread> {
    if is_check(cursor) {
        column.checks.push(read_check(cursor)?);
        return Ok(true);
    }
    if !cursor.eat("REFERENCES") {
        return Ok(false);
    }
    column.references = Some(cursor.object()?);
    super::key::skip_reference_tail(cursor);
    Ok(true)
}

fn read_generated(cursor: &mut Cursor<'_>, column: &mut ColumnDefinition) -> Result<bool, Unread> {
    let long = cursor.eat_words(&["GENERATED", "ALWAYS", "AS"]);
    if !long && !cursor.eat("AS") {
        return Ok(false);
    }
    if cursor.eat("ROW") {
        let token = cursor.next();
        column.storage.push(format!("ROW {}", word_of(cursor, token).to_ascii_uppercase()));
        return Ok(true);
    }
    let expression = read_parenthesis(cursor)?;
    let stored = cursor.eat_any(&["STORED", "PERSISTENT"]);
    if !stored {
        cursor.eat("VIRTUAL");
    }
    column.generated = Some(Generated { expression, stored });
    Ok(true)
}

/// What changes how rows are stored.
fn read_storage(cursor: &mut Cursor<'_>, column: &mut ColumnDefinition) -> Result<bool, Unread> {
    for word in ["COLUMN_FORMAT", "STORAGE"] {
        if cursor.eat(word) {
            let token = cursor.next();
            let value = word_of(cursor, token).to_ascii_uppercase();
            if value != "DEFAULT" {
                column.storage.push(format!("{word} {value}"));
            }
            return Ok(true);
        }
    }
    for word in ["ENGINE_ATTRIBUTE", "SECONDARY_ENGINE_ATTRIBUTE"] {
        let mark = cursor.mark();
        if cursor.eat(word) {
            cursor.eat_operator("=");
            cursor.string()?;
            column.attributes.push(expression_of(cursor, mark).text);
            return Ok(true);
        }
    }
    if cursor.eat_words(&["NOT", "SECONDARY"]) {
        column.attributes.push("not secondary".to_owned());
        return Ok(true);
    }
    for words in [&["WITH", "SYSTEM", "VERSIONING"], &["WITHOUT", "SYSTEM", "VERSIONING"]] {
        if cursor.eat_words(words) {
            column.storage.push(words.join(" "));
            return Ok(true);
        }
    }
    if cursor.eat("COMPRESSED") {
        if cursor.eat_operator("=") {
            cursor.next();
        }
        column.storage.push("COMPRESSED".to_owned());
        return Ok(true);
    }
    Ok(false)
}

/// An expression in parentheses.
pub(super) fn read_parenthesis(cursor: &mut Cursor<'_>) -> Result<Expression, Unread> {
    if !cursor.is_kind(TokenKind::Open) {
        return cursor.fail("an expression in parentheses was expected");
    }
    let mark = cursor.mark();
    cursor.skip_parentheses();
    Ok(expression_of(cursor, mark))
}

const NOW: [&str; 4] = ["CURRENT_TIMESTAMP", "NOW", "LOCALTIME", "LOCALTIMESTAMP"];

/// The value behind DEFAULT and ON UPDATE.
pub(super) fn read_default(cursor: &mut Cursor<'_>) -> Result<DefaultValue, Unread> {
    if cursor.eat("NULL") || cursor.eat_kind(TokenKind::NullEscape) {
        return Ok(DefaultValue::Null);
    }
    if cursor.eat_any(&NOW) {
        cursor.skip_parentheses();
        return Ok(DefaultValue::Now);
    }
    if cursor.is_kind(TokenKind::Open) {
        return Ok(DefaultValue::Expression(read_parenthesis(cursor)?));
    }
    let mark = cursor.mark();
    if !cursor.eat_operator("-") {
        cursor.eat_operator("+");
    }
    cursor.eat_kind(TokenKind::Introducer);
    let token = cursor.next();
    let is_truth = matches!(word_of(cursor, token).to_ascii_uppercase().as_str(), "TRUE" | "FALSE");
    if token.kind.is_literal() || is_truth {
        return Ok(DefaultValue::Literal(expression_of(cursor, mark).text));
    }
    let is_call = token.kind == TokenKind::Word && cursor.is_kind(TokenKind::Open);
    if !is_call {
        cursor.back_to(mark);
        return cursor.fail("a default value was expected");
    }
    cursor.skip_parentheses();
    Ok(DefaultValue::Expression(expression_of(cursor, mark)))
}
