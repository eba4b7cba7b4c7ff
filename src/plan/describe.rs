//! Plans and destinations in words: golden files, `EXPLAIN ROUTE`, `bulkhead explain`.

use std::fmt::Write;

use super::binding::{Address, Destination};
use super::effects::{Effects, TransactionEffect};
use super::route::{KeySource, Plan, Route};

/// A plan in words.
///
/// **Shape**: the first line is `<route> key=value …`; indented lines follow for effects.
pub fn describe(plan: &Plan) -> String {
    let mut text = route_line(&plan.route);
    let effects = effects_line(plan);
    if !effects.is_empty() {
        let _ = write!(text, "\n  effects: {effects}");
    }
    text
}

fn route_line(route: &Route) -> String {
    match route {
        Route::Any => "any".to_owned(),
        Route::Unsharded(keyspace) => format!("route unsharded  keyspace={keyspace}"),
        Route::AnyShard(keyspace) => format!("route any_shard  keyspace={keyspace}"),
        Route::PinnedTable { keyspace, id } => format!("route pinned_table  keyspace={keyspace}  id={id}"),
        Route::AllShards(keyspace) => format!("scatter all_shards  keyspace={keyspace}"),
        Route::Fleet(keyspace) => format!("fleet  keyspace={keyspace}"),
        Route::SessionKey(keyspace) => format!("route session_workspace  keyspace={}", keyspace.name),
        Route::Local(answer) => format!("local {answer:?}").to_lowercase(),
        Route::Database(route) => {
            let mut line = format!("route workspace_database  keyspace={}", route.keyspace.name);
            if !route.named.is_empty() {
                let named: Vec<String> = route.named.iter().map(ToString::to_string).collect();
                let _ = write!(line, "  named={}", named.join(","));
            }
            if route.unnamed {
                line.push_str("  session");
            }
            if !route.logical.is_empty() {
                let _ = write!(line, "  edits={}", route.logical.len());
            }
            line
        }
        Route::Key(route) => {
            let name = if route.rows.is_some() { "insert" } else { "equal_unique" };
            let values: Vec<String> = route.values.iter().map(|sources| join(sources)).collect();
            let vindex = format!("{}({})", route.vindex.vindex_name, values.join("; "));
            let mut line = format!("route {name}  keyspace={}  vindex={vindex}", route.keyspace.name);
            if let Some(rows) = &route.rows {
                let _ = write!(line, "  rows={}", rows.keys.len());
                let _ = rows.whole.map(|why| write!(line, "  whole={}", why.replace(' ', "_")));
            }
            if !route.kept.is_empty() {
                let _ = write!(line, "  kept={}", join(&route.kept));
            }
            line
        }
        Route::System(route) => {
            let names = if route.names.is_empty() { "-".to_owned() } else { join(&route.names) };
            format!("route schema  names={names}")
        }
    }
}

fn join(sources: &[KeySource]) -> String {
    sources.iter().map(source).collect::<Vec<_>>().join(", ")
}

fn source(source: &KeySource) -> String {
    match source {
        KeySource::Literal(index) => format!("literal {index}"),
        KeySource::Parameter(index) => format!("parameter {index}"),
        KeySource::CurrentDatabase => "DATABASE()".to_owned(),
    }
}

fn effects_line(plan: &Plan) -> String {
    let Effects {
        transaction,
        implicit_commit,
        pins,
        releases,
        asks_previous,
        leaves_state,
        only_locks,
        reads_variables,
        writes,
        changes_schema,
        alters_table,
        locks_rows,
    } = &plan.effects;
    let mut parts: Vec<String> = Vec::new();
    let mut add = |on: bool, name: &str| {
        if on {
            parts.push(name.to_owned());
        }
    };
    add(
        plan.reads_only && matches!(plan.route, Route::Key(_) | Route::Database(_) | Route::Unsharded(_)),
        "replica",
    );
    add(*writes, "writes");
    add(*changes_schema, "schema");
    add(*alters_table, "table");
    add(*implicit_commit, "commits");
    add(*locks_rows, "locks_rows");
    add(*asks_previous, "asks_previous");
    add(*leaves_state, "leaves_state");
    add(*only_locks, "only_locks");
    add(*reads_variables, "reads_variables");
    if *transaction != TransactionEffect::None {
        parts.push(format!("{transaction:?}").to_lowercase());
    }
    if !pins.is_empty() {
        parts.push(format!("pins={pins}"));
    }
    if !releases.is_empty() {
        parts.push(format!("releases={releases}"));
    }
    parts.join(" ")
}

/// A destination in words, one line for each place; edited texts are shown.
pub fn describe_destination(destination: &Destination) -> String {
    match destination {
        Destination::Any => "any".to_owned(),
        Destination::One(address) => place(address),
        Destination::Edited { address, text } => {
            format!("{}\n  sql: {}", place(address), String::from_utf8_lossy(text))
        }
        Destination::Split(pieces) => {
            let lines: Vec<String> = pieces
                .iter()
                .map(|piece| {
                    let params = match piece.params.as_slice() {
                        [] => String::new(),
                        params => format!("\n  parameters: {params:?}"),
                    };
                    let text = String::from_utf8_lossy(&piece.text);
                    format!("{}\n  sql: {text}{params}", place(&piece.address))
                })
                .collect();
            lines.join("\n")
        }
        Destination::All(keyspace) => format!("all {keyspace}"),
        Destination::Fleet(keyspace) => format!("fleet {keyspace}"),
        Destination::Local(answer) => format!("local {answer:?}").to_lowercase(),
    }
}

fn place(address: &Address) -> String {
    match address {
        Address::Keyspace(keyspace) => format!("{keyspace}"),
        Address::AnyShard(keyspace) => format!("{keyspace} any_shard"),
        Address::Own(keyspace) => format!("{keyspace} own"),
        Address::Model(keyspace) => format!("{keyspace} model"),
        Address::Workspace { keyspace, workspace } => format!("{keyspace} workspace={workspace}"),
        Address::Key { keyspace, workspace: Some(workspace), id } => {
            format!("{keyspace} workspace={workspace} id={id}")
        }
        Address::Key { keyspace, workspace: None, id } => format!("{keyspace} id={id}"),
        Address::Range { keyspace, range } => format!("{keyspace} range={range}"),
    }
}
