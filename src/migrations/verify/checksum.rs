//! One number for the rows of a range, the same for both tables when their rows are.

use crate::migrations::plan::{CopyPlan, KeyRange};

/// Multiplies each row's checksum before they are combined. XOR of CRCs alone is linear: two rows that
/// swapped a value would cancel out.
const SPREAD: u32 = 2_654_435_761;

/// Columns whose NULLs are told in one number.
const NULLS_MAX: usize = 32;

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client's.
    Source,
    /// The shadow.
    Target,
}

/// What a range holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    /// Rows.
    pub rows: u64,
    /// All of their values.
    pub hash: u64,
}

impl Sum {
    /// What this range and another one hold together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self { rows: self.rows + other.rows, hash: self.hash ^ other.hash }
    }
}

impl CopyPlan {
    /// The statement whose one row is the number of rows and their hash.
    pub fn select_sum(&self, side: Side, range: &KeyRange) -> Vec<u8> {
        let (table, index) = match side {
            Side::Source => (self.names.source(), &self.key.source_index),
            Side::Target => (self.names.target(), &self.key.target_index),
        };
        let hash = self.row_hash(side);
        let mut sql = format!(
            "SELECT COUNT(*), COALESCE(BIT_XOR({hash} * {SPREAD}), 0) FROM {table} FORCE INDEX ({index}) \
                WHERE "
        )
        .into_bytes();
        let key = self.key.columns.iter().map(|at| match side {
            Side::Source => self.columns[*at].source.as_str(),
            Side::Target => self.columns[*at].target.as_str(),
        });
        range.condition(&key.collect::<Vec<_>>(), &mut sql);
        sql
    }

    /// The CRC of a row's values with commas between; NULLs, which CONCAT_WS leaves out, are told by numbers
    /// behind them, a bit for each column. `_binary` keeps every text as its bytes.
    fn row_hash(&self, side: Side) -> String {
        let mut parts: Vec<String> = Vec::new();
        let mut nulls: Vec<String> = Vec::new();
        for column in &self.columns {
            let (value, name) = match side {
                Side::Source => (&column.comparison.source, &column.source),
                Side::Target => (&column.comparison.target, &column.target),
            };
            parts.push(value.clone());
            if column.nullable {
                nulls.push(format!("ISNULL({name})"));
            }
        }
        for some in nulls.chunks(NULLS_MAX) {
            let bits = some.iter().enumerate().map(|(bit, is_null)| format!("{} * {is_null}", 1_u64 << bit));
            parts.push(bits.collect::<Vec<_>>().join(" + "));
        }
        format!("CRC32(CONCAT_WS(_binary',',{}))", parts.join(","))
    }
}
