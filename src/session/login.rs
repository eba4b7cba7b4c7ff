//! From an accepted socket to a session: greeting, TLS, proof of identity, database, compression.

use std::sync::Arc;

use crate::backend::SessionSettings;
use crate::config::User;
use crate::error::{ClientError, Code};
use crate::ids::{UserName, WorkerId};
use crate::protocol::auth::{AuthRequest, AuthStep, Nonce, ServerAuth};
use crate::protocol::capability::{Capabilities, StatusFlags};
use crate::protocol::compress::Algorithm;
use crate::protocol::errors::FrameError;
use crate::protocol::framed::Framed;
use crate::protocol::handshake::{ClientHello, Greeting, HandshakeResponse};
use crate::protocol::result::{self, OkPacket};
use crate::protocol::tls::{self, TlsError};

use crate::sql::ClientCharset;

use crate::session::Session;
use crate::session::registry::{Admission, Limits, SessionEntry};
use crate::session::services::{Services, Serving};
use crate::session::state::State;
use crate::session::target::resolve_target;

/// Largest packet before login, in bytes; connection attributes alone may take 64 KiB.
pub const LOGIN_PACKET_BYTES_MAX: usize = 128 * 1024;

/// A client that proved who it is; nothing has been answered yet.
pub struct LoggedIn {
    /// The client.
    pub client: Framed,
    /// The user.
    pub user: Arc<User>,
    /// What both sides agreed on.
    pub capabilities: Capabilities,
    /// The database of the handshake.
    pub database: Option<String>,
    /// Collation id of the handshake.
    pub collation: u16,
    /// Where it comes from, as error messages name it.
    pub host: String,
    /// The nonce of the greeting, which COM_CHANGE_USER answers to.
    pub nonce: Nonce,
    zstd_level: u8,
}

impl LoggedIn {
    /// Answers OK and starts compression if it was agreed on.
    ///
    /// # Errors
    /// The client went away.
    pub async fn welcome(&mut self, status: StatusFlags) -> Result<(), FrameError> {
        self.client.queue_packet(&OkPacket::with_status(status).payload(self.capabilities));
        self.client.flush().await?;
        if self.capabilities.contains(Capabilities::ZSTD_COMPRESSION) {
            self.client.start_compression(Algorithm::Zstd { level: self.zstd_level });
        } else if self.capabilities.contains(Capabilities::COMPRESS) {
            self.client.start_compression(Algorithm::Zlib);
        }
        Ok(())
    }
}

/// Why a login came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The client was told.
    #[error("{0}")]
    Refused(ClientError),
    /// The client went away.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// TLS could not be agreed on.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Greets a client and lets it prove who it is. The client has been told when this fails with `Refused`.
///
/// # Errors
/// See [`LoginError`].
pub async fn log_in(
    mut client: Framed,
    serving: &Serving,
    admission: &Admission,
    host: String,
) -> Result<LoggedIn, LoginError> {
    let result = exchange(&mut client, serving, admission, &host).await;
    match result {
        Ok((user, response, nonce)) => {
            client.set_max_packet(serving.config.listen.max_allowed_packet);
            Ok(LoggedIn {
                client,
                user,
                capabilities: response.capabilities,
                database: response.database,
                collation: response.collation.into(),
                host,
                nonce,
                zstd_level: response.zstd_level,
            })
        }
        Err(LoginError::Refused(error)) => {
            refuse(&mut client, &error).await?;
            Err(LoginError::Refused(error))
        }
        Err(other) => Err(other),
    }
}

/// Sends an error as the last packet.
///
/// # Errors
/// The client went away.
pub async fn refuse(client: &mut Framed, error: &ClientError) -> Result<(), FrameError> {
    client.queue_packet(&err_payload(error));
    client.shutdown().await
}

/// The ERR packet of an error.
pub fn err_payload(error: &ClientError) -> Vec<u8> {
    result::err(error.errno(), error.sqlstate(), &error.wire_message())
}

/// Says whether a password may cross in clear text.
pub(super) fn is_private(client: &Framed) -> bool {
    client.stream().is_secure()
}

type Proved = (Arc<User>, HandshakeResponse, Nonce);

async fn exchange(
    client: &mut Framed,
    serving: &Serving,
    admission: &Admission,
    host: &str,
) -> Result<Proved, LoginError> {
    let internal = || LoginError::Refused(ClientError::of(Code::Internal));
    let nonce = Nonce::random().ok_or_else(internal)?;
    let version = &serving.config.listen.server_version;
    let greeting = Greeting::new(version, admission.id.0, &nonce, serving.offered);
    client.queue_packet(&greeting.build());
    client.flush().await?;
    let response = read_response(client, serving).await?;
    let is_private = is_private(client);
    if serving.config.listen.require_tls && !is_private {
        return Err(LoginError::Refused(ClientError::of(Code::SecureTransportRequired)));
    }
    let request = AuthRequest {
        user: response.user.clone(),
        host: host.to_owned(),
        plugin: response.plugin.clone(),
        response: response.auth_response.clone(),
        nonce,
        secure: is_private,
    };
    let user = prove(client, serving, request).await?;
    Ok((user, response, nonce))
}

async fn read_response(client: &mut Framed, serving: &Serving) -> Result<HandshakeResponse, LoginError> {
    for inside_tls in [false, true] {
        let bad = |_| LoginError::Refused(ClientError::of(Code::HandshakeError));
        let hello = ClientHello::parse(client.read_packet().await?, serving.offered).map_err(bad)?;
        match (hello, &serving.tls) {
            (ClientHello::Response(response), _) => {
                let is_modern = response.capabilities.contains(Capabilities::PROTOCOL_41);
                return if is_modern {
                    Ok(response)
                } else {
                    Err(LoginError::Refused(ClientError::of(Code::UnsupportedAuthMode)))
                };
            }
            (ClientHello::Ssl(_), Some(config)) if !inside_tls => tls::accept(client, config.clone()).await?,
            (ClientHello::Ssl(_), _) => break,
        }
    }
    Err(LoginError::Refused(ClientError::of(Code::HandshakeError)))
}

/// Lets a client prove that it is the user it names.
///
/// # Errors
/// See [`LoginError`].
pub(super) async fn prove(
    client: &mut Framed,
    serving: &Serving,
    request: AuthRequest,
) -> Result<Arc<User>, LoginError> {
    let (mut auth, mut step) = ServerAuth::begin(request, &serving.credentials, serving.auth.clone());
    loop {
        match step {
            AuthStep::Send(payload) => {
                client.queue_packet(&payload);
                client.flush().await?;
                let packet = client.read_packet().await?;
                step = if auth.is_next_step_slow() && is_multi_threaded() {
                    // Thousands of rounds of hashing must not hold up the sessions of this thread.
                    tokio::task::block_in_place(|| auth.step(packet))
                } else {
                    auth.step(packet)
                };
            }
            AuthStep::Accepted(last) => {
                if let Some(payload) = last {
                    client.queue_packet(&payload);
                }
                let name = UserName::new(auth.user());
                let user = serving.config.users.get(&name).cloned();
                return user
                    .map(Arc::new)
                    .ok_or_else(|| LoginError::Refused(ClientError::of(Code::AccessDenied)));
            }
            AuthStep::Refused(error) => return Err(LoginError::Refused(error)),
        }
    }
}

fn is_multi_threaded() -> bool {
    tokio::runtime::Handle::current().runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread
}

/// A client that is logged in and has been told so; nothing of its first command was looked at.
pub struct WelcomedClient {
    services: Arc<Services>,
    serving: Arc<Serving>,
    logged_in: LoggedIn,
    admission: Admission,
    opened: (State, Arc<SessionEntry>),
}

/// Logs one client in, from its socket's accept on; `None` if it came to nothing, which was logged.
pub async fn welcome_client(
    client: Framed,
    services: Arc<Services>,
    mut admission: Admission,
    host: String,
) -> Option<WelcomedClient> {
    let serving = services.serving.load_full();
    let timeout = serving.config.listen.handshake_timeout;
    let login = tokio::time::timeout(timeout, log_in(client, &serving, &admission, host)).await;
    let mut logged_in = match login {
        Ok(Ok(logged_in)) => logged_in,
        Ok(Err(error)) => {
            tracing::info!(%error, "login failed");
            services.registry.count_failed_login();
            return None;
        }
        Err(_) => {
            tracing::info!("login took longer than listen.handshake_timeout");
            services.registry.count_failed_login();
            return None;
        }
    };
    let opened = open(&services, &serving, &logged_in, &mut admission);
    let welcome = match opened {
        Ok((state, entry)) => {
            logged_in.welcome(state.status()).await.map(|()| (state, entry)).map_err(LoginError::Frame)
        }
        Err(error) => refuse(&mut logged_in.client, &error)
            .await
            .map_err(LoginError::Frame)
            .and(Err(LoginError::Refused(error))),
    };
    match welcome {
        Ok(opened) => Some(WelcomedClient { services, serving, logged_in, admission, opened }),
        Err(error) => {
            tracing::info!(%error, "login failed");
            None
        }
    }
}

impl WelcomedClient {
    /// Serves the client to its end, on `worker`, which is the one that is to poll this; `seat` is dropped
    /// then.
    pub fn serve<S: Send + 'static>(
        self,
        worker: WorkerId,
        seat: S,
    ) -> impl Future<Output = ()> + Send + 'static + use<S> {
        let place = (self.admission, worker);
        // Made out here: a task keeps room for all that was ever moved into it.
        let mut session = Session::new(self.services, self.serving, self.logged_in, place, self.opened);
        async move {
            let _seat = seat;
            match session.client.rehome() {
                Ok(()) => session.run().await,
                Err(error) => tracing::warn!(%error, "a client's connection cannot be moved to its worker"),
            }
        }
    }
}

/// The state a session starts with, and its place in the registry.
fn open(
    services: &Services,
    serving: &Serving,
    logged_in: &LoggedIn,
    admission: &mut Admission,
) -> Result<(State, Arc<SessionEntry>), ClientError> {
    let user = &logged_in.user;
    let entry = admission.enter(&user.name, user_connections_max(user, serving), logged_in.host.clone())?;
    let settings = login_settings(services, logged_in.collation)?;
    let ignores_space = logged_in.capabilities.contains(Capabilities::IGNORE_SPACE);
    let mut state = State::new(settings, services.server_version(), ignores_space);
    if let Some(database) = &logged_in.database {
        state.target = resolve_target(&services.snapshots.load(), user, database)?;
        entry.update(|activity| activity.database = state.target.name.clone());
    }
    Ok((state, entry))
}

/// The settings of a session that logs in with this collation.
///
/// # Errors
/// ASCII is not ASCII in its character set.
pub(super) fn login_settings(
    services: &Services,
    collation: u16,
) -> Result<Arc<SessionSettings>, ClientError> {
    if ClientCharset::of_collation(collation).is_none() {
        let message = format!("collation {collation}: ASCII is not ASCII in its character set");
        return Err(ClientError::new(Code::NotSupported, message));
    }
    Ok(services.settings.login(collation))
}

/// The bound on a user's connections.
pub(super) fn user_connections_max(user: &User, serving: &Serving) -> usize {
    let listen = &serving.config.listen;
    let own = if user.max_connections == 0 { listen.max_connections_per_user } else { user.max_connections };
    own as usize
}

/// The bounds on connections that a config asks for.
pub fn limits_of(serving: &Serving) -> Limits {
    let listen = &serving.config.listen;
    Limits {
        connections_max: listen.max_connections as usize,
        per_address_max: listen.max_connections_per_address as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn future_bytes<A, B, C, F: Future>(_: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// Each session holds this much, whatever it does; an idle client is to cost 16 KiB in all.
    #[test]
    fn a_sessions_task_is_small() {
        let bytes = future_bytes(WelcomedClient::serve::<()>);
        assert!(bytes <= 8_192, "{bytes} bytes");
    }
}
