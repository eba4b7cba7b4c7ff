//! Rows of a text answer: packets in one buffer, values as slices of it.

use super::client::OkEnd;
use crate::protocol::codec::{Cursor, LENENC_NULL};
use crate::protocol::errors::ProtocolError;
use crate::protocol::result::Column;

/// One row of a text answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextRow<'a> {
    payload: &'a [u8],
}

impl<'a> TextRow<'a> {
    pub(super) fn new(payload: &'a [u8]) -> Self {
        Self { payload }
    }

    /// The values in the order of the columns; `None` is NULL. Rows of [`Rows`] and
    /// [`super::RowStream`] have been checked: as many values as columns, none cut off.
    pub fn values(self) -> impl Iterator<Item = Option<&'a [u8]>> + use<'a> {
        let mut cursor = Cursor::new(self.payload);
        std::iter::from_fn(move || {
            if cursor.is_empty() {
                return None;
            }
            cursor.lenenc_nullable("value of a row").ok()
        })
    }

    /// The value of column `at`, counted from 0; `None` is NULL (or no such column).
    pub fn value(self, at: usize) -> Option<&'a [u8]> {
        self.values().nth(at).flatten()
    }

    /// The value of column `at` as text; what is not UTF-8 is replaced.
    pub fn text(self, at: usize) -> Option<String> {
        self.value(at).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// The value of column `at` as a number; `None` for NULL and for what is no such number.
    pub fn number<T: std::str::FromStr>(self, at: usize) -> Option<T> {
        std::str::from_utf8(self.value(at)?).ok()?.parse().ok()
    }

    /// Bytes of the packet.
    pub fn bytes(self) -> usize {
        self.payload.len()
    }

    /// Checks that the row has `columns` values and nothing behind them.
    pub(super) fn check(self, columns: usize) -> Result<(), ProtocolError> {
        let mut cursor = Cursor::new(self.payload);
        for _ in 0..columns {
            if cursor.peek() == Some(LENENC_NULL) {
                cursor.u8("value of a row")?;
            } else {
                cursor.lenenc_bytes("value of a row")?;
            }
        }
        if cursor.is_empty() { Ok(()) } else { Err(ProtocolError::Malformed { what: "row" }) }
    }
}

/// A complete text answer.
///
/// **Shape**: without columns the statement gave no rows, but an OK.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    pub(super) columns: Vec<Column>,
    /// The rows' payloads, one behind the other.
    pub(super) bytes: Vec<u8>,
    /// Where each row ends in `bytes`.
    pub(super) ends: Vec<usize>,
    pub(super) end: OkEnd,
}

impl Rows {
    /// The columns, empty for a statement that gives none.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True if there is no row.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Row `at`, counted from 0.
    pub fn get(&self, at: usize) -> Option<TextRow<'_>> {
        let end = *self.ends.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(TextRow::new(&self.bytes[start..end]))
    }

    /// The first row.
    pub fn first(&self) -> Option<TextRow<'_>> {
        self.get(0)
    }

    /// The rows in order.
    pub fn iter(&self) -> impl Iterator<Item = TextRow<'_>> {
        (0..self.len()).filter_map(|at| self.get(at))
    }

    /// Bytes of all rows.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// What the answer ended with.
    pub fn end(&self) -> &OkEnd {
        &self.end
    }
}
