//! The task: connects, reads, gives, and connects again.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::super::binlog::Reader;
use super::super::change::TableName;
use super::super::error::FeedError;
use super::super::feeds::{Source, Sources};
use super::super::place::Place;
use super::super::values::ColumnKind;
use super::counters::Counters;
use super::dump;
use super::ground::{self, failed, now_ms};
use super::state::State;
use super::subscriber::{Subscriber, Way};
use crate::backend::OpenError;
use crate::backend::direct::{DirectError, PacketStream};
use crate::ids::{ClusterName, ServerId};
use crate::protocol::errors::FrameError;

/// A server that is silent for longer is taken for gone: it says every second that it is there.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// Pause behind a failed attempt to connect, at first and at most.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Attempts go on so long when there is no connection: a failover takes minutes at most.
const CONNECT_WITHIN: Duration = Duration::from_secs(600);
/// Whether another server is the primary now is looked at as often.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A connection that lasted this long was of use.
const LASTING: Duration = Duration::from_secs(2);
/// Connections one after the other that were not.
const FRUITLESS_MAX: u32 = 6;
const READING: &str = "reading the binary log";
/// And so long when the server refuses, or lacks what was seen: it may be about to have it.
const REFUSED_WITHIN: Duration = Duration::from_secs(20);

/// A subscription that asks to be served.
pub(in super::super) struct Join {
    pub(in super::super) table: TableName,
    pub(in super::super) columns: Arc<[ColumnKind]>,
    pub(in super::super) from: Place,
    /// It begins at the log's end as of a moment ago, not at a position of its own.
    pub(in super::super) is_new: bool,
    pub(in super::super) way: Way,
    pub(in super::super) answer: oneshot::Sender<Result<(), FeedError>>,
}

/// What a feed works with.
pub(in super::super) struct Context {
    pub(in super::super) cluster: ClusterName,
    pub(in super::super) sources: Arc<dyn Sources>,
    pub(in super::super) counters: Arc<Counters>,
    pub(in super::super) writer: u64,
}

/// Why reading stopped.
enum Stopped {
    /// Nobody is left.
    Over,
    /// A subscriber needs what came before.
    Back,
    /// Another server is the primary.
    Moved,
    /// The connection is lost.
    Lost(FeedError),
    /// It cannot go on.
    Failed(FeedError),
}

/// Serves subscriptions until nobody is left.
pub(in super::super) async fn run(context: Context, mut joins: mpsc::Receiver<Join>) {
    let Some(first) = joins.recv().await else { return };
    let Some(source) = context.sources.source(&context.cluster) else {
        // Who asked has gone, if nobody takes the answer.
        let _ = first.answer.send(Err(FeedError::UnknownCluster(context.cluster)));
        return;
    };
    let state = State::new(source.server, context.writer, Arc::clone(&context.counters));
    let mut feed =
        Feed { context, state, waiting: Vec::new(), identity: None, has_read: false, fruitless: 0 };
    feed.join(first);
    feed.serve(&mut joins).await;
    // Whoever comes now starts another feed.
    joins.close();
    feed.state.fail(&FeedError::Closed);
    tracing::debug!(cluster = %feed.context.cluster, "feed of the binary log ended");
}

struct Feed {
    context: Context,
    state: State,
    /// To be told once the feed reads.
    waiting: Vec<oneshot::Sender<Result<(), FeedError>>>,
    /// The server that a position in a file is of.
    identity: Option<String>,
    /// The feed was connected once.
    has_read: bool,
    /// Connections one after the other that did not last.
    fruitless: u32,
}

/// A connection that reads.
struct Link {
    packets: PacketStream,
    reader: Reader,
    clock_ms: i64,
    /// Bytes that are counted.
    bytes: u64,
    events: u64,
    since: Instant,
    looked: Instant,
}

impl Feed {
    /// Takes a subscription in. Gives whether the feed has to go back for it.
    fn join(&mut self, join: Join) -> bool {
        let Join { table, columns, from, is_new, way, answer } = join;
        let number = self.state.number(&table);
        let subscriber = Subscriber::new(table, number, columns, way);
        match self.state.add(subscriber, from, is_new) {
            Ok(is_back) => {
                self.waiting.push(answer);
                is_back
            }
            Err(error) => {
                self.state.sweep();
                // Who asked has gone, if nobody takes the answer.
                let _ = answer.send(Err(error));
                false
            }
        }
    }

    fn answer(&mut self, answer: &Result<(), FeedError>) {
        for waiting in self.waiting.drain(..) {
            // Who asked has gone, if nobody takes the answer.
            let _ = waiting.send(answer.clone());
        }
    }

    async fn serve(&mut self, joins: &mut mpsc::Receiver<Join>) {
        loop {
            let mut link = match self.connect_again().await {
                Ok(link) => link,
                Err(error) => return self.fail(error),
            };
            self.has_read = true;
            self.answer(&Ok(()));
            match self.read(&mut link, joins).await {
                Stopped::Over => return,
                Stopped::Failed(error) => return self.fail(error),
                Stopped::Back | Stopped::Moved => {}
                Stopped::Lost(error) => {
                    tracing::info!(cluster = %self.context.cluster, %error, "the feed connects again");
                    self.fruitless = if link.since.elapsed() < LASTING { self.fruitless + 1 } else { 0 };
                    if self.fruitless > FRUITLESS_MAX {
                        return self.fail(error);
                    }
                    tokio::time::sleep((PAUSE_MIN * 2_u32.pow(self.fruitless)).min(PAUSE_MAX)).await;
                }
            }
            self.state.cut_off();
            self.state.sweep();
            if self.state.is_empty() {
                return;
            }
        }
    }

    fn fail(&mut self, error: FeedError) {
        tracing::warn!(cluster = %self.context.cluster, %error, "the feed of the binary log ends");
        self.answer(&Err(error.clone()));
        self.state.fail(&error);
    }

    /// Connects, trying again for as long as it may help.
    async fn connect_again(&mut self) -> Result<Link, FeedError> {
        let began = Instant::now();
        let mut pause = PAUSE_MIN;
        loop {
            let error = match self.connect().await {
                Ok(link) => return Ok(link),
                Err(error) => error,
            };
            let within = patience(&error);
            // Whoever subscribes first is told at once: nothing was promised yet.
            if !self.has_read || began.elapsed() >= within {
                return Err(error);
            }
            self.state.sweep();
            if self.state.is_empty() {
                return Err(FeedError::Closed);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn connect(&mut self) -> Result<Link, FeedError> {
        let source = self.source()?;
        self.state.server = source.server.clone();
        let mut ground = ground::survey(&source).await?;
        let place = self.state.place.clone().unwrap_or(Place::MySql(Default::default()));
        if let Place::File { .. } = place {
            let identity = self.identity.get_or_insert_with(|| ground.identity.clone());
            if *identity != ground.identity {
                return Err(FeedError::ServerChanged { server: source.server });
            }
        }
        ground::check(&mut ground, &place).await?;
        let clock_ms = ground.clock_ms;
        let (packets, first) = dump::begin(ground, &place).await?;
        self.context.counters.connections.fetch_add(1, Relaxed);
        let (reader, now) = (Reader::new("", 0), Instant::now());
        let mut link = Link { packets, reader, clock_ms, bytes: 0, events: 0, since: now, looked: now };
        // The first event says which file follows.
        let read = link.reader.read(&first, &self.state.interest);
        read.map_err(|source| FeedError::Binlog { server: self.state.server.clone(), source })?;
        Ok(link)
    }

    fn source(&self) -> Result<Source, FeedError> {
        let source = self.context.sources.source(&self.context.cluster);
        source.ok_or_else(|| FeedError::UnknownCluster(self.context.cluster.clone()))
    }

    async fn read(&mut self, link: &mut Link, joins: &mut mpsc::Receiver<Join>) -> Stopped {
        loop {
            if self.state.is_between()
                && let Some(stopped) = self.let_in(joins).or_else(|| self.look_for_primary(link))
            {
                return stopped;
            }
            let is_between = self.state.is_between();
            // Either can be given up without loss; what is done with a packet cannot.
            let heard = tokio::select! {
                biased;
                Some(join) = joins.recv(), if is_between => Heard::Join(Box::new(join)),
                packet = timeout(SILENCE_MAX, link.packets.next()) => Heard::of(packet, &self.state.server),
            };
            let stopped = match heard {
                Heard::Join(join) => self.join(*join).then_some(Stopped::Back),
                Heard::Lost(error) => Some(Stopped::Lost(error)),
                Heard::Packet(packet) => take(&mut self.state, &mut link.reader, packet).await.err(),
            };
            self.count(link);
            if let Some(stopped) = stopped {
                return stopped;
            }
        }
    }

    /// Between two transactions: who has gone is forgotten, who waits is taken in.
    fn let_in(&mut self, joins: &mut mpsc::Receiver<Join>) -> Option<Stopped> {
        self.state.sweep();
        let mut is_back = false;
        while let Ok(join) = joins.try_recv() {
            is_back |= self.join(join);
        }
        if self.state.is_empty() {
            return Some(Stopped::Over);
        }
        if is_back {
            return Some(Stopped::Back);
        }
        self.answer(&Ok(()));
        None
    }

    /// Stops reading from a server that is not the primary any more.
    fn look_for_primary(&self, link: &mut Link) -> Option<Stopped> {
        if link.looked.elapsed() < LOOK_EVERY {
            return None;
        }
        link.looked = Instant::now();
        let source = self.context.sources.source(&self.context.cluster)?;
        (source.server != self.state.server).then_some(Stopped::Moved)
    }

    fn count(&self, link: &mut Link) {
        let counters = &self.context.counters;
        let (bytes, events) = (link.packets.bytes_read(), link.reader.events());
        counters.bytes.fetch_add(bytes - link.bytes, Relaxed);
        counters.events.fetch_add(events - link.events, Relaxed);
        (link.bytes, link.events) = (bytes, events);
        if link.reader.timestamp() > 0 && link.packets.has_more() {
            let behind = now_ms() + link.clock_ms - i64::from(link.reader.timestamp()) * 1000;
            counters.lag_ms.store(u64::try_from(behind).unwrap_or(0), Relaxed);
        }
    }
}

/// What came first.
enum Heard<'a> {
    Join(Box<Join>),
    Packet(&'a [u8]),
    Lost(FeedError),
}

impl<'a> Heard<'a> {
    fn of(packet: Result<Result<Option<&'a [u8]>, DirectError>, Elapsed>, server: &ServerId) -> Self {
        match packet {
            Ok(Ok(Some(packet))) => Self::Packet(packet),
            Ok(Ok(None)) => {
                let lost = FrameError::Closed { mid_packet: false }.into();
                Self::Lost(failed(server, READING, lost))
            }
            Ok(Err(error)) => Self::Lost(failed(server, READING, error)),
            Err(_) => Self::Lost(FeedError::Late { server: server.clone(), within: SILENCE_MAX }),
        }
    }
}

/// Takes one packet, and all that is in it.
async fn take(state: &mut State, reader: &mut Reader, packet: &[u8]) -> Result<(), Stopped> {
    let server = state.server.clone();
    let fault = |source| Stopped::Failed(FeedError::Binlog { server: server.clone(), source });
    let mut happening = reader.read(packet, &state.interest).map_err(fault)?;
    loop {
        if let Some(happening) = happening.take() {
            state.take(happening, reader.place()).await.map_err(Stopped::Failed)?;
        }
        happening = reader.read_inside(&state.interest).map_err(fault)?;
        if happening.is_none() {
            return Ok(());
        }
    }
}

/// How long it is tried again.
fn patience(error: &FeedError) -> Duration {
    match error {
        FeedError::Open { source, .. } if !matches!(**source, OpenError::Refused(_)) => CONNECT_WITHIN,
        FeedError::Direct { source, .. } if source.is_lost() => CONNECT_WITHIN,
        FeedError::Late { .. } | FeedError::UnknownCluster(_) => CONNECT_WITHIN,
        FeedError::Open { .. } | FeedError::Direct { .. } | FeedError::Diverged { .. } => REFUSED_WITHIN,
        _ => Duration::ZERO,
    }
}
