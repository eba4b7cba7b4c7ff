//! `vschema/<keyspace>.toml`: Bulkhead's own format.

use std::path::Path;

use crate::config::decode::{Decoder, Object};
use crate::config::keys::{Key, Section, Shape};
use crate::config::{RUNGS, Rungs};
use crate::ids::{Keyspace, TableName};

use super::build::{self, ColumnsOf, VindexEntry, Vindexes};
use super::keyspace::{ColumnVindex, ForeignKeyMode, KeyspaceSchema, Layout, Table, TableKind};
use super::pattern::DatabasePattern;

const LAYOUTS: &[&str] = &["unsharded", "shared_tables", "database_per_workspace"];

/// The file.
pub(crate) const ROOT: Section = Section {
    doc: "A vschema file, `vschema/<keyspace>.toml`: how one keyspace is laid out.",
    keys: &[
        Key::new("keyspace", Shape::Name, "Name; without it the file's name."),
        Key::new("layout", Shape::Choice(LAYOUTS), "How the data is laid out.").required(),
        Key::new(
            "workspace_column",
            Shape::Name,
            "`shared_tables`: column of the workspace id, unless a table says otherwise.",
        ),
        Key::new(
            "workspace_vindex",
            Shape::Text,
            "`shared_tables`: vindex of that column, unless a table says otherwise.",
        ),
        Key::new(
            "require_known_tables",
            Shape::Flag,
            "Statements may only name tables of this file. Without it: true for `shared_tables`, else false.",
        ),
        Key::new("require_explicit_routing", Shape::Flag, "Tables are found only with the keyspace's name.")
            .or("false"),
        Key::new(
            "database",
            Shape::Text,
            "`database_per_workspace`: name of a workspace's database, `ws_{workspace_id}`.",
        ),
        Key::new(
            "template",
            Shape::Path,
            "`database_per_workspace`: SQL file that creates a new workspace's tables.",
        ),
        Key::new(
            "vindexes",
            Shape::Named(&VINDEX),
            "`shared_tables`: functions from column values to keyspace ids.",
        ),
        Key::new(
            "ladder",
            Shape::Section(&RUNGS),
            "What may be done by itself, at most, about a sick cluster that has shards of this keyspace.",
        ),
        Key::new("tables", Shape::Named(&TABLE), "Tables; an empty one follows the keyspace's defaults."),
    ],
};

const VINDEX: Section = Section {
    doc: "A vindex: its type and the type's own parameters.",
    keys: &[
        Key::new(
            "type",
            Shape::Choice(&[
                "directory",
                "hash",
                "xxhash",
                "unicode_loose_xxhash",
                "unicode_loose_md5",
                "numeric",
                "binary",
                "binary_md5",
                "reverse_bits",
                "null",
                "numeric_static_map",
                "multicol",
            ]),
            "`directory`: the workspace's entry says where it lives. The others are Vitess's, id for id.",
        )
        .required(),
        Key::new("column_count", Shape::Number(1, 8), "multicol: columns."),
        Key::new(
            "column_bytes",
            Shape::Text,
            "multicol: bytes of the keyspace id from each column, \"1,7\".",
        ),
        Key::new(
            "column_vindex",
            Shape::Text,
            "multicol: vindex type of each column, \"hash,xxhash\"; default hash.",
        ),
        Key::new("json", Shape::Text, "numeric_static_map: the map, '{\"1\": 2}'."),
        Key::new("json_path", Shape::Path, "numeric_static_map: file with the map."),
        Key::new(
            "fallback_type",
            Shape::Text,
            "numeric_static_map: vindex type for numbers that are not in the map.",
        ),
    ],
};

const TABLE: Section = Section {
    doc: "A table.",
    keys: &[
        Key::new(
            "type",
            Shape::Choice(&["sharded", "reference"]),
            "`reference`: the same rows on every shard.",
        )
        .or("sharded"),
        Key::new("workspace_column", Shape::Name, "Column of the workspace id, if not the keyspace's."),
        Key::new("workspace_vindex", Shape::Text, "Its vindex, if not the keyspace's."),
        Key::new(
            "column_vindexes",
            Shape::List(&Shape::Section(&COLUMN_VINDEX)),
            "Instead of the two above: columns and their vindexes; the first one routes.",
        ),
        Key::new(
            "pinned",
            Shape::Text,
            "The whole table lives on the shard of this keyspace id (hexadecimal).",
        ),
        Key::new("source", Shape::Text, "reference: where its rows are copied from, `keyspace.table`."),
        Key::new(
            "columns",
            Shape::List(&Shape::Name),
            "Columns in the table's order, for INSERT without a column list.",
        ),
    ],
};

const COLUMN_VINDEX: Section = Section {
    doc: "Columns and their vindex.",
    keys: &[
        Key::new("columns", Shape::List(&Shape::Name), "Columns, in the vindex's order.").required(),
        Key::new("vindex", Shape::Text, "Name of the vindex.").required(),
    ],
};

/// The keyspace's name, which holds even when the rest is faulty.
pub(super) fn name(root: &Object<'_>, file: &Path) -> Keyspace {
    let stem = || file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Keyspace::new(root.text("keyspace").map_or_else(stem, String::from))
}

/// Reads the file; `None` when something that the keyspace needs is faulty.
pub(super) fn decode(decoder: &Decoder<'_>) -> (Keyspace, Option<KeyspaceSchema>) {
    let root = decoder.root(&ROOT);
    let name = name(&root, root.file());
    let layout = decode_layout(&root);
    let shared = root.choice("layout") == Some(1);
    let mut vindexes = Vindexes::default();
    for (name, place, object) in root.named("vindexes") {
        let kind = object.place_of("type");
        let Some(at) = object.choice("type") else {
            vindexes.mark_faulty(name);
            continue;
        };
        let entry = VindexEntry {
            name,
            kind: super::vindexes::TYPES[at].0.into(),
            kind_place: kind,
            params: object.scalars_except(&["type"]),
            strict: true,
        };
        if !shared {
            root.fault(place.error("only the layout `shared_tables` has vindexes"));
        }
        vindexes.add(entry, &object);
    }
    let default_vindex = if shared { default_vindex(&root, &vindexes) } else { None };
    let tables = decode_tables(&root, &vindexes, shared);
    let require_known_tables =
        if root.has("require_known_tables") { root.flag("require_known_tables") } else { shared };
    if shared && !require_known_tables && default_vindex.is_none() {
        let place = root.place_of("require_known_tables");
        root.fault(place.error(
            "tables that are not named need `workspace_column` and `workspace_vindex` of the keyspace",
        ));
    }
    let schema = layout.map(|layout| KeyspaceSchema {
        name: name.clone(),
        file: root.file().to_owned(),
        layout,
        workspace_column: root.text("workspace_column"),
        require_known_tables,
        require_explicit_routing: root.flag("require_explicit_routing"),
        foreign_key_mode: ForeignKeyMode::Unmanaged,
        template: root.existing_path("template"),
        ladder: root.section("ladder").map(|bounds| Rungs::decode(&bounds)).unwrap_or_default(),
        vindexes: vindexes.read,
        default_vindex,
        tables: build::by_name(tables.into_iter()),
    });
    (name, schema)
}

fn decode_layout(root: &Object<'_>) -> Option<Layout> {
    let at = root.choice("layout")?;
    let only = |keys: &[&str], layout: &str| {
        for key in keys.iter().filter(|key| root.has(key)) {
            root.fault(root.place_of(key).error(format!("only the layout `{layout}` has this key")));
        }
    };
    if at != 2 {
        only(&["database", "template"], "database_per_workspace");
    }
    if at != 1 {
        only(&["workspace_column", "workspace_vindex"], "shared_tables");
    }
    match at {
        0 => Some(Layout::Unsharded),
        1 => Some(Layout::SharedTables),
        _ => {
            let Some(text) = root.text("database") else {
                let fault = root
                    .place_of("layout")
                    .error("this layout needs `database`, the name of a workspace's database");
                root.fault(fault.with_help("database = \"ws_{workspace_id}\""));
                return None;
            };
            let pattern = DatabasePattern::parse(&text);
            let place = root.place_of("database");
            pattern.map(Layout::DatabasePerWorkspace).map_err(|why| root.fault(place.error(why))).ok()
        }
    }
}

fn default_vindex(root: &Object<'_>, vindexes: &Vindexes) -> Option<ColumnVindex> {
    if root.has("workspace_column") != root.has("workspace_vindex") {
        let (given, missing) = if root.has("workspace_column") {
            ("workspace_column", "workspace_vindex")
        } else {
            ("workspace_vindex", "workspace_column")
        };
        root.fault(root.place_of(given).error(format!("`{given}` needs `{missing}` too")));
        return None;
    }
    let (column, vindex_name) = (root.text("workspace_column")?, root.text("workspace_vindex")?);
    let columns = ColumnsOf {
        columns: vec![(&column, root.place_of("workspace_column"))],
        vindex_name,
        vindex_place: root.place_of("workspace_vindex"),
        first: true,
        workspace_column: Some(&column),
    };
    columns.build(vindexes, root)
}

fn decode_tables(root: &Object<'_>, vindexes: &Vindexes, shared: bool) -> Vec<Table> {
    let mut tables = Vec::new();
    for (name, place, object) in root.named("tables") {
        build::check_table_name(name, &place, &object);
        let kind = if shared { sharded_kind(root, &object, vindexes) } else { unsharded_kind(&object) };
        let columns = object.texts("columns");
        build::check_names(&columns, &object);
        tables.extend(kind.map(|kind| Table {
            name: TableName::new(name),
            kind,
            column_list_authoritative: !columns.is_empty(),
            columns: columns.into_iter().map(|(column, _)| column.into()).collect(),
        }));
    }
    tables
}

fn unsharded_kind(object: &Object<'_>) -> Option<TableKind> {
    for key in ["type", "workspace_column", "workspace_vindex", "column_vindexes", "pinned", "source"] {
        if object.has(key) {
            object
                .fault(object.place_of(key).error("only tables of the layout `shared_tables` have this key"));
        }
    }
    Some(TableKind::Unsharded)
}

fn sharded_kind(root: &Object<'_>, object: &Object<'_>, vindexes: &Vindexes) -> Option<TableKind> {
    const ROUTING: [&str; 3] = ["workspace_column", "workspace_vindex", "column_vindexes"];
    let refuse = |keys: &[&str], why: &str| {
        for key in keys.iter().filter(|key| object.has(key)) {
            object.fault(object.place_of(key).error(why));
        }
    };
    if object.choice("type") == Some(1) {
        refuse(&ROUTING, "a reference table has the same rows on every shard");
        refuse(&["pinned"], "a reference table is on every shard, it cannot be pinned");
        return Some(TableKind::Reference { source: build::source(object) });
    }
    refuse(&["source"], "only a table with type = \"reference\" has a source");
    if object.has("pinned") {
        refuse(&ROUTING, "a pinned table has no vindex");
        return build::pinned(object).map(TableKind::Pinned);
    }
    if object.has("column_vindexes") {
        refuse(&ROUTING[..2], "give this or `column_vindexes`, not both");
        return listed_vindexes(root, object, vindexes);
    }
    let text = |key: &str| object.text(key).map(|text| (text, object.place_of(key)));
    let column =
        text("workspace_column").or_else(|| Some((root.text("workspace_column")?, object.place().clone())));
    let vindex =
        text("workspace_vindex").or_else(|| Some((root.text("workspace_vindex")?, object.place().clone())));
    let (Some((column, column_place)), Some((vindex_name, vindex_place))) = (column, vindex) else {
        let fault = object.place().error("nothing routes this table");
        object.fault(fault.with_help(
            "give `workspace_column` and `workspace_vindex` (here or for the keyspace), `column_vindexes`, \
             `pinned`, or type = \"reference\"",
        ));
        return None;
    };
    let columns = ColumnsOf {
        columns: vec![(&column, column_place)],
        vindex_name,
        vindex_place,
        first: true,
        workspace_column: Some(&column),
    };
    Some(TableKind::Sharded { column_vindexes: vec![columns.build(vindexes, object)?] })
}

fn listed_vindexes(root: &Object<'_>, object: &Object<'_>, vindexes: &Vindexes) -> Option<TableKind> {
    let workspace_column = root.text("workspace_column");
    let mut read = Vec::new();
    let listed = object.sections("column_vindexes");
    if listed.is_empty() {
        object
            .fault(object.place_of("column_vindexes").error("the list is empty: nothing routes this table"));
    }
    for (at, item) in listed.iter().enumerate() {
        let columns = item.texts("columns");
        let Some(vindex_name) = item.text("vindex") else { continue };
        if columns.is_empty() {
            item.fault(item.place_of("columns").error("a vindex needs at least one column"));
            continue;
        }
        let columns = ColumnsOf {
            columns,
            vindex_name,
            vindex_place: item.place_of("vindex"),
            first: at == 0,
            workspace_column: workspace_column.as_deref(),
        };
        read.extend(columns.build(vindexes, item));
    }
    (read.len() == listed.len() && !read.is_empty()).then_some(TableKind::Sharded { column_vindexes: read })
}
