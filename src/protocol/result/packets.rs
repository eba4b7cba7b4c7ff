//! OK, ERR and EOF packets, both ways. **Source**: MySQL internals, "OK_Packet", "ERR_Packet", "EOF_Packet".

use super::text;
use crate::protocol::capability::{Capabilities, StatusFlags};
use crate::protocol::codec::{Cursor, put_lenenc, put_lenenc_bytes};
use crate::protocol::errors::ProtocolError;

/// First byte of an OK packet.
pub const OK_BYTE: u8 = 0x00;
/// First byte of an ERR packet.
pub const ERR_BYTE: u8 = 0xff;
/// First byte of an EOF packet, and of the OK packet that ends a result set.
pub const EOF_BYTE: u8 = 0xfe;
/// First byte of a request for a client's file.
pub const LOCAL_INFILE_BYTE: u8 = 0xfb;
/// The longest EOF packet: anything longer that starts with 0xfe is something else.
pub const EOF_BYTES_MAX: usize = 8;
/// SQLSTATE of errors that have none of their own.
pub const GENERAL_SQLSTATE: [u8; 5] = *b"HY000";
/// Memory of an error message that is kept of a server, bytes; the client gets all of it.
const MESSAGE_KEEP_BYTES: usize = 512;

/// An ERR packet as a server sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError {
    /// MySQL errno.
    pub errno: u16,
    /// SQLSTATE.
    pub sqlstate: [u8; 5],
    /// The message, at most 512 bytes of it.
    pub message: String,
}

impl ServerError {
    /// Reads an ERR packet's payload.
    ///
    /// # Errors
    /// `Unexpected` for another packet; `Truncated`.
    pub fn parse(payload: &[u8]) -> Result<Self, ProtocolError> {
        let mut cursor = Cursor::new(payload);
        if cursor.u8("ERR packet")? != ERR_BYTE {
            return Err(ProtocolError::Unexpected { what: "an ERR packet" });
        }
        let errno = cursor.u16("ERR errno")?;
        let mut sqlstate = GENERAL_SQLSTATE;
        if cursor.peek() == Some(b'#') {
            cursor.u8("ERR sqlstate")?;
            sqlstate.copy_from_slice(cursor.take(5, "ERR sqlstate")?);
        }
        let message = cursor.rest();
        let kept = &message[..message.len().min(MESSAGE_KEEP_BYTES)];
        Ok(Self { errno, sqlstate, message: String::from_utf8_lossy(kept).into_owned() })
    }

    /// The SQLSTATE as text.
    pub fn sqlstate_text(&self) -> &str {
        std::str::from_utf8(&self.sqlstate).unwrap_or("HY000")
    }
}

/// What session tracking told in an OK packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionChanges {
    /// The session's database now.
    pub schema: Option<String>,
    /// Session variables set, in order.
    pub system_variables: Vec<(String, String)>,
    /// GTIDs of the transaction, as the server wrote them.
    pub gtids: Option<String>,
    /// Some tracked state changed.
    pub is_changed: Option<bool>,
    /// Statements that start the transaction's like again.
    pub transaction_characteristics: Option<String>,
    /// State of the transaction, eight letters.
    pub transaction_state: Option<String>,
}

const TRACK_SYSTEM_VARIABLES: u8 = 0;
const TRACK_SCHEMA: u8 = 1;
/// Some state changed; which, is not told.
pub(crate) const TRACK_STATE: u8 = 2;
const TRACK_GTIDS: u8 = 3;
const TRACK_CHARACTERISTICS: u8 = 4;
const TRACK_TRANSACTION_STATE: u8 = 5;

impl SessionChanges {
    /// Reads the entries of an OK packet's session state.
    ///
    /// # Errors
    /// `Truncated`, `Malformed`. Kinds not known are skipped.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProtocolError> {
        let mut changes = Self::default();
        let mut cursor = Cursor::new(bytes);
        while !cursor.is_empty() {
            let kind = cursor.u8("session state kind")?;
            let data = cursor.lenenc_bytes("session state")?;
            changes.read_entry(kind, Cursor::new(data))?;
        }
        Ok(changes)
    }

    fn read_entry(&mut self, kind: u8, mut data: Cursor<'_>) -> Result<(), ProtocolError> {
        match kind {
            TRACK_SYSTEM_VARIABLES => {
                while !data.is_empty() {
                    let name = text(data.lenenc_bytes("tracked variable")?);
                    let value = text(data.lenenc_nullable("tracked value")?.unwrap_or_default());
                    self.system_variables.push((name, value));
                }
            }
            TRACK_SCHEMA => self.schema = Some(text(data.lenenc_bytes("tracked schema")?)),
            // One character, without a length of its own, whatever the manual says.
            TRACK_STATE => self.is_changed = Some(data.u8("tracked state")? == b'1'),
            TRACK_GTIDS => {
                data.u8("GTID encoding")?;
                self.gtids = Some(text(data.lenenc_bytes("tracked GTIDs")?));
            }
            TRACK_CHARACTERISTICS => {
                self.transaction_characteristics = Some(text(data.lenenc_bytes("tracked transaction")?));
            }
            TRACK_TRANSACTION_STATE => {
                self.transaction_state = Some(text(data.lenenc_bytes("tracked transaction")?));
            }
            _ => {}
        }
        Ok(())
    }

    /// Adds what a later packet told.
    pub(crate) fn merge(&mut self, later: SessionChanges) {
        self.system_variables.extend(later.system_variables);
        self.schema = later.schema.or(self.schema.take());
        self.gtids = later.gtids.or(self.gtids.take());
        self.is_changed = later.is_changed.or(self.is_changed);
        self.transaction_characteristics =
            later.transaction_characteristics.or(self.transaction_characteristics.take());
        self.transaction_state = later.transaction_state.or(self.transaction_state.take());
    }

    /// Appends the entries.
    fn put(&self, out: &mut Vec<u8>) {
        let mut entry = |kind: u8, data: &[u8]| {
            out.push(kind);
            put_lenenc_bytes(out, data);
        };
        let one = |value: &str| {
            let mut data = Vec::new();
            put_lenenc_bytes(&mut data, value.as_bytes());
            data
        };
        for (name, value) in &self.system_variables {
            let mut data = one(name);
            put_lenenc_bytes(&mut data, value.as_bytes());
            entry(TRACK_SYSTEM_VARIABLES, &data);
        }
        if let Some(schema) = &self.schema {
            entry(TRACK_SCHEMA, &one(schema));
        }
        if let Some(is_changed) = self.is_changed {
            entry(TRACK_STATE, if is_changed { b"1" } else { b"0" });
        }
        if let Some(gtids) = &self.gtids {
            let mut data = vec![0];
            put_lenenc_bytes(&mut data, gtids.as_bytes());
            entry(TRACK_GTIDS, &data);
        }
        if let Some(characteristics) = &self.transaction_characteristics {
            entry(TRACK_CHARACTERISTICS, &one(characteristics));
        }
        if let Some(state) = &self.transaction_state {
            entry(TRACK_TRANSACTION_STATE, &one(state));
        }
    }
}

/// An OK packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OkPacket {
    /// Rows changed (or found, with `FOUND_ROWS`).
    pub affected_rows: u64,
    /// The last value of AUTO_INCREMENT made.
    pub last_insert_id: u64,
    /// Status flags; whether session state follows is set when writing.
    pub status: StatusFlags,
    /// Warnings.
    pub warnings: u16,
    /// Text for people (`Rows matched: …`).
    pub info: String,
    /// What session tracking tells; sent only if the client asked for it.
    pub changes: Option<SessionChanges>,
}

impl OkPacket {
    /// An OK with `status` and nothing else.
    pub fn with_status(status: StatusFlags) -> Self {
        Self { status, ..Self::default() }
    }

    /// Reads the payload of an OK packet, also one that ends a result set.
    ///
    /// # Errors
    /// `Unexpected` for another packet; `Truncated`; `Malformed`.
    pub fn parse(payload: &[u8], capabilities: Capabilities) -> Result<Self, ProtocolError> {
        let raw = RawOk::parse(payload, capabilities)?;
        Ok(Self {
            affected_rows: raw.affected_rows,
            last_insert_id: raw.last_insert_id,
            status: raw.status,
            warnings: raw.warnings,
            info: text(raw.info),
            changes: raw.changes.map(SessionChanges::parse).transpose()?,
        })
    }

    /// The payload for a client of `capabilities`.
    pub fn payload(&self, capabilities: Capabilities) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.info.len());
        self.put(&mut out, OK_BYTE, capabilities);
        out
    }

    fn put(&self, out: &mut Vec<u8>, first: u8, capabilities: Capabilities) {
        let tracks = capabilities.contains(Capabilities::SESSION_TRACK);
        let changes = self.changes.as_ref().filter(|_| tracks);
        let mut status = self.status.without(StatusFlags::SESSION_STATE_CHANGED);
        if changes.is_some() {
            status = status.with(StatusFlags::SESSION_STATE_CHANGED);
        }
        out.push(first);
        put_lenenc(out, self.affected_rows);
        put_lenenc(out, self.last_insert_id);
        out.extend_from_slice(&status.0.to_le_bytes());
        out.extend_from_slice(&self.warnings.to_le_bytes());
        // Servers write the length also for clients without session tracking, whatever the manual says.
        if !self.info.is_empty() || changes.is_some() {
            put_lenenc_bytes(out, self.info.as_bytes());
        }
        if let Some(changes) = changes {
            let mut entries = Vec::new();
            changes.put(&mut entries);
            put_lenenc_bytes(out, &entries);
        }
    }
}

/// An OK packet read without allocating.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawOk<'a> {
    pub(crate) affected_rows: u64,
    pub(crate) last_insert_id: u64,
    pub(crate) status: StatusFlags,
    pub(crate) warnings: u16,
    pub(crate) info: &'a [u8],
    pub(crate) changes: Option<&'a [u8]>,
}

impl<'a> RawOk<'a> {
    pub(crate) fn parse(payload: &'a [u8], capabilities: Capabilities) -> Result<Self, ProtocolError> {
        let mut cursor = Cursor::new(payload);
        if !matches!(cursor.u8("OK packet")?, OK_BYTE | EOF_BYTE) {
            return Err(ProtocolError::Unexpected { what: "an OK packet" });
        }
        let affected_rows = cursor.lenenc("affected rows")?;
        let last_insert_id = cursor.lenenc("last insert id")?;
        let status = StatusFlags(cursor.u16("OK status")?);
        let warnings = cursor.u16("OK warnings")?;
        let (mut info, mut changes): (&[u8], _) = (&[], None);
        let tracks = capabilities.contains(Capabilities::SESSION_TRACK);
        if !cursor.is_empty() {
            info = cursor.lenenc_bytes("OK info")?;
            if tracks && status.contains(StatusFlags::SESSION_STATE_CHANGED) && !cursor.is_empty() {
                changes = Some(cursor.lenenc_bytes("session state")?);
            }
        }
        Ok(Self { affected_rows, last_insert_id, status, warnings, info, changes })
    }
}

/// The payload of an OK packet.
pub fn ok(capabilities: Capabilities, packet: &OkPacket) -> Vec<u8> {
    packet.payload(capabilities)
}

/// The payload of an ERR packet. A SQLSTATE that has not five bytes becomes `HY000`.
pub fn err(errno: u16, sqlstate: &str, message: &str) -> Vec<u8> {
    let state: &[u8; 5] = sqlstate.as_bytes().try_into().unwrap_or(&GENERAL_SQLSTATE);
    let mut out = Vec::with_capacity(9 + message.len());
    out.push(ERR_BYTE);
    out.extend_from_slice(&errno.to_le_bytes());
    out.push(b'#');
    out.extend_from_slice(state);
    out.extend_from_slice(message.as_bytes());
    out
}

/// The payload of an EOF packet.
pub fn eof(status: StatusFlags, warnings: u16) -> Vec<u8> {
    let mut out = vec![EOF_BYTE];
    out.extend_from_slice(&warnings.to_le_bytes());
    out.extend_from_slice(&status.0.to_le_bytes());
    out
}

/// The payload that ends a result set: EOF, or OK for clients with `DEPRECATE_EOF`.
pub fn result_end(capabilities: Capabilities, status: StatusFlags, warnings: u16) -> Vec<u8> {
    if !capabilities.contains(Capabilities::DEPRECATE_EOF) {
        return eof(status, warnings);
    }
    let mut out = Vec::with_capacity(8);
    let end = OkPacket { status, warnings, ..OkPacket::default() };
    end.put(&mut out, EOF_BYTE, capabilities);
    out
}
