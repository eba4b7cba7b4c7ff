//! Making a workspace's database from the keyspace's template, before its directory entry.
//!
//! How far it came is kept in the store (`provision/<keyspace>/<workspace>`), so a second attempt goes on
//! where the first stopped. A schema statement that may have been applied just before an interruption is run
//! again, and "it is there already" counts as done; any other statement in that position is refused, because
//! nobody can know.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::WorkspaceError;
use super::server::{ControlConnection, ServerFault};
use crate::ids::{Keyspace, ShardName, WorkspaceId};
use crate::sql::{Scan, SqlMode, StatementKind, quote, scan};
use crate::topology::store::{Expect, Store, StoreError};
use crate::topology::{Shard, Snapshot};
use crate::vschema::Layout;

const FORMAT: u32 = 1;

/// Largest template.
const TEMPLATE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Errors that say that a schema statement was already applied: database, table, column, key, routine,
/// trigger, event or foreign key exists.
const ALREADY_THERE: [u16; 8] = [1007, 1050, 1060, 1061, 1304, 1359, 1537, 1826];

/// Why the workspace's database was not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProvisionFault {
    /// The keyspace has no database per workspace.
    #[error("{keyspace} has no database per workspace")]
    NotPerWorkspace {
        /// The keyspace.
        keyspace: Keyspace,
    },
    /// The template cannot be read.
    #[error("the template {}: {reason}", path.display())]
    Template {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The database is there and this command did not make it.
    #[error(
        "the database {database} is already on shard {shard}; if it is the right one, create the workspace \
             without DATABASE"
    )]
    DatabaseExists {
        /// The database.
        database: String,
        /// The shard.
        shard: ShardName,
    },
    /// The template is another one than that of the interrupted attempt.
    #[error(
        "the template changed since {done} of its statements were applied to {database}; drop the database \
             or bring the template back"
    )]
    TemplateChanged {
        /// The database.
        database: String,
        /// Statements applied.
        done: usize,
    },
    /// A statement that is not about the schema may have been applied.
    #[error(
        "statement {at} (line {line}) may have been applied to {database} when the last attempt was \
             interrupted; drop the database and try again"
    )]
    Ambiguous {
        /// The database.
        database: String,
        /// The statement, from 1.
        at: usize,
        /// Its line in the template.
        line: usize,
    },
    /// The database is made, and could not be brought to what the others are by now.
    #[error("{database} is made, and is not yet what the others are: {reason}; create the workspace again")]
    Older {
        /// The database.
        database: String,
        /// Why.
        reason: String,
    },
    /// A statement failed.
    #[error(
        "statement {at} of {count} (line {line}) failed on {database}: {reason}; {} remain",
        count - at + 1
    )]
    Statement {
        /// The database.
        database: String,
        /// The statement, from 1.
        at: usize,
        /// Statements of the template.
        count: usize,
        /// Its line in the template.
        line: usize,
        /// The server's own words.
        reason: String,
    },
    /// The server cannot be reached or refuses to make the database.
    #[error("the primary of shard {shard}: {reason}")]
    Server {
        /// The shard.
        shard: ShardName,
        /// The server's own words.
        reason: String,
    },
}

/// A database that is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provisioned {
    /// Its name.
    pub database: String,
    /// Statements of the template.
    pub statements: usize,
}

/// How far an attempt came; the value of its key in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    format: u32,
    shard: ShardName,
    template: u64,
    /// Statements that are surely applied.
    done: usize,
    /// The next one, which is not about the schema, was sent.
    started: bool,
}

/// One statement of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) line: usize,
    pub(super) text: String,
    pub(super) is_schema: bool,
}

/// What is to be made.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) keyspace: Keyspace,
    pub(super) workspace: WorkspaceId,
    pub(super) shard: ShardName,
    pub(super) database: String,
    pub(super) template: Vec<Piece>,
    pub(super) template_hash: u64,
}

/// The server of the shard, as far as a job needs it.
pub(super) trait DatabaseServer: Send {
    /// Says whether a database exists.
    fn has_database(&mut self, database: &str) -> impl Future<Output = Result<bool, ServerFault>> + Send;
    /// Runs a statement that returns no rows.
    fn run(&mut self, statement: &str) -> impl Future<Output = Result<(), ServerFault>> + Send;
}

/// Makes the database of a workspace on the primary of its shard.
pub(super) async fn provision(
    store: &dyn Store,
    snapshot: &Snapshot,
    shard: &Shard,
    workspace: &WorkspaceId,
) -> Result<Provisioned, WorkspaceError> {
    let job = job_of(snapshot, shard, workspace).await?;
    let unreachable = |reason: String| ProvisionFault::Server { shard: shard.name.clone(), reason };
    let cluster = snapshot.cluster(&shard.cluster)?;
    let mut server = ControlConnection::open(cluster, snapshot.config.timeouts.connect)
        .await
        .map_err(|fault| unreachable(fault.to_string()))?;
    let made = carry_out(&job, store, &mut server).await;
    server.close().await;
    made
}

/// The shard where an interrupted attempt began to make the workspace's database.
pub(super) async fn begun_on(
    store: &dyn Store,
    keyspace: &Keyspace,
    workspace: &WorkspaceId,
) -> Result<Option<ShardName>, WorkspaceError> {
    Ok(Ledger::open(store, keyspace, workspace).await?.progress.map(|progress| progress.shard))
}

/// Removes the progress of a workspace that is now in the directory. Failing does no harm: the entry is what
/// counts.
pub(super) async fn forget(store: &dyn Store, keyspace: &Keyspace, workspace: &WorkspaceId) {
    if let Ok(Some(stored)) = store.get(&key_of(keyspace, workspace)).await
        && let Err(error) = store.delete_if(&key_of(keyspace, workspace), stored.version).await
    {
        tracing::warn!(%keyspace, %workspace, %error, "progress of a finished workspace stays in the store");
    }
}

async fn job_of(snapshot: &Snapshot, shard: &Shard, workspace: &WorkspaceId) -> Result<Job, ProvisionFault> {
    let keyspace = &shard.keyspace;
    let not_per_workspace = || ProvisionFault::NotPerWorkspace { keyspace: keyspace.clone() };
    let schema = snapshot.vschema.keyspace(keyspace.as_str()).ok_or_else(not_per_workspace)?;
    let Layout::DatabasePerWorkspace(pattern) = &schema.layout else { return Err(not_per_workspace()) };
    let database = pattern.render(workspace).ok_or_else(not_per_workspace)?;
    let text = match &schema.template {
        Some(path) => read_template(path).await?,
        None => String::new(),
    };
    Ok(Job {
        keyspace: keyspace.clone(),
        workspace: workspace.clone(),
        shard: shard.name.clone(),
        database,
        template: pieces(&text),
        template_hash: xxh3_64(text.as_bytes()),
    })
}

async fn read_template(path: &PathBuf) -> Result<String, ProvisionFault> {
    let fault = |reason: String| ProvisionFault::Template { path: path.clone(), reason };
    let about = tokio::fs::metadata(path).await.map_err(|error| fault(error.to_string()))?;
    if about.len() > TEMPLATE_BYTES_MAX {
        return Err(fault(format!("it is larger than {TEMPLATE_BYTES_MAX} bytes")));
    }
    tokio::fs::read_to_string(path).await.map_err(|error| fault(error.to_string()))
}

/// The statements of a template.
pub(super) fn pieces(template: &str) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut scanned = Scan::default();
    let mut at = 0;
    while at < template.len() {
        let rest = &template.as_bytes()[at..];
        scan(rest, SqlMode::default(), &mut scanned);
        let text = String::from_utf8_lossy(scanned.body.of(rest)).into_owned();
        if !text.is_empty() && scanned.kind != StatementKind::Empty {
            let start = at + scanned.body.start as usize;
            let line = 1 + template.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count();
            found.push(Piece { line, text, is_schema: is_schema(scanned.kind) });
        }
        at += scanned.end.max(1);
    }
    found
}

fn is_schema(kind: StatementKind) -> bool {
    use StatementKind::{Alter, Create, Drop, Rename, Set, Use};
    matches!(kind, Create | Alter | Drop | Rename | Set | Use)
}

/// Runs what remains of a job.
pub(super) async fn carry_out(
    job: &Job,
    store: &dyn Store,
    server: &mut impl DatabaseServer,
) -> Result<Provisioned, WorkspaceError> {
    let mut ledger = Ledger::open(store, &job.keyspace, &job.workspace).await?;
    let unreachable =
        |fault: ServerFault| ProvisionFault::Server { shard: job.shard.clone(), reason: fault.to_string() };
    let is_there = server.has_database(&job.database).await.map_err(unreachable)?;
    let resumed = resume(job, ledger.progress.clone(), is_there)?;
    let mut progress = resumed.unwrap_or_else(|| Progress {
        format: FORMAT,
        shard: job.shard.clone(),
        template: job.template_hash,
        done: 0,
        started: false,
    });
    let doubtful = is_there.then_some(progress.done);
    ledger.save(&progress).await?;
    let database = quote::identifier(&job.database);
    server.run(&format!("CREATE DATABASE IF NOT EXISTS {database}")).await.map_err(unreachable)?;
    server.run(&format!("USE {database}")).await.map_err(unreachable)?;
    for (at, piece) in job.template.iter().enumerate().skip(progress.done) {
        if !piece.is_schema {
            ledger.save(&Progress { started: true, ..progress.clone() }).await?;
        }
        let outcome = server.run(&piece.text).await;
        match outcome {
            Ok(()) => {}
            Err(fault) if doubtful == Some(at) && piece.is_schema && fault.is_one_of(&ALREADY_THERE) => {}
            Err(fault) => {
                if fault.errno.is_some() {
                    ledger.save(&progress).await?;
                }
                return Err(failed(job, at, &fault).into());
            }
        }
        progress.done = at + 1;
        ledger.save(&progress).await?;
    }
    Ok(Provisioned { database: job.database.clone(), statements: job.template.len() })
}

/// Decides where to go on; `None`: from the beginning.
fn resume(job: &Job, progress: Option<Progress>, is_there: bool) -> Result<Option<Progress>, ProvisionFault> {
    let database = job.database.clone();
    match progress {
        None if is_there => Err(ProvisionFault::DatabaseExists { database, shard: job.shard.clone() }),
        // Begun elsewhere, or dropped since: nothing of it is left here.
        Some(progress) if !is_there || progress.shard != job.shard => match is_there {
            true => Err(ProvisionFault::DatabaseExists { database, shard: job.shard.clone() }),
            false => Ok(None),
        },
        Some(progress) if progress.template != job.template_hash && progress.done > 0 => {
            Err(ProvisionFault::TemplateChanged { database, done: progress.done })
        }
        Some(progress) if progress.started => {
            let line = job.template.get(progress.done).map_or(0, |piece| piece.line);
            Err(ProvisionFault::Ambiguous { database, at: progress.done + 1, line })
        }
        Some(progress) => Ok(Some(Progress { template: job.template_hash, ..progress })),
        None => Ok(None),
    }
}

fn failed(job: &Job, at: usize, fault: &ServerFault) -> ProvisionFault {
    ProvisionFault::Statement {
        database: job.database.clone(),
        at: at + 1,
        count: job.template.len(),
        line: job.template[at].line,
        reason: fault.to_string(),
    }
}

fn key_of(keyspace: &Keyspace, workspace: &WorkspaceId) -> String {
    format!("provision/{keyspace}/{workspace}")
}

/// The progress in the store, written under compare-and-swap: two commands for one workspace exclude each
/// other.
struct Ledger<'a> {
    store: &'a dyn Store,
    key: String,
    expect: Expect,
    progress: Option<Progress>,
}

impl<'a> Ledger<'a> {
    async fn open(
        store: &'a dyn Store,
        keyspace: &Keyspace,
        workspace: &WorkspaceId,
    ) -> Result<Self, StoreError> {
        let key = key_of(keyspace, workspace);
        let (expect, progress) = match store.get(&key).await? {
            None => (Expect::Absent, None),
            Some(stored) => {
                let read: Result<Progress, _> = serde_json::from_slice(&stored.value);
                let progress = read.map_err(|error| damaged(&key, &error.to_string()))?;
                if progress.format != FORMAT {
                    return Err(damaged(&key, &format!("format version {}", progress.format)));
                }
                (Expect::Version(stored.version), Some(progress))
            }
        };
        Ok(Self { store, key, expect, progress })
    }

    async fn save(&mut self, progress: &Progress) -> Result<(), StoreError> {
        let value = serde_json::to_vec(progress).map_err(|error| damaged(&self.key, &error.to_string()))?;
        let version = self.store.put_if(&self.key, value, self.expect).await?;
        self.expect = Expect::Version(version);
        Ok(())
    }
}

fn damaged(key: &str, reason: &str) -> StoreError {
    StoreError::Failed { action: "read", reason: format!("the value of {key} is damaged: {reason}") }
}
