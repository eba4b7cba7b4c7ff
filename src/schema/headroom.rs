//! Reads the integers of one database: from its dictionary, and from both ends of indexes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};

use mysql_async::Row;
use mysql_async::prelude::Queryable;

use super::error::ReadError;
use super::reader::{Reader, bounded};
use crate::ddl::{IntegerColumn, Reference, SchemaFacts, SequenceFacts};
use crate::sql::{ServerVersion, quote};

/// Columns whose indexes are asked for their ends, at most: two reads each.
const ENDS_MAX: usize = 20_000;

const TABLES: &str = "SELECT table_name, table_type, CAST(auto_increment AS CHAR) FROM \
    information_schema.tables WHERE table_schema = ?";
const COLUMNS: &str = "SELECT table_name, column_name, data_type, column_type, extra, column_default FROM \
    information_schema.columns WHERE table_schema = ? AND data_type IN \
    ('tinyint', 'smallint', 'mediumint', 'int', 'bigint')";
const TYPES: &str = "SELECT table_name, LOWER(column_name) FROM information_schema.columns \
    WHERE table_schema = ? AND column_name LIKE '%|_type' ESCAPE '|'";
const KEYS: &str = "SELECT table_name, index_name, column_name, seq_in_index FROM \
    information_schema.statistics WHERE table_schema = ? AND column_name IS NOT NULL";
const REFERENCES: &str = "SELECT constraint_name, table_name, column_name, referenced_table_name, \
    referenced_column_name FROM information_schema.key_column_usage WHERE table_schema = ? AND \
    referenced_table_schema = table_schema";

/// Reads one database's integers. Every question names the one database.
///
/// # Errors
/// See [`ReadError`].
pub async fn read_facts(reader: &mut Reader) -> Result<SchemaFacts, ReadError> {
    // MySQL answers counters from a cache of a day otherwise; MariaDB has no such variable.
    let _ = reader.run("SET SESSION information_schema_stats_expiry = 0").await;
    let database = reader.database().to_owned();
    let tables = read_tables(reader, &database).await?;
    let keys = Keys::read(reader, &database).await?;
    let mut columns = read_columns(reader, &database, &tables, &keys).await?;
    for column in columns.iter_mut().filter(|column| keys.leads(column)).take(ENDS_MAX) {
        read_ends(reader, &database, column).await?;
    }
    let references = read_references(reader, &database).await?;
    let mut sequences = BTreeMap::new();
    for (name, _) in tables.iter().filter(|(_, table)| table.kind == "SEQUENCE") {
        sequences.insert(name.clone(), read_sequence(reader, &database, name).await?);
    }
    let taken = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Ok(SchemaFacts { database, taken, columns, references, sequences })
}

struct TableFacts {
    kind: String,
    counter: Option<u64>,
}

async fn ask(reader: &mut Reader, question: &str, database: &str) -> Result<Vec<Row>, ReadError> {
    let within = reader.within();
    bounded(within, reader.conn().exec(question, (database,))).await
}

/// A text of a row; absent for NULL.
fn text(row: &Row, at: usize) -> Option<String> {
    row.get_opt::<Option<String>, usize>(at)?.ok().flatten()
}

async fn read_tables(reader: &mut Reader, database: &str) -> Result<HashMap<String, TableFacts>, ReadError> {
    let rows = ask(reader, TABLES, database).await?;
    let table = |row: &Row| {
        let counter = text(row, 2).and_then(|counter| counter.parse().ok());
        Some((text(row, 0)?, TableFacts { kind: text(row, 1)?, counter }))
    };
    Ok(rows.iter().filter_map(table).collect())
}

async fn read_columns(
    reader: &mut Reader,
    database: &str,
    tables: &HashMap<String, TableFacts>,
    keys: &Keys,
) -> Result<Vec<IntegerColumn>, ReadError> {
    let types = ask(reader, TYPES, database).await?;
    let types: HashSet<(String, String)> =
        types.iter().filter_map(|row| Some((text(row, 0)?, text(row, 1)?))).collect();
    let rows = ask(reader, COLUMNS, database).await?;
    let mut columns = Vec::new();
    for row in &rows {
        let (Some(table), Some(column), Some(data_type)) = (text(row, 0), text(row, 1), text(row, 2)) else {
            continue;
        };
        let holds_rows = |of: &&TableFacts| matches!(of.kind.as_str(), "BASE TABLE" | "SYSTEM VERSIONED");
        let Some(of) = tables.get(&table).filter(holds_rows) else { continue };
        let written = text(row, 3).unwrap_or_default();
        // A flag, not a number.
        if written.starts_with("tinyint(1)") {
            continue;
        }
        let counts = text(row, 4).is_some_and(|extra| extra.to_lowercase().contains("auto_increment"));
        columns.push(IntegerColumn {
            bytes: bytes_of(&data_type),
            unsigned: written.contains("unsigned"),
            counter: of.counter.filter(|_| counts),
            sequence: text(row, 5).and_then(|default| sequence_of(&default)),
            largest: None,
            smallest: None,
            is_key: keys.is_primary(&table, &column),
            is_polymorphic: column
                .to_lowercase()
                .strip_suffix("_id")
                .is_some_and(|name| types.contains(&(table.clone(), format!("{name}_type")))),
            table,
            column,
        });
    }
    Ok(columns)
}

fn bytes_of(data_type: &str) -> u8 {
    match data_type {
        "tinyint" => 1,
        "smallint" => 2,
        "mediumint" => 3,
        "int" => 4,
        _ => 8,
    }
}

/// The sequence of a default as MariaDB shows it: ``nextval(`db`.`name`)``.
fn sequence_of(default: &str) -> Option<String> {
    let inner = default.trim().strip_prefix("nextval(")?.strip_suffix(')')?;
    let name = inner.rsplit_once('.').map_or(inner, |(_, name)| name);
    Some(name.trim_matches('`').replace("``", "`"))
}

/// The keys of all tables.
struct Keys {
    /// Table and column, lower case, that some key begins with.
    leading: HashSet<(String, String)>,
    /// The primary key's columns, in lower case, by table.
    primary: HashMap<String, Vec<String>>,
}

impl Keys {
    async fn read(reader: &mut Reader, database: &str) -> Result<Self, ReadError> {
        let mut keys = Self { leading: HashSet::new(), primary: HashMap::new() };
        let question = format!("{KEYS}{}", only_used(reader.facts().await?.version));
        for row in ask(reader, &question, database).await? {
            let (Some(table), Some(key), Some(column)) = (text(&row, 0), text(&row, 1), text(&row, 2)) else {
                continue;
            };
            let column = column.to_lowercase();
            let place: u64 = row.get_opt(3).and_then(Result::ok).unwrap_or(0);
            if key == "PRIMARY" {
                keys.primary.entry(table.clone()).or_default().push(column.clone());
            }
            if place == 1 {
                keys.leading.insert((table, column));
            }
        }
        Ok(keys)
    }

    fn leads(&self, column: &IntegerColumn) -> bool {
        self.leading.contains(&(column.table.clone(), column.column.to_lowercase()))
    }

    fn is_primary(&self, table: &str, column: &str) -> bool {
        let key = self.primary.get(table);
        key.is_some_and(|key| key.len() == 1 && key[0] == column.to_lowercase())
    }
}

/// Leaves out the indexes that a server does not read by: it would read the whole table for their ends.
fn only_used(server: ServerVersion) -> &'static str {
    match server.number {
        100_600.. if server.mariadb => " AND ignored = 'NO'",
        80_000.. if !server.mariadb => " AND is_visible = 'YES'",
        _ => "",
    }
}

/// The smallest and the largest value, from both ends of an index.
async fn read_ends(reader: &mut Reader, database: &str, column: &mut IntegerColumn) -> Result<(), ReadError> {
    let (table, name) = (quote::identifier(&column.table), quote::identifier(&column.column));
    let database = quote::identifier(database);
    let question =
        format!("SELECT CAST(MIN({name}) AS CHAR), CAST(MAX({name}) AS CHAR) FROM {database}.{table}");
    let within = reader.within();
    let row: Option<Row> = bounded(within, reader.conn().query_first(question)).await?;
    let end = |at: usize| row.as_ref().and_then(|row| text(row, at)).and_then(|value| value.parse().ok());
    (column.smallest, column.largest) = (end(0), end(1));
    Ok(())
}

/// Foreign keys of one column; those of several are left out.
async fn read_references(reader: &mut Reader, database: &str) -> Result<Vec<Reference>, ReadError> {
    let mut by_constraint: BTreeMap<(String, String), Vec<Reference>> = BTreeMap::new();
    for row in ask(reader, REFERENCES, database).await? {
        let all: Option<Vec<String>> = (0..5).map(|at| text(&row, at)).collect();
        let Some([constraint, table, column, parent_table, parent_column]) =
            all.and_then(|all| <[String; 5]>::try_from(all).ok())
        else {
            continue;
        };
        let reference = Reference { table: table.clone(), column, parent_table, parent_column };
        by_constraint.entry((table, constraint)).or_default().push(reference);
    }
    let single = |mut all: Vec<Reference>| if all.len() == 1 { all.pop() } else { None };
    Ok(by_constraint.into_values().filter_map(single).collect())
}

async fn read_sequence(reader: &mut Reader, database: &str, name: &str) -> Result<SequenceFacts, ReadError> {
    let question = format!(
        "SELECT CAST(next_not_cached_value AS CHAR), CAST(maximum_value AS CHAR), CAST(cycle_option AS CHAR) \
         FROM {}.{}",
        quote::identifier(database),
        quote::identifier(name)
    );
    let within = reader.within();
    let row: Option<Row> = bounded(within, reader.conn().query_first(question)).await?;
    let row = row.ok_or(ReadError::Odd("a sequence"))?;
    let number = |at: usize| text(&row, at).and_then(|value| value.parse::<i128>().ok());
    let (Some(next), Some(limit)) = (number(0), number(1)) else {
        return Err(ReadError::Odd("a sequence"));
    };
    Ok(SequenceFacts { next, limit, cycles: number(2) == Some(1) })
}

#[cfg(test)]
mod tests {
    use super::sequence_of;

    #[test]
    fn sequences_are_read_off_defaults() {
        assert_eq!(sequence_of("nextval(`ws_1`.`ids`)").as_deref(), Some("ids"));
        assert_eq!(sequence_of("nextval(`ids`)").as_deref(), Some("ids"));
        assert_eq!(sequence_of("0"), None);
    }
}
