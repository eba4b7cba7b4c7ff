//! ALTER TABLE and its kin.

use super::clauses::{ChangeForm, Clause, ClauseKind, ColumnChange, PartitionAction, Position, TableChange};
use super::create::{Created, read_create};
use super::data_type::span_from;
use super::key::{Keyed, is_keyed, read_body, read_keyed};
use super::option::{read_option, read_partitioning};
use super::parts::{KeyDefinition, KeyKind};
use super::{charset_name, column, is_clause_end, word_of};
use crate::sql::lexer::TokenKind;
use crate::sql::span::Span;
use crate::sql::statement::cursor::Cursor;
use crate::sql::statement::{ObjectName, Unread};

/// Reads the statement; `None` when it changes no table.
pub(super) fn read_change(cursor: &mut Cursor<'_>) -> Result<Option<TableChange>, Unread> {
    let start = cursor.peek().span;
    let mut change = if cursor.is("ALTER") {
        let Some(change) = read_alter(cursor)? else { return Ok(None) };
        change
    } else if cursor.is("CREATE") {
        let Some(change) = read_created(cursor)? else { return Ok(None) };
        change
    } else if cursor.is("DROP") && cursor.word_at(1, "INDEX") {
        read_drop_index(cursor)?
    } else if cursor.is("DROP") || cursor.is("TRUNCATE") || cursor.is("RENAME") || cursor.is("OPTIMIZE") {
        let Some(change) = read_whole_table(cursor)? else { return Ok(None) };
        change
    } else {
        return Ok(None);
    };
    change.span = span_from(cursor, start);
    cursor.expect_end()?;
    Ok(Some(change))
}

fn change_of(form: ChangeForm, table: ObjectName) -> TableChange {
    TableChange {
        form,
        table,
        clauses: Vec::new(),
        more_tables: Vec::new(),
        temporary: false,
        if_exists: false,
        ignore: false,
        span: Span::default(),
    }
}

fn read_alter(cursor: &mut Cursor<'_>) -> Result<Option<TableChange>, Unread> {
    cursor.eat("ALTER");
    // MariaDB takes them in any order, and more than once.
    let mut ignore = false;
    while cursor.is_any(&["ONLINE", "OFFLINE", "IGNORE"]) {
        ignore |= cursor.is("IGNORE");
        cursor.next();
    }
    if !cursor.eat("TABLE") {
        return Ok(None);
    }
    let if_exists = cursor.eat_words(&["IF", "EXISTS"]);
    let mut change = change_of(ChangeForm::Alter { is_partitions_only: false }, cursor.object()?);
    change.if_exists = if_exists;
    change.ignore = ignore;
    if cursor.eat("WAIT") {
        cursor.next();
    }
    cursor.eat("NOWAIT");
    while !cursor.is_done() {
        if cursor.eat_kind(TokenKind::Comma) {
            continue;
        }
        read_clause(cursor, &mut change)?;
    }
    let is_partition = |clause: &Clause| matches!(clause.kind, ClauseKind::Partition(_));
    change.form = ChangeForm::Alter { is_partitions_only: change.clauses.iter().any(is_partition) };
    Ok(Some(change))
}

/// One clause; several for `ADD (…)`. What is not known is skipped to the next comma.
fn read_clause(cursor: &mut Cursor<'_>, change: &mut TableChange) -> Result<(), Unread> {
    let (start, mark) = (cursor.peek().span, cursor.mark());
    if cursor.is("ADD") && read_added_list(cursor, change)? {
        return Ok(());
    }
    let kind = match read_known(cursor)? {
        Some(kind) => kind,
        None => {
            cursor.back_to(mark);
            skip_clause(cursor);
            ClauseKind::Unknown
        }
    };
    let is_last_kind = matches!(kind, ClauseKind::Option(_));
    let mut clause = Clause { kind, span: span_from(cursor, start) };
    // Options follow each other without commas; so does PARTITION BY anything.
    let goes_on = is_last_kind || cursor.is("PARTITION") || cursor.is("REMOVE") || is_assertion(&clause);
    if !is_clause_end(cursor) && !goes_on {
        skip_clause(cursor);
        clause = Clause { kind: ClauseKind::Unknown, span: span_from(cursor, start) };
    }
    change.clauses.push(clause);
    Ok(())
}

fn is_assertion(clause: &Clause) -> bool {
    matches!(clause.kind, ClauseKind::Algorithm(_) | ClauseKind::Lock(_) | ClauseKind::Validation)
}

/// To the next comma, one token at least.
fn skip_clause(cursor: &mut Cursor<'_>) {
    if cursor.is_kind(TokenKind::Close) {
        cursor.next();
    }
    cursor.skip_until(|cursor| cursor.is_kind(TokenKind::Comma));
}

/// `ADD [COLUMN] (a INT, KEY (a))`; false, and nothing taken, when it is no list.
fn read_added_list(cursor: &mut Cursor<'_>, change: &mut TableChange) -> Result<bool, Unread> {
    let mark = cursor.mark();
    cursor.eat("ADD");
    cursor.eat("COLUMN");
    cursor.eat_words(&["IF", "NOT", "EXISTS"]);
    if !cursor.eat_kind(TokenKind::Open) {
        cursor.back_to(mark);
        return Ok(false);
    }
    loop {
        let start = cursor.peek().span;
        let kind = if is_keyed(cursor) {
            keyed_clause(read_keyed(cursor)?)
        } else {
            ClauseKind::AddColumn { column: Box::new(column::read(cursor)?), position: None }
        };
        change.clauses.push(Clause { kind, span: span_from(cursor, start) });
        if !cursor.eat_kind(TokenKind::Comma) {
            break;
        }
    }
    cursor.expect_kind(TokenKind::Close, "a comma or a closing parenthesis was expected")?;
    Ok(true)
}

fn keyed_clause(keyed: Keyed) -> ClauseKind {
    match keyed {
        Keyed::Key(key) => ClauseKind::AddKey(Box::new(key)),
        Keyed::Foreign(key) => ClauseKind::AddForeignKey(Box::new(key)),
        Keyed::Check(check) => ClauseKind::AddCheck(Box::new(check)),
    }
}

/// A clause that is known, by its first word.
fn read_known(cursor: &mut Cursor<'_>) -> Result<Option<ClauseKind>, Unread> {
    Ok(if cursor.eat("ADD") {
        read_add(cursor)?
    } else if cursor.eat("DROP") {
        read_drop(cursor)?
    } else if cursor.eat_any(&["MODIFY", "CHANGE"]) {
        let is_change = cursor.word_before("CHANGE");
        Some(read_changed_column(cursor, is_change)?)
    } else if cursor.eat("RENAME") {
        Some(read_rename(cursor)?)
    } else if cursor.eat("ALTER") {
        read_altered(cursor)?
    } else if cursor.eat_words(&["CONVERT", "TO"]) {
        read_convert(cursor)?
    } else if cursor.eat("FORCE") {
        Some(ClauseKind::Force)
    } else if cursor.eat_words(&["ORDER", "BY"]) {
        cursor.skip_until(|_| false);
        Some(ClauseKind::OrderBy)
    } else if cursor.eat_words(&["ENABLE", "KEYS"]) || cursor.eat_words(&["DISABLE", "KEYS"]) {
        Some(ClauseKind::SwitchKeys)
    } else if cursor.eat_words(&["WITH", "VALIDATION"]) || cursor.eat_words(&["WITHOUT", "VALIDATION"]) {
        Some(ClauseKind::Validation)
    } else if cursor.eat("ALGORITHM") {
        Some(ClauseKind::Algorithm(read_assertion(cursor)?))
    } else if cursor.eat("LOCK") {
        Some(ClauseKind::Lock(read_assertion(cursor)?))
    } else if cursor.eat_any(&["SECONDARY_LOAD", "SECONDARY_UNLOAD"]) {
        Some(ClauseKind::SecondaryEngine)
    } else {
        read_partition_clause(cursor)?
    })
}

/// The value of ALGORITHM and LOCK.
fn read_assertion(cursor: &mut Cursor<'_>) -> Result<String, Unread> {
    cursor.eat_operator("=");
    Ok(cursor.name()?.text.to_ascii_uppercase())
}

fn read_add(cursor: &mut Cursor<'_>) -> Result<Option<ClauseKind>, Unread> {
    if cursor.eat("PARTITION") {
        cursor.skip_until(|_| false);
        return Ok(Some(ClauseKind::Partition(PartitionAction::Add)));
    }
    if cursor.eat_words(&["SYSTEM", "VERSIONING"]) {
        return Ok(Some(ClauseKind::SystemVersioning));
    }
    if cursor.eat_words(&["PERIOD", "FOR"]) {
        cursor.skip_until(is_clause_end);
        return Ok(Some(ClauseKind::SystemVersioning));
    }
    let is_column = cursor.eat("COLUMN");
    if !is_column && is_keyed(cursor) {
        return Ok(Some(keyed_clause(read_keyed(cursor)?)));
    }
    cursor.eat_words(&["IF", "NOT", "EXISTS"]);
    let column = Box::new(column::read(cursor)?);
    Ok(Some(ClauseKind::AddColumn { column, position: read_position(cursor)? }))
}

fn read_position(cursor: &mut Cursor<'_>) -> Result<Option<Position>, Unread> {
    Ok(if cursor.eat("FIRST") {
        Some(Position::First)
    } else if cursor.eat("AFTER") {
        Some(Position::After(cursor.name()?))
    } else {
        None
    })
}

fn read_drop(cursor: &mut Cursor<'_>) -> Result<Option<ClauseKind>, Unread> {
    if cursor.eat_words(&["PRIMARY", "KEY"]) {
        return Ok(Some(ClauseKind::DropPrimaryKey));
    }
    if cursor.eat("PARTITION") {
        cursor.skip_until(|_| false);
        return Ok(Some(ClauseKind::Partition(PartitionAction::Drop)));
    }
    if cursor.eat_words(&["SYSTEM", "VERSIONING"]) || cursor.eat_words(&["PERIOD", "FOR"]) {
        cursor.skip_until(is_clause_end);
        return Ok(Some(ClauseKind::SystemVersioning));
    }
    let named: Option<fn(crate::sql::Name) -> ClauseKind> = if cursor.eat_words(&["FOREIGN", "KEY"]) {
        Some(ClauseKind::DropForeignKey)
    } else if cursor.eat_any(&["KEY", "INDEX"]) {
        Some(ClauseKind::DropKey)
    } else if cursor.eat("CHECK") {
        Some(ClauseKind::DropCheck)
    } else if cursor.eat("CONSTRAINT") {
        Some(ClauseKind::DropConstraint)
    } else {
        cursor.eat("COLUMN");
        None
    };
    let if_exists = cursor.eat_words(&["IF", "EXISTS"]);
    let name = cursor.name()?;
    if let Some(kind) = named {
        return Ok(Some(kind(name)));
    }
    cursor.eat_any(&["RESTRICT", "CASCADE"]);
    Ok(Some(ClauseKind::DropColumn { name, if_exists }))
}

fn read_changed_column(cursor: &mut Cursor<'_>, is_change: bool) -> Result<ClauseKind, Unread> {
    cursor.eat("COLUMN");
    cursor.eat_words(&["IF", "EXISTS"]);
    let before = cursor.mark();
    let from = cursor.name()?;
    if !is_change {
        cursor.back_to(before);
    }
    let column = Box::new(column::read(cursor)?);
    Ok(ClauseKind::ChangeColumn { from, column, position: read_position(cursor)? })
}

fn read_rename(cursor: &mut Cursor<'_>) -> Result<ClauseKind, Unread> {
    let is_column = cursor.eat("COLUMN");
    if is_column || cursor.eat_any(&["KEY", "INDEX"]) {
        cursor.eat_words(&["IF", "EXISTS"]);
        let from = cursor.name()?;
        cursor.expect("TO", "TO a new name was expected")?;
        let to = cursor.name()?;
        return Ok(match is_column {
            true => ClauseKind::RenameColumn { from, to },
            false => ClauseKind::RenameKey { from, to },
        });
    }
    cursor.eat_any(&["TO", "AS"]);
    cursor.eat_operator("=");
    Ok(ClauseKind::RenameTable(cursor.object()?))
}

fn read_altered(cursor: &mut Cursor<'_>) -> Result<Option<ClauseKind>, Unread> {
    if cursor.eat_any(&["INDEX", "KEY"]) {
        cursor.eat_words(&["IF", "EXISTS"]);
        let name = cursor.name()?;
        let visible = cursor.eat("VISIBLE") || cursor.eat_words(&["NOT", "IGNORED"]);
        let known = visible || cursor.eat_any(&["INVISIBLE", "IGNORED"]);
        return Ok(known.then_some(ClauseKind::AlterKey { name, visible }));
    }
    if cursor.eat_any(&["CHECK", "CONSTRAINT"]) {
        let name = cursor.name()?;
        let enforced = cursor.eat("ENFORCED");
        let known = enforced || cursor.eat_words(&["NOT", "ENFORCED"]);
        return Ok(known.then_some(ClauseKind::AlterCheck { name, enforced }));
    }
    cursor.eat("COLUMN");
    cursor.eat_words(&["IF", "EXISTS"]);
    let name = cursor.name()?;
    let change = if cursor.eat_words(&["SET", "DEFAULT"]) {
        ColumnChange::SetDefault(column::read_default(cursor)?)
    } else if cursor.eat_words(&["DROP", "DEFAULT"]) {
        ColumnChange::DropDefault
    } else if cursor.eat_words(&["SET", "VISIBLE"]) {
        ColumnChange::SetVisible(true)
    } else if cursor.eat_words(&["SET", "INVISIBLE"]) {
        ColumnChange::SetVisible(false)
    } else {
        return Ok(None);
    };
    Ok(Some(ClauseKind::AlterColumn { name, change }))
}

fn read_convert(cursor: &mut Cursor<'_>) -> Result<Option<ClauseKind>, Unread> {
    if !cursor.eat_words(&["CHARACTER", "SET"]) && !cursor.eat("CHARSET") {
        return Ok(None);
    }
    cursor.eat_operator("=");
    let charset = match cursor.eat("DEFAULT") {
        true => None,
        false => Some(charset_name(&cursor.name_or_text()?.text)),
    };
    let mut collation = None;
    if cursor.eat("COLLATE") {
        cursor.eat_operator("=");
        collation = Some(charset_name(&cursor.name_or_text()?.text));
    }
    Ok(Some(ClauseKind::Convert { charset, collation }))
}

/// Verbs of partitions, and table options.
fn read_partition_clause(cursor: &mut Cursor<'_>) -> Result<Option<ClauseKind>, Unread> {
    let verbs: &[(&str, PartitionAction)] = &[
        ("TRUNCATE", PartitionAction::Truncate),
        ("COALESCE", PartitionAction::Coalesce),
        ("REORGANIZE", PartitionAction::Reorganize),
        ("REBUILD", PartitionAction::Rebuild),
        ("OPTIMIZE", PartitionAction::Rebuild),
        ("ANALYZE", PartitionAction::Maintain),
        ("CHECK", PartitionAction::Maintain),
        ("REPAIR", PartitionAction::Maintain),
        ("EXCHANGE", PartitionAction::Exchange),
        ("CONVERT", PartitionAction::Exchange),
        ("DISCARD", PartitionAction::Tablespace),
        ("IMPORT", PartitionAction::Tablespace),
    ];
    if let Some((word, action)) = verbs.iter().find(|(word, _)| cursor.is(word)) {
        if cursor.word_at(1, "PARTITION") || (*word == "CONVERT" && cursor.word_at(1, "TABLE")) {
            cursor.skip_until(|_| false);
            return Ok(Some(ClauseKind::Partition(*action)));
        }
        let tablespace = *action == PartitionAction::Tablespace && cursor.word_at(1, "TABLESPACE");
        if tablespace {
            cursor.next();
            cursor.next();
        }
        return Ok(tablespace.then_some(ClauseKind::Tablespace));
    }
    if cursor.is("PARTITION") && cursor.word_at(1, "BY") {
        return read_partitioning(cursor).map(|by| Some(ClauseKind::PartitionBy(by)));
    }
    if cursor.eat_words(&["REMOVE", "PARTITIONING"]) {
        return Ok(Some(ClauseKind::RemovePartitioning));
    }
    Ok(read_option(cursor)?.map(ClauseKind::Option))
}

/// CREATE TABLE and CREATE INDEX.
fn read_created(cursor: &mut Cursor<'_>) -> Result<Option<TableChange>, Unread> {
    let mark = cursor.mark();
    cursor.eat("CREATE");
    let or_replace = cursor.eat_words(&["OR", "REPLACE"]);
    cursor.eat_any(&["ONLINE", "OFFLINE"]);
    let is_table = cursor.is("TABLE") || cursor.is("TEMPORARY") && cursor.word_at(1, "TABLE");
    if is_table {
        cursor.back_to(mark);
        let (created, if_exists) = read_create(cursor)?;
        let mut change = match created {
            Created::Defined(table) => {
                let name = table.name.clone();
                let temporary = table.temporary;
                let mut change = change_of(ChangeForm::Create(Some(table)), name);
                change.temporary = temporary;
                change
            }
            Created::Derived(name) => change_of(ChangeForm::Create(None), name),
        };
        change.if_exists = if_exists;
        // CREATE OR REPLACE drops what is there.
        change.ignore = or_replace;
        return Ok(Some(change));
    }
    let is_index = cursor.is_any(&["INDEX", "KEY"])
        || cursor.is_any(&["UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR"])
            && ["INDEX", "KEY"].iter().any(|word| cursor.word_at(1, word));
    if !is_index {
        return Ok(None);
    }
    read_create_index(cursor).map(Some)
}

fn read_create_index(cursor: &mut Cursor<'_>) -> Result<TableChange, Unread> {
    let start = cursor.peek().span;
    let kinds = [
        ("UNIQUE", KeyKind::Unique),
        ("FULLTEXT", KeyKind::FullText),
        ("SPATIAL", KeyKind::Spatial),
        ("VECTOR", KeyKind::Vector),
    ];
    let kind = kinds.iter().find(|(word, _)| cursor.eat(word)).map_or(KeyKind::Plain, |(_, kind)| *kind);
    cursor.next();
    cursor.eat_words(&["IF", "NOT", "EXISTS"]);
    let name = Some(cursor.name()?);
    if cursor.eat_any(&["USING", "TYPE"]) {
        cursor.name()?;
    }
    cursor.expect("ON", "ON a table was expected")?;
    let mut change = change_of(ChangeForm::CreateIndex, cursor.object()?);
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
    let span = key.span;
    change.clauses.push(Clause { kind: ClauseKind::AddKey(Box::new(key)), span });
    read_index_tail(cursor, &mut change)?;
    Ok(change)
}

/// ALGORITHM and LOCK behind CREATE INDEX and DROP INDEX.
fn read_index_tail(cursor: &mut Cursor<'_>, change: &mut TableChange) -> Result<(), Unread> {
    while !cursor.is_done() {
        let start = cursor.peek().span;
        let kind = if cursor.eat("ALGORITHM") {
            ClauseKind::Algorithm(read_assertion(cursor)?)
        } else if cursor.eat("LOCK") {
            ClauseKind::Lock(read_assertion(cursor)?)
        } else if cursor.eat("NOWAIT") {
            continue;
        } else if cursor.eat("WAIT") {
            cursor.next();
            continue;
        } else {
            cursor.rest();
            ClauseKind::Unknown
        };
        change.clauses.push(Clause { kind, span: span_from(cursor, start) });
    }
    Ok(())
}

fn read_drop_index(cursor: &mut Cursor<'_>) -> Result<TableChange, Unread> {
    let start = cursor.peek().span;
    cursor.eat_words(&["DROP", "INDEX"]);
    let if_exists = cursor.eat_words(&["IF", "EXISTS"]);
    let name = cursor.name()?;
    cursor.expect("ON", "ON a table was expected")?;
    let mut change = change_of(ChangeForm::DropIndex(name.span), cursor.object()?);
    change.if_exists = if_exists;
    let span = start.to(name.span);
    let kind = match name.text.eq_ignore_ascii_case("PRIMARY") {
        true => ClauseKind::DropPrimaryKey,
        false => ClauseKind::DropKey(name),
    };
    change.clauses.push(Clause { kind, span });
    read_index_tail(cursor, &mut change)?;
    Ok(change)
}

/// DROP, TRUNCATE, RENAME and OPTIMIZE of whole tables; `None` for other objects.
fn read_whole_table(cursor: &mut Cursor<'_>) -> Result<Option<TableChange>, Unread> {
    let verb = cursor.next();
    let verb = word_of(cursor, verb).to_ascii_uppercase();
    if verb == "OPTIMIZE" {
        cursor.eat_any(&["NO_WRITE_TO_BINLOG", "LOCAL"]);
    }
    let temporary = verb == "DROP" && cursor.eat("TEMPORARY");
    let is_table = cursor.eat_any(&["TABLE", "TABLES"]);
    if !is_table && verb != "TRUNCATE" {
        return Ok(None);
    }
    let if_exists = cursor.eat_words(&["IF", "EXISTS"]);
    let form = match verb.as_str() {
        "DROP" => ChangeForm::Drop,
        "TRUNCATE" => ChangeForm::Truncate,
        "RENAME" => ChangeForm::Rename,
        _ => ChangeForm::Optimize,
    };
    let start = cursor.peek().span;
    let mut change = change_of(form, cursor.object()?);
    (change.temporary, change.if_exists) = (temporary, if_exists);
    skip_wait(cursor);
    if change.form == ChangeForm::Rename {
        read_renames(cursor, &mut change)?;
        return Ok(Some(change));
    }
    if change.form == ChangeForm::Optimize {
        change.clauses.push(Clause { kind: ClauseKind::Force, span: span_from(cursor, start) });
    }
    while cursor.eat_kind(TokenKind::Comma) {
        change.more_tables.push(cursor.object()?);
    }
    skip_wait(cursor);
    cursor.eat_any(&["RESTRICT", "CASCADE"]);
    Ok(Some(change))
}

fn skip_wait(cursor: &mut Cursor<'_>) {
    if cursor.eat("WAIT") {
        cursor.next();
    }
    cursor.eat("NOWAIT");
}

fn read_renames(cursor: &mut Cursor<'_>, change: &mut TableChange) -> Result<(), Unread> {
    let mut start = change.table.span();
    loop {
        cursor.expect("TO", "TO a new name was expected")?;
        let to = cursor.object()?;
        change.clauses.push(Clause { kind: ClauseKind::RenameTable(to), span: span_from(cursor, start) });
        if !cursor.eat_kind(TokenKind::Comma) {
            return Ok(());
        }
        start = cursor.peek().span;
        change.more_tables.push(cursor.object()?);
        skip_wait(cursor);
    }
}
