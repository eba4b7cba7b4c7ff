//! `RELOAD`: reads config and vschema again, and the pages of the directories that changed.

use super::super::context::AdminContext;
use super::super::table::AdminAnswer;
use super::super::words::Words;
use super::done;
use crate::error::{ClientError, Code};

pub(in crate::admin) async fn reload(
    words: &mut Words<'_>,
    context: &AdminContext,
) -> Result<AdminAnswer, ClientError> {
    words.end()?;
    match context.reload.reload().await {
        Ok(changes) => {
            let damaged = context.workspaces.reload().await?;
            let pages = match damaged {
                0 => String::new(),
                count => format!("; {count} directory pages are damaged, see SHOW DIRECTORIES"),
            };
            done(1, format!("{changes}{pages}"))
        }
        Err(fault) => Err(ClientError::new(Code::ReloadRefused, fault.faults.join("\n"))),
    }
}
