//! Sets of global transaction ids, of both flavours, in one algebra.
//!
//! A set is, for each *origin*, the numbers of that origin's transactions, as intervals. MySQL's origin is a
//! server's UUID, with a tag from 8.3 on; MariaDB's is a domain and a server id. MariaDB tells only the last
//! number of each origin, and the numbers of a domain are shared among its servers: `0-1-57` is read as the
//! numbers 1 to 57 of origin 0-1, of which some are another server's. Subset, union and difference are right
//! all the same; only counting is not, so nothing here counts.

mod dump;
mod intervals;
mod origin;
mod text;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use intervals::Intervals;

pub use origin::Origin;
pub use text::GtidFault;

/// A set of transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GtidSet {
    /// Never empty ones.
    by_origin: BTreeMap<Origin, Intervals>,
}

impl GtidSet {
    /// Says whether it holds no transaction.
    pub fn is_empty(&self) -> bool {
        self.by_origin.is_empty()
    }

    /// Says whether every transaction of it is in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.subtract(other).is_empty()
    }

    /// The transactions of either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        for (origin, intervals) in &other.by_origin {
            all.by_origin.entry(origin.clone()).or_default().add_all(intervals);
        }
        all
    }

    /// The transactions that are not in `other`.
    #[must_use]
    pub fn subtract(&self, other: &Self) -> Self {
        let left = self.by_origin.iter().map(|(origin, intervals)| {
            let left = match other.by_origin.get(origin) {
                Some(taken) => intervals.subtract(taken),
                None => intervals.clone(),
            };
            (origin.clone(), left)
        });
        Self { by_origin: left.filter(|(_, intervals)| !intervals.is_empty()).collect() }
    }

    /// The transactions whose origin `is_kept`.
    #[must_use]
    pub fn retain(&self, is_kept: impl Fn(&Origin) -> bool) -> Self {
        let kept = self.by_origin.iter().filter(|(origin, _)| is_kept(origin));
        Self { by_origin: kept.map(|(origin, intervals)| (origin.clone(), intervals.clone())).collect() }
    }

    /// The transactions of both.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        self.subtract(&self.subtract(other))
    }

    /// Adds one transaction.
    pub fn insert(&mut self, origin: &Origin, number: u64) {
        match self.by_origin.get_mut(origin) {
            Some(intervals) => intervals.add(number, number),
            None => {
                let mut intervals = Intervals::default();
                intervals.add(number, number);
                self.by_origin.insert(origin.clone(), intervals);
            }
        }
    }

    /// Says whether it holds the transaction.
    pub fn contains(&self, origin: &Origin, number: u64) -> bool {
        self.by_origin.get(origin).is_some_and(|intervals| intervals.contains(number))
    }

    /// The last number of each MariaDB domain: what a position says.
    pub fn last_by_domain(&self) -> BTreeMap<u32, u64> {
        let mut last = BTreeMap::new();
        for (origin, intervals) in &self.by_origin {
            if let (Origin::MariaDb { domain, .. }, Some(end)) = (origin, intervals.last()) {
                let known: &mut u64 = last.entry(*domain).or_default();
                *known = (*known).max(end);
            }
        }
        last
    }

    /// MariaDB: what a server at `position` has of these. Within a domain transactions are replicated in the
    /// order of their numbers, whichever server they came from, so that a position says more than its own
    /// origin.
    #[must_use]
    pub fn up_to(&self, position: &BTreeMap<u32, u64>) -> Self {
        let mut cut = Self::default();
        for (origin, intervals) in &self.by_origin {
            let Origin::MariaDb { domain, .. } = origin else { continue };
            let kept = intervals.up_to(position.get(domain).copied().unwrap_or(0));
            if !kept.is_empty() {
                cut.by_origin.insert(origin.clone(), kept);
            }
        }
        cut
    }
}
