//! Commands of a client, read from their payloads without copying.
//!
//! Owns what each command's bytes mean; knows nothing of SQL text. Query attributes are found and kept as raw
//! bytes, so that they can be passed on, or left out for servers that do not take them.

use std::ops::Range;

use super::binary;
use super::capability::Capabilities;
use super::codec::Cursor;
use super::errors::ProtocolError;

/// Command bytes.
#[allow(missing_docs, reason = "the names are MySQL's own")]
pub mod code {
    pub const SLEEP: u8 = 0x00;
    pub const QUIT: u8 = 0x01;
    pub const INIT_DB: u8 = 0x02;
    pub const QUERY: u8 = 0x03;
    pub const FIELD_LIST: u8 = 0x04;
    pub const CREATE_DB: u8 = 0x05;
    pub const DROP_DB: u8 = 0x06;
    pub const REFRESH: u8 = 0x07;
    pub const SHUTDOWN: u8 = 0x08;
    pub const STATISTICS: u8 = 0x09;
    pub const PROCESS_INFO: u8 = 0x0a;
    pub const PROCESS_KILL: u8 = 0x0c;
    pub const DEBUG: u8 = 0x0d;
    pub const PING: u8 = 0x0e;
    pub const CHANGE_USER: u8 = 0x11;
    pub const BINLOG_DUMP: u8 = 0x12;
    pub const STMT_PREPARE: u8 = 0x16;
    pub const STMT_EXECUTE: u8 = 0x17;
    pub const STMT_SEND_LONG_DATA: u8 = 0x18;
    pub const STMT_CLOSE: u8 = 0x19;
    pub const STMT_RESET: u8 = 0x1a;
    pub const SET_OPTION: u8 = 0x1b;
    pub const STMT_FETCH: u8 = 0x1c;
    pub const RESET_CONNECTION: u8 = 0x1f;
}

/// A client's command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// COM_QUERY.
    Query(Query<'a>),
    /// COM_INIT_DB: the database's name.
    InitDb(&'a [u8]),
    /// COM_FIELD_LIST.
    FieldList {
        /// The table.
        table: &'a [u8],
        /// LIKE pattern of columns.
        pattern: &'a [u8],
    },
    /// COM_PING.
    Ping,
    /// COM_STATISTICS.
    Statistics,
    /// COM_CHANGE_USER: the payload behind the command byte, read by the handshake module.
    ChangeUser(&'a [u8]),
    /// COM_RESET_CONNECTION.
    ResetConnection,
    /// COM_SET_OPTION: multi-statements on or off.
    SetOption {
        /// True to allow several statements in one COM_QUERY.
        multi_statements: bool,
    },
    /// COM_PROCESS_KILL: the connection id.
    ProcessKill(u32),
    /// COM_PROCESS_INFO.
    ProcessInfo,
    /// COM_STMT_PREPARE: the SQL text.
    StmtPrepare(&'a [u8]),
    /// COM_STMT_EXECUTE.
    StmtExecute(StmtExecute<'a>),
    /// COM_STMT_SEND_LONG_DATA: no answer.
    StmtSendLongData {
        /// The statement.
        statement_id: u32,
        /// Which parameter.
        parameter: u16,
        /// Bytes to append to its value.
        data: &'a [u8],
    },
    /// COM_STMT_RESET.
    StmtReset {
        /// The statement.
        statement_id: u32,
    },
    /// COM_STMT_CLOSE: no answer.
    StmtClose {
        /// The statement.
        statement_id: u32,
    },
    /// COM_STMT_FETCH.
    StmtFetch {
        /// The statement.
        statement_id: u32,
        /// Rows at most.
        rows: u32,
    },
    /// COM_QUIT.
    Quit,
    /// COM_DEBUG.
    Debug,
    /// Any other command byte.
    Unknown(u8),
}

/// COM_QUERY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// The SQL text.
    pub sql: &'a [u8],
    /// Where `sql` lies in the payload: attributes, if any, are `1..sql_at.start`.
    pub sql_at: Range<usize>,
    /// The raw attribute prefix: counts, types, names and values; empty without `QUERY_ATTRIBUTES`.
    pub attributes: &'a [u8],
    /// How many attributes there are.
    pub attribute_count: usize,
}

/// COM_STMT_EXECUTE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StmtExecute<'a> {
    /// The statement; MariaDB's 0xffffffff is the one prepared last.
    pub statement_id: u32,
    /// Cursor type, and whether the parameter count is there.
    pub flags: u8,
    /// Everything behind the iteration count, read by [`binary::Parameters`].
    pub raw: &'a [u8],
}

/// Flag of COM_STMT_EXECUTE: the count of parameters is in the packet (query attributes).
pub const PARAMETER_COUNT_AVAILABLE: u8 = 0x08;
/// Flags of COM_STMT_EXECUTE that ask for a cursor.
pub const CURSOR_FLAGS: u8 = 0x07;

impl StmtExecute<'_> {
    /// True if the client asks for a cursor.
    pub fn opens_cursor(&self) -> bool {
        self.flags & CURSOR_FLAGS != 0
    }
}

impl<'a> Command<'a> {
    /// Reads a command's payload; `capabilities` are the client's.
    ///
    /// # Errors
    /// `Truncated`, `Malformed`; an empty payload is `Truncated`.
    pub fn parse(payload: &'a [u8], capabilities: Capabilities) -> Result<Self, ProtocolError> {
        let mut cursor = Cursor::new(payload);
        let command = match cursor.u8("command")? {
            code::QUIT => Self::Quit,
            code::INIT_DB => Self::InitDb(cursor.rest()),
            code::QUERY => Self::Query(Query::parse(payload, cursor, capabilities)?),
            code::FIELD_LIST => {
                Self::FieldList { table: cursor.nul_bytes("table")?, pattern: trim_nul(cursor.rest()) }
            }
            code::PING => Self::Ping,
            code::STATISTICS => Self::Statistics,
            code::CHANGE_USER => Self::ChangeUser(cursor.rest()),
            code::RESET_CONNECTION => Self::ResetConnection,
            code::SET_OPTION => match cursor.u16("option")? {
                0 => Self::SetOption { multi_statements: true },
                1 => Self::SetOption { multi_statements: false },
                _ => Self::Unknown(code::SET_OPTION),
            },
            code::PROCESS_KILL => Self::ProcessKill(cursor.u32("connection id")?),
            code::PROCESS_INFO => Self::ProcessInfo,
            code::DEBUG => Self::Debug,
            other => return Self::parse_statement(other, cursor),
        };
        Ok(command)
    }

    fn parse_statement(command: u8, mut cursor: Cursor<'a>) -> Result<Self, ProtocolError> {
        let command = match command {
            code::STMT_PREPARE => Self::StmtPrepare(cursor.rest()),
            code::STMT_EXECUTE => {
                let statement_id = cursor.u32("statement id")?;
                let flags = cursor.u8("cursor flags")?;
                cursor.u32("iteration count")?;
                Self::StmtExecute(StmtExecute { statement_id, flags, raw: cursor.rest() })
            }
            code::STMT_SEND_LONG_DATA => Self::StmtSendLongData {
                statement_id: cursor.u32("statement id")?,
                parameter: cursor.u16("parameter number")?,
                data: cursor.rest(),
            },
            code::STMT_RESET => Self::StmtReset { statement_id: cursor.u32("statement id")? },
            code::STMT_CLOSE => Self::StmtClose { statement_id: cursor.u32("statement id")? },
            code::STMT_FETCH => Self::StmtFetch {
                statement_id: cursor.u32("statement id")?,
                rows: cursor.u32("rows to fetch")?,
            },
            other => Self::Unknown(other),
        };
        Ok(command)
    }
}

fn trim_nul(bytes: &[u8]) -> &[u8] {
    bytes.strip_suffix(&[0]).unwrap_or(bytes)
}

impl<'a> Query<'a> {
    fn parse(
        payload: &'a [u8],
        mut cursor: Cursor<'a>,
        capabilities: Capabilities,
    ) -> Result<Self, ProtocolError> {
        let start = cursor.position();
        let mut attribute_count = 0;
        if capabilities.contains(Capabilities::QUERY_ATTRIBUTES) {
            attribute_count = skip_attributes(&mut cursor)?;
        }
        let at = cursor.position();
        let attributes = &payload[start..at];
        Ok(Self { sql: cursor.rest(), sql_at: at..payload.len(), attributes, attribute_count })
    }
}

/// Moves `cursor` behind the attributes of COM_QUERY; gives their count.
fn skip_attributes(cursor: &mut Cursor<'_>) -> Result<usize, ProtocolError> {
    let count = cursor.lenenc("attribute count")?;
    if cursor.lenenc("attribute set count")? != 1 {
        return Err(ProtocolError::Malformed { what: "attribute set count" });
    }
    let count = binary::checked_count(count)?;
    if count == 0 {
        return Ok(0);
    }
    let nulls = cursor.take(count.div_ceil(8), "attribute NULL bits")?;
    if cursor.u8("new attributes flag")? != 1 {
        return Err(ProtocolError::Malformed { what: "new attributes flag" });
    }
    let mut types = Vec::new();
    binary::read_types(cursor, (count, true), &mut types)?;
    for (index, one) in types.iter().enumerate() {
        if !binary::is_null(nulls, index) {
            binary::skip_value(cursor, *one)?;
        }
    }
    Ok(count)
}

/// The payload of a COM_QUERY for a server connection of `capabilities`: `attributes` are the raw prefix of a
/// client's query (empty: none).
pub fn query_payload(sql: &[u8], attributes: &[u8], capabilities: Capabilities) -> Vec<u8> {
    let mut out = Vec::with_capacity(sql.len() + attributes.len() + 3);
    put_query(&mut out, sql, attributes, capabilities);
    out
}

/// Appends what [`query_payload`] gives.
pub fn put_query(out: &mut Vec<u8>, sql: &[u8], attributes: &[u8], capabilities: Capabilities) {
    out.push(code::QUERY);
    if capabilities.contains(Capabilities::QUERY_ATTRIBUTES) {
        // No attribute, one set of them.
        let attributes = if attributes.is_empty() { &[0, 1] } else { attributes };
        out.extend_from_slice(attributes);
    }
    out.extend_from_slice(sql);
}

/// The payload of a command that is its byte and a string: COM_INIT_DB, COM_STMT_PREPARE.
pub fn string_payload(command: u8, string: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + string.len());
    out.push(command);
    out.extend_from_slice(string);
    out
}

/// The payload of a command that is its byte and a number: COM_STMT_CLOSE, COM_STMT_RESET, COM_PROCESS_KILL.
pub fn number_payload(command: u8, number: u32) -> [u8; 5] {
    let [a, b, c, d] = number.to_le_bytes();
    [command, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: Capabilities = Capabilities::QUERY_ATTRIBUTES;

    #[test]
    fn plain_query() {
        let payload = b"\x03SELECT 1";
        let Ok(Command::Query(query)) = Command::parse(payload, Capabilities::NONE) else { panic!() };
        assert_eq!((query.sql, query.attributes), (&b"SELECT 1"[..], &b""[..]));
        assert_eq!(query.sql_at, 1..9);
    }

    #[test]
    fn query_without_attributes() {
        let payload = query_payload(b"SELECT 1", &[], ALL);
        assert_eq!(payload, b"\x03\x00\x01SELECT 1");
        let Ok(Command::Query(query)) = Command::parse(&payload, ALL) else { panic!() };
        assert_eq!((query.sql, query.attribute_count), (&b"SELECT 1"[..], 0));
    }

    #[test]
    fn query_with_attributes() {
        let mut prefix = vec![3, 1, 0b010, 1];
        prefix.extend_from_slice(b"\xfe\x00\x01a");
        prefix.extend_from_slice(b"\x06\x00\x01n");
        prefix.extend_from_slice(b"\x08\x80\x01b");
        prefix.extend_from_slice(b"\x02xy");
        prefix.extend_from_slice(&7u64.to_le_bytes());
        let payload = query_payload(b"DO 1", &prefix, ALL);
        let Ok(Command::Query(query)) = Command::parse(&payload, ALL) else { panic!() };
        assert_eq!(query.sql, b"DO 1");
        assert_eq!(query.attributes, &prefix[..]);
        assert_eq!(query.attribute_count, 3);
        assert_eq!(query_payload(query.sql, query.attributes, Capabilities::NONE), b"\x03DO 1");
        for cut in 3..payload.len() - 5 {
            assert!(Command::parse(&payload[..cut], ALL).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn statement_commands() {
        let close = number_payload(code::STMT_CLOSE, 7);
        let parsed = Command::parse(&close, Capabilities::NONE).unwrap();
        assert_eq!(parsed, Command::StmtClose { statement_id: 7 });
        assert!(Command::parse(&close[..3], Capabilities::NONE).is_err());
        let fetch = b"\x1c\x01\0\0\0\x0a\0\0\0";
        let parsed = Command::parse(fetch, Capabilities::NONE).unwrap();
        assert_eq!(parsed, Command::StmtFetch { statement_id: 1, rows: 10 });
        assert_eq!(Command::parse(b"\xee", Capabilities::NONE).unwrap(), Command::Unknown(0xee));
        assert!(Command::parse(b"", Capabilities::NONE).is_err());
        let unknown = Command::parse(b"\x1b\x02\x00", Capabilities::NONE).unwrap();
        assert_eq!(unknown, Command::Unknown(code::SET_OPTION));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80), command in 0u8..0x20) {
            let mut payload = vec![command];
            payload.extend(&bytes);
            let _ = Command::parse(&payload, ALL);
            let _ = Command::parse(&payload, Capabilities::NONE);
        }
    }
}
