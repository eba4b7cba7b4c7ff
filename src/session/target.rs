//! USE, COM_INIT_DB and the handshake's database: which keyspace, which workspace, which role.

use std::sync::Arc;

use crate::config::User;
use crate::error::{ClientError, Code};
use crate::ids::Role;
use crate::topology::Snapshot;
use crate::vschema::{DatabaseTarget, Layout};

use crate::session::run::place::unknown_database;
use crate::session::state::Target;

/// The one system schema that a session may make its own.
const INFORMATION_SCHEMA: &str = "information_schema";

/// Reads the name a client gave to USE.
///
/// **Shape**: `keyspace`, a workspace's database, `information_schema`, each with an optional `@primary` or
/// `@replica`.
///
/// # Errors
/// [`Code::UnknownDatabase`] (also for a workspace that the directory does not know) and
/// [`Code::DatabaseAccessDenied`], in MySQL's own words.
pub(super) fn resolve_target(snapshot: &Snapshot, user: &User, text: &str) -> Result<Target, ClientError> {
    let (name, role) = split_role(text);
    if name.eq_ignore_ascii_case(INFORMATION_SCHEMA) {
        let name: Arc<str> = INFORMATION_SCHEMA.into();
        return Ok(Target { name: Some(name.clone()), database: Some(name), role, ..Target::default() });
    }
    let found = snapshot.vschema.resolve_database(name).ok_or_else(|| unknown_database(name))?;
    let (schema, workspace) = match found {
        DatabaseTarget::Keyspace(schema) => (schema, None),
        DatabaseTarget::Workspace(schema, workspace) => (schema, Some(workspace)),
    };
    if !user.keyspaces.allows(&schema.name) {
        let message = format!("Access denied for user '{}'@'%' to database '{name}'", user.name);
        return Err(ClientError::new(Code::DatabaseAccessDenied, message));
    }
    if let Some(workspace) = &workspace {
        snapshot.placement(&schema.name, workspace)?;
    }
    let name: Arc<str> = name.into();
    let logical = workspace.is_none() && matches!(schema.layout, Layout::DatabasePerWorkspace(_));
    let database = (!logical).then(|| name.clone());
    Ok(Target { keyspace: Some(schema.name.clone()), workspace, database, name: Some(name), role })
}

fn split_role(text: &str) -> (&str, Option<Role>) {
    match text.rsplit_once('@') {
        Some((name, "replica")) => (name, Some(Role::Replica)),
        Some((name, "primary")) => (name, Some(Role::Primary)),
        _ => (text, None),
    }
}
