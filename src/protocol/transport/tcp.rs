//! Options of TCP sockets, of clients and servers alike.

use std::io;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Sets what a connection of ours has: packets sent at once, probes of a silent peer as `keepalive` says, and
/// no pacing on loopback.
///
/// # Errors
/// The system's own. Options that only save time are not among them.
pub(crate) fn prepare(stream: &TcpStream, keepalive: &TcpKeepalive) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_keepalive(keepalive)?;
    if stream.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback()) {
        send_at_once(stream);
    }
    Ok(())
}

/// Chooses Reno, which every Linux has and lets everybody choose. Where the system's choice is BBR, it paces
/// what is sent by timers, also on loopback, where there is nothing to be careful of: a fifth of the CPU time
/// of long answers went there.
///
/// **Source**: tcp(7), TCP_CONGESTION.
#[cfg(target_os = "linux")]
fn send_at_once(stream: &TcpStream) {
    if let Err(error) = SockRef::from(stream).set_tcp_congestion(b"reno") {
        tracing::debug!(%error, "the way of congestion control stays as it is");
    }
}

#[cfg(not(target_os = "linux"))]
fn send_at_once(_: &TcpStream) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn loopback_is_not_paced() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        for stream in [client.unwrap(), accepted.unwrap().0] {
            prepare(&stream, &TcpKeepalive::new().with_time(Duration::from_secs(60))).unwrap();
            assert!(stream.nodelay().unwrap());
            let name = SockRef::from(&stream).tcp_congestion().unwrap();
            assert!(name.starts_with(b"reno"), "{}", String::from_utf8_lossy(&name));
        }
    }
}
