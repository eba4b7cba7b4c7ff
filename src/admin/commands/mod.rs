//! Commands that act or explain, one file each.

mod bulk;
mod client;
mod explain;
mod gate;
mod help;
mod kill;
mod limit;
mod migration;
mod order;
mod reload;
mod workspace;

pub(super) use bulk::{export_workspaces, import_workspaces};
pub(super) use client::answer_client;
pub(super) use explain::explain_route;
pub(super) use gate::{set_ddl_lane, set_gate};
pub(super) use help::show_help;
pub use help::{Help, help};
pub(super) use kill::kill;
pub(super) use limit::{drop_limit, set_limit};
pub(super) use migration::migration;
pub(super) use order::order;
pub(super) use reload::reload;
pub(super) use workspace::{create_workspace, drop_workspace, set_workspace, take_state};

use super::table::AdminAnswer;
use super::words::Words;
use crate::error::{ClientError, Code};
use crate::ids::{Keyspace, WorkspaceId};

/// Takes a keyspace and a workspace id.
pub(super) fn take_workspace(words: &mut Words<'_>) -> Result<(Keyspace, WorkspaceId), ClientError> {
    let keyspace = Keyspace::new(words.name("a keyspace")?);
    let id = words.name("a workspace id")?;
    let refused = || ClientError::new(Code::AdminSyntax, "a workspace id has 1 to 128 bytes");
    Ok((keyspace, WorkspaceId::parse(&id).ok_or_else(refused)?))
}

fn done(affected: u64, info: impl Into<String>) -> Result<AdminAnswer, ClientError> {
    Ok(AdminAnswer::Done { affected, info: info.into() })
}
