//! Tables, columns and indexes that the vschema names, in one database of each keyspace.

use std::collections::{BTreeMap, HashMap, HashSet};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use crate::vschema::check::{Checked, Finding};
use crate::vschema::{ColumnVindex, DatabasePattern, KeyspaceSchema, Layout, Table, TableKind};

use super::Asked;

/// Types whose values a vindex of numbers takes.
const NUMBER_TYPES: [&str; 6] = ["tinyint", "smallint", "mediumint", "int", "bigint", "year"];
/// Types of text and bytes.
const TEXT_TYPES: [&str; 10] =
    ["char", "varchar", "tinytext", "text", "mediumtext", "longtext", "binary", "varbinary", "enum", "uuid"];

/// Checks every keyspace that has a shard on the cluster.
pub(super) async fn check(
    asked: Asked<'_>,
    checked: &Checked,
    connection: &mut Conn,
    findings: &mut Vec<Finding>,
) {
    for (name, topology) in &checked.config.keyspaces {
        let here = topology.shards.iter().any(|shard| shard.cluster == asked.cluster.name);
        let Some(schema) = checked.vschema.keyspace(name.as_str()).filter(|_| here) else { continue };
        if let Err(error) = check_keyspace(asked, schema, connection, findings).await {
            findings.push(asked.error(format!("keyspace {name}"), format!("cannot be asked: {error}")));
        }
    }
}

async fn check_keyspace(
    asked: Asked<'_>,
    schema: &KeyspaceSchema,
    connection: &mut Conn,
    findings: &mut Vec<Finding>,
) -> Result<(), mysql_async::Error> {
    let database = match &schema.layout {
        Layout::DatabasePerWorkspace(pattern) => match sample_database(pattern, connection).await? {
            Some(database) => database,
            None => return Ok(()),
        },
        _ => schema.name.to_string(),
    };
    let exists: Option<u8> = connection
        .exec_first("SELECT 1 FROM information_schema.schemata WHERE schema_name = ?", (&database,))
        .await?;
    if exists.is_none() {
        let message = format!("the database `{database}` does not exist, or the user cannot see it");
        findings.push(asked.error(format!("keyspace {}", schema.name), message));
        return Ok(());
    }
    super::code::check(asked, &database, connection, findings).await?;
    let facts = Facts::read(&database, connection).await?;
    let mut tables: Vec<_> = schema.tables().collect();
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    for table in tables {
        check_table(asked, &database, table, &facts, findings);
    }
    Ok(())
}

/// One database whose name fits; the names come in an order, so the first one is cheap to find.
async fn sample_database(
    pattern: &DatabasePattern,
    connection: &mut Conn,
) -> Result<Option<String>, mysql_async::Error> {
    const SAMPLES_MAX: u32 = 10;
    let escape = |text: &str| text.replace('|', "||").replace('_', "|_").replace('%', "|%");
    let like = format!("{}%{}", escape(pattern.prefix()), escape(pattern.suffix()));
    let statement = format!(
        "SELECT schema_name FROM information_schema.schemata \
         WHERE schema_name LIKE ? ESCAPE '|' LIMIT {SAMPLES_MAX}"
    );
    let names: Vec<String> = connection.exec(statement, (like,)).await?;
    Ok(names.into_iter().find(|name| pattern.match_database(name).is_some()))
}

/// What one database has.
struct Facts {
    tables: HashSet<String>,
    /// By table and lower-case column.
    columns: HashMap<(String, String), Column>,
    /// Table and lower-case column that some index begins with.
    indexed: HashSet<(String, String)>,
    /// Columns of each unique key, in lower case, by table and key; without those of an AUTO_INCREMENT alone.
    unique: BTreeMap<(String, String), Vec<String>>,
}

struct Column {
    kind: String,
    collation: Option<String>,
}

impl Facts {
    async fn read(database: &str, connection: &mut Conn) -> Result<Self, mysql_async::Error> {
        let tables: Vec<String> = connection
            .exec("SELECT table_name FROM information_schema.tables WHERE table_schema = ?", (database,))
            .await?;
        let columns: Vec<(String, String, String, Option<String>)> = connection
            .exec(
                "SELECT table_name, LOWER(column_name), LOWER(data_type), collation_name \
                 FROM information_schema.columns WHERE table_schema = ?",
                (database,),
            )
            .await?;
        let indexed: Vec<(String, String)> = connection
            .exec(
                "SELECT table_name, LOWER(column_name) FROM information_schema.statistics \
                 WHERE table_schema = ? AND seq_in_index = 1 AND column_name IS NOT NULL",
                (database,),
            )
            .await?;
        let keys: Vec<(String, String, String)> = connection
            .exec(
                "SELECT s.table_name, s.index_name, LOWER(s.column_name) \
                 FROM information_schema.statistics s \
                 JOIN information_schema.columns c USING (table_schema, table_name, column_name) \
                 WHERE table_schema = ? AND s.non_unique = 0 AND c.extra NOT LIKE '%auto_increment%'",
                (database,),
            )
            .await?;
        let mut unique: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for (table, key, column) in keys {
            unique.entry((table, key)).or_default().push(column);
        }
        let column = |(table, name, kind, collation)| ((table, name), Column { kind, collation });
        Ok(Self {
            tables: tables.into_iter().collect(),
            columns: columns.into_iter().map(column).collect(),
            indexed: indexed.into_iter().collect(),
            unique,
        })
    }
}

fn check_table(asked: Asked<'_>, database: &str, table: &Table, facts: &Facts, findings: &mut Vec<Finding>) {
    let about = format!("{database}.{}", table.name);
    if !facts.tables.contains(table.name.as_str()) {
        // A pinned table and a sequence are on one shard only, which may be another.
        if !matches!(table.kind, TableKind::Pinned(_) | TableKind::Sequence) {
            findings.push(asked.error(about, "the table does not exist, or the user cannot see it"));
        }
        return;
    }
    let missing = |column: &str| {
        let key = (table.name.to_string(), column.to_lowercase());
        !facts.columns.contains_key(&key)
    };
    for column in table.columns.iter().filter(|column| missing(column)) {
        findings.push(asked.error(&about, format!("the column `{column}` does not exist")));
    }
    let TableKind::Sharded { column_vindexes } = &table.kind else { return };
    for (at, by) in column_vindexes.iter().enumerate() {
        for column in &by.columns {
            check_column(asked, &about, (table, column, by), facts, findings);
        }
        let first = by.columns.first().map(|column| column.to_lowercase()).unwrap_or_default();
        let any_indexed = by
            .columns
            .iter()
            .any(|column| facts.indexed.contains(&(table.name.to_string(), column.to_lowercase())));
        if at == 0 && !any_indexed && !missing(&first) {
            let message =
                format!("no index begins with the column `{first}`: every statement reads all rows");
            findings.push(asked.warning(&about, message));
        }
    }
    let owner = column_vindexes.first().map(|by| by.columns.as_slice()).unwrap_or_default();
    let holds_owner = |columns: &[String]| {
        owner.iter().any(|column| columns.iter().any(|held| held.eq_ignore_ascii_case(column)))
    };
    for ((_, key), columns) in facts.unique.iter().filter(|((of, _), _)| of == table.name.as_str()) {
        if !holds_owner(columns) {
            let message = format!(
                "the unique key `{key}` ({}) does not hold the workspace's column: REPLACE and ON DUPLICATE \
                 KEY UPDATE can change another workspace's row",
                columns.join(", ")
            );
            findings.push(asked.warning(&about, message));
        }
    }
}

fn check_column(
    asked: Asked<'_>,
    about: &str,
    (table, name, by): (&Table, &str, &ColumnVindex),
    facts: &Facts,
    findings: &mut Vec<Finding>,
) {
    let Some(column) = facts.columns.get(&(table.name.to_string(), name.to_lowercase())) else {
        findings.push(asked.error(about, format!("the column `{name}` does not exist")));
        return;
    };
    let kind = by.vindex.type_name();
    let (number, text) = (NUMBER_TYPES.contains(&&*column.kind), TEXT_TYPES.contains(&&*column.kind));
    if !number && !text {
        let message = format!("the column `{name}` is {}: no vindex maps such values", column.kind);
        findings.push(asked.error(about, message));
    } else if by.vindex.takes_only_numbers() && text {
        let message =
            format!("the column `{name}` is {}, the vindex type `{kind}` takes whole numbers", column.kind);
        findings.push(asked.warning(about, message));
    }
    // Vindexes look at bytes; where MySQL takes different bytes for equal, equal values may live apart.
    let folds = column.collation.as_deref().is_some_and(|name| !name.ends_with("_bin") && name != "binary");
    if text && folds && matches!(kind, "xxhash" | "binary" | "binary_md5" | "directory" | "multicol") {
        let collation = column.collation.as_deref().unwrap_or_default();
        let message = format!(
            "the column `{name}` compares by {collation}, the vindex type `{kind}` byte by byte: \
             'A' and 'a' are equal \
             to MySQL and may live on different shards; use a _bin collation or unicode_loose_xxhash, and \
             compare it with strings only"
        );
        findings.push(asked.warning(about, message));
    }
}
