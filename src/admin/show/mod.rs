//! Tables that operators read, one file each.

mod admission;
mod config;
mod directories;
mod errors;
mod health;
mod ladder;
mod migrations;
mod pools;
mod proxy;
mod shards;
mod tail;
mod traffic;
mod vschema;
mod workspaces;

use super::context::AdminContext;
use super::table::{AdminAnswer, AdminTable};
use super::words::Words;
use crate::error::{ClientError, Code};

/// Tables that `SELECT * FROM` and `SHOW` know.
pub(super) const TABLES: [&str; 20] = [
    "shards",
    "clusters",
    "health",
    "shard_status",
    "events",
    "admission",
    "gates",
    "migrations",
    "ddl_lanes",
    "primaries",
    "servers",
    "pools",
    "sessions",
    "digests",
    "directories",
    "snapshot",
    "config",
    "stats",
    "errors",
    "version",
];

pub(super) use ladder::incident;
pub(super) use migrations::{fleet_next, parts, take_fleet, take_migration};

/// `SHOW …`.
pub(super) fn show(words: &mut Words<'_>, context: &AdminContext) -> Result<AdminAnswer, ClientError> {
    if words.take_all(&["WORKSPACE", "LIMITS"]) {
        return tail::apply(words, admission::limits(context)).map(AdminAnswer::Rows);
    }
    if words.take("WORKSPACE") {
        return workspaces::one(words, context);
    }
    if words.take("WORKSPACES") {
        return workspaces::list(words, context);
    }
    if words.take("VSCHEMA") {
        return vschema::vschema(words, context);
    }
    if words.take_all(&["SHARD", "STATUS"]) {
        return tail::apply(words, ladder::status(context)).map(AdminAnswer::Rows);
    }
    if words.take_all(&["DDL", "LANES"]) {
        return tail::apply(words, migrations::lanes(context)).map(AdminAnswer::Rows);
    }
    if words.take("MIGRATION") {
        return migrations::migration(words, context);
    }
    if words.take("EVENTS") {
        let mut events = ladder::events(context);
        if words.take("LIKE") {
            ladder::keep_like(&mut events, &words.name("'<pattern>'")?);
        }
        return tail::apply(words, events).map(AdminAnswer::Rows);
    }
    let wrong = words.expected("SHARDS, CLUSTERS, SERVERS, POOLS, SESSIONS, … (see HELP)");
    let name = words.name("what to show")?;
    let table = table(&name, context).ok_or(wrong)?;
    tail::apply(words, table).map(AdminAnswer::Rows)
}

/// `SELECT * FROM <table> …`.
pub(super) fn select(words: &mut Words<'_>, context: &AdminContext) -> Result<AdminAnswer, ClientError> {
    if !(words.take_symbol('*') && words.take("FROM")) {
        return Err(words.expected("* FROM <table>"));
    }
    let name = words.name("a table")?;
    let unknown = || {
        ClientError::new(Code::AdminNotFound, format!("no table {name:?}; there are {}", TABLES.join(", ")))
    };
    tail::apply(words, table(&name, context).ok_or_else(unknown)?).map(AdminAnswer::Rows)
}

fn table(name: &str, context: &AdminContext) -> Option<AdminTable> {
    Some(match name.to_ascii_lowercase().as_str() {
        "shards" => shards::shards(context),
        "clusters" => shards::clusters(context),
        "health" => health::health(context),
        "shard_status" => ladder::status(context),
        "events" => ladder::events(context),
        "admission" => admission::admission(context),
        "gates" => admission::gates(context),
        "migrations" => migrations::migrations(context),
        "ddl_lanes" => migrations::lanes(context),
        "primaries" => health::primaries(context),
        "servers" => pools::servers(context),
        "pools" => pools::pools(context),
        "sessions" => traffic::sessions(context),
        "digests" => traffic::digests(context),
        "directories" => directories::directories(context),
        "snapshot" => proxy::snapshot(context),
        "config" => config::config(context),
        "stats" => proxy::stats(context),
        "errors" => errors::errors(),
        "version" => proxy::version(context),
        _ => return None,
    })
}
