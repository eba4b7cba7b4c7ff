//! What a statement would make of a table, from definitions alone.

use super::compare::{Change, compare};
use super::normal::{Definition, Fingerprint, Normal, PartKind};
use crate::ddl;
use crate::sql::{
    ChangeForm, Clause, ClauseKind, ColumnChange, ColumnDefinition, DefaultValue, KeyDefinition, KeyKind,
    KeyPart, Name, Span, TableChange, TableDefinition,
};

/// What a statement would do to a definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It changes it.
    Changes {
        /// What it is then; absent when that cannot be said without asking a server.
        to: Option<Fingerprint>,
    },
    /// The definition is as the statement would make it.
    There,
    /// A part of it is as the statement would make it, or in its way; in words.
    Partly(String),
    /// The statement makes the table: it is not there. Or drops it: it is there.
    Whole,
}

/// A column that may be NULL and names no default has NULL, which servers print.
fn as_printed(clause: &Clause) -> Clause {
    let mut clause = clause.clone();
    if let ClauseKind::AddColumn { column, .. } | ClauseKind::ChangeColumn { column, .. } = &mut clause.kind
        && column.default.is_none()
        && column.generated.is_none()
        && column.nullable != Some(false)
    {
        column.default = Some(DefaultValue::Null);
    }
    clause
}

/// What a clause finds.
enum Found {
    Todo,
    There,
    InTheWay(String),
}

/// Says what a statement would do to a definition, clause by clause.
pub fn foretell(definition: &Definition, change: &TableChange) -> Effect {
    match change.form {
        ChangeForm::Create(_) | ChangeForm::Drop | ChangeForm::Truncate | ChangeForm::Rename => {
            return Effect::Whole;
        }
        ChangeForm::Optimize => return Effect::Changes { to: Some(definition.fingerprint()) },
        _ => {}
    }
    // The clauses follow each other: what one adds the next may change.
    let mut table = definition.table.clone();
    let (mut todo, mut there) = (0, 0);
    let clauses: Vec<Clause> = change.clauses.iter().map(as_printed).collect();
    for clause in &clauses {
        if matches!(clause.kind, ClauseKind::Algorithm(_) | ClauseKind::Lock(_) | ClauseKind::Validation) {
            continue;
        }
        match look(definition, &table, &clause.kind) {
            Found::Todo => todo += 1,
            Found::There => {
                there += 1;
                continue;
            }
            Found::InTheWay(why) => return Effect::Partly(why),
        }
        let one = TableChange { clauses: vec![clause.clone()], ..change.clone() };
        ddl::apply(&mut table, &one);
    }
    let is_certain = definition.is_known() && clauses.iter().all(|clause| is_certain(&clause.kind));
    let to = is_certain.then(|| Normal::of(&table, &definition.text, definition.server).fingerprint());
    let rebuilds = clauses.iter().any(|clause| matches!(clause.kind, ClauseKind::Force));
    match (todo, there) {
        (0, 0) => Effect::Changes { to: Some(definition.fingerprint()) },
        (0, _) => Effect::There,
        // One clause takes away what another brings back as it was.
        _ if to == Some(definition.fingerprint()) && !rebuilds => Effect::There,
        (todo, there) if there > 0 => {
            Effect::Partly(format!("{there} of {} clauses are done already", todo + there))
        }
        _ => Effect::Changes { to },
    }
}

/// What a clause finds of what it would do.
fn look(definition: &Definition, table: &TableDefinition, clause: &ClauseKind) -> Found {
    let normal = Normal::of(table, &definition.text, definition.server);
    let known = Known { definition, table, normal: &normal };
    match clause {
        ClauseKind::DropColumn { .. }
        | ClauseKind::RenameColumn { .. }
        | ClauseKind::AddColumn { .. }
        | ClauseKind::ChangeColumn { .. }
        | ClauseKind::AlterColumn { .. } => known.column_clause(clause),
        ClauseKind::DropKey(name) => there_if(!known.has(PartKind::Key, &name.text)),
        ClauseKind::DropPrimaryKey => there_if(!known.has(PartKind::Key, "primary")),
        ClauseKind::DropForeignKey(name) => there_if(!known.has(PartKind::ForeignKey, &name.text)),
        ClauseKind::DropCheck(name) => there_if(!known.has(PartKind::Check, &name.text)),
        ClauseKind::RenameKey { from, to } => known.renamed(PartKind::Key, from, to),
        ClauseKind::AddKey(key) => known.added_key(key),
        ClauseKind::AddForeignKey(key) => named_is_there(&normal, PartKind::ForeignKey, key.name.as_ref()),
        ClauseKind::AddCheck(check) => named_is_there(&normal, PartKind::Check, check.name.as_ref()),
        other => known.followed(other),
    }
}

fn there_if(is_there: bool) -> Found {
    if is_there { Found::There } else { Found::Todo }
}

/// A definition, what the clauses before have made of it, and that in one writing.
struct Known<'a> {
    definition: &'a Definition,
    table: &'a TableDefinition,
    normal: &'a Normal,
}

impl Known<'_> {
    fn has(&self, kind: PartKind, name: &str) -> bool {
        self.normal.part(kind, &name.to_lowercase()).is_some()
    }

    fn column_clause(&self, clause: &ClauseKind) -> Found {
        let has = |name: &Name| self.has(PartKind::Column, &name.text);
        let missing = |name: &Name| Found::InTheWay(format!("there is no column {}", name.text));
        match clause {
            ClauseKind::DropColumn { name, .. } => there_if(!has(name)),
            ClauseKind::RenameColumn { from, to } => self.renamed(PartKind::Column, from, to),
            ClauseKind::AddColumn { column, .. } if has(&column.name) => self.added_before(column),
            ClauseKind::ChangeColumn { from, column, .. } if !has(from) => {
                let is_renamed = has(&column.name) && !same(&from.text, &column.name.text);
                if is_renamed { self.added_before(column) } else { missing(from) }
            }
            ClauseKind::AlterColumn { name, .. } if !has(name) => missing(name),
            other => self.followed(other),
        }
    }

    fn renamed(&self, kind: PartKind, from: &Name, to: &Name) -> Found {
        let what = kind.words();
        match (self.has(kind, &from.text), self.has(kind, &to.text)) {
            (true, false) => Found::Todo,
            (false, true) => Found::There,
            (true, true) => Found::InTheWay(format!("{what} {} is there already", to.text)),
            (false, false) => Found::InTheWay(format!("there is no {what} {}", from.text)),
        }
    }

    fn added_key(&self, key: &KeyDefinition) -> Found {
        let mut other = self.table.clone();
        (other.keys, other.columns) = (vec![key.clone()], Vec::new());
        let parts = Normal::of(&other, &self.definition.text, self.definition.server).parts;
        let wanted = parts.into_iter().find(|part| part.kind == PartKind::Key);
        // Without a name it is another key than one that the same statement adds.
        let has_name = key.name.is_some() || key.kind == KeyKind::Primary;
        let normal = if has_name { self.normal } else { &self.definition.normal };
        match wanted.as_ref().and_then(|wanted| normal.part(PartKind::Key, &wanted.name)) {
            Some(known) if wanted.as_ref() == Some(known) => Found::There,
            // Without a name of its own the server finds another.
            Some(known) if has_name => {
                Found::InTheWay(format!("key {} is there, and is {}", known.name, known.text))
            }
            _ => Found::Todo,
        }
    }

    /// A column of that name is there: as the clause would make it, or not.
    fn added_before(&self, column: &ColumnDefinition) -> Found {
        let mut other = self.table.clone();
        other.columns.retain(|known| !same(&known.name.text, &column.name.text));
        other.columns.push(column.clone());
        let other = Normal::of(&other, &self.definition.text, self.definition.server);
        let name = column.name.text.to_lowercase();
        let differs = compare(self.normal, &other)
            .into_iter()
            .find(|difference| difference.name == name && !matches!(difference.change, Change::Moved { .. }));
        match differs {
            Some(difference) => Found::InTheWay(difference.words()),
            None => Found::There,
        }
    }

    /// What the clause makes of the definition says whether it has been done.
    fn followed(&self, clause: &ClauseKind) -> Found {
        let mut after = self.table.clone();
        let change = TableChange {
            form: ChangeForm::Alter { is_partitions_only: false },
            table: self.table.name.clone(),
            clauses: vec![Clause { kind: clause.clone(), span: Span::default() }],
            more_tables: Vec::new(),
            temporary: false,
            if_exists: false,
            ignore: false,
            span: Span::default(),
        };
        ddl::apply(&mut after, &change);
        let after = Normal::of(&after, &self.definition.text, self.definition.server);
        there_if(is_followed(clause) && after == *self.normal)
    }
}

/// A clause whose effect on a definition is followed.
fn is_followed(clause: &ClauseKind) -> bool {
    matches!(
        clause,
        ClauseKind::ChangeColumn { .. }
            | ClauseKind::AlterColumn { .. }
            | ClauseKind::AlterKey { .. }
            | ClauseKind::Option(_)
            | ClauseKind::AddColumn { .. }
            | ClauseKind::RemovePartitioning
            | ClauseKind::PartitionBy(_)
    )
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// Something of that name is there; what it says is a matter of the server's own writing, so only the name is
/// compared.
fn named_is_there(normal: &Normal, kind: PartKind, name: Option<&Name>) -> Found {
    match name {
        Some(name) if normal.part(kind, &name.text.to_lowercase()).is_some() => {
            Found::InTheWay(format!("{} {} is there; compare it", kind.words(), name.text))
        }
        _ => Found::Todo,
    }
}

/// Says whether what a clause makes of a definition is what a server would print, as far as the normal form
/// goes: nothing that the server names or writes anew.
fn is_certain(clause: &ClauseKind) -> bool {
    let column_is = |column: &ColumnDefinition| {
        column.checks.is_empty()
            && column.references.is_none()
            && column.generated.is_none()
            && column.unknown.is_empty()
            && column.key.is_none()
            && !matches!(column.default, Some(DefaultValue::Expression(_)))
    };
    match clause {
        ClauseKind::AddColumn { column, .. } | ClauseKind::ChangeColumn { column, .. } => column_is(column),
        ClauseKind::DropColumn { .. }
        | ClauseKind::RenameColumn { .. }
        | ClauseKind::DropKey(_)
        | ClauseKind::DropPrimaryKey
        | ClauseKind::RenameKey { .. }
        | ClauseKind::AlterKey { .. }
        | ClauseKind::DropForeignKey(_)
        | ClauseKind::DropCheck(_)
        | ClauseKind::Option(_)
        | ClauseKind::Algorithm(_)
        | ClauseKind::Lock(_)
        | ClauseKind::Force => true,
        ClauseKind::AlterColumn { change, .. } => {
            !matches!(change, ColumnChange::SetDefault(DefaultValue::Expression(_)))
        }
        ClauseKind::AddKey(key) => {
            let is_plain = |part: &KeyPart| matches!(part, KeyPart::Column { .. });
            key.unknown.is_empty() && key.parts.iter().all(is_plain)
        }
        _ => false,
    }
}
