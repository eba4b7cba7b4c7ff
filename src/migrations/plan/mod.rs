//! What is copied and how, decided from definitions alone.
//!
//! [`CopyPlan::new`] takes both tables' definitions as SHOW CREATE TABLE prints them, and the client's
//! statement, and gives: the columns that both have (renames followed), the key by which a row is found
//! again, what fills columns that old rows have no value for, how each value is compared, and the indexes
//! that may be built behind the copy. Or a [`Refusal`]. [`shadow_statements`] gives the SQL that makes the
//! shadow. No IO.
//!
//! Invariants: what is not known is refused; a value that the new type cannot hold is a difference when it is
//! compared, whatever the server made of it.

mod check;
mod compare;
mod fate;
mod indexes;
mod key;
mod refusal;
mod row_key;
mod shadow;
mod statements;

pub use check::Facts;
pub use compare::Comparison;
pub use indexes::{LateBuild, LateIndexes};
pub use key::{Key, KeyRange, literals, push_literal};
pub use refusal::Refusal;
pub use row_key::RowKeyPlan;
pub use shadow::{ShadowStatements, read_change, read_definition, shadow_statements};
pub use statements::KEYS_MAX;

use std::sync::Arc;

use self::fate::{Fate, is_same};
use super::changes::values::ColumnKind;
use crate::ddl::{ResolvedType, Table};
use crate::sql::quote::identifier;
use crate::sql::{ColumnDefinition, ServerVersion, TableChange, TableDefinition, TypeKind};

/// The tables of a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The client's database.
    pub database: String,
    /// The client's table.
    pub table: String,
    /// The database of the shadow table: [`super::ARTIFACTS`], or one of the migration's own where names of
    /// checks would clash.
    pub home: String,
    /// The shadow table.
    pub shadow: String,
}

impl Names {
    /// The client's table, quoted and qualified.
    pub fn source(&self) -> String {
        format!("{}.{}", identifier(&self.database), identifier(&self.table))
    }

    /// The shadow table, quoted and qualified.
    pub fn target(&self) -> String {
        format!("{}.{}", identifier(&self.home), identifier(&self.shadow))
    }
}

/// A column that both tables have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyColumn {
    /// Its name in the source, quoted.
    pub source: String,
    /// Its name in the shadow, quoted.
    pub target: String,
    /// Its place among all of the source's columns, which is its place in a row of the change feed.
    pub at: usize,
    /// What the source's values are.
    pub kind: ColumnKind,
    /// How both sides are compared.
    pub comparison: Comparison,
    /// NULL is possible on one side at least.
    pub nullable: bool,
}

/// Characters of a short text at most.
const SHORT_MAX: u64 = 255;

/// What is copied and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyPlan {
    /// The tables.
    pub names: Names,
    /// The columns that both have, in the source's order.
    pub columns: Vec<CopyColumn>,
    /// The key by which a row is found again.
    pub key: RowKeyPlan,
    /// Kinds of all of the source's columns, for the change feed; generated ones are skipped.
    pub kinds: Arc<[ColumnKind]>,
    /// Columns of the shadow alone that need a value given: their quoted names, and literals.
    pub fillers: Vec<(String, &'static str)>,
    /// MariaDB, not MySQL.
    pub mariadb: bool,
    /// A column may be much longer in one row than in the average one.
    pub has_long_columns: bool,
}

/// What a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The tables.
    pub names: &'a Names,
    /// The source's definition.
    pub source: &'a TableDefinition,
    /// The shadow's, with the statement applied.
    pub shadow: &'a TableDefinition,
    /// The statement.
    pub change: &'a TableChange,
    /// `column_type` and `character_set_name` of each of the source's columns, in order
    /// (`information_schema.columns`).
    pub types: &'a [(String, Option<String>)],
    /// What else is known of the source.
    pub facts: &'a Facts,
    /// The server.
    pub server: ServerVersion,
}

/// Both definitions with their server.
struct Sides<'a> {
    source: Table<'a>,
    shadow: Table<'a>,
}

/// A column in both tables.
struct Pair<'a> {
    source: &'a ColumnDefinition,
    target: &'a ColumnDefinition,
    at: usize,
    kind: ColumnKind,
    old: ResolvedType,
    new: ResolvedType,
}

impl CopyPlan {
    /// Decides.
    ///
    /// # Errors
    /// The first reason not to copy.
    pub fn new(inputs: Inputs<'_>) -> Result<Self, Refusal> {
        let sides = Sides {
            source: row_key::side(inputs.source, inputs.server),
            shadow: row_key::side(inputs.shadow, inputs.server),
        };
        check::check_table(sides.source, inputs.facts)?;
        check::check_table(sides.shadow, &Facts { table_type: "BASE TABLE".to_owned(), ..Facts::default() })?;
        check::check_change(inputs.change)?;
        let fate = Fate::of(inputs.change);
        let kinds = kinds(inputs)?;
        let pairs = pairs(&sides, &fate, &kinds)?;
        let key = row_key::choose(&sides, &fate, &pairs)?;
        let columns = pairs.iter().map(|pair| copy_column(&sides, pair)).collect::<Result<_, _>>()?;
        let fillers = fillers(&sides, &pairs)?;
        let mariadb = inputs.server.mariadb;
        let has_long_columns = pairs.iter().any(|pair| is_long(&pair.old));
        let (names, kinds) = (inputs.names.clone(), kinds.into());
        Ok(Self { names, columns, key, kinds, fillers, mariadb, has_long_columns })
    }
}

/// Says whether values may have more than some hundred characters.
fn is_long(of: &ResolvedType) -> bool {
    match of.kind {
        TypeKind::Text(_)
        | TypeKind::Blob(_)
        | TypeKind::Json
        | TypeKind::Spatial(_)
        | TypeKind::Other(_) => true,
        _ => of.length.is_some_and(|length| length > SHORT_MAX),
    }
}

/// What the feed is to read of each of the source's columns.
fn kinds(inputs: Inputs<'_>) -> Result<Vec<ColumnKind>, Refusal> {
    if inputs.types.len() != inputs.source.columns.len() {
        return Err(Refusal::new(
            "the table's columns are not what its definition says: it is being changed",
            "try again when nobody else changes it",
        ));
    }
    let kind = |(column, (text, charset)): (&ColumnDefinition, &(String, Option<String>))| {
        if column.generated.is_some() {
            return Ok(ColumnKind::Skipped);
        }
        ColumnKind::of(text, charset.as_deref()).map_err(|fault| {
            let why = format!("column {}: {fault}", column.name.text);
            Refusal::new(why, "change the table by hand, with writes stopped")
        })
    };
    inputs.source.columns.iter().zip(inputs.types).map(kind).collect()
}

fn pairs<'a>(sides: &Sides<'a>, fate: &Fate<'_>, kinds: &[ColumnKind]) -> Result<Vec<Pair<'a>>, Refusal> {
    let shadow = sides.shadow.definition.expect("both definitions are given");
    let mut pairs = Vec::new();
    for (at, source) in sides.source.columns().iter().enumerate() {
        let Some(target) = fate.target(&source.name.text, shadow) else { continue };
        match (&source.generated, &target.generated) {
            (_, Some(_)) => continue,
            (Some(_), None) => {
                return Err(Refusal::new(
                    format!("column {} is generated and would be an ordinary one", source.name.text),
                    "add an ordinary column, fill it, then drop the generated one",
                ));
            }
            (None, None) => {}
        }
        let (old, new) = (sides.source.resolve(source), sides.shadow.resolve(target));
        if is_moment(&old, &new) {
            return Err(Refusal::new(
                format!("column {} changes between TIMESTAMP and DATETIME", source.name.text),
                "what a value means depends on the time zone of who asks: add a column, and fill it with \
                 CONVERT_TZ or in the application",
            ));
        }
        pairs.push(Pair { source, target, at, kind: kinds[at].clone(), old, new });
    }
    Ok(pairs)
}

/// One is a moment, the other what a clock on a wall shows.
fn is_moment(old: &ResolvedType, new: &ResolvedType) -> bool {
    let is_one = |kind: &TypeKind| matches!(kind, TypeKind::Timestamp);
    let is_temporal = |kind: &TypeKind| {
        matches!(kind, TypeKind::Timestamp | TypeKind::DateTime | TypeKind::Date | TypeKind::Time)
    };
    is_temporal(&old.kind) && is_temporal(&new.kind) && is_one(&old.kind) != is_one(&new.kind)
}

fn copy_column(sides: &Sides<'_>, pair: &Pair<'_>) -> Result<CopyColumn, Refusal> {
    let source = identifier(&pair.source.name.text);
    let target = identifier(&pair.target.name.text);
    let mariadb = sides.source.server.mariadb;
    let comparison = compare::compare((&pair.old, &source), (&pair.new, &target), mariadb);
    let Some(comparison) = comparison else {
        return Err(Refusal::new(
            format!(
                "column {}: what becomes of its values in the new type cannot be compared",
                pair.source.name.text
            ),
            "add a column of the new type, fill it in the application, then drop the old one",
        ));
    };
    let nullable = !(sides.source.is_not_null(pair.source) && sides.shadow.is_not_null(pair.target));
    Ok(CopyColumn { source, target, at: pair.at, kind: pair.kind.clone(), comparison, nullable })
}

/// Values for columns that only the shadow has, where a strict server wants one and ALTER TABLE itself would
/// give the type's own.
fn fillers(sides: &Sides<'_>, pairs: &[Pair<'_>]) -> Result<Vec<(String, &'static str)>, Refusal> {
    let mut fillers = Vec::new();
    for column in sides.shadow.columns() {
        let is_carried = pairs.iter().any(|pair| is_same(&pair.target.name.text, &column.name.text));
        if is_carried || column.generated.is_some() {
            continue;
        }
        if column.auto_increment {
            return Err(Refusal::new(
                format!(
                    "new column {} counts by itself: a row would get another number with each change",
                    column.name.text
                ),
                "add it nullable and without AUTO_INCREMENT, fill it, then make it the key",
            ));
        }
        if column.default.is_some() || !sides.shadow.is_not_null(column) {
            continue;
        }
        let Some(value) = implicit_default(&sides.shadow.resolve(column)) else {
            return Err(Refusal::new(
                format!("new column {} is NOT NULL, and its type has no value of its own", column.name.text),
                "give it a DEFAULT",
            ));
        };
        fillers.push((identifier(&column.name.text), value));
    }
    Ok(fillers)
}

/// What ALTER TABLE writes into old rows of a new NOT NULL column without a default.
fn implicit_default(of: &ResolvedType) -> Option<&'static str> {
    use TypeKind::{
        BigInt, Binary, Bit, Blob, Char, Decimal, Double, Enum, Float, Int, MediumInt, Set, SmallInt, Text,
        Time, TinyInt, VarBinary, VarChar, Year,
    };
    match of.kind {
        TinyInt | SmallInt | MediumInt | Int | BigInt | Decimal | Float | Double | Bit | Year => Some("0"),
        Char | VarChar | Binary | VarBinary | Text(_) | Blob(_) | Set => Some("''"),
        // By number: the first member.
        Enum => Some("1"),
        Time => Some("'00:00:00'"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
