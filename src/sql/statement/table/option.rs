//! Table options and partitions.

use super::data_type::span_from;
use super::parts::{PartitionKind, Partitioning, TableOption};
use super::{charset_name, expression_of, word_of};
use crate::sql::lexer::TokenKind;
use crate::sql::statement::Unread;
use crate::sql::statement::cursor::Cursor;

/// Options of one word, a `=` that may be left out, and one value.
const ONE_WORD: &[&str] = &[
    "AUTOEXTEND_SIZE",
    "AUTO_INCREMENT",
    "AVG_ROW_LENGTH",
    "CHECKSUM",
    "TABLE_CHECKSUM",
    "COMMENT",
    "COMPRESSION",
    "CONNECTION",
    "DELAY_KEY_WRITE",
    "ENCRYPTION",
    "ENCRYPTED",
    "ENCRYPTION_KEY_ID",
    "ENGINE",
    "TYPE",
    "ENGINE_ATTRIBUTE",
    "IETF_QUOTES",
    "INSERT_METHOD",
    "KEY_BLOCK_SIZE",
    "MAX_ROWS",
    "MIN_ROWS",
    "PACK_KEYS",
    "PAGE_CHECKSUM",
    "PAGE_COMPRESSED",
    "PAGE_COMPRESSION_LEVEL",
    "PASSWORD",
    "ROW_FORMAT",
    "SECONDARY_ENGINE",
    "SECONDARY_ENGINE_ATTRIBUTE",
    "SEQUENCE",
    "STATS_AUTO_RECALC",
    "STATS_PERSISTENT",
    "STATS_SAMPLE_PAGES",
    "TABLESPACE",
    "TRANSACTIONAL",
];

/// One option; `None` when none that is known follows.
pub(super) fn read_option(cursor: &mut Cursor<'_>) -> Result<Option<TableOption>, Unread> {
    let start = cursor.peek().span;
    let before = cursor.mark();
    let is_default = cursor.eat("DEFAULT");
    if let Some((name, value)) = read_charset(cursor)? {
        let span = span_from(cursor, start);
        return Ok(Some(TableOption { name: name.to_owned(), value: charset_name(&value), span }));
    }
    if is_default {
        cursor.back_to(before);
        return Ok(None);
    }
    let name = if cursor.eat_words(&["DATA", "DIRECTORY"]) {
        "DATA DIRECTORY"
    } else if cursor.eat_words(&["INDEX", "DIRECTORY"]) {
        "INDEX DIRECTORY"
    } else if cursor.eat_words(&["WITH", "SYSTEM", "VERSIONING"]) {
        let span = span_from(cursor, start);
        return Ok(Some(TableOption { name: "SYSTEM VERSIONING".to_owned(), value: String::new(), span }));
    } else if cursor.is("UNION") {
        cursor.next();
        "UNION"
    } else if let Some(name) = ONE_WORD.iter().find(|name| cursor.eat(name)) {
        name
    } else {
        return Ok(None);
    };
    cursor.eat_operator("=");
    let value = read_value(cursor)?;
    if name == "TABLESPACE" && cursor.eat("STORAGE") {
        cursor.next();
    }
    let name = if name == "TYPE" { "ENGINE" } else { name };
    Ok(Some(TableOption { name: name.to_owned(), value, span: span_from(cursor, start) }))
}

/// CHARACTER SET, COLLATE, with the value behind them.
fn read_charset(cursor: &mut Cursor<'_>) -> Result<Option<(&'static str, String)>, Unread> {
    let name = if cursor.eat_words(&["CHARACTER", "SET"])
        || cursor.eat_words(&["CHAR", "SET"])
        || cursor.eat("CHARSET")
    {
        "CHARACTER SET"
    } else if cursor.eat("COLLATE") {
        "COLLATE"
    } else {
        return Ok(None);
    };
    cursor.eat_operator("=");
    Ok(Some((name, cursor.name_or_text()?.text)))
}

fn read_value(cursor: &mut Cursor<'_>) -> Result<String, Unread> {
    if cursor.is_kind(TokenKind::Open) {
        let mark = cursor.mark();
        cursor.skip_parentheses();
        return Ok(expression_of(cursor, mark).text);
    }
    if cursor.is_kind(TokenKind::String) {
        return Ok(String::from_utf8_lossy(&cursor.string()?.0).into_owned());
    }
    if matches!(cursor.peek().kind, TokenKind::End | TokenKind::Comma | TokenKind::Close) {
        return cursor.fail("a value was expected");
    }
    if let Ok(name) = cursor.name() {
        return Ok(name.text);
    }
    let token = cursor.next();
    Ok(word_of(cursor, token))
}

/// PARTITION BY …, to the end of the statement.
pub(super) fn read_partitioning(cursor: &mut Cursor<'_>) -> Result<Partitioning, Unread> {
    let mark = cursor.mark();
    cursor.expect("PARTITION", "PARTITION BY was expected")?;
    cursor.expect("BY", "BY was expected")?;
    let linear = cursor.eat("LINEAR");
    let kind = if cursor.eat_any(&["RANGE", "LIST"]) {
        PartitionKind::Ranges
    } else if linear || cursor.is_any(&["HASH", "KEY"]) {
        PartitionKind::Hashes
    } else {
        PartitionKind::Other
    };
    cursor.skip_until(|_| false);
    Ok(Partitioning { kind, expression: expression_of(cursor, mark) })
}
