//! SHOW, DESCRIBE, EXPLAIN.

use super::cursor::Cursor;
use super::{ExplainStatement, Explained, ObjectName, Parsed, ShowKind, ShowStatement, Unread};
use crate::sql::lexer::TokenKind;
use crate::sql::query::parse_span;
use crate::sql::scan::StatementKind;
use crate::sql::span::Span;

/// What may follow the words of a SHOW.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// [FROM db] [LIKE | WHERE].
    InDatabase,
    /// FROM table [FROM db] [LIKE | WHERE].
    OfTable,
    /// A name.
    Object,
    /// IF NOT EXISTS, then a name that is a database.
    Database,
    /// LIKE | WHERE.
    Filter,
    /// Anything.
    Free,
}

/// SHOW forms by their words; the longer come first.
const FORMS: &[(&[&str], ShowKind, Form)] = &[
    (&["DATABASES"], ShowKind::Databases, Form::Filter),
    (&["SCHEMAS"], ShowKind::Databases, Form::Filter),
    (&["TABLES"], ShowKind::Tables, Form::InDatabase),
    (&["TABLE", "TYPES"], ShowKind::Engines, Form::Free),
    (&["TABLE", "STATUS"], ShowKind::TableStatus, Form::InDatabase),
    (&["OPEN", "TABLES"], ShowKind::OpenTables, Form::InDatabase),
    (&["COLUMNS"], ShowKind::Columns, Form::OfTable),
    (&["FIELDS"], ShowKind::Columns, Form::OfTable),
    (&["INDEX"], ShowKind::Index, Form::OfTable),
    (&["INDEXES"], ShowKind::Index, Form::OfTable),
    (&["KEYS"], ShowKind::Index, Form::OfTable),
    (&["TRIGGERS"], ShowKind::Triggers, Form::InDatabase),
    (&["EVENTS"], ShowKind::Events, Form::InDatabase),
    (&["PROCEDURE", "STATUS"], ShowKind::ProcedureStatus, Form::Filter),
    (&["FUNCTION", "STATUS"], ShowKind::FunctionStatus, Form::Filter),
    (&["PACKAGE", "STATUS"], ShowKind::PackageStatus, Form::Filter),
    (&["PACKAGE", "BODY", "STATUS"], ShowKind::PackageStatus, Form::Filter),
    (&["PROCEDURE", "CODE"], ShowKind::RoutineCode, Form::Object),
    (&["FUNCTION", "CODE"], ShowKind::RoutineCode, Form::Object),
    (&["CREATE", "TABLE"], ShowKind::CreateTable, Form::Object),
    (&["CREATE", "VIEW"], ShowKind::CreateView, Form::Object),
    (&["CREATE", "DATABASE"], ShowKind::CreateDatabase, Form::Database),
    (&["CREATE", "SCHEMA"], ShowKind::CreateDatabase, Form::Database),
    (&["CREATE", "PROCEDURE"], ShowKind::CreateRoutine, Form::Object),
    (&["CREATE", "FUNCTION"], ShowKind::CreateRoutine, Form::Object),
    (&["CREATE", "TRIGGER"], ShowKind::CreateRoutine, Form::Object),
    (&["CREATE", "EVENT"], ShowKind::CreateRoutine, Form::Object),
    (&["CREATE", "SEQUENCE"], ShowKind::CreateRoutine, Form::Object),
    (&["CREATE", "PACKAGE", "BODY"], ShowKind::CreateRoutine, Form::Object),
    (&["CREATE", "PACKAGE"], ShowKind::CreateRoutine, Form::Object),
    (&["CREATE"], ShowKind::CreateOther, Form::Free),
    (&["VARIABLES"], ShowKind::Variables, Form::Filter),
    (&["STATUS"], ShowKind::Status, Form::Filter),
    (&["WARNINGS"], ShowKind::Warnings, Form::Free),
    (&["ERRORS"], ShowKind::Errors, Form::Free),
    (&["PROCESSLIST"], ShowKind::ProcessList, Form::Free),
    (&["GRANTS"], ShowKind::Grants, Form::Free),
    (&["CHARACTER", "SET"], ShowKind::CharacterSet, Form::Filter),
    (&["CHARSET"], ShowKind::CharacterSet, Form::Filter),
    (&["COLLATION"], ShowKind::Collation, Form::Filter),
    (&["ENGINES"], ShowKind::Engines, Form::Free),
    (&["ENGINE"], ShowKind::Engine, Form::Free),
    (&["PLUGINS"], ShowKind::Plugins, Form::Free),
    (&["PRIVILEGES"], ShowKind::Privileges, Form::Free),
    (&["PROFILES"], ShowKind::Profile, Form::Free),
    (&["PROFILE"], ShowKind::Profile, Form::Free),
    (&["BINARY"], ShowKind::Replication, Form::Free),
    (&["BINLOG"], ShowKind::Replication, Form::Free),
    (&["MASTER"], ShowKind::Replication, Form::Free),
    (&["REPLICA"], ShowKind::Replication, Form::Free),
    (&["REPLICAS"], ShowKind::Replication, Form::Free),
    (&["SLAVE"], ShowKind::Replication, Form::Free),
    (&["RELAYLOG"], ShowKind::Replication, Form::Free),
];

pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Parsed, Unread> {
    cursor.expect("SHOW", "SHOW")?;
    let mut show = ShowStatement {
        kind: ShowKind::Other,
        full: false,
        global: false,
        object: None,
        database: None,
        like: None,
        condition: None,
    };
    read_modifiers(cursor, &mut show);
    let Some((_, kind, form)) = FORMS.iter().find(|(words, ..)| cursor.eat_words(words)) else {
        cursor.rest();
        return Ok(Parsed::Show(show));
    };
    show.kind = *kind;
    read_form(cursor, *form, &mut show)?;
    cursor.expect_end()?;
    Ok(Parsed::Show(show))
}

fn read_modifiers(cursor: &mut Cursor<'_>, show: &mut ShowStatement) {
    loop {
        if cursor.eat("FULL") {
            show.full = true;
        } else if cursor.eat("GLOBAL") {
            show.global = true;
        } else if cursor.eat("COUNT") {
            cursor.skip_parentheses();
        } else if !cursor.eat_any(&["SESSION", "LOCAL", "EXTENDED", "STORAGE", "ALL"]) {
            return;
        }
    }
}

fn read_form(cursor: &mut Cursor<'_>, form: Form, show: &mut ShowStatement) -> Result<(), Unread> {
    match form {
        Form::Free => {
            cursor.rest();
            return Ok(());
        }
        Form::Object => {
            cursor.eat_words(&["IF", "NOT", "EXISTS"]);
            show.object = Some(cursor.object()?);
            return Ok(());
        }
        Form::Database => {
            cursor.eat_words(&["IF", "NOT", "EXISTS"]);
            show.database = Some(cursor.name()?);
            return Ok(());
        }
        Form::OfTable => {
            if !cursor.eat_any(&["FROM", "IN"]) {
                return cursor.fail("FROM a table was expected");
            }
            show.object = Some(cursor.object()?);
            if cursor.eat_any(&["FROM", "IN"]) {
                show.database = Some(cursor.name()?);
            }
        }
        Form::InDatabase => {
            if cursor.eat_any(&["FROM", "IN"]) {
                show.database = Some(cursor.name()?);
            }
        }
        Form::Filter => {}
    }
    read_filter(cursor, show)
}

fn read_filter(cursor: &mut Cursor<'_>, show: &mut ShowStatement) -> Result<(), Unread> {
    if cursor.eat("LIKE") {
        show.like = Some(cursor.string()?.1);
    } else if cursor.eat("WHERE") {
        show.condition = Some(cursor.rest());
    }
    Ok(())
}

/// EXPLAIN, DESCRIBE, DESC of a table or a statement; MariaDB's ANALYZE of a statement.
pub(super) fn read_explain(cursor: &mut Cursor<'_>) -> Result<Parsed, Unread> {
    let analyze = cursor.is("ANALYZE");
    cursor.next();
    let mut explain = ExplainStatement {
        analyze,
        database: None,
        into: None,
        explained: Explained::Unread(Span::default()),
    };
    read_explain_options(cursor, &mut explain)?;
    if cursor.eat_words(&["FOR", "CONNECTION"]) {
        explain.explained = Explained::Connection(cursor.number()?);
        cursor.expect_end()?;
        return Ok(Parsed::Explain(explain));
    }
    if cursor.eat("FOR") && cursor.eat_any(&["DATABASE", "SCHEMA"]) {
        explain.database = Some(cursor.name()?);
    }
    match statement_kind(cursor) {
        Some(kind) => {
            let (text, mode) = (cursor.text, cursor.mode);
            let span = cursor.rest();
            explain.explained = match parse_span(text, span, kind, mode) {
                Ok(statement) => Explained::Query(statement),
                Err(_) => Explained::Unread(span),
            };
            Ok(Parsed::Explain(explain))
        }
        None => {
            let table: ObjectName = cursor.object()?;
            if !cursor.is_done() {
                cursor.name_or_text()?;
            }
            cursor.expect_end()?;
            Ok(Parsed::Describe { table })
        }
    }
}

fn read_explain_options(cursor: &mut Cursor<'_>, explain: &mut ExplainStatement) -> Result<(), Unread> {
    loop {
        let format = cursor.is("FORMAT") && cursor.peek_at(1).span.of(cursor.text) == b"=";
        if format {
            cursor.next();
            cursor.next();
            cursor.name_or_text()?;
        } else if cursor.word_at(0, "ANALYZE") && !is_table_end(cursor) {
            cursor.next();
            explain.analyze = true;
        } else if cursor.is("INTO") {
            cursor.next();
            explain.into = Some(cursor.user_variable()?);
        } else if is_table_end(cursor) || !cursor.eat_any(&["EXTENDED", "PARTITIONS"]) {
            return Ok(());
        }
    }
}

/// Says whether the statement ends behind the next word: then it is a table's name.
fn is_table_end(cursor: &Cursor<'_>) -> bool {
    matches!(cursor.peek_at(1).kind, TokenKind::End | TokenKind::Dot)
}

fn statement_kind(cursor: &Cursor<'_>) -> Option<StatementKind> {
    let mut ahead = 0;
    while cursor.peek_at(ahead).kind == TokenKind::Open {
        ahead += 1;
    }
    let kinds = [
        ("SELECT", StatementKind::Select),
        ("WITH", StatementKind::Select),
        ("VALUES", StatementKind::Values),
        ("TABLE", StatementKind::Table),
        ("INSERT", StatementKind::Insert),
        ("REPLACE", StatementKind::Replace),
        ("UPDATE", StatementKind::Update),
        ("DELETE", StatementKind::Delete),
    ];
    kinds.iter().find(|(word, _)| cursor.word_at(ahead, word)).map(|(_, kind)| *kind)
}
