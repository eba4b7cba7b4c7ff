//! What sessions share: handed down from `server`, never global.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;

use crate::admission::Admissions;
use crate::backend::Pools;
use crate::config::{AuthPlugin, CachingSha2Hash, Config, Password};
use crate::health::{Health, Meters};
use crate::ids::UserName;
use crate::migrations::Migrations;
use crate::migrations::fleet::live::Fleet;
use crate::plan::PlanCache;
use crate::protocol::auth::{AuthContext, Credentials};
use crate::protocol::capability::Capabilities;
use crate::protocol::password::StoredPassword;
use crate::sql::ServerVersion;
use crate::topology::SnapshotCell;

use crate::session::ddl::OwnDatabases;
use crate::session::registry::Registry;
use crate::session::settings_cache::SettingsCache;

/// The config that new sessions start with, and what was derived from it once.
pub struct Serving {
    /// The config.
    pub config: Arc<Config>,
    /// The RSA key and the cache of proved passwords.
    pub auth: Arc<AuthContext>,
    /// Stored passwords of the config's users.
    pub credentials: StoredPasswords,
    /// What clients are offered.
    pub offered: Capabilities,
    /// TLS towards clients; absent when a listener offers none.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

/// What every session uses.
pub struct Services {
    /// Routing truth.
    pub snapshots: Arc<SnapshotCell>,
    /// Connections to servers.
    pub pools: Arc<Pools>,
    /// Plans by shape, target and generation.
    pub plans: PlanCache,
    /// Who is connected.
    pub registry: Arc<Registry>,
    /// Outcome feed.
    pub health: Arc<Health>,
    /// Where statements leave their times, for the detectors.
    pub meters: Arc<Meters>,
    /// Who may use a cluster now.
    pub admissions: Arc<Admissions>,
    /// Schema changes that copy their table.
    pub migrations: Migrations,
    /// Schema changes of all databases of a keyspace.
    pub fleet: Fleet,
    /// Databases of keyspaces' own tables that are known to be there.
    pub own_databases: OwnDatabases,
    /// What SET statements came to.
    pub settings: SettingsCache,
    /// The config of new sessions; swapped by a reload.
    pub serving: ArcSwap<Serving>,
    /// When the proxy started.
    pub started: Instant,
    /// Statements that found their plan in the cache, and that did not.
    pub plan_lookups: PlanLookups,
}

/// How often the plan cache helped.
#[derive(Debug, Default)]
pub struct PlanLookups {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl PlanLookups {
    pub(super) fn count(&self, found: bool) {
        let counter = if found { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Statements that found their plan, and that did not.
    pub fn counts(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }
}

impl Services {
    /// The version whose version comments count as code.
    pub fn server_version(&self) -> ServerVersion {
        ServerVersion::parse(&self.serving.load().config.listen.server_version).unwrap_or_default()
    }
}

/// The stored passwords of a config's users.
#[derive(Debug, Default)]
pub struct StoredPasswords(std::collections::HashMap<UserName, StoredPassword>);

impl StoredPasswords {
    /// Hashes what the config holds in plain text, so that only hashes stay.
    ///
    /// # Errors
    /// No random bytes for a salt; a stored hash that cannot be read.
    pub fn of(config: &Config) -> Result<Self, crate::protocol::password::PasswordError> {
        let mut stored = std::collections::HashMap::with_capacity(config.users.len());
        for (name, user) in &config.users {
            stored.insert(name.clone(), stored_password(&user.password, user.plugin)?);
        }
        Ok(Self(stored))
    }
}

impl Credentials for StoredPasswords {
    fn lookup(&self, user: &str) -> Option<StoredPassword> {
        self.0.get(user).cloned()
    }
}

fn stored_password(
    password: &Password,
    plugin: AuthPlugin,
) -> Result<StoredPassword, crate::protocol::password::PasswordError> {
    let plugin = match plugin {
        AuthPlugin::CachingSha2 => crate::protocol::password::AuthPlugin::CachingSha2,
        AuthPlugin::Native => crate::protocol::password::AuthPlugin::Native,
    };
    match password {
        Password::Plain(secret) => StoredPassword::generate(plugin, secret.reveal().as_bytes()),
        Password::CachingSha2(hash) => StoredPassword::parse(&stored_text(hash)),
        Password::Native(hash) => Ok(StoredPassword::Native(*hash)),
    }
}

fn stored_text(hash: &CachingSha2Hash) -> Vec<u8> {
    let mut text = format!("$A${:03X}$", hash.rounds / 1000).into_bytes();
    text.extend_from_slice(&hash.salt);
    text.extend_from_slice(&hash.digest);
    text
}
