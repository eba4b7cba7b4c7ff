//! What Bulkhead says of its clusters while a case is played, and how busy the machine is.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::record::{Change, Health};
use super::workers::Crowd;
use crate::client::{Client, Login};

/// Between two looks at SHOW HEALTH: a bar of seconds is read to a tenth.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long an answer may take before Bulkhead counts as silent.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(1);
/// States that are kept, at most.
const CHANGES_MAX: usize = 10_000;

/// Looks until the crowd's end; gives every change, in order.
pub async fn look(login: Login, clusters: Vec<String>, crowd: Arc<Crowd>) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    let mut latest: Vec<Option<Health>> = vec![None; clusters.len()];
    let mut client = None;
    let mut beat = tokio::time::interval(LOOK_EVERY);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            () = crowd.ended() => return changes,
        }
        let seen = match tokio::time::timeout(ANSWER_WAIT_MAX, once(&login, &mut client, &clusters)).await {
            Ok(Ok(seen)) => seen,
            _ => {
                client = None;
                vec![silent(); clusters.len()]
            }
        };
        let at_s = crowd.now_s();
        for ((cluster, health), latest) in clusters.iter().zip(seen).zip(&mut latest) {
            if latest.as_ref() != Some(&health) && changes.len() < CHANGES_MAX {
                changes.push(Change { at_s, cluster: cluster.clone(), health: health.clone() });
                *latest = Some(health);
            }
        }
    }
}

fn silent() -> Health {
    Health { state: "unknown".to_owned(), stage: "unknown".to_owned(), signal: String::new() }
}

async fn once(login: &Login, client: &mut Option<Client>, clusters: &[String]) -> io::Result<Vec<Health>> {
    let open = match client {
        Some(open) => open,
        None => client.insert(Client::connect(login).await?),
    };
    let table = open.table("SHOW HEALTH").await?;
    let of = |cluster: &String| {
        let row = (0..table.rows.len()).find(|row| table.get(*row, "cluster") == Some(cluster));
        row.map_or_else(silent, |row| {
            let word = |column: &str| table.get(row, column).unwrap_or_default().to_owned();
            Health { state: word("state"), stage: word("stage"), signal: word("worst_signal") }
        })
    };
    Ok(clusters.iter().map(of).collect())
}

/// Reads each second how much of the machine's CPU was busy, until the crowd's end.
pub async fn cpu(crowd: Arc<Crowd>) -> Vec<f64> {
    let mut found = Vec::new();
    let mut before = read_cpu();
    let mut beat = tokio::time::interval(Duration::from_secs(1));
    beat.tick().await;
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            () = crowd.ended() => return found,
        }
        let now = read_cpu();
        let (busy, all) = (now.0.saturating_sub(before.0), now.1.saturating_sub(before.1));
        found.push(busy as f64 / all.max(1) as f64);
        before = now;
    }
}

/// Busy and all ticks of all processors so far; nothing where /proc cannot be read.
fn read_cpu() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    text.lines().next().and_then(parse_cpu).unwrap_or((0, 0))
}

/// The first line of /proc/stat: user, nice, system, idle, waiting for disks, interrupts (two), stolen; what
/// guests use is in user already.
fn parse_cpu(line: &str) -> Option<(u64, u64)> {
    let fields = line.strip_prefix("cpu ")?.split_whitespace().take(8);
    let ticks: Vec<u64> = fields.map(|field| field.parse().ok()).collect::<Option<_>>()?;
    let idle = ticks.get(3)? + ticks.get(4)?;
    let all: u64 = ticks.iter().sum();
    Some((all - idle, all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_what_is_not_idle() {
        assert_eq!(parse_cpu("cpu  10 1 9 70 5 2 3 0 4 0"), Some((25, 100)));
        assert_eq!(parse_cpu("cpu  10 1"), None);
        assert_eq!(parse_cpu("cpu0 1 2 3 4 5 6 7 8"), None);
    }
}
