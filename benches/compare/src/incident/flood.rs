//! The flood of 28 February: schema changes of small tables, straight to a primary, past Bulkhead.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::record::Flood;
use crate::client::{Client, Login, ServerError};

/// Connections that alter.
pub const CONNECTIONS: usize = 16;
/// What is changed, from one to the other and back: types, so that the table is copied.
const TYPES: [&str; 2] = ["BIGINT NOT NULL DEFAULT 0", "INT NOT NULL DEFAULT 0"];
/// Pause of a connection that cannot be opened.
const AGAIN_AFTER: Duration = Duration::from_millis(200);
/// MySQL's numbers of what a kill leaves: interrupted, connection killed.
const KILLED: [u16; 2] = [1317, 3169];

/// A flood that runs until it is stopped.
#[derive(Debug)]
pub struct Running {
    over: watch::Sender<bool>,
    tasks: JoinSet<Flood>,
}

/// Which tables, and how many in a second.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The primary itself.
    pub login: Login,
    /// Databases whose table `labels` is altered.
    pub databases: Arc<Vec<String>>,
    /// Statements per second, of all connections together; fewer if the server is slower.
    pub per_second: f64,
}

impl Plan {
    /// Begins.
    pub fn start(&self) -> Running {
        let (over, watched) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for number in 0..CONNECTIONS {
            tasks.spawn(alter(self.clone(), number, watched.clone()));
        }
        Running { over, tasks }
    }
}

impl Running {
    /// Ends it, and says what became of it.
    ///
    /// # Errors
    /// A task broke.
    pub async fn stop(mut self) -> io::Result<Flood> {
        self.over.send_replace(true);
        let mut all = Flood::default();
        while let Some(ended) = self.tasks.join_next().await {
            let one = ended.map_err(io::Error::other)?;
            all.altered += one.altered;
            all.killed += one.killed;
            all.refused += one.refused;
            all.unreachable += one.unreachable;
        }
        Ok(all)
    }
}

async fn alter(plan: Plan, number: usize, mut over: watch::Receiver<bool>) -> Flood {
    let mut found = Flood::default();
    let mut client: Option<Client> = None;
    let pace = Duration::from_secs_f64(CONNECTIONS as f64 / plan.per_second);
    let mut beat = tokio::time::interval(pace);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // Each connection has databases of its own, once through with the one type, then with the other.
    let own: Vec<&String> = plan.databases.iter().skip(number).step_by(CONNECTIONS).collect();
    let mut round = 0;
    loop {
        for database in &own {
            let sql = format!("ALTER TABLE {database}.labels MODIFY weight {}", TYPES[round % TYPES.len()]);
            tokio::select! {
                _ = beat.tick() => {}
                _ = over.wait_for(|over| *over) => return found,
            }
            tokio::select! {
                () = one(&plan.login, &mut client, &sql, &mut found) => {}
                _ = over.wait_for(|over| *over) => return found,
            }
        }
        round += 1;
        if own.is_empty() {
            return found;
        }
    }
}

async fn one(login: &Login, client: &mut Option<Client>, sql: &str, found: &mut Flood) {
    if client.is_none() {
        match Client::connect(login).await {
            Ok(opened) => *client = Some(opened),
            Err(_) => {
                found.unreachable += 1;
                tokio::time::sleep(AGAIN_AFTER).await;
                return;
            }
        }
    }
    let Some(open) = client.as_mut() else { return };
    match open.query(sql).await {
        Ok(_) => found.altered += 1,
        Err(error) => match ServerError::of(&error) {
            Some(answer) if KILLED.contains(&answer.number) => found.killed += 1,
            Some(_) => found.refused += 1,
            None => {
                found.killed += 1;
                *client = None;
            }
        },
    }
}
