//! What planning may know of the session, and what binding may know of it.
//!
//! Planning sees only the *shape* of the session's target, so that one plan serves all workspaces; binding
//! sees the workspace ids themselves.

use crate::error::Code;
use crate::ids::{Keyspace, WorkspaceId};

use super::Refusal;

/// The session's target as far as a plan may depend on it; part of the plan cache's key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TargetShape {
    /// The keyspace of the session's database; absent when no database is selected.
    pub keyspace: Option<Keyspace>,
    /// A workspace id comes from the session's database, the session variable or a comment.
    pub workspace_pinned: bool,
    /// The session's database is the database of one workspace (`USE ws_42`).
    pub pinned_by_database: bool,
    /// The user may cross workspaces.
    pub may_cross: bool,
    /// The user may use some keyspaces only.
    pub confined: bool,
    /// The statement carries the directive `/*bulkhead: all_shards */`.
    pub all_shards: bool,
}

/// The workspace ids that do not come from the statement itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorkspacePins<'a> {
    /// From the session's database: `USE ws_42`, or the handshake's database.
    pub database: Option<&'a WorkspaceId>,
    /// From the session variable: `SET @workspace_id = 42`.
    pub variable: Option<&'a WorkspaceId>,
    /// From a leading or trailing comment: `/*workspace_id:42*/`.
    pub comment: Option<&'a WorkspaceId>,
}

impl<'a> WorkspacePins<'a> {
    /// The one workspace that all sources name; `None` when there is no source.
    ///
    /// # Errors
    /// [`Code::WorkspaceConflict`] when two sources disagree.
    pub fn agreed(&self) -> Result<Option<&'a WorkspaceId>, Refusal> {
        let mut agreed: Option<&'a WorkspaceId> = None;
        for pin in [self.database, self.variable, self.comment].into_iter().flatten() {
            match agreed {
                Some(other) if other != pin => {
                    return Err(Refusal::new(Code::WorkspaceConflict));
                }
                _ => agreed = Some(pin),
            }
        }
        Ok(agreed)
    }

    /// Says whether any source names a workspace.
    pub fn is_pinned(&self) -> bool {
        self.database.or(self.variable).or(self.comment).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_agree_or_conflict() {
        let (a, b) = (WorkspaceId::Number(42), WorkspaceId::Number(43));
        let pins = WorkspacePins { database: Some(&a), variable: None, comment: Some(&a) };
        assert_eq!(pins.agreed(), Ok(Some(&a)));
        let pins = WorkspacePins { variable: Some(&b), ..pins };
        assert_eq!(pins.agreed().map_err(|refusal| refusal.code), Err(Code::WorkspaceConflict));
        assert_eq!(WorkspacePins::default().agreed(), Ok(None));
        assert!(!WorkspacePins::default().is_pinned());
    }
}
