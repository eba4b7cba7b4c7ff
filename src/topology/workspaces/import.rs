//! Importing many workspaces: all rows are checked before the first is written, then pages are written in
//! batches.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::BufRead;

use super::change::{ATTEMPTS_MAX, differs, expect_of, readable, refresh};
use super::rows::{self, RowFormat, Rows, WorkspaceRow};
use super::{DirectoryAdmin, ShardLoads, WorkspaceError, check_name, exists, intern};
use crate::ids::{Keyspace, ShardName, WorkspaceId};
use crate::topology::directory::{Directory, Page, Slot, page_of};
use crate::topology::store::{COMMIT_WRITES_MAX, StoreError, Write};
use crate::topology::{Snapshot, WorkspaceState};

/// What an import does with workspaces that are already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// They are faults; nothing is written.
    Refuse,
    /// They stay as they are.
    Skip,
    /// They become what the file says, whatever their state.
    Replace,
}

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Rows read.
    pub rows: usize,
    /// Workspaces added.
    pub created: usize,
    /// Workspaces that became something else.
    pub replaced: usize,
    /// Workspaces that stayed as they were.
    pub unchanged: usize,
}

/// A checked row.
struct Wanted {
    workspace: WorkspaceId,
    shard: u16,
    state: WorkspaceState,
}

impl DirectoryAdmin {
    /// Adds the workspaces of a text. All rows are checked first; then whole pages are written, many in one
    /// commit.
    ///
    /// # Errors
    /// [`WorkspaceError::Rows`] with every fault (up to a bound) when any row is wrong: nothing is written.
    /// [`WorkspaceError::Stopped`] when the store fails half-way: what was written stays, and is visible.
    pub async fn import(
        &self,
        keyspace: &Keyspace,
        input: impl BufRead + Send,
        format: RowFormat,
        existing: Existing,
    ) -> Result<ImportReport, WorkspaceError> {
        let snapshot = self.snapshots.load();
        let directory = snapshot.directory(keyspace)?;
        directory.reload(&*self.store).await?;
        let wanted = check(&snapshot, keyspace, rows::read(input, format), existing)?;
        let mut report = ImportReport { rows: wanted.len(), ..ImportReport::default() };
        let mut by_page: BTreeMap<usize, Vec<Wanted>> = BTreeMap::new();
        for row in wanted {
            by_page.entry(page_of(&row.workspace)).or_default().push(row);
        }
        let pages: Vec<(usize, Vec<Wanted>)> = by_page.into_iter().collect();
        for batch in pages.chunks(COMMIT_WRITES_MAX) {
            let done = self.write_batch(directory, batch, existing).await.map_err(|cause| {
                let written = report.created + report.replaced;
                WorkspaceError::Stopped { written, rows: report.rows, cause: Box::new(cause) }
            })?;
            report.created += done.created;
            report.replaced += done.replaced;
            report.unchanged += done.unchanged;
        }
        Ok(report)
    }

    async fn write_batch(
        &self,
        directory: &Directory,
        batch: &[(usize, Vec<Wanted>)],
        existing: Existing,
    ) -> Result<ImportReport, WorkspaceError> {
        for _ in 0..ATTEMPTS_MAX {
            let mut report = ImportReport::default();
            let mut next = Vec::with_capacity(batch.len());
            for (number, rows) in batch {
                next.extend(merge(directory, *number, rows, existing, &mut report)?);
            }
            let write = |(number, page): &(usize, Page)| Write {
                key: directory.key_of(*number),
                value: Some(directory.encode(page)),
                expect: expect_of(page),
            };
            if next.is_empty() {
                return Ok(report);
            }
            match self.store.commit(next.iter().map(write).collect()).await {
                Ok(version) => {
                    next.into_iter().for_each(|(at, page)| directory.install(at, page.at_version(version)));
                    return Ok(report);
                }
                Err(StoreError::Conflict { .. }) => self.refresh_all(directory, batch).await?,
                Err(error) => {
                    // The first failure is what the caller must see; the second read is best effort.
                    let _ = self.refresh_all(directory, batch).await;
                    return Err(error.into());
                }
            }
        }
        let key = batch.first().map(|(number, _)| directory.key_of(*number)).unwrap_or_default();
        Err(WorkspaceError::Contended { key, attempts: ATTEMPTS_MAX })
    }

    async fn refresh_all(
        &self,
        directory: &Directory,
        batch: &[(usize, Vec<Wanted>)],
    ) -> Result<(), StoreError> {
        for (number, _) in batch {
            refresh(&*self.store, directory, *number).await?;
        }
        Ok(())
    }
}

/// The page with the rows in it; `None` when they change nothing.
fn merge(
    directory: &Directory,
    number: usize,
    rows: &[Wanted],
    existing: Existing,
    report: &mut ImportReport,
) -> Result<Option<(usize, Page)>, WorkspaceError> {
    let Some(first) = rows.first() else { return Ok(None) };
    let mut page = readable(directory, number, &first.workspace)?;
    let mut is_changed = false;
    for Wanted { workspace, shard, state } in rows {
        let revision = match page.get(workspace) {
            None => {
                report.created += 1;
                1
            }
            Some(slot) if existing == Existing::Replace && differs(slot, *shard, *state) => {
                report.replaced += 1;
                slot.revision.saturating_add(1)
            }
            Some(slot) if existing == Existing::Refuse => {
                let shard = directory.entry(slot).shard;
                return Err(exists(directory.keyspace(), workspace, shard));
            }
            Some(_) => {
                report.unchanged += 1;
                continue;
            }
        };
        is_changed = true;
        page.set(workspace, Some(Slot { revision, shard: *shard, state: *state }));
    }
    Ok(is_changed.then_some((number, page)))
}

/// Checks all rows and gives those without a shard one.
fn check(
    snapshot: &Snapshot,
    keyspace: &Keyspace,
    mut read: Rows,
    existing: Existing,
) -> Result<Vec<Wanted>, WorkspaceError> {
    let directory = snapshot.directory(keyspace)?;
    let mut loads = ShardLoads::of(snapshot, keyspace)?;
    let mut numbers: HashMap<ShardName, u16> = HashMap::new();
    for shard in snapshot.shards(keyspace) {
        numbers.insert(shard.name.clone(), intern(directory, &shard.name)?);
    }
    let rows = std::mem::take(&mut read.rows);
    let count = rows.len() + read.faults.len();
    let mut wanted = Vec::with_capacity(rows.len());
    let mut seen = HashSet::with_capacity(rows.len());
    for (line, row) in rows {
        if !seen.insert(row.workspace.clone()) {
            read.fault(line, format!("workspace {} is there twice", row.workspace));
            continue;
        }
        let placed = place(snapshot, keyspace, &row, existing, &mut loads);
        match placed.map(|shard| (numbers.get(&shard).copied(), shard)) {
            Ok((Some(shard), _)) => wanted.push(Wanted { workspace: row.workspace, shard, state: row.state }),
            Ok((None, shard)) => read.fault(line, format!("{keyspace} has no shard {shard}")),
            Err(error) => read.fault(line, error.to_string()),
        }
    }
    if read.faults.is_empty() {
        Ok(wanted)
    } else {
        Err(WorkspaceError::Rows { rows: count, faults: read.faults })
    }
}

/// The shard that a row names, or keeps, or gets by weight.
fn place(
    snapshot: &Snapshot,
    keyspace: &Keyspace,
    row: &WorkspaceRow,
    existing: Existing,
    loads: &mut ShardLoads,
) -> Result<ShardName, WorkspaceError> {
    check_name(snapshot, keyspace, &row.workspace)?;
    let known = snapshot.directory(keyspace)?.lookup(&row.workspace)?;
    match (known, &row.shard) {
        (Some(entry), _) if existing == Existing::Refuse => {
            Err(exists(keyspace, &row.workspace, entry.shard))
        }
        (_, Some(named)) => Ok(named.clone()),
        (Some(entry), None) => Ok(entry.shard),
        (None, None) => Ok(loads.place()?.name.clone()),
    }
}
