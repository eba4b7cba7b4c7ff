//! Who changes the databases: sixteen workers past Bulkhead, pt-online-schema-change, Bulkhead itself.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use super::field::Field;
use super::schema::{self, Group};
use crate::client::{Client, Login, ServerError};
use crate::ddl::tools::{Target, Tool};
use crate::servers::cluster_of;
use crate::systems::{KEYSPACE, Prepared};

/// Workers of the loop of direct statements.
pub const WORKERS: usize = 16;
/// Errors that are kept, of each who changes.
const ERRORS_MAX: usize = 10;
/// Characters of a program's last words.
const WORDS_MAX: usize = 600;

/// Changes every database by its own statement, sixteen at a time, on connections of their own to the
/// primaries. Gives what failed; nothing is tried again.
///
/// # Errors
/// A task broke.
pub async fn alter_directly(field: &Field) -> io::Result<Vec<String>> {
    let logins: Arc<Vec<Login>> =
        Arc::new((0..field.clusters.len()).map(|cluster| field.direct_login(cluster)).collect());
    let next = Arc::new(AtomicUsize::new(1));
    let last = field.options.databases() as usize;
    let mut tasks = JoinSet::new();
    for _ in 0..WORKERS {
        tasks.spawn(alter_one_by_one(Arc::clone(&logins), Arc::clone(&next), last));
    }
    let mut errors = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        errors.extend(ended.map_err(io::Error::other)?);
    }
    errors.truncate(ERRORS_MAX);
    Ok(errors)
}

/// One worker: takes the next database, whichever cluster has it.
async fn alter_one_by_one(logins: Arc<Vec<Login>>, next: Arc<AtomicUsize>, last: usize) -> Vec<String> {
    let mut clients: Vec<Option<Client>> = logins.iter().map(|_| None).collect();
    let mut errors = Vec::new();
    loop {
        let workspace = next.fetch_add(1, Ordering::Relaxed);
        if workspace > last {
            return errors;
        }
        let workspace = workspace as u64;
        let cluster = cluster_of(workspace);
        let sql = schema::alter_in(&schema::database(Group::Changed, workspace));
        if let Err(error) = alter(&logins[cluster], &mut clients[cluster], &sql).await {
            if ServerError::of(&error).is_none() {
                clients[cluster] = None;
            }
            if errors.len() < ERRORS_MAX {
                errors.push(format!("{sql}: {error}"));
            }
        }
    }
}

async fn alter(login: &Login, client: &mut Option<Client>, sql: &str) -> io::Result<()> {
    let open = match client {
        Some(open) => open,
        None => client.insert(Client::connect(login).await?),
    };
    open.query(sql).await.map(drop)
}

/// Has pt-online-schema-change change the first databases, one after the other. Gives what failed. Must be
/// awaited on the main thread.
pub async fn run_pt_osc(field: &Field) -> Vec<String> {
    let mut errors = Vec::new();
    for workspace in 1..=field.options.sample() {
        let target = Target {
            port: field.clusters[cluster_of(workspace)].port,
            login: field.login_file(),
            socket: PathBuf::new(),
            database: schema::database(Group::Changed, workspace),
            table: schema::TABLE.to_owned(),
            clause: schema::CLAUSE.to_owned(),
        };
        let log = field.places.folder.join(format!("pt-osc-{workspace}.log"));
        let outcome = Tool::PtOsc.run(&target, &log).await;
        if let Some(error) = outcome.err().filter(|_| errors.len() < ERRORS_MAX) {
            errors.push(format!("{}: {error}", target.database));
        }
    }
    errors
}

/// `bulkhead migrate submit … --wait`. Dropped, the program is ended; the migration goes on.
#[derive(Debug)]
pub struct Submission {
    child: tokio::process::Child,
    log: PathBuf,
}

impl Submission {
    /// Hands the statement in. Must be called on the main thread: the kernel ends the program with the thread
    /// that started it.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(field: &Field, prepared: &Prepared) -> io::Result<Self> {
        let (file, log) = (field.places.folder.join("change.sql"), field.places.folder.join("submit.log"));
        std::fs::write(&file, schema::alter() + ";\n")?;
        let output = std::fs::File::create(&log)?;
        let file = file.to_string_lossy();
        let arguments = ["migrate", "submit", "--keyspace", KEYSPACE, "--file", &file, "--wait"];
        let mut command = tokio::process::Command::from(prepared.command(&arguments));
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).kill_on_drop(true);
        Ok(Self { child: command.spawn()?, log })
    }

    /// Waits for its end: good when every database is changed. Gives its last words otherwise.
    ///
    /// # Errors
    /// It cannot be waited for, or does not end within this time.
    pub async fn end(&mut self, within: Duration) -> io::Result<Option<String>> {
        let ended = tokio::time::timeout(within, self.child.wait()).await;
        let status = ended.map_err(|_| io::Error::other(format!("no end within {within:?}")))??;
        if status.success() {
            return Ok(None);
        }
        let words = std::fs::read_to_string(&self.log).unwrap_or_default();
        let behind = words.chars().count().saturating_sub(WORDS_MAX);
        let last: String = words.trim().chars().skip(behind).collect();
        Ok(Some(format!("bulkhead migrate submit ended with {status}: {last}")))
    }
}
