//! From the first words of an admin statement to its command.

use super::commands;
use super::context::AdminContext;
use super::show;
use super::table::AdminAnswer;
use super::words::Words;
use crate::error::{ClientError, Code};

/// Runs one admin statement.
///
/// # Errors
/// `admin_syntax` when it cannot be read, `admin_not_found` when it names something that is not there, and
/// what the command itself is refused with.
///
/// **Cancel safety**: a change of a directory that was begun may still happen.
pub async fn execute(statement: &str, context: &AdminContext) -> Result<AdminAnswer, ClientError> {
    let mut words = Words::read(statement)?;
    if words.is_done() {
        return Err(ClientError::of(Code::EmptyQuery));
    }
    if let Some(answer) = commands::answer_client(&words, context) {
        return answer;
    }
    if words.take_all(&["SHOW", "INCIDENT"]) {
        return show::incident(&mut words, context).await;
    }
    if let Some(answer) = show::parts(&mut words, context).await {
        return answer;
    }
    if words.take("SHOW") {
        return show::show(&mut words, context);
    }
    if words.take("SELECT") {
        return show::select(&mut words, context);
    }
    if words.take("HELP") {
        return commands::show_help(&mut words);
    }
    if words.take_all(&["EXPLAIN", "ROUTE"]) {
        return commands::explain_route(&mut words, context);
    }
    if words.take("RELOAD") {
        return commands::reload(&mut words, context).await;
    }
    if words.take("KILL") {
        return commands::kill(&mut words, context).await;
    }
    if let Some(answer) = commands::order(&mut words, context).await {
        return answer;
    }
    if let Some(answer) = commands::migration(&mut words, context).await {
        return answer;
    }
    if words.take_all(&["SET", "GATE"]) {
        return commands::set_gate(&mut words, context);
    }
    if words.take_all(&["SET", "DDL", "LANE"]) {
        return commands::set_ddl_lane(&mut words, context);
    }
    act_on_workspaces(&mut words, context).await
}

async fn act_on_workspaces(
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Result<AdminAnswer, ClientError> {
    if words.take_all(&["CREATE", "WORKSPACE"]) {
        commands::create_workspace(words, context).await
    } else if words.take_all(&["SET", "WORKSPACE", "LIMIT"]) {
        commands::set_limit(words, context).await
    } else if words.take_all(&["DROP", "WORKSPACE", "LIMIT"]) {
        commands::drop_limit(words, context).await
    } else if words.take_all(&["SET", "WORKSPACE"]) {
        commands::set_workspace(words, context).await
    } else if words.take_all(&["DROP", "WORKSPACE"]) {
        commands::drop_workspace(words, context).await
    } else if words.take_all(&["IMPORT", "WORKSPACES"]) {
        commands::import_workspaces(words, context).await
    } else if words.take_all(&["EXPORT", "WORKSPACES"]) {
        commands::export_workspaces(words, context).await
    } else {
        Err(words.expected("a statement that HELP lists"))
    }
}
