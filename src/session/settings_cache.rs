//! What SET statements came to, so that a thousand sessions with equal settings share one value and a SET
//! that a server already accepted costs no round trip.

use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::backend::SessionSettings;
use crate::protocol::capability::Capabilities;

/// Entries kept; each is a few hundred bytes.
const ENTRIES_MAX: usize = 4096;
/// Collations whose settings are kept; servers have a few hundred.
const LOGINS_MAX: usize = 512;

/// A SET that a server accepted without a warning.
#[derive(Clone)]
pub struct Accepted {
    /// The settings after it.
    pub settings: Arc<SessionSettings>,
    /// The server's answer, as wire bytes.
    pub answer: Arc<[u8]>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    before: u64,
    class: Capabilities,
    text: Box<[u8]>,
}

/// `(settings, text of the SET)` → settings after it. Bounded; shared by all sessions.
pub struct SettingsCache {
    accepted: Cache<Key, (Arc<SessionSettings>, Accepted)>,
    /// Settings after login, by collation.
    logins: Cache<u16, Arc<SessionSettings>>,
}

impl SettingsCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self { accepted: Cache::new(ENTRIES_MAX), logins: Cache::new(LOGINS_MAX) }
    }

    /// The settings of a session that logs in with this collation: one value for all such sessions, so that a
    /// connection that has them is found by its pointer.
    pub fn login(&self, collation: u16) -> Arc<SessionSettings> {
        let make = || Ok::<_, Infallible>(Arc::new(SessionSettings::new(collation)));
        match self.logins.get_or_insert_with(&collation, make) {
            Ok(settings) => settings,
            Err(never) => match never {},
        }
    }

    /// What this SET came to on a session with these settings, if it is known.
    pub fn get(&self, before: &Arc<SessionSettings>, class: Capabilities, text: &[u8]) -> Option<Accepted> {
        let (known, accepted) = self.accepted.get(&key(before, class, text))?;
        (Arc::ptr_eq(&known, before) || known == *before).then_some(accepted)
    }

    /// Remembers what a server answered.
    pub fn insert(
        &self,
        before: &Arc<SessionSettings>,
        class: Capabilities,
        text: &[u8],
        accepted: Accepted,
    ) {
        self.accepted.insert(key(before, class, text), (before.clone(), accepted));
    }
}

impl Default for SettingsCache {
    fn default() -> Self {
        Self::new()
    }
}

fn key(before: &Arc<SessionSettings>, class: Capabilities, text: &[u8]) -> Key {
    let mut hasher = DefaultHasher::new();
    before.hash(&mut hasher);
    Key { before: hasher.finish(), class, text: text.into() }
}
