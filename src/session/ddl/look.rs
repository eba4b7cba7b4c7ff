//! What the server has now under the names of a change.

use std::time::{Duration, Instant};

use super::young::{YoungTables, key_of};
use super::{Asked, Site};
use crate::ddl::Standing;
use crate::error::{ClientError, Code};
use crate::protocol::handshake::Flavour;
use crate::protocol::packet;
use crate::protocol::result::parse_text_row;
use crate::schema::{LiveTable, LooksFull, Purpose, ReadError, Reader, Room, Seen, ServerFacts};
use crate::sql::{ChangeForm, ObjectName, ServerVersion, TableDefinition, quote};

use crate::session::flow::Flow;
use crate::session::{Services, Session};

/// One question about a table takes no longer.
const LOOK_WITHIN: Duration = Duration::from_secs(5);
/// ER_NO_SUCH_TABLE, with its SQLSTATE.
const NO_SUCH_TABLE: (u16, [u8; 5]) = (1146, *b"42S02");

/// What was found; valid for the one statement that asked.
pub(super) struct Look {
    /// Absent once it broke, or was given back; with it the room that it takes.
    reader: Option<(Reader, Room)>,
    facts: ServerFacts,
    /// The tables of the statement, in its order.
    tables: Vec<Found>,
    standing: Standing,
    has_looked_at_rows: bool,
}

struct Found {
    database: Option<String>,
    name: String,
    seen: Seen,
    is_young: bool,
    /// What its counter says is not to be believed.
    was_emptied: bool,
}

impl Look {
    /// The definition of the statement's first table.
    pub(super) fn definition(&self) -> Option<&TableDefinition> {
        self.table().and_then(|table| table.definition.as_ref().ok())
    }

    /// The statement's first table.
    pub(super) fn table(&self) -> Option<&LiveTable> {
        match &self.tables.first()?.seen {
            Seen::Table(table) => Some(table),
            Seen::Missing { .. } | Seen::View => None,
        }
    }

    /// The server.
    pub(super) fn server(&self) -> ServerVersion {
        self.facts.version
    }

    /// What the server says of itself.
    pub(super) fn facts(&self) -> &ServerFacts {
        &self.facts
    }

    /// Whom the statement could hurt, as far as that is known.
    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    pub(super) fn has_looked_at_rows(&self) -> bool {
        self.has_looked_at_rows
    }

    /// What follows without a decision: `Ok` sends the statement as it is, because it changes no table.
    pub(super) fn settled(&self, asked: &Asked<'_>) -> Option<Result<(), ClientError>> {
        if !asked.needs_definition() {
            let is_table = |found: &Found| matches!(found.seen, Seen::Table(_));
            return (!self.tables.iter().any(is_table)).then_some(Ok(()));
        }
        if !asked.change.more_tables.is_empty() {
            let message = "OPTIMIZE TABLE of several tables: give them one by one";
            return Some(Err(ClientError::new(Code::NotSupported, message)));
        }
        let is_lenient = asked.change.if_exists || asked.change.form == ChangeForm::Optimize;
        match &self.tables.first()?.seen {
            // The server says so itself.
            Seen::View => Some(Ok(())),
            Seen::Missing { .. } if is_lenient => Some(Ok(())),
            Seen::Missing { message } => {
                let (errno, state) = NO_SUCH_TABLE;
                Some(Err(ClientError::from_server(errno, state, message)))
            }
            Seen::Table(table) => table.definition.as_ref().err().map(|unread| {
                let message = format!("{}: {unread}", Code::DdlUnlooked.sentence());
                Err(ClientError::new(Code::DdlUnlooked, message))
            }),
        }
    }

    /// Looks whether the tables hold rows; what cannot be told counts as rows.
    async fn look_at_rows(&mut self, asked: &Asked<'_>) {
        self.has_looked_at_rows = true;
        let Some((mut reader, room)) = self.reader.take() else { return };
        let mut standing = Standing::Unused;
        for found in &self.tables {
            let Seen::Table(table) = &found.seen else { continue };
            let has_rows = match reader.has_rows(found.database.as_deref(), &found.name).await {
                Ok(has_rows) => has_rows,
                Err(error) => {
                    let table = &asked.change.table.name.text;
                    tracing::warn!(target: "bulkhead::ddl", table, %error, "not known whether it holds rows");
                    // The connection may still owe the answer.
                    return;
                }
            };
            standing = standing.and(match &table.definition {
                Ok(_) if found.was_emptied && !has_rows && !found.is_young => Standing::Empty,
                Ok(definition) => Standing::of(has_rows, found.is_young, definition),
                Err(_) => Standing::InUse,
            });
        }
        self.standing = standing;
        self.reader = Some((reader, room));
    }

    /// Gives the connection back.
    pub(super) async fn close(&mut self) {
        if let Some((reader, _room)) = self.reader.take() {
            reader.close().await;
        }
    }
}

impl Session {
    /// Reads the definitions of a statement's tables, through the control plane. A KILL QUERY ends it, and
    /// the client's leaving.
    ///
    /// # Errors
    /// `ddl_unlooked`, `ddl_looks_full`.
    pub(super) async fn look(&mut self, asked: &Asked<'_>, site: &Site<'_>) -> Flow<Look> {
        let looking = look_at(&self.services, asked, site, self.state.young.as_deref());
        let mut waiting = self.entry.waiting();
        tokio::select! {
            biased;
            looked = looking => Ok(looked?),
            error = self.client.watch_close() => Err(error.into()),
            stopped = waiting.stopped() => Err(stopped.into()),
        }
    }

    /// Looks whether the tables hold rows, as [`Look::look_at_rows`] does; ends as [`Self::look`] does.
    pub(super) async fn look_at_rows(&mut self, asked: &Asked<'_>, look: &mut Look) -> Flow {
        let mut waiting = self.entry.waiting();
        tokio::select! {
            biased;
            () = look.look_at_rows(asked) => Ok(()),
            error = self.client.watch_close() => Err(error.into()),
            stopped = waiting.stopped() => Err(stopped.into()),
        }
    }

    /// Says whether a change is about temporary tables of the session alone: those are nobody else's.
    pub(super) async fn is_own_temporary(&mut self, asked: &Asked<'_>, site: &Site<'_>) -> Flow<bool> {
        if self.state.temporary_tables.is_empty() {
            return Ok(false);
        }
        // Elsewhere than on the connection that is held there are none of the session's own.
        let Some(held) = self.state.held.as_ref() else { return Ok(false) };
        let flavour = held.checkout.server_version().flavour;
        if held.cluster != site.place.cluster || !may_be_temporary(&asked.change.form, flavour) {
            return Ok(false);
        }
        for name in asked.tables() {
            if !self.ask_temporary(name, site).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Asks the session's own connection what stands under a name.
    async fn ask_temporary(&mut self, name: &ObjectName, site: &Site<'_>) -> Flow<bool> {
        let Some(mut held) = self.state.held.take() else { return Ok(false) };
        let database = name.qualifier.as_ref().map(|qualifier| qualifier.text.as_str());
        let database = database.or(site.place.database.as_deref()).unwrap_or_default();
        let table = quote::identifier(&name.name.text);
        let question = format!("SHOW CREATE TABLE {}.{table}", quote::identifier(database));
        let asked = self.ask(&mut held, question.as_bytes()).await;
        match asked {
            Ok(answer) => {
                self.state.held = Some(held);
                let rows = packet::payloads(&answer).filter_map(|payload| parse_text_row(payload, 2).ok());
                let texts = rows.filter_map(|row| row.get(1).copied().flatten().map(<[u8]>::to_vec));
                let is_temporary = |text: Vec<u8>| text.starts_with(b"CREATE TEMPORARY TABLE");
                Ok(texts.into_iter().any(is_temporary))
            }
            // No such table: none of either kind.
            Err(crate::session::flow::Failure::Refused(_)) => {
                self.state.held = Some(held);
                Ok(false)
            }
            Err(failure) => {
                self.put_back(held, &failure);
                Err(failure)
            }
        }
    }
}

async fn look_at(
    services: &Services,
    asked: &Asked<'_>,
    site: &Site<'_>,
    young: Option<&YoungTables>,
) -> Result<Look, ClientError> {
    let cluster = site.snapshot.cluster(&site.place.cluster).map_err(ClientError::from)?;
    let database = site.place.database.as_deref().unwrap_or_default();
    let login = (&cluster.admin_login, &cluster.tls);
    let room = services.looks.admit(&site.place.cluster, Purpose::Look).await.map_err(full)?;
    let mut reader = Reader::open(&cluster.primary, login, database, LOOK_WITHIN).await.map_err(unlooked)?;
    let facts = reader.facts().await.map_err(unlooked)?;
    let (mut tables, mut standing) = (Vec::new(), Standing::Young);
    for name in asked.tables() {
        let own_database = name.qualifier.as_ref().map(|qualifier| qualifier.text.clone());
        let table = name.name.text.clone();
        let seen = reader.table(own_database.as_deref(), &table, facts.version).await;
        let seen = seen.map_err(unlooked)?;
        let key = key_of(name, database);
        let is_young = young.is_some_and(|young| young.has(&site.place.cluster, &key, Instant::now()));
        if !is_young {
            standing = Standing::InUse;
        }
        let was_emptied = services.emptied.has(&site.place.cluster, &key, Instant::now());
        tables.push(Found { database: own_database, name: table, seen, is_young, was_emptied });
    }
    Ok(Look { reader: Some((reader, room)), facts, tables, standing, has_looked_at_rows: false })
}

/// Says whether a statement of this form may be about temporary tables: RENAME TABLE of MySQL takes the base
/// table that a temporary one hides.
fn may_be_temporary(form: &ChangeForm, flavour: Flavour) -> bool {
    *form != ChangeForm::Rename || flavour != Flavour::MySql
}

fn unlooked(error: ReadError) -> ClientError {
    ClientError::new(Code::DdlUnlooked, format!("{}: {error}", Code::DdlUnlooked.sentence()))
}

/// There is no room for one more look, or scan.
pub(super) fn full(full: LooksFull) -> ClientError {
    ClientError::new(Code::DdlLooksFull, format!("{}: {full}", Code::DdlLooksFull.sentence()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mysql_renames_base_tables_only() {
        assert!(!may_be_temporary(&ChangeForm::Rename, Flavour::MySql));
        assert!(may_be_temporary(&ChangeForm::Rename, Flavour::MariaDb));
        assert!(may_be_temporary(&ChangeForm::Drop, Flavour::MySql));
    }
}
