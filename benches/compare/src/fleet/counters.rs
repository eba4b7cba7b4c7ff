//! Looks at a primary's own counters while a case is played, past Bulkhead.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::pace::Reading;
use super::schema;
use crate::client::{Client, Login, Table};
use crate::incident::workers::Crowd;

/// Between two looks at the counters: a bar of seconds is read to a quarter.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Every so many looks the changed databases are counted, which takes a server some milliseconds.
const COUNT_EVERY: u32 = 8;
/// How long an answer may take.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);
const STATUS: &str = "SHOW GLOBAL STATUS WHERE Variable_name IN \
     ('Questions', 'Com_create_table', 'Com_alter_table', 'Com_rename_table', 'Com_drop_table')";

/// What a primary said.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Counted {
    /// The cluster.
    pub cluster: String,
    /// In order of time.
    #[serde(skip)]
    pub readings: Vec<Reading>,
    /// How many databases had the new type, and when, seconds since the load began.
    pub changed: Vec<(f64, u64)>,
}

/// Looks until the crowd's end. What the server does not answer is left out.
pub async fn look(login: Login, cluster: String, crowd: Arc<Crowd>) -> Counted {
    let mut counted = Counted { cluster, ..Counted::default() };
    let mut client = None;
    let mut beat = tokio::time::interval(LOOK_EVERY);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for turn in 0_u32.. {
        tokio::select! {
            _ = beat.tick() => {}
            () = crowd.ended() => break,
        }
        let looking = once(&login, &mut client, turn % COUNT_EVERY == 0);
        let Ok(Ok((mut reading, changed))) = tokio::time::timeout(ANSWER_WAIT_MAX, looking).await else {
            client = None;
            continue;
        };
        reading.at_s = crowd.now_s();
        counted.changed.extend(changed.map(|count| (reading.at_s, count)));
        counted.readings.push(reading);
    }
    counted
}

async fn once(
    login: &Login,
    client: &mut Option<Client>,
    counts: bool,
) -> io::Result<(Reading, Option<u64>)> {
    let open = match client {
        Some(open) => open,
        None => client.insert(Client::connect(login).await?),
    };
    let changed = if counts {
        let table = open.table(&schema::count_changed()).await?;
        table.get(0, "changed").and_then(|count| count.parse().ok())
    } else {
        None
    };
    Ok((read(&open.table(STATUS).await?), changed))
}

/// Rows of a name and a number.
fn read(table: &Table) -> Reading {
    let mut reading = Reading::default();
    for row in &table.rows {
        let [Some(name), Some(value)] = row.as_slice() else { continue };
        let value: u64 = value.parse().unwrap_or(0);
        if name == "Questions" { reading.statements += value } else { reading.schema += value }
    }
    reading
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_added_up() {
        let row = |name: &str, value: &str| vec![Some(name.to_owned()), Some(value.to_owned())];
        let rows = vec![
            row("Questions", "900"),
            row("Com_alter_table", "3"),
            row("Com_rename_table", "4"),
            vec![None],
        ];
        let reading = read(&Table { columns: Vec::new(), rows });
        assert_eq!((reading.statements, reading.schema), (900, 7));
    }
}
