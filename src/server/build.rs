//! From a checked config to the services that sessions share.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;

use crate::admission::{Admissions, WorkspaceLimitsBook};
use crate::backend::Pools;
use crate::config::{Config, Fault, Listen};
use crate::failover::{Failovers, Primaries};
use crate::health::{Health, Meters};
use crate::plan::PlanCache;
use crate::protocol::auth::{AuthContext, RsaKey};
use crate::protocol::capability::{Capabilities, OFFERED};
use crate::protocol::tls::{self, Identity};
use crate::session::{
    OwnDatabases, PlanLookups, Registry, Services, Serving, SettingsCache, StoredPasswords,
};
use crate::topology::{Directories, EmbeddedStore, Snapshot, SnapshotCell, Store};
use crate::vschema::{self, Vschema};

use super::StartError;
use super::health::Board;
use super::migrations::Beside;

/// Plans kept, in bytes.
const PLAN_CACHE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A config and the vschema it names, both checked.
pub(super) struct Loaded {
    pub config: Arc<Config>,
    pub vschema: Arc<Vschema>,
}

impl Loaded {
    /// The same with each cluster's primary as it is, which need not be the one that the file names.
    pub(super) fn led_by(&self, primaries: &Primaries) -> Self {
        Self { config: Arc::new(primaries.derive(&self.config)), vschema: self.vschema.clone() }
    }
}

/// Reads and checks config and vschema.
///
/// # Errors
/// All faults of all files.
pub(super) fn load(path: &Path) -> Result<Loaded, StartError> {
    match vschema::load(path) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                tracing::warn!("{warning}");
            }
            Ok(Loaded { config: loaded.config, vschema: loaded.vschema })
        }
        Err(faults) => Err(StartError::Config { rendered: render(&faults) }),
    }
}

fn render(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Everything that runs.
pub(super) struct Proxy {
    pub services: Arc<Services>,
    pub store: Arc<dyn Store>,
    pub primaries: Arc<Primaries>,
    pub failovers: Arc<Failovers>,
    pub limits: Arc<WorkspaceLimitsBook>,
    pub board: Arc<Board>,
}

/// Builds what sessions share. Opens no connection to a server.
///
/// # Errors
/// See [`StartError`].
pub(super) async fn build(loaded: &Loaded) -> Result<Proxy, StartError> {
    let config = &loaded.config;
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&config.store.path)?);
    let primaries = Arc::new(Primaries::load(store.clone()).await?);
    let loaded = &loaded.led_by(&primaries);
    primaries.declare(config);
    let config = &loaded.config;
    let snapshot = snapshot_of(loaded, &store, &Directories::default()).await?;
    let auth = AuthContext::new(RsaKey::generate().map_err(logins)?).map_err(logins)?;
    let serving = serving_of(config, Arc::new(auth))?;
    let admissions = Arc::new(Admissions::new(config));
    let limits = Arc::new(WorkspaceLimitsBook::new(store.clone(), admissions.clone()));
    limits.load().await?;
    let started = Instant::now();
    let snapshots = Arc::new(SnapshotCell::new(snapshot));
    let meters = Arc::new(Meters::new(started));
    let board = Arc::new(Board::default());
    let beside = Beside { board: board.clone(), admissions: admissions.clone() };
    let migrations = beside.migrations(&snapshots, &store, &meters);
    let fleet = beside.fleet(&migrations, (&snapshots, &store, &meters));
    let services = Arc::new(Services {
        snapshots,
        pools: Pools::new(config)?,
        plans: PlanCache::new(PLAN_CACHE_BYTES_MAX),
        registry: Arc::new(Registry::new()),
        health: Arc::new(Health::new()),
        meters,
        admissions,
        migrations,
        fleet,
        own_databases: OwnDatabases::default(),
        settings: SettingsCache::new(),
        serving: ArcSwap::from_pointee(serving),
        started,
        plan_lookups: PlanLookups::default(),
    });
    let (snapshots, pools) = (services.snapshots.clone(), services.pools.clone());
    let failovers = Arc::new(Failovers::new(snapshots, pools, primaries.clone()));
    Ok(Proxy { services, store, primaries, failovers, limits, board })
}

/// The snapshot of a config, with the directories that its keyspaces need.
///
/// # Errors
/// The store cannot be read; config and vschema do not fit.
pub(super) async fn snapshot_of(
    loaded: &Loaded,
    store: &Arc<dyn Store>,
    known: &Directories,
) -> Result<Snapshot, StartError> {
    let keyspaces: Vec<_> = Snapshot::keyspaces_with_directory(&loaded.vschema).collect();
    let (directories, reports) = Directories::load(&**store, keyspaces, known).await?;
    for report in &reports {
        tracing::info!(
            keyspace = %report.keyspace,
            workspaces = report.entries,
            pages = report.pages,
            "directory read"
        );
        for page in &report.damaged {
            let (key, reason) = (&page.key, &page.reason);
            tracing::error!(key, reason, "directory page damaged; its workspaces are refused");
        }
    }
    Ok(Snapshot::build(loaded.config.clone(), loaded.vschema.clone(), directories)?)
}

/// What new sessions are served with.
///
/// # Errors
/// TLS files or stored passwords cannot be used.
pub(super) fn serving_of(config: &Arc<Config>, auth: Arc<AuthContext>) -> Result<Serving, StartError> {
    let credentials = StoredPasswords::of(config).map_err(logins)?;
    let tls = server_tls(&config.listen)?;
    let mut offered = OFFERED;
    if !config.listen.compression {
        offered.remove(Capabilities::COMPRESS | Capabilities::ZSTD_COMPRESSION);
    }
    Ok(Serving { config: config.clone(), auth, credentials, offered, tls: Some(tls) })
}

fn server_tls(listen: &Listen) -> Result<Arc<rustls::ServerConfig>, StartError> {
    let tls_error = |error: &dyn std::fmt::Display| StartError::Tls(error.to_string());
    let Some(files) = &listen.tls else {
        let names = ["localhost".to_owned(), listen.address.ip().to_string()];
        return tls::throw_away_server_config(&names).map_err(|error| tls_error(&error));
    };
    let read = |path: &Path| {
        std::fs::read(path)
            .map_err(|error| StartError::Tls(format!("cannot read {}: {error}", path.display())))
    };
    let (certificate, key) = (read(&files.certificate)?, read(&files.key)?);
    let client_ca = files.client_ca.as_deref().map(read).transpose()?;
    let identity = Identity { certificate: &certificate, key: &key };
    tls::server_config(identity, client_ca.as_deref()).map_err(|error| tls_error(&error))
}

fn logins(error: impl std::fmt::Display) -> StartError {
    StartError::Logins(error.to_string())
}
