//! What became of an exchange: read from the server, never guessed.

use super::super::plan::Names;
use super::sentry;
use crate::backend::direct::{Direct, DirectError};
use crate::ids::MigrationId;
use crate::sql::quote::string;

/// Which table has the client's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::migrations) enum Standing {
    /// The new one: the old one is among the artifacts.
    Swapped,
    /// The old one: the shadow is there.
    NotSwapped,
    /// The old one, and there is no shadow: none was made yet, or somebody dropped it.
    Untouched,
    /// There is no table of the client's name, and it was not put aside: somebody dropped or renamed it.
    Dropped,
    /// Neither can be said; in words, what is there.
    Odd(String),
}

/// Looks which table has the client's name. Only behind [`crate::migrations::ledger::end_holders`] is that
/// something that stays so.
///
/// # Errors
/// As the server says.
pub(in crate::migrations) async fn standing(
    conn: &mut Direct,
    id: &MigrationId,
    names: &Names,
    (old_home, old): (&str, &str),
) -> Result<Standing, DirectError> {
    let client = comment_of(conn, &names.database, &names.table).await?;
    let shadow = comment_of(conn, &names.home, &names.shadow).await?;
    let old = comment_of(conn, old_home, old).await?;
    let old = old.filter(|comment| *comment != sentry::comment(id));
    Ok(match (client.is_some(), shadow.is_some(), old.is_some()) {
        (true, false, true) => Standing::Swapped,
        (true, true, false) => Standing::NotSwapped,
        (true, false, false) => Standing::Untouched,
        (false, true, false) => Standing::Dropped,
        (client, shadow, old) => {
            let word = |is_there| if is_there { "is there" } else { "is not there" };
            Standing::Odd(format!(
                "the table {}, the shadow table {}, the old table {}",
                word(client),
                word(shadow),
                word(old)
            ))
        }
    })
}

/// The comment of a table; absent when there is no such table. One schema and one table are named, so no
/// other is opened.
async fn comment_of(conn: &mut Direct, database: &str, table: &str) -> Result<Option<String>, DirectError> {
    let text = format!(
        "SELECT table_comment FROM information_schema.tables WHERE table_schema = {} AND table_name = {}",
        string(database),
        string(table)
    );
    Ok(conn.query(text).await?.first().map(|row| row.text(0).unwrap_or_default()))
}
