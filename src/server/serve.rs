//! `bulkhead serve`: start, serve, drain, stop.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use crate::session::Services;

use super::build::{self, Loaded};
use super::reload::Reloader;
use super::workers::Workers;
use super::{StartError, admin_port, announce, health, ladder, listen, logging};

/// How often a drain looks whether sessions are left.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// Runs a proxy until SIGTERM or SIGINT.
///
/// # Errors
/// What keeps it from starting; see [`StartError`].
pub fn serve(path: &Path) -> Result<(), StartError> {
    let loaded = build::load(path)?;
    logging::start(&loaded.config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("bulkhead")
        .build()
        .map_err(|source| StartError::System { what: "the runtime cannot start", source })?;
    let result = runtime.block_on(run(path, &loaded));
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn run(path: &Path, loaded: &Loaded) -> Result<(), StartError> {
    let config = loaded.config.clone();
    let proxy = build::build(loaded).await?;
    let reloader = Arc::new(Reloader::new(path.to_owned(), &proxy));
    let services = proxy.services;
    let mut accepting = JoinSet::new();
    let mut background = JoinSet::new();
    let workers =
        Workers::start().map_err(|source| StartError::System { what: "the workers cannot start", source })?;
    let workers = Arc::new(workers);
    // First what was decided before: a drained cluster stays drained.
    let (reins, control) = ladder::start(&services, &proxy.store, &proxy.failovers, &mut background).await?;
    listen_for_clients(&services, &workers, &mut accepting)?;
    let board = proxy.board;
    services.migrations.start(&mut background).await?;
    services.fleet.start(&mut background);
    let control = Arc::new(control);
    background.spawn(announce::announce(services.fleet.clone(), control.clone()));
    let views =
        admin_port::Views { board: board.clone(), ladder: control, failovers: proxy.failovers.clone() };
    admin_port::start(&services, (&proxy.store, &proxy.limits), &reloader, views, &mut background)?;
    background.spawn(health::watch(health::Wiring { services: services.clone(), board, reins }));
    background.spawn(proxy.failovers.clone().watch());

    reloader.follow_directories().await;
    background.spawn(reloader.clone().watch_files());
    background.spawn(proxy.limits.clone().follow());
    let mut signals = Signals::new()?;
    tracing::info!(
        address = %config.listen.address,
        admin = %config.admin.address,
        http = %config.admin.http,
        clusters = config.clusters.len(),
        keyspaces = config.keyspaces.len(),
        version = env!("CARGO_PKG_VERSION"),
        "serving"
    );
    signals.until_stop(&reloader).await;
    accepting.shutdown().await;
    // Sessions that wait for a schema change are told that it goes on without them.
    services.fleet.stop().await;
    services.migrations.stop().await;
    drain(&services).await;
    background.shutdown().await;
    if let Some(workers) = Arc::into_inner(workers) {
        workers.stop();
    }
    services.pools.close();
    tracing::info!("stopped");
    Ok(())
}

fn listen_for_clients(
    services: &Arc<Services>,
    workers: &Arc<Workers>,
    accepting: &mut JoinSet<()>,
) -> Result<(), StartError> {
    let config = services.serving.load().config.clone();
    let address = config.listen.address;
    let listener = listen::bind(address)
        .map_err(|source| StartError::Listen { address: address.to_string(), source })?;
    accepting.spawn(listen::accept_tcp(listener, services.clone(), workers.clone()));
    if let Some(path) = &config.listen.socket {
        let listener = listen::bind_unix(path)
            .map_err(|source| StartError::Listen { address: path.display().to_string(), source })?;
        accepting.spawn(listen::accept_unix(listener, services.clone(), workers.clone()));
    }
    Ok(())
}

/// Lets sessions end at their transactions' ends, within `timeouts.shutdown`; then ends the rest.
async fn drain(services: &Services) {
    let bound = services.serving.load().config.timeouts.shutdown;
    let began = Instant::now();
    tracing::info!(sessions = services.registry.connections(), within = ?bound, "draining");
    services.registry.shut_down();
    while services.registry.connections() > 0 && began.elapsed() < bound {
        tokio::time::sleep(DRAIN_LOOK).await;
    }
    let left = services.registry.connections();
    if left > 0 {
        tracing::warn!(sessions = left, "timeouts.shutdown is over; the rest is closed");
        services.registry.stop_all();
        let last = Instant::now();
        while services.registry.connections() > 0 && last.elapsed() < Duration::from_secs(1) {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
    }
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, StartError> {
        let catch = |kind| {
            signal(kind).map_err(|source| StartError::System { what: "signals cannot be caught", source })
        };
        Ok(Self {
            hangup: catch(SignalKind::hangup())?,
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
        })
    }

    async fn until_stop(&mut self, reloader: &Reloader) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    // The failure is logged and counted; the last good config stays.
                    let _ = reloader.reload().await;
                }
            }
        }
    }
}
