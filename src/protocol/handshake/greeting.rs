//! The server's first packet: Protocol::HandshakeV10, or an error instead of it.

use std::fmt;

use crate::protocol::auth::{NONCE_BYTES, Nonce};
use crate::protocol::capability::{Capabilities, StatusFlags};
use crate::protocol::codec::{Cursor, put_nul_bytes};
use crate::protocol::errors::ProtocolError;

/// Protocol version that every server since MySQL 3.21 speaks.
const PROTOCOL_VERSION: u8 = 10;
/// First byte of an error.
const ERR: u8 = 0xff;
/// Bytes of the nonce in the packet's first part.
const NONCE_HEAD_BYTES: usize = 8;
/// Reserved bytes before MariaDB's extended capabilities.
const RESERVED_BYTES: usize = 6;
/// MariaDB 10 and later announces itself with this before its version, for old replicas.
const MARIADB_PREFIX: &str = "5.5.5-";

/// Which family a server belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flavour {
    /// MySQL, Percona Server, Aurora.
    MySql,
    /// MariaDB.
    MariaDb,
}

/// A server's version as it matters for what may be sent to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerVersion {
    /// The family.
    pub flavour: Flavour,
    /// Major, minor, patch; zeros when the text begins with no number.
    pub number: (u16, u16, u16),
    /// The text as the server sent it, without MariaDB's compatibility prefix.
    pub text: Box<str>,
}

impl ServerVersion {
    /// Reads the version text of a greeting. `mariadb_bits`: the greeting had MariaDB's extended
    /// capabilities.
    fn parse(text: &str, mariadb_bits: bool) -> Self {
        let bare = text.strip_prefix(MARIADB_PREFIX).unwrap_or(text);
        let is_mariadb =
            mariadb_bits || bare.len() < text.len() || bare.to_ascii_lowercase().contains("mariadb");
        let mut parts = bare.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
        let mut part = || parts.next().unwrap_or(0);
        Self {
            flavour: if is_mariadb { Flavour::MariaDb } else { Flavour::MySql },
            number: (part(), part(), part()),
            text: bare.into(),
        }
    }
}

/// An ERR packet that a server sent during the connection phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerRefusal {
    /// MySQL errno.
    pub errno: u16,
    /// SQLSTATE; `HY000` when the server sent none, as it does before the greeting.
    pub sqlstate: [u8; 5],
    /// The server's message.
    pub message: String,
}

impl ServerRefusal {
    /// Reads an ERR payload; what is missing stays zero or empty.
    pub fn parse(payload: &[u8]) -> Self {
        let rest = payload.get(1..).unwrap_or_default();
        let errno = rest.first_chunk().map_or(0, |bytes| u16::from_le_bytes(*bytes));
        let rest = rest.get(2..).unwrap_or_default();
        let (sqlstate, message) = match rest {
            [b'#', a, b, c, d, e, message @ ..] => ([*a, *b, *c, *d, *e], message),
            message => (*b"HY000", message),
        };
        Self { errno, sqlstate, message: String::from_utf8_lossy(message).into_owned() }
    }
}

impl fmt::Display for ServerRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.errno, String::from_utf8_lossy(&self.sqlstate), self.message)
    }
}

/// The greeting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Version text, as sent.
    pub version: String,
    /// The connection's id, for KILL.
    pub thread_id: u32,
    /// The random text that scrambles are made with.
    pub nonce: Vec<u8>,
    /// What the server offers.
    pub capabilities: Capabilities,
    /// The server's default collation, its low byte.
    pub collation: u8,
    /// Status flags.
    pub status: StatusFlags,
    /// The default authentication plugin; empty when the server names none.
    pub plugin: String,
}

impl Greeting {
    /// A greeting of our own.
    pub fn new(version: &str, thread_id: u32, nonce: &Nonce, capabilities: Capabilities) -> Self {
        Self {
            version: version.to_owned(),
            thread_id,
            nonce: nonce.0.to_vec(),
            capabilities,
            collation: default_collation(version),
            status: StatusFlags::AUTOCOMMIT,
            plugin: "caching_sha2_password".to_owned(),
        }
    }

    /// The payload.
    pub fn build(&self) -> Vec<u8> {
        let mut out = vec![PROTOCOL_VERSION];
        put_nul_bytes(&mut out, self.version.as_bytes());
        out.extend_from_slice(&self.thread_id.to_le_bytes());
        let (head, tail) = self.nonce.split_at(self.nonce.len().min(NONCE_HEAD_BYTES));
        out.extend_from_slice(head);
        out.resize(out.len() + NONCE_HEAD_BYTES - head.len(), 0);
        out.push(0);
        let bits = self.capabilities.0.to_le_bytes();
        out.extend_from_slice(&bits[..2]);
        out.push(self.collation);
        out.extend_from_slice(&self.status.0.to_le_bytes());
        out.extend_from_slice(&bits[2..4]);
        let length = if self.plugin.is_empty() { 0 } else { (self.nonce.len() + 1).min(255) as u8 };
        out.push(length);
        out.extend_from_slice(&[0; RESERVED_BYTES]);
        let is_mariadb = !self.capabilities.contains(Capabilities::LONG_PASSWORD);
        out.extend_from_slice(if is_mariadb { &bits[4..8] } else { &[0; 4] });
        out.extend_from_slice(tail);
        out.resize(out.len() + (NONCE_BYTES - NONCE_HEAD_BYTES).saturating_sub(tail.len()), 0);
        out.push(0);
        if !self.plugin.is_empty() {
            put_nul_bytes(&mut out, self.plugin.as_bytes());
        }
        out
    }

    /// Reads a greeting, or the error that a server sends instead (host blocked, too many connections).
    ///
    /// # Errors
    /// The payload is no greeting of protocol 10, or ends early.
    pub fn parse(payload: &[u8]) -> Result<Result<Self, ServerRefusal>, ProtocolError> {
        if payload.first() == Some(&ERR) {
            return Ok(Err(ServerRefusal::parse(payload)));
        }
        let mut cursor = Cursor::new(payload);
        if cursor.u8("protocol version")? != PROTOCOL_VERSION {
            return Err(ProtocolError::Malformed { what: "protocol version" });
        }
        let version = String::from_utf8_lossy(cursor.nul_bytes("server version")?).into_owned();
        let thread_id = cursor.u32("thread id")?;
        let mut nonce = cursor.take(NONCE_HEAD_BYTES, "nonce")?.to_vec();
        cursor.take(1, "filler")?;
        let low = cursor.u16("capabilities")?;
        let collation = cursor.u8("collation")?;
        let status = StatusFlags(cursor.u16("status")?);
        let high = cursor.u16("capabilities")?;
        let nonce_length = usize::from(cursor.u8("length of the nonce")?);
        cursor.take(RESERVED_BYTES, "reserved")?;
        let extended = cursor.u32("extended capabilities")?;
        let mut capabilities = Capabilities(u64::from(low) | u64::from(high) << 16);
        if !capabilities.contains(Capabilities::LONG_PASSWORD) {
            capabilities.insert(Capabilities(u64::from(extended) << 32));
        }
        if capabilities.contains(Capabilities::SECURE_CONNECTION) {
            let length = nonce_length.saturating_sub(NONCE_HEAD_BYTES).max(13);
            let tail = cursor.take(length, "nonce")?;
            nonce.extend_from_slice(tail.strip_suffix(&[0]).unwrap_or(tail));
        }
        let plugin = if capabilities.contains(Capabilities::PLUGIN_AUTH) {
            let rest = cursor.rest();
            // Some servers leave out the final zero byte.
            let name = rest.split(|byte| *byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(name).into_owned()
        } else {
            String::new()
        };
        Ok(Ok(Self { version, thread_id, nonce, capabilities, collation, status, plugin }))
    }

    /// Family and number.
    pub fn server_version(&self) -> ServerVersion {
        let mariadb_bits =
            !self.capabilities.contains(Capabilities::LONG_PASSWORD) && self.capabilities.0 >> 32 != 0;
        ServerVersion::parse(&self.version, mariadb_bits)
    }
}

/// Collation to announce: MySQL 8 and later says utf8mb4_0900_ai_ci (255), older servers know
/// utf8mb4_general_ci (45).
fn default_collation(version: &str) -> u8 {
    let parsed = ServerVersion::parse(version, false);
    if parsed.flavour == Flavour::MySql && parsed.number.0 >= 8 { 255 } else { 45 }
}
