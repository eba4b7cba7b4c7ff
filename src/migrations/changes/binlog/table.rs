//! Table maps: which table the rows that follow are of, and where their values end.

use std::sync::Arc;

use super::super::values::{ColumnShape, ValueError};
use super::BinlogError;
use crate::protocol::codec::Cursor;

/// Columns of a table: MySQL's own bound.
const COLUMNS_MAX: u64 = 4096;

/// A table as its rows name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct TableMap {
    /// The number that was given for it in the [`super::Interest`].
    pub(in super::super) table: usize,
    /// Its columns; an error when one is of a type that is not known.
    pub(in super::super) shapes: Result<Box<[ColumnShape]>, ValueError>,
}

/// The fields in front.
pub(super) struct Names<'a> {
    pub(super) id: u64,
    pub(super) database: &'a [u8],
    pub(super) table: &'a [u8],
    rest: Cursor<'a>,
}

impl<'a> Names<'a> {
    /// Reads the names from the body of a table map.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, BinlogError> {
        let mut cursor = Cursor::new(body);
        let id = read_table_id(&mut cursor)?;
        cursor.u16("the flags of a table map")?;
        let database = read_name(&mut cursor)?;
        let table = read_name(&mut cursor)?;
        Ok(Self { id, database, table, rest: cursor })
    }

    /// Reads the columns.
    pub(super) fn map(mut self, table: usize) -> Result<Arc<TableMap>, BinlogError> {
        let count = self.rest.lenenc("the columns of a table map")?;
        if count > COLUMNS_MAX {
            return Err(BinlogError::Malformed { what: "the columns of a table map" });
        }
        let types = self.rest.take(count as usize, "the types of a table map")?;
        let mut metadata = Cursor::new(self.rest.lenenc_bytes("the metadata of a table map")?);
        let shapes = types.iter().map(|logged| ColumnShape::read(*logged, &mut metadata));
        Ok(Arc::new(TableMap { table, shapes: shapes.collect() }))
    }
}

/// Six bytes.
pub(super) fn read_table_id(cursor: &mut Cursor<'_>) -> Result<u64, BinlogError> {
    let low = cursor.u32("a table id")?;
    Ok(u64::from(low) | u64::from(cursor.u16("a table id")?) << 32)
}

/// A length of one byte, the name, and a zero.
fn read_name<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], BinlogError> {
    let length = usize::from(cursor.u8("a name of a table map")?);
    let name = cursor.take(length, "a name of a table map")?;
    cursor.u8("a name of a table map")?;
    Ok(name)
}
