//! What both file formats share: vindexes, column vindexes and tables out of sections, with Vitess's checks.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::config::Place;
use crate::config::decode::{Object, is_mysql_name};
use crate::config::load::read_file;
use crate::config::suggest::nearest;
use crate::ids::{Keyspace, KeyspaceId, TableName};

use super::keyspace::{ColumnVindex, Table};
use super::vindexes::{Params, TYPES, TYPES_OF_VITESS_REFUSED, Vindex};

/// Vindexes of a keyspace by name; those with faults are absent, their names known.
#[derive(Default)]
pub(super) struct Vindexes {
    pub(super) read: HashMap<Box<str>, Arc<Vindex>>,
    faulty: Vec<Box<str>>,
}

/// A vindex as a file gives it.
pub(super) struct VindexEntry<'f> {
    pub(super) name: &'f str,
    pub(super) kind: Box<str>,
    pub(super) kind_place: Place,
    pub(super) params: Vec<(&'f str, Place, String)>,
    /// An unused parameter stops the file; Vitess only warns.
    pub(super) strict: bool,
}

impl Vindexes {
    /// Adds a vindex or reports why it cannot be one.
    pub(super) fn add(&mut self, entry: VindexEntry<'_>, object: &Object<'_>) {
        let directory = object.file().parent().unwrap_or(Path::new("")).to_owned();
        let read = move |path: &Path| read_file(&directory.join(path));
        let values = entry.params.iter().map(|(name, _, text)| (*name, text.as_str()));
        let mut params = Params::new(values, &read);
        match Vindex::try_new(&entry.kind, &mut params) {
            Ok(vindex) => {
                report_unused(&entry, &params, object);
                self.read.insert(entry.name.into(), Arc::new(vindex));
            }
            Err(fault) => {
                self.faulty.push(entry.name.into());
                match &fault.param {
                    None => object.fault(unknown_type(&entry)),
                    Some(param) => {
                        let given = entry.params.iter().find(|(name, ..)| *name == &**param);
                        let place =
                            given.map_or_else(|| object.place().clone(), |(_, place, _)| place.clone());
                        object.fault(place.error(fault.why));
                    }
                }
            }
        }
    }

    pub(super) fn mark_faulty(&mut self, name: &str) {
        self.faulty.push(name.into());
    }

    /// A vindex by the name at `place`, or a fault.
    pub(super) fn find(&self, name: &str, place: &Place, object: &Object<'_>) -> Option<Arc<Vindex>> {
        if let Some(vindex) = self.read.get(name) {
            return Some(Arc::clone(vindex));
        }
        if !self.faulty.iter().any(|faulty| &**faulty == name) {
            let fault = place.error(format!("no vindex is named `{name}`"));
            let known = self.read.keys().chain(&self.faulty).map(|name| &**name);
            object.fault(match nearest(name, known) {
                Some(word) => fault.meant(Some(word)),
                None if TYPES.iter().any(|(kind, _)| *kind == name) => fault.with_help(format!(
                    "`{name}` is a type: define a vindex of it under `vindexes` and name that"
                )),
                None => fault,
            });
        }
        None
    }
}

fn unknown_type(entry: &VindexEntry<'_>) -> crate::config::Fault {
    let kind = &*entry.kind;
    if TYPES_OF_VITESS_REFUSED.contains(&kind) {
        let why = if kind.contains("lookup") {
            format!("vindex type `{kind}` keeps a lookup table, which is not supported")
        } else {
            format!("vindex type `{kind}` is not supported")
        };
        return entry.kind_place.error(why);
    }
    let known = TYPES.iter().map(|(kind, _)| *kind);
    let fault = entry.kind_place.error(format!("unknown vindex type `{kind}`"));
    match nearest(kind, known.clone()) {
        Some(word) => fault.meant(Some(word)),
        None => fault.with_help(format!("known types: {}", known.collect::<Vec<_>>().join(", "))),
    }
}

fn report_unused(entry: &VindexEntry<'_>, params: &Params<'_>, object: &Object<'_>) {
    for unused in params.unused() {
        let Some((_, place, _)) = entry.params.iter().find(|(name, ..)| *name == unused) else { continue };
        let message = format!("vindex type `{}` has no parameter `{unused}`", entry.kind);
        object.fault(if entry.strict { place.error(message) } else { place.warning(message) });
    }
}

/// Reads columns and vindex of a table into a [`ColumnVindex`]; `first` says whether it is the primary one.
pub(super) struct ColumnsOf<'f> {
    pub(super) columns: Vec<(&'f str, Place)>,
    pub(super) vindex_name: Box<str>,
    pub(super) vindex_place: Place,
    pub(super) first: bool,
    pub(super) workspace_column: Option<&'f str>,
}

impl ColumnsOf<'_> {
    pub(super) fn build(self, vindexes: &Vindexes, object: &Object<'_>) -> Option<ColumnVindex> {
        let vindex = vindexes.find(&self.vindex_name, &self.vindex_place, object)?;
        check_names(&self.columns, object);
        let (takes, found) = (vindex.column_count(), self.columns.len());
        if takes != found {
            let message = format!("vindex `{}` takes {takes} column(s), found {found}", self.vindex_name);
            object.fault(self.vindex_place.error(message));
            return None;
        }
        if takes > 1 && !self.first {
            object
                .fault(self.vindex_place.error("a vindex of several columns must be the table's first one"));
        }
        let columns: Vec<Box<str>> = self.columns.iter().map(|(name, _)| (*name).into()).collect();
        let is_workspace =
            |column: &str| self.workspace_column.is_some_and(|ws| ws.eq_ignore_ascii_case(column));
        let workspace_at = match columns.iter().position(|column| is_workspace(column)) {
            None if columns.len() == 1 && self.first => Some(0),
            found => found,
        };
        Some(ColumnVindex { columns, vindex_name: self.vindex_name, vindex, workspace_at })
    }
}

/// Column names are names, each once.
pub(super) fn check_names(columns: &[(&str, Place)], object: &Object<'_>) {
    for (at, (name, place)) in columns.iter().enumerate() {
        if !is_mysql_name(name) {
            object.fault(place.error("a column name has 1 to 64 characters"));
        }
        if columns[..at].iter().any(|(earlier, _)| earlier.eq_ignore_ascii_case(name)) {
            object.fault(place.error(format!("the column `{name}` is given twice")));
        }
    }
}

/// Reads `pinned`: a keyspace id in hexadecimal digits.
pub(super) fn pinned(object: &Object<'_>) -> Option<KeyspaceId> {
    let text = object.text("pinned").filter(|text| !text.is_empty())?;
    let digits = text.is_ascii() && text.len().is_multiple_of(2);
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.then(|| (0..text.len()).step_by(2).map(byte).collect()).flatten();
    if bytes.is_none() {
        object.fault(
            object.place_of("pinned").error(format!("found {text:?}, expected a keyspace id such as \"80\"")),
        );
    }
    bytes.map(|bytes| KeyspaceId::new(&bytes))
}

/// Reads `source` of a reference table: `keyspace.table`.
pub(super) fn source(object: &Object<'_>) -> Option<(Keyspace, TableName)> {
    let text = object.text("source").filter(|text| !text.is_empty())?;
    match text.split_once('.') {
        Some((keyspace, table)) if is_mysql_name(keyspace) && is_mysql_name(table) => {
            Some((Keyspace::new(keyspace), TableName::new(table)))
        }
        _ => {
            let message = format!(
                "found {text:?}, expected the keyspace and table it is copied from: \"app.countries\""
            );
            object.fault(object.place_of("source").error(message));
            None
        }
    }
}

/// A table's name is one that MySQL takes.
pub(super) fn check_table_name(name: &str, place: &Place, object: &Object<'_>) {
    if !is_mysql_name(name) {
        object.fault(place.error("a table name has 1 to 64 characters"));
    }
}

/// Collects tables by name.
pub(super) fn by_name(tables: impl Iterator<Item = Table>) -> HashMap<TableName, Arc<Table>> {
    tables.map(|table| (table.name.clone(), Arc::new(table))).collect()
}
