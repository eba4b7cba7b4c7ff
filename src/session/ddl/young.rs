//! Tables that the session made a moment ago: no other code knows them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Asked, Site};
use crate::ids::ClusterName;
use crate::sql::{ChangeForm, ClauseKind, ObjectName};

use crate::session::Session;

/// How long a table counts as new. Other processes may have learned of it by then.
const YOUNG_FOR: Duration = Duration::from_secs(600);
/// Tables that are remembered; with more, the later ones count as used.
const TABLES_MAX: usize = 256;

/// The tables that a session made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::session) struct YoungTables {
    /// When it was made, by cluster and `database.table` in lower case.
    made: BTreeMap<(ClusterName, String), Instant>,
}

impl YoungTables {
    pub(super) fn has(&self, cluster: &ClusterName, name: &str, now: Instant) -> bool {
        let made = self.made.get(&(cluster.clone(), name.to_owned()));
        made.is_some_and(|made| now.duration_since(*made) < YOUNG_FOR)
    }

    fn add(&mut self, cluster: &ClusterName, name: String, now: Instant) {
        self.made.retain(|_, made| now.duration_since(*made) < YOUNG_FOR);
        if self.made.len() < TABLES_MAX {
            self.made.insert((cluster.clone(), name), now);
        }
    }

    fn remove(&mut self, cluster: &ClusterName, name: &str) -> Option<Instant> {
        self.made.remove(&(cluster.clone(), name.to_owned()))
    }
}

/// `database.table`, in lower case.
pub(super) fn key_of(name: &ObjectName, database: &str) -> String {
    let qualifier = name.qualifier.as_ref().map_or(database, |name| name.text.as_str());
    format!("{qualifier}.{}", name.name.text).to_lowercase()
}

impl Session {
    /// Follows a change that the server has answered.
    pub(super) fn note_tables(&mut self, asked: &Asked<'_>, site: &Site<'_>) {
        if self.answer_failed {
            return;
        }
        let has_warnings = self.state.last.warnings > 0;
        let (cluster, now) = (&site.place.cluster, Instant::now());
        let database = site.place.database.as_deref().unwrap_or_default();
        let young = self.state.young.get_or_insert_default();
        match &asked.change.form {
            // IF NOT EXISTS warns of a table that was there.
            ChangeForm::Create(_) if asked.change.if_exists && has_warnings => {}
            ChangeForm::Create(_) => young.add(cluster, key_of(&asked.change.table, database), now),
            ChangeForm::Drop => {
                for table in asked.tables() {
                    young.remove(cluster, &key_of(table, database));
                }
            }
            _ => {
                let renames = asked.change.clauses.iter().filter_map(|clause| match &clause.kind {
                    ClauseKind::RenameTable(to) => Some(to),
                    _ => None,
                });
                for (from, to) in asked.tables().zip(renames) {
                    if let Some(made) = young.remove(cluster, &key_of(from, database)) {
                        young.add(cluster, key_of(to, database), made);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_young_for_a_while() {
        let (cluster, other, now) = (ClusterName::new("c1"), ClusterName::new("c2"), Instant::now());
        let mut young = YoungTables::default();
        young.add(&cluster, "ws_1.a".to_owned(), now);
        assert!(young.has(&cluster, "ws_1.a", now) && !young.has(&other, "ws_1.a", now));
        assert!(!young.has(&cluster, "ws_1.a", now + YOUNG_FOR));
        (0..2 * TABLES_MAX).for_each(|n| young.add(&cluster, format!("ws_1.t{n}"), now));
        assert_eq!(young.made.len(), TABLES_MAX);
        // Old ones make room.
        young.add(&cluster, "ws_1.late".to_owned(), now + YOUNG_FOR);
        assert_eq!(young.made.len(), 1);
        assert!(young.remove(&cluster, "ws_1.late").is_some() && young.made.is_empty());
    }
}
