//! CREATE, ALTER, DROP, RENAME, TRUNCATE: their heads, and every table that they name.

use sqlparser::ast::Statement;

use super::cursor::Cursor;
use super::{DdlObject, DdlStatement, DdlVerb, Name, Unread};
use crate::sql::lexer::TokenKind;
use crate::sql::query::parse_span;
use crate::sql::scan::StatementKind;
use crate::sql::span::Span;

const OBJECTS: &[(&[&str], DdlObject)] = &[
    (&["TABLE"], DdlObject::Table),
    (&["TABLES"], DdlObject::Table),
    (&["INDEX"], DdlObject::Index),
    (&["KEY"], DdlObject::Index),
    (&["VIEW"], DdlObject::View),
    (&["SEQUENCE"], DdlObject::Sequence),
    (&["TRIGGER"], DdlObject::Trigger),
    (&["PROCEDURE"], DdlObject::Procedure),
    (&["FUNCTION"], DdlObject::Function),
    (&["PACKAGE", "BODY"], DdlObject::Package),
    (&["PACKAGE"], DdlObject::Package),
    (&["EVENT"], DdlObject::Event),
    (&["DATABASE"], DdlObject::Database),
    (&["SCHEMA"], DdlObject::Database),
    (&["USER"], DdlObject::Account),
    (&["ROLE"], DdlObject::Account),
    (&["SERVER"], DdlObject::Server),
    (&["TABLESPACE"], DdlObject::Server),
    (&["UNDO", "TABLESPACE"], DdlObject::Server),
    (&["LOGFILE", "GROUP"], DdlObject::Server),
    (&["RESOURCE", "GROUP"], DdlObject::Server),
    (&["SPATIAL", "REFERENCE", "SYSTEM"], DdlObject::Server),
    (&["INSTANCE"], DdlObject::Server),
    (&["LIBRARY"], DdlObject::Server),
    (&["JSON"], DdlObject::View),
];

pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<DdlStatement, Unread> {
    let verb = read_verb(cursor)?;
    let mut ddl = DdlStatement {
        verb,
        object: DdlObject::Table,
        objects: Vec::new(),
        others: Vec::new(),
        index: None,
        temporary: false,
        if_exists: false,
        or_replace: false,
        tail: Span::default(),
        query: None,
    };
    ddl.object = read_object_kind(cursor, &mut ddl)?;
    ddl.if_exists = cursor.eat_words(&["IF", "NOT", "EXISTS"]) || cursor.eat_words(&["IF", "EXISTS"]);
    match verb {
        DdlVerb::Create => read_create(cursor, &mut ddl)?,
        DdlVerb::Alter => read_alter(cursor, &mut ddl)?,
        DdlVerb::Drop => read_drop(cursor, &mut ddl)?,
        DdlVerb::Rename => read_rename(cursor, &mut ddl)?,
        DdlVerb::Truncate => ddl.objects.push(cursor.object()?),
    }
    ddl.tail = cursor.rest();
    Ok(ddl)
}

fn read_verb(cursor: &mut Cursor<'_>) -> Result<DdlVerb, Unread> {
    let verbs = [
        ("CREATE", DdlVerb::Create),
        ("ALTER", DdlVerb::Alter),
        ("DROP", DdlVerb::Drop),
        ("RENAME", DdlVerb::Rename),
        ("TRUNCATE", DdlVerb::Truncate),
    ];
    match verbs.iter().find(|(word, _)| cursor.eat(word)) {
        Some((_, verb)) => Ok(*verb),
        None => cursor.fail("a schema verb was expected"),
    }
}

/// The words between the verb and the object's kind, and the kind.
fn read_object_kind(cursor: &mut Cursor<'_>, ddl: &mut DdlStatement) -> Result<DdlObject, Unread> {
    loop {
        if let Some((_, object)) = OBJECTS.iter().find(|(words, _)| cursor.eat_words(words)) {
            if *object == DdlObject::View {
                cursor.eat_words(&["RELATIONAL", "DUALITY", "VIEW"]);
                cursor.eat_words(&["DUALITY", "VIEW"]);
            }
            return Ok(*object);
        }
        if cursor.eat_words(&["OR", "REPLACE"]) {
            ddl.or_replace = true;
        } else if cursor.eat("TEMPORARY") {
            ddl.temporary = true;
        } else if cursor.eat("DEFINER") {
            cursor.eat_equals();
            cursor.skip_account();
        } else if cursor.eat("ALGORITHM") {
            cursor.eat_equals();
            cursor.next();
        } else if cursor.eat_words(&["SQL", "SECURITY"]) {
            cursor.next();
        } else if ddl.verb == DdlVerb::Truncate {
            return Ok(DdlObject::Table);
        } else if !cursor.eat_any(&[
            "ONLINE",
            "OFFLINE",
            "IGNORE",
            "UNIQUE",
            "FULLTEXT",
            "SPATIAL",
            "VECTOR",
            "AGGREGATE",
            "EXTERNAL",
        ]) {
            return cursor.fail("the kind of object is not known");
        }
    }
}

fn read_create(cursor: &mut Cursor<'_>, ddl: &mut DdlStatement) -> Result<(), Unread> {
    match ddl.object {
        DdlObject::Table => {
            ddl.objects.push(cursor.object()?);
            read_table_tail(cursor, ddl)
        }
        DdlObject::Index => {
            ddl.index = Some(cursor.name()?);
            cursor.skip_until(|cursor| cursor.is("ON"));
            cursor.expect("ON", "ON a table was expected")?;
            ddl.objects.push(cursor.object()?);
            Ok(())
        }
        DdlObject::View => {
            ddl.objects.push(cursor.object()?);
            read_view(cursor, ddl)
        }
        DdlObject::Trigger => {
            ddl.objects.push(cursor.object()?);
            cursor.skip_until(|cursor| cursor.is("ON"));
            cursor.expect("ON", "ON a table was expected")?;
            ddl.objects.push(cursor.object()?);
            Ok(())
        }
        DdlObject::Function => {
            ddl.objects.push(cursor.object()?);
            if cursor.is("RETURNS") && cursor.word_at(2, "SONAME") {
                ddl.object = DdlObject::Loadable;
            }
            Ok(())
        }
        DdlObject::Account | DdlObject::Server | DdlObject::Loadable => Ok(()),
        DdlObject::Sequence
        | DdlObject::Procedure
        | DdlObject::Package
        | DdlObject::Event
        | DdlObject::Database => {
            ddl.objects.push(cursor.object()?);
            Ok(())
        }
    }
}

/// What stands behind CREATE TABLE's name: LIKE, references, unions, a query.
fn read_table_tail(cursor: &mut Cursor<'_>, ddl: &mut DdlStatement) -> Result<(), Unread> {
    let tail = cursor.mark();
    let parenthesis = cursor.is_kind(TokenKind::Open) && cursor.word_at(1, "LIKE");
    if parenthesis {
        cursor.next();
    }
    if cursor.eat("LIKE") {
        ddl.others.push(cursor.object()?);
        cursor.back_to(tail);
        return Ok(());
    }
    read_references(cursor, ddl)?;
    cursor.back_to(tail);
    cursor.skip_until(starts_query);
    if !cursor.is_done() {
        ddl.query = Some(read_query(cursor, None)?);
    }
    cursor.back_to(tail);
    Ok(())
}

fn starts_query(cursor: &Cursor<'_>) -> bool {
    let mut ahead = 0;
    while cursor.peek_at(ahead).kind == TokenKind::Open {
        ahead += 1;
    }
    let with = cursor.word_at(ahead, "WITH")
        && (cursor.word_at(ahead + 1, "RECURSIVE")
            || cursor.word_at(ahead + 2, "AS")
            || is_open(cursor, ahead + 2));
    let values = cursor.word_at(ahead, "VALUES") && cursor.word_at(ahead + 1, "ROW");
    with || values || cursor.word_at(ahead, "SELECT") || (ahead == 0 && cursor.word_at(0, "TABLE"))
}

fn is_open(cursor: &Cursor<'_>, ahead: usize) -> bool {
    cursor.peek_at(ahead).kind == TokenKind::Open
}

/// Reads the query from here to `end`, or to the end of the statement.
fn read_query(cursor: &mut Cursor<'_>, end: Option<u32>) -> Result<Box<Statement>, Unread> {
    let (text, mode) = (cursor.text, cursor.mode);
    let mut span = cursor.rest();
    if let Some(end) = end {
        span.end = end;
    }
    parse_span(text, span, StatementKind::Select, mode)
}

/// REFERENCES at any depth, RENAME TO, EXCHANGE PARTITION, UNION = (…): other tables of a table's definition.
fn read_references(cursor: &mut Cursor<'_>, ddl: &mut DdlStatement) -> Result<(), Unread> {
    let alter = ddl.verb == DdlVerb::Alter;
    let mut depth = 0usize;
    while !cursor.is_done() {
        if cursor.eat("REFERENCES") {
            ddl.others.push(cursor.object()?);
        } else if depth == 0 && cursor.eat("UNION") {
            if cursor.eat_equals() && cursor.eat_kind(TokenKind::Open) && !cursor.eat_kind(TokenKind::Close) {
                ddl.others.extend(cursor.objects()?);
            }
        } else if alter && depth == 0 && cursor.eat("RENAME") {
            if !cursor.is_any(&["COLUMN", "INDEX", "KEY"]) {
                cursor.eat_any(&["TO", "AS"]);
                cursor.eat_operator("=");
                ddl.others.push(cursor.object()?);
            }
        } else if alter
            && depth == 0
            && (cursor.eat_words(&["WITH", "TABLE"])
                || cursor.eat_words(&["TO", "TABLE"])
                || cursor.eat_words(&["CONVERT", "TABLE"]))
        {
            ddl.others.push(cursor.object()?);
        } else {
            match cursor.next().kind {
                TokenKind::Open => depth += 1,
                TokenKind::Close => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
    }
    Ok(())
}

/// A view's columns and query; WITH CHECK OPTION is not part of the query.
fn read_view(cursor: &mut Cursor<'_>, ddl: &mut DdlStatement) -> Result<(), Unread> {
    let tail = cursor.mark();
    cursor.skip_parentheses();
    if !cursor.eat("AS") {
        return cursor.fail("AS a query was expected");
    }
    let start = cursor.mark();
    let query = cursor.skip_until(|cursor| {
        cursor.is("WITH") && ["CHECK", "CASCADED", "LOCAL"].iter().any(|word| cursor.word_at(1, word))
    });
    cursor.back_to(start);
    ddl.query = Some(read_query(cursor, Some(query.end))?);
    cursor.back_to(tail);
    Ok(())
}

fn read_alter(cursor: &mut Cursor<'_>, ddl: &mut DdlStatement) -> Result<(), Unread> {
    match ddl.object {
        DdlObject::Table => {
            ddl.objects.push(cursor.object()?);
            let tail = cursor.mark();
            read_references(cursor, ddl)?;
            cursor.back_to(tail);
            Ok(())
        }
        DdlObject::View => {
            ddl.objects.push(cursor.object()?);
            read_view(cursor, ddl)
        }
        DdlObject::Database => {
            if !cursor.is_any(&[
                "CHARACTER",
                "DEFAULT",
                "COLLATE",
                "CHARSET",
                "ENCRYPTION",
                "READ",
                "COMMENT",
            ]) {
                ddl.objects.push(cursor.object()?);
            }
            Ok(())
        }
        DdlObject::Account | DdlObject::Server | DdlObject::Loadable => Ok(()),
        _ => {
            ddl.objects.push(cursor.object()?);
            let tail = cursor.mark();
            if ddl.object == DdlObject::Event {
                cursor.skip_until(|cursor| cursor.is("RENAME") || cursor.is("DO"));
                if cursor.eat_words(&["RENAME", "TO"]) {
                    ddl.others.push(cursor.object()?);
                }
                cursor.back_to(tail);
            }
            Ok(())
        }
    }
}

fn read_drop(cursor: &mut Cursor<'_>, ddl: &mut DdlStatement) -> Result<(), Unread> {
    match ddl.object {
        DdlObject::Table | DdlObject::View | DdlObject::Sequence => {
            ddl.objects = cursor.objects()?;
            Ok(())
        }
        DdlObject::Index => {
            ddl.index = Some(cursor.name()?);
            cursor.expect("ON", "ON a table was expected")?;
            ddl.objects.push(cursor.object()?);
            Ok(())
        }
        DdlObject::Account | DdlObject::Server | DdlObject::Loadable => Ok(()),
        _ => {
            ddl.objects.push(cursor.object()?);
            Ok(())
        }
    }
}

fn read_rename(cursor: &mut Cursor<'_>, ddl: &mut DdlStatement) -> Result<(), Unread> {
    if ddl.object != DdlObject::Table {
        return Ok(());
    }
    loop {
        ddl.objects.push(cursor.object()?);
        if cursor.eat("WAIT") {
            cursor.next();
        }
        cursor.eat("NOWAIT");
        cursor.expect("TO", "TO a new name was expected")?;
        ddl.objects.push(cursor.object()?);
        if !cursor.eat_kind(TokenKind::Comma) {
            return cursor.expect_end();
        }
    }
}

/// The name alone, for statements that name a database.
pub(super) fn read_use(cursor: &mut Cursor<'_>) -> Result<Name, Unread> {
    cursor.expect("USE", "USE")?;
    let mut name = cursor.name()?;
    // `USE app@replica`: the lexer reads the suffix as a user variable.
    if cursor.is_kind(TokenKind::UserVariable) && cursor.peek().span.start == name.span.end {
        let suffix = cursor.next();
        name.text.push_str(&String::from_utf8_lossy(suffix.span.of(cursor.text)));
        name.span.end = suffix.span.end;
    }
    cursor.expect_end()?;
    Ok(name)
}
