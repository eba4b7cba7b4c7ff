//! What of a migration is written on its own cluster: for people who have only the server, for proxies that
//! share no store, and for telling what a migration left behind.

use crate::backend::direct::{Direct, DirectError};
use crate::drain::utc;
use crate::ids::MigrationId;
use crate::migrations::ARTIFACTS;
use crate::migrations::view::State;
use crate::sql::quote::{identifier, string};

use super::Record;

/// "Duplicate entry".
const ER_DUP_ENTRY: u16 = 1062;
/// "Unknown database".
const ER_BAD_DB: u16 = 1049;
/// "Table doesn't exist".
const ER_NO_SUCH_TABLE: u16 = 1146;
/// What the names of views begin with that were made to be compared; the connection's id follows.
const TWIN: &str = "twin_";
/// A claim is entered within this time, seconds; a change of one chunk may be over by then, too.
const TABLE_WAIT_S: u32 = 2;
/// Longest message written down, in characters.
const MESSAGE_CHARS_MAX: usize = 1000;

/// Makes the database and the ledger's table, if they are not there. Looks first, so that nothing is written
/// where nothing is needed.
///
/// # Errors
/// As the server says: the account may lack CREATE on the database.
pub(in crate::migrations) async fn make(conn: &mut Direct) -> Result<(), DirectError> {
    let there = format!(
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '{ARTIFACTS}' \
         AND table_name = 'migrations'"
    );
    if conn.query(there).await?.first().and_then(|row| row.number::<u32>(0)) == Some(1) {
        return Ok(());
    }
    make_database(conn).await?;
    conn.execute(format!(
        "CREATE TABLE IF NOT EXISTS {ARTIFACTS}.migrations (\n\
         id CHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,\n\
         table_schema VARCHAR(64) NOT NULL,\n\
         table_name VARCHAR(64) NOT NULL,\n\
         active BINARY(16) NULL,\n\
         state VARCHAR(16) NOT NULL,\n\
         step VARCHAR(16) NOT NULL,\n\
         owner VARCHAR(255) NULL,\n\
         statement LONGTEXT NOT NULL,\n\
         message TEXT NULL,\n\
         submitted_utc VARCHAR(32) NOT NULL,\n\
         changed_utc VARCHAR(32) NOT NULL,\n\
         keep_until_utc VARCHAR(32) NULL,\n\
         UNIQUE KEY active (active)\n\
         ) ENGINE=InnoDB COMMENT='Schema changes of Bulkhead'"
    ))
    .await?;
    Ok(())
}

/// Makes the database of artifacts, if it is not there. A CREATE DATABASE that changes nothing, too, waits
/// until nobody holds a table in there, and lets no RENAME pass meanwhile: so it is looked for first.
///
/// # Errors
/// As the server says; a lock that is not had within the session's bound is 1205.
pub(in crate::migrations) async fn make_database(conn: &mut Direct) -> Result<(), DirectError> {
    let there = format!("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = '{ARTIFACTS}'");
    if conn.query(there).await?.first().and_then(|row| row.number::<u32>(0)) == Some(1) {
        return Ok(());
    }
    let create =
        format!("CREATE DATABASE IF NOT EXISTS {ARTIFACTS} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
    conn.execute(create).await.map(drop)
}

/// Whose the table is.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::migrations) enum Claimed {
    /// This migration's.
    Ours,
    /// Another one's, which is not over as far as the cluster knows.
    By(MigrationId),
    /// That of a connection which is about to enter a claim, or carries out a change of one chunk.
    Held,
}

/// Enters a migration, and claims its table; makes the ledger where there is none.
///
/// # Errors
/// As the server says.
pub(in crate::migrations) async fn claim(
    conn: &mut Direct,
    record: &Record,
    now: std::time::SystemTime,
) -> Result<Claimed, DirectError> {
    if !hold_table(conn, record).await? {
        return Ok(Claimed::Held);
    }
    let claimed = enter(conn, record, now).await?;
    conn.query(format!("SELECT RELEASE_LOCK({})", lock_name(record))).await?;
    Ok(claimed)
}

/// Claims the table for as long as the connection lives, and writes nothing: whoever enters a claim takes the
/// same lock first, so one that is not there now does not come before this connection ends.
///
/// # Errors
/// As the server says.
pub(in crate::migrations) async fn claim_here(
    conn: &mut Direct,
    record: &Record,
) -> Result<Claimed, DirectError> {
    if !hold_table(conn, record).await? {
        return Ok(Claimed::Held);
    }
    match holder(conn, record).await {
        Err(error) if is_missing(&error) => make(conn).await.map(|()| Claimed::Ours),
        holder => Ok(holder?.map_or(Claimed::Ours, Claimed::By)),
    }
}

async fn hold_table(conn: &mut Direct, record: &Record) -> Result<bool, DirectError> {
    let question = format!("SELECT GET_LOCK({}, {TABLE_WAIT_S})", lock_name(record));
    Ok(conn.query(question).await?.first().and_then(|row| row.number::<u8>(0)) == Some(1))
}

/// The lock that stands for a table: 64 characters at most, as MySQL wants it.
fn lock_name(record: &Record) -> String {
    string(&format!("bulkhead_table_{:032x}", fingerprint(record)))
}

/// The other migration that has entered a claim on the table.
async fn holder(conn: &mut Direct, record: &Record) -> Result<Option<MigrationId>, DirectError> {
    let question = format!(
        "SELECT id FROM {ARTIFACTS}.migrations WHERE active = x'{:032x}' AND id <> '{}'",
        fingerprint(record),
        record.id
    );
    Ok(conn.query(question).await?.first().and_then(|row| row.text(0)).map(MigrationId::new))
}

/// Neither the database nor the ledger's table is there: nothing was ever changed on the cluster.
fn is_missing(error: &DirectError) -> bool {
    matches!(error.errno(), Some(ER_BAD_DB | ER_NO_SUCH_TABLE))
}

async fn enter(
    conn: &mut Direct,
    record: &Record,
    now: std::time::SystemTime,
) -> Result<Claimed, DirectError> {
    let inserted = match conn.execute(insert(record, now)).await {
        // Looked for only when it is missed: that is once in a cluster's life.
        Err(error) if is_missing(&error) => {
            make(conn).await?;
            conn.execute(insert(record, now)).await
        }
        inserted => inserted,
    };
    match inserted {
        Ok(_) => Ok(Claimed::Ours),
        Err(error) if error.errno() == Some(ER_DUP_ENTRY) => {
            if let Some(holder) = holder(conn, record).await? {
                return Ok(Claimed::By(holder));
            }
            // Its own row, of an earlier attempt.
            let (set, id) = (assignments(record, now), &record.id);
            conn.execute(format!("UPDATE {ARTIFACTS}.migrations SET {set} WHERE id = '{id}'")).await?;
            Ok(Claimed::Ours)
        }
        Err(error) => Err(error),
    }
}

/// Writes the end of a migration into its row, or enters it where there is none; its claim is given up.
///
/// # Errors
/// As the server says.
pub(in crate::migrations) async fn end(
    conn: &mut Direct,
    record: &Record,
    now: std::time::SystemTime,
) -> Result<(), DirectError> {
    // It claims nothing any more, so the only row in its way is its own.
    let text = format!("{} ON DUPLICATE KEY UPDATE {}", insert(record, now), assignments(record, now));
    conn.execute(text).await.map(drop)
}

/// The same for several, in one transaction.
///
/// # Errors
/// As the server says; none of them is written then.
pub(in crate::migrations) async fn end_all(
    conn: &mut Direct,
    records: &[std::sync::Arc<Record>],
    now: std::time::SystemTime,
) -> Result<(), DirectError> {
    conn.execute("BEGIN").await?;
    for record in records {
        end(conn, record, now).await?;
    }
    conn.execute("COMMIT").await.map(drop)
}

/// Takes the claim of a migration that is over, as its own store knows, or that is known to nobody.
///
/// # Errors
/// As the server says.
pub(in crate::migrations) async fn take_over(conn: &mut Direct, id: &MigrationId) -> Result<(), DirectError> {
    let text = format!("UPDATE {ARTIFACTS}.migrations SET active = NULL WHERE id = {}", string(id.as_str()));
    conn.execute(text).await?;
    Ok(())
}

/// What the cluster itself knows of a table that a migration left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::migrations) struct Leftover {
    /// The database.
    pub(in crate::migrations) home: String,
    /// `new_…` or `old_…`.
    pub(in crate::migrations) table: String,
    /// The migration in its name.
    pub(in crate::migrations) id: MigrationId,
    /// Its state by the cluster's ledger; absent when that does not know it.
    pub(in crate::migrations) state: Option<State>,
}

/// Every table in the database of artifacts that bears a migration's name.
///
/// # Errors
/// As the server says.
pub(in crate::migrations) async fn leftovers(conn: &mut Direct) -> Result<Vec<Leftover>, DirectError> {
    let mut found = Vec::new();
    for home in homes(conn).await? {
        // One schema: this opens no table of any other.
        let tables = conn.query(format!("SHOW TABLES FROM {}", identifier(&home))).await?;
        let names: Vec<String> = tables.iter().filter_map(|row| row.text(0)).collect();
        for table in names {
            let Some(id) = super::id_in(&table) else { continue };
            let state = format!("SELECT state FROM {ARTIFACTS}.migrations WHERE id = '{id}'");
            let state = conn.query(state).await?.first().and_then(|row| row.text(0));
            let state = state.and_then(|name| State::ALL.into_iter().find(|state| state.name() == name));
            found.push(Leftover { home: home.clone(), table, id, state });
        }
    }
    Ok(found)
}

/// The name of the view that a connection makes beside another one, to compare the two.
pub(in crate::migrations) fn twin_of(thread_id: u32) -> String {
    format!("{TWIN}{thread_id}")
}

/// Drops the views that connections made to compare them, and that are no more.
///
/// # Errors
/// As the server says.
pub(in crate::migrations) async fn drop_left_twins(conn: &mut Direct) -> Result<(), DirectError> {
    let found =
        conn.query(format!("SHOW TABLES FROM {ARTIFACTS} LIKE '{}%'", TWIN.replace('_', "\\_"))).await?;
    let names: Vec<String> = found.iter().filter_map(|row| row.text(0)).collect();
    for name in names {
        let Some(id) = name.strip_prefix(TWIN).and_then(|id| id.parse::<u32>().ok()) else { continue };
        let there = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE id = {id}");
        if conn.query(there).await?.first().and_then(|row| row.number::<u32>(0)) == Some(0) {
            conn.execute(format!("DROP VIEW IF EXISTS {ARTIFACTS}.{}", identifier(&name))).await?;
        }
    }
    Ok(())
}

/// The databases of migrations on the cluster.
///
/// # Errors
/// As the server says.
pub(in crate::migrations) async fn homes(conn: &mut Direct) -> Result<Vec<String>, DirectError> {
    let found = conn.query(format!("SHOW DATABASES LIKE '{}%'", ARTIFACTS.replace('_', "\\_"))).await?;
    let names = found.iter().filter_map(|row| row.text(0));
    Ok(names.filter(|name| name == ARTIFACTS || super::id_in_database(name).is_some()).collect())
}

/// Drops a table of a migration's; one in a database that is not there is gone already.
///
/// # Errors
/// As the server says; a lock that is not had within the session's bound is 1205.
pub(in crate::migrations) async fn drop_table(
    conn: &mut Direct,
    home: &str,
    table: &str,
) -> Result<(), DirectError> {
    let text = format!("DROP TABLE IF EXISTS {}.{}", identifier(home), identifier(table));
    match conn.execute(text).await {
        Err(error) if error.errno() == Some(ER_BAD_DB) => Ok(()),
        dropped => dropped.map(drop),
    }
}

/// Makes a migration's own databases, if it has any.
///
/// # Errors
/// As the server says.
pub(in crate::migrations) async fn make_own_databases(
    conn: &mut Direct,
    record: &Record,
) -> Result<(), DirectError> {
    if record.has_own_databases {
        for database in [record.home(), record.old_home()] {
            conn.execute(format!("CREATE DATABASE IF NOT EXISTS {}", identifier(&database))).await?;
        }
    }
    Ok(())
}

/// Drops those of a migration's own databases in which no table is left.
///
/// # Errors
/// As the server says.
pub(in crate::migrations) async fn drop_own_databases(
    conn: &mut Direct,
    record: &Record,
) -> Result<(), DirectError> {
    if record.has_own_databases {
        for database in [record.home(), record.old_home()] {
            drop_if_empty(conn, &database).await?;
        }
    }
    Ok(())
}

/// Drops a database in which no table is left.
///
/// # Errors
/// As the server says.
pub(in crate::migrations) async fn drop_if_empty(
    conn: &mut Direct,
    database: &str,
) -> Result<(), DirectError> {
    match conn.query(format!("SHOW TABLES FROM {}", identifier(database))).await {
        Ok(tables) if tables.is_empty() => {
            conn.execute(format!("DROP DATABASE IF EXISTS {}", identifier(database))).await.map(drop)
        }
        Ok(_) => Ok(()),
        Err(error) if error.errno() == Some(ER_BAD_DB) => Ok(()),
        Err(error) => Err(error),
    }
}

fn insert(record: &Record, now: std::time::SystemTime) -> String {
    let request = &record.request;
    let columns = [
        ("id", string(record.id.as_str())),
        ("table_schema", string(&request.database)),
        ("table_name", string(&request.table)),
        ("statement", string(&request.text)),
        ("submitted_utc", string(&utc(record.submitted))),
    ];
    let all = || columns.iter().cloned().chain(changing(record, now));
    let names: Vec<&str> = all().map(|(name, _)| name).collect();
    let values: Vec<String> = all().map(|(_, value)| value).collect();
    format!("INSERT INTO {ARTIFACTS}.migrations ({}) VALUES ({})", names.join(", "), values.join(", "))
}

fn assignments(record: &Record, now: std::time::SystemTime) -> String {
    changing(record, now).map(|(name, value)| format!("{name} = {value}")).join(", ")
}

/// The columns that change in a migration's life.
fn changing(record: &Record, now: std::time::SystemTime) -> [(&'static str, String); 7] {
    [
        ("active", active(record)),
        ("state", string(record.state.name())),
        ("step", string(record.step.name())),
        ("owner", optional(record.owner.as_deref())),
        ("message", optional(message(record).as_deref())),
        ("changed_utc", string(&utc(now))),
        ("keep_until_utc", optional(record.kept.as_ref().map(|kept| utc(kept.until)).as_deref())),
    ]
}

fn active(record: &Record) -> String {
    if record.state.is_over() { "NULL".to_owned() } else { format!("x'{:032x}'", fingerprint(record)) }
}

/// Stands for the table: one number however long its name is.
fn fingerprint(record: &Record) -> u128 {
    let name = format!("{}\0{}", record.request.database, record.request.table);
    xxhash_rust::xxh3::xxh3_128(name.as_bytes())
}

fn message(record: &Record) -> Option<String> {
    let failure = record.failure.as_ref().map(|failure| failure.message.clone());
    let message = failure.or_else(|| record.message.clone())?;
    Some(message.chars().take(MESSAGE_CHARS_MAX).collect())
}

fn optional(text: Option<&str>) -> String {
    text.map_or_else(|| "NULL".to_owned(), string)
}
