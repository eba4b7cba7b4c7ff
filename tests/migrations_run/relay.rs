//! A relay between the proxy and its server that cuts connections around the RENAME, or behind a COMMIT of
//! rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How the text of an exchange begins.
const RENAME: &[u8] = b"RENAME /* bulkhead ";
/// What the statement has that records a range as copied.
const RANGE: &[u8] = b",'range',";
/// A packet with nothing but a COMMIT.
const COMMIT: &[u8] = b"\x07\0\0\0\x03COMMIT";

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Cut {
    Never = 0,
    /// The server does not see the RENAME.
    BeforeRename = 1,
    /// The server sees it; its answer is lost.
    AfterRename = 2,
    /// The same, and nobody reaches the server until [`Relay::mend`].
    AfterRenameForGood = 3,
    /// The server commits a range of rows; its answer is lost.
    AfterRange = 4,
}

/// A relay; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Relay(Arc<Inner>);

#[derive(Default)]
struct Inner {
    cut: AtomicU8,
    cuts: AtomicU32,
    is_down: AtomicBool,
}

impl Relay {
    /// Listens on a free port and passes on to another one.
    pub(crate) async fn listen(&self, to: u16) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("it listens").port();
        let relay = self.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let relay = relay.clone();
                tokio::spawn(async move { relay.pass(client, to).await });
            }
        });
        port
    }

    /// Cuts the next RENAME, or COMMIT of a range.
    pub(crate) fn cut_once(&self, cut: Cut) {
        self.0.cut.store(cut as u8, Ordering::SeqCst);
    }

    /// How many were cut.
    pub(crate) fn cuts(&self) -> u32 {
        self.0.cuts.load(Ordering::SeqCst)
    }

    /// Lets connections through again.
    pub(crate) fn mend(&self) {
        self.0.is_down.store(false, Ordering::SeqCst);
    }

    fn take_cut(&self, is_range: bool) -> u8 {
        let wanted = self.0.cut.load(Ordering::SeqCst);
        if wanted == Cut::Never as u8 || is_range != (wanted == Cut::AfterRange as u8) {
            return Cut::Never as u8;
        }
        let cut = self.0.cut.swap(Cut::Never as u8, Ordering::SeqCst);
        if cut != Cut::Never as u8 {
            self.0.cuts.fetch_add(1, Ordering::SeqCst);
        }
        cut
    }

    async fn pass(&self, mut client: TcpStream, to: u16) {
        if self.0.is_down.load(Ordering::SeqCst) {
            return;
        }
        let Ok(mut server) = TcpStream::connect(("127.0.0.1", to)).await else { return };
        let (mut up, mut down) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let mut has_range = false;
        loop {
            tokio::select! {
                read = client.read(&mut up) => {
                    let Ok(bytes @ 1..) = read else { return };
                    let text = &up[..bytes];
                    let has = |word: &[u8]| text.windows(word.len()).any(|window| window == word);
                    has_range |= has(RANGE);
                    let is_range = text == COMMIT && std::mem::take(&mut has_range);
                    let cut = if is_range || has(RENAME) { self.take_cut(is_range) } else { 0 };
                    if cut == Cut::BeforeRename as u8 || server.write_all(text).await.is_err() {
                        return;
                    }
                    if cut != 0 {
                        // The server answers, and nobody hears it.
                        let _ = server.read(&mut down).await;
                        let is_for_good = cut == Cut::AfterRenameForGood as u8;
                        self.0.is_down.store(is_for_good, Ordering::SeqCst);
                        return;
                    }
                }
                read = server.read(&mut down) => {
                    let Ok(bytes @ 1..) = read else { return };
                    let is_down = self.0.is_down.load(Ordering::SeqCst);
                    if is_down || client.write_all(&down[..bytes]).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}
