//! The compare-and-swap of one directory page.

use super::{DirectoryAdmin, WorkspaceError};
use crate::ids::WorkspaceId;
use crate::topology::directory::{Directory, Page, Slot, page_of};
use crate::topology::store::{Expect, Store, StoreError};
use crate::topology::{RouteError, WorkspaceState};

/// How often a page is read again because somebody else changed it.
pub(super) const ATTEMPTS_MAX: u32 = 16;

impl DirectoryAdmin {
    /// Applies `edit` to the workspace's slot as the store has it, and returns the slot it made.
    ///
    /// When the store fails, what it now has is read back if possible, so that memory never shows what is not
    /// stored; the error is returned all the same.
    pub(super) async fn edit(
        &self,
        directory: &Directory,
        workspace: &WorkspaceId,
        edit: impl Fn(Option<Slot>) -> Result<Option<Slot>, WorkspaceError>,
    ) -> Result<Option<Slot>, WorkspaceError> {
        let number = page_of(workspace);
        let key = directory.key_of(number);
        for _ in 0..ATTEMPTS_MAX {
            // Another proxy's change may not have arrived yet, and "not there" must be true.
            refresh(&*self.store, directory, number).await?;
            let page = readable(directory, number, workspace)?;
            let current = page.get(workspace);
            let slot = edit(current)?;
            if slot == current {
                return Ok(slot);
            }
            let mut next = page.clone();
            next.set(workspace, slot);
            match self.store.put_if(&key, directory.encode(&next), expect_of(&page)).await {
                Ok(version) => {
                    directory.install(number, next.at_version(version));
                    return Ok(slot);
                }
                Err(StoreError::Conflict { .. }) => {}
                Err(error) => {
                    // The first failure is what the caller must see; the second read is best effort.
                    let _ = refresh(&*self.store, directory, number).await;
                    return Err(error.into());
                }
            }
        }
        Err(WorkspaceError::Contended { key, attempts: ATTEMPTS_MAX })
    }
}

/// The page, or the refusal of its workspaces.
pub(super) fn readable(
    directory: &Directory,
    number: usize,
    workspace: &WorkspaceId,
) -> Result<Page, WorkspaceError> {
    let page = directory.page(number);
    match &page.damage {
        None => Ok(Page::clone(&page)),
        Some(reason) => Err(RouteError::DamagedPage {
            key: directory.key_of(number),
            reason: reason.to_string(),
            workspace: workspace.clone(),
        }
        .into()),
    }
}

/// What the page's key must look like for a write over `page`.
pub(super) fn expect_of(page: &Page) -> Expect {
    if page.version == 0 { Expect::Absent } else { Expect::Version(page.version) }
}

/// Reads one page again.
pub(super) async fn refresh(
    store: &dyn Store,
    directory: &Directory,
    number: usize,
) -> Result<(), StoreError> {
    match store.get(&directory.key_of(number)).await? {
        Some(stored) => directory.install(number, directory.decode(number, &stored)),
        None => directory.forget(number),
    }
    Ok(())
}

/// Says whether a slot differs from what is wanted, in shard or state.
pub(super) fn differs(slot: Slot, shard: u16, state: WorkspaceState) -> bool {
    slot.shard != shard || slot.state != state
}
