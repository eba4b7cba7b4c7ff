//! Prepared statements that one server connection knows.

use xxhash_rust::xxh3::xxh3_128;

use super::settings::SessionSettings;
use crate::ids::NameMap;

/// Most statements kept prepared on one connection; the server's bound counts those of all connections.
pub(super) const PREPARED_MAX: usize = 128;

/// Longest name of a database in bytes: 64 characters. **Source**: MySQL manual, "Identifier Length Limits".
const DATABASE_BYTES_MAX: usize = 256;

/// A statement's text, hashed once for all its executions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextHash(u128);

impl TextHash {
    /// The hash of a text.
    pub fn of(text: &[u8]) -> Self {
        Self(xxh3_128(text))
    }
}

/// Names a statement by everything that decides what the server made of it: text, database, the settings that
/// its reading depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PreparedKey(u128);

impl PreparedKey {
    /// The key of a statement.
    pub fn new(text: TextHash, database: Option<&str>, settings: &SessionSettings) -> Self {
        const FIXED: usize = 25;
        let name = database.unwrap_or_default().as_bytes();
        let mut bytes = [0; FIXED + DATABASE_BYTES_MAX];
        bytes[..16].copy_from_slice(&text.0.to_le_bytes());
        bytes[16..24].copy_from_slice(&settings.reading_hash().to_le_bytes());
        bytes[24] = u8::from(database.is_some());
        match bytes[FIXED..].get_mut(..name.len()) {
            Some(room) => {
                room.copy_from_slice(name);
                Self(xxh3_128(&bytes[..FIXED + name.len()]))
            }
            None => Self(xxh3_128(&[&bytes[..FIXED], name].concat())),
        }
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
    known: NameMap<PreparedKey, (Prepared, u64)>,
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
        PreparedKey::new(TextHash::of(&number.to_le_bytes()), None, &SessionSettings::new(45))
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
        let text = TextHash::of(b"select 1");
        let base = PreparedKey::new(text, Some("a"), &plain);
        assert_ne!(base, PreparedKey::new(text, Some("b"), &plain));
        assert_ne!(base, PreparedKey::new(text, None, &plain));
        assert_ne!(base, PreparedKey::new(text, Some("a"), &set("sql_mode", "'ANSI'")));
        assert_eq!(base, PreparedKey::new(text, Some("a"), &set("wait_timeout", "1")));
        assert_ne!(base, PreparedKey::new(TextHash::of(b"select 2"), Some("a"), &plain));
        let long = "n".repeat(DATABASE_BYTES_MAX);
        let longer = format!("{long}n");
        let of = |name: &str| PreparedKey::new(text, Some(name), &plain);
        assert!(of(&long) != of(&longer) && of(&longer) == of(&longer));
    }
}
