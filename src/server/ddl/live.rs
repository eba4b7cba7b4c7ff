//! Databases of the configured clusters, for commands that look at one of them.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::config::Cluster;
use crate::ddl::{Script, Standing, tables_of};
use crate::schema::{Reader, Seen};
use crate::server::build;
use crate::sql::ServerVersion;
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
    /// Names under which there is no table, and what is there instead, in words.
    pub(super) absent: Vec<(String, String)>,
}

/// Reads the definitions of the tables that the text changes, and whether they hold rows.
///
/// # Errors
/// In words.
pub(super) async fn read(database: &DatabaseArgs, text: &[u8]) -> Result<Live, String> {
    let mut reader = database.open().await?;
    let fault = |error: crate::schema::ReadError| error.to_string();
    let server = reader.facts().await.map_err(fault)?.version;
    let (known, absent) = (Script::default(), Vec::new());
    let mut live = Live { server, known, standing: Standing::Unused, absent };
    for name in tables_of(text, server).map_err(|error| error.to_string())? {
        let (own_database, table) = (name.qualifier.map(|qualifier| qualifier.text), name.name.text);
        let own_database = own_database.as_deref();
        let seen = match reader.table(own_database, &table, server).await.map_err(fault)? {
            Seen::Table(seen) => seen,
            Seen::View => {
                let why = format!("{table} is a view: change the tables below it");
                live.absent.push((table, why));
                continue;
            }
            Seen::Missing { message } => {
                live.absent.push((table, message));
                continue;
            }
        };
        let definition = seen.definition.map_err(|unread| format!("{table}: {unread}"))?;
        let has_rows = reader.has_rows(own_database, &table).await.map_err(fault)?;
        live.standing = live.standing.and(Standing::of(has_rows, false, &definition));
        live.known.define(definition);
    }
    reader.close().await;
    Ok(live)
}
