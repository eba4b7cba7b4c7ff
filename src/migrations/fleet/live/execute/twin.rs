//! Whether a view that is there is the one that a statement makes: the statement makes another one beside it,
//! and the server says of both what they are.
//!
//! So a plain `CREATE VIEW` can be begun again, and tells a view of somebody else's from its own.

use super::direct::{Sent, send};
use super::hold::Hold;
use super::stand::Stand;
use super::trouble::{Trouble, failure_of};
use crate::migrations::ARTIFACTS;
use crate::migrations::fleet::ledger::OrderStep;
use crate::migrations::fleet::live::statements::{mode_of, twin_of_view};
use crate::migrations::fleet::schedule::Work;
use crate::migrations::ledger::tables;
use crate::sql::ServerVersion;
use crate::sql::quote::{identifier, string};

/// Compares them. `CREATE OR REPLACE VIEW` is carried out whatever is there.
///
/// # Errors
/// As the server says; the view is unchanged.
pub(super) async fn compare(work: &Work, step: &OrderStep, hold: &mut Hold) -> Result<Stand, Trouble> {
    // Two at once on a cluster do not meet: each has its connection.
    let name = tables::twin_of(hold.direct().thread_id());
    let twin = format!("{}.{}", identifier(ARTIFACTS), identifier(&name));
    let server = ServerVersion::parse(&hold.direct().version().text).unwrap_or_default();
    let mode = mode_of(&work.order.settings.sql_mode, server);
    let Some(text) = twin_of_view(&step.text, mode, &twin) else { return Ok(Stand::Todo) };
    tables::make(hold.direct()).await.map_err(Trouble::of_change)?;
    match send(work, hold, text.as_bytes()).await {
        Ok(Sent::Done) => {}
        Ok(Sent::NotInPlace(error)) => return Err(Trouble::Failed(failure_of(&error))),
        // What is not known is the twin only.
        Err(Trouble::Unknown(failure)) => return Err(Trouble::Again(failure)),
        Err(trouble) => return Err(trouble),
    }
    let database = work.database.to_string();
    let (own, there) = (said(hold, ARTIFACTS, &name).await, said(hold, &database, &step.table).await);
    hold.send(format!("DROP VIEW IF EXISTS {twin}"))
        .await
        .map_err(|error| Trouble::again(error.to_string()))?;
    Ok(if own? == there? { Stand::There } else { Stand::Odd("a view of that name is there".to_owned()) })
}

/// All that a server says of a view but its name: what `information_schema` has, and the algorithm, which
/// MySQL tells in the statement only.
async fn said(hold: &mut Hold, database: &str, view: &str) -> Result<(String, String), Trouble> {
    let question = format!(
        "SELECT CONCAT_WS('\\n', view_definition, check_option, definer, security_type, \
         character_set_client, collation_connection) FROM information_schema.views \
         WHERE table_schema = {} AND table_name = {}",
        string(database),
        string(view)
    );
    let gone = || Trouble::again("the view is not there any more");
    let parts = hold.text(question, 0).await?.ok_or_else(gone)?;
    let question = format!("SHOW CREATE VIEW {}.{}", identifier(database), identifier(view));
    let statement = hold.text(question, 1).await?.ok_or_else(gone)?;
    let algorithm = statement.split(" DEFINER").next().unwrap_or_default();
    Ok((parts, algorithm.to_owned()))
}
