//! Reads the main file and every vschema file, checks each and all against each other, and reports every
//! fault at once. The only place of this module that reads files.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::decode::Decoder;
use crate::config::document::Document;
use crate::config::load::{MainFile, load_main, read_file};
use crate::config::suggest::nearest;
use crate::config::{Config, Fault, KeyspaceTopology};
use crate::ids::{Keyspace, TableName};

use super::keyspace::{KeyspaceSchema, Layout, TableKind};
use super::{Vschema, native, vitess};

/// Everything that the files say, checked.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The main file.
    pub config: Arc<Config>,
    /// The vschema files.
    pub vschema: Arc<Vschema>,
    /// What an admin should know.
    pub warnings: Vec<Fault>,
}

/// Everything that could be read, and every fault, warnings included.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) config: Option<Config>,
    pub(super) schemas: Vec<KeyspaceSchema>,
    pub(super) files: Vec<PathBuf>,
    pub(super) faults: Vec<Fault>,
}

/// Reads the main file and the vschema files of its directory.
///
/// # Errors
/// Every fault of every file, errors and warnings, in the order of files and lines.
pub fn load(path: &Path) -> Result<Loaded, Vec<Fault>> {
    let read = read_all(path);
    match read.config {
        Some(config) if !read.faults.iter().any(Fault::is_error) => {
            let vschema = Arc::new(Vschema::new(read.schemas));
            Ok(Loaded { config: Arc::new(config), vschema, warnings: read.faults })
        }
        _ => Err(read.faults),
    }
}

/// Reads the text of one vschema file, for tests and tools: no other file is looked at, except those it
/// names.
///
/// # Errors
/// Every fault of the text.
pub fn parse_vschema(file: &Path, text: &str) -> Result<KeyspaceSchema, Vec<Fault>> {
    let parsed = parse_file(file, text.to_owned());
    match parsed.schema {
        Some(schema) if !parsed.faults.iter().any(Fault::is_error) => Ok(schema),
        _ => Err(parsed.faults),
    }
}

pub(super) fn read_all(path: &Path) -> Read {
    let main = load_main(path);
    let mut read = Read {
        config: main.config.clone(),
        schemas: Vec::new(),
        files: vec![path.to_owned()],
        faults: main.faults.clone(),
    };
    if let Some(config) = &main.config {
        let parsed = read_directory(&config.vschema_dir, &mut read);
        check_all(&main, config, &parsed, &mut read.faults);
        read.schemas = parsed.into_iter().filter_map(|parsed| parsed.schema).collect();
    }
    read.faults.sort_by_key(Fault::order);
    read.faults.dedup();
    read
}

/// A vschema file as far as it could be read.
struct Parsed {
    file: PathBuf,
    /// The document, to place faults; `None` when it does not parse.
    document: Option<Document>,
    name: Option<Keyspace>,
    schema: Option<KeyspaceSchema>,
    faults: Vec<Fault>,
}

fn parse_file(file: &Path, text: String) -> Parsed {
    let document = match Document::parse(file, text) {
        Ok(document) => document,
        Err(faults) => {
            return Parsed { file: file.to_owned(), document: None, name: None, schema: None, faults };
        }
    };
    let decoder = Decoder::new(&document);
    let is_json = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let (name, schema) = if is_json { vitess::decode(&decoder) } else { native::decode(&decoder) };
    let faults = decoder.into_faults();
    Parsed { file: file.to_owned(), document: Some(document), name: Some(name), schema, faults }
}

/// Reads every `.toml` and `.json` file of the directory but those a `numeric_static_map` reads.
fn read_directory(directory: &Path, read: &mut Read) -> Vec<Parsed> {
    let listed = std::fs::read_dir(directory).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let entries = match listed {
        Ok(entries) => entries,
        Err(error) => {
            let message = format!("cannot read the directory of the vschema files: {error}");
            read.faults.push(Fault::of_file(directory, message).with_help("see `vschema_dir`"));
            return Vec::new();
        }
    };
    let is_vschema = |path: &PathBuf| {
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let known = path.extension().is_some_and(|extension| extension == "toml" || extension == "json");
        let is_main = read.files[0].canonicalize().ok() == path.canonicalize().ok();
        !hidden && known && !is_main && !path.to_string_lossy().ends_with(".map.json")
    };
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).filter(is_vschema).collect();
    paths.sort();
    let mut parsed = Vec::new();
    for path in paths {
        read.files.push(path.clone());
        match read_file(&path) {
            Ok(text) => {
                let mut file = parse_file(&path, text);
                read.faults.append(&mut file.faults);
                parsed.push(file);
            }
            Err(error) => read.faults.push(Fault::of_file(&path, format!("cannot read the file: {error}"))),
        }
    }
    parsed
}

fn check_all(main: &MainFile, config: &Config, parsed: &[Parsed], faults: &mut Vec<Fault>) {
    let Some(document) = &main.document else { return };
    check_presence(document, config, parsed, faults);
    for schema in parsed.iter().filter_map(|parsed| parsed.schema.as_ref()) {
        if let Some(topology) = config.keyspaces.get(&schema.name) {
            check_shards(document, schema, topology, faults);
        }
    }
    check_sources(parsed, faults);
    check_patterns(parsed, &config.health.heartbeat_database, faults);
}

/// Every keyspace has one vschema file and one entry in the main file.
fn check_presence(document: &Document, config: &Config, parsed: &[Parsed], faults: &mut Vec<Fault>) {
    let mut first: BTreeMap<&Keyspace, &Path> = BTreeMap::new();
    for file in parsed {
        let Some(name) = &file.name else { continue };
        let Some(own) = &file.document else { continue };
        if let Some(other) = first.insert(name, &file.file) {
            let place = own.place(&["keyspace"]);
            faults
                .push(place.error(format!("the keyspace `{name}` is already given by {}", other.display())));
        }
        if !config.keyspaces.contains_key(name) {
            let message = format!("the keyspace `{name}` has no shards in {}", config.path.display());
            let known = config.keyspaces.keys().map(Keyspace::as_str);
            let fault = own.place(&["keyspace"]).error(message);
            faults.push(match nearest(name.as_str(), known) {
                Some(word) => fault.meant(Some(word)),
                None => fault.with_help(format!("add [keyspaces.{name}] with its shards")),
            });
        }
    }
    // A file that does not parse may be the missing one: its own faults say enough.
    let unread: HashSet<_> =
        parsed.iter().filter(|file| file.document.is_none()).filter_map(|f| f.file.file_stem()).collect();
    for name in config.keyspaces.keys().filter(|name| !first.contains_key(name)) {
        if unread.contains(std::ffi::OsStr::new(name.as_str())) {
            continue;
        }
        let expected = config.vschema_dir.join(format!("{name}.toml"));
        let fault = document.place(&["keyspaces", name.as_str()]).error("the keyspace has no vschema file");
        faults.push(fault.with_help(format!("expected {} (or .json)", expected.display())));
    }
}

/// Shards fit the layout.
fn check_shards(
    document: &Document,
    schema: &KeyspaceSchema,
    topology: &KeyspaceTopology,
    faults: &mut Vec<Fault>,
) {
    let keyspace = schema.name.as_str();
    let place = document.place(&["keyspaces", keyspace, "shards"]);
    let shards = &topology.shards;
    if matches!(schema.layout, Layout::Unsharded) && shards.len() > 1 {
        let fault = place.error(format!("an unsharded keyspace has one shard, found {}", shards.len()));
        faults.push(fault.with_help("shards = { \"-\" = \"<cluster>\" }"));
    }
    if matches!(schema.layout, Layout::SharedTables) && needs_ranges(schema) {
        check_ranges(document, topology, faults);
    }
    if !matches!(schema.layout, Layout::DatabasePerWorkspace(_)) {
        // The physical database has the keyspace's name, so two shards on one cluster would be the same rows.
        for (at, shard) in shards.iter().enumerate() {
            if let Some(other) = shards[..at].iter().find(|other| other.cluster == shard.cluster) {
                let place = document.place(&["keyspaces", keyspace, "shards", shard.name.as_str()]);
                let message = format!(
                    "the shard `{}` is already on cluster `{}`: both would be the same database there",
                    other.name, shard.cluster
                );
                faults.push(place.error(message));
            }
        }
    }
    if schema.uses_directory() && !shards.is_empty() && shards.iter().all(|shard| shard.weight == 0) {
        faults.push(place.warning("every shard has the weight 0: new workspaces can only be placed by name"));
    }
}

/// Says whether some table is placed by keyspace id: its shards must be ranges.
fn needs_ranges(schema: &KeyspaceSchema) -> bool {
    let by_id = |table: &TableKind| match table {
        TableKind::Sharded { column_vindexes } => column_vindexes.iter().any(|by| !by.vindex.is_directory()),
        TableKind::Pinned(_) => true,
        _ => false,
    };
    let default = schema.default_vindex().is_some_and(|by| !by.vindex.is_directory());
    default || schema.tables().any(|table| by_id(&table.kind)) || !schema.uses_directory()
}

/// The ranges cover every keyspace id once.
fn check_ranges(document: &Document, topology: &KeyspaceTopology, faults: &mut Vec<Fault>) {
    let keyspace = topology.name.as_str();
    let place = |shard: &str| document.place(&["keyspaces", keyspace, "shards", shard]);
    let mut ranges = Vec::new();
    for shard in &topology.shards {
        match &shard.range {
            Some(range) => ranges.push((shard.name.as_str(), range)),
            None => {
                let fault = place(shard.name.as_str())
                    .error(format!("`{}` is not a range of keyspace ids", shard.name));
                faults.push(
                    fault.with_help("ranges are written \"-80\", \"80-c0\", \"c0-\", or \"-\" for all"),
                );
            }
        }
    }
    if ranges.len() < topology.shards.len() || ranges.is_empty() {
        return;
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut end: Option<&[u8]> = Some(&[]);
    for (at, (name, range)) in ranges.iter().enumerate() {
        let begins_at = end.is_some_and(|end| end == range.start);
        if !begins_at {
            let before = if at == 0 { "the beginning".into() } else { format!("`{}`", ranges[at - 1].0) };
            let overlaps = at > 0 && ranges[at - 1].1.overlaps(range);
            let what = if overlaps { "overlaps with" } else { "leaves a gap after" };
            let fault = place(name).error(format!("the range {what} {before}"));
            faults.push(match end {
                Some(end) => fault.with_help(format!("expected a range that begins at \"{}-\"", hex(end))),
                None => fault,
            });
        }
        end = (!range.end.is_empty()).then_some(range.end.as_slice());
    }
    if let (Some(end), Some((name, _))) = (end, ranges.last()) {
        let fault = place(name).error("the ranges end before the last keyspace id");
        faults.push(fault.with_help(format!("add a shard \"{}-\"", hex(end))));
    }
}

/// Where reference tables are copied from.
fn check_sources(parsed: &[Parsed], faults: &mut Vec<Fault>) {
    let schemas = parsed.iter().filter_map(|file| file.schema.as_ref());
    let schemas: HashMap<&str, &KeyspaceSchema> =
        schemas.map(|schema| (schema.name.as_str(), schema)).collect();
    for file in parsed {
        let (Some(schema), Some(document)) = (&file.schema, &file.document) else { continue };
        let mut seen: HashMap<String, &str> = HashMap::new();
        let mut tables: Vec<_> = schema.tables().collect();
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        for table in tables {
            let TableKind::Reference { source: Some(source) } = &table.kind else { continue };
            let place = document.place(&["tables", table.name.as_str(), "source"]);
            faults.extend(wrong_source(schema, source, &schemas).map(|wrong| place.error(wrong)));
            let (keyspace, name) = source;
            if let Some(first) = seen.insert(format!("{keyspace}.{name}"), table.name.as_str()) {
                let message = format!("the tables `{first}` and `{}` have the same source", table.name);
                faults.push(place.error(message));
            }
        }
    }
}

/// What is wrong with the source of a reference table of `schema`.
fn wrong_source(
    schema: &KeyspaceSchema,
    (keyspace, source): &(Keyspace, TableName),
    schemas: &HashMap<&str, &KeyspaceSchema>,
) -> Option<String> {
    if *keyspace == schema.name {
        return Some("the source is in the same keyspace".into());
    }
    let Some(other) = schemas.get(keyspace.as_str()) else {
        return Some(format!("there is no keyspace `{keyspace}`"));
    };
    match other.table(source.as_str()).map(|table| &table.kind) {
        None if other.require_known_tables => Some(format!("`{keyspace}` has no table `{source}`")),
        Some(TableKind::Reference { .. }) => Some("the source is itself a reference table".into()),
        Some(TableKind::Sequence) => Some("the source is a sequence".into()),
        _ => None,
    }
}

/// A database name means one thing.
fn check_patterns(parsed: &[Parsed], heartbeat_database: &str, faults: &mut Vec<Fault>) {
    let mut earlier: Vec<(&Keyspace, &super::DatabasePattern)> = Vec::new();
    for file in parsed {
        let (Some(schema), Some(document)) = (&file.schema, &file.document) else { continue };
        let Layout::DatabasePerWorkspace(pattern) = &schema.layout else { continue };
        let place = document.place(&["database"]);
        if let Some((other, _)) = earlier.iter().find(|(_, other)| pattern.overlaps(other)) {
            faults.push(place.error(format!("some names would be databases of the keyspace `{other}` too")));
        }
        let names = parsed.iter().filter_map(|file| file.name.as_ref());
        for name in names.filter(|name| pattern.match_database(name.as_str()).is_some()) {
            faults.push(
                place.error(format!(
                    "the keyspace `{name}` has a name that this pattern takes for a workspace"
                )),
            );
        }
        if pattern.match_database(heartbeat_database).is_some() {
            let message =
                format!("health.heartbeat_database, `{heartbeat_database}`, would be a workspace's");
            faults.push(place.error(message));
        }
        earlier.push((&schema.name, pattern));
    }
}
