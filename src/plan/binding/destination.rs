//! Where a bound statement goes.

use crate::ids::{KeyRange, Keyspace, KeyspaceId, WorkspaceId};

/// Where a bound statement goes; resolved to a cluster by the snapshot it was planned on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// No table is involved: any server of the session's target serves (the transaction's, the last one used,
    /// or any shard of the session's keyspace, or any cluster).
    Any,
    /// One place; the text goes as the client sent it.
    One(Address),
    /// One place; the text was edited (qualifiers or schema names replaced).
    Edited {
        /// Where.
        address: Address,
        /// The text to send instead.
        text: PieceText,
    },
    /// Several places, each with its own text: an INSERT split by rows. Affected rows are summed.
    Split(Vec<Piece>),
    /// Every shard of the keyspace, as the explicit directive asks. Affected rows are summed, rows
    /// concatenated.
    All(Keyspace),
    /// A schema change of every database of the keyspace.
    Fleet(Keyspace),
    /// Bulkhead answers.
    Local(LocalAnswer),
}

/// The edited text of a statement, bytes as they go to a server.
pub type PieceText = Vec<u8>;

/// One place's part of a split statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where.
    pub address: Address,
    /// What runs there.
    pub text: PieceText,
    /// The statement's parameters that the text has, in the text's order.
    pub params: Vec<u16>,
}

/// One place, in words of the vschema: the topology says which shard that is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// The single shard of an unsharded keyspace.
    Keyspace(Keyspace),
    /// Any one shard of a keyspace: what is asked is the same on all of them (schema, reference tables).
    AnyShard(Keyspace),
    /// The own database of a `database_per_workspace` keyspace, which bears its name, on the shard of
    /// [`Address::AnyShard`]: tables that belong to no workspace.
    Own(Keyspace),
    /// The database of some workspace on that shard, which stands for all: questions about the schema.
    Model(Keyspace),
    /// The shard where the directory places the workspace. In a `database_per_workspace` keyspace the
    /// connection's database is the workspace's.
    Workspace {
        /// The keyspace.
        keyspace: Keyspace,
        /// The workspace.
        workspace: WorkspaceId,
    },
    /// The shard whose range holds a keyspace id.
    Key {
        /// The keyspace.
        keyspace: Keyspace,
        /// The workspace, where one column alone is its id.
        workspace: Option<WorkspaceId>,
        /// The keyspace id.
        id: KeyspaceId,
    },
    /// The one shard that covers a whole range; refused as `cross_shard` when several do.
    Range {
        /// The keyspace.
        keyspace: Keyspace,
        /// All keyspace ids that the statement may touch.
        range: KeyRange,
    },
}

impl Address {
    /// The keyspace of the place.
    pub fn keyspace(&self) -> &Keyspace {
        match self {
            Self::Keyspace(keyspace)
            | Self::AnyShard(keyspace)
            | Self::Own(keyspace)
            | Self::Model(keyspace)
            | Self::Workspace { keyspace, .. }
            | Self::Key { keyspace, .. }
            | Self::Range { keyspace, .. } => keyspace,
        }
    }

    /// Says whether it is in a database that belongs to no workspace, or to whichever stands for all.
    pub fn is_of_keyspace(&self) -> bool {
        matches!(self, Self::Own(_) | Self::Model(_))
    }

    /// The workspace, where the place is one's.
    pub fn workspace(&self) -> Option<&WorkspaceId> {
        match self {
            Self::Workspace { workspace, .. } => Some(workspace),
            Self::Key { workspace, .. } => workspace.as_ref(),
            Self::Keyspace(_) | Self::AnyShard(_) | Self::Own(_) | Self::Model(_) | Self::Range { .. } => {
                None
            }
        }
    }
}

/// What Bulkhead does or answers itself; the details are in the parsed statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LocalAnswer {
    /// `SHOW DATABASES`: keyspaces and the current workspace's database.
    Databases,
    /// `SHOW [FULL] PROCESSLIST`, `information_schema.processlist` is not this.
    ProcessList,
    /// `KILL`.
    Kill,
    /// `USE`.
    Use,
    /// `SET`: the session's own state.
    Set,
    /// Transaction control; [`crate::plan::Effects::transaction`] says which.
    Transaction,
    /// `PREPARE name FROM …`: the inner text is to be planned like any statement before it is accepted.
    Prepare,
    /// `EXECUTE name`.
    Execute,
    /// `DEALLOCATE PREPARE name`.
    Deallocate,
}
