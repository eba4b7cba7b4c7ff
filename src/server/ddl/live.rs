//! Databases of the configured clusters, for commands that look at one of them.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::config::Cluster;
use crate::ddl::{Script, Standing};
use crate::schema::{Reader, Seen};
use crate::server::build;
use crate::sql::{self, ObjectName, Scan, ServerVersion, SqlMode, TableChange};
use crate::vschema::DatabaseTarget;

/// One question takes no longer.
const ASK_WITHIN: Duration = Duration::from_secs(10);

/// Which database to look at.
#[derive(Clone, Debug, Args)]
pub(in crate::server) struct DatabaseArgs {
    /// The main config file, which names the clusters.
    #[arg(short, long, env = "BULKHEAD_CONFIG", default_value = "bulkhead.toml")]
    config: PathBuf,
    /// The database: a keyspace of one database, or a workspace's own such as ws_42.
    #[arg(short, long)]
    database: Option<String>,
    /// The cluster that holds it; found among the keyspace's clusters when left out.
    #[arg(long)]
    cluster: Option<String>,
}

impl DatabaseArgs {
    /// Connects to the primary of the cluster that holds the database, with the admin login.
    ///
    /// # Errors
    /// In words: the files, the name, the connection; no cluster holds the database.
    pub(super) async fn open(&self) -> Result<Reader, String> {
        let loaded = build::load(&self.config).map_err(|error| error.to_string())?;
        let name = self.database.as_deref().ok_or("name the database: --database ws_42")?;
        let keyspace = match loaded.vschema.resolve_database(name) {
            Some(DatabaseTarget::Keyspace(keyspace) | DatabaseTarget::Workspace(keyspace, _)) => keyspace,
            None => return Err(format!("{name}: neither a keyspace nor a workspace's database")),
        };
        let config = &loaded.config;
        let shards = config.keyspaces.get(&keyspace.name).map(|topology| topology.shards.as_slice());
        let named =
            |cluster: &&Cluster| self.cluster.as_deref().is_none_or(|wanted| cluster.name.as_str() == wanted);
        let mut clusters: Vec<&Cluster> = shards
            .unwrap_or_default()
            .iter()
            .filter_map(|shard| config.clusters.get(&shard.cluster))
            .filter(named)
            .collect();
        clusters.dedup_by(|a, b| a.name == b.name);
        if clusters.is_empty() {
            return Err(format!("{name}: no such cluster holds a shard of keyspace {}", keyspace.name));
        }
        for cluster in clusters {
            let login = (&cluster.admin_login, &cluster.tls);
            let fault = |error| format!("cluster {}: {}: {error}", cluster.name, cluster.primary);
            let mut reader = Reader::open(&cluster.primary, login, name, ASK_WITHIN).await.map_err(fault)?;
            if reader.exists().await.map_err(fault)? {
                return Ok(reader);
            }
            reader.close().await;
        }
        Err(format!("{name}: no cluster of keyspace {} has a database of that name", keyspace.name))
    }
}

/// What the server says of the tables that a text is about.
pub(super) struct Live {
    pub(super) server: ServerVersion,
    pub(super) known: Script,
    pub(super) standing: Standing,
}

/// Reads the definitions of the tables that the text changes, and whether they hold rows.
///
/// # Errors
/// In words.
pub(super) async fn read(database: &DatabaseArgs, text: &[u8]) -> Result<Live, String> {
    let mut reader = database.open().await?;
    let fault = |error: crate::schema::ReadError| error.to_string();
    let server = reader.facts().await.map_err(fault)?.version;
    let mut live = Live { server, known: Script::default(), standing: Standing::Unused };
    for name in tables_of(text, server)? {
        let own_database = name.qualifier.as_ref().map(|qualifier| qualifier.text.as_str());
        let Seen::Table(table) = reader.table(own_database, &name.name.text, server).await.map_err(fault)?
        else {
            continue;
        };
        let definition = table.definition.map_err(|unread| format!("{}: {unread}", name.name.text))?;
        let has_rows = reader.has_rows(own_database, &name.name.text).await.map_err(fault)?;
        live.standing = live.standing.and(Standing::of(has_rows, false, &definition));
        live.known.define(definition);
    }
    reader.close().await;
    Ok(live)
}

/// The tables that the statements of a text change.
fn tables_of(text: &[u8], server: ServerVersion) -> Result<Vec<ObjectName>, String> {
    let mode = SqlMode { server, ..SqlMode::default() };
    let (mut names, mut at) = (Vec::new(), 0);
    loop {
        let mut scan = Scan::default();
        sql::scan(&text[at..], mode, &mut scan);
        let one = &text[at..at + scan.end];
        let change = sql::read_change(one, &scan, mode).map_err(|unread| unread.to_string())?;
        if let Some(TableChange { table, more_tables, .. }) = change {
            names.push(table);
            names.extend(more_tables);
        }
        at += scan.end;
        if !scan.flags.contains(sql::ScanFlags::MORE) || scan.end == 0 {
            return Ok(names);
        }
    }
}
