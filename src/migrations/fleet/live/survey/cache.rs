//! Definitions that were read: every different one once, and for a while which table had which.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_128;

use crate::ids::ClusterName;
use crate::migrations::cutover::without_counter;
use crate::migrations::fleet::definition::{Definition, DefinitionFault, Fingerprint};
use crate::sql::ServerVersion;

/// What was read is asked again after this. It is for people who look at a plan and then submit it: each
/// database is looked at once more before it is changed, and those that are not to be are forgotten.
const KEPT_FOR: Duration = Duration::from_secs(300);
/// Tables that are remembered, at most.
const TABLES_MAX: usize = 1_000_000;
/// Different definitions that are remembered, at most.
const DEFINITIONS_MAX: usize = 10_000;

/// What was read.
#[derive(Debug, Default)]
pub(in crate::migrations::fleet::live) struct Definitions(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// By a hash of the server's version and what it printed.
    by_text: HashMap<u128, Arc<Definition>>,
    by_print: HashMap<Fingerprint, Arc<Definition>>,
    /// By a hash of cluster, database and table.
    tables: HashMap<u128, (Fingerprint, Instant)>,
}

impl Definitions {
    /// Reads what a server printed; what was read before is not read again.
    ///
    /// # Errors
    /// As [`Definition::read`].
    pub(in crate::migrations::fleet::live) fn read(
        &self,
        text: &str,
        server: ServerVersion,
    ) -> Result<Arc<Definition>, DefinitionFault> {
        let text = without_counter(text);
        let key = xxh3_128(format!("{server:?}\0{text}").as_bytes());
        if let Some(known) = self.lock().by_text.get(&key) {
            return Ok(known.clone());
        }
        let definition = Arc::new(Definition::read(&text, server)?);
        let mut inner = self.lock();
        if inner.by_text.len() >= DEFINITIONS_MAX {
            (inner.by_text, inner.by_print, inner.tables) = Default::default();
        }
        inner.by_text.insert(key, definition.clone());
        inner.by_print.entry(definition.fingerprint()).or_insert_with(|| definition.clone());
        Ok(definition)
    }

    /// The definition that a table had a while ago.
    pub(in crate::migrations::fleet::live) fn recall(
        &self,
        table: (&ClusterName, &str, &str),
    ) -> Option<Arc<Definition>> {
        let inner = self.lock();
        let (print, at) = inner.tables.get(&key_of(table))?;
        if at.elapsed() > KEPT_FOR {
            return None;
        }
        inner.by_print.get(print).cloned()
    }

    /// Remembers which definition a table has.
    pub(in crate::migrations::fleet::live) fn note(
        &self,
        table: (&ClusterName, &str, &str),
        print: Fingerprint,
    ) {
        let mut inner = self.lock();
        if inner.tables.len() >= TABLES_MAX {
            inner.tables.retain(|_, (_, at)| at.elapsed() <= KEPT_FOR);
        }
        if inner.tables.len() < TABLES_MAX {
            inner.tables.insert(key_of(table), (print, Instant::now()));
        }
    }

    /// Forgets what a table has: it is about to be changed.
    pub(in crate::migrations::fleet::live) fn forget(&self, table: (&ClusterName, &str, &str)) {
        self.lock().tables.remove(&key_of(table));
    }

    /// Each change is whole, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key_of((cluster, database, table): (&ClusterName, &str, &str)) -> u128 {
    xxh3_128(format!("{cluster}\0{database}\0{table}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_recalled_until_it_is_forgotten() {
        let (definitions, cluster) = (Definitions::default(), ClusterName::new("c1"));
        let server = ServerVersion::default();
        let text = |counter: u32| {
            format!(
                "CREATE TABLE `t` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  PRIMARY KEY (`id`)\n) \
                 ENGINE=InnoDB AUTO_INCREMENT={counter} DEFAULT CHARSET=utf8mb4"
            )
        };
        let one = definitions.read(&text(7), server).unwrap();
        let other = definitions.read(&text(8), server).unwrap();
        assert!(Arc::ptr_eq(&one, &other), "the counter does not matter");
        let table = (&cluster, "ws_1", "t");
        assert!(definitions.recall(table).is_none());
        definitions.note(table, one.fingerprint());
        assert!(definitions.recall(table).is_some_and(|known| Arc::ptr_eq(&known, &one)));
        assert!(definitions.recall((&cluster, "ws_2", "t")).is_none());
        definitions.forget(table);
        assert!(definitions.recall(table).is_none());
    }
}
