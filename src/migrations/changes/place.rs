//! Positions as what they mean: which transactions lie before them.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::binlog::TransactionId;
use super::position::Position;
use crate::gtid::{GtidSet, Origin};
use crate::protocol::handshake::Flavour;

/// A position as what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// MySQL: the transactions before it.
    MySql(GtidSet),
    /// MariaDB: the last transaction of each domain before it, server and number.
    MariaDb(BTreeMap<u32, (u32, u64)>),
    /// Everything before this byte.
    File { name: Arc<str>, offset: u64 },
}

/// Why a transaction cannot be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PlaceFault {
    /// GTIDs and file positions do not mix.
    #[error("the server began or ceased to give its transactions GTIDs")]
    Kind,
    /// MariaDB: numbers of a domain go backwards.
    #[error(
        "GTIDs of domain {domain} are out of order: {number} comes behind {last}; set gtid_strict_mode = ON"
    )]
    Order { domain: u32, last: u64, number: u64 },
}

impl Place {
    /// Reads a position; `None` if it is none of the flavour's.
    pub(super) fn of(position: &Position, flavour: Flavour) -> Option<Self> {
        match (position, flavour) {
            (Position::File { name, offset }, Flavour::MySql) => {
                Some(Self::File { name: Arc::clone(name), offset: *offset })
            }
            (Position::File { .. }, Flavour::MariaDb) => None,
            (Position::Gtid(set), Flavour::MySql) => GtidSet::parse_mysql(set).ok().map(Self::MySql),
            (Position::Gtid(set), Flavour::MariaDb) => Self::of_mariadb(set),
        }
    }

    /// Reads MariaDB's `0-1-57,1-2-9`.
    pub(super) fn of_mariadb(text: &str) -> Option<Self> {
        // What makes no sense is found by the set's own reading.
        GtidSet::parse_mariadb(text).ok()?;
        let mut domains: BTreeMap<u32, (u32, u64)> = BTreeMap::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let mut words = part.split('-');
            let mut word = || words.next();
            let domain = word()?.parse().ok()?;
            let (server, number) = (word()?.parse().ok()?, word()?.parse().ok()?);
            let last = domains.entry(domain).or_insert((server, number));
            if number > last.1 {
                *last = (server, number);
            }
        }
        Some(Self::MariaDb(domains))
    }

    /// The position.
    pub(super) fn position(&self) -> Position {
        match self {
            Self::MySql(set) => Position::Gtid(set.to_string().into()),
            Self::MariaDb(domains) => {
                let part = |(d, (server, number)): (&u32, &(u32, u64))| format!("{d}-{server}-{number}");
                let parts: Vec<_> = domains.iter().map(part).collect();
                Position::Gtid(parts.join(",").into())
            }
            Self::File { name, offset } => Position::File { name: Arc::clone(name), offset: *offset },
        }
    }

    /// Says whether the transaction lies before it.
    pub(super) fn contains(&self, id: &TransactionId) -> bool {
        match (self, id) {
            (Self::MySql(set), TransactionId::Gtid { origin, number }) => set.contains(origin, *number),
            (
                Self::MariaDb(domains),
                TransactionId::Gtid { origin: Origin::MariaDb { domain, .. }, number },
            ) => domains.get(domain).is_some_and(|(_, last)| number <= last),
            (Self::File { name, offset }, TransactionId::File { name: file, offset: at }) => {
                compare_files((file, *at), (name, *offset)) == Ordering::Less
            }
            _ => false,
        }
    }

    /// Moves it behind the transaction, which ends at `end`.
    pub(super) fn add(&mut self, id: &TransactionId, end: (&Arc<str>, u64)) -> Result<(), PlaceFault> {
        match (self, id) {
            (Self::MySql(set), TransactionId::Gtid { origin: origin @ Origin::MySql { .. }, number }) => {
                set.insert(origin, *number);
            }
            (
                Self::MariaDb(domains),
                TransactionId::Gtid { origin: Origin::MariaDb { domain, server }, number },
            ) => {
                let last = domains.entry(*domain).or_insert((*server, 0));
                if *number <= last.1 {
                    return Err(PlaceFault::Order { domain: *domain, last: last.1, number: *number });
                }
                *last = (*server, *number);
            }
            (Self::File { name, offset }, TransactionId::File { .. }) => {
                *name = Arc::clone(end.0);
                *offset = end.1;
            }
            _ => return Err(PlaceFault::Kind),
        }
        Ok(())
    }

    /// Says whether everything before it is before `other` too. Places of different kinds are not comparable.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::MySql(own), Self::MySql(other)) => own.is_subset(other),
            (Self::MariaDb(own), Self::MariaDb(other)) => own.iter().all(|(domain, (_, number))| {
                *number == 0 || other.get(domain).is_some_and(|(_, last)| number <= last)
            }),
            (Self::File { name, offset }, Self::File { name: file, offset: at }) => {
                compare_files((name, *offset), (file, *at)) != Ordering::Greater
            }
            _ => false,
        }
    }

    /// What is before both; `None` for places of different kinds.
    pub(super) fn intersect(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::MySql(own), Self::MySql(other)) => Some(Self::MySql(own.intersect(other))),
            (Self::MariaDb(own), Self::MariaDb(other)) => {
                let both = own.iter().filter_map(|(domain, last)| {
                    let lower = other.get(domain).map(|other| if other.1 < last.1 { *other } else { *last });
                    Some((*domain, lower?))
                });
                Some(Self::MariaDb(both.collect()))
            }
            (Self::File { .. }, Self::File { .. }) => {
                Some(if self.is_within(other) { self.clone() } else { other.clone() })
            }
            _ => None,
        }
    }

    /// What is before either; `None` for places of different kinds.
    pub(super) fn union(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::MySql(own), Self::MySql(other)) => Some(Self::MySql(own.union(other))),
            (Self::MariaDb(own), Self::MariaDb(other)) => {
                let mut all = own.clone();
                for (domain, last) in other {
                    let known = all.entry(*domain).or_insert(*last);
                    if last.1 > known.1 {
                        *known = *last;
                    }
                }
                Some(Self::MariaDb(all))
            }
            (Self::File { .. }, Self::File { .. }) => {
                Some(if self.is_within(other) { other.clone() } else { self.clone() })
            }
            _ => None,
        }
    }
}

/// Files are numbered, and the number grows by a digit: `binlog.999999` comes before `binlog.1000000`.
fn compare_files(left: (&Arc<str>, u64), right: (&Arc<str>, u64)) -> Ordering {
    let files = left.0.len().cmp(&right.0.len()).then_with(|| left.0.cmp(right.0));
    files.then(left.1.cmp(&right.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn mysql(text: &str) -> Place {
        Place::of(&Position::Gtid(text.replace('A', A).into()), Flavour::MySql).unwrap()
    }

    fn maria(text: &str) -> Place {
        Place::of(&Position::Gtid(text.into()), Flavour::MariaDb).unwrap()
    }

    fn file(name: &str, offset: u64) -> Place {
        Place::File { name: name.into(), offset }
    }

    #[test]
    fn sets_of_mysql() {
        let (early, late) = (mysql("A:1-5"), mysql("A:1-9"));
        assert!(early.is_within(&late) && !late.is_within(&early));
        assert_eq!(early.intersect(&mysql("A:4-9")), Some(mysql("A:4-5")));
        assert_eq!(early.union(&mysql("A:7")), Some(mysql("A:1-5:7")));
        assert_eq!(early.position(), Position::Gtid(format!("{A}:1-5").into()));
        assert!(mysql("").is_within(&early));
    }

    #[test]
    fn last_of_each_domain_of_mariadb() {
        let mut place = maria("0-1-5,1-2-9");
        assert!(maria("0-7-4").is_within(&place) && !maria("2-1-1").is_within(&place));
        assert_eq!(place.intersect(&maria("0-3-7,2-1-1")), Some(maria("0-1-5")));
        assert_eq!(place.union(&maria("0-3-7,2-1-1")), Some(maria("0-3-7,1-2-9,2-1-1")));
        let id = |number| TransactionId::Gtid { origin: Origin::MariaDb { domain: 0, server: 2 }, number };
        assert!(place.contains(&id(5)) && !place.contains(&id(6)));
        let end: Arc<str> = "".into();
        place.add(&id(7), (&end, 0)).unwrap();
        assert_eq!(place.position(), Position::Gtid("0-2-7,1-2-9".into()));
        let fault = place.add(&id(7), (&end, 0)).unwrap_err();
        assert_eq!(fault, PlaceFault::Order { domain: 0, last: 7, number: 7 });
        let anonymous = TransactionId::File { name: "b.1".into(), offset: 4 };
        assert_eq!(place.add(&anonymous, (&end, 0)), Err(PlaceFault::Kind));
    }

    #[test]
    fn files_are_ordered_by_number_and_beyond_four_gigabytes() {
        assert!(file("binlog.999999", 9).is_within(&file("binlog.1000000", 4)));
        assert!(!file("binlog.1000000", 4).is_within(&file("binlog.999999", 9)));
        assert!(file("binlog.000001", 1 << 32).is_within(&file("binlog.000001", (1 << 32) + 1)));
        assert!(file("b.1", 4).intersect(&maria("")).is_none());
        let place = file("binlog.000002", 100);
        let at = |name: &str, offset| TransactionId::File { name: name.into(), offset };
        assert!(place.contains(&at("binlog.000001", 500)) && place.contains(&at("binlog.000002", 99)));
        assert!(!place.contains(&at("binlog.000002", 100)));
    }
}
