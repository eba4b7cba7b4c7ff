//! Databases grouped by what their tables are like.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::compare::{Difference, compare};
use super::normal::{Definition, Fingerprint};
use super::repair::{Repair, repair};
use crate::ids::ClusterName;

/// Databases of a group whose names are kept; the rest are counted.
const NAMES_MAX: usize = 20;

/// What was seen of one table in one database.
#[derive(Clone, Debug)]
pub enum Seen {
    /// It is there.
    Defined(Arc<Definition>),
    /// It is not.
    Missing,
    /// It is there and cannot be read, or the database could not be asked: in words.
    Unread(String),
}

/// The definitions of one table, and how many databases have each. Memory grows with the number of different
/// definitions and clusters, not of databases.
#[derive(Debug, Default)]
pub struct Groups {
    groups: BTreeMap<Fingerprint, Group>,
    missing: Members,
    unread: Members,
    /// Why those could not be read; the first of each.
    faults: Vec<(String, String)>,
}

#[derive(Clone, Debug, Default)]
struct Members {
    clusters: BTreeMap<ClusterName, u32>,
    names: Vec<String>,
}

#[derive(Debug)]
struct Group {
    definition: Arc<Definition>,
    members: Members,
}

impl Members {
    fn add(&mut self, cluster: &ClusterName, database: &str) {
        *self.clusters.entry(cluster.clone()).or_default() += 1;
        if self.names.len() < NAMES_MAX {
            self.names.push(database.to_owned());
        }
    }

    fn count(&self) -> u32 {
        self.clusters.values().sum()
    }
}

/// One group of databases.
#[derive(Clone, Debug)]
pub struct DriftGroup {
    /// The definition.
    pub definition: Arc<Definition>,
    /// Databases that have it, by cluster.
    pub clusters: BTreeMap<ClusterName, u32>,
    /// Some of their names.
    pub names: Vec<String>,
    /// What is different from what is wanted.
    pub differences: Vec<Difference>,
    /// What makes it what is wanted; absent when nothing is different.
    pub repair: Option<Repair>,
}

impl DriftGroup {
    /// How many databases have it.
    pub fn databases(&self) -> u32 {
        self.clusters.values().sum()
    }
}

/// The drift of one table.
#[derive(Clone, Debug)]
pub struct Drift {
    /// The table.
    pub table: String,
    /// What is wanted: the definition that most databases have, or one that was named.
    pub wanted: Option<Fingerprint>,
    /// As many databases have another definition, and none was named: which is wanted is not known.
    pub is_tie: bool,
    /// The groups, the largest first.
    pub groups: Vec<DriftGroup>,
    /// Databases without the table: how many, and some of their names.
    pub missing: (u32, Vec<String>),
    /// Databases that could not be read: how many, and some of their names.
    pub unread: (u32, Vec<String>),
    /// Why: database and reason, the first few.
    pub faults: Vec<(String, String)>,
}

impl Drift {
    /// Databases that are not as is wanted, or of which it is not known.
    pub fn drifted(&self) -> u32 {
        let other = self.groups.iter().filter(|group| !group.differences.is_empty());
        other.map(DriftGroup::databases).sum::<u32>() + self.missing.0 + self.unread.0
    }
}

impl Groups {
    /// Counts a database.
    pub fn add(&mut self, cluster: &ClusterName, database: &str, seen: Seen) {
        match seen {
            Seen::Defined(definition) => {
                let group = self
                    .groups
                    .entry(definition.fingerprint())
                    .or_insert_with(|| Group { definition, members: Members::default() });
                group.members.add(cluster, database);
            }
            Seen::Missing => self.missing.add(cluster, database),
            Seen::Unread(why) => {
                self.unread.add(cluster, database);
                if self.faults.len() < NAMES_MAX {
                    self.faults.push((database.to_owned(), why));
                }
            }
        }
    }

    /// Counts databases of a cluster without the table, whose names are not known.
    pub fn add_missing(&mut self, cluster: &ClusterName, databases: u32) {
        *self.missing.clusters.entry(cluster.clone()).or_default() += databases;
    }

    /// Different definitions.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Says whether no database has the table.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The definitions with the number of databases by cluster, the most common first.
    pub fn definitions(&self) -> Vec<(Arc<Definition>, BTreeMap<ClusterName, u32>)> {
        let mut groups: Vec<&Group> = self.groups.values().collect();
        groups
            .sort_by_key(|group| (std::cmp::Reverse(group.members.count()), group.definition.fingerprint()));
        groups.iter().map(|group| (group.definition.clone(), group.members.clusters.clone())).collect()
    }

    /// Databases without the table, by cluster.
    pub fn missing(&self) -> &BTreeMap<ClusterName, u32> {
        &self.missing.clusters
    }

    /// Databases that could not be read, by cluster.
    pub fn unread(&self) -> &BTreeMap<ClusterName, u32> {
        &self.unread.clusters
    }

    /// Some names of databases that have a definition.
    pub fn names(&self, of: Fingerprint) -> &[String] {
        self.groups.get(&of).map_or(&[], |group| &group.members.names)
    }

    /// The report about a table: every group against `wanted`, or against the most common definition.
    pub fn report(&self, table: &str, wanted: Option<Arc<Definition>>) -> Drift {
        let definitions = self.definitions();
        let is_tie = wanted.is_none() && is_tie(&definitions);
        let wanted = wanted.or_else(|| definitions.first().map(|(definition, _)| definition.clone()));
        let group = |(definition, clusters): (Arc<Definition>, BTreeMap<ClusterName, u32>)| {
            let differences =
                wanted.as_ref().map(|wanted| compare(&definition.normal, &wanted.normal)).unwrap_or_default();
            let repair =
                wanted.as_ref().filter(|_| !differences.is_empty()).map(|wanted| repair(&definition, wanted));
            let names = self.names(definition.fingerprint()).to_vec();
            DriftGroup { definition, clusters, names, differences, repair }
        };
        Drift {
            table: table.to_owned(),
            wanted: wanted.as_ref().map(|wanted| wanted.fingerprint()),
            is_tie,
            groups: definitions.into_iter().map(group).collect(),
            missing: (self.missing.count(), self.missing.names.clone()),
            unread: (self.unread.count(), self.unread.names.clone()),
            faults: self.faults.clone(),
        }
    }
}

/// Says whether the two most common definitions are equally common.
fn is_tie(definitions: &[(Arc<Definition>, BTreeMap<ClusterName, u32>)]) -> bool {
    let counts: Vec<u32> = definitions.iter().take(2).map(|(_, clusters)| clusters.values().sum()).collect();
    matches!(counts[..], [first, second] if first == second)
}
