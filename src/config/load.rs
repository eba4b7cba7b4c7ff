//! Reads the main file and checks what needs the whole of it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crate::ids::{Keyspace, ServerId, UserName};

use super::decode::{Decoder, Object};
use super::document::{Document, FILE_BYTES_MAX};
use super::fault::Fault;
use super::keys::{Key, Section, Shape};
use super::suggest::nearest;
use super::{
    Admin, Alerts, Cluster, Config, HealthChecks, KeyspaceTopology, LadderPolicy, Listen, Log, Routing,
    Rungs, SchemaChanges, Store, Timeouts, User, WorkspaceDefaults,
};
use super::{access, fleet, ladder, settings};

/// The main file.
pub(crate) const ROOT: Section = Section {
    doc: "The main config file, `bulkhead.toml`.",
    keys: &[
        Key::new("vschema_dir", Shape::Path, "Directory of the vschema files.").or("vschema"),
        Key::new("listen", Shape::Section(&settings::LISTEN), "Where clients connect."),
        Key::new("admin", Shape::Section(&settings::ADMIN), "Where operators connect."),
        Key::new("store", Shape::Section(&settings::STORE), "Where the directory and states are kept."),
        Key::new("log", Shape::Section(&settings::LOG), "What is logged."),
        Key::new("routing", Shape::Section(&settings::ROUTING), "How a statement's workspace is told."),
        Key::new("timeouts", Shape::Section(&settings::TIMEOUTS), "Bounds in time."),
        Key::new("health", Shape::Section(&settings::HEALTH), "How a cluster's health is told."),
        Key::new(
            "ladder",
            Shape::Section(&ladder::LADDER),
            "What may be done by itself about a sick cluster.",
        ),
        Key::new("alerts", Shape::Section(&ladder::ALERTS), "Who is told."),
        Key::new(
            "schema_changes",
            Shape::Section(&settings::SCHEMA_CHANGES),
            "How tables are changed online.",
        ),
        Key::new("limits", Shape::Section(&settings::LIMITS), "What one workspace may use of a cluster."),
        Key::new("users", Shape::Named(&access::USER), "Users that clients log in as."),
        Key::new("clusters", Shape::Named(&fleet::CLUSTER), "MySQL replication groups."),
        Key::new("keyspaces", Shape::Named(&fleet::KEYSPACE), "Where each keyspace's shards live."),
    ],
};

/// A main file as far as it could be read.
pub(crate) struct MainFile {
    /// The document, to place faults that other files reveal; `None` when it does not parse.
    pub(crate) document: Option<Document>,
    /// The config; `None` when something that it needs is faulty.
    pub(crate) config: Option<Config>,
    /// Every fault.
    pub(crate) faults: Vec<Fault>,
}

/// Reads a file of at most [`FILE_BYTES_MAX`] bytes.
pub(crate) fn read_file(path: &Path) -> std::io::Result<String> {
    let length = std::fs::metadata(path)?.len();
    if length > FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!("{length} bytes are more than {FILE_BYTES_MAX}")));
    }
    std::fs::read_to_string(path)
}

/// Reads and checks the main file.
pub(crate) fn load_main(path: &Path) -> MainFile {
    let text = match read_file(path) {
        Ok(text) => text,
        Err(error) => {
            let faults = vec![Fault::of_file(path, format!("cannot read the file: {error}"))];
            return MainFile { document: None, config: None, faults };
        }
    };
    parse_main(path, text)
}

/// Checks the text of a main file.
pub(crate) fn parse_main(path: &Path, text: String) -> MainFile {
    let document = match Document::parse(path, text) {
        Ok(document) => document,
        Err(faults) => return MainFile { document: None, config: None, faults },
    };
    let decoder = Decoder::new(&document);
    let config = decode(&decoder);
    let faults = decoder.into_faults();
    MainFile { document: Some(document), config, faults }
}

fn decode(decoder: &Decoder<'_>) -> Option<Config> {
    let root = decoder.root(&ROOT);
    let listen = Listen::decode(&root.section_or_defaults("listen"));
    let admin = Admin::decode(&root.section_or_defaults("admin"));
    let store = Store::decode(&root.section_or_defaults("store"));
    let log = Log::decode(&root.section_or_defaults("log"));
    let routing = Routing::decode(&root.section_or_defaults("routing"));
    let timeouts = Timeouts::decode(&root.section_or_defaults("timeouts"));
    let health = HealthChecks::decode(&root.section_or_defaults("health"));
    let ladder = decode_ladder(&root);
    let alerts = Alerts::decode(&root.section_or_defaults("alerts"));
    let schema_changes = SchemaChanges::decode(&root.section_or_defaults("schema_changes"));
    let limits = WorkspaceDefaults::decode(&root.section_or_defaults("limits"));
    let users = decode_users(&root);
    let clusters: BTreeMap<_, _> = root
        .named("clusters")
        .iter()
        .filter_map(|(name, _, object)| Cluster::decode(name, object))
        .map(|cluster| (cluster.name.clone(), cluster))
        .collect();
    let keyspaces = decode_keyspaces(&root);
    check_servers(&root);
    check_heartbeat(&root, health.as_ref(), &keyspaces);
    if let (Some(listen), Some(admin)) = (&listen, &admin) {
        check_addresses(&root, listen, admin);
        fleet::check_memory(&root, listen.max_allowed_packet);
    }
    Some(Config {
        path: root.file().to_owned(),
        vschema_dir: root.path("vschema_dir")?,
        listen: listen?,
        admin: admin?,
        store: store?,
        log: log?,
        routing: routing?,
        timeouts,
        health: health?,
        ladder,
        alerts,
        schema_changes,
        limits,
        users,
        clusters,
        keyspaces,
    })
}

/// The ladder's policy; warns of rungs without effect, in what clusters say for themselves too.
fn decode_ladder(root: &Object<'_>) -> LadderPolicy {
    let section = root.section_or_defaults("ladder");
    let ladder = LadderPolicy::decode(&section);
    ladder.check(&section);
    for (_, _, cluster) in root.named("clusters") {
        if let Some(own) = cluster.section("ladder") {
            ladder.with(Rungs::decode(&own)).check(&own);
        }
    }
    ladder
}

fn decode_users(root: &Object<'_>) -> BTreeMap<UserName, User> {
    let keyspaces = root.named("keyspaces");
    let known: Vec<&str> = keyspaces.iter().map(|(name, ..)| *name).collect();
    let users = root.named("users");
    if users.is_empty() {
        let fault = root.place().error("no users: nobody could log in");
        root.fault(fault.with_help("add [users.app] with a password_hash made by `bulkhead password`"));
    }
    let decode = |(name, _, object): &(&str, _, Object<'_>)| {
        access::check_keyspaces(object, &known);
        User::decode(name, object)
    };
    users.iter().filter_map(decode).map(|user| (user.name.clone(), user)).collect()
}

fn decode_keyspaces(root: &Object<'_>) -> BTreeMap<Keyspace, KeyspaceTopology> {
    let clusters = root.named("clusters");
    let known: Vec<&str> = clusters.iter().map(|(name, ..)| *name).collect();
    let mut read = BTreeMap::new();
    for (name, _, object) in root.named("keyspaces") {
        let keyspace = KeyspaceTopology::decode(name, &object);
        for (shard, place, child) in object.named_or_text("shards") {
            let Some(found) = keyspace.shards.iter().find(|found| found.name.as_str() == shard) else {
                continue;
            };
            let cluster = found.cluster.as_str();
            if !known.contains(&cluster) {
                let place = child.map_or_else(|object| object.place_of("cluster"), |_| place);
                let fault = place.error(format!("cluster `{cluster}` is not configured"));
                object.fault(fault.meant(nearest(cluster, known.iter().copied())));
            }
        }
        read.insert(keyspace.name.clone(), keyspace);
    }
    read
}

/// No two servers of the fleet are the same.
fn check_servers(root: &Object<'_>) {
    let mut seen: HashMap<ServerId, String> = HashMap::new();
    for (_, _, cluster) in root.named("clusters") {
        let primary = cluster.server("primary").map(|server| (server, cluster.place_of("primary")));
        let replicas = cluster.texts("replicas").into_iter();
        let replicas = replicas.filter_map(|(text, place)| Some((ServerId::parse(text)?, place)));
        for (server, place) in primary.into_iter().chain(replicas) {
            match seen.get(&server) {
                Some(first) => {
                    root.fault(place.error(format!("the server {server} is already given at {first}")))
                }
                None => {
                    seen.insert(server, place.short());
                }
            }
        }
    }
}

/// The heartbeat's table is no client's.
fn check_heartbeat(
    root: &Object<'_>,
    health: Option<&HealthChecks>,
    keyspaces: &BTreeMap<Keyspace, KeyspaceTopology>,
) {
    let Some(database) = health.map(|health| &*health.heartbeat_database) else { return };
    if keyspaces.keys().any(|keyspace| keyspace.as_str() == database) {
        let place = root.section_or_defaults("health").place_of("heartbeat_database");
        root.fault(
            place.error(format!("`{database}` is a keyspace; the heartbeat needs a database of its own")),
        );
    }
}

/// No two listeners share an address.
fn check_addresses(root: &Object<'_>, listen: &Listen, admin: &Admin) {
    let sections = [
        ("listen", "address", listen.address),
        ("admin", "address", admin.address),
        ("admin", "http", admin.http),
    ];
    for (at, (section, key, address)) in sections.iter().enumerate() {
        if let Some((other, other_key, _)) = sections[..at].iter().find(|(_, _, earlier)| earlier == address)
        {
            let place = root.section_or_defaults(section).place_of(key);
            root.fault(place.error(format!("{address} is already used by {other}.{other_key}")));
        }
    }
}
