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
    let inserted = match conn.execute(insert(record, now)).await {
        // Looked for only when it is missed: that is once in a cluster's life.
        Err(error) if matches!(error.errno(), Some(ER_BAD_DB | ER_NO_SUCH_TABLE)) => {
            make(conn).await?;
            conn.execute(insert(record, now)).await
        }
        inserted => inserted,
    };
    match inserted {
        Ok(_) => Ok(Claimed::Ours),
        Err(error) if error.errno() == Some(ER_DUP_ENTRY) => {
            let holder = format!(
                "SELECT id FROM {ARTIFACTS}.migrations WHERE active = x'{:032x}' AND id <> '{}'",
                fingerprint(record),
                record.id
            );
            let holder = conn.query(holder).await?.first().and_then(|row| row.text(0));
            if let Some(holder) = holder {
                return Ok(Claimed::By(MigrationId::new(holder)));
            }
            // Its own row, of an earlier attempt.
            update(conn, record, now).await?;
            Ok(Claimed::Ours)
        }
        Err(error) => Err(error),
    }
}

/// Brings the row of a migration up to date; one that is over gives its claim up.
///
/// # Errors
/// As the server says.
pub(in crate::migrations) async fn update(
    conn: &mut Direct,
    record: &Record,
    now: std::time::SystemTime,
) -> Result<(), DirectError> {
    let columns = [
        ("active", active(record)),
        ("state", string(record.state.name())),
        ("step", string(record.step.name())),
        ("owner", optional(record.owner.as_deref())),
        ("message", optional(message(record).as_deref())),
        ("changed_utc", string(&utc(now))),
        ("keep_until_utc", optional(record.kept.as_ref().map(|kept| utc(kept.until)).as_deref())),
    ];
    let columns = columns.map(|(name, value)| format!("{name} = {value}")).join(", ");
    let id = &record.id;
    conn.execute(format!("UPDATE {ARTIFACTS}.migrations SET {columns} WHERE id = '{id}'")).await?;
    Ok(())
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
        ("active", active(record)),
        ("state", string(record.state.name())),
        ("step", string(record.step.name())),
        ("owner", optional(record.owner.as_deref())),
        ("statement", string(&request.text)),
        ("submitted_utc", string(&utc(record.submitted))),
        ("changed_utc", string(&utc(now))),
    ];
    let names = columns.each_ref().map(|(name, _)| *name).join(", ");
    let values = columns.map(|(_, value)| value).join(", ");
    format!("INSERT INTO {ARTIFACTS}.migrations ({names}) VALUES ({values})")
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
