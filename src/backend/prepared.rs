//! Prepared statements that one server connection knows.

use std::collections::HashMap;

use xxhash_rust::xxh3::Xxh3;

use super::settings::SessionSettings;

/// Most statements kept prepared on one connection; the server's bound counts those of all connections.
pub(super) const PREPARED_MAX: usize = 128;

/// Names a statement by everything that decides what the server made of it: text, database, the settings that
/// its reading depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PreparedKey(u128);

impl PreparedKey {
    /// The key of a statement.
    pub fn new(text: &[u8], database: Option<&str>, settings: &SessionSettings) -> Self {
        let mut hash = Xxh3::new();
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text);
        hash.update(&settings.reading_hash().to_le_bytes());
        hash.update(&[u8::from(database.is_some())]);
        hash.update(database.unwrap_or_default().as_bytes());
        Self(hash.digest128())
    }

    /// The key of the same statement for executions that open a cursor. They have a server statement of their
    /// own: MySQL (9.7 and before) may answer a later execution without a cursor by an OK packet in the place
    /// of its rows.
    #[must_use]
    pub fn for_cursor(self) -> Self {
        Self(!self.0)
    }
}

/// What a server answered to COM_STMT_PREPARE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// The statement's id on that connection.
    pub id: u32,
    /// Number of parameters.
    pub params: u16,
    /// Number of columns.
    pub columns: u16,
}

/// The statements of one connection, least recently used first out.
#[derive(Debug, Default)]
pub(super) struct PreparedStatements {
    known: HashMap<PreparedKey, (Prepared, u64)>,
    /// Grows with every use.
    uses: u64,
}

impl PreparedStatements {
    pub(super) fn get(&mut self, key: PreparedKey) -> Option<Prepared> {
        self.uses += 1;
        let (prepared, used) = self.known.get_mut(&key)?;
        *used = self.uses;
        Some(*prepared)
    }

    /// Keeps a statement; gives back the ids to close: of one it replaces, or of the least recently used.
    pub(super) fn insert(&mut self, key: PreparedKey, prepared: Prepared) -> Option<u32> {
        self.uses += 1;
        if let Some((old, _)) = self.known.insert(key, (prepared, self.uses)) {
            return Some(old.id).filter(|id| *id != prepared.id);
        }
        if self.known.len() <= PREPARED_MAX {
            return None;
        }
        let oldest = self.known.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key)?;
        self.remove(oldest)
    }

    pub(super) fn remove(&mut self, key: PreparedKey) -> Option<u32> {
        self.known.remove(&key).map(|(prepared, _)| prepared.id)
    }

    pub(super) fn clear(&mut self) {
        self.known.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> PreparedKey {
        PreparedKey::new(&number.to_le_bytes(), None, &SessionSettings::new(45))
    }

    fn prepared(id: u32) -> Prepared {
        Prepared { id, params: 0, columns: 0 }
    }

    #[test]
    fn the_least_used_is_closed() {
        let mut statements = PreparedStatements::default();
        for number in 0..PREPARED_MAX as u32 {
            assert_eq!(statements.insert(key(number), prepared(number)), None);
        }
        assert_eq!(statements.get(key(0)), Some(prepared(0)));
        assert_eq!(statements.insert(key(1000), prepared(1000)), Some(1));
        assert_eq!(statements.get(key(1)), None);
        assert_eq!(statements.len(), PREPARED_MAX);
        assert_eq!(statements.insert(key(1000), prepared(1001)), Some(1000));
    }

    #[test]
    fn keys_depend_on_what_the_server_reads_by() {
        let plain = SessionSettings::new(45);
        let set =
            |name, literal| plain.with(&[super::super::SettingChange::Variable { name, literal }]).unwrap();
        let base = PreparedKey::new(b"select 1", Some("a"), &plain);
        assert_ne!(base, PreparedKey::new(b"select 1", Some("b"), &plain));
        assert_ne!(base, PreparedKey::new(b"select 1", None, &plain));
        assert_ne!(base, PreparedKey::new(b"select 1", Some("a"), &set("sql_mode", "'ANSI'")));
        assert_eq!(base, PreparedKey::new(b"select 1", Some("a"), &set("wait_timeout", "1")));
    }
}
