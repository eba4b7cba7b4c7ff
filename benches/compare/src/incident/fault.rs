//! A proxy below Bulkhead that can make a server's writes stall, or cut the network to it.
//!
//! It stands in front of one server, in this process. While writes stall, every other write waits before the
//! server gets it, and the others' answers wait: as on a server whose commits hang, some are done and some
//! are not. Everything else passes at once. A connection that is ended by either side takes what waits with
//! it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::wire::{Reader, packet_length};

/// Bytes that are asked of a socket at once.
const READ_BYTES: usize = 16 * 1024;
/// Bytes of one side that wait, at most; more is not read.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// What the proxy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Passes everything on.
    Pass,
    /// Each write takes so much longer.
    Stall(Duration),
    /// Nothing passes, in neither direction; connections stay.
    Cut,
}

/// One server's proxy. Ended on drop.
#[derive(Debug)]
pub struct FaultProxy {
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    mode: watch::Sender<Mode>,
    accepting: JoinHandle<()>,
}

impl FaultProxy {
    /// Listens in front of a server of 127.0.0.1.
    ///
    /// # Errors
    /// There is no port.
    pub async fn start(server: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (mode, watched) = watch::channel(Mode::Pass);
        let accepting =
            tokio::spawn(accept(listener, SocketAddr::from((Ipv4Addr::LOCALHOST, server)), watched));
        Ok(Self { port, mode, accepting })
    }

    /// Sets what it does from now on.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, mode: watch::Receiver<Mode>) {
    let mut connections = JoinSet::new();
    let writes = Arc::new(AtomicU64::new(0));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        // What fails is the client's: it has gone again, or there are no descriptors.
        let Ok((client, _)) = accepted else { continue };
        let pair = Pair { mode: mode.clone(), writes: Arc::clone(&writes) };
        connections.spawn(async move {
            // Whatever ends a connection ends both sides of it.
            let _ = pair.relay(client, server).await;
        });
    }
}

/// One connection.
struct Pair {
    mode: watch::Receiver<Mode>,
    /// Writes so far, of all connections: every other one waits on the other side.
    writes: Arc<AtomicU64>,
}

/// One direction of a connection.
struct Way {
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    mode: watch::Receiver<Mode>,
    waiting: Vec<u8>,
}

impl Way {
    /// Reads more; fails at the end of the stream.
    async fn read(&mut self) -> io::Result<()> {
        self.waiting.reserve(READ_BYTES);
        if self.from.read_buf(&mut self.waiting).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Waits until nothing is cut.
    async fn pass(&mut self) -> io::Result<()> {
        let joined = self.mode.wait_for(|mode| *mode != Mode::Cut).await;
        joined.map(drop).map_err(io::Error::other)
    }

    /// Waits until then, or until writes do not stall any more. Goes on reading, so that the sender's going
    /// is noticed.
    async fn hold(&mut self, until: Instant) -> io::Result<()> {
        let mut mode = self.mode.clone();
        let over = async {
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                _ = mode.wait_for(|mode| !matches!(mode, Mode::Stall(_))) => {}
            }
        };
        tokio::pin!(over);
        loop {
            if self.waiting.len() >= WAITING_BYTES_MAX {
                over.await;
                return Ok(());
            }
            tokio::select! {
                () = &mut over => return Ok(()),
                read = self.read() => read?,
            }
        }
    }

    /// Sends the first bytes on.
    async fn send(&mut self, count: usize) -> io::Result<()> {
        self.pass().await?;
        self.to.write_all(&self.waiting[..count]).await?;
        self.waiting.drain(..count);
        Ok(())
    }
}

impl Pair {
    async fn relay(mut self, client: TcpStream, server: SocketAddr) -> io::Result<()> {
        self.mode.wait_for(|mode| *mode != Mode::Cut).await.map(drop).map_err(io::Error::other)?;
        let server = TcpStream::connect(server).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let ((client_reads, client_writes), (server_reads, server_writes)) =
            (client.into_split(), server.into_split());
        let reader = Mutex::new(Reader::default());
        let (answers, held) = watch::channel(Instant::now());
        let way = |from, to| Way { from, to, mode: self.mode.clone(), waiting: Vec::new() };
        tokio::select! {
            ended = self.upstream(way(client_reads, server_writes), &reader, &answers) => ended,
            ended = downstream(way(server_reads, client_writes), &reader, held) => ended,
        }
    }

    /// From the client to the server, packet by packet.
    async fn upstream(
        &self,
        mut way: Way,
        reader: &Mutex<Reader>,
        answers: &watch::Sender<Instant>,
    ) -> io::Result<()> {
        loop {
            way.read().await?;
            while let Some(length) = whole_packet(&way.waiting, reader) {
                let is_write = lock(reader).read_client(&way.waiting[..length]);
                let mode = *way.mode.borrow();
                if let (true, Mode::Stall(delay)) = (is_write, mode) {
                    let until = Instant::now() + delay;
                    if self.writes.fetch_add(1, Ordering::Relaxed) % 2 == 0 {
                        way.hold(until).await?;
                    } else {
                        answers.send_replace(until);
                    }
                }
                way.send(length).await?;
            }
        }
    }
}

/// From the server to the client.
async fn downstream(mut way: Way, reader: &Mutex<Reader>, held: watch::Receiver<Instant>) -> io::Result<()> {
    loop {
        let mut whole = 0;
        while let Some(length) = whole_packet(&way.waiting[whole..], reader) {
            lock(reader).read_server(&way.waiting[whole..whole + length]);
            whole += length;
        }
        if whole == 0 {
            way.read().await?;
            continue;
        }
        let until = *held.borrow();
        if until > Instant::now() {
            way.hold(until).await?;
        }
        way.send(whole).await?;
    }
}

/// Length of what can be passed on: a whole packet, or everything once nothing can be read.
fn whole_packet(bytes: &[u8], reader: &Mutex<Reader>) -> Option<usize> {
    if bytes.is_empty() {
        return None;
    }
    if lock(reader).is_cloaked() {
        return Some(bytes.len());
    }
    packet_length(bytes).filter(|length| *length <= bytes.len())
}

fn lock(reader: &Mutex<Reader>) -> std::sync::MutexGuard<'_, Reader> {
    reader.lock().unwrap_or_else(PoisonError::into_inner)
}
