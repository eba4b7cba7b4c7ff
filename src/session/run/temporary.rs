//! Temporary tables: a session that has one keeps its connection, for nobody else has it.

use std::collections::BTreeSet;

use crate::plan::Pins;
use crate::sql::{self, DdlObject, DdlStatement, DdlVerb, ObjectName, Parsed};

use crate::session::Session;
use crate::session::run::job::Job;

/// Names that are kept; with more, the connection is held until the session ends or is reset.
const NAMES_MAX: usize = 256;

/// The temporary tables that a session may have. Names are hints: a name that is known may meanwhile be
/// nobody's, or hide no table, so whoever has to know asks the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::session) struct TemporaryTables {
    /// `database.table`, in lower case.
    names: BTreeSet<String>,
    /// One may have a name that is not known.
    is_unknown: bool,
}

impl TemporaryTables {
    /// Says whether there surely is none.
    pub(in crate::session) fn is_empty(&self) -> bool {
        self.names.is_empty() && !self.is_unknown
    }

    /// Takes over what a statement that succeeded has done in `database`.
    fn note(&mut self, statement: &DdlStatement, database: &str) {
        if statement.object != DdlObject::Table {
            return;
        }
        let names = statement.objects.iter().map(|object| key(object, database));
        match statement.verb {
            DdlVerb::Create if statement.temporary => {
                for name in names {
                    match self.names.len() < NAMES_MAX {
                        true => drop(self.names.insert(name)),
                        false => self.is_unknown |= !self.names.contains(&name),
                    }
                }
            }
            DdlVerb::Drop => {
                for name in names {
                    self.names.remove(&name);
                }
            }
            DdlVerb::Alter | DdlVerb::Rename => {
                // A temporary table may have another name from now on.
                let touches = names.into_iter().any(|name| self.names.contains(&name));
                let renames = statement.verb == DdlVerb::Rename || !statement.others.is_empty();
                self.is_unknown |= touches && renames;
            }
            _ => {}
        }
    }
}

fn key(object: &ObjectName, database: &str) -> String {
    let qualifier = object.qualifier.as_ref().map_or(database, |name| name.text.as_str());
    format!("{qualifier}.{}", object.name.text).to_lowercase()
}

impl Session {
    /// Keeps account of temporary tables after a statement that succeeded; `database` is where it ran.
    pub(in crate::session) fn note_temporary_tables(&mut self, job: &Job<'_>, database: Option<&str>) {
        let effects = &job.plan.effects;
        let creates = effects.pins.contains(Pins::TEMPORARY_TABLE);
        if !creates && (self.state.temporary_tables.is_empty() || !job.plan.effects.writes) {
            return;
        }
        let Some(scan) = job.scan else { return };
        if let Ok(Parsed::Ddl(statement)) = sql::parse(job.text, scan, self.state.mode) {
            self.state.temporary_tables.note(&statement, database.unwrap_or_default());
        }
        if self.state.temporary_tables.is_empty() {
            self.state.pins = self.state.pins.without(Pins::TEMPORARY_TABLE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Scan, SqlMode};

    fn after(texts: &[&str]) -> TemporaryTables {
        let mut tables = TemporaryTables::default();
        for text in texts {
            let mut scan = Scan::default();
            sql::scan(text.as_bytes(), SqlMode::default(), &mut scan);
            match sql::parse(text.as_bytes(), &scan, SqlMode::default()) {
                Ok(Parsed::Ddl(statement)) => tables.note(&statement, "ws_1"),
                other => panic!("{text}: {other:?}"),
            }
        }
        tables
    }

    #[test]
    fn tables_are_gone_when_all_of_them_were_dropped() {
        let create = "create temporary table A (id int)";
        assert!(!after(&[create]).is_empty());
        assert!(!after(&[create, "drop table b"]).is_empty());
        assert!(!after(&[create, "drop table ws_2.a"]).is_empty());
        assert!(after(&[create, "drop table a"]).is_empty());
        assert!(
            after(&[create, "create temporary table if not exists a (id int)", "drop temporary table a"])
                .is_empty()
        );
        assert!(
            after(&[create, "create temporary table b (id int)", "drop temporary table ws_1.a, b"])
                .is_empty()
        );
        assert!(after(&["create table t (id int)", "drop table t"]).is_empty());
        assert!(!after(&[create, "alter table a rename to b", "drop table a"]).is_empty());
    }

    #[test]
    fn names_are_bounded_and_those_beyond_are_unknown() {
        let texts: Vec<String> =
            (0..2 * NAMES_MAX).map(|n| format!("create temporary table t{n} (id int)")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let tables = after(&texts);
        assert!(tables.names.len() == NAMES_MAX && tables.is_unknown);
        assert!(!after(&texts[..NAMES_MAX]).is_unknown);
        assert!(!after(&[&texts[..NAMES_MAX], &texts[..1]].concat()).is_unknown);
    }
}
