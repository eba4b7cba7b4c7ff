//! What the command line does, but for `serve`.

use std::io::{BufRead, Read, Write};
use std::path::Path;
use std::sync::Arc;

use mysql_async::prelude::Queryable;
use mysql_async::{OptsBuilder, Row};

use crate::ids::{Keyspace, ShardName, WorkspaceId};
use crate::plan::{self, PlanInput};
use crate::protocol::password::{self, StoredPassword};
use crate::sql::{self, Scan, SqlMode};
use crate::topology::{
    Directories, DirectoryAdmin, EmbeddedStore, Entry, Existing, Force, LIST_ROWS_MAX, ListFilter,
    NewWorkspace, RowFormat, SnapshotCell, Store, WorkspaceState,
};
use crate::vschema::{self, DatabaseTarget};

use super::build;
use super::cli::{Plugin, WorkspaceArgs, WorkspaceCommand};

/// Environment variable with the password of `bulkhead admin`.
const ADMIN_PASSWORD_VARIABLE: &str = "BULKHEAD_ADMIN_PASSWORD";
/// Most workspaces that one `workspace create` names.
const CREATE_MAX: u64 = 1_000_000;

type Done = Result<(), String>;

fn to_text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn block_on<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(to_text)?;
    runtime.block_on(work)
}

/// `bulkhead check`.
pub(super) fn check(path: &Path, live: bool, json: bool) -> Done {
    let (mut report, checked) = vschema::check::run(path);
    if let (true, Some(checked)) = (live, &checked) {
        report.live = block_on(async { Ok(super::live::check(checked).await) })?;
    }
    if json {
        println!("{}", report.to_json())
    } else {
        print!("{}", report.to_text())
    }
    if report.is_good() { Ok(()) } else { Err("bulkhead: the files cannot be used as they are".into()) }
}

/// `bulkhead explain`.
pub(super) fn explain(path: &Path, database: Option<&str>, sql_text: &str) -> Done {
    let loaded = build::load(path).map_err(to_text)?;
    let mut scan = Scan::default();
    sql::scan(sql_text.as_bytes(), SqlMode::default(), &mut scan);
    let mut target = plan::TargetShape::default();
    if let Some(database) = database {
        let found = loaded.vschema.resolve_database(database);
        let (schema, is_workspace) = match found {
            Some(DatabaseTarget::Keyspace(schema)) => (schema, false),
            Some(DatabaseTarget::Workspace(schema, _)) => (schema, true),
            None => return Err(format!("Unknown database '{database}'")),
        };
        target.keyspace = Some(schema.name.clone());
        target.pinned_by_database = is_workspace;
        target.workspace_pinned = is_workspace;
    }
    let key = &loaded.config.routing.comment_key;
    let comment = sql::workspace_tag(sql_text.as_bytes(), &scan, key).map_err(to_text)?;
    target.workspace_pinned |= comment.is_some();
    let input = PlanInput {
        text: sql_text.as_bytes(),
        scan: &scan,
        mode: SqlMode::default(),
        vschema: &loaded.vschema,
        target: &target,
    };
    match plan::plan_text(&input) {
        Ok(plan) => println!("{}", plan::describe(&plan)),
        Err(refusal) => println!("refused {} {}: {refusal}", refusal.code.id(), refusal.code.name()),
    }
    Ok(())
}

/// `bulkhead password`: one line from standard input to one line on standard output.
pub(super) fn password(plugin: Plugin) -> Done {
    let mut line = String::new();
    std::io::stdin().lock().take(1024).read_line(&mut line).map_err(to_text)?;
    let plain = line.trim_end_matches(['\n', '\r']);
    if plain.is_empty() {
        return Err(
            "give the password on standard input: printf '%s' \"$PASSWORD\" | bulkhead password".into()
        );
    }
    let plugin = match plugin {
        Plugin::CachingSha2 => password::AuthPlugin::CachingSha2,
        Plugin::Native => password::AuthPlugin::Native,
    };
    println!("{}", StoredPassword::generate(plugin, plain.as_bytes()).map_err(to_text)?);
    Ok(())
}

/// Whom to ask, and as whom.
pub(super) struct Asked<'a> {
    pub(super) path: &'a Path,
    pub(super) user: &'a str,
}

/// `bulkhead admin`.
pub(super) fn admin(path: &Path, user: &str, statement: &str, json: bool) -> Done {
    print_rows(&ask(&Asked { path, user }, &[statement])?[0], json)
}

/// Runs statements on the admin port of the config; gives the rows of each.
///
/// # Errors
/// The config, the login, or what the proxy answered.
pub(super) fn ask(asked: &Asked<'_>, statements: &[&str]) -> Result<Vec<Vec<Row>>, String> {
    block_on(async {
        let mut connection = connect(asked).await?;
        let mut answers = Vec::new();
        for statement in statements {
            answers.push(connection.query(*statement).await.map_err(to_text)?);
        }
        connection.disconnect().await.map_err(to_text)?;
        Ok(answers)
    })
}

/// Logs in on the admin port.
///
/// # Errors
/// The config, the password's variable, the way to the port.
pub(super) async fn connect(asked: &Asked<'_>) -> Result<mysql_async::Conn, String> {
    let (path, user) = (asked.path, asked.user);
    let loaded = build::load(path).map_err(to_text)?;
    let password = std::env::var(ADMIN_PASSWORD_VARIABLE)
        .map_err(|_| format!("set {ADMIN_PASSWORD_VARIABLE} to the password of the admin user '{user}'"))?;
    let address = loaded.config.admin.address;
    let options = OptsBuilder::default()
        .ip_or_hostname(address.ip().to_string())
        .tcp_port(address.port())
        .user(Some(user))
        .pass(Some(password))
        .prefer_socket(false);
    mysql_async::Conn::new(options).await.map_err(|error| format!("{address}: {error}"))
}

/// Prints rows, one a line.
pub(super) fn print_rows(rows: &[Row], json: bool) -> Done {
    let mut out = std::io::stdout().lock();
    for row in rows {
        let cells = row.columns_ref().iter().enumerate().map(|(at, column)| {
            let value: Option<String> =
                row.get(at).and_then(|value| mysql_async::from_value_opt(value).ok()).flatten();
            (column.name_str().into_owned(), value)
        });
        let line = if json {
            let object: serde_json::Map<String, serde_json::Value> = cells
                .map(|(name, value)| (name, value.map_or(serde_json::Value::Null, Into::into)))
                .collect();
            serde_json::Value::Object(object).to_string()
        } else {
            let cells: Vec<String> =
                cells.map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or("NULL"))).collect();
            cells.join("  ")
        };
        writeln!(out, "{line}").map_err(to_text)?;
    }
    Ok(())
}

/// `bulkhead workspace …`.
pub(super) fn workspace(command: WorkspaceCommand) -> Done {
    let (path, keyspace) = {
        let args = args_of(&command);
        (args.config.config.clone(), Keyspace::new(args.keyspace.as_str()))
    };
    block_on(async {
        let loaded = build::load(&path).map_err(to_text)?;
        let store: Arc<dyn Store> =
            Arc::new(EmbeddedStore::open(&loaded.config.store.path).map_err(|error| {
                format!(
                    "{error}\nwhile a proxy runs, use its admin port: bulkhead admin 'CREATE WORKSPACE …'"
                )
            })?);
        let snapshot = build::snapshot_of(&loaded, &store, &Directories::default()).await.map_err(to_text)?;
        let admin = DirectoryAdmin::new(store, Arc::new(SnapshotCell::new(snapshot)));
        carry_out(&admin, &keyspace, command).await
    })
}

fn args_of(command: &WorkspaceCommand) -> &WorkspaceArgs {
    match command {
        WorkspaceCommand::Create { args, .. }
        | WorkspaceCommand::Show { args, .. }
        | WorkspaceCommand::List { args, .. }
        | WorkspaceCommand::SetState { args, .. }
        | WorkspaceCommand::Delete { args, .. }
        | WorkspaceCommand::Import { args, .. }
        | WorkspaceCommand::Export { args, .. } => args,
    }
}

async fn carry_out(admin: &DirectoryAdmin, keyspace: &Keyspace, command: WorkspaceCommand) -> Done {
    match command {
        WorkspaceCommand::Create { ids, shard, provision, .. } => {
            let shard = shard.map(ShardName::new);
            for id in expand_ids(&ids)? {
                let new = NewWorkspace {
                    shard: shard.clone(),
                    state: WorkspaceState::Active,
                    with_database: provision,
                };
                let entry = admin.create(keyspace, &id, &new).await.map_err(to_text)?;
                print_entry(&id, &entry);
            }
        }
        WorkspaceCommand::Show { id, .. } => {
            let id = parse_id(&id)?;
            print_entry(&id, &admin.show(keyspace, &id).map_err(to_text)?);
        }
        WorkspaceCommand::List { shard, state, .. } => list(admin, keyspace, shard, state.as_deref())?,
        WorkspaceCommand::SetState { id, state, .. } => {
            let (id, state) = (parse_id(&id)?, parse_state(&state)?);
            print_entry(&id, &admin.set_state(keyspace, &id, state).await.map_err(to_text)?);
        }
        WorkspaceCommand::Delete { id, .. } => {
            let id = parse_id(&id)?;
            admin.delete(keyspace, &id, Force::No).await.map_err(to_text)?;
            println!("{id}  deleted from the directory");
        }
        WorkspaceCommand::Import { format, .. } => {
            let input = std::io::BufReader::new(std::io::stdin());
            let done = admin
                .import(keyspace, input, parse_format(&format)?, Existing::Skip)
                .await
                .map_err(to_text)?;
            println!("{} rows: {} created, {} unchanged", done.rows, done.created, done.unchanged);
        }
        WorkspaceCommand::Export { format, .. } => {
            let mut out = std::io::stdout().lock();
            let write = |chunk: &[u8]| {
                out.write_all(chunk).map_err(|error| crate::topology::WorkspaceError::File {
                    path: "standard output".into(),
                    reason: error.to_string(),
                })
            };
            admin.export(keyspace, parse_format(&format)?, write).map_err(to_text)?;
        }
    }
    Ok(())
}

fn list(admin: &DirectoryAdmin, keyspace: &Keyspace, shard: Option<String>, state: Option<&str>) -> Done {
    let state = state.map(parse_state).transpose()?;
    let mut filter =
        ListFilter { shard: shard.map(ShardName::new), state, after: None, limit: LIST_ROWS_MAX };
    loop {
        let rows = admin.list(keyspace, &filter).map_err(to_text)?;
        rows.iter().for_each(|(id, entry)| print_entry(id, entry));
        match rows.last() {
            Some((id, _)) if rows.len() == LIST_ROWS_MAX => filter.after = Some(id.clone()),
            _ => return Ok(()),
        }
    }
}

fn print_entry(id: &WorkspaceId, entry: &Entry) {
    println!("{id}  shard={}  state={}  revision={}", entry.shard, entry.state, entry.revision);
}

fn parse_id(text: &str) -> Result<WorkspaceId, String> {
    WorkspaceId::parse(text).ok_or_else(|| format!("not a workspace id: {text:?}"))
}

fn parse_state(text: &str) -> Result<WorkspaceState, String> {
    WorkspaceState::parse(text)
        .ok_or_else(|| format!("not a state: {text:?}; use active, read_only, moving or suspended"))
}

fn parse_format(text: &str) -> Result<RowFormat, String> {
    RowFormat::parse(text).ok_or_else(|| format!("not a format: {text:?}; use csv or jsonl"))
}

/// Ids and ranges such as `1..300`, both ends included.
fn expand_ids(texts: &[String]) -> Result<Vec<WorkspaceId>, String> {
    let mut ids = Vec::new();
    for text in texts {
        let range =
            text.split_once("..").and_then(|(a, b)| Some((a.parse::<u64>().ok()?, b.parse::<u64>().ok()?)));
        match range {
            Some((first, last)) if last.saturating_sub(first) < CREATE_MAX => {
                ids.extend((first..=last).map(WorkspaceId::Number));
            }
            Some(_) => {
                return Err(format!("{text}: more than {CREATE_MAX} workspaces; use `workspace import`"));
            }
            None => ids.push(parse_id(text)?),
        }
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ids_expand() {
        let ids = expand_ids(&["1..3".into(), "acme".into()]).unwrap();
        assert_eq!(ids.len(), 4);
        assert!(expand_ids(&["1..9999999".into()]).is_err());
        assert!(expand_ids(&[String::new()]).is_err());
    }
}
