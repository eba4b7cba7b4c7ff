//! Types with their character sets filled in.

use crate::sql::{DataType, ServerVersion, TypeKind};

/// A column's type, complete: character set and collation of the table where it names none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedType {
    /// Its kind.
    pub kind: TypeKind,
    /// Length, precision or fractional digits; MySQL's own where none is written; `None` where it does not
    /// matter (display widths).
    pub length: Option<u64>,
    /// Scale of a decimal.
    pub scale: u64,
    /// UNSIGNED.
    pub unsigned: bool,
    /// ZEROFILL, with its width.
    pub zerofill: Option<u64>,
    /// Members of ENUM and SET.
    pub members: Vec<Vec<u8>>,
    /// The character set; `None` for types without, and where it is not known.
    pub charset: Option<String>,
    /// The collation; `None` for types without, and where it is not known.
    pub collation: Option<String>,
}

/// The character set and collation of a table; `None` where the definition does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Charset {
    pub(super) charset: Option<String>,
    pub(super) collation: Option<String>,
}

impl Charset {
    /// From what is written: one implies the other.
    pub(super) fn of(charset: Option<&str>, collation: Option<&str>, server: ServerVersion) -> Self {
        let charset =
            charset.or_else(|| collation.and_then(|name| name.split('_').next())).map(str::to_owned);
        let collation = collation
            .map(str::to_owned)
            .or_else(|| charset.as_deref().map(|charset| default_collation(charset, server)));
        Self { charset, collation }
    }
}

/// The collation of a character set when none is named.
fn default_collation(charset: &str, server: ServerVersion) -> String {
    match charset {
        "utf8mb4" if !server.mariadb => "utf8mb4_0900_ai_ci".to_owned(),
        "latin1" => "latin1_swedish_ci".to_owned(),
        "binary" => "binary".to_owned(),
        // What a set's default is called does not matter here, only that it is the same each time.
        other => format!("{other}_general_ci"),
    }
}

/// Most bytes of a character; `None` for sets that are not known.
pub(super) fn bytes_per_character(charset: &str) -> Option<u64> {
    Some(match charset {
        "utf8mb4" | "utf16" | "utf16le" | "utf32" | "gb18030" => 4,
        "utf8mb3" | "ujis" | "eucjpms" => 3,
        "ucs2" | "gbk" | "big5" | "sjis" | "cp932" | "euckr" | "gb2312" => 2,
        "latin1" | "latin2" | "latin5" | "latin7" | "ascii" | "binary" | "cp1250" | "cp1251" | "cp1256"
        | "cp1257" | "cp850" | "cp852" | "cp866" | "dec8" | "geostd8" | "greek" | "hebrew" | "hp8"
        | "keybcs2" | "koi8r" | "koi8u" | "macce" | "macroman" | "armscii8" | "swe7" | "tis620" => 1,
        _ => return None,
    })
}

/// Says whether a type is of characters.
pub(super) fn takes_charset(kind: &TypeKind) -> bool {
    matches!(kind, TypeKind::Char | TypeKind::VarChar | TypeKind::Text(_) | TypeKind::Enum | TypeKind::Set)
}

/// Fills in what the table and the server add.
pub(super) fn resolve(data_type: &DataType, table: &Charset, server: ServerVersion) -> ResolvedType {
    let mut kind = data_type.kind.clone();
    let mut own = Charset::default();
    if takes_charset(&kind) {
        own = own_charset(data_type, table, server);
    }
    if own.charset.as_deref() == Some("binary") {
        kind = binary_kind(kind);
        own = Charset::default();
    }
    ResolvedType {
        length: length_of(data_type, &kind),
        scale: data_type.scale.unwrap_or(0),
        unsigned: data_type.unsigned,
        zerofill: data_type.zerofill.then_some(data_type.length.unwrap_or(0)),
        members: data_type.members.clone(),
        charset: own.charset,
        collation: own.collation,
        kind,
    }
}

fn own_charset(data_type: &DataType, table: &Charset, server: ServerVersion) -> Charset {
    let named = data_type.charset.is_some() || data_type.collation.is_some();
    let mut charset = if named {
        Charset::of(data_type.charset.as_deref(), data_type.collation.as_deref(), server)
    } else {
        table.clone()
    };
    if data_type.binary {
        charset.collation = charset.charset.as_ref().map(|name| format!("{name}_bin"));
    }
    charset
}

/// CHARACTER SET binary makes a binary string of a string.
fn binary_kind(kind: TypeKind) -> TypeKind {
    match kind {
        TypeKind::Char => TypeKind::Binary,
        TypeKind::VarChar => TypeKind::VarBinary,
        TypeKind::Text(size) => TypeKind::Blob(size),
        other => other,
    }
}

fn length_of(data_type: &DataType, kind: &TypeKind) -> Option<u64> {
    match kind {
        TypeKind::Decimal => Some(data_type.length.unwrap_or(10)),
        TypeKind::Bit | TypeKind::Char | TypeKind::Binary => Some(data_type.length.unwrap_or(1)),
        TypeKind::VarChar | TypeKind::VarBinary => data_type.length,
        TypeKind::Time | TypeKind::DateTime | TypeKind::Timestamp => Some(data_type.length.unwrap_or(0)),
        TypeKind::Float | TypeKind::Double | TypeKind::Other(_) => data_type.length,
        _ => None,
    }
}
