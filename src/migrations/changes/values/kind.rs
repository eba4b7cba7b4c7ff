//! What a column's values are, from the words of `information_schema.columns`.

use std::sync::Arc;

use super::members::Members;

/// What a column's values are.
///
/// The binary log tells sizes (and MariaDB little else), so signs, character sets and labels come from the
/// definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// TINYINT to BIGINT, BOOL.
    Integer {
        /// UNSIGNED, also by ZEROFILL.
        is_unsigned: bool,
    },
    /// DECIMAL, NUMERIC.
    Decimal,
    /// FLOAT.
    Float,
    /// DOUBLE, REAL.
    Double,
    /// BIT.
    Bit,
    /// YEAR.
    Year,
    /// DATE.
    Date,
    /// TIME.
    Time,
    /// DATETIME.
    DateTime,
    /// TIMESTAMP, in UTC.
    Timestamp,
    /// CHAR, VARCHAR, TEXT and their like.
    Text {
        /// Character set of the column.
        charset: Arc<str>,
    },
    /// BINARY: the log leaves out zero bytes at the end.
    Binary {
        /// Bytes of a value.
        length: u32,
    },
    /// VARBINARY, BLOB and their like.
    Bytes,
    /// ENUM.
    Enum(Arc<Members>),
    /// SET.
    Set(Arc<Members>),
    /// MySQL's JSON; MariaDB's is text.
    Json,
    /// GEOMETRY and its like: reference system and well-known binary.
    Geometry,
    /// MySQL's VECTOR.
    Vector,
    /// A column whose values are not wanted (a generated one); the log may leave them out.
    Skipped,
}

/// A column whose values cannot be carried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("columns of type {column_type} cannot be copied by Bulkhead")]
pub struct KindFault {
    /// `information_schema.columns.column_type`.
    pub column_type: String,
}

/// Words that begin a type's name and how it is carried.
const TYPES: &[(&[&str], ColumnKind)] = &[
    (&["decimal", "numeric"], ColumnKind::Decimal),
    (&["float"], ColumnKind::Float),
    (&["double", "real"], ColumnKind::Double),
    (&["bit"], ColumnKind::Bit),
    (&["year"], ColumnKind::Year),
    (&["date"], ColumnKind::Date),
    (&["time"], ColumnKind::Time),
    (&["datetime"], ColumnKind::DateTime),
    (&["timestamp"], ColumnKind::Timestamp),
    (&["varbinary", "tinyblob", "blob", "mediumblob", "longblob"], ColumnKind::Bytes),
    (&["json"], ColumnKind::Json),
    (&["vector"], ColumnKind::Vector),
    (
        &[
            "geometry",
            "point",
            "linestring",
            "polygon",
            "multipoint",
            "multilinestring",
            "multipolygon",
            "geometrycollection",
            "geomcollection",
        ],
        ColumnKind::Geometry,
    ),
];
const INTEGERS: [&str; 5] = ["tinyint", "smallint", "mediumint", "int", "bigint"];
const TEXTS: [&str; 6] = ["char", "varchar", "tinytext", "text", "mediumtext", "longtext"];

impl ColumnKind {
    /// Reads `column_type` and `character_set_name` of `information_schema.columns`; `charset` is absent for
    /// what is not text.
    ///
    /// Generated columns are the caller's to know: their kind is [`Self::Skipped`].
    ///
    /// # Errors
    /// A type that cannot be carried: MariaDB's UUID, INET, COMPRESSED and VECTOR, XMLTYPE, whatever is new.
    pub fn of(column_type: &str, charset: Option<&str>) -> Result<Self, KindFault> {
        let fault = || KindFault { column_type: column_type.to_owned() };
        let lower = column_type.to_ascii_lowercase();
        let end = lower.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(lower.len());
        let (name, rest) = (&lower[..end], &lower[end..]);
        if rest.contains("compressed") && !matches!(name, "enum" | "set") {
            return Err(fault());
        }
        let members = |kind: fn(Arc<Members>) -> Self| {
            Members::parse(&column_type[end..]).map(|members| kind(Arc::new(members))).ok_or_else(fault)
        };
        if INTEGERS.contains(&name) {
            let is_unsigned = rest.contains("unsigned") || rest.contains("zerofill");
            return Ok(Self::Integer { is_unsigned });
        }
        if TEXTS.contains(&name) {
            return Ok(Self::Text { charset: charset.ok_or_else(fault)?.into() });
        }
        match name {
            "binary" => Ok(Self::Binary { length: length_in_parentheses(rest).ok_or_else(fault)? }),
            "enum" => members(Self::Enum),
            "set" => members(Self::Set),
            name => {
                let found = TYPES.iter().find(|(names, _)| names.contains(&name));
                found.map(|(_, kind)| kind.clone()).ok_or_else(fault)
            }
        }
    }

    /// How the column has to be named in a SELECT whose values [`super::write_text_literal`] is to take.
    /// `name` is quoted already.
    ///
    /// As text a FLOAT is rounded to six digits, and labels come in the column's character set: both are
    /// asked for in another form.
    pub fn select_expression(&self, name: &str) -> String {
        match self {
            Self::Float => format!("{name} * 1e0"),
            Self::Enum(_) | Self::Set(_) => format!("CONVERT({name} USING utf8mb4)"),
            _ => name.to_owned(),
        }
    }

    /// Says whether a key over such a column tells rows apart by the bytes of its literals: not where equal
    /// values have several forms, or where comparing is approximate.
    pub fn is_fit_for_key(&self) -> bool {
        !matches!(
            self,
            Self::Float | Self::Double | Self::Json | Self::Geometry | Self::Vector | Self::Skipped
        )
    }
}

fn length_in_parentheses(rest: &str) -> Option<u32> {
    match rest.strip_prefix('(') {
        Some(inside) => inside.split(')').next()?.trim().parse().ok(),
        None => Some(1),
    }
}
