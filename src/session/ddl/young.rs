//! Tables that the session made a moment ago: no other code knows them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Asked, EmptiedTables, Site};
use crate::ids::ClusterName;
use crate::sql::{ChangeForm, Clause, ClauseKind, ObjectName};

use crate::session::Session;

/// How long a table counts as new. Other processes may have learned of it by then.
const YOUNG_FOR: Duration = Duration::from_secs(600);
/// Tables that are remembered; with more, the later ones count as used.
const TABLES_MAX: usize = 256;

/// The tables that a session made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::session) struct YoungTables {
    /// When it was made, by cluster and `database.table` as it was written.
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

    /// Takes a table out in whatever case: some servers tell names by case, others do not.
    fn remove(&mut self, cluster: &ClusterName, name: &str) -> Option<Instant> {
        let made = self.made.remove(&(cluster.clone(), name.to_owned()));
        let name = name.to_lowercase();
        self.made.retain(|(other, key), _| other != cluster || key.to_lowercase() != name);
        made
    }

    /// Follows renames; what becomes of the names is known only when all tables are young: else a table that
    /// code uses may have taken the place of one.
    fn rename(&mut self, cluster: &ClusterName, renames: &[(String, String)], now: Instant) {
        let all_young = renames.iter().all(|(from, _)| self.has(cluster, from, now));
        for (from, to) in renames {
            let made = self.remove(cluster, from);
            self.remove(cluster, to);
            if let (Some(made), true) = (made, all_young) {
                self.made.insert((cluster.clone(), to.clone()), made);
            }
        }
    }
}

/// `database.table`, as it was written: a name in another case may be another table's.
pub(super) fn key_of(name: &ObjectName, database: &str) -> String {
    let qualifier = name.qualifier.as_ref().map_or(database, |name| name.text.as_str());
    format!("{qualifier}.{}", name.name.text)
}

impl Session {
    /// Follows a change that the server has answered.
    pub(super) fn note_tables(&mut self, asked: &Asked<'_>, site: &Site<'_>) {
        if self.answer_failed {
            return;
        }
        let (cluster, now) = (&site.place.cluster, Instant::now());
        let database = site.place.database.as_deref().unwrap_or_default();
        note_emptied(&self.services.emptied, asked, (cluster, database), now);
        let young = self.state.young.get_or_insert_default();
        match &asked.change.form {
            // It may have been there before.
            ChangeForm::Create(_) if asked.change.if_exists => {}
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
                let key = |name| key_of(name, database);
                let renames: Vec<(String, String)> =
                    asked.tables().zip(renames).map(|(from, to)| (key(from), key(to))).collect();
                young.rename(cluster, &renames, now);
            }
        }
    }
}

/// Keeps in mind which tables hold no rows, and have no counter that tells so, because they were emptied.
fn note_emptied(
    emptied: &EmptiedTables,
    asked: &Asked<'_>,
    (cluster, database): (&ClusterName, &str),
    now: Instant,
) {
    let key = |name| key_of(name, database);
    let sets_counter = |clause: &Clause| match &clause.kind {
        ClauseKind::Option(option) => option.name == "AUTO_INCREMENT",
        _ => false,
    };
    match &asked.change.form {
        ChangeForm::Create(_) if asked.change.if_exists => {}
        ChangeForm::Create(_) | ChangeForm::Drop => {
            asked.tables().for_each(|name| emptied.forget(cluster, &key(name)));
        }
        ChangeForm::Truncate => asked.tables().for_each(|name| emptied.note(cluster, &key(name), now)),
        _ => {
            if asked.change.clauses.iter().any(sets_counter) {
                emptied.note(cluster, &key(&asked.change.table), now);
            }
            for (from, clause) in asked.tables().zip(&asked.change.clauses) {
                if let ClauseKind::RenameTable(to) = &clause.kind
                    && emptied.has(cluster, &key(from), now)
                {
                    emptied.note(cluster, &key(to), now);
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

    #[test]
    fn a_rename_passes_youth_on_only_when_all_tables_are_young() {
        let (cluster, now) = (ClusterName::new("c1"), Instant::now());
        let after = |renames: &[(&str, &str)]| {
            let mut young = YoungTables::default();
            young.add(&cluster, "d.a".to_owned(), now);
            young.add(&cluster, "d.b".to_owned(), now);
            let pair = |(from, to): &(&str, &str)| ((*from).to_owned(), (*to).to_owned());
            young.rename(&cluster, &renames.iter().map(pair).collect::<Vec<_>>(), now);
            young.made.keys().map(|(_, name)| name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(after(&[("d.a", "d.c")]), ["d.b", "d.c"]);
        assert_eq!(after(&[("d.a", "d.c"), ("d.b", "d.e")]), ["d.c", "d.e"]);
        // A used table takes the young one's name.
        assert_eq!(after(&[("d.a", "d.c"), ("d.used", "d.a")]), ["d.b"]);
        assert_eq!(after(&[("d.used", "d.a")]), ["d.b"]);
        assert_eq!(after(&[("d.A", "d.c")]), ["d.b"]);
        assert_eq!(after(&[]), ["d.a", "d.b"]);
    }
}
