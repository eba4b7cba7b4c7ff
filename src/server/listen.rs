//! Accepting clients: TCP and Unix socket, with the limits that hold before login.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener};

use crate::protocol::framed::Framed;
use crate::protocol::stream::Stream;
use crate::protocol::tcp;
use crate::session::{self, LOGIN_PACKET_BYTES_MAX, Services, limits_of, welcome_client};

use super::workers::Workers;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;
/// Pause after accept failed, as when descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Idle time before TCP asks whether the client is still there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);

/// Binds a TCP address for clients.
///
/// # Errors
/// The system's own.
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Binds a Unix socket for clients; a socket file that nobody listens on is replaced.
///
/// # Errors
/// The system's own; somebody listens there.
pub(super) fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on this socket"));
    }
    match std::fs::symlink_metadata(path) {
        Ok(found) if std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()) => {
            std::fs::remove_file(path)?
        }
        _ => {}
    }
    UnixListener::bind(path)
}

/// Accepts clients until dropped.
pub(super) async fn accept_tcp(listener: TcpListener, services: Arc<Services>, workers: Arc<Workers>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                prepare(&stream);
                start(Stream::Tcp(stream), Some(peer), &services, &workers);
            }
            Err(error) => pause_after(&error).await,
        }
    }
}

/// Accepts clients of the Unix socket until dropped.
pub(super) async fn accept_unix(listener: UnixListener, services: Arc<Services>, workers: Arc<Workers>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => start(Stream::Unix(stream), None, &services, &workers),
            Err(error) => pause_after(&error).await,
        }
    }
}

/// Socket options of a client's connection.
pub(super) fn prepare(stream: &TcpStream) {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE);
    if let Err(error) = tcp::prepare(stream, &keepalive) {
        tracing::debug!(%error, "socket options not set");
    }
}

/// Logs the client in here, and has a worker serve it.
fn start(stream: Stream, peer: Option<SocketAddr>, services: &Arc<Services>, workers: &Arc<Workers>) {
    let (services, workers) = (services.clone(), workers.clone());
    let limits = limits_of(&services.serving.load());
    let mut client = Framed::new(stream, LOGIN_PACKET_BYTES_MAX);
    let host = peer.map_or_else(|| "localhost".to_owned(), |peer| peer.ip().to_string());
    match services.registry.admit(peer.map(|peer| peer.ip()), limits) {
        Ok(admission) => {
            tokio::spawn(async move {
                if let Some(welcomed) = welcome_client(client, services, admission, host).await {
                    workers.place(|worker, seat| welcomed.serve(worker, seat));
                }
            });
        }
        Err(error) => {
            tokio::spawn(async move {
                // The client may be gone; there is nobody else to tell.
                let _ = session::refuse(&mut client, &error).await;
            });
        }
    }
}

pub(super) async fn pause_after(error: &io::Error) {
    tracing::warn!(%error, "accept failed");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}
