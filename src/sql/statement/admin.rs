//! The rest: KILL, PREPARE, LOCK TABLES, CALL, HANDLER, LOAD DATA, table maintenance, FLUSH.

use super::cursor::Cursor;
use super::{
    FlushStatement, HandlerStatement, HandlerVerb, KillStatement, KillTarget, LoadStatement, LockedTable,
    Name, Parsed, PrepareSource, TableAdminStatement, TableAdminVerb, Unread,
};
use crate::sql::lexer::TokenKind;

pub(super) fn read_kill(cursor: &mut Cursor<'_>) -> Result<Parsed, Unread> {
    cursor.expect("KILL", "KILL")?;
    let soft = cursor.eat("SOFT");
    cursor.eat("HARD");
    let query_only = cursor.eat("QUERY");
    cursor.eat("CONNECTION");
    let single = cursor.peek_at(1).kind == TokenKind::End;
    let target = if single && cursor.is_kind(TokenKind::Integer) {
        KillTarget::Id(cursor.number()?)
    } else if cursor.is_done() {
        return cursor.fail("a connection id was expected");
    } else {
        KillTarget::Expression(cursor.rest())
    };
    Ok(Parsed::Kill(KillStatement { query_only, soft, target }))
}

pub(super) fn read_prepare(cursor: &mut Cursor<'_>) -> Result<Parsed, Unread> {
    cursor.expect("PREPARE", "PREPARE")?;
    let name = cursor.name()?;
    cursor.expect("FROM", "FROM was expected")?;
    let source = read_source(cursor)?;
    cursor.expect_end()?;
    Ok(Parsed::Prepare { name, source })
}

/// A string, a user variable or, in MariaDB, any expression.
fn read_source(cursor: &mut Cursor<'_>) -> Result<PrepareSource, Unread> {
    let alone = cursor.peek_at(1).kind == TokenKind::End || cursor.word_at(1, "USING");
    Ok(match cursor.peek().kind {
        TokenKind::String if alone => {
            let (text, span) = cursor.string()?;
            PrepareSource::Text(text, span)
        }
        TokenKind::UserVariable if alone => PrepareSource::Variable(cursor.user_variable()?),
        TokenKind::End => return cursor.fail("a text was expected"),
        _ => PrepareSource::Expression(cursor.skip_until(|cursor| cursor.is("USING"))),
    })
}

pub(super) fn read_execute(cursor: &mut Cursor<'_>) -> Result<Parsed, Unread> {
    cursor.expect("EXECUTE", "EXECUTE")?;
    if cursor.is("IMMEDIATE")
        && !matches!(cursor.peek_at(1).kind, TokenKind::End)
        && !cursor.word_at(1, "USING")
    {
        cursor.next();
        let source = read_source(cursor)?;
        let using = cursor.eat("USING").then(|| cursor.rest());
        return Ok(Parsed::ExecuteImmediate { source, using });
    }
    let name = cursor.name()?;
    let mut using = Vec::new();
    if cursor.eat("USING") {
        using.push(cursor.user_variable()?);
        while cursor.eat_kind(TokenKind::Comma) {
            using.push(cursor.user_variable()?);
        }
    }
    cursor.expect_end()?;
    Ok(Parsed::Execute { name, using })
}

pub(super) fn read_deallocate(cursor: &mut Cursor<'_>) -> Result<Parsed, Unread> {
    cursor.next();
    cursor.expect("PREPARE", "PREPARE was expected")?;
    let name = cursor.name()?;
    cursor.expect_end()?;
    Ok(Parsed::Deallocate { name })
}

/// LOCK TABLES; LOCK INSTANCE and others are left to the caller.
pub(super) fn read_lock(cursor: &mut Cursor<'_>) -> Result<Option<Parsed>, Unread> {
    cursor.next();
    if !cursor.eat_any(&["TABLES", "TABLE"]) {
        return Ok(None);
    }
    let mut tables = vec![read_locked_table(cursor)?];
    while cursor.eat_kind(TokenKind::Comma) {
        tables.push(read_locked_table(cursor)?);
    }
    if cursor.eat("WAIT") {
        cursor.next();
    }
    cursor.eat("NOWAIT");
    cursor.expect_end()?;
    Ok(Some(Parsed::LockTables(tables)))
}

fn read_locked_table(cursor: &mut Cursor<'_>) -> Result<LockedTable, Unread> {
    let table = cursor.object()?;
    let explicit = cursor.eat("AS");
    let alias = if explicit || !cursor.is_any(&["READ", "WRITE", "LOW_PRIORITY"]) {
        Some(cursor.name_or_text()?)
    } else {
        None
    };
    if cursor.eat("READ") {
        cursor.eat("LOCAL");
        return Ok(LockedTable { table, alias, write: false });
    }
    cursor.eat("LOW_PRIORITY");
    cursor.expect("WRITE", "READ or WRITE was expected")?;
    cursor.eat("CONCURRENT");
    Ok(LockedTable { table, alias, write: true })
}

pub(super) fn read_call(cursor: &mut Cursor<'_>) -> Result<Parsed, Unread> {
    cursor.expect("CALL", "CALL")?;
    let procedure = cursor.object()?;
    cursor.skip_parentheses();
    cursor.expect_end()?;
    Ok(Parsed::Call { procedure })
}

pub(super) fn read_handler(cursor: &mut Cursor<'_>) -> Result<Parsed, Unread> {
    cursor.expect("HANDLER", "HANDLER")?;
    let table = cursor.object()?;
    let verb = if cursor.eat("OPEN") {
        HandlerVerb::Open
    } else if cursor.eat("READ") {
        HandlerVerb::Read
    } else if cursor.eat("CLOSE") {
        HandlerVerb::Close
    } else {
        return cursor.fail("OPEN, READ or CLOSE was expected");
    };
    Ok(Parsed::Handler(HandlerStatement { verb, table }))
}

pub(super) fn read_load(cursor: &mut Cursor<'_>) -> Result<Parsed, Unread> {
    cursor.expect("LOAD", "LOAD")?;
    let xml = cursor.eat("XML");
    if !xml && !cursor.eat("DATA") {
        return cursor.fail("DATA or XML was expected");
    }
    let mut local = false;
    cursor.skip_until(|cursor| cursor.is_any(&["INFILE", "URL", "S3", "LOCAL"]));
    if cursor.eat("LOCAL") {
        local = true;
    }
    cursor.skip_until(|cursor| cursor.is("INTO"));
    cursor.expect("INTO", "INTO was expected")?;
    cursor.expect("TABLE", "TABLE was expected")?;
    let table = cursor.object()?;
    if cursor.eat("PARTITION") {
        cursor.skip_parentheses();
    }
    cursor.skip_until(|cursor| cursor.is_kind(TokenKind::Open) || cursor.is("SET"));
    let columns = if cursor.is_kind(TokenKind::Open) { read_columns(cursor)? } else { Vec::new() };
    cursor.rest();
    Ok(Parsed::LoadData(LoadStatement { local, xml, table, columns }))
}

fn read_columns(cursor: &mut Cursor<'_>) -> Result<Vec<Name>, Unread> {
    cursor.next();
    let mut columns = Vec::new();
    while !cursor.eat_kind(TokenKind::Close) {
        columns.push(match cursor.peek().kind {
            TokenKind::UserVariable => {
                let mut name = cursor.user_variable()?;
                name.text.insert(0, '@');
                name
            }
            _ => cursor.object()?.name,
        });
        cursor.eat_kind(TokenKind::Comma);
    }
    Ok(columns)
}

pub(super) fn read_table_admin(cursor: &mut Cursor<'_>) -> Result<Option<Parsed>, Unread> {
    let verbs = [
        ("ANALYZE", TableAdminVerb::Analyze),
        ("OPTIMIZE", TableAdminVerb::Optimize),
        ("CHECK", TableAdminVerb::Check),
        ("REPAIR", TableAdminVerb::Repair),
        ("CHECKSUM", TableAdminVerb::Checksum),
        ("CACHE", TableAdminVerb::CacheIndex),
        ("LOAD", TableAdminVerb::LoadIndex),
    ];
    let Some((_, verb)) = verbs.iter().find(|(word, _)| cursor.eat(word)) else {
        return cursor.fail("a table maintenance verb was expected");
    };
    cursor.eat_any(&["NO_WRITE_TO_BINLOG", "LOCAL"]);
    if cursor.eat("INDEX") {
        cursor.eat_words(&["INTO", "CACHE"]);
    } else if !cursor.eat_any(&["TABLE", "TABLES", "VIEW"]) {
        return Ok(None);
    }
    let mut tables = vec![cursor.object()?];
    loop {
        cursor.skip_until(|cursor| cursor.is_kind(TokenKind::Comma) || is_behind_tables(cursor));
        if !cursor.eat_kind(TokenKind::Comma) {
            break;
        }
        tables.push(cursor.object()?);
    }
    cursor.rest();
    Ok(Some(Parsed::TableAdmin(TableAdminStatement { verb: *verb, tables })))
}

/// UPDATE HISTOGRAM ON a, b and PERSISTENT FOR …: commas behind these are no tables.
fn is_behind_tables(cursor: &Cursor<'_>) -> bool {
    cursor.is_any(&["UPDATE", "DROP", "PERSISTENT", "FOR"])
}

pub(super) fn read_flush(cursor: &mut Cursor<'_>) -> Result<Parsed, Unread> {
    cursor.expect("FLUSH", "FLUSH")?;
    cursor.eat_any(&["NO_WRITE_TO_BINLOG", "LOCAL"]);
    let mut flush = FlushStatement { tables: Vec::new(), locks: false };
    if cursor.eat_any(&["TABLES", "TABLE"]) {
        if !cursor.is_done() && !cursor.is("WITH") && !cursor.is_kind(TokenKind::Comma) {
            flush.tables = cursor.objects()?;
        }
        flush.locks = cursor.eat_words(&["WITH", "READ", "LOCK"]) || cursor.eat_words(&["FOR", "EXPORT"]);
    }
    cursor.rest();
    Ok(Parsed::Flush(flush))
}
