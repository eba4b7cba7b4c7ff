//! Bulkhead's event log, read at the end of a case.

use std::io;
use std::time::{Duration, SystemTime};

use super::moment::parse_utc;
use super::record::Mark;
use crate::client::{Client, Login, Table};

/// How long the answer may take.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);

/// What happened since the load began, oldest first. If the log cannot be read, that is told instead.
pub async fn read(login: &Login, began: SystemTime) -> Vec<Mark> {
    match ask(login).await {
        // The newest is first there.
        Ok(table) => (0..table.rows.len()).rev().filter_map(|row| mark(&table, row, began)).collect(),
        Err(error) => vec![Mark { at_s: 0.0, what: format!("the event log cannot be read: {error}") }],
    }
}

async fn ask(login: &Login) -> io::Result<Table> {
    let asking = async { Client::connect(login).await?.table("SHOW EVENTS").await };
    let answer = tokio::time::timeout(ANSWER_WAIT_MAX, asking).await;
    answer.map_err(|_| io::Error::other("no answer to SHOW EVENTS"))?
}

fn mark(table: &Table, row: usize, began: SystemTime) -> Option<Mark> {
    let word = |column: &str| table.get(row, column).unwrap_or_default();
    let at = parse_utc(word("at"))?.duration_since(began).ok()?;
    let parts = [word("cluster"), word("what"), word("how"), word("why"), word("signals"), word("actions")];
    let present: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    Some(Mark { at_s: at.as_secs_f64(), what: present.join(", ") })
}
