//! The admin endpoint's listeners: MySQL protocol for statements, HTTP for metrics and health.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::admin::{
    self, AdminContext, AdminFuture, KillTarget, ProxyStats, Reload, ReloadFault, SessionRow, SessionsView,
    StatsView,
};
use crate::admission::WorkspaceLimitsBook;
use crate::error::{ClientError, Code};
use crate::failover::Failovers;
use crate::ids::{SessionId, UserName};
use crate::protocol::capability::StatusFlags;
use crate::protocol::command::Command;
use crate::protocol::framed::Framed;
use crate::protocol::result::OkPacket;
use crate::session::{
    self, LOGIN_PACKET_BYTES_MAX, Limits, LoggedIn, LoginError, Registry, Services, log_in,
};
use crate::topology::{DirectoryAdmin, SnapshotChanges, Store};

use super::StartError;
use super::health::Board;
use super::ladder::Control;
use super::listen;
use super::reload::Reloader;

/// Connections to the admin port at the same time.
const CONNECTIONS_MAX: usize = 64;
/// Largest admin statement, in bytes: imports come in statements too.
const STATEMENT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// An admin connection without a statement ends after this.
const IDLE_MAX: Duration = Duration::from_secs(8 * 3600);

/// What the watching task shows.
pub(super) struct Views {
    pub(super) board: Arc<Board>,
    pub(super) ladder: Arc<Control>,
    pub(super) failovers: Arc<Failovers>,
}

/// Binds both admin addresses and serves them.
///
/// # Errors
/// An address cannot be listened on.
pub(super) fn start(
    services: &Arc<Services>,
    (store, limits): (&Arc<dyn Store>, &Arc<WorkspaceLimitsBook>),
    reloader: &Arc<Reloader>,
    views: Views,
    background: &mut JoinSet<()>,
) -> Result<(), StartError> {
    let config = services.serving.load().config.clone();
    let bind = |address: std::net::SocketAddr| {
        listen::bind(address).map_err(|source| StartError::Listen { address: address.to_string(), source })
    };
    let (mysql, http) = (bind(config.admin.address)?, bind(config.admin.http)?);
    let context = AdminContext {
        snapshots: services.snapshots.clone(),
        workspaces: DirectoryAdmin::new(store.clone(), services.snapshots.clone())
            .with_newest(Arc::new(services.fleet.clone())),
        health: services.health.clone(),
        clusters: views.board,
        admissions: services.admissions.clone(),
        limits: limits.clone(),
        primaries: views.failovers,
        pools: services.pools.clone(),
        sessions: Arc::new(Sessions(services.registry.clone())),
        reload: reloader.clone(),
        stats: Arc::new(Stats { services: services.clone(), reloader: reloader.clone() }),
        ladder: views.ladder,
        migrations: Arc::new(services.migrations.clone()),
        fleet: Arc::new(services.fleet.clone()),
        fleet_orders: Arc::new(services.fleet.clone()),
        operator: UserName::new(""),
    };
    background.spawn(accept(mysql, services.clone(), context.clone()));
    background.spawn(async move {
        if let Err(error) = admin::serve_http(http, context).await {
            tracing::error!(%error, "the HTTP endpoint ended");
        }
    });
    Ok(())
}

async fn accept(listener: TcpListener, services: Arc<Services>, context: AdminContext) {
    let registry = Arc::new(Registry::new());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                listen::prepare(&stream);
                tokio::spawn(serve_operator(stream, services.clone(), registry.clone(), context.clone()));
            }
            Err(error) => listen::pause_after(&error).await,
        }
    }
}

async fn serve_operator(
    stream: TcpStream,
    services: Arc<Services>,
    registry: Arc<Registry>,
    context: AdminContext,
) {
    let host = stream.peer_addr().map_or_else(|_| "unknown".to_owned(), |peer| peer.ip().to_string());
    let mut client = Framed::new(stream, LOGIN_PACKET_BYTES_MAX);
    let limits = Limits { connections_max: CONNECTIONS_MAX, per_address_max: CONNECTIONS_MAX };
    let admission = match registry.admit(None, limits) {
        Ok(admission) => admission,
        Err(error) => {
            // The operator may be gone; there is nobody else to tell.
            let _ = session::refuse(&mut client, &error).await;
            return;
        }
    };
    let serving = services.serving.load_full();
    let login = log_in(client, &serving, &admission, host);
    match tokio::time::timeout(serving.config.listen.handshake_timeout, login).await {
        Ok(Ok(operator)) => {
            if let Err(error) = converse(operator, &context).await {
                tracing::debug!(%error, "admin connection ended");
            }
        }
        Ok(Err(error)) => tracing::warn!(%error, "admin login failed"),
        Err(_) => tracing::warn!("admin login took too long"),
    }
}

async fn converse(mut operator: LoggedIn, context: &AdminContext) -> Result<(), LoginError> {
    if !operator.user.admin {
        let message = format!("Access denied for user '{}' to the admin port", operator.user.name);
        let refused = ClientError::new(Code::AccessDenied, message);
        session::refuse(&mut operator.client, &refused).await?;
        return Err(LoginError::Refused(refused));
    }
    let status = StatusFlags::AUTOCOMMIT;
    operator.welcome(status).await?;
    let context = &AdminContext { operator: operator.user.name.clone(), ..context.clone() };
    operator.client.set_max_packet(STATEMENT_BYTES_MAX);
    loop {
        operator.client.reset_sequence();
        let read = tokio::time::timeout(IDLE_MAX, operator.client.read_packet()).await;
        let Ok(packet) = read else { return Ok(()) };
        let payload = match packet {
            Ok(payload) => payload.to_vec(),
            Err(error) if error.is_clean_close() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        operator.client.release_packet();
        if !answer(&mut operator, &payload, context).await? {
            return Ok(());
        }
    }
}

/// Answers one command; `false` when the operator said goodbye.
async fn answer(operator: &mut LoggedIn, payload: &[u8], context: &AdminContext) -> Result<bool, LoginError> {
    let capabilities = operator.capabilities;
    let status = StatusFlags::AUTOCOMMIT;
    let ok = OkPacket::with_status(status).payload(capabilities);
    let client = &mut operator.client;
    match Command::parse(payload, capabilities) {
        Ok(Command::Quit) => return Ok(false),
        Ok(Command::Query(query)) => {
            let statement = String::from_utf8_lossy(query.sql);
            let answer = admin::execute(&statement, context).await;
            client.queue_raw(&admin::encode(&answer, capabilities, client.sequence(), status));
        }
        Ok(Command::Ping | Command::InitDb(_) | Command::ResetConnection | Command::SetOption { .. }) => {
            client.queue_packet(&ok);
        }
        Ok(_) => client.queue_packet(&session::err_payload(&ClientError::of(Code::UnknownCommand))),
        Err(error) => {
            let malformed = ClientError::new(Code::MalformedPacket, error.to_string());
            client.queue_packet(&session::err_payload(&malformed));
        }
    }
    client.flush().await?;
    Ok(true)
}

struct Sessions(Arc<Registry>);

impl SessionsView for Sessions {
    fn sessions(&self) -> Vec<SessionRow> {
        let row = |entry: &Arc<session::SessionEntry>| {
            let activity = entry.activity();
            SessionRow {
                id: entry.id,
                user: entry.user.clone(),
                peer: entry.peer.clone(),
                database: activity.database.as_ref().map(ToString::to_string),
                command: activity.command.to_owned(),
                command_time: activity.since.elapsed(),
                connected: entry.connected.elapsed(),
                cluster: activity.running.map(|running| running.cluster().clone()),
                in_transaction: activity.in_transaction,
                statements: entry.statements.load(std::sync::atomic::Ordering::Relaxed),
                digest: (activity.digest != 0).then_some(activity.digest),
            }
        };
        self.0.list().iter().map(row).collect()
    }

    fn kill(&self, id: SessionId, target: KillTarget) -> AdminFuture<'_, Result<bool, ClientError>> {
        Box::pin(async move {
            let Some(entry) = self.0.get(id) else { return Ok(false) };
            match target {
                KillTarget::Connection => Ok(self.0.kill(id)),
                KillTarget::Query => match entry.kill_query().await {
                    Ok(()) => Ok(true),
                    Err(error) => Err(ClientError::new(Code::ShardUnreachable, error.to_string())),
                },
            }
        })
    }
}

impl Reload for Reloader {
    fn reload(&self) -> AdminFuture<'_, Result<SnapshotChanges, ReloadFault>> {
        Box::pin(async move {
            let done = Reloader::reload(self).await;
            done.map_err(|error| ReloadFault {
                faults: error.to_string().lines().map(str::to_owned).collect(),
            })
        })
    }
}

struct Stats {
    services: Arc<Services>,
    reloader: Arc<Reloader>,
}

impl StatsView for Stats {
    fn stats(&self) -> ProxyStats {
        let (services, reloader) = (&self.services, &self.reloader);
        let (hits, misses) = services.plan_lookups.counts();
        let draining = services.registry.is_shutting_down();
        ProxyStats {
            uptime: services.started.elapsed(),
            sessions: services.registry.connections() as u64,
            sessions_total: services.registry.connections_total(),
            failed_logins: services.registry.failed_logins(),
            plan_cache_hits: hits,
            plan_cache_misses: misses,
            plan_cache_plans: services.plans.len() as u64,
            plan_cache_bytes: services.plans.bytes(),
            reloads: reloader.reloads(),
            reload_failures: reloader.failures(),
            not_ready: draining.then(|| "the proxy is stopping".to_owned()).into_iter().collect(),
        }
    }
}
