//! Rows, a page at a time.

use serde::{Deserialize, Serialize};

use super::record::{Record, Steps};
use crate::ids::{ClusterName, MigrationId, ShardName, WorkspaceId};

/// Rows of one page. A page is written whole when one of its rows changes: about 10 KiB.
pub const ROWS_PER_PAGE: u32 = 64;

/// One database of a fleet migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The database on the server.
    pub database: Box<str>,
    /// Its workspace; absent where tables are shared or the keyspace is unsharded.
    pub workspace: Option<WorkspaceId>,
    /// The shard.
    pub shard: ShardName,
    /// The cluster that holds it.
    pub cluster: ClusterName,
    /// Its wave.
    pub wave: u16,
    /// Which of the order's steps were done already, by the plan or by the look before the change: one bit
    /// each, the lowest the first. What was there before is not taken back.
    pub there: u64,
    /// Steps that attempts have done, and those that they may have: what later ones find done of these is
    /// their work.
    pub made: u64,
    /// See `made`.
    pub unsure: u64,
    /// Where it stands.
    pub record: Record,
}

/// A page that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PageFault {
    /// It is no page.
    #[error("it cannot be read: {0}")]
    Form(#[from] serde_json::Error),
    /// It holds something that no row has.
    #[error("row {at}: {what}")]
    Row {
        /// The row, from 0.
        at: usize,
        /// What is wrong.
        what: &'static str,
    },
}

/// Names that rows share are written once.
#[derive(Serialize, Deserialize)]
struct StoredPage {
    places: Vec<(ShardName, ClusterName)>,
    rows: Vec<StoredRow>,
}

#[derive(Serialize, Deserialize)]
struct StoredRow {
    #[serde(rename = "d")]
    database: Box<str>,
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    workspace: Option<String>,
    #[serde(rename = "p")]
    place: u16,
    #[serde(rename = "v")]
    wave: u16,
    #[serde(rename = "t", default, skip_serializing_if = "is_zero")]
    there: u64,
    #[serde(rename = "m", default, skip_serializing_if = "is_zero")]
    made: u64,
    #[serde(rename = "u", default, skip_serializing_if = "is_zero")]
    unsure: u64,
    #[serde(rename = "r")]
    record: Record,
}

fn is_zero(bits: &u64) -> bool {
    *bits == 0
}

impl Row {
    /// Notes what an attempt saw and did. What it did was not there, whatever the plan said; what it found
    /// done was, unless an attempt before it may have done it.
    pub(in crate::migrations::fleet) fn note(&mut self, steps: Steps) {
        self.there |= steps.there & !(self.made | self.unsure);
        self.there &= !steps.made;
        self.made |= steps.made;
        self.unsure |= steps.unsure;
        if steps.unsure != Steps::LOST.unsure {
            // It was looked at before it was sent.
            self.there &= !steps.unsure;
        }
    }

    /// Which of so many steps are not to be taken back: what no attempt has done, or may have, and what was
    /// there.
    pub(in crate::migrations::fleet) fn not_taken_back(&self, steps: usize) -> u64 {
        let all = u64::MAX >> (64 - steps.clamp(1, 64));
        match self.made | self.unsure {
            // Changed, and not known how.
            0 => self.there,
            done => (!done | self.there) & all,
        }
    }
}

/// Pages that so many rows take.
pub fn pages_for(rows: u32) -> u32 {
    rows.div_ceil(ROWS_PER_PAGE)
}

/// The page of a row.
pub fn page_of(row: u32) -> u32 {
    row / ROWS_PER_PAGE
}

/// The store's key of a page of an edition.
pub fn page_key(id: &MigrationId, edition: u16, page: u32) -> String {
    format!("{}{page:05x}", rows_prefix(id, edition))
}

pub(super) fn rows_prefix(id: &MigrationId, edition: u16) -> String {
    match edition {
        0 => format!("fleet/rows/{id}/"),
        edition => format!("fleet/rows/{id}.{edition}/"),
    }
}

/// The stored form of a page.
pub fn encode_page(rows: &[Row]) -> Vec<u8> {
    let mut places: Vec<(ShardName, ClusterName)> = Vec::new();
    let mut stored = Vec::with_capacity(rows.len());
    for row in rows {
        let known = places.iter().position(|(shard, cluster)| *shard == row.shard && *cluster == row.cluster);
        let place = known.unwrap_or_else(|| {
            places.push((row.shard.clone(), row.cluster.clone()));
            places.len() - 1
        });
        stored.push(StoredRow {
            database: row.database.clone(),
            workspace: row.workspace.as_ref().map(ToString::to_string),
            place: u16::try_from(place).expect("a page has 64 rows"),
            wave: row.wave,
            there: row.there,
            made: row.made,
            unsure: row.unsure,
            record: row.record.clone(),
        });
    }
    serde_json::to_vec(&StoredPage { places, rows: stored }).expect("rows have a JSON form")
}

/// Reads a page.
///
/// # Errors
/// [`PageFault`].
pub fn decode_page(stored: &[u8]) -> Result<Vec<Row>, PageFault> {
    let page: StoredPage = serde_json::from_slice(stored)?;
    let mut rows = Vec::with_capacity(page.rows.len());
    for (at, row) in page.rows.into_iter().enumerate() {
        let fault = |what| PageFault::Row { at, what };
        let (shard, cluster) =
            page.places.get(usize::from(row.place)).cloned().ok_or_else(|| fault("it has no place"))?;
        let workspace = match row.workspace {
            Some(text) => Some(WorkspaceId::parse(&text).ok_or_else(|| fault("its workspace is no id"))?),
            None => None,
        };
        rows.push(Row {
            database: row.database,
            workspace,
            shard,
            cluster,
            wave: row.wave,
            there: row.there,
            made: row.made,
            unsure: row.unsure,
            record: row.record,
        });
    }
    Ok(rows)
}
