//! Opening a connection: TCP, TLS, login; nothing after.

use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{SockRef, Socket, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::connection::{Connection, ProvenSettings};
use super::delta::server_collation;
use super::error::OpenError;
use super::prepared::PreparedStatements;
use super::set_up::StoredFunctions;
use super::settings::SessionSettings;
use crate::config::Login;
use crate::ids::{ServerId, WorkerId};
use crate::protocol::auth::{ClientAuth, ClientStep};
use crate::protocol::capability::Capabilities;
use crate::protocol::framed::Framed;
use crate::protocol::handshake::{Attributes, Flavour, Greeting, HandshakeResponse, ServerVersion};
use crate::protocol::tcp;
use crate::protocol::tls::{self, ClientTls};

/// Largest packet during login.
const LOGIN_PACKET_BYTES_MAX: usize = 256 * 1024;
/// Largest packet after it: the protocol's bound. Answers are relayed, not kept.
const PACKET_BYTES_MAX: usize = 1 << 30;
/// A silent connection is probed after this.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(30);
/// Time between probes.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(10);
/// zstd level, unused: compression is not asked for.
const ZSTD_LEVEL: u8 = 3;

/// Without these nothing works. SESSION_TRACK: what stored code leaves on the connection must be told.
const ALWAYS: Capabilities = Capabilities(
    Capabilities::PROTOCOL_41.0
        | Capabilities::SECURE_CONNECTION.0
        | Capabilities::PLUGIN_AUTH.0
        | Capabilities::TRANSACTIONS.0
        | Capabilities::SESSION_TRACK.0
        | Capabilities::LONG_FLAG.0,
);

/// Of the class, the bits that change what the server sends: if the client has one of them and the server
/// not, answers could not be relayed as bytes.
const ANSWER_BITS: Capabilities = Capabilities(
    Capabilities::DEPRECATE_EOF.0
        | Capabilities::MULTI_RESULTS.0
        | Capabilities::PS_MULTI_RESULTS.0
        | Capabilities::OPTIONAL_RESULTSET_METADATA.0,
);

/// Asked for when offered; they change the login only.
const LOGIN_BITS: Capabilities =
    Capabilities(Capabilities::PLUGIN_AUTH_LENENC.0 | Capabilities::CONNECT_ATTRS.0);

/// A second handle of a connection's socket: cuts the connection off while somebody else uses it.
pub(super) struct Tether(Socket);

impl Tether {
    fn of(stream: &TcpStream) -> std::io::Result<Self> {
        SockRef::from(stream).try_clone().map(Self)
    }

    /// Ends the connection: whoever reads or writes on it is told that it is lost.
    pub(super) fn cut(&self) {
        // One that is lost already is what is wanted.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// A connection right after its login.
pub(super) struct LoggedIn {
    pub framed: Framed,
    pub tether: Tether,
    pub capabilities: Capabilities,
    pub version: ServerVersion,
    pub thread_id: u32,
    /// What the handshake could carry of the collation asked for.
    pub collation: u8,
}

/// How connections to one server are opened.
pub(super) struct Opener {
    pub server: Arc<ServerId>,
    pub login: Login,
    pub tls: ClientTls,
    /// Bound of TCP, TLS and login together.
    pub within: Duration,
    pub proven: Arc<ProvenSettings>,
    pub functions: Arc<StoredFunctions>,
}

impl Opener {
    /// Opens a connection with the client's capabilities `class`, and with the charset of `settings`.
    pub(super) async fn open(
        &self,
        class: Capabilities,
        settings: &SessionSettings,
    ) -> Result<Connection, OpenError> {
        match timeout(self.within, self.open_unbounded(class, settings.collation())).await {
            Ok(opened) => opened,
            Err(_) => Err(OpenError::Timeout { within: self.within }),
        }
    }

    async fn open_unbounded(&self, class: Capabilities, collation: u16) -> Result<Connection, OpenError> {
        let LoggedIn { framed, tether, capabilities, version, thread_id, collation: login_collation } =
            self.log_on(class, collation).await?;
        let applied = applied_by_login(collation, login_collation, version.flavour);
        let now = Instant::now();
        let mut connection = Connection {
            framed,
            tether: Arc::new(tether),
            server: Arc::clone(&self.server),
            class,
            capabilities,
            version: Arc::new(version),
            thread_id,
            applied: Arc::new(applied),
            database: None,
            database_known: true,
            prepared: PreparedStatements::default(),
            proven: Arc::clone(&self.proven),
            functions: Arc::clone(&self.functions),
            is_dirty: false,
            is_suspect: false,
            is_spent: false,
            opened: now,
            worker: WorkerId::default(),
            idle_since: now,
        };
        connection.set_up().await?;
        Ok(connection)
    }

    /// TCP, TLS and login, without a bound in time of its own; nothing is asked after.
    pub(super) async fn log_on(&self, class: Capabilities, collation: u16) -> Result<LoggedIn, OpenError> {
        let stream = self.connect_tcp().await?;
        let tether = Tether::of(&stream).map_err(|source| OpenError::Connect { source })?;
        let mut framed = Framed::new(stream, LOGIN_PACKET_BYTES_MAX);
        let greeting = Greeting::parse(framed.read_packet().await?)?.map_err(OpenError::Refused)?;
        framed.release_packet();
        let version = greeting.server_version();
        let capabilities = negotiate(class, greeting.capabilities)?;
        // Only ids of one byte fit the handshake; the others come by SET NAMES.
        let collation = u8::try_from(server_collation(collation, version.flavour)).unwrap_or(45);
        let mut response = self.response(capabilities, collation);
        self.start_tls(&mut framed, &mut response, greeting.capabilities).await?;
        self.log_in(&mut framed, response, &greeting).await?;
        framed.set_max_packet(PACKET_BYTES_MAX);
        framed.reset_sequence();
        Ok(LoggedIn { framed, tether, capabilities, version, thread_id: greeting.thread_id, collation })
    }

    async fn connect_tcp(&self) -> Result<TcpStream, OpenError> {
        let failed = |source| OpenError::Connect { source };
        let stream = TcpStream::connect((&*self.server.host, self.server.port)).await.map_err(failed)?;
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY);
        tcp::prepare(&stream, &keepalive).map_err(failed)?;
        Ok(stream)
    }

    fn response(&self, capabilities: Capabilities, collation: u8) -> HandshakeResponse {
        HandshakeResponse {
            capabilities,
            packet_bytes_max: PACKET_BYTES_MAX as u32,
            collation,
            user: self.login.user.to_string(),
            auth_response: Vec::new(),
            database: None,
            plugin: None,
            attributes: attributes(),
            zstd_level: ZSTD_LEVEL,
        }
    }

    async fn start_tls(
        &self,
        framed: &mut Framed,
        response: &mut HandshakeResponse,
        offered: Capabilities,
    ) -> Result<(), OpenError> {
        if !self.tls.is_wanted() {
            return Ok(());
        }
        if !offered.contains(Capabilities::SSL) {
            return if self.tls.is_required() { Err(OpenError::TlsNotOffered) } else { Ok(()) };
        }
        response.capabilities.insert(Capabilities::SSL);
        framed.queue_packet(&response.ssl_request().build());
        framed.flush().await?;
        Ok(tls::connect(framed, &self.tls, &self.server.host).await?)
    }

    async fn log_in(
        &self,
        framed: &mut Framed,
        mut response: HandshakeResponse,
        greeting: &Greeting,
    ) -> Result<(), OpenError> {
        let secure = framed.stream().is_secure();
        let mut auth =
            ClientAuth::new(self.login.password.clone(), secure, &greeting.plugin, &greeting.nonce);
        response.plugin = Some(auth.plugin().name().to_owned());
        response.auth_response = auth.first_response();
        framed.queue_packet(&response.build());
        loop {
            framed.flush().await?;
            let step = auth.step(framed.read_packet().await?)?;
            framed.release_packet();
            match step {
                ClientStep::Send(payload) => framed.queue_packet(&payload),
                ClientStep::Read => {}
                ClientStep::Done => return Ok(()),
            }
        }
    }
}

/// What to ask of a server that offers `offered`, for a client with `class`.
fn negotiate(class: Capabilities, offered: Capabilities) -> Result<Capabilities, OpenError> {
    let needed = ALWAYS.with(class.masked(ANSWER_BITS));
    let missing = needed.without(offered);
    if missing != Capabilities::NONE {
        return Err(OpenError::Lacks(format!("{missing:?}")));
    }
    let wanted = ALWAYS.with(class).with(LOGIN_BITS).masked(offered);
    // MariaDB does not offer this bit, whose absence would announce a MariaDB client's extended capabilities.
    Ok(wanted.with(Capabilities::LONG_PASSWORD))
}

/// What the server's variables are after a login that asked for `asked` and could carry `sent`.
fn applied_by_login(asked: u16, sent: u8, flavour: Flavour) -> SessionSettings {
    if u16::from(sent) == server_collation(asked, flavour) {
        SessionSettings::new(asked)
    } else {
        SessionSettings::new(u16::from(sent))
    }
}

fn attributes() -> Attributes {
    let pairs = [
        ("_client_name", "bulkhead"),
        ("_client_version", env!("CARGO_PKG_VERSION")),
        ("_os", std::env::consts::OS),
        ("_platform", std::env::consts::ARCH),
        ("program_name", "bulkhead"),
    ];
    let mut attributes: Attributes =
        pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    attributes.push(("_pid".to_owned(), std::process::id().to_string()));
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::capability::{CLASS_MASK, OFFERED};

    #[test]
    fn answer_bits_must_be_there() {
        let class = OFFERED.masked(CLASS_MASK);
        let offered = OFFERED.without(Capabilities::QUERY_ATTRIBUTES | Capabilities::LONG_PASSWORD);
        let negotiated = negotiate(class, offered).unwrap();
        assert!(negotiated.contains(Capabilities::LONG_PASSWORD | Capabilities::DEPRECATE_EOF));
        assert!(!negotiated.contains(Capabilities::QUERY_ATTRIBUTES));
        assert!(!negotiated.contains(Capabilities::SSL));
        let error = negotiate(class, OFFERED.without(Capabilities::SESSION_TRACK)).unwrap_err();
        assert!(error.to_string().contains("SESSION_TRACK"), "{error}");
        let classic = class.without(Capabilities::DEPRECATE_EOF);
        let negotiated = negotiate(classic, OFFERED).unwrap();
        assert!(!negotiated.contains(Capabilities::DEPRECATE_EOF));
        assert!(negotiated.contains(Capabilities::SESSION_TRACK), "whatever the client has");
    }
}
