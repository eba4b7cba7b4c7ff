//! From a plan's address to a place: the cluster, the role and the database a statement runs in.
//!
//! Pure but for reads of the snapshot and its directory: the workspace's state is checked here, once, for the
//! very snapshot that the statement was planned on.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::admission;
use crate::error::{ClientError, Code};
use crate::ids::{ClusterName, Keyspace, Role, WorkspaceId};
use crate::plan::Address;
use crate::topology::{Placement, Shard, Snapshot, WorkspaceState};
use crate::vschema::{KeyspaceSchema, Layout};

use crate::session::state::State;

/// Where a statement runs.
#[derive(Clone, Debug)]
pub(in crate::session) struct Place {
    /// The cluster.
    pub cluster: ClusterName,
    /// The keyspace and shard; absent for statements that no keyspace is needed for.
    pub shard: Option<Arc<Shard>>,
    /// The database to be current; absent: whichever the connection has.
    pub database: Option<Arc<str>>,
    /// Whose statement it is, for [`crate::health::Statement::owner`]; 0: no workspace's.
    pub owner: u64,
    /// The role of the server.
    pub role: Role,
    /// A transaction that waits for its shard begins here. Not where any shard would have done: the next
    /// statement may name another one.
    pub begins: bool,
}

impl Place {
    /// Whose statement it is, as permits know it.
    pub(in crate::session) fn permit_key(&self) -> Option<u64> {
        let shard = self.shard.as_ref()?;
        admission::workspace_key(&shard.keyspace, self.owner)
    }
}

/// What the statement needs of the place.
#[derive(Clone, Copy, Debug)]
pub(in crate::session) struct Needs {
    /// It writes, or takes part in a transaction that may.
    pub writes: bool,
    /// The role it is to run on.
    pub role: Role,
}

/// Finds the place of an address.
///
/// # Errors
/// What [`Snapshot::resolve`] says of the address; `workspace_*` when the workspace's state forbids the
/// statement.
pub(in crate::session) fn resolve_address(
    snapshot: &Snapshot,
    state: &mut State,
    address: &Address,
    needs: Needs,
) -> Result<Place, ClientError> {
    let placement = snapshot.resolve(address)?;
    if let Some(workspace) = address.workspace() {
        check_workspace(&placement, workspace, needs)?;
    }
    let database = match address {
        Address::Own(keyspace) => Some(keyspace.as_str().into()),
        Address::Model(keyspace) => Some(model_database(snapshot, keyspace)?),
        _ => database_of(snapshot, state, address.keyspace(), address.workspace())?,
    };
    let cluster = placement.shard.cluster.clone();
    let owner = owner_of(address);
    Ok(Place { cluster, shard: Some(placement.shard), database, owner, role: needs.role, begins: true })
}

/// A number or hash of the workspace. Not of the keyspace: one customer's load is one customer's.
fn owner_of(address: &Address) -> u64 {
    match address {
        Address::Workspace { workspace, .. } | Address::Key { workspace: Some(workspace), .. } => {
            admission::owner_of(workspace)
        }
        Address::Key { workspace: None, id, .. } => xxh3_64(id.as_bytes()),
        Address::Keyspace(_)
        | Address::AnyShard(_)
        | Address::Own(_)
        | Address::Model(_)
        | Address::Range { .. } => 0,
    }
}

fn check_workspace(placement: &Placement, workspace: &WorkspaceId, needs: Needs) -> Result<(), ClientError> {
    let refusal = match placement.state {
        WorkspaceState::Active => return Ok(()),
        WorkspaceState::ReadOnly if !needs.writes => return Ok(()),
        WorkspaceState::Moving if !needs.writes => return Ok(()),
        WorkspaceState::ReadOnly => Code::WorkspaceReadOnly,
        WorkspaceState::Moving => Code::WorkspaceMoving,
        WorkspaceState::Suspended => Code::WorkspaceSuspended,
    };
    Err(ClientError::new(refusal, format!("{}: workspace {workspace}", refusal.sentence())))
}

/// The database of the workspace that stands for all. Without any workspace there is no schema yet: then it
/// is the keyspace's own, for which nothing but its own tables is asked.
fn model_database(snapshot: &Snapshot, keyspace: &Keyspace) -> Result<Arc<str>, ClientError> {
    let schema = keyspace_schema(snapshot, keyspace)?;
    let Layout::DatabasePerWorkspace(pattern) = &schema.layout else { return Ok(keyspace.as_str().into()) };
    match snapshot.model(keyspace)? {
        None => Ok(keyspace.as_str().into()),
        Some(workspace) => {
            let name = pattern.render(&workspace).ok_or_else(|| unknown_database(&workspace.to_string()))?;
            Ok(name.into())
        }
    }
}

/// The database's name on the server: the keyspace's own, or the workspace's.
fn database_of(
    snapshot: &Snapshot,
    state: &mut State,
    keyspace: &Keyspace,
    workspace: Option<&WorkspaceId>,
) -> Result<Option<Arc<str>>, ClientError> {
    let target = &state.target;
    if target.keyspace.as_ref() == Some(keyspace) && target.workspace.as_ref() == workspace {
        return Ok(target.database.clone());
    }
    let schema = keyspace_schema(snapshot, keyspace)?;
    let Layout::DatabasePerWorkspace(pattern) = &schema.layout else {
        return Ok(Some(keyspace.as_str().into()));
    };
    let Some(workspace) = workspace else { return Ok(None) };
    match &state.rendered {
        Some((of, id, name)) if of == keyspace && id == workspace => Ok(Some(name.clone())),
        _ => {
            let name: Arc<str> = match pattern.render(workspace) {
                Some(name) => name.into(),
                None => return Err(unknown_database(&workspace.to_string())),
            };
            state.rendered = Some((keyspace.clone(), workspace.clone(), name.clone()));
            Ok(Some(name))
        }
    }
}

fn keyspace_schema<'a>(
    snapshot: &'a Snapshot,
    keyspace: &Keyspace,
) -> Result<&'a Arc<KeyspaceSchema>, ClientError> {
    snapshot.vschema.keyspace(keyspace.as_str()).ok_or_else(|| unknown_database(keyspace.as_str()))
}

/// MySQL's own error for a database that does not exist.
pub(in crate::session) fn unknown_database(name: &str) -> ClientError {
    ClientError::new(Code::UnknownDatabase, format!("Unknown database '{name}'"))
}
