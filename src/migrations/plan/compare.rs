//! Expressions that are equal on both tables exactly when a value was carried over unchanged.
//!
//! Where the type changes, both sides are brought to a form that holds every value of both: a value that the
//! new type rounded, cut or replaced is then a difference, not an equality.

use crate::ddl::ResolvedType;
use crate::sql::TypeKind;

/// Largest text whose bytes are hashed in place; longer ones by their own checksum, so that a row of many of
/// them stays below `max_allowed_packet`, beyond which a server makes NULL of it.
const IN_PLACE_TEXT: u8 = 1;

/// How one column is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Over the source's column.
    pub source: String,
    /// Over the shadow's.
    pub target: String,
}

/// What values are, as far as comparing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Integer,
    Decimal,
    Float,
    Bit,
    Moment,
    Time,
    Text,
    Bytes,
    Labels,
    Json,
    Opaque,
}

impl Class {
    fn of(of: &ResolvedType, mariadb: bool) -> Self {
        match &of.kind {
            TypeKind::TinyInt
            | TypeKind::SmallInt
            | TypeKind::MediumInt
            | TypeKind::Int
            | TypeKind::BigInt => Self::Integer,
            TypeKind::Year => Self::Integer,
            TypeKind::Decimal => Self::Decimal,
            TypeKind::Float | TypeKind::Double => Self::Float,
            TypeKind::Bit => Self::Bit,
            TypeKind::Date | TypeKind::DateTime | TypeKind::Timestamp => Self::Moment,
            TypeKind::Time => Self::Time,
            TypeKind::Char | TypeKind::VarChar | TypeKind::Text(_) => Self::Text,
            TypeKind::Binary | TypeKind::VarBinary | TypeKind::Blob(_) => Self::Bytes,
            TypeKind::Enum | TypeKind::Set => Self::Labels,
            TypeKind::Json if mariadb => Self::Text,
            TypeKind::Json => Self::Json,
            TypeKind::Spatial(_) | TypeKind::Other(_) => Self::Opaque,
        }
    }

    fn is_exact_number(self) -> bool {
        matches!(self, Self::Integer | Self::Decimal | Self::Bit)
    }

    fn is_number(self) -> bool {
        self.is_exact_number() || self == Self::Float
    }
}

/// How a column of type `old`, named `source`, is compared with one of type `new`, named `target`; the names
/// are quoted. `None`: what a server makes of such values cannot be compared.
pub(super) fn compare(
    (old, source): (&ResolvedType, &str),
    (new, target): (&ResolvedType, &str),
    mariadb: bool,
) -> Option<Comparison> {
    use Class::{Bit, Bytes, Float, Json, Labels, Moment, Opaque, Text, Time};
    let both =
        |form: &dyn Fn(&str) -> String| Some(Comparison { source: form(source), target: form(target) });
    let hashes = is_long(old, mariadb) || is_long(new, mariadb);
    let text = |of: &str| if hashes { format!("CRC32({of})") } else { bytes(of, mariadb) };
    let labels = |of: &str| bytes(&format!("CONVERT({of} USING utf8mb4)"), mariadb);
    match (Class::of(old, mariadb), Class::of(new, mariadb)) {
        (Opaque, Opaque) if old.kind == new.kind => both(&|of| format!("CRC32(HEX({of}))")),
        (Opaque, Opaque) if is_geometry(old) && is_geometry(new) => both(&|of| format!("CRC32(HEX({of}))")),
        (Opaque, _) | (_, Opaque) => None,
        (Float, Float) => both(&|of| format!("{of} * 1e0")),
        (from, to) if from.is_exact_number() && from == to && old.scale == new.scale => {
            // Text costs less than arithmetic, where it is the same: not where zeros are filled in.
            let is_filled = |of: &ResolvedType| of.zerofill.is_some() || matches!(of.kind, TypeKind::Year);
            let is_plain = from != Bit && !is_filled(old) && !is_filled(new);
            both(&|of| if is_plain { of.to_owned() } else { format!("{of} + 0") })
        }
        (from, to) if from.is_number() && to.is_number() => both(&number),
        (Text | Json, to) if to.is_number() => both(&number),
        (Moment, Moment) if old.kind == new.kind && old.length == new.length => both(&str::to_owned),
        (Moment | Text, Moment) => both(&|of| format!("CAST({of} AS DATETIME(6))")),
        (Time, Time) if old.length == new.length => both(&str::to_owned),
        (Time | Text, Time) => both(&|of| format!("CAST({of} AS TIME(6))")),
        (Labels, Labels) if is_set(old) && is_set(new) && !new.members.starts_with(&old.members) => {
            both(&|of| bytes(&held(of, &[&old.members, &new.members]), mariadb))
        }
        (Labels | Text, Labels) => both(&labels),
        (Labels, to) if to.is_number() => None,
        (Text | Labels, Text) => Some(match (&old.charset, &new.charset) {
            (Some(from), Some(to)) if from != to => {
                Comparison { source: text(&format!("CONVERT({source} USING {to})")), target: text(target) }
            }
            _ => Comparison { source: text(source), target: text(target) },
        }),
        (Bytes | Text, Bytes) | (Bytes, Text) => both(&text),
        (Json, Json) => {
            Some(Comparison { source: json(&reparsed(&characters(source))), target: json(target) })
        }
        (Text, Json) => Some(Comparison { source: json(&reparsed(source)), target: json(target) }),
        (Json, Text) => both(&json),
        (Bit | Bytes, _) | (_, Bit) => None,
        _ => both(&|of| bytes(&characters(of), mariadb)),
    }
}

/// MariaDB does not put texts of several character sets together, not even as bytes, unless told that they
/// are.
fn bytes(of: &str, mariadb: bool) -> String {
    if mariadb { format!("CAST({of} AS BINARY)") } else { of.to_owned() }
}

/// A number that no numeric type cuts short: 35 digits in front of the point, 30 behind.
fn number(of: &str) -> String {
    format!("CAST({of} AS DECIMAL(65,30))")
}

fn characters(of: &str) -> String {
    format!("CAST({of} AS CHAR CHARACTER SET utf8mb4)")
}

fn json(of: &str) -> String {
    format!("CRC32({})", characters(of))
}

/// JSON through its text once more: the copy goes through text, in which a DECIMAL inside a document is a
/// number like others.
fn reparsed(text: &str) -> String {
    format!("CAST({text} AS JSON)")
}

fn is_set(of: &ResolvedType) -> bool {
    matches!(of.kind, TypeKind::Set)
}

/// Which members a set holds, whatever their order: it is shown in that of its own type.
fn held(of: &str, members: &[&[Vec<u8>]]) -> String {
    let mut all: Vec<&Vec<u8>> = Vec::new();
    for member in members.iter().copied().flatten() {
        if !all.contains(&member) {
            all.push(member);
        }
    }
    let shown = format!("CAST(CONVERT({of} USING utf8mb4) AS BINARY)");
    let is_held = |member: &Vec<u8>| {
        let hex: String = member.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("FIND_IN_SET(x'{hex}', {shown}) > 0")
    };
    format!("CONCAT({})", all.into_iter().map(is_held).collect::<Vec<_>>().join(", "))
}

fn is_geometry(of: &ResolvedType) -> bool {
    matches!(of.kind, TypeKind::Spatial(_))
}

fn is_long(of: &ResolvedType, mariadb: bool) -> bool {
    match of.kind {
        TypeKind::Text(size) | TypeKind::Blob(size) => size > IN_PLACE_TEXT,
        TypeKind::Json => mariadb,
        _ => false,
    }
}
