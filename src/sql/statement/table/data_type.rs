//! Data types.

use super::parts::{DataType, TypeKind};
use super::word_of;
use crate::sql::lexer::TokenKind;
use crate::sql::span::Span;
use crate::sql::statement::Unread;
use crate::sql::statement::cursor::Cursor;

/// Types of several words; tried before those of one.
const LONG_NAMES: &[(&[&str], TypeKind)] = &[
    (&["DOUBLE", "PRECISION"], TypeKind::Double),
    (&["CHARACTER", "VARYING"], TypeKind::VarChar),
    (&["CHAR", "VARYING"], TypeKind::VarChar),
    (&["NATIONAL", "CHARACTER", "VARYING"], TypeKind::VarChar),
    (&["NATIONAL", "CHAR", "VARYING"], TypeKind::VarChar),
    (&["NATIONAL", "VARCHAR"], TypeKind::VarChar),
    (&["NATIONAL", "CHARACTER"], TypeKind::Char),
    (&["NATIONAL", "CHAR"], TypeKind::Char),
    (&["NCHAR", "VARYING"], TypeKind::VarChar),
    (&["NCHAR", "VARCHAR"], TypeKind::VarChar),
    (&["LONG", "CHAR", "VARYING"], TypeKind::Text(3)),
    (&["LONG", "VARCHAR"], TypeKind::Text(3)),
    (&["LONG", "VARBINARY"], TypeKind::Blob(3)),
];

const NAMES: &[(&str, TypeKind)] = &[
    ("TINYINT", TypeKind::TinyInt),
    ("INT1", TypeKind::TinyInt),
    ("BOOL", TypeKind::TinyInt),
    ("BOOLEAN", TypeKind::TinyInt),
    ("SMALLINT", TypeKind::SmallInt),
    ("INT2", TypeKind::SmallInt),
    ("MEDIUMINT", TypeKind::MediumInt),
    ("INT3", TypeKind::MediumInt),
    ("MIDDLEINT", TypeKind::MediumInt),
    ("INT", TypeKind::Int),
    ("INTEGER", TypeKind::Int),
    ("INT4", TypeKind::Int),
    ("BIGINT", TypeKind::BigInt),
    ("INT8", TypeKind::BigInt),
    ("SERIAL", TypeKind::BigInt),
    ("DECIMAL", TypeKind::Decimal),
    ("DEC", TypeKind::Decimal),
    ("NUMERIC", TypeKind::Decimal),
    ("FIXED", TypeKind::Decimal),
    ("FLOAT", TypeKind::Float),
    ("FLOAT4", TypeKind::Float),
    ("DOUBLE", TypeKind::Double),
    ("FLOAT8", TypeKind::Double),
    ("REAL", TypeKind::Double),
    ("BIT", TypeKind::Bit),
    ("DATE", TypeKind::Date),
    ("TIME", TypeKind::Time),
    ("DATETIME", TypeKind::DateTime),
    ("TIMESTAMP", TypeKind::Timestamp),
    ("YEAR", TypeKind::Year),
    ("CHAR", TypeKind::Char),
    ("CHARACTER", TypeKind::Char),
    ("NCHAR", TypeKind::Char),
    ("VARCHAR", TypeKind::VarChar),
    ("VARCHARACTER", TypeKind::VarChar),
    ("NVARCHAR", TypeKind::VarChar),
    ("BINARY", TypeKind::Binary),
    ("VARBINARY", TypeKind::VarBinary),
    ("TINYTEXT", TypeKind::Text(1)),
    ("TEXT", TypeKind::Text(2)),
    ("MEDIUMTEXT", TypeKind::Text(3)),
    ("LONG", TypeKind::Text(3)),
    ("LONGTEXT", TypeKind::Text(4)),
    ("TINYBLOB", TypeKind::Blob(1)),
    ("BLOB", TypeKind::Blob(2)),
    ("MEDIUMBLOB", TypeKind::Blob(3)),
    ("LONGBLOB", TypeKind::Blob(4)),
    ("ENUM", TypeKind::Enum),
    ("SET", TypeKind::Set),
    ("JSON", TypeKind::Json),
];

const SPATIAL: &[&str] = &[
    "GEOMETRY",
    "POINT",
    "LINESTRING",
    "POLYGON",
    "MULTIPOINT",
    "MULTILINESTRING",
    "MULTIPOLYGON",
    "GEOMETRYCOLLECTION",
    "GEOMCOLLECTION",
];

/// Whether it is a name for a type of its own: SERIAL brings attributes, BOOL a length.
struct Spelling {
    kind: TypeKind,
    national: bool,
    bool_like: bool,
}

pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<DataType, Unread> {
    let start = cursor.peek().span;
    let spelling = read_kind(cursor)?;
    let mut data_type = DataType {
        kind: spelling.kind,
        length: spelling.bool_like.then_some(1),
        scale: None,
        unsigned: false,
        zerofill: false,
        members: Vec::new(),
        charset: spelling.national.then(|| "utf8mb3".to_owned()),
        collation: None,
        binary: false,
        span: start,
    };
    read_arguments(cursor, &mut data_type)?;
    if data_type.kind == TypeKind::Text(2) || data_type.kind == TypeKind::Blob(2) {
        fit_length(&mut data_type);
    }
    if data_type.kind == TypeKind::Float && data_type.scale.is_none() {
        if data_type.length.is_some_and(|digits| digits > 24) {
            data_type.kind = TypeKind::Double;
        }
        data_type.length = None;
    }
    while read_modifier(cursor, &mut data_type)? {}
    data_type.span = start.to(cursor.last_span());
    Ok(data_type)
}

fn read_kind(cursor: &mut Cursor<'_>) -> Result<Spelling, Unread> {
    let national = cursor.is("NATIONAL") || cursor.is("NCHAR") || cursor.is("NVARCHAR");
    let bool_like = cursor.is("BOOL") || cursor.is("BOOLEAN");
    let spelled = |kind| Spelling { kind, national, bool_like };
    if let Some((_, kind)) = LONG_NAMES.iter().find(|(words, _)| cursor.eat_words(words)) {
        return Ok(spelled(kind.clone()));
    }
    if let Some((_, kind)) = NAMES.iter().find(|(word, _)| cursor.eat(word)) {
        return Ok(spelled(kind.clone()));
    }
    if let Some(word) = SPATIAL.iter().find(|word| cursor.eat(word)) {
        return Ok(spelled(TypeKind::Spatial(word.to_ascii_lowercase())));
    }
    if cursor.is_kind(TokenKind::Word) {
        let token = cursor.next();
        return Ok(spelled(TypeKind::Other(word_of(cursor, token).to_ascii_lowercase())));
    }
    cursor.fail("a data type was expected")
}

fn read_arguments(cursor: &mut Cursor<'_>, data_type: &mut DataType) -> Result<(), Unread> {
    if !cursor.eat_kind(TokenKind::Open) {
        return Ok(());
    }
    loop {
        match cursor.peek().kind {
            TokenKind::String => data_type.members.push(cursor.string()?.0),
            TokenKind::Hex | TokenKind::Bit | TokenKind::NationalString | TokenKind::Introducer => {
                return cursor.fail("a plain string was expected");
            }
            _ if data_type.length.is_none() || data_type.kind == TypeKind::TinyInt => {
                data_type.length = Some(cursor.number()?);
            }
            _ => data_type.scale = Some(cursor.number()?),
        }
        if !cursor.eat_kind(TokenKind::Comma) {
            break;
        }
    }
    cursor.expect_kind(TokenKind::Close, "a closing parenthesis was expected")
}

/// `TEXT(70000)` is the smallest type that holds so many characters; four bytes each are taken for granted.
fn fit_length(data_type: &mut DataType) {
    let Some(length) = data_type.length.take() else { return };
    let bytes = match data_type.kind {
        TypeKind::Blob(_) => length,
        _ => length.saturating_mul(4),
    };
    let size = match bytes {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xff_ffff => 3,
        _ => 4,
    };
    data_type.kind = match data_type.kind {
        TypeKind::Blob(_) => TypeKind::Blob(size),
        _ => TypeKind::Text(size),
    };
}

/// UNSIGNED, CHARACTER SET and others; false when none follows.
fn read_modifier(cursor: &mut Cursor<'_>, data_type: &mut DataType) -> Result<bool, Unread> {
    if cursor.eat("UNSIGNED") {
        data_type.unsigned = true;
    } else if cursor.eat("ZEROFILL") {
        data_type.unsigned = true;
        data_type.zerofill = true;
    } else if cursor.eat_words(&["CHARACTER", "SET"])
        || cursor.eat_words(&["CHAR", "SET"])
        || cursor.eat("CHARSET")
    {
        data_type.charset = Some(super::charset_name(&cursor.name_or_text()?.text));
    } else if cursor.eat("COLLATE") {
        data_type.collation = Some(super::charset_name(&cursor.name_or_text()?.text));
    } else if cursor.eat("BINARY") {
        data_type.binary = true;
    } else if cursor.eat("ASCII") {
        data_type.charset = Some("latin1".to_owned());
    } else if cursor.eat("UNICODE") {
        data_type.charset = Some("ucs2".to_owned());
    } else if cursor.eat("BYTE") {
        data_type.charset = Some("binary".to_owned());
    } else {
        return Ok(cursor.eat("SIGNED"));
    }
    Ok(true)
}

/// The span of a part that goes on from `start` to the last token taken.
pub(super) fn span_from(cursor: &Cursor<'_>, start: Span) -> Span {
    start.to(cursor.last_span())
}
