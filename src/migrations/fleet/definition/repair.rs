//! The statement that makes a table what it should be.

use std::collections::BTreeSet;

use super::compare::{Change, Difference, compare};
use super::normal::{Definition, PartKind, WITHOUT_DEFAULT};
use crate::ddl::{self, Decision, Table};
use crate::sql::{ColumnDefinition, Scan, Span, SqlMode, TypeKind, quote, read_change, scan};

/// What repairs a table.
#[derive(Clone, Debug)]
pub struct Repair {
    /// The statement; absent when nothing can be done by one, or nothing is different.
    pub statement: Option<String>,
    /// What the statement leaves as it is, each with the reason.
    pub by_hand: Vec<String>,
    /// What would become of the statement; absent without one.
    pub decision: Option<Decision>,
}

/// Puts the statement together that makes `have` like `want`, in the words of `want`. It is decided about
/// like any other: dropping a column is refused unless it is acknowledged, a type is changed by a copy.
pub fn repair(have: &Definition, want: &Definition) -> Repair {
    let mut differences = compare(&have.normal, &want.normal);
    let mut by_hand = Vec::new();
    differences.retain(|difference| match reason_by_hand(difference, want) {
        Some(reason) => {
            by_hand.push(format!("{}: {reason}", difference.words()));
            false
        }
        None => true,
    });
    let mut clauses = option_clauses(&differences, want);
    clauses.extend(drop_clauses(&differences));
    clauses.extend(column_clauses(&differences, have, want));
    clauses.extend(add_clauses(&differences, want));
    if clauses.is_empty() {
        return Repair { statement: None, by_hand, decision: None };
    }
    let table = quote::identifier(&have.table.name.name.text);
    let statement = format!("ALTER TABLE {table} {}", clauses.join(", "));
    let decision = decide(&statement, have);
    Repair { statement: Some(statement), by_hand, decision }
}

fn decide(statement: &str, have: &Definition) -> Option<Decision> {
    let mode = SqlMode { server: have.server, ..SqlMode::default() };
    let mut found = Scan::default();
    scan(statement.as_bytes(), mode, &mut found);
    let change = read_change(statement.as_bytes(), &found, mode).ok().flatten()?;
    Some(ddl::decide(&ddl::Request {
        text: statement.as_bytes(),
        change: &change,
        table: Some(&have.table),
        server: have.server,
        prove: false,
        acknowledged: false,
        standing: ddl::Standing::InUse,
        must_copy: false,
    }))
}

/// Why no statement is proposed for a difference.
fn reason_by_hand(difference: &Difference, want: &Definition) -> Option<&'static str> {
    match (difference.kind, &difference.change) {
        (PartKind::Unknown, _) => Some("it is not known what it means"),
        (PartKind::Partitioning, _) => Some("partitions hold rows that a statement would move or drop"),
        (PartKind::ForeignKey, Change::Different { .. }) => {
            Some("a foreign key is dropped and added by two statements")
        }
        (PartKind::Check, _) if difference.name.is_empty() => Some("it has no name"),
        (PartKind::Option, Change::Extra { .. }) if default_of(&difference.name).is_none() => {
            Some("it has no value that takes it back")
        }
        // MySQL takes what is printed of such a column for DEFAULT NULL.
        (PartKind::Column, Change::Missing { want } | Change::Different { want, .. })
            if want.contains(WITHOUT_DEFAULT) =>
        {
            Some("its default is taken away by a second statement, ALTER COLUMN … DROP DEFAULT")
        }
        (PartKind::Key, Change::Missing { .. } | Change::Different { .. })
            if key_span(difference, want).is_none() =>
        {
            Some("it is part of a column's definition")
        }
        _ => None,
    }
}

/// The value that takes an option back.
fn default_of(option: &str) -> Option<&'static str> {
    Some(match option {
        "comment" => "''",
        "row_format" => "DEFAULT",
        "key_block_size" => "0",
        "stats_persistent" | "stats_auto_recalc" | "stats_sample_pages" | "pack_keys" => "DEFAULT",
        _ => return None,
    })
}

fn option_clauses(differences: &[Difference], want: &Definition) -> Vec<String> {
    let text = want.text.as_bytes();
    let mut clauses = Vec::new();
    for difference in differences.iter().filter(|difference| difference.kind == PartKind::Option) {
        if let (Change::Extra { .. }, Some(value)) = (&difference.change, default_of(&difference.name)) {
            clauses.push(format!("{}={value}", difference.name.to_uppercase()));
            continue;
        }
        if difference.name == "character set" {
            let table = Table { definition: Some(&want.table), server: want.server };
            if let (Some(charset), Some(collation)) = table.charset() {
                clauses.push(format!("DEFAULT CHARACTER SET {charset} COLLATE {collation}"));
            }
            continue;
        }
        let options = &want.table.options;
        let option = options.iter().rev().find(|option| option.name.eq_ignore_ascii_case(&difference.name));
        match option {
            Some(option) => clauses.push(written(option.span, text)),
            // InnoDB is what a table is that names no engine.
            None => clauses.push("ENGINE=InnoDB".to_owned()),
        }
    }
    clauses
}

/// What is dropped, and dropped to be added anew.
fn drop_clauses(differences: &[Difference]) -> Vec<String> {
    let is_dropped = |difference: &&Difference| {
        matches!(difference.change, Change::Extra { .. } | Change::Different { .. })
    };
    let mut clauses = Vec::new();
    for (kind, word) in
        [(PartKind::ForeignKey, "FOREIGN KEY"), (PartKind::Check, "CONSTRAINT"), (PartKind::Key, "KEY")]
    {
        for difference in differences.iter().filter(|d| d.kind == kind).filter(is_dropped) {
            clauses.push(match (kind, difference.name.as_str()) {
                (PartKind::Key, "primary") => "DROP PRIMARY KEY".to_owned(),
                (_, name) => format!("DROP {word} {}", quote::identifier(name)),
            });
        }
    }
    let extra = differences.iter().filter(|difference| difference.kind == PartKind::Column);
    for difference in extra.filter(|difference| matches!(difference.change, Change::Extra { .. })) {
        clauses.push(format!("DROP COLUMN {}", quote::identifier(&difference.name)));
    }
    clauses
}

/// Columns in the order that is wanted, so that each that is put somewhere follows one that is there.
fn column_clauses(differences: &[Difference], have: &Definition, want: &Definition) -> Vec<String> {
    let of = |name: &str, is: fn(&Change) -> bool| {
        differences.iter().any(|difference| {
            difference.kind == PartKind::Column && difference.name == name && is(&difference.change)
        })
    };
    let mut clauses = Vec::new();
    let mut before: Option<&str> = None;
    for column in &want.table.columns {
        let name = column.name.text.to_lowercase();
        let is_missing = of(&name, |change| matches!(change, Change::Missing { .. }));
        let is_moved = of(&name, |change| matches!(change, Change::Moved { .. }));
        let is_different = of(&name, |change| matches!(change, Change::Different { .. }));
        if is_missing || is_moved || is_different {
            let verb = if is_missing { "ADD COLUMN" } else { "MODIFY COLUMN" };
            let mut clause = format!("{verb} {}", column_words(column, have, want));
            if is_missing || is_moved {
                match before {
                    Some(before) => clause.push_str(&format!(" AFTER {}", quote::identifier(before))),
                    None => clause.push_str(" FIRST"),
                }
            }
            clauses.push(clause);
        }
        before = Some(&column.name.text);
    }
    clauses
}

/// The column as it is wanted; the character set is named where the tables' own differ, for it is not written
/// where it is the table's.
fn column_words(column: &ColumnDefinition, have: &Definition, want: &Definition) -> String {
    let text = want.text.as_bytes();
    let of = |one: &Definition| Table { definition: Some(&one.table), server: one.server }.charset();
    let own = &column.data_type;
    let names_none = own.charset.is_none() && own.collation.is_none();
    if of(have) == of(want) || !names_none {
        return written(column.span, text);
    }
    let resolved = Table { definition: Some(&want.table), server: want.server }.resolve(column);
    let is_text = resolved.kind != TypeKind::Json;
    let (Some(charset), Some(collation), true) = (resolved.charset, resolved.collation, is_text) else {
        return written(column.span, text);
    };
    let head = Span { start: column.span.start, end: own.span.end };
    let tail = Span { start: own.span.end, end: column.span.end };
    let (head, tail) = (written(head, text), written(tail, text));
    format!("{head} CHARACTER SET {charset} COLLATE {collation} {}", tail.trim_start()).trim_end().to_owned()
}

fn add_clauses(differences: &[Difference], want: &Definition) -> Vec<String> {
    let text = want.text.as_bytes();
    let is_added = |difference: &&Difference| {
        matches!(difference.change, Change::Missing { .. } | Change::Different { .. })
    };
    let mut clauses = Vec::new();
    let mut done = BTreeSet::new();
    for difference in differences.iter().filter(is_added) {
        if !done.insert((difference.kind, difference.name.clone())) {
            continue;
        }
        match difference.kind {
            PartKind::Key => {
                let span = key_span(difference, want);
                clauses.extend(span.map(|span| format!("ADD {}", written(span, text))));
            }
            PartKind::ForeignKey => {
                let keys = want.table.foreign_keys.iter();
                let named = keys.filter(|key| is_named(key.name.as_ref(), &difference.name));
                clauses.extend(named.map(|key| format!("ADD {}", written(key.span, text))));
            }
            PartKind::Check => {
                let columns = want.table.columns.iter().flat_map(|column| &column.checks);
                let mut checks = columns.chain(&want.table.checks);
                if let Some(check) = checks.find(|check| is_named(check.name.as_ref(), &difference.name)) {
                    let condition = written(check.condition.span, text);
                    let enforced = if check.enforced { "" } else { " NOT ENFORCED" };
                    let name = quote::identifier(&difference.name);
                    clauses.push(format!("ADD CONSTRAINT {name} CHECK {condition}{enforced}"));
                }
            }
            _ => {}
        }
    }
    clauses
}

fn is_named(name: Option<&crate::sql::Name>, wanted: &str) -> bool {
    name.is_some_and(|name| name.text.to_lowercase() == wanted)
}

/// Where a key stands in the definition that is wanted.
fn key_span(difference: &Difference, want: &Definition) -> Option<Span> {
    let keys = want.table.keys.iter();
    let is_it = |key: &&crate::sql::KeyDefinition| match difference.name.as_str() {
        "primary" => key.kind == crate::sql::KeyKind::Primary,
        name => is_named(key.name.as_ref(), name),
    };
    keys.filter(is_it).map(|key| key.span).next()
}

fn written(span: Span, text: &[u8]) -> String {
    String::from_utf8_lossy(span.of(text)).into_owned()
}
