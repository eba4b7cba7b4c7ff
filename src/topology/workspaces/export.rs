//! Exporting a directory as text that an import reads.

use super::rows::{self, RowFormat, WorkspaceRow};
use super::{DirectoryAdmin, WorkspaceError};
use crate::ids::Keyspace;

/// Bytes collected before they are handed on.
const CHUNK_BYTES: usize = 64 * 1024;

impl DirectoryAdmin {
    /// Hands every workspace to `write` in chunks of text, in no order; the number of workspaces.
    ///
    /// Each page is as of one moment; changes meanwhile may or may not be in.
    ///
    /// # Errors
    /// [`WorkspaceError::Route`] when the keyspace has no directory or a page of it is damaged (before
    /// anything is written: an export must be whole); what `write` fails with.
    pub fn export(
        &self,
        keyspace: &Keyspace,
        format: RowFormat,
        mut write: impl FnMut(&[u8]) -> Result<(), WorkspaceError>,
    ) -> Result<usize, WorkspaceError> {
        let snapshot = self.snapshots.load();
        let directory = snapshot.directory(keyspace)?;
        if let Some(page) = directory.damaged().into_iter().next() {
            let reason = format!("the directory page {} is damaged: {}", page.key, page.reason);
            return Err(WorkspaceError::File { path: page.key.into(), reason });
        }
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + 256);
        let mut count = 0;
        rows::write_header(format, &mut chunk);
        for page in directory.pages() {
            for (workspace, slot) in page.entries() {
                let entry = directory.entry(slot);
                let row = WorkspaceRow { workspace, shard: Some(entry.shard), state: entry.state };
                rows::write_row(format, &row, &mut chunk);
                count += 1;
            }
            if chunk.len() >= CHUNK_BYTES {
                write(&chunk)?;
                chunk.clear();
            }
        }
        write(&chunk)?;
        Ok(count)
    }
}
