//! Newtypes for the names and numbers that must not be mixed up.
//!
//! Owns identity only: no lookup, no IO.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Longest accepted workspace id in bytes.
pub const WORKSPACE_ID_BYTES_MAX: usize = 128;

/// The tenant key that routes.
///
/// **Shape**: a canonical decimal number that fits `u64` is `Number`; anything else is `Text`, compared byte
/// by byte. `42` and `'42'` are the same workspace; `'042'` is another one.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WorkspaceId {
    /// A canonical decimal number.
    Number(u64),
    /// Any other text, at most [`WORKSPACE_ID_BYTES_MAX`] bytes.
    Text(Box<str>),
}

impl WorkspaceId {
    /// Reads a workspace id from its text; `None` when empty or longer than [`WORKSPACE_ID_BYTES_MAX`].
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > WORKSPACE_ID_BYTES_MAX {
            return None;
        }
        Some(match parse_canonical_number(text) {
            Some(number) => Self::Number(number),
            None => Self::Text(text.into()),
        })
    }

    /// Reads a workspace id from bytes that must be UTF-8.
    pub fn parse_bytes(text: &[u8]) -> Option<Self> {
        Self::parse(std::str::from_utf8(text).ok()?)
    }
}

fn parse_canonical_number(text: &str) -> Option<u64> {
    let canonical = text.bytes().all(|b| b.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

impl fmt::Display for WorkspaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// As its text.
impl Serialize for WorkspaceId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WorkspaceId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a workspace id"))
    }
}

impl fmt::Debug for WorkspaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WorkspaceId({self})")
    }
}

/// What a vindex maps a workspace id to; ordered bytes, usually eight.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyspaceId(SmallVec<[u8; 16]>);

impl KeyspaceId {
    /// Takes the bytes as they are.
    pub fn new(bytes: &[u8]) -> Self {
        Self(SmallVec::from_slice(bytes))
    }

    /// The bytes, most significant first.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<u64> for KeyspaceId {
    /// Big-endian, as Vitess orders numbers.
    fn from(number: u64) -> Self {
        Self::new(&number.to_be_bytes())
    }
}

impl fmt::Display for KeyspaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyspaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyspaceId({self})")
    }
}

/// A half-open range of keyspace ids, written `-80`, `80-c0`, `c0-` or `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyRange {
    /// First keyspace id inside; empty means from the beginning.
    pub start: Vec<u8>,
    /// First keyspace id outside; empty means to the end.
    pub end: Vec<u8>,
}

impl KeyRange {
    /// Reads `START-END` in hexadecimal; `None` when it is not of that form or is empty as a range.
    pub fn parse(text: &str) -> Option<Self> {
        let (start, end) = text.split_once('-')?;
        let range = Self { start: parse_hex(start)?, end: parse_hex(end)? };
        (range.end.is_empty() || range.start < range.end).then_some(range)
    }

    /// Says whether `id` lies inside.
    pub fn contains(&self, id: &KeyspaceId) -> bool {
        let bytes = id.as_bytes();
        bytes >= self.start.as_slice() && (self.end.is_empty() || bytes < self.end.as_slice())
    }

    /// Says whether the two ranges share a keyspace id.
    pub fn overlaps(&self, other: &Self) -> bool {
        let below = |start: &[u8], end: &[u8]| end.is_empty() || start < end;
        below(&self.start, &other.end) && below(&other.start, &self.end)
    }
}

fn parse_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

impl fmt::Display for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.start.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("-")?;
        self.end.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the name as it is written.
            pub fn new(name: impl Into<Arc<str>>) -> Self {
                Self(name.into())
            }

            /// The name as it is written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

/// One of the threads that serve sessions, each with a runtime of its own. 0: a runtime of many threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u16);

/// A map whose keys an operator chose or Bulkhead made up: names of files, small numbers. Nobody can aim at
/// its buckets, so its hash is a quick one.
pub type NameMap<K, V> = HashMap<K, V, BuildHasherDefault<NameHasher>>;

/// The hash of a [`NameMap`].
#[derive(Clone, Copy, Debug, Default)]
pub struct NameHasher(u64);

impl Hasher for NameHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxhash_rust::xxh3::xxh3_64_with_seed(bytes, self.0);
    }

    /// Ends a string; an odd factor tells it from what comes next.
    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

name! {
    /// A logical database that the application sees.
    Keyspace
}
name! {
    /// The part of a keyspace that lives on one cluster.
    ShardName
}
name! {
    /// One MySQL replication group: a primary and its replicas.
    ClusterName
}
name! {
    /// A table, as written in the vschema; compared case-sensitively, as MySQL does on Linux.
    TableName
}
name! {
    /// A user that clients log in as.
    UserName
}
name! {
    /// One schema change of one table: 16 hexadecimal digits, of which the first twelve are the milliseconds
    /// since 1970 when it was asked for. So they sort by time, and what a migration left behind tells its
    /// age.
    MigrationId
}

/// `host:port` of one MySQL server.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct ServerId {
    /// Host name or address, without brackets.
    pub host: Arc<str>,
    /// TCP port.
    pub port: u16,
}

impl ServerId {
    /// Reads `host:port`, `[v6]:port`; `None` when the port is missing or wrong.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let valid = !host.is_empty() && !host.contains(char::is_whitespace);
        Some(Self { host: host.into(), port: port.parse().ok().filter(|port| *port != 0 && valid)? })
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// The number of a routing snapshot; grows by one with every swap.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The connection id that a client sees and names in KILL.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SessionId(pub u32);

/// Which server of a cluster a statement needs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The server that takes writes.
    Primary,
    /// A server that follows the primary.
    Replica,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary",
            Self::Replica => "replica",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workspace_ids_are_stored_as_text() {
        for id in ["42", "042", "acme"].map(|text| WorkspaceId::parse(text).unwrap()) {
            let json = serde_json::to_string(&id).unwrap();
            assert_eq!(json, format!("\"{id}\""));
            assert_eq!(serde_json::from_str::<WorkspaceId>(&json).unwrap(), id);
        }
        assert!(serde_json::from_str::<WorkspaceId>("\"\"").is_err());
    }

    #[test]
    fn workspace_ids_are_canonical() {
        assert_eq!(WorkspaceId::parse("42"), Some(WorkspaceId::Number(42)));
        assert_eq!(WorkspaceId::parse("042"), Some(WorkspaceId::Text("042".into())));
        assert_eq!(WorkspaceId::parse("0"), Some(WorkspaceId::Number(0)));
        assert_eq!(
            WorkspaceId::parse("18446744073709551616").map(|id| id.to_string()).as_deref(),
            Some("18446744073709551616")
        );
        for text in ["42", "042", "acme"] {
            let id = WorkspaceId::parse(text).unwrap();
            let stored = serde_json::to_string(&id).unwrap();
            assert_eq!(serde_json::from_str::<WorkspaceId>(&stored).unwrap(), id);
        }
        assert_eq!(WorkspaceId::parse(""), None);
        assert_eq!(WorkspaceId::parse(&"x".repeat(WORKSPACE_ID_BYTES_MAX + 1)), None);
    }

    #[test]
    fn key_ranges_parse_and_contain() {
        let range = KeyRange::parse("55-aa").unwrap();
        assert!(range.contains(&KeyspaceId::from(0x5500_0000_0000_0000)));
        assert!(!range.contains(&KeyspaceId::from(0xaa00_0000_0000_0000)));
        assert!(range.overlaps(&KeyRange::parse("-").unwrap()));
        assert!(!range.overlaps(&KeyRange::parse("aa-").unwrap()));
        assert_eq!(range.to_string(), "55-aa");
        for bad in ["", "80", "80-40", "8-", "zz-", "80-80"] {
            assert_eq!(KeyRange::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn servers_parse() {
        assert_eq!(ServerId::parse("[::1]:3306").map(|s| s.to_string()).as_deref(), Some("[::1]:3306"));
        assert_eq!(ServerId::parse("db.example:3306").map(|s| s.port), Some(3306));
        assert_eq!(ServerId::parse("db.example"), None);
        assert_eq!(ServerId::parse("db.example:0"), None);
    }
}
