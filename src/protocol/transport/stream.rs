//! A connection to a peer: TCP, Unix socket, or TLS over either.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;

/// A plain socket under TLS, with bytes that were read before TLS began.
///
/// A client may send its ClientHello right behind the packet that asks for TLS; what was read of it is given
/// to TLS first, so nothing that came in clear is ever read as a packet of the encrypted conversation.
#[derive(Debug)]
pub struct Socket {
    plain: Plain,
    unread: Vec<u8>,
}

/// A socket without TLS.
#[derive(Debug)]
pub enum Plain {
    /// TCP.
    Tcp(TcpStream),
    /// Unix socket.
    Unix(UnixStream),
}

/// A connection to a peer.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Tcp(TcpStream),
    /// Unix socket.
    Unix(UnixStream),
    /// TLS, server or client side.
    Tls(Box<TlsStream<Socket>>),
    /// Nothing: while a TLS handshake holds the socket, or after one that failed.
    Closed,
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Stream::Tcp(stream)
    }
}

impl From<UnixStream> for Stream {
    fn from(stream: UnixStream) -> Self {
        Stream::Unix(stream)
    }
}

impl Stream {
    /// True for TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self, Stream::Tls(_))
    }

    /// Pending while there is surely nothing to read; costs no system call and no buffer.
    pub(super) fn poll_maybe_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let ready = match self {
            Stream::Tcp(tcp) => tcp.poll_read_ready(cx),
            Stream::Unix(unix) => unix.poll_read_ready(cx),
            // TLS may hold bytes of its own.
            Stream::Tls(_) | Stream::Closed => return Poll::Ready(()),
        };
        // An error shows again when it is read.
        ready.map(|_| ())
    }

    /// False while there is surely nothing to read. Asks nobody to be woken.
    pub(super) fn may_have_news(&self) -> bool {
        let is_silent = match self {
            Stream::Tcp(tcp) => tcp.try_io(Interest::READABLE, || Ok(())).is_err(),
            Stream::Unix(unix) => unix.try_io(Interest::READABLE, || Ok(())).is_err(),
            Stream::Tls(_) | Stream::Closed => false,
        };
        !is_silent
    }

    /// Has the socket watched by the current runtime from now on: it is woken there, on its own thread.
    ///
    /// What is known of the socket's readiness is forgotten; the next read or write finds out.
    ///
    /// # Errors
    /// The system's own; close the connection.
    pub(super) fn rehome(&mut self) -> io::Result<()> {
        match self {
            Stream::Tcp(tcp) => rehome_tcp(tcp),
            Stream::Unix(unix) => rehome_unix(unix),
            Stream::Tls(tls) => match &mut tls.get_mut().0.plain {
                Plain::Tcp(tcp) => rehome_tcp(tcp),
                Plain::Unix(unix) => rehome_unix(unix),
            },
            Stream::Closed => Err(closed()),
        }
    }

    /// True if what is sent cannot be overheard: TLS, or a Unix socket.
    pub fn is_secure(&self) -> bool {
        match self {
            Stream::Tls(_) | Stream::Unix(_) => true,
            Stream::Tcp(_) | Stream::Closed => false,
        }
    }

    /// The peer's address, `None` on a Unix socket.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        match self {
            Stream::Tcp(tcp) => tcp.peer_addr().ok(),
            Stream::Tls(tls) => match &tls.get_ref().0.plain {
                Plain::Tcp(tcp) => tcp.peer_addr().ok(),
                Plain::Unix(_) => None,
            },
            Stream::Unix(_) | Stream::Closed => None,
        }
    }

    /// The negotiated TLS version and cipher suite, as MySQL's `Ssl_version` and `Ssl_cipher` name them.
    pub fn tls_names(&self) -> Option<(&'static str, &'static str)> {
        let Stream::Tls(tls) = self else { return None };
        let (_, session) = tls.get_ref();
        let version = match session.protocol_version()? {
            rustls::ProtocolVersion::TLSv1_2 => "TLSv1.2",
            _ => "TLSv1.3",
        };
        let suite = session.negotiated_cipher_suite()?;
        Some((version, suite.suite().as_str().unwrap_or("unknown")))
    }

    /// Takes the socket out for a TLS handshake; `None` if TLS is already on.
    pub(super) fn take_socket(&mut self, unread: Vec<u8>) -> Option<Socket> {
        match std::mem::replace(self, Stream::Closed) {
            Stream::Tcp(tcp) => Some(Socket { plain: Plain::Tcp(tcp), unread }),
            Stream::Unix(unix) => Some(Socket { plain: Plain::Unix(unix), unread }),
            other => {
                *self = other;
                None
            }
        }
    }
}

fn rehome_tcp(tcp: &mut TcpStream) -> io::Result<()> {
    let same = tcp.as_fd().try_clone_to_owned()?;
    *tcp = TcpStream::from_std(same.into())?;
    Ok(())
}

fn rehome_unix(unix: &mut UnixStream) -> io::Result<()> {
    let same = unix.as_fd().try_clone_to_owned()?;
    *unix = UnixStream::from_std(same.into())?;
    Ok(())
}

fn closed() -> io::Error {
    io::Error::from(io::ErrorKind::NotConnected)
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(tcp) => Pin::new(tcp).poll_read(cx, into),
            Stream::Unix(unix) => Pin::new(unix).poll_read(cx, into),
            Stream::Tls(tls) => Pin::new(tls).poll_read(cx, into),
            Stream::Closed => Poll::Ready(Err(closed())),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Stream::Unix(unix) => Pin::new(unix).poll_write(cx, bytes),
            Stream::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
            Stream::Closed => Poll::Ready(Err(closed())),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Stream::Unix(unix) => Pin::new(unix).poll_write_vectored(cx, slices),
            Stream::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, slices),
            Stream::Closed => Poll::Ready(Err(closed())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tls(tls) => Pin::new(tls).poll_flush(cx),
            Stream::Tcp(_) | Stream::Unix(_) | Stream::Closed => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Stream::Unix(unix) => Pin::new(unix).poll_shutdown(cx),
            Stream::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
            Stream::Closed => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.unread.is_empty() {
            let count = this.unread.len().min(into.remaining());
            into.put_slice(&this.unread[..count]);
            this.unread.drain(..count);
            return Poll::Ready(Ok(()));
        }
        match &mut this.plain {
            Plain::Tcp(tcp) => Pin::new(tcp).poll_read(cx, into),
            Plain::Unix(unix) => Pin::new(unix).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().plain {
            Plain::Tcp(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Plain::Unix(unix) => Pin::new(unix).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().plain {
            Plain::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Plain::Unix(unix) => Pin::new(unix).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().plain {
            Plain::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Plain::Unix(unix) => Pin::new(unix).poll_shutdown(cx),
        }
    }
}
