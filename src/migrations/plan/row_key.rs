//! The key by which a row is found again in both tables.

use super::fate::{Fate, is_same};
use super::refusal::Refusal;
use super::{Pair, Sides};
use crate::ddl::{ResolvedType, Table};
use crate::sql::quote::identifier;
use crate::sql::{ColumnKey, KeyKind, KeyPart, TableDefinition, TypeKind};

/// The key by which a row is found again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowKeyPlan {
    /// Places of its columns among the copied ones, in the order of the source's key.
    pub columns: Vec<usize>,
    /// The source's index, quoted.
    pub source_index: String,
    /// The shadow's index, quoted.
    pub target_index: String,
    /// Per column: an expression over the shadow's column that gives the value as the source has it.
    pub back: Vec<String>,
    /// Per column: an expression over the shadow's column whose value has the bytes of the source's column;
    /// for text, where equal is not the same.
    pub exact: Vec<Option<String>>,
    /// A range of keys of one table is the same range of the other: no column sorts otherwise there.
    pub sorts_alike: bool,
}

/// A unique key: its name as the server has it, and its columns.
struct Unique {
    name: String,
    columns: Vec<String>,
}

/// PRIMARY first, then in the order of the definition. Only keys over whole columns without unknown parts.
fn uniques(definition: &TableDefinition) -> Vec<Unique> {
    let mut found = Vec::new();
    for column in &definition.columns {
        let name = match column.key {
            Some(ColumnKey::Primary) => "PRIMARY".to_owned(),
            Some(ColumnKey::Unique) => column.name.text.clone(),
            None => continue,
        };
        found.push(Unique { name, columns: vec![column.name.text.clone()] });
    }
    for key in definition.keys.iter().filter(|key| key.unknown.is_empty()) {
        let name = match (key.kind, &key.name) {
            (KeyKind::Primary, _) => "PRIMARY".to_owned(),
            (KeyKind::Unique, Some(name)) => name.text.clone(),
            _ => continue,
        };
        let whole = key.parts.iter().map(|part| match part {
            KeyPart::Column { name, prefix: None, .. } => Some(name.text.clone()),
            _ => None,
        });
        if let Some(columns) = whole.collect::<Option<Vec<_>>>() {
            found.push(Unique { name, columns });
        }
    }
    found.sort_by_key(|key| key.name != "PRIMARY");
    found
}

/// Chooses the key.
pub(super) fn choose(sides: &Sides<'_>, fate: &Fate<'_>, pairs: &[Pair<'_>]) -> Result<RowKeyPlan, Refusal> {
    let mut why = String::from("the table has no primary key and no unique key over NOT NULL columns");
    let targets = uniques(sides.shadow.definition.expect("both definitions are given"));
    for unique in uniques(sides.source.definition.expect("both definitions are given")) {
        match try_key(sides, fate, pairs, (&unique, &targets)) {
            Ok(plan) => return Ok(plan),
            Err(fault) => why = fault,
        }
    }
    Err(Refusal::new(
        format!("no key by which a row can be found again in both tables: {why}"),
        "keep a primary key, or a unique key over whole NOT NULL columns of integers, dates, text or bytes, \
         before and after the change; if needed in a statement of its own before this one",
    ))
}

fn try_key(
    sides: &Sides<'_>,
    fate: &Fate<'_>,
    pairs: &[Pair<'_>],
    (unique, targets): (&Unique, &[Unique]),
) -> Result<RowKeyPlan, String> {
    let mut plan = RowKeyPlan {
        columns: Vec::new(),
        source_index: identifier(&unique.name),
        target_index: String::new(),
        back: Vec::new(),
        exact: Vec::new(),
        sorts_alike: true,
    };
    let mut names = Vec::new();
    for name in &unique.columns {
        let at = pairs.iter().position(|pair| is_same(&pair.source.name.text, name));
        let Some(at) = at else {
            return Err(format!("column {name} of key {} is not carried over", unique.name));
        };
        let pair = &pairs[at];
        let not_null = sides.source.is_not_null(pair.source);
        if !not_null || !pair.kind.is_fit_for_key() || is_labels(&pair.old) {
            return Err(format!("column {name} of key {} does not tell rows apart surely", unique.name));
        }
        if !keeps_identity(&pair.old, &pair.new) {
            return Err(format!("column {name} of key {} changes what is equal", unique.name));
        }
        let back = back_expression(pair, &identifier(&pair.target.name.text));
        plan.exact.push(is_text(&pair.old).then(|| format!("CAST({back} AS BINARY)")));
        plan.back.push(back);
        plan.sorts_alike &= sorts_alike(&pair.old, &pair.new);
        plan.columns.push(at);
        names.push(fate.target(name, sides.shadow.definition.expect("given")).map(|to| to.name.text.clone()));
    }
    let matches = |target: &&Unique| {
        target.columns.len() == names.len()
            && names.iter().flatten().all(|name| target.columns.iter().any(|known| is_same(known, name)))
    };
    let Some(target) = targets.iter().find(matches) else {
        return Err(format!("the new table has no unique key over the columns of key {}", unique.name));
    };
    plan.target_index = identifier(&target.name);
    Ok(plan)
}

fn is_text(of: &ResolvedType) -> bool {
    matches!(of.kind, TypeKind::Char | TypeKind::VarChar | TypeKind::Text(_))
}

/// A range over labels compares them as text, their index by number.
fn is_labels(of: &ResolvedType) -> bool {
    matches!(of.kind, TypeKind::Enum | TypeKind::Set)
}

fn is_integer(of: &ResolvedType) -> bool {
    use TypeKind::{BigInt, Int, MediumInt, SmallInt, TinyInt};
    matches!(of.kind, TinyInt | SmallInt | MediumInt | Int | BigInt)
}

/// Says whether the literal of a value finds it in a column of the new type.
fn keeps_identity(old: &ResolvedType, new: &ResolvedType) -> bool {
    use TypeKind::{Binary, Char, Date, DateTime, Decimal, Time, Timestamp, VarBinary, VarChar};
    if old == new || (is_integer(old) && is_integer(new)) {
        return true;
    }
    match (&old.kind, &new.kind) {
        (Decimal, Decimal) => new.scale >= old.scale,
        (Time, Time) | (DateTime, DateTime) | (Timestamp, Timestamp) => new.length >= old.length,
        (Date, DateTime) => true,
        // CHAR drops spaces at the end, so that two texts could become one.
        (Char, Char | VarChar) | (VarChar, VarChar) => true,
        (Binary, VarBinary) | (VarBinary, VarBinary) => true,
        (kind, Decimal) => is_integer(old) && *kind != Decimal && new.scale == 0,
        _ => false,
    }
}

fn sorts_alike(old: &ResolvedType, new: &ResolvedType) -> bool {
    !is_text(old) || (old.charset == new.charset && old.collation == new.collation && old.collation.is_some())
}

fn back_expression(pair: &Pair<'_>, target: &str) -> String {
    let (old, new) = (&pair.old, &pair.new);
    let length = old.length.unwrap_or(0);
    match (&old.kind, &old.charset, &new.charset) {
        (_, Some(from), Some(to)) if from != to => format!("CONVERT({target} USING {from})"),
        _ if old.kind == new.kind && old.length == new.length && old.scale == new.scale => target.to_owned(),
        (TypeKind::Decimal, ..) => format!("CAST({target} AS DECIMAL({length},{}))", old.scale),
        (TypeKind::Date, ..) => format!("CAST({target} AS DATE)"),
        (TypeKind::Time, ..) => format!("CAST({target} AS TIME({length}))"),
        (TypeKind::DateTime | TypeKind::Timestamp, ..) => format!("CAST({target} AS DATETIME({length}))"),
        _ => target.to_owned(),
    }
}

/// The two sides, for callers that have a definition at hand.
pub(super) fn side(definition: &TableDefinition, server: crate::sql::ServerVersion) -> Table<'_> {
    Table { definition: Some(definition), server }
}
