//! The SQL of a plan: bytes, for sessions in the engine's state.

use super::key::{Key, KeyRange, literals, push_literal};
use super::{CopyColumn, CopyPlan};
use crate::backend::direct::TextRow;
use crate::migrations::changes::values::{Row, ValueError, write_text_literal};

/// Keys of one statement: below it servers look each up in the index, whatever the optimizer's bounds.
pub const KEYS_MAX: usize = 500;

impl CopyPlan {
    fn key_columns(&self) -> impl Iterator<Item = &CopyColumn> {
        self.key.columns.iter().map(|at| &self.columns[*at])
    }

    fn source_key(&self) -> Vec<&str> {
        self.key_columns().map(|column| column.source.as_str()).collect()
    }

    fn target_key(&self) -> Vec<&str> {
        self.key_columns().map(|column| column.target.as_str()).collect()
    }

    /// The rows of a range, in the order of the key; values as [`Self::write_text_row`] takes them.
    pub fn select_rows(&self, range: &KeyRange) -> Vec<u8> {
        let list: Vec<String> =
            self.columns.iter().map(|column| column.kind.select_expression(&column.source)).collect();
        let mut sql = format!("SELECT {} FROM {}", list.join(","), self.source_by_key()).into_bytes();
        sql.extend_from_slice(b" WHERE ");
        let key = self.source_key();
        range.condition(&key, &mut sql);
        sql.extend_from_slice(format!(" ORDER BY {}", key.join(",")).as_bytes());
        sql
    }

    /// The key of the row `rows - 1` rows behind the first of a range.
    pub fn select_bound(&self, range: &KeyRange, rows: u64) -> Vec<u8> {
        let key = self.source_key();
        let mut sql = self.select_key();
        sql.extend_from_slice(b" WHERE ");
        range.condition(&key, &mut sql);
        let order = key.join(",");
        sql.extend_from_slice(format!(" ORDER BY {order} LIMIT 1 OFFSET {}", rows.max(1) - 1).as_bytes());
        sql
    }

    /// The greatest key.
    pub fn select_last(&self) -> Vec<u8> {
        let order: Vec<String> = self.source_key().iter().map(|column| format!("{column} DESC")).collect();
        let mut sql = self.select_key();
        sql.extend_from_slice(format!(" ORDER BY {} LIMIT 1", order.join(",")).as_bytes());
        sql
    }

    fn select_key(&self) -> Vec<u8> {
        let list: Vec<String> =
            self.key_columns().map(|column| column.kind.select_expression(&column.source)).collect();
        format!("SELECT {} FROM {}", list.join(","), self.source_by_key()).into_bytes()
    }

    fn source_by_key(&self) -> String {
        format!("{} FORCE INDEX ({})", self.names.source(), self.key.source_index)
    }

    /// The keys that the shadow has of a range; only where both tables sort alike.
    pub fn select_target_keys(&self, range: &KeyRange) -> Vec<u8> {
        let mut sql = format!(
            "SELECT {} FROM {} FORCE INDEX ({}) WHERE ",
            self.key.back.join(","),
            self.names.target(),
            self.key.target_index
        )
        .into_bytes();
        range.condition(&self.target_key(), &mut sql);
        sql
    }

    /// Those of these keys that the shadow has; at most [`KEYS_MAX`].
    pub fn select_target_keys_of<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) -> Vec<u8> {
        let list = self.key.back.join(",");
        let mut sql = format!("SELECT {list} FROM {} WHERE ", self.names.target()).into_bytes();
        self.write_keys(&self.target_key(), keys, &mut sql);
        sql
    }

    /// Deletes the rows of these keys from the shadow; at most [`KEYS_MAX`].
    pub fn delete_keys<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) -> Vec<u8> {
        let mut sql = format!("DELETE FROM {} WHERE ", self.names.target()).into_bytes();
        self.write_keys(&self.target_key(), keys, &mut sql);
        sql
    }

    /// `a IN (1,2)`, or `((a = 1 AND b = 2) OR …)`, which servers use an index for. Text is compared by its
    /// bytes too: a collation takes more for equal than the row's identity does.
    fn write_keys<'k>(&self, columns: &[&str], keys: impl Iterator<Item = &'k [u8]>, sql: &mut Vec<u8>) {
        if let [column] = columns[..] {
            let literals: Vec<&[u8]> = keys.filter_map(|key| literals(key).next()).collect();
            write_in(column, &literals, (b"", b""), sql);
            if let Some(exact) = &self.key.exact[0] {
                sql.extend_from_slice(b" AND ");
                write_in(exact, &literals, (b"CAST(", b" AS BINARY)"), sql);
            }
            return;
        }
        sql.push(b'(');
        for (at, key) in keys.enumerate() {
            sql.extend_from_slice(if at > 0 { b" OR (" } else { b"(" });
            for (part, literal) in literals(key).enumerate() {
                sql.extend_from_slice(if part > 0 { b" AND " } else { b"" });
                sql.extend_from_slice(columns[part].as_bytes());
                sql.extend_from_slice(b" = ");
                sql.extend_from_slice(literal);
                if let Some(exact) = &self.key.exact[part] {
                    sql.extend_from_slice(format!(" AND {exact} = CAST(").as_bytes());
                    sql.extend_from_slice(literal);
                    sql.extend_from_slice(b" AS BINARY)");
                }
            }
            sql.push(b')');
        }
        sql.push(b')');
    }

    /// What stands in front of the rows of an INSERT into the shadow.
    pub fn insert_head(&self) -> Vec<u8> {
        let carried = self.columns.iter().map(|column| column.target.as_str());
        let names: Vec<&str> = carried.chain(self.fillers.iter().map(|(name, _)| name.as_str())).collect();
        format!("INSERT INTO {} ({}) VALUES ", self.names.target(), names.join(",")).into_bytes()
    }

    /// The rows of a range by the server itself, but for those of some keys, which must be of integers. At
    /// READ COMMITTED InnoDB reads the source without locks then (MySQL manual, "Locks Set by Different SQL
    /// Statements in InnoDB").
    pub fn insert_select_range(&self, range: &KeyRange, without: &[Key]) -> Vec<u8> {
        let mut sql = self.insert_select();
        sql.extend_from_slice(format!(" FORCE INDEX ({}) WHERE ", self.key.source_index).as_bytes());
        let key = self.source_key();
        range.condition(&key, &mut sql);
        if !without.is_empty() {
            debug_assert!(without.iter().all(|key| key.integers().is_some()), "integers are equal or not");
            sql.extend_from_slice(b" AND NOT (");
            self.write_keys(&key, without.iter().map(Key::as_bytes), &mut sql);
            sql.push(b')');
        }
        sql.extend_from_slice(format!(" ORDER BY {}", key.join(",")).as_bytes());
        sql
    }

    /// All rows by the server itself: for tables that are copied under a lock.
    pub fn insert_select(&self) -> Vec<u8> {
        let carried = self.columns.iter().map(|column| column.target.as_str());
        let names: Vec<&str> = carried.chain(self.fillers.iter().map(|(name, _)| name.as_str())).collect();
        let values = self.columns.iter().map(|column| column.source.as_str());
        let values: Vec<&str> = values.chain(self.fillers.iter().map(|(_, value)| *value)).collect();
        let (target, source) = (self.names.target(), self.names.source());
        let (names, values) = (names.join(","), values.join(","));
        format!("INSERT INTO {target} ({names}) SELECT {values} FROM {source}").into_bytes()
    }

    /// Appends a row that was asked for by [`Self::select_rows`] as `(…),` to `rows`, and its key to `key`.
    ///
    /// # Errors
    /// A value that its type cannot have.
    pub fn write_text_row(
        &self,
        row: TextRow<'_>,
        rows: &mut Vec<u8>,
        key: &mut Vec<u8>,
    ) -> Result<(), ValueError> {
        let start = rows.len();
        rows.push(b'(');
        let mut places = Places::new(&self.key.columns);
        for (at, (column, value)) in self.columns.iter().zip(row.values()).enumerate() {
            if at > 0 {
                rows.push(b',');
            }
            let from = rows.len();
            write_text_literal(&column.kind, value, rows)?;
            places.note(at, from - start..rows.len() - start);
        }
        self.finish_row(rows);
        places.write(&rows[start..], key);
        Ok(())
    }

    fn finish_row(&self, rows: &mut Vec<u8>) {
        for (_, value) in &self.fillers {
            rows.push(b',');
            rows.extend_from_slice(value.as_bytes());
        }
        rows.extend_from_slice(b"),");
    }

    /// A row of the feed as `(…),`.
    ///
    /// # Errors
    /// A value that its type cannot have, or that the log left out.
    pub fn image(&self, row: &Row) -> Result<Vec<u8>, ValueError> {
        let mut image = Vec::with_capacity(16 * self.columns.len());
        image.push(b'(');
        for (at, column) in self.columns.iter().enumerate() {
            if at > 0 {
                image.push(b',');
            }
            let value = row.get(column.at).ok_or(ValueError::LeftOut)?;
            value.write_literal(&column.kind, &mut image)?;
        }
        self.finish_row(&mut image);
        Ok(image)
    }

    /// The key of a row of the feed.
    ///
    /// # Errors
    /// As [`Self::image`].
    pub fn key_of(&self, row: &Row) -> Result<Key, ValueError> {
        let mut bytes = Vec::with_capacity(24);
        let mut fault = None;
        for column in self.key_columns() {
            let value = row.get(column.at).ok_or(ValueError::LeftOut)?;
            push_literal(&mut bytes, |out| fault = value.write_literal(&column.kind, out).err());
            if let Some(fault) = fault {
                return Err(fault);
            }
        }
        Ok(Key::from_bytes(&bytes))
    }

    /// The key of a row that was asked for by [`Self::select_bound`], [`Self::select_last`] or
    /// [`Self::select_target_keys`].
    ///
    /// # Errors
    /// As [`Self::write_text_row`].
    pub fn key_of_text(&self, row: TextRow<'_>) -> Result<Key, ValueError> {
        let mut bytes = Vec::with_capacity(24);
        let mut fault = None;
        for (column, value) in self.key_columns().zip(row.values()) {
            push_literal(&mut bytes, |out| fault = write_text_literal(&column.kind, value, out).err());
            if let Some(fault) = fault {
                return Err(fault);
            }
        }
        Ok(Key::from_bytes(&bytes))
    }
}

/// `what IN (front literal back, …)`
fn write_in(what: &str, literals: &[&[u8]], (front, back): (&[u8], &[u8]), sql: &mut Vec<u8>) {
    sql.extend_from_slice(what.as_bytes());
    sql.extend_from_slice(b" IN (");
    for (at, literal) in literals.iter().enumerate() {
        if at > 0 {
            sql.push(b',');
        }
        sql.extend_from_slice(front);
        sql.extend_from_slice(literal);
        sql.extend_from_slice(back);
    }
    sql.push(b')');
}

/// Where the literals of the key's columns stand in a row; no allocation for keys of up to eight columns.
struct Places<'a> {
    columns: &'a [usize],
    at: smallvec::SmallVec<[std::ops::Range<usize>; 8]>,
}

impl<'a> Places<'a> {
    fn new(columns: &'a [usize]) -> Self {
        Self { columns, at: smallvec::smallvec![0..0; columns.len()] }
    }

    fn note(&mut self, column: usize, place: std::ops::Range<usize>) {
        for (part, of) in self.columns.iter().enumerate() {
            if *of == column {
                self.at[part] = place.clone();
            }
        }
    }

    fn write(&self, row: &[u8], key: &mut Vec<u8>) {
        for place in &self.at {
            push_literal(key, |out| out.extend_from_slice(&row[place.clone()]));
        }
    }
}
