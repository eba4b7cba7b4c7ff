//! `vschema/<keyspace>.json`: Vitess's keyspace vschema, with Vitess's meaning.
//!
//! What Bulkhead cannot honour is refused by name (lookup vindexes, sequences that fill columns, routing
//! rules, managed foreign keys), never ignored.

use crate::config::decode::{Decoder, Object};
use crate::config::keys::{Key, Section, Shape};
use crate::config::{Place, Rungs};
use crate::ids::{Keyspace, TableName};

use super::build::{self, ColumnsOf, VindexEntry, Vindexes};
use super::keyspace::{ColumnVindex, ForeignKeyMode, KeyspaceSchema, Layout, Table, TableKind};

const FOREIGN_KEY_MODES: &[&str] = &["unspecified", "disallow", "unmanaged", "managed"];

/// The file.
pub(crate) const ROOT: Section = Section {
    doc: "A Vitess vschema file, `vschema/<keyspace>.json`.",
    keys: &[
        Key::new("sharded", Shape::Flag, "true: the layout `shared_tables`; false: `unsharded`.").or("false"),
        Key::new("vindexes", Shape::Named(&VINDEX), "Vindexes by name."),
        Key::new("tables", Shape::Named(&TABLE), "Tables by name."),
        Key::new("require_explicit_routing", Shape::Flag, "Tables are found only with the keyspace's name.")
            .or("false"),
        Key::new("foreign_key_mode", Shape::Choice(FOREIGN_KEY_MODES), "`managed` is refused.")
            .or("unspecified"),
        Key::new("multi_tenant_spec", Shape::Section(&MULTI_TENANT), "Its column is the workspace column."),
        Key::new("keyspaces", Shape::Anything, "Refused: one file for each keyspace."),
        Key::new("routing_rules", Shape::Anything, "Refused."),
        Key::new("shard_routing_rules", Shape::Anything, "Refused."),
        Key::new("keyspace_routing_rules", Shape::Anything, "Refused."),
        Key::new("mirror_rules", Shape::Anything, "Refused."),
    ],
};

const VINDEX: Section = Section {
    doc: "A vindex.",
    keys: &[
        Key::new("type", Shape::Text, "Vindex type.").required(),
        Key::new("params", Shape::NamedText, "Parameters; unknown ones are warnings, as in Vitess."),
        Key::new("owner", Shape::Text, "Refused: only lookup vindexes have one."),
    ],
};

const TABLE: Section = Section {
    doc: "A table.",
    keys: &[
        Key::new("type", Shape::Choice(&["", "sequence", "reference"]), "Kind of table.").or(""),
        Key::new("column_vindexes", Shape::List(&Shape::Section(&COLUMN_VINDEX)), "The first one routes."),
        Key::new("auto_increment", Shape::Section(&AUTO_INCREMENT), "Refused."),
        Key::new("columns", Shape::List(&Shape::Section(&COLUMN)), "Columns in the table's order."),
        Key::new("pinned", Shape::Text, "The whole table lives on the shard of this keyspace id."),
        Key::new("column_list_authoritative", Shape::Flag, "`columns` is the whole list.").or("false"),
        Key::new("source", Shape::Text, "reference: `keyspace.table` it is copied from."),
    ],
};

const COLUMN_VINDEX: Section = Section {
    doc: "Columns and their vindex.",
    keys: &[
        Key::new("column", Shape::Name, "The column of a vindex of one column."),
        Key::new("columns", Shape::List(&Shape::Name), "Columns, in the vindex's order."),
        Key::new("name", Shape::Text, "Name of the vindex.").required(),
    ],
};

const AUTO_INCREMENT: Section = Section {
    doc: "A column that Vitess fills from a sequence.",
    keys: &[
        Key::new("column", Shape::Name, "Column.").required(),
        Key::new("sequence", Shape::Text, "Sequence.").required(),
    ],
};

const COLUMN: Section = Section {
    doc: "A column.",
    keys: &[
        Key::new("name", Shape::Name, "Name.").required(),
        Key::new("type", Shape::Anything, "Vitess's type; not used."),
        Key::new("invisible", Shape::Flag, "Not part of `SELECT *` and INSERT without a column list.")
            .or("false"),
        Key::new("default", Shape::Anything, "Not used."),
        Key::new("collation_name", Shape::Anything, "Not used."),
        Key::new("size", Shape::Anything, "Not used."),
        Key::new("scale", Shape::Anything, "Not used."),
        Key::new("nullable", Shape::Anything, "Not used."),
        Key::new("values", Shape::Anything, "Not used."),
    ],
};

const MULTI_TENANT: Section = Section {
    doc: "The tenant's column.",
    keys: &[
        Key::new("tenant_id_column_name", Shape::Name, "Column.").required(),
        Key::new("tenant_id_column_type", Shape::Anything, "INT64 or VARCHAR."),
    ],
};

/// Reads the file; the keyspace's name is the file's.
pub(super) fn decode(decoder: &Decoder<'_>) -> (Keyspace, Option<KeyspaceSchema>) {
    let root = decoder.root(&ROOT);
    let stem = root.file().file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name = Keyspace::new(stem);
    refuse_rules(&root);
    let sharded = root.flag("sharded");
    let workspace_column =
        root.section("multi_tenant_spec").and_then(|spec| spec.text("tenant_id_column_name"));
    let mut vindexes = Vindexes::default();
    for (name, _, object) in root.named("vindexes") {
        decode_vindex(name, &object, &mut vindexes);
    }
    let file = File { vindexes, sharded, workspace_column };
    let tables = root
        .named("tables")
        .into_iter()
        .filter_map(|(name, place, object)| file.table(name, &place, &object));
    let tables = build::by_name(tables);
    let schema = KeyspaceSchema {
        name: name.clone(),
        file: root.file().to_owned(),
        layout: if sharded { Layout::SharedTables } else { Layout::Unsharded },
        require_known_tables: sharded,
        require_explicit_routing: root.flag("require_explicit_routing"),
        foreign_key_mode: decode_foreign_keys(&root),
        template: None,
        ladder: Rungs::default(),
        default_vindex: shared_default(&tables, sharded),
        workspace_column: file.workspace_column,
        vindexes: file.vindexes.read,
        tables,
    };
    (name, Some(schema))
}

fn refuse_rules(root: &Object<'_>) {
    if root.has("keyspaces") {
        let fault = root.place_of("keyspaces").error("this is a vschema of several keyspaces");
        root.fault(fault.with_help("write one file for each keyspace, `<keyspace>.json`"));
    }
    for key in ["routing_rules", "shard_routing_rules", "keyspace_routing_rules", "mirror_rules"] {
        if root.has(key) {
            root.fault(
                root.place_of(key).error(format!("Vitess's {} are not supported", key.replace('_', " "))),
            );
        }
    }
}

fn decode_foreign_keys(root: &Object<'_>) -> ForeignKeyMode {
    match root.choice("foreign_key_mode") {
        Some(1) => ForeignKeyMode::Disallow,
        Some(3) => {
            let fault = root.place_of("foreign_key_mode").error("managed foreign keys are not supported");
            root.fault(fault.with_help("use `unmanaged`: MySQL looks after foreign keys within a shard"));
            ForeignKeyMode::Unmanaged
        }
        _ => ForeignKeyMode::Unmanaged,
    }
}

fn decode_vindex(name: &str, object: &Object<'_>, vindexes: &mut Vindexes) {
    let Some(kind) = object.text("type") else {
        return vindexes.mark_faulty(name);
    };
    if object.has("owner") && !kind.contains("lookup") {
        object.fault(object.place_of("owner").error("only lookup vindexes have an owner"));
    }
    let kind_place = object.place_of("type");
    vindexes.add(
        VindexEntry { name, kind, kind_place, params: object.named_texts("params"), strict: false },
        object,
    );
}

/// What all sharded tables agree on, so that a workspace alone can be mapped: the one first vindex of one
/// column.
fn shared_default(
    tables: &std::collections::HashMap<TableName, std::sync::Arc<Table>>,
    sharded: bool,
) -> Option<ColumnVindex> {
    let mut primaries = tables.values().filter_map(|table| table.primary_vindex());
    let first = primaries.next().filter(|first| sharded && first.columns.len() == 1)?;
    let same =
        |other: &ColumnVindex| other.vindex_name == first.vindex_name && other.columns == first.columns;
    primaries.all(same).then(|| first.clone())
}

struct File {
    vindexes: Vindexes,
    sharded: bool,
    workspace_column: Option<Box<str>>,
}

impl File {
    fn table(&self, name: &str, place: &Place, object: &Object<'_>) -> Option<Table> {
        build::check_table_name(name, place, object);
        if object.has("auto_increment") {
            let fault = object
                .place_of("auto_increment")
                .error("columns filled from a Vitess sequence are not supported");
            object.fault(fault.with_help(
                "remove it and let the application give the ids, or set auto_increment_increment and _offset \
                 on the clusters",
            ));
        }
        let kind = self.kind(object);
        let listed = object.sections("columns");
        let named: Vec<_> = listed.iter().filter_map(|column| Some((column.text("name")?, column))).collect();
        let columns: Vec<(&str, Place)> =
            named.iter().map(|(name, column)| (&**name, column.place().clone())).collect();
        build::check_names(&columns, object);
        let visible =
            named.iter().filter(|(_, column)| !column.flag("invisible")).map(|(name, _)| name.clone());
        Some(Table {
            name: TableName::new(name),
            kind: kind?,
            columns: visible.collect(),
            column_list_authoritative: object.flag("column_list_authoritative"),
        })
    }

    fn kind(&self, object: &Object<'_>) -> Option<TableKind> {
        let pinned = build::pinned(object);
        match object.choice("type") {
            Some(1) => {
                if self.sharded && pinned.is_none() {
                    let place = object.place_of("type");
                    object.fault(place.error("a sequence must be in an unsharded keyspace or pinned"));
                }
                object.fault(
                    object.place_of("type").warning("sequences are not supported: NEXT VALUE is refused"),
                );
                return Some(TableKind::Sequence);
            }
            Some(2) => return Some(TableKind::Reference { source: build::source(object) }),
            Some(_) => {}
            None => return None,
        }
        if object.has("source") {
            object.fault(object.place_of("source").error("only a reference table has a source"));
        }
        if pinned.is_some()
            || object.has("pinned") && object.text("pinned").is_none_or(|text| !text.is_empty())
        {
            return pinned.map(TableKind::Pinned);
        }
        if !self.sharded {
            if object.has("column_vindexes") {
                let place = object.place_of("column_vindexes");
                object.fault(place.warning("the keyspace is not sharded: vindexes have no meaning"));
            }
            return Some(TableKind::Unsharded);
        }
        self.column_vindexes(object)
    }

    fn column_vindexes(&self, object: &Object<'_>) -> Option<TableKind> {
        let listed = object.sections("column_vindexes");
        if listed.is_empty() {
            object.fault(object.place().error("a table of a sharded keyspace needs `column_vindexes`"));
            return None;
        }
        let mut read = Vec::new();
        for (at, item) in listed.iter().enumerate() {
            let column = item.text("column");
            let columns = columns_of(item, column.as_deref());
            let Some(vindex_name) = item.text("name").filter(|_| !columns.is_empty()) else { continue };
            let columns = ColumnsOf {
                columns,
                vindex_name,
                vindex_place: item.place_of("name"),
                first: at == 0,
                workspace_column: self.workspace_column.as_deref(),
            };
            read.extend(columns.build(&self.vindexes, item));
        }
        (read.len() == listed.len()).then_some(TableKind::Sharded { column_vindexes: read })
    }
}

fn columns_of<'f>(item: &'f Object<'_>, column: Option<&'f str>) -> Vec<(&'f str, Place)> {
    match (column, item.has("columns")) {
        (Some(_), true) => {
            item.fault(item.place_of("columns").error("give `column` or `columns`, not both"));
            Vec::new()
        }
        (Some(column), false) => vec![(column, item.place_of("column"))],
        (None, _) => {
            let columns = item.texts("columns");
            if columns.is_empty() {
                item.fault(item.place().error("a vindex needs at least one column"));
            }
            columns
        }
    }
}
