//! SET in all its forms.

use super::cursor::Cursor;
use super::{IsolationLevel, Name, SetItem, SetValue, Unread, ValueKind, VariableScope};
use crate::sql::lexer::{Token, TokenKind, unquote};
use crate::sql::span::Span;

/// Functions whose value depends on their arguments only.
const PURE_FUNCTIONS: &[&str] = &[
    "CONCAT",
    "CONCAT_WS",
    "REPLACE",
    "LOWER",
    "UPPER",
    "TRIM",
    "LEFT",
    "RIGHT",
    "SUBSTRING",
    "ABS",
    "FLOOR",
    "CEIL",
    "ROUND",
    "GREATEST",
    "LEAST",
    "IF",
    "IFNULL",
    "NULLIF",
    "COALESCE",
    "HEX",
    "UNHEX",
    "CAST",
    "CONVERT",
];

/// Words that may stand in an expression of constants.
const PURE_WORDS: &[&str] =
    &["NULL", "TRUE", "FALSE", "AND", "OR", "NOT", "DIV", "MOD", "XOR", "AS", "SIGNED", "UNSIGNED", "CHAR"];

pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Vec<SetItem>, Unread> {
    cursor.expect("SET", "SET")?;
    if let Some(item) = read_whole(cursor)? {
        cursor.expect_end()?;
        return Ok(vec![item]);
    }
    let mut sticky = VariableScope::Implicit;
    let mut items = vec![read_item(cursor, &mut sticky)?];
    while cursor.eat_kind(TokenKind::Comma) {
        items.push(read_item(cursor, &mut sticky)?);
    }
    cursor.expect_end()?;
    Ok(items)
}

/// The forms that stand alone.
fn read_whole(cursor: &mut Cursor<'_>) -> Result<Option<SetItem>, Unread> {
    if cursor.is("PASSWORD") {
        cursor.rest();
        return Ok(Some(SetItem::Password));
    }
    if cursor.eat_words(&["DEFAULT", "ROLE"]) {
        cursor.rest();
        return Ok(Some(SetItem::Role { default: true }));
    }
    let assigned = matches!(cursor.peek_at(1).span.of(cursor.text), b"=" | b":=");
    if !assigned && cursor.eat("ROLE") {
        cursor.rest();
        return Ok(Some(SetItem::Role { default: false }));
    }
    if cursor.eat_words(&["RESOURCE", "GROUP"]) {
        cursor.rest();
        return Ok(Some(SetItem::ResourceGroup));
    }
    if !assigned && cursor.eat("STATEMENT") {
        cursor.skip_until(|cursor| cursor.is("FOR"));
        cursor.expect("FOR", "SET STATEMENT … FOR")?;
        return Ok(Some(SetItem::ForStatement { statement: cursor.rest() }));
    }
    let mark = cursor.mark();
    let scope = read_scope(cursor).unwrap_or(VariableScope::Implicit);
    if cursor.eat("TRANSACTION") {
        return read_transaction(cursor, scope).map(Some);
    }
    cursor.back_to(mark);
    Ok(None)
}

fn read_scope(cursor: &mut Cursor<'_>) -> Option<VariableScope> {
    if matches!(cursor.peek_at(1).span.of(cursor.text), b"=" | b":=") {
        return None;
    }
    let scopes = [
        ("SESSION", VariableScope::Session),
        ("LOCAL", VariableScope::Session),
        ("GLOBAL", VariableScope::Global),
        ("PERSIST", VariableScope::Persist),
        ("PERSIST_ONLY", VariableScope::PersistOnly),
    ];
    scopes.iter().find(|(word, _)| cursor.eat(word)).map(|(_, scope)| *scope)
}

fn read_transaction(cursor: &mut Cursor<'_>, scope: VariableScope) -> Result<SetItem, Unread> {
    let (mut isolation, mut read_only) = (None, None);
    loop {
        if cursor.eat_words(&["ISOLATION", "LEVEL"]) {
            isolation = Some(read_isolation(cursor)?);
        } else if cursor.eat_words(&["READ", "ONLY"]) {
            read_only = Some(true);
        } else if cursor.eat_words(&["READ", "WRITE"]) {
            read_only = Some(false);
        } else {
            return cursor.fail("a transaction characteristic was expected");
        }
        if !cursor.eat_kind(TokenKind::Comma) {
            return Ok(SetItem::Transaction { scope, isolation, read_only });
        }
    }
}

fn read_isolation(cursor: &mut Cursor<'_>) -> Result<IsolationLevel, Unread> {
    if cursor.eat_words(&["READ", "UNCOMMITTED"]) {
        Ok(IsolationLevel::ReadUncommitted)
    } else if cursor.eat_words(&["READ", "COMMITTED"]) {
        Ok(IsolationLevel::ReadCommitted)
    } else if cursor.eat_words(&["REPEATABLE", "READ"]) {
        Ok(IsolationLevel::RepeatableRead)
    } else if cursor.eat("SERIALIZABLE") {
        Ok(IsolationLevel::Serializable)
    } else {
        cursor.fail("an isolation level was expected")
    }
}

/// One assignment of a list. `sticky` is the last GLOBAL or SESSION, which holds for plain names behind it.
fn read_item(cursor: &mut Cursor<'_>, sticky: &mut VariableScope) -> Result<SetItem, Unread> {
    match cursor.peek().kind {
        TokenKind::UserVariable => {
            let mut name = cursor.user_variable()?;
            name.text.make_ascii_lowercase();
            let value = read_assigned(cursor)?;
            return Ok(SetItem::UserVariable { name, value });
        }
        TokenKind::SystemVariable => return read_system_variable(cursor),
        _ => {}
    }
    let assigned = matches!(cursor.peek_at(1).span.of(cursor.text), b"=" | b":=");
    if !assigned && cursor.eat("NAMES") {
        return read_names(cursor);
    }
    if cursor.eat_words(&["CHARACTER", "SET"])
        || cursor.eat_words(&["CHAR", "SET"])
        || (!assigned && cursor.eat("CHARSET"))
    {
        return Ok(SetItem::CharacterSet { charset: name_or_default(cursor)? });
    }
    if let Some(scope) = read_scope(cursor) {
        *sticky = scope;
    }
    let name = variable_name(cursor)?;
    let value = read_assigned(cursor)?;
    Ok(SetItem::Variable { scope: *sticky, name, value })
}

fn read_names(cursor: &mut Cursor<'_>) -> Result<SetItem, Unread> {
    let charset = name_or_default(cursor)?;
    let collation = if cursor.eat("COLLATE") { name_or_default(cursor)? } else { None };
    Ok(SetItem::Names { charset, collation })
}

fn name_or_default(cursor: &mut Cursor<'_>) -> Result<Option<Name>, Unread> {
    if cursor.eat("DEFAULT") {
        return Ok(None);
    }
    cursor.name_or_text().map(|mut name| {
        name.text.make_ascii_lowercase();
        Some(name)
    })
}

/// `name`, `component.name`, in lower case.
fn variable_name(cursor: &mut Cursor<'_>) -> Result<Name, Unread> {
    let mut name = cursor.name()?;
    while cursor.eat_kind(TokenKind::Dot) {
        let part = cursor.name()?;
        name = Name { text: format!("{}.{}", name.text, part.text), span: name.span.to(part.span) };
    }
    name.text.make_ascii_lowercase();
    Ok(name)
}

/// `@@name`, `@@scope.name`.
fn read_system_variable(cursor: &mut Cursor<'_>) -> Result<SetItem, Unread> {
    let token = cursor.next();
    let first = String::from_utf8_lossy(token.span.of(cursor.text).get(2..).unwrap_or_default());
    let first = first.trim_matches('`').to_ascii_lowercase();
    let scope = match first.as_str() {
        "session" | "local" => Some(VariableScope::Session),
        "global" => Some(VariableScope::Global),
        "persist" => Some(VariableScope::Persist),
        "persist_only" => Some(VariableScope::PersistOnly),
        _ => None,
    };
    let mut name = Name { text: first, span: token.span };
    if cursor.eat_kind(TokenKind::Dot) {
        let rest = variable_name(cursor)?;
        let text = if scope.is_some() { rest.text } else { format!("{}.{}", name.text, rest.text) };
        name = Name { text, span: token.span.to(rest.span) };
    }
    let value = read_assigned(cursor)?;
    Ok(SetItem::Variable { scope: scope.unwrap_or(VariableScope::Session), name, value })
}

fn read_assigned(cursor: &mut Cursor<'_>) -> Result<SetValue, Unread> {
    if !cursor.eat_equals() {
        return cursor.fail("= was expected");
    }
    let from = cursor.mark();
    let span = cursor.skip_until(|cursor| cursor.is_kind(TokenKind::Comma));
    if span.is_empty() {
        return cursor.fail("a value was expected");
    }
    let kind = classify(cursor, cursor.between(from, cursor.mark()));
    Ok(SetValue { kind, span })
}

fn classify(cursor: &Cursor<'_>, tokens: &[Token]) -> ValueKind {
    let text = |span: Span| String::from_utf8_lossy(span.of(cursor.text)).into_owned();
    match tokens {
        [one] => match one.kind {
            TokenKind::String => {
                match String::from_utf8(unquote(one.span.of(cursor.text), cursor.mode).into_owned()) {
                    Ok(value) => ValueKind::Text(value),
                    Err(_) => ValueKind::Opaque,
                }
            }
            TokenKind::Integer | TokenKind::Decimal | TokenKind::Float => ValueKind::Number(text(one.span)),
            TokenKind::Hex | TokenKind::Bit | TokenKind::NationalString => ValueKind::Opaque,
            TokenKind::Placeholder => ValueKind::Placeholder,
            TokenKind::NullEscape => ValueKind::Null,
            TokenKind::Word => match text(one.span).to_ascii_uppercase().as_str() {
                "DEFAULT" => ValueKind::Default,
                "NULL" => ValueKind::Null,
                _ => ValueKind::Word(text(one.span)),
            },
            TokenKind::QuotedName => ValueKind::Word(text(one.span).trim_matches('`').to_owned()),
            _ => ValueKind::Relative,
        },
        [sign, number]
            if matches!(number.kind, TokenKind::Integer | TokenKind::Decimal | TokenKind::Float)
                && matches!(sign.span.of(cursor.text), b"-" | b"+") =>
        {
            ValueKind::Number(text(sign.span) + &text(number.span))
        }
        [introducer, _] if introducer.kind == TokenKind::Introducer => ValueKind::Opaque,
        many if many.iter().enumerate().all(|(at, token)| is_pure(cursor, *token, many.get(at + 1))) => {
            ValueKind::Constant
        }
        _ => ValueKind::Relative,
    }
}

fn is_pure(cursor: &Cursor<'_>, token: Token, next: Option<&Token>) -> bool {
    let is_in = |words: &[&str]| {
        words.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(token.span.of(cursor.text)))
    };
    match token.kind {
        TokenKind::Word if next.is_some_and(|next| next.kind == TokenKind::Open) => is_in(PURE_FUNCTIONS),
        TokenKind::Word => is_in(PURE_WORDS),
        TokenKind::Operator => token.span.of(cursor.text) != b":=",
        TokenKind::Open
        | TokenKind::Close
        | TokenKind::Comma
        | TokenKind::Introducer
        | TokenKind::NullEscape => true,
        kind => kind.is_literal(),
    }
}
