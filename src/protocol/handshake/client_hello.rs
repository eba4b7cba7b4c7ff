//! The client's packets of the connection phase: TLS request, Protocol::HandshakeResponse41, COM_CHANGE_USER.

use crate::protocol::capability::Capabilities;
use crate::protocol::codec::{Cursor, put_lenenc, put_lenenc_bytes, put_nul_bytes};
use crate::protocol::errors::ProtocolError;

/// Most bytes of connection attributes that are read; MySQL's own bound.
pub const ATTRIBUTE_BYTES_MAX: usize = 64 * 1024;
/// Most attributes that are kept; the others are skipped.
const ATTRIBUTES_MAX: usize = 64;
/// Bytes of a TLS request, and of the same fields at the start of a handshake response.
const FIXED_BYTES: usize = 32;
/// Reserved bytes before MariaDB's extended capabilities.
const RESERVED_BYTES: usize = 19;
/// zstd level when the client gives none.
const ZSTD_LEVEL_DEFAULT: u8 = 3;
/// First byte of COM_CHANGE_USER.
const COM_CHANGE_USER: u8 = 0x11;

/// Connection attributes (`_client_name`, `program_name` …), in the order sent.
pub type Attributes = Vec<(String, String)>;

/// The fields before the user name; alone they ask for TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SslRequest {
    /// What the client asks for, masked by what was offered.
    pub capabilities: Capabilities,
    /// Largest packet that the client sends.
    pub packet_bytes_max: u32,
    /// Collation id, its low byte.
    pub collation: u8,
}

impl SslRequest {
    /// The payload. The TLS flag is set.
    pub fn build(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED_BYTES);
        let fixed = Self { capabilities: self.capabilities.with(Capabilities::SSL), ..*self };
        fixed.put(&mut out);
        out
    }

    fn put(&self, out: &mut Vec<u8>) {
        let bits = self.capabilities.0.to_le_bytes();
        out.extend_from_slice(&bits[..4]);
        out.extend_from_slice(&self.packet_bytes_max.to_le_bytes());
        out.push(self.collation);
        out.extend_from_slice(&[0; RESERVED_BYTES]);
        let is_mariadb = !self.capabilities.contains(Capabilities::LONG_PASSWORD);
        out.extend_from_slice(if is_mariadb { &bits[4..8] } else { &[0; 4] });
    }

    fn read(cursor: &mut Cursor<'_>, offered: Capabilities) -> Result<Self, ProtocolError> {
        let mut asked = Capabilities(u64::from(cursor.u32("capabilities")?));
        if !asked.contains(Capabilities::PROTOCOL_41) {
            return Err(ProtocolError::Malformed { what: "handshake response before protocol 4.1" });
        }
        let packet_bytes_max = cursor.u32("max_packet_size")?;
        let collation = cursor.u8("collation")?;
        cursor.take(RESERVED_BYTES, "reserved")?;
        let extended = u64::from(cursor.u32("extended capabilities")?);
        if !asked.contains(Capabilities::LONG_PASSWORD) {
            asked.insert(Capabilities(extended << 32));
        }
        Ok(Self { capabilities: asked.masked(offered), packet_bytes_max, collation })
    }
}

/// The client's first packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientHello {
    /// Switch to TLS, then read another [`ClientHello`].
    Ssl(SslRequest),
    /// Who it is and what it wants.
    Response(HandshakeResponse),
}

impl ClientHello {
    /// Reads the client's first packet (or its second, inside TLS), by the flags that were `offered` to it.
    ///
    /// # Errors
    /// The payload ends early, or comes from a client before 4.1.
    pub fn parse(payload: &[u8], offered: Capabilities) -> Result<Self, ProtocolError> {
        let mut cursor = Cursor::new(payload);
        let fixed = SslRequest::read(&mut cursor, offered)?;
        if cursor.is_empty() && fixed.capabilities.contains(Capabilities::SSL) {
            return Ok(Self::Ssl(fixed));
        }
        HandshakeResponse::read(fixed, &mut cursor).map(Self::Response)
    }
}

/// Protocol::HandshakeResponse41.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakeResponse {
    /// What the client asks for, masked by what was offered: what holds on this connection.
    pub capabilities: Capabilities,
    /// Largest packet that the client sends.
    pub packet_bytes_max: u32,
    /// Collation id, its low byte.
    pub collation: u8,
    /// User name.
    pub user: String,
    /// The scramble, or empty.
    pub auth_response: Vec<u8>,
    /// Database to use; never empty.
    pub database: Option<String>,
    /// The plugin that made the scramble; `None` without PLUGIN_AUTH.
    pub plugin: Option<String>,
    /// Connection attributes.
    pub attributes: Attributes,
    /// zstd level, 1 to 22.
    pub zstd_level: u8,
}

impl HandshakeResponse {
    fn read(fixed: SslRequest, cursor: &mut Cursor<'_>) -> Result<Self, ProtocolError> {
        let SslRequest { capabilities, packet_bytes_max, collation } = fixed;
        let user = text(cursor.nul_bytes("user")?);
        let auth_response = read_auth_response(cursor, capabilities)?;
        let database = match capabilities.contains(Capabilities::CONNECT_WITH_DB) && !cursor.is_empty() {
            true => Some(text(cursor.nul_bytes("database")?)).filter(|name| !name.is_empty()),
            false => None,
        };
        let plugin = read_plugin(cursor, capabilities)?;
        let attributes = read_attributes(cursor, capabilities)?;
        let zstd_level = match capabilities.contains(Capabilities::ZSTD_COMPRESSION) && !cursor.is_empty() {
            true => cursor.u8("zstd level")?.clamp(1, 22),
            false => ZSTD_LEVEL_DEFAULT,
        };
        Ok(Self {
            capabilities,
            packet_bytes_max,
            collation,
            user,
            auth_response,
            database,
            plugin,
            attributes,
            zstd_level,
        })
    }

    /// The fixed fields, to ask for TLS before this response.
    pub fn ssl_request(&self) -> SslRequest {
        SslRequest {
            capabilities: self.capabilities,
            packet_bytes_max: self.packet_bytes_max,
            collation: self.collation,
        }
    }

    /// The payload, with the fields that [`HandshakeResponse::capabilities`] names.
    pub fn build(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        let capabilities = self.capabilities;
        self.ssl_request().put(&mut out);
        put_nul_bytes(&mut out, self.user.as_bytes());
        put_auth_response(&mut out, capabilities, &self.auth_response);
        if capabilities.contains(Capabilities::CONNECT_WITH_DB) {
            put_nul_bytes(&mut out, self.database.as_deref().unwrap_or_default().as_bytes());
        }
        if capabilities.contains(Capabilities::PLUGIN_AUTH) {
            put_nul_bytes(&mut out, self.plugin.as_deref().unwrap_or_default().as_bytes());
        }
        if capabilities.contains(Capabilities::CONNECT_ATTRS) {
            put_attributes(&mut out, &self.attributes);
        }
        if capabilities.contains(Capabilities::ZSTD_COMPRESSION) {
            out.push(self.zstd_level);
        }
        out
    }
}

/// COM_CHANGE_USER: another user on the same connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeUser {
    /// User name.
    pub user: String,
    /// The scramble against the nonce of the greeting, or empty.
    pub auth_response: Vec<u8>,
    /// Database to use; never empty.
    pub database: Option<String>,
    /// Collation id; `None` when the client left it out.
    pub collation: Option<u16>,
    /// The plugin that made the scramble.
    pub plugin: Option<String>,
    /// Connection attributes.
    pub attributes: Attributes,
}

impl ChangeUser {
    /// Reads the command's payload, its first byte included.
    ///
    /// # Errors
    /// The payload ends early or is another command.
    pub fn parse(payload: &[u8], capabilities: Capabilities) -> Result<Self, ProtocolError> {
        let mut cursor = Cursor::new(payload);
        if cursor.u8("command")? != COM_CHANGE_USER {
            return Err(ProtocolError::Unexpected { what: "COM_CHANGE_USER" });
        }
        let user = text(cursor.nul_bytes("user")?);
        let auth_response = if capabilities.contains(Capabilities::SECURE_CONNECTION) {
            let length = usize::from(cursor.u8("length of the scramble")?);
            cursor.take(length, "scramble")?.to_vec()
        } else {
            cursor.nul_bytes("scramble")?.to_vec()
        };
        let database = Some(text(cursor.nul_bytes("database")?)).filter(|name| !name.is_empty());
        let collation = if cursor.left() >= 2 { Some(cursor.u16("collation")?) } else { None };
        let plugin = read_plugin(&mut cursor, capabilities)?;
        let attributes = read_attributes(&mut cursor, capabilities)?;
        Ok(Self { user, auth_response, database, collation, plugin, attributes })
    }

    /// The payload, its first byte included.
    pub fn build(&self, capabilities: Capabilities) -> Vec<u8> {
        let mut out = vec![COM_CHANGE_USER];
        put_nul_bytes(&mut out, self.user.as_bytes());
        if capabilities.contains(Capabilities::SECURE_CONNECTION) {
            let response = &self.auth_response[..self.auth_response.len().min(255)];
            out.push(response.len() as u8);
            out.extend_from_slice(response);
        } else {
            put_nul_bytes(&mut out, &self.auth_response);
        }
        put_nul_bytes(&mut out, self.database.as_deref().unwrap_or_default().as_bytes());
        let Some(collation) = self.collation else {
            return out;
        };
        out.extend_from_slice(&collation.to_le_bytes());
        if capabilities.contains(Capabilities::PLUGIN_AUTH) {
            put_nul_bytes(&mut out, self.plugin.as_deref().unwrap_or_default().as_bytes());
        }
        if capabilities.contains(Capabilities::CONNECT_ATTRS) {
            put_attributes(&mut out, &self.attributes);
        }
        out
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn read_auth_response(cursor: &mut Cursor<'_>, capabilities: Capabilities) -> Result<Vec<u8>, ProtocolError> {
    let what = "scramble";
    if capabilities.contains(Capabilities::PLUGIN_AUTH_LENENC) {
        return Ok(cursor.lenenc_bytes(what)?.to_vec());
    }
    if capabilities.contains(Capabilities::SECURE_CONNECTION) {
        let length = usize::from(cursor.u8("length of the scramble")?);
        return Ok(cursor.take(length, what)?.to_vec());
    }
    Ok(cursor.nul_bytes(what)?.to_vec())
}

fn put_auth_response(out: &mut Vec<u8>, capabilities: Capabilities, response: &[u8]) {
    if capabilities.contains(Capabilities::PLUGIN_AUTH_LENENC) {
        put_lenenc_bytes(out, response);
    } else if capabilities.contains(Capabilities::SECURE_CONNECTION) {
        let response = &response[..response.len().min(255)];
        out.push(response.len() as u8);
        out.extend_from_slice(response);
    } else {
        put_nul_bytes(out, response);
    }
}

/// Reads the plugin's name; some clients leave out its final zero byte.
fn read_plugin(cursor: &mut Cursor<'_>, capabilities: Capabilities) -> Result<Option<String>, ProtocolError> {
    if !capabilities.contains(Capabilities::PLUGIN_AUTH) || cursor.is_empty() {
        return Ok(None);
    }
    let mut ahead = *cursor;
    match ahead.nul_bytes("plugin") {
        Ok(name) => {
            *cursor = ahead;
            Ok(Some(text(name)))
        }
        Err(_) => Ok(Some(text(cursor.rest()))),
    }
}

fn read_attributes(cursor: &mut Cursor<'_>, capabilities: Capabilities) -> Result<Attributes, ProtocolError> {
    if !capabilities.contains(Capabilities::CONNECT_ATTRS) || cursor.is_empty() {
        return Ok(Attributes::new());
    }
    let bytes = cursor.lenenc_bytes("connection attributes")?;
    if bytes.len() > ATTRIBUTE_BYTES_MAX {
        let bytes = bytes.len();
        return Err(ProtocolError::TooLarge {
            what: "connection attributes",
            bytes,
            bytes_max: ATTRIBUTE_BYTES_MAX,
        });
    }
    let mut attributes = Attributes::new();
    let mut pairs = Cursor::new(bytes);
    while !pairs.is_empty() && attributes.len() < ATTRIBUTES_MAX {
        let key = pairs.lenenc_bytes("attribute's name")?;
        let value = pairs.lenenc_bytes("attribute's value")?;
        attributes.push((text(key), text(value)));
    }
    Ok(attributes)
}

fn put_attributes(out: &mut Vec<u8>, attributes: &Attributes) {
    let mut pairs = Vec::new();
    for (key, value) in attributes {
        put_lenenc_bytes(&mut pairs, key.as_bytes());
        put_lenenc_bytes(&mut pairs, value.as_bytes());
    }
    put_lenenc(out, pairs.len() as u64);
    out.extend_from_slice(&pairs);
}
