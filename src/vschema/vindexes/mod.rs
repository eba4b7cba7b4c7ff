//! Vindexes: column values → keyspace id (or a directory entry, or a range of ids).
//!
//! Every vindex that Vitess has gives Vitess's keyspace ids byte for byte, so that a keyspace can move
//! between the two without moving a row. What a vindex cannot map exactly it refuses. No vindex needs a
//! lookup table.

mod bytes;
mod multicol;
mod number;
mod params;
mod static_map;
mod unicode;

pub(crate) use params::{ParamFault, Params};

use crate::ids::{KeyRange, KeyspaceId, WorkspaceId};

use super::value::Value;
use multicol::MultiCol;
use static_map::StaticMap;

/// What values of routing columns map to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mapped {
    /// One keyspace id.
    KeyspaceId(KeyspaceId),
    /// The directory knows the shard.
    Directory(WorkspaceId),
    /// A prefix of a multi-column vindex: every keyspace id that begins so.
    Range(KeyRange),
}

/// Why values cannot be mapped; never holds the values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VindexError {
    /// The vindex takes no such value.
    #[error("vindex type {vindex} takes {takes}, not {found}")]
    WrongKind {
        /// Vindex type.
        vindex: &'static str,
        /// What it takes.
        takes: &'static str,
        /// What it got.
        found: &'static str,
    },
    /// The text is not a number the vindex takes.
    #[error("vindex type {vindex} takes {takes}, and the text is not one")]
    NotANumber {
        /// Vindex type.
        vindex: &'static str,
        /// What it takes.
        takes: &'static str,
    },
    /// The value has no keyspace id that is surely Vitess's.
    #[error("vindex type {vindex} cannot map this text: {why}")]
    Unmappable {
        /// Vindex type.
        vindex: &'static str,
        /// What is in the way.
        why: &'static str,
    },
    /// More or fewer values than columns.
    #[error("vindex type {vindex} takes {takes} column(s), got {found}")]
    ColumnCount {
        /// Vindex type.
        vindex: &'static str,
        /// Columns it takes.
        takes: usize,
        /// Values it got.
        found: usize,
    },
    /// The keyspace does not say how a workspace id alone is mapped.
    #[error("the keyspace has no single-column vindex for its workspaces")]
    NoWorkspaceVindex,
}

/// The function of a vindex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Directory,
    Hash,
    Xxhash,
    UnicodeLooseXxhash,
    UnicodeLooseMd5,
    Numeric,
    Binary,
    BinaryMd5,
    ReverseBits,
    Null,
    NumericStaticMap(StaticMap),
    MultiCol(MultiCol),
}

/// A named vindex of a keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vindex {
    function: Function,
    /// Parameters as the file gives them, for the admin endpoint.
    params: Vec<(Box<str>, Box<str>)>,
}

/// Every vindex type, with what it takes.
pub(crate) const TYPES: &[(&str, &str)] = &[
    ("directory", "a workspace id, looked up in the directory"),
    ("hash", "whole numbers; DES, Vitess's classic"),
    ("xxhash", "numbers or bytes"),
    ("unicode_loose_xxhash", "text, without case and accents"),
    ("unicode_loose_md5", "text, without case and accents"),
    ("numeric", "whole numbers, taken as the keyspace id"),
    ("binary", "bytes, taken as the keyspace id"),
    ("binary_md5", "numbers or bytes"),
    ("reverse_bits", "whole numbers, bits reversed"),
    ("null", "anything; all rows on the first shard"),
    ("numeric_static_map", "whole numbers, through a map of the file"),
    ("multicol", "several columns, a part of the id from each"),
];

/// Types of Vitess that need a lookup table or are not built in; each is named in its fault.
pub(crate) const TYPES_OF_VITESS_REFUSED: &[&str] = &[
    "lookup",
    "lookup_unique",
    "lookup_hash",
    "lookup_hash_unique",
    "lookup_unicodeloosemd5_hash",
    "lookup_unicodeloosemd5_hash_unique",
    "lookup_cost",
    "consistent_lookup",
    "consistent_lookup_unique",
    "region_experimental",
    "region_json",
    "cfc",
];

impl Vindex {
    /// Makes a vindex of a type.
    ///
    /// # Errors
    /// The type is not known, or a parameter is missing or wrong.
    pub(crate) fn try_new(kind: &str, params: &mut Params<'_>) -> Result<Self, ParamFault> {
        let kept = params.kept();
        let function = match kind {
            "directory" => Function::Directory,
            "hash" => Function::Hash,
            "xxhash" => Function::Xxhash,
            "unicode_loose_xxhash" => Function::UnicodeLooseXxhash,
            "unicode_loose_md5" => Function::UnicodeLooseMd5,
            "numeric" => Function::Numeric,
            "binary" => Function::Binary,
            "binary_md5" => Function::BinaryMd5,
            "reverse_bits" => Function::ReverseBits,
            "null" => Function::Null,
            "numeric_static_map" => Function::NumericStaticMap(StaticMap::try_new(params)?),
            "multicol" => Function::MultiCol(MultiCol::try_new(params)?),
            _ => return Err(ParamFault::unknown_type(kind)),
        };
        Ok(Self { function, params: kept })
    }

    /// A vindex of a type that needs no parameters; `None` for the others.
    pub fn of_type(kind: &str) -> Option<Self> {
        Self::try_new(kind, &mut Params::none()).ok()
    }

    /// Type as in the file.
    pub fn type_name(&self) -> &'static str {
        match &self.function {
            Function::Directory => "directory",
            Function::Hash => "hash",
            Function::Xxhash => "xxhash",
            Function::UnicodeLooseXxhash => "unicode_loose_xxhash",
            Function::UnicodeLooseMd5 => "unicode_loose_md5",
            Function::Numeric => "numeric",
            Function::Binary => "binary",
            Function::BinaryMd5 => "binary_md5",
            Function::ReverseBits => "reverse_bits",
            Function::Null => "null",
            Function::NumericStaticMap(_) => "numeric_static_map",
            Function::MultiCol(_) => "multicol",
        }
    }

    /// Parameters as the file gives them.
    pub fn params(&self) -> &[(Box<str>, Box<str>)] {
        &self.params
    }

    /// Says whether the directory maps.
    pub fn is_directory(&self) -> bool {
        self.function == Function::Directory
    }

    /// Says whether equal values always mean one keyspace id; true of every type here.
    pub fn is_unique(&self) -> bool {
        true
    }

    /// Columns that a full mapping takes.
    pub fn column_count(&self) -> usize {
        match &self.function {
            Function::MultiCol(multicol) => multicol.column_count(),
            _ => 1,
        }
    }

    /// Cost as Vitess counts it; of two vindexes that both apply the cheaper routes.
    pub fn cost(&self) -> u32 {
        match &self.function {
            Function::Binary | Function::Numeric | Function::Directory => 0,
            Function::Null => 100,
            Function::MultiCol(multicol) => multicol.cost(),
            _ => 1,
        }
    }

    /// Says whether the vindex takes only numbers; `bulkhead check --live` compares it with the column's
    /// type.
    pub fn takes_only_numbers(&self) -> bool {
        matches!(
            self.function,
            Function::Hash | Function::Numeric | Function::ReverseBits | Function::NumericStaticMap(_)
        )
    }

    /// Maps values, one for each column; fewer for a prefix of a multi-column vindex.
    ///
    /// # Errors
    /// The values are too many or too few, of a kind the vindex does not take, or have no keyspace id that is
    /// surely Vitess's.
    pub fn map(&self, values: &[Value<'_>]) -> Result<Mapped, VindexError> {
        if let Function::MultiCol(multicol) = &self.function {
            return multicol.map(values);
        }
        let [value] = values else {
            return Err(VindexError::ColumnCount { vindex: self.type_name(), takes: 1, found: values.len() });
        };
        if self.function == Function::Directory {
            return value.to_workspace().map(Mapped::Directory).ok_or(VindexError::WrongKind {
                vindex: "directory",
                takes: "a number or text of at most 128 bytes",
                found: value.kind(),
            });
        }
        self.function.hash(value).map(Mapped::KeyspaceId)
    }

    /// The workspace that the value of a single-column vindex names; multi-column vindexes are asked through
    /// [`super::ColumnVindex::workspace_of`].
    pub fn workspace_of(&self, values: &[Value<'_>]) -> Option<WorkspaceId> {
        match values {
            [value] => value.to_workspace(),
            _ => None,
        }
    }
}

impl Function {
    /// Maps one value to its keyspace id.
    fn hash(&self, value: &Value<'_>) -> Result<KeyspaceId, VindexError> {
        match self {
            Self::Hash => number::hash(value),
            Self::Numeric => number::numeric(value),
            Self::ReverseBits => number::reverse_bits(value),
            Self::NumericStaticMap(map) => map.hash(value),
            Self::Xxhash => bytes::xxhash(value),
            Self::Binary => bytes::binary(value),
            Self::BinaryMd5 => bytes::binary_md5(value),
            Self::UnicodeLooseXxhash => unicode::loose_xxhash(value),
            Self::UnicodeLooseMd5 => unicode::loose_md5(value),
            Self::Null => Ok(KeyspaceId::new(&[0])),
            Self::Directory | Self::MultiCol(_) => Err(VindexError::WrongKind {
                vindex: "multicol",
                takes: "vindex types that hash one column",
                found: "another one",
            }),
        }
    }

    /// The types that a multi-column vindex and a static map's fallback can use.
    fn hashing(kind: &str) -> Option<Self> {
        Some(match kind {
            "hash" => Self::Hash,
            "numeric" => Self::Numeric,
            "reverse_bits" => Self::ReverseBits,
            "xxhash" => Self::Xxhash,
            "binary" => Self::Binary,
            "binary_md5" => Self::BinaryMd5,
            "unicode_loose_xxhash" => Self::UnicodeLooseXxhash,
            "unicode_loose_md5" => Self::UnicodeLooseMd5,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
