//! What Bulkhead says of fleet migrations while one is carried out: how it stands, and what each cluster
//! bears.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::client::{Client, Login, Table};
use crate::incident::workers::Crowd;

/// Between two looks: a bar of seconds is read to a tenth.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long an answer may take before Bulkhead counts as silent.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(1);
/// Changes that are kept, at most, of each kind.
const CHANGES_MAX: usize = 100_000;

/// What a cluster bears of schema changes, from when on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lane {
    /// When it was seen, seconds since the load began.
    pub at_s: f64,
    /// The cluster.
    pub cluster: String,
    /// `open`, or `closed` and why.
    pub lane: String,
    /// Share of the budget that is used, 0 to 1.
    pub share: f64,
    /// Databases that are being changed.
    pub occupied: u64,
    /// Schema changes of connections past Bulkhead.
    pub foreign: u64,
}

impl Lane {
    /// What of the budget may be used now.
    pub fn pace(&self) -> f64 {
        if self.lane == "open" { self.share } else { 0.0 }
    }

    fn says_the_same(&self, other: &Self) -> bool {
        Self { at_s: self.at_s, ..other.clone() } == *self
    }
}

/// How the fleet migration stands, from when on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Standing {
    /// When it was seen, seconds since the load began.
    pub at_s: f64,
    /// Its state and what it does: `active working`; `no answer` when Bulkhead is silent.
    pub words: String,
    /// Its wave, and why it waits, where there is something to say.
    pub why: String,
}

/// What was said, in order of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Said {
    /// Of clusters.
    pub lanes: Vec<Lane>,
    /// Of the migration.
    pub standings: Vec<Standing>,
}

/// Looks until the crowd's end.
pub async fn look(login: Login, crowd: Arc<Crowd>) -> Said {
    let mut said = Said::default();
    let (mut client, mut id) = (None, None);
    let mut beat = tokio::time::interval(LOOK_EVERY);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            () = crowd.ended() => return said,
        }
        let seen = tokio::time::timeout(ANSWER_WAIT_MAX, once(&login, &mut client, &mut id)).await;
        let at_s = crowd.now_s();
        match seen {
            Ok(Ok((lanes, facts))) => {
                read_lanes(&lanes, at_s).into_iter().for_each(|lane| said.add_lane(lane));
                said.add_standing(read_standing(&facts, at_s));
            }
            _ => {
                client = None;
                said.add_standing(Standing { at_s, words: "no answer".to_owned(), why: String::new() });
            }
        }
    }
}

async fn once(
    login: &Login,
    client: &mut Option<Client>,
    id: &mut Option<String>,
) -> io::Result<(Table, Table)> {
    let open = match client {
        Some(open) => open,
        None => client.insert(Client::connect(login).await?),
    };
    let lanes = open.table("SHOW DDL LANES").await?;
    if id.is_none() {
        // The list grows by a line for each table that is copied, so it is not asked for again.
        let list = open.table("SHOW MIGRATIONS WHERE kind = fleet").await?;
        *id = list.get(0, "id").map(str::to_owned);
    }
    let facts = match id {
        Some(id) => open.table(&format!("SHOW MIGRATION '{id}'")).await?,
        None => Table::default(),
    };
    Ok((lanes, facts))
}

impl Said {
    fn add_lane(&mut self, lane: Lane) {
        let last = self.lanes.iter().rev().find(|last| last.cluster == lane.cluster);
        if last.is_none_or(|last| !last.says_the_same(&lane)) && self.lanes.len() < CHANGES_MAX {
            self.lanes.push(lane);
        }
    }

    fn add_standing(&mut self, standing: Standing) {
        let same = |last: &Standing| last.words == standing.words && last.why == standing.why;
        if !self.standings.last().is_some_and(same) && self.standings.len() < CHANGES_MAX {
            self.standings.push(standing);
        }
    }

    /// What was said of a cluster, in order.
    pub fn of<'a>(&'a self, cluster: &'a str) -> impl DoubleEndedIterator<Item = &'a Lane> {
        self.lanes.iter().filter(move |lane| lane.cluster == cluster)
    }

    /// What was known of a cluster then.
    pub fn lane_at<'a>(&'a self, cluster: &'a str, at_s: f64) -> Option<&'a Lane> {
        self.of(cluster).take_while(|lane| lane.at_s <= at_s).last()
    }
}

fn read_lanes(table: &Table, at_s: f64) -> Vec<Lane> {
    let number = |row: usize, column: &str| table.get(row, column).and_then(|text| text.parse::<f64>().ok());
    let lane = |row: usize| Lane {
        at_s,
        cluster: table.get(row, "cluster").unwrap_or_default().to_owned(),
        lane: table.get(row, "lane").unwrap_or_default().to_owned(),
        share: number(row, "share").unwrap_or(0.0),
        occupied: number(row, "occupied").unwrap_or(0.0) as u64,
        foreign: number(row, "foreign").unwrap_or(0.0) as u64,
    };
    (0..table.rows.len()).map(lane).collect()
}

/// From names and values.
fn read_standing(facts: &Table, at_s: f64) -> Standing {
    let word = |name: &str| {
        let row = (0..facts.rows.len()).find(|row| facts.get(*row, "name") == Some(name));
        row.and_then(|row| facts.get(row, "value")).unwrap_or_default()
    };
    let words =
        if facts.rows.is_empty() { "none".to_owned() } else { format!("{} {}", word("state"), word("step")) };
    let why = [word("wave_name"), word("waits_for")].join(" ").trim().to_owned();
    Standing { at_s, words, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[&str], rows: &[&[&str]]) -> Table {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let rows = rows.iter().map(|row| owned(row).into_iter().map(Some).collect()).collect();
        Table { columns: owned(columns), rows }
    }

    #[test]
    fn only_changes_are_kept() {
        let columns = ["cluster", "lane", "share", "occupied", "foreign"];
        let open = table(&columns, &[&["c1", "open", "0.5", "2", "0"], &["c2", "open", "0.25", "0", "0"]]);
        let closed = table(&columns, &[&["c1", "closed: it is suspect", "0.06", "1", "0"]]);
        let mut said = Said::default();
        for (seen, at_s) in [(&open, 1.0), (&open, 2.0), (&closed, 3.0)] {
            read_lanes(seen, at_s).into_iter().for_each(|lane| said.add_lane(lane));
        }
        assert_eq!(said.lanes.len(), 3);
        assert_eq!(said.of("c1").map(Lane::pace).collect::<Vec<_>>(), [0.5, 0.0]);
        assert_eq!(said.lane_at("c1", 2.9).map(|lane| lane.occupied), Some(2));
        assert_eq!(said.lane_at("c1", 0.5), None);
    }

    #[test]
    fn the_migration_is_told_in_words() {
        let facts = table(
            &["name", "value"],
            &[&["id", "b"], &["state", "active"], &["step", "soaking"], &["wave_name", "1 %"]],
        );
        let mut said = Said::default();
        said.add_standing(read_standing(&Table::default(), 0.5));
        said.add_standing(read_standing(&facts, 1.0));
        said.add_standing(read_standing(&facts, 2.0));
        let words: Vec<&str> = said.standings.iter().map(|standing| standing.words.as_str()).collect();
        assert_eq!(words, ["none", "active soaking"]);
        assert_eq!(said.standings[1].why, "1 %");
    }
}
