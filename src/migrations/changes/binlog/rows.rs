//! Rows events.

use std::sync::Arc;

use bytes::Bytes;

use super::super::change::RowChange;
use super::super::values::{ColumnKind, ColumnShape, Row, Value, ValueError, decode, skip};
use super::table::{TableMap, read_table_id};
use super::{BinlogError, envelope};
use crate::protocol::codec::Cursor;

/// Columns of a table: MySQL's own bound.
const COLUMNS_MAX: u64 = 4096;

/// What a rows event does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum RowsKind {
    Insert,
    Update,
    Delete,
    /// Updates of which JSON columns are changed in part.
    PartialUpdate,
}

/// How a rows event is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowsFormat {
    pub(super) kind: RowsKind,
    /// Version 2: more may stand behind the flags.
    pub(super) has_extra: bool,
    pub(super) is_compressed: bool,
}

/// Rows of one table.
#[derive(Clone, Debug)]
pub(in super::super) struct RowsEvent {
    /// The table.
    pub(in super::super) map: Arc<TableMap>,
    /// What was done.
    pub(in super::super) kind: RowsKind,
    /// The rows, behind the bitmaps.
    rows: Bytes,
    /// Columns of the table.
    columns: usize,
    /// Columns that are in the (first) image of each row, and in the second.
    present: [Box<[u8]>; 2],
    /// Where the next row begins.
    at: usize,
}

/// Why rows cannot be given to a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum RowFault {
    /// Columns are left out of the images.
    NotWhole,
    /// JSON is changed in part.
    Partial,
    /// The table has another number of columns than the subscription.
    Columns {
        /// In the log.
        logged: usize,
    },
    /// A value, of the column counted from 1.
    Value { column: usize, source: ValueError },
}

/// The table id of a rows event.
pub(super) fn table_id(body: &[u8]) -> Result<u64, BinlogError> {
    read_table_id(&mut Cursor::new(body))
}

impl RowsEvent {
    /// Reads the body of a rows event, without its rows.
    pub(super) fn read(body: &[u8], format: RowsFormat, map: Arc<TableMap>) -> Result<Self, BinlogError> {
        let mut cursor = Cursor::new(body);
        read_table_id(&mut cursor)?;
        cursor.u16("the flags of a rows event")?;
        if format.has_extra {
            let length = cursor.u16("the extra fields of a rows event")?;
            let length = length.checked_sub(2).ok_or(BinlogError::Malformed { what: "extra fields" })?;
            cursor.take(usize::from(length), "the extra fields of a rows event")?;
        }
        let columns = cursor.lenenc("the columns of a rows event")?;
        if columns > COLUMNS_MAX {
            return Err(BinlogError::Malformed { what: "the columns of a rows event" });
        }
        let columns = columns as usize;
        let mut bitmap = || cursor.take(columns.div_ceil(8), "the bitmap of a rows event").map(Box::from);
        let first = bitmap()?;
        let is_update = matches!(format.kind, RowsKind::Update | RowsKind::PartialUpdate);
        let second = if is_update { bitmap()? } else { Box::default() };
        let rows = if format.is_compressed {
            let mut rows = Vec::new();
            envelope::open(cursor.rest(), &mut rows)?;
            Bytes::from(rows)
        } else {
            Bytes::copy_from_slice(cursor.rest())
        };
        Ok(Self { map, kind: format.kind, rows, columns, present: [first, second], at: 0 })
    }

    /// Goes back to the first row.
    pub(in super::super) fn rewind(&mut self) {
        self.at = 0;
    }

    /// Reads the next row change; `None` behind the last.
    pub(in super::super) fn next(&mut self, kinds: &[ColumnKind]) -> Result<Option<RowChange>, RowFault> {
        if self.kind == RowsKind::PartialUpdate {
            return Err(RowFault::Partial);
        }
        let shapes = match &self.map.shapes {
            Ok(shapes) => shapes.len(),
            Err(source) => return Err(RowFault::Value { column: 0, source: source.clone() }),
        };
        if shapes != self.columns || kinds.len() != self.columns {
            return Err(RowFault::Columns { logged: self.columns });
        }
        if self.at >= self.rows.len() {
            return Ok(None);
        }
        let start = self.at;
        let change = match self.kind {
            RowsKind::Insert => RowChange { before: None, after: Some(self.image(0, kinds)?) },
            RowsKind::Delete => RowChange { before: Some(self.image(0, kinds)?), after: None },
            RowsKind::Update | RowsKind::PartialUpdate => {
                RowChange { before: Some(self.image(0, kinds)?), after: Some(self.image(1, kinds)?) }
            }
        };
        if self.at == start {
            return Err(RowFault::NotWhole);
        }
        Ok(Some(change))
    }

    fn image(&mut self, image: usize, kinds: &[ColumnKind]) -> Result<Row, RowFault> {
        let Ok(shapes) = &self.map.shapes else { return Err(RowFault::Columns { logged: 0 }) };
        let present = &self.present[image];
        let count = (0..self.columns).filter(|at| is_set(present, *at)).count();
        let truncated = RowFault::Value { column: 0, source: ValueError::Truncated };
        let nulls_end = self.at + count.div_ceil(8);
        let nulls = self.rows.get(self.at..nulls_end).ok_or(truncated)?;
        let images = Images { rows: &self.rows, present, nulls };
        let (row, end) = images.read(shapes, kinds, nulls_end)?;
        self.at = end;
        Ok(row)
    }
}

/// One image of a row.
struct Images<'a> {
    rows: &'a Bytes,
    present: &'a [u8],
    nulls: &'a [u8],
}

impl Images<'_> {
    fn read(
        &self,
        shapes: &[ColumnShape],
        kinds: &[ColumnKind],
        mut at: usize,
    ) -> Result<(Row, usize), RowFault> {
        let mut row = Row::with_capacity(kinds.len());
        let mut nth = 0;
        for (column, (shape, kind)) in shapes.iter().zip(kinds).enumerate() {
            let is_skipped = *kind == ColumnKind::Skipped;
            if !is_set(self.present, column) {
                if !is_skipped {
                    return Err(RowFault::NotWhole);
                }
                row.push(Value::Skipped);
                continue;
            }
            let is_null = is_set(self.nulls, nth);
            nth += 1;
            let fault = |source| RowFault::Value { column: column + 1, source };
            if is_skipped {
                at = if is_null { at } else { skip(*shape, self.rows, at).map_err(fault)? };
                row.push(Value::Skipped);
            } else if is_null {
                row.push(Value::Null);
            } else {
                let (value, end) = decode(*shape, kind, self.rows, at).map_err(fault)?;
                row.push(value);
                at = end;
            }
        }
        Ok((row, at))
    }
}

fn is_set(bitmap: &[u8], at: usize) -> bool {
    bitmap.get(at / 8).is_some_and(|byte| byte & (1 << (at % 8)) != 0)
}
