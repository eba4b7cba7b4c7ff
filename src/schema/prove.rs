//! Scans rows before a change that could lose values: they are tried out in the new type, in a scratch table
//! of the connection, and have to come back as they were.
//!
//! By chunks of the row key, with a pause after each; the table is only read, without locks. What it shows is
//! true of the rows as they were then: rows that are written later are the copy's business, which runs in a
//! strict mode and compares what it copied.

use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Params, Value};

use super::error::ReadError;
use super::reader::{Reader, bounded};
use crate::config::Cluster;
use crate::ddl::{Claim, Converts};
use crate::sql::quote;

/// Rows of a chunk.
const CHUNK_ROWS: usize = 2000;
/// One statement about a chunk takes no longer.
const CHUNK_WITHIN: Duration = Duration::from_secs(30);
/// A question of a scan takes no longer; a chunk has a bound of its own.
const SCAN_WITHIN: Duration = Duration::from_secs(5);
/// The scratch table, in the database of the table.
const SCRATCH: &str = "zz_bulkhead_scratch";
/// As the copy has it: strict, zero dates carried.
const SCAN_MODE: &str = "STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES";

/// What a scan has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Every row fits.
    Holds,
    /// A row does not.
    Fails {
        /// The column.
        column: String,
        /// Why, without the value.
        why: &'static str,
    },
}

/// Scans a table of a cluster for what is claimed: on the first replica that can be asked, else on the
/// primary.
/// `key` as for [`prove`].
///
/// # Errors
/// See [`ReadError`]: that of the last server that was asked.
///
/// Cancel safety: safe.
pub async fn prove_on(
    cluster: &Cluster,
    (database, table): (&str, &str),
    (key, claims): (&[String], &[Claim]),
) -> Result<Proof, ReadError> {
    let login = (&cluster.admin_login, &cluster.tls);
    let began = Instant::now();
    let mut last = ReadError::Odd("servers to ask");
    for server in cluster.replicas.iter().chain([&cluster.primary]) {
        let opened = Reader::open(server, login, database, SCAN_WITHIN).await;
        let done = match opened {
            Ok(mut reader) => prove(&mut reader, table, key, claims).await,
            Err(error) => Err(error),
        };
        match done {
            Ok(proof) => {
                let ms = began.elapsed().as_millis() as u64;
                tracing::info!(target: "bulkhead::ddl", table, %server, ms, ?proof, "rows scanned");
                return Ok(proof);
            }
            Err(error) => {
                tracing::warn!(target: "bulkhead::ddl", table, %server, %error, "rows not scanned there");
                last = error;
            }
        }
    }
    Err(last)
}

/// Scans a table for what is claimed; `key` names the columns by which rows are told apart, in order: without
/// any, the table is scanned in one piece.
///
/// # Errors
/// See [`ReadError`]; the connection is of no more use then.
///
/// Cancel safety: safe; the scratch table goes with the connection.
pub async fn prove(
    reader: &mut Reader,
    table: &str,
    key: &[String],
    claims: &[Claim],
) -> Result<Proof, ReadError> {
    reader
        .run(&format!("SET SESSION sql_mode = '{SCAN_MODE}', time_zone = '+00:00', foreign_key_checks = 0"))
        .await?;
    reader.run("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
    for claim in claims {
        let scan = Scan { table: name_of(reader, table), scratch: name_of(reader, SCRATCH), key, claim };
        let found = scan.run(reader).await?;
        if found != Proof::Holds {
            return Ok(found);
        }
    }
    Ok(Proof::Holds)
}

fn name_of(reader: &Reader, table: &str) -> String {
    format!("{}.{}", quote::identifier(reader.database()), quote::identifier(table))
}

/// The scan for one claim.
struct Scan<'a> {
    table: String,
    scratch: String,
    key: &'a [String],
    claim: &'a Claim,
}

impl Scan<'_> {
    async fn run(&self, reader: &mut Reader) -> Result<Proof, ReadError> {
        if let Some(types) = &self.claim.conversion {
            self.make_scratch(reader, types).await?;
        }
        let mut after: Option<Vec<Value>> = None;
        loop {
            let began = Instant::now();
            let upto = self.end_of_chunk(reader, after.as_deref()).await?;
            let found = self.look_at(reader, after.as_deref(), upto.as_deref()).await?;
            if found != Proof::Holds || upto.is_none() {
                return Ok(found);
            }
            after = upto;
            // A scan never takes more than two thirds of one connection's time.
            tokio::time::sleep(began.elapsed() / 2).await;
        }
    }

    async fn make_scratch(&self, reader: &mut Reader, types: &Converts) -> Result<(), ReadError> {
        let (scratch, Converts { old, new, .. }) = (&self.scratch, types);
        reader.run(&format!("DROP TEMPORARY TABLE IF EXISTS {scratch}")).await?;
        let columns = format!("`a` {old} NULL, `b` {new} NULL, `c` {old} NULL");
        reader.run(&format!("CREATE TEMPORARY TABLE {scratch} ({columns}) ENGINE=InnoDB")).await
    }

    /// The last key of the chunk behind `after`; absent when it is the last one.
    async fn end_of_chunk(
        &self,
        reader: &mut Reader,
        after: Option<&[Value]>,
    ) -> Result<Option<Vec<Value>>, ReadError> {
        if self.key.is_empty() {
            return Ok(None);
        }
        let columns: Vec<String> = self.key.iter().map(|name| quote::identifier(name)).collect();
        let (condition, params) = self.range(after, None);
        let (list, offset) = (columns.join(", "), CHUNK_ROWS - 1);
        let question = format!(
            "SELECT {list} FROM {} WHERE {condition} ORDER BY {list} LIMIT 1 OFFSET {offset}",
            self.table
        );
        let within = CHUNK_WITHIN.max(reader.within());
        let row: Option<mysql_async::Row> =
            bounded(within, reader.conn().exec_first(question, params)).await?;
        Ok(row.map(mysql_async::Row::unwrap))
    }

    async fn look_at(
        &self,
        reader: &mut Reader,
        after: Option<&[Value]>,
        upto: Option<&[Value]>,
    ) -> Result<Proof, ReadError> {
        let (condition, params) = self.range(after, upto);
        let (table, scratch) = (&self.table, &self.scratch);
        let column = quote::identifier(&self.claim.column);
        let fails = |why: &'static str| Ok(Proof::Fails { column: self.claim.column.clone(), why });
        let within = CHUNK_WITHIN.max(reader.within());
        if self.claim.not_null {
            let question = format!("SELECT 1 FROM {table} WHERE ({condition}) AND {column} IS NULL LIMIT 1");
            let found: Option<u8> =
                bounded(within, reader.conn().exec_first(question, params.clone())).await?;
            if found.is_some() {
                return fails("rows hold NULL");
            }
        }
        let Some(types) = &self.claim.conversion else { return Ok(Proof::Holds) };
        let fill = format!(
            "INSERT INTO {scratch} (`a`, `b`) SELECT {column}, {column} FROM {table} WHERE {condition}"
        );
        let back = format!("UPDATE {scratch} SET `c` = `b`");
        for (statement, params) in [(fill, params), (back, Params::Empty)] {
            match bounded(within, reader.conn().exec_drop(statement, params)).await {
                Ok(()) => {}
                Err(ReadError::Server { errno, .. }) if is_about_a_value(errno) => {
                    return fails("a value does not fit the new type");
                }
                Err(error) => return Err(error),
            }
        }
        let same = if types.as_bytes { "CAST(`a` AS BINARY) <=> CAST(`c` AS BINARY)" } else { "`a` <=> `c`" };
        let question = format!("SELECT 1 FROM {scratch} WHERE NOT ({same}) LIMIT 1");
        let found: Option<u8> = bounded(within, reader.conn().query_first(question)).await?;
        if found.is_some() {
            return fails("a value would be another one in the new type");
        }
        bounded(within, reader.conn().query_drop(format!("DELETE FROM {scratch}"))).await?;
        Ok(Proof::Holds)
    }

    /// The condition for keys behind `after` and up to `upto`, and its values.
    fn range(&self, after: Option<&[Value]>, upto: Option<&[Value]>) -> (String, Params) {
        let mut values = Vec::new();
        let mut parts = Vec::new();
        if let Some(after) = after {
            parts.push(behind(self.key, after, ">", &mut values));
        }
        if let Some(upto) = upto {
            parts.push(behind(self.key, upto, "<=", &mut values));
        }
        let condition = if parts.is_empty() { "1 = 1".to_owned() } else { parts.join(" AND ") };
        (condition, if values.is_empty() { Params::Empty } else { Params::Positional(values) })
    }
}

/// `(a > ? OR (a = ? AND b > ?))`: servers use an index for this form. `<=` for the last column alone; the
/// columns before it are compared strictly.
fn behind(key: &[String], bound: &[Value], operator: &str, values: &mut Vec<Value>) -> String {
    let strict = operator.trim_end_matches('=');
    let mut choices = Vec::new();
    for at in 0..key.len().min(bound.len()) {
        let mut terms = Vec::new();
        for before in 0..at {
            terms.push(format!("{} = ?", quote::identifier(&key[before])));
            values.push(bound[before].clone());
        }
        let is_last = at + 1 == key.len();
        let compared = if is_last { operator } else { strict };
        terms.push(format!("{} {compared} ?", quote::identifier(&key[at])));
        values.push(bound[at].clone());
        choices.push(format!("({})", terms.join(" AND ")));
    }
    format!("({})", choices.join(" OR "))
}

/// Errors that say that a value does not fit its column.
fn is_about_a_value(errno: u16) -> bool {
    // Bad NULL, out of range, truncated, wrong value (of a column, of a function), too long, invalid JSON,
    // check violated, cannot convert characters.
    matches!(
        errno,
        1048 | 1264
            | 1265
            | 1292
            | 1366
            | 1367
            | 1406
            | 1411
            | 1525
            | 1690
            | 3140
            | 3141
            | 3854
            | 3988
            | 4025
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_the_order_of_the_key() {
        let key = ["a".to_owned(), "b`c".to_owned()];
        let bound = [Value::Int(1), Value::Int(2)];
        let mut values = Vec::new();
        assert_eq!(behind(&key, &bound, ">", &mut values), "((`a` > ?) OR (`a` = ? AND `b``c` > ?))");
        assert_eq!(values, [Value::Int(1), Value::Int(1), Value::Int(2)]);
        values.clear();
        assert_eq!(behind(&key, &bound, "<=", &mut values), "((`a` < ?) OR (`a` = ? AND `b``c` <= ?))");
        assert_eq!(behind(&key[..1], &bound[..1], "<=", &mut Vec::new()), "((`a` <= ?))");
    }
}
