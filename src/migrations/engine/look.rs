//! The client's table as the server has it: looked at once, before anything is made.

use super::error::EngineError;
use super::session::{rows, run};
use super::shadow::{Known, Question, Types};
use crate::backend::direct::Direct;
use crate::migrations::plan::{Facts, Names, Refusal, read_definition};
use crate::protocol::handshake::Flavour;
use crate::sql::quote::string;
use crate::sql::{ServerVersion, TableDefinition};

const WHAT: &str = "reading a definition";

/// What is known of the client's table.
#[derive(Clone, Debug)]
pub struct Source {
    /// What SHOW CREATE TABLE prints in a session of bytes: what the table is compared with later.
    pub shown: String,
    /// Rows, as the server guesses.
    pub rows_estimated: u64,
    /// Bytes of its rows, as the server says.
    pub data_bytes: u64,
    /// Bytes of its secondary indexes.
    pub index_bytes: u64,
    /// Triggers and the like.
    pub facts: Facts,
    /// What SHOW CREATE TABLE prints, in UTF-8.
    pub(super) text: Vec<u8>,
    pub(super) definition: TableDefinition,
    /// See [`crate::migrations::plan::Inputs::types`].
    pub(super) types: Types,
}

/// The server, as the readers of SQL want it.
pub(super) fn version(direct: &Direct) -> ServerVersion {
    ServerVersion::parse(&direct.version().text).unwrap_or_default()
}

/// See [`super::look()`].
pub(super) async fn look(admin: &mut Direct, names: &Names, known: &Known) -> Result<Source, EngineError> {
    let bytes = show_create(admin, &names.source()).await?;
    // Else MySQL's sizes may be a day old.
    let fresh = match admin.flavour() {
        Flavour::MySql => ", SESSION information_schema_stats_expiry = 0",
        Flavour::MariaDb => "",
    };
    run(admin, format!("SET NAMES utf8mb4{fresh}"), WHAT).await?;
    let looked = look_in_words(admin, names, (bytes, known)).await;
    if !admin.is_lost() {
        run(admin, "SET NAMES binary", WHAT).await?;
    }
    looked
}

async fn look_in_words(
    admin: &mut Direct,
    names: &Names,
    (bytes, known): (Vec<u8>, &Known),
) -> Result<Source, EngineError> {
    let (database, table) = (string(&names.database), string(&names.table));
    let of = format!("table_schema = {database} AND table_name = {table}");
    let about = format!(
        "SELECT table_type, COALESCE(engine, ''), COALESCE(table_rows, 0), COALESCE(data_length, 0), \
         COALESCE(index_length, 0) FROM information_schema.tables WHERE {of}"
    );
    let about = rows(admin, about, WHAT).await?;
    let row = about.first().ok_or_else(|| EngineError::TableChanged("it is gone".to_owned()))?;
    let (table_type, engine) = (row.text(0).unwrap_or_default(), row.text(1).unwrap_or_default());
    if table_type != "BASE TABLE" || !engine.eq_ignore_ascii_case("InnoDB") {
        return Err(not_innodb(&table_type, &engine).into());
    }
    let number = |at: usize| row.number::<u64>(at).unwrap_or_default();
    let (rows_estimated, data_bytes, index_bytes) = (number(2), number(3), number(4));
    let shown = String::from_utf8_lossy(&bytes).into_owned();
    let text = if bytes.is_ascii() { bytes } else { show_create(admin, &names.source()).await? };
    let definition = read_definition(&text, version(admin))?;
    let types = types(admin, &of, (&text, known)).await?;
    let triggers = format!(
        "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = {database} AND \
         event_object_schema = {database} AND event_object_table = {table}"
    );
    let triggers = rows(admin, triggers, WHAT).await?.iter().filter_map(|row| row.text(0)).collect();
    let referenced_by = referencing(admin, names).await?;
    let facts = Facts { triggers, referenced_by, table_type };
    Ok(Source { shown, rows_estimated, data_bytes, index_bytes, facts, text, definition, types })
}

/// See [`Source::types`].
async fn types(
    admin: &mut Direct,
    of_table: &str,
    (text, known): (&[u8], &Known),
) -> Result<Types, EngineError> {
    let question = Question::types(admin, text);
    if let Some(types) = known.types(question) {
        return Ok(Types::clone(&types));
    }
    let columns = format!(
        "SELECT column_type, character_set_name FROM information_schema.columns WHERE {of_table} ORDER BY \
         ordinal_position"
    );
    let columns = rows(admin, columns, WHAT).await?;
    let types = columns.iter().map(|row| (row.text(0).unwrap_or_default(), row.text(1))).collect();
    known.note_types(question, &types);
    Ok(types)
}

fn not_innodb(table_type: &str, engine: &str) -> Refusal {
    let why = format!("it is a {table_type} of engine {engine}; only InnoDB tables are copied");
    Refusal { why, remedy: "change it by hand, with writes stopped" }
}

/// SHOW CREATE TABLE, as this session gets it.
pub(super) async fn show_create(admin: &mut Direct, table: &str) -> Result<Vec<u8>, EngineError> {
    let shown = rows(admin, format!("SHOW CREATE TABLE {table}"), WHAT).await?;
    let text = shown.first().and_then(|row| row.value(1)).map(<[u8]>::to_vec);
    text.ok_or_else(|| EngineError::TableChanged("it has no definition".to_owned()))
}

/// Tables with foreign keys that point to this one. MySQL's dictionary has an index for it; MariaDB would
/// open every table of the server, so there InnoDB's own list is asked, which names tables as files.
async fn referencing(admin: &mut Direct, names: &Names) -> Result<Vec<String>, EngineError> {
    let (database, table) = (string(&names.database), string(&names.table));
    let sql = if version(admin).mariadb {
        let file = string(&format!("{}/{}", file_name(&names.database), file_name(&names.table)));
        format!("SELECT for_name FROM information_schema.innodb_sys_foreign WHERE ref_name = {file}")
    } else {
        format!(
            "SELECT CONCAT(constraint_schema, '/', table_name) FROM \
                information_schema.referential_constraints \
             WHERE unique_constraint_schema = {database} AND referenced_table_name = {table}"
        )
    };
    let found = rows(admin, sql, "looking for foreign keys").await?;
    Ok(found.iter().filter_map(|row| row.text(0)).collect())
}

/// A name as the server writes it into file names: letters, digits and `_` stay, others are `@` and four
/// digits.
fn file_name(name: &str) -> String {
    let mut text = String::new();
    for character in name.chars() {
        if character.is_ascii_alphanumeric() || character == '_' {
            text.push(character);
        } else {
            text.push_str(&format!("@{:04x}", u32::from(character)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files() {
        assert_eq!(file_name("ws_42"), "ws_42");
        assert_eq!(file_name("a-b"), "a@002db");
    }
}
