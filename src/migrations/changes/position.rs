//! Places in the binary log of a cluster.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Where to begin reading: everything before it was seen.
///
/// **Shape**: as text `gtid:SET` or `file:NAME:OFFSET`, which [`FromStr`] reads again; the set is what the
/// server calls it (`uuid:1-5`, MariaDB `0-1-57`), and may be empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Position {
    /// The transactions seen. Means the same on every server of the cluster.
    Gtid(Arc<str>),
    /// A byte of a file. Means something on one server only.
    File {
        /// Name of the file (`binlog.000012`).
        name: Arc<str>,
        /// Offset in bytes; beyond 4 GiB it is counted on by the reader, as events carry 32 bits of it.
        offset: u64,
    },
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gtid(set) => write!(f, "gtid:{set}"),
            Self::File { name, offset } => write!(f, "file:{name}:{offset}"),
        }
    }
}

/// A text that is no position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position in a binary log: {0:?}")]
pub struct PositionFault(String);

impl FromStr for Position {
    type Err = PositionFault;

    fn from_str(text: &str) -> Result<Self, PositionFault> {
        let fault = || PositionFault(text.chars().take(80).collect());
        if let Some(set) = text.strip_prefix("gtid:") {
            return Ok(Self::Gtid(set.into()));
        }
        let file = text.strip_prefix("file:").ok_or_else(fault)?;
        let (name, offset) = file.rsplit_once(':').filter(|(name, _)| !name.is_empty()).ok_or_else(fault)?;
        Ok(Self::File { name: name.into(), offset: offset.parse().map_err(|_| fault())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trip() {
        let positions = [
            Position::Gtid("".into()),
            Position::Gtid("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7,0-1-3".into()),
            Position::File { name: "binlog.1000000".into(), offset: 5 << 32 },
        ];
        for position in positions {
            assert_eq!(position.to_string().parse::<Position>().unwrap(), position);
        }
        for fault in ["", "gtid", "file:", "file::4", "file:binlog.000001", "file:binlog.000001:-1"] {
            assert!(fault.parse::<Position>().is_err(), "{fault}");
        }
    }
}
