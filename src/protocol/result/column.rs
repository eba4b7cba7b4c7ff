//! Column definitions, both ways; what is written of our own is what MySQL sends for the type.

use super::text;
use crate::protocol::codec::{Cursor, put_lenenc_bytes};
use crate::protocol::errors::ProtocolError;

/// Collation id of `utf8mb4_0900_ai_ci`, what MySQL 8 reports for text.
pub const UTF8MB4_COLLATION: u16 = 255;
/// Collation id of `binary`, what MySQL reports for numbers, times and bytes.
pub const BINARY_COLLATION: u16 = 63;

/// Column types of the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct ColumnType(pub u8);

#[allow(missing_docs, reason = "the names are MySQL's own")]
impl ColumnType {
    pub const DECIMAL: Self = Self(0);
    pub const TINY: Self = Self(1);
    pub const SHORT: Self = Self(2);
    pub const LONG: Self = Self(3);
    pub const FLOAT: Self = Self(4);
    pub const DOUBLE: Self = Self(5);
    pub const NULL: Self = Self(6);
    pub const TIMESTAMP: Self = Self(7);
    pub const LONGLONG: Self = Self(8);
    pub const INT24: Self = Self(9);
    pub const DATE: Self = Self(10);
    pub const TIME: Self = Self(11);
    pub const DATETIME: Self = Self(12);
    pub const YEAR: Self = Self(13);
    pub const VARCHAR: Self = Self(15);
    pub const BIT: Self = Self(16);
    pub const BOOL: Self = Self(244);
    pub const JSON: Self = Self(245);
    pub const NEWDECIMAL: Self = Self(246);
    pub const ENUM: Self = Self(247);
    pub const SET: Self = Self(248);
    pub const TINY_BLOB: Self = Self(249);
    pub const MEDIUM_BLOB: Self = Self(250);
    pub const LONG_BLOB: Self = Self(251);
    pub const BLOB: Self = Self(252);
    pub const VAR_STRING: Self = Self(253);
    pub const STRING: Self = Self(254);
    pub const GEOMETRY: Self = Self(255);
}

/// Column flags of the protocol.
#[allow(missing_docs, reason = "the names are MySQL's own")]
pub mod column_flags {
    pub const NOT_NULL: u16 = 1;
    pub const PRIMARY_KEY: u16 = 2;
    pub const UNIQUE_KEY: u16 = 4;
    pub const MULTIPLE_KEY: u16 = 8;
    pub const BLOB: u16 = 16;
    pub const UNSIGNED: u16 = 32;
    pub const ZEROFILL: u16 = 64;
    pub const BINARY: u16 = 128;
    pub const NUM: u16 = 32768;
}

/// Decimals of a column that has no fixed number of them.
pub const DECIMALS_NOT_FIXED: u8 = 31;

/// A column definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Database, as the client sees it.
    pub schema: String,
    /// Alias of the table.
    pub table: String,
    /// Table.
    pub org_table: String,
    /// Alias of the column.
    pub name: String,
    /// Column.
    pub org_name: String,
    /// Collation id; 63 for everything that is not text.
    pub charset: u16,
    /// Length for display, bytes.
    pub length: u32,
    /// Type.
    pub column_type: ColumnType,
    /// Flags ([`column_flags`]).
    pub flags: u16,
    /// Decimals; 31 if not fixed.
    pub decimals: u8,
}

impl Column {
    fn of(name: &str, column_type: ColumnType, length: u32) -> Self {
        Self {
            schema: String::new(),
            table: String::new(),
            org_table: String::new(),
            name: name.to_owned(),
            org_name: String::new(),
            charset: BINARY_COLLATION,
            length,
            column_type,
            flags: column_flags::BINARY,
            decimals: 0,
        }
    }

    /// A VARCHAR of at most `characters`, in utf8mb4.
    pub fn text(name: &str, characters: u32) -> Self {
        let length = characters.saturating_mul(4);
        Self { charset: UTF8MB4_COLLATION, flags: 0, ..Self::of(name, ColumnType::VAR_STRING, length) }
    }

    /// The same column as the result of an expression: its decimals are not fixed, it belongs to no table.
    pub fn computed(mut self) -> Self {
        self.decimals = DECIMALS_NOT_FIXED;
        self
    }

    /// A LONGTEXT, in utf8mb4.
    pub fn long_text(name: &str) -> Self {
        Self {
            charset: UTF8MB4_COLLATION,
            flags: column_flags::BLOB,
            ..Self::of(name, ColumnType::LONG_BLOB, u32::MAX)
        }
    }

    /// A signed BIGINT.
    pub fn bigint(name: &str) -> Self {
        Self::of(name, ColumnType::LONGLONG, 21)
    }

    /// An unsigned BIGINT.
    pub fn unsigned_bigint(name: &str) -> Self {
        let flags = column_flags::BINARY | column_flags::UNSIGNED;
        Self { flags, ..Self::of(name, ColumnType::LONGLONG, 21) }
    }

    /// A DOUBLE.
    pub fn double(name: &str) -> Self {
        Self { decimals: DECIMALS_NOT_FIXED, ..Self::of(name, ColumnType::DOUBLE, 23) }
    }

    /// A DATETIME with `decimals` digits of a second's fraction.
    pub fn datetime(name: &str, decimals: u8) -> Self {
        let fraction = if decimals > 0 { 1 + u32::from(decimals) } else { 0 };
        Self { decimals, ..Self::of(name, ColumnType::DATETIME, 19 + fraction) }
    }

    /// The same column, NOT NULL.
    pub fn not_null(mut self) -> Self {
        self.flags |= column_flags::NOT_NULL;
        self
    }

    /// The same column, of `schema`.`table`.
    pub fn of_table(mut self, schema: &str, table: &str) -> Self {
        self.schema = schema.to_owned();
        self.table = table.to_owned();
        self.org_table = table.to_owned();
        self.org_name.clone_from(&self.name);
        self
    }

    /// Reads the payload of a column definition; a default value (COM_FIELD_LIST) behind it is left alone.
    ///
    /// # Errors
    /// `Truncated`, `Malformed`.
    pub fn parse(payload: &[u8]) -> Result<Self, ProtocolError> {
        let mut cursor = Cursor::new(payload);
        cursor.lenenc_bytes("catalog")?;
        let schema = text(cursor.lenenc_bytes("column schema")?);
        let table = text(cursor.lenenc_bytes("column table")?);
        let org_table = text(cursor.lenenc_bytes("column table")?);
        let name = text(cursor.lenenc_bytes("column name")?);
        let org_name = text(cursor.lenenc_bytes("column name")?);
        let fixed = cursor.lenenc_bytes("fixed fields of a column")?;
        let mut fixed = Cursor::new(fixed);
        Ok(Self {
            schema,
            table,
            org_table,
            name,
            org_name,
            charset: fixed.u16("column charset")?,
            length: fixed.u32("column length")?,
            column_type: ColumnType(fixed.u8("column type")?),
            flags: fixed.u16("column flags")?,
            decimals: fixed.u8("column decimals")?,
        })
    }

    /// Appends the payload.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_lenenc_bytes(out, b"def");
        for field in [&self.schema, &self.table, &self.org_table, &self.name, &self.org_name] {
            put_lenenc_bytes(out, field.as_bytes());
        }
        out.push(12);
        out.extend_from_slice(&self.charset.to_le_bytes());
        out.extend_from_slice(&self.length.to_le_bytes());
        out.push(self.column_type.0);
        out.extend_from_slice(&self.flags.to_le_bytes());
        out.extend_from_slice(&[self.decimals, 0, 0]);
    }
}
