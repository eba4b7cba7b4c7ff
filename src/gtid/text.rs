//! Sets as servers write them.
//!
//! MySQL: `uuid:1-5:7,uuid:tag:1-3:othertag:4`, white space anywhere between. MariaDB: `0-1-57,1-2-9`.
//! **Source**: MySQL 9 Reference Manual, "GTID Format and Storage"; MariaDB documentation, "Global
//! Transaction ID".

use std::fmt;

use super::intervals::Intervals;
use super::{GtidSet, Origin};

/// Longest tag.
const TAG_BYTES_MAX: usize = 32;
/// Largest transaction number of MySQL.
const MYSQL_NUMBER_MAX: u64 = i64::MAX as u64 - 1;

/// Why a text is no set of transactions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a set of GTIDs, at {at:?}")]
pub struct GtidFault {
    /// The part that makes no sense.
    pub at: String,
}

impl GtidSet {
    /// Reads what MySQL writes.
    ///
    /// # Errors
    /// [`GtidFault`] names the first part that makes no sense.
    pub fn parse_mysql(text: &str) -> Result<Self, GtidFault> {
        let mut set = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let fault = |at: &str| GtidFault { at: at.to_owned() };
            let mut words = part.split(':').map(str::trim);
            let uuid = words.next().and_then(Origin::parse_uuid).ok_or_else(|| fault(part))?;
            let mut tag = Box::<str>::default();
            let mut has_numbers = false;
            for word in words {
                if let Some((start, end)) = interval(word) {
                    let origin = Origin::MySql { uuid, tag: tag.clone() };
                    set.by_origin.entry(origin).or_default().add(start, end);
                    has_numbers = true;
                } else if is_tag(word) {
                    tag = word.to_ascii_lowercase().into();
                } else {
                    return Err(fault(word));
                }
            }
            if !has_numbers {
                return Err(fault(part));
            }
        }
        Ok(set)
    }

    /// Reads what MariaDB writes: the last transaction of each origin, hence all before it.
    ///
    /// # Errors
    /// [`GtidFault`] names the first part that makes no sense.
    pub fn parse_mariadb(text: &str) -> Result<Self, GtidFault> {
        let mut set = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let fault = || GtidFault { at: part.to_owned() };
            let mut words = part.split('-');
            let (domain, server, number) = (words.next(), words.next(), words.next());
            let domain = domain.and_then(digits).and_then(|n| u32::try_from(n).ok()).ok_or_else(fault)?;
            let server = server.and_then(digits).and_then(|n| u32::try_from(n).ok()).ok_or_else(fault)?;
            let number = number.and_then(digits).filter(|_| words.next().is_none()).ok_or_else(fault)?;
            let mut intervals = Intervals::default();
            intervals.add(1, number);
            if !intervals.is_empty() {
                let origin = Origin::MariaDb { domain, server };
                set.by_origin.entry(origin).or_default().add_all(&intervals);
            }
        }
        Ok(set)
    }
}

fn digits(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

fn interval(word: &str) -> Option<(u64, u64)> {
    let (start, end) = word.split_once('-').unwrap_or((word, word));
    let (start, end) = (digits(start.trim())?, digits(end.trim())?);
    (1 <= start && start <= end && end <= MYSQL_NUMBER_MAX).then_some((start, end))
}

fn is_tag(word: &str) -> bool {
    let is_first = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    word.len() <= TAG_BYTES_MAX
        && word.bytes().next().is_some_and(is_first)
        && word.bytes().all(|byte| is_first(byte) || byte.is_ascii_digit())
}

impl fmt::Display for GtidSet {
    /// As a MySQL server takes it; MariaDB's positions as MariaDB writes them, with both ends where the first
    /// number is not 1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (origin, intervals)) in self.by_origin.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            write!(f, "{origin}")?;
            for (start, end) in intervals.iter() {
                match origin {
                    Origin::MySql { .. } if start == end => write!(f, ":{start}")?,
                    Origin::MySql { .. } => write!(f, ":{start}-{end}")?,
                    Origin::MariaDb { .. } if start == 1 || start == end => write!(f, "-{end}")?,
                    Origin::MariaDb { .. } => write!(f, "-{start}..{end}")?,
                }
            }
        }
        Ok(())
    }
}
