//! `CREATE WORKSPACE`, `SET WORKSPACE`, `DROP WORKSPACE`.

use super::super::context::AdminContext;
use super::super::table::AdminAnswer;
use super::super::words::Words;
use super::{done, take_workspace};
use crate::error::ClientError;
use crate::ids::ShardName;
use crate::topology::{Force, NewWorkspace, WorkspaceState};

/// `CREATE WORKSPACE <keyspace> <id> [ON <shard>] [STATE <state>] [WITH DATABASE]`.
pub(in crate::admin) async fn create_workspace(
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Result<AdminAnswer, ClientError> {
    let (keyspace, workspace) = take_workspace(words)?;
    let mut new = NewWorkspace::default();
    while !words.is_done() {
        if words.take("ON") {
            new.shard = Some(ShardName::new(words.name("a shard")?));
        } else if words.take("STATE") {
            new.state = take_state(words)?;
        } else if words.take_all(&["WITH", "DATABASE"]) {
            new.with_database = true;
        } else {
            return Err(words.expected("ON <shard>, STATE <state> or WITH DATABASE"));
        }
    }
    let entry = context.workspaces.create(&keyspace, &workspace, &new).await?;
    done(1, format!("workspace {workspace} of {keyspace} is on shard {}, {}", entry.shard, entry.state))
}

/// `SET WORKSPACE <keyspace> <id> STATE <state>`, or `… SHARD <shard> [FORCE]`.
pub(in crate::admin) async fn set_workspace(
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Result<AdminAnswer, ClientError> {
    let (keyspace, workspace) = take_workspace(words)?;
    let entry = if words.take("STATE") {
        let state = take_state(words)?;
        words.end()?;
        context.workspaces.set_state(&keyspace, &workspace, state).await?
    } else if words.take("SHARD") {
        let shard = ShardName::new(words.name("a shard")?);
        let force = take_force(words)?;
        context.workspaces.set_shard(&keyspace, &workspace, &shard, force).await?
    } else {
        return Err(words.expected("STATE <state> or SHARD <shard>"));
    };
    let revision = entry.revision;
    let (shard, state) = (entry.shard, entry.state);
    done(1, format!("workspace {workspace} of {keyspace} is on shard {shard}, {state}, revision {revision}"))
}

/// `DROP WORKSPACE <keyspace> <id> [FORCE]`: out of the directory; its data stays.
pub(in crate::admin) async fn drop_workspace(
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Result<AdminAnswer, ClientError> {
    let (keyspace, workspace) = take_workspace(words)?;
    let force = take_force(words)?;
    context.workspaces.delete(&keyspace, &workspace, force).await?;
    done(1, format!("workspace {workspace} of {keyspace} is no longer in the directory; its data stays"))
}

pub(in crate::admin) fn take_state(words: &mut Words<'_>) -> Result<WorkspaceState, ClientError> {
    let wrong = words.expected("a state (active, read_only, moving, suspended)");
    WorkspaceState::parse(&words.name("a state")?).ok_or(wrong)
}

fn take_force(words: &mut Words<'_>) -> Result<Force, ClientError> {
    let force = if words.take("FORCE") { Force::Yes } else { Force::No };
    words.end()?;
    Ok(force)
}
