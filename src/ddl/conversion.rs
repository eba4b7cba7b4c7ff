//! What becomes of the values when a column's type changes.

use super::resolved::{ResolvedType, bytes_per_character};
use crate::sql::TypeKind;

/// The change from one type to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// The types are the same but for a display width.
    Same,
    /// VARCHAR or VARBINARY, longer, with as many bytes for the length as before: rows stay as they are.
    Grown,
    /// Members behind the last one of ENUM or SET, in as many bytes: rows stay as they are.
    Appended,
    /// The collation alone.
    Collation,
    /// Every value is converted.
    Converted {
        /// What can be lost; `None` when every value has an exact counterpart.
        loss: Option<&'static str>,
    },
}

const KEPT: Conversion = Conversion::Converted { loss: None };

fn lossy(what: &'static str) -> Conversion {
    Conversion::Converted { loss: Some(what) }
}

/// Compares two types. Pairs that are not known to keep every value are lossy.
pub fn compare(old: &ResolvedType, new: &ResolvedType) -> Conversion {
    if old == new {
        return if matches!(old.kind, TypeKind::Other(_)) {
            lossy("the type is not known")
        } else {
            Conversion::Same
        };
    }
    if integer_bytes(&old.kind).is_some() && old.kind == new.kind && old.unsigned == new.unsigned {
        // ZEROFILL and its width: how values are shown.
        return Conversion::Same;
    }
    match (&old.kind, &new.kind) {
        (TypeKind::Enum, TypeKind::Enum) | (TypeKind::Set, TypeKind::Set) => compare_members(old, new),
        _ if has_text(&old.kind) && has_text(&new.kind) => compare_text(old, new),
        _ if is_bytes(&old.kind) && is_bytes(&new.kind) => compare_bytes(old, new),
        _ => compare_values(old, new),
    }
}

/// Bytes of an integer type.
pub(super) fn integer_bytes(kind: &TypeKind) -> Option<u32> {
    Some(match kind {
        TypeKind::TinyInt => 1,
        TypeKind::SmallInt => 2,
        TypeKind::MediumInt => 3,
        TypeKind::Int => 4,
        TypeKind::BigInt => 8,
        _ => return None,
    })
}

/// Digits that the largest value of an integer type has.
fn integer_digits(kind: &TypeKind) -> u64 {
    match integer_bytes(kind) {
        Some(1) => 3,
        Some(2) => 5,
        Some(3) => 8,
        Some(4) => 10,
        _ => 20,
    }
}

fn has_text(kind: &TypeKind) -> bool {
    matches!(kind, TypeKind::Char | TypeKind::VarChar | TypeKind::Text(_))
}

fn is_bytes(kind: &TypeKind) -> bool {
    matches!(kind, TypeKind::Binary | TypeKind::VarBinary | TypeKind::Blob(_))
}

/// Bytes that a value may have.
fn capacity(of: &ResolvedType) -> Option<u64> {
    match of.kind {
        TypeKind::Text(size) | TypeKind::Blob(size) => Some((1u64 << (8 * u32::from(size.min(4)))) - 1),
        TypeKind::Binary | TypeKind::VarBinary => of.length,
        _ => of.length?.checked_mul(bytes_per_character(of.charset.as_deref()?)?),
    }
}

/// Bytes that hold the length of a VARCHAR or VARBINARY.
fn length_bytes(of: &ResolvedType) -> Option<u8> {
    Some(if capacity(of)? > 255 { 2 } else { 1 })
}

/// Sets of which every character is in the other one.
fn is_superset(new: &str, old: &str) -> bool {
    old == new
        || match new {
            "utf8mb4" => {
                matches!(old, "utf8mb3" | "latin1" | "ascii" | "ucs2" | "utf16" | "utf32" | "cp1251")
            }
            "utf8mb3" => matches!(old, "latin1" | "ascii" | "ucs2" | "cp1251"),
            "latin1" | "cp1251" => old == "ascii",
            _ => false,
        }
}

fn compare_text(old: &ResolvedType, new: &ResolvedType) -> Conversion {
    let (Some(from), Some(to)) = (old.charset.as_deref(), new.charset.as_deref()) else {
        return lossy("the character set is not known");
    };
    if !is_superset(to, from) {
        return lossy("characters that the new character set does not have");
    }
    let longer = match (&old.kind, &new.kind) {
        // A TEXT counts bytes; the same text may take more of them.
        (_, TypeKind::Text(_)) if from == to => capacity(new) >= capacity(old),
        (_, TypeKind::Text(_)) => match (old.length, bytes_per_character(to), capacity(new)) {
            (Some(characters), Some(bytes), Some(room)) => characters.saturating_mul(bytes) <= room,
            _ => matches!((&old.kind, &new.kind), (TypeKind::Text(a), TypeKind::Text(b)) if b > a),
        },
        (TypeKind::Text(_), _) => false,
        _ => new.length >= old.length,
    };
    if !longer {
        return lossy("values longer than the new type");
    }
    if old.kind == TypeKind::VarChar && new.kind == TypeKind::Char {
        return lossy("spaces at the end of values");
    }
    if old.kind != new.kind || from != to {
        return KEPT;
    }
    if old.collation != new.collation {
        return if old.length == new.length { Conversion::Collation } else { KEPT };
    }
    grown(old, new)
}

fn grown(old: &ResolvedType, new: &ResolvedType) -> Conversion {
    let is_var = matches!(old.kind, TypeKind::VarChar | TypeKind::VarBinary);
    match (length_bytes(old), length_bytes(new)) {
        (Some(before), Some(then)) if is_var && before == then => Conversion::Grown,
        _ => KEPT,
    }
}

fn compare_bytes(old: &ResolvedType, new: &ResolvedType) -> Conversion {
    if new.kind == TypeKind::Binary || (old.kind == TypeKind::Binary && new.kind != TypeKind::Binary) {
        return lossy("values are padded with zero bytes to another length");
    }
    if capacity(new) < capacity(old) {
        return lossy("values longer than the new type");
    }
    if old.kind == new.kind { grown(old, new) } else { KEPT }
}

fn compare_members(old: &ResolvedType, new: &ResolvedType) -> Conversion {
    if old.charset != new.charset {
        return lossy("members in another character set");
    }
    if !new.members.starts_with(&old.members) {
        return lossy("members that are removed or change their place");
    }
    if old.collation != new.collation {
        return if old.members == new.members { Conversion::Collation } else { KEPT };
    }
    let bytes = |count: usize| match old.kind {
        TypeKind::Enum => 1 + usize::from(count > 255),
        // 1, 2, 3, 4 or 8 bytes.
        _ => match count.div_ceil(8) {
            5.. => 8,
            few => few,
        },
    };
    if bytes(old.members.len()) == bytes(new.members.len()) { Conversion::Appended } else { KEPT }
}

/// Numbers, times, and one kind of type to another.
fn compare_values(old: &ResolvedType, new: &ResolvedType) -> Conversion {
    if let (Some(from), Some(to)) = (integer_bytes(&old.kind), integer_bytes(&new.kind)) {
        let kept = match (old.unsigned, new.unsigned) {
            (false, false) | (true, true) => to >= from,
            (true, false) => to > from,
            (false, true) => false,
        };
        return if kept { KEPT } else { lossy("numbers beyond the new type's range") };
    }
    let kept = match (&old.kind, &new.kind) {
        (TypeKind::Decimal, TypeKind::Decimal) => {
            let digits = |of: &ResolvedType| of.length.unwrap_or(10).saturating_sub(of.scale);
            digits(new) >= digits(old) && new.scale >= old.scale && (!new.unsigned || old.unsigned)
        }
        (TypeKind::Float, TypeKind::Double) => new.length.is_none() && (!new.unsigned || old.unsigned),
        (TypeKind::Bit, TypeKind::Bit) => new.length >= old.length,
        (TypeKind::Time, TypeKind::Time)
        | (TypeKind::DateTime, TypeKind::DateTime)
        | (TypeKind::Timestamp, TypeKind::Timestamp) => new.length >= old.length,
        (TypeKind::Date, TypeKind::DateTime) => true,
        (TypeKind::Year, kind) => integer_bytes(kind).is_some_and(|bytes| bytes >= 2),
        (kind, TypeKind::Decimal) if integer_bytes(kind).is_some() => {
            new.length.unwrap_or(10).saturating_sub(new.scale) >= integer_digits(kind)
                && (!new.unsigned || old.unsigned)
        }
        (kind, TypeKind::VarChar) if integer_bytes(kind).is_some() => {
            new.length.is_some_and(|length| length > integer_digits(kind)) && old.zerofill.is_none()
        }
        (TypeKind::Enum, TypeKind::VarChar) => keeps_labels(old, new),
        _ => false,
    };
    if kept { KEPT } else { lossy("values that have no counterpart in the new type") }
}

fn keeps_labels(old: &ResolvedType, new: &ResolvedType) -> bool {
    let longest = old.members.iter().map(|label| label.len() as u64).max().unwrap_or(0);
    old.charset == new.charset && new.length.is_some_and(|length| length >= longest)
}
