//! A client that sees every packet: what drivers hide (flags, sequence, info, column metadata) is compared
//! here.

use std::time::Duration;

use bulkhead::protocol::auth::{ClientAuth, ClientStep};
use bulkhead::protocol::capability::Capabilities;
use bulkhead::protocol::command;
use bulkhead::protocol::framed::Framed;
use bulkhead::protocol::handshake::{Greeting, HandshakeResponse};
use bulkhead::protocol::packet::{self, HEADER_BYTES, Header};
use bulkhead::protocol::response::{Advance, CommandKind, ResponseTracker};
use bulkhead::protocol::result::ServerError;
use bulkhead::redact::Secret;
use tokio::net::TcpStream;

/// Largest packet either way.
const PACKET_BYTES_MAX: usize = 1 << 30;
/// Ends the wait for an answer that never comes.
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// utf8mb4_general_ci, which MySQL and MariaDB both have.
pub const COLLATION: u8 = 45;

/// What a modern driver asks for.
pub const MODERN: Capabilities = Capabilities(
    Capabilities::DEPRECATE_EOF.0
        | Capabilities::SESSION_TRACK.0
        | Capabilities::MULTI_STATEMENTS.0
        | Capabilities::MULTI_RESULTS.0
        | Capabilities::PS_MULTI_RESULTS.0
        | Capabilities::LOCAL_FILES.0,
);
/// What an old one asks for: EOF packets, no session tracking.
pub const OLD: Capabilities = Capabilities(
    Capabilities::MULTI_STATEMENTS.0
        | Capabilities::MULTI_RESULTS.0
        | Capabilities::PS_MULTI_RESULTS.0
        | Capabilities::LOCAL_FILES.0
        | Capabilities::FOUND_ROWS.0,
);
/// Every client has these.
const ALWAYS: Capabilities = Capabilities(
    Capabilities::LONG_PASSWORD.0
        | Capabilities::LONG_FLAG.0
        | Capabilities::PROTOCOL_41.0
        | Capabilities::TRANSACTIONS.0
        | Capabilities::SECURE_CONNECTION.0
        | Capabilities::PLUGIN_AUTH.0,
);

/// Where and as whom.
#[derive(Clone, Debug)]
pub struct Login {
    pub port: u16,
    pub user: String,
    pub password: String,
    pub database: Option<String>,
    pub capabilities: Capabilities,
    /// Id of the collation of the handshake.
    pub collation: u8,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Lost {
    /// The login was refused with these words.
    Refused(String),
    /// The connection ended, or the peer broke the protocol.
    Broken(String),
    /// No answer within the bound.
    Silent,
}

/// The packets of one answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The answer as it was on the wire.
    pub wire: Vec<u8>,
    /// What it answers.
    pub kind: Option<CommandKind>,
}

impl Answer {
    /// The payloads, each packet's own.
    pub fn payloads(&self) -> Vec<&[u8]> {
        packet::payloads(&self.wire).collect()
    }

    /// The error it ends with.
    pub fn error(&self) -> Option<ServerError> {
        self.payloads().last().and_then(|last| ServerError::parse(last).ok())
    }
}

/// One connection.
#[derive(Debug)]
pub struct RawClient {
    framed: Framed,
    /// What holds on the connection.
    pub capabilities: Capabilities,
    /// The connection's id, as the greeting told.
    pub thread_id: u32,
    /// What LOAD DATA LOCAL gets.
    pub file: Vec<u8>,
}

impl RawClient {
    /// Logs in.
    ///
    /// # Errors
    /// The login was refused, or there is nobody.
    pub async fn connect(login: &Login) -> Result<Self, Lost> {
        let stream = TcpStream::connect(("127.0.0.1", login.port)).await.map_err(broken)?;
        let mut framed = Framed::new(stream, PACKET_BYTES_MAX);
        let greeting = Greeting::parse(framed.read_packet().await.map_err(broken)?).map_err(broken)?;
        let greeting = greeting.map_err(|refusal| Lost::Refused(refusal.to_string()))?;
        framed.release_packet();
        let mut capabilities = ALWAYS.with(login.capabilities.masked(greeting.capabilities));
        if login.database.is_some() {
            capabilities.insert(Capabilities::CONNECT_WITH_DB);
        }
        let secret = Secret::new(login.password.clone());
        let mut auth = ClientAuth::new(secret, false, &greeting.plugin, &greeting.nonce);
        let response = HandshakeResponse {
            capabilities,
            packet_bytes_max: PACKET_BYTES_MAX as u32,
            collation: login.collation,
            user: login.user.clone(),
            auth_response: auth.first_response(),
            database: login.database.clone(),
            plugin: Some(auth.plugin().name().to_owned()),
            attributes: Vec::new(),
            zstd_level: 3,
        };
        framed.queue_packet(&response.build());
        loop {
            framed.flush().await.map_err(broken)?;
            let step = auth.step(framed.read_packet().await.map_err(broken)?);
            framed.release_packet();
            match step.map_err(|error| Lost::Refused(error.to_string()))? {
                ClientStep::Send(payload) => framed.queue_packet(&payload),
                ClientStep::Read => {}
                ClientStep::Done => break,
            }
        }
        Ok(Self { framed, capabilities, thread_id: greeting.thread_id, file: Vec::new() })
    }

    /// Sends a command and does not wait.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn send(&mut self, payload: &[u8]) -> Result<(), Lost> {
        self.framed.reset_sequence();
        self.framed.queue_packet(payload);
        self.framed.flush().await.map_err(broken)
    }

    /// Reads the answer to what was sent.
    ///
    /// # Errors
    /// The connection broke or stayed silent.
    pub async fn receive(&mut self, kind: CommandKind) -> Result<Answer, Lost> {
        match tokio::time::timeout(ANSWER_WAIT, self.receive_unbounded(kind)).await {
            Ok(answer) => answer,
            Err(_) => Err(Lost::Silent),
        }
    }

    async fn receive_unbounded(&mut self, kind: CommandKind) -> Result<Answer, Lost> {
        let mut tracker = ResponseTracker::new();
        tracker.start(kind, self.capabilities);
        tracker.expect_sequence(self.framed.sequence());
        let (mut wire, mut uploads) = (Vec::new(), Vec::new());
        while !tracker.is_done() {
            let advance = tracker.advance(self.framed.buffered()).map_err(broken)?;
            wire.extend_from_slice(&self.framed.buffered()[..advance.forward()]);
            self.framed.consume(advance.forward());
            match advance {
                Advance::Done { .. } => break,
                Advance::LocalInfile { .. } => {
                    let packets = self.upload(tracker.sequence()).await?;
                    uploads.push((wire.len(), packets));
                }
                Advance::More { forward: 0 } => {
                    self.framed.fill().await.map_err(broken)?;
                }
                Advance::More { .. } => {}
            }
        }
        check_sequence(&wire, &uploads, kind)?;
        Ok(Answer { wire, kind: Some(kind) })
    }

    /// Sends the file; gives the number of packets.
    async fn upload(&mut self, sequence: u8) -> Result<u8, Lost> {
        let mut wire = Vec::new();
        let mut next = packet::put_packets(&mut wire, &self.file, sequence);
        if !self.file.is_empty() {
            next = packet::put_packets(&mut wire, &[], next);
        }
        self.framed.queue_raw(&wire);
        self.framed.flush().await.map_err(broken)?;
        Ok(next.wrapping_sub(sequence))
    }

    /// Waits for what the peer says without being asked: an ERR packet, before it closes.
    pub async fn farewell(&mut self) -> Option<ServerError> {
        self.framed.reset_sequence();
        let packet = tokio::time::timeout(ANSWER_WAIT, self.framed.read_packet()).await.ok()?.ok()?;
        ServerError::parse(packet).ok()
    }

    /// Sends a command and reads its answer.
    ///
    /// # Errors
    /// As [`Self::receive`].
    pub async fn command(&mut self, payload: &[u8], kind: CommandKind) -> Result<Answer, Lost> {
        self.send(payload).await?;
        self.receive(kind).await
    }

    /// Runs SQL as text.
    ///
    /// # Errors
    /// As [`Self::receive`].
    pub async fn query(&mut self, sql: &[u8]) -> Result<Answer, Lost> {
        let payload = command::query_payload(sql, &[], self.capabilities);
        self.command(&payload, CommandKind::Query).await
    }

    /// Ends without a word, as a client does whose host died.
    pub fn drop_connection(self) {
        drop(self.framed);
    }
}

fn broken(error: impl std::fmt::Display) -> Lost {
    Lost::Broken(error.to_string())
}

/// Packets must be numbered without a gap, but for the packets of files that were sent: `(offset, packets)`.
fn check_sequence(wire: &[u8], uploads: &[(usize, u8)], kind: CommandKind) -> Result<(), Lost> {
    let mut at = 0;
    let mut next: Option<u8> = None;
    while let Some(header) = Header::read(&wire[at.min(wire.len())..]) {
        let sent: u8 = uploads.iter().filter(|(offset, _)| *offset == at).map(|(_, packets)| packets).sum();
        let expected = next.map(|next| next.wrapping_add(sent));
        if expected.is_some_and(|expected| header.sequence != expected) {
            return Err(Lost::Broken(format!("{kind:?}: sequence {}, not {expected:?}", header.sequence)));
        }
        next = Some(header.sequence.wrapping_add(1));
        at += HEADER_BYTES + header.length;
    }
    Ok(())
}
