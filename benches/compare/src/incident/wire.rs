//! What the fault proxy reads of the protocol: which of a client's packets are writes. Pure.
//!
//! A *write* is a statement that a server whose writes stall would not answer: changes of rows and of
//! schemas, and COMMIT. Reads, pings, SET, KILL, SHOW and the commands of replication pass. Prepared
//! statements are told by what was prepared: the server's answer to COM_STMT_PREPARE names the id.

use std::collections::{HashMap, VecDeque};

const COM_QUERY: u8 = 0x03;
const COM_STMT_PREPARE: u8 = 0x16;
const COM_STMT_EXECUTE: u8 = 0x17;
/// Commands that are not answered.
const SILENT: [u8; 3] = [0x01, 0x18, 0x19];
/// First words of writes.
const WRITES: [&str; 15] = [
    "INSERT", "UPDATE", "DELETE", "REPLACE", "COMMIT", "CREATE", "ALTER", "DROP", "RENAME", "TRUNCATE",
    "OPTIMIZE", "LOAD", "CALL", "GRANT", "REVOKE",
];
/// Bytes of a packet's head.
pub const HEADER: usize = 4;
/// Capabilities in a client's answer that make what follows unreadable: TLS, compression.
const CLOAKED: u32 = 1 << 11 | 1 << 5 | 1 << 26;
/// Prepared statements and pending answers that are remembered; a client with more is passed on unread.
const REMEMBERED_MAX: usize = 10_000;

/// The statement's first word, behind blanks, comments and parentheses, tells whether it is a write.
pub fn is_write(sql: &[u8]) -> bool {
    let word = first_word(sql);
    WRITES.iter().any(|write| write.as_bytes().eq_ignore_ascii_case(word))
}

fn first_word(mut sql: &[u8]) -> &[u8] {
    loop {
        sql = sql.trim_ascii_start();
        if let Some(rest) = sql.strip_prefix(b"/*") {
            let end = rest.windows(2).position(|pair| pair == b"*/").map_or(rest.len(), |at| at + 2);
            sql = &rest[end..];
        } else if let Some(rest) = sql.strip_prefix(b"(") {
            sql = rest;
        } else if sql.starts_with(b"#") || sql.starts_with(b"-- ") {
            let end = sql.iter().position(|byte| *byte == b'\n').unwrap_or(sql.len());
            sql = &sql[end..];
        } else {
            break;
        }
    }
    let end = sql.iter().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(sql.len());
    &sql[..end]
}

/// Length of the packet at the front, head included; none before its head is there.
pub fn packet_length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..HEADER)?;
    Some(HEADER + (usize::from(head[0]) | usize::from(head[1]) << 8 | usize::from(head[2]) << 16))
}

/// What is known of one connection.
#[derive(Debug, Default)]
pub struct Reader {
    /// Nothing can be read any more.
    is_cloaked: bool,
    /// The client's first packet was seen.
    has_answered: bool,
    /// What the answers belong to, in order: whether a write was prepared, or none of that.
    pending: VecDeque<Option<bool>>,
    /// Whether a prepared statement is a write.
    prepared: HashMap<u32, bool>,
    /// The last packet's number from the server.
    last: u8,
}

impl Reader {
    /// Nothing can be read; everything is to be passed on.
    pub fn is_cloaked(&self) -> bool {
        self.is_cloaked
    }

    /// Reads one whole packet of the client; gives whether it is a write.
    pub fn read_client(&mut self, packet: &[u8]) -> bool {
        if self.is_cloaked || packet.len() <= HEADER {
            return false;
        }
        let (sequence, body) = (packet[3], &packet[HEADER..]);
        if !self.has_answered {
            self.has_answered = true;
            let flags =
                body.get(..4).map_or(0, |four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]));
            self.is_cloaked = flags & CLOAKED != 0;
            return false;
        }
        // Parts of a login, of a file, or of a long packet.
        if sequence != 0 {
            return false;
        }
        self.command(body[0], &body[1..])
    }

    fn command(&mut self, code: u8, body: &[u8]) -> bool {
        let writes = is_write(body);
        if !SILENT.contains(&code) {
            self.pending.push_back((code == COM_STMT_PREPARE).then_some(writes));
        }
        if self.pending.len() > REMEMBERED_MAX || self.prepared.len() > REMEMBERED_MAX {
            self.is_cloaked = true;
        }
        match code {
            COM_QUERY => writes,
            COM_STMT_EXECUTE => {
                statement_id(body).and_then(|id| self.prepared.get(&id)).copied().unwrap_or(false)
            }
            _ => false,
        }
    }

    /// Reads one whole packet of the server.
    pub fn read_server(&mut self, packet: &[u8]) {
        if self.is_cloaked || packet.len() <= HEADER {
            return;
        }
        let (sequence, body) = (packet[3], &packet[HEADER..]);
        // Number 1 begins an answer, but behind number 255 and 0, where a long one goes on. (An answer of 256
        // packets exactly would hide the next one's begin; nothing that prepares statements here asks for
        // it.)
        let begins = sequence == 1 && self.last != 0;
        self.last = sequence;
        if !begins || !self.has_answered {
            return;
        }
        let prepared = self.pending.pop_front().flatten();
        if let (Some(writes), Some(0), Some(id)) =
            (prepared, body.first(), body.get(1..).and_then(statement_id))
        {
            self.prepared.insert(id, writes);
        }
    }
}

fn statement_id(body: &[u8]) -> Option<u32> {
    body.get(..4).map(|four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u32).to_le_bytes();
        [&length[..3], &[sequence], body].concat()
    }

    fn command(code: u8, body: &[u8]) -> Vec<u8> {
        packet(0, &[&[code], body].concat())
    }

    fn logged_in() -> Reader {
        let mut reader = Reader::default();
        reader.read_server(&packet(0, b"\x0a9.0"));
        assert!(!reader.read_client(&packet(1, &[0x0d, 0xa2, 0x08, 0x01, 0, 0])));
        reader.read_server(&packet(2, b"\x01\x03"));
        reader.read_server(&packet(3, &[0, 0, 0]));
        reader
    }

    #[test]
    fn writes_are_told_by_their_first_word() {
        for sql in [
            "insert into a",
            "/*workspace_id:4*/ UPDATE a",
            " ALTER TABLE a",
            "commit",
            "-- x\nDELETE",
            "(DROP",
        ] {
            assert!(is_write(sql.as_bytes()), "{sql}");
        }
        for sql in
            ["SELECT 1", "KILL 7", "SET GLOBAL super_read_only = ON", "", "/* INSERT", "commits", "DO 1"]
        {
            assert!(!is_write(sql.as_bytes()), "{sql}");
        }
    }

    #[test]
    fn texts_and_prepared_statements_are_told() {
        let mut reader = logged_in();
        assert!(reader.read_client(&command(COM_QUERY, b"INSERT INTO a VALUES (1)")));
        reader.read_server(&packet(1, &[0, 1, 0]));
        assert!(!reader.read_client(&command(COM_QUERY, b"SELECT 1")));
        // Sent before the answer to the first one.
        assert!(!reader.read_client(&command(COM_STMT_PREPARE, b"UPDATE a SET b = ?")));
        reader.read_server(&packet(1, &[1]));
        reader.read_server(&packet(2, b"column"));
        reader.read_server(&packet(1, &[0, 9, 0, 0, 0, 0, 0, 1, 0]));
        assert!(reader.read_client(&command(COM_STMT_EXECUTE, &[9, 0, 0, 0, 0])));
        assert!(!reader.read_client(&command(COM_STMT_EXECUTE, &[8, 0, 0, 0, 0])));
        assert!(!reader.read_client(&command(0x0e, b"")));
    }

    #[test]
    fn a_long_answer_is_one() {
        let mut reader = logged_in();
        reader.read_client(&command(COM_QUERY, b"SELECT 1"));
        reader.read_client(&command(COM_STMT_PREPARE, b"DELETE FROM a"));
        for number in (1..=255).chain(0..=20) {
            reader.read_server(&packet(number, &[0, 7, 0, 0, 0]));
        }
        assert!(reader.prepared.is_empty());
        reader.read_server(&packet(1, &[0, 7, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!(reader.prepared.get(&7), Some(&true));
    }

    #[test]
    fn what_cannot_be_read_is_passed_on() {
        let mut reader = Reader::default();
        assert!(!reader.read_client(&packet(1, &(1_u32 << 11).to_le_bytes())));
        assert!(reader.is_cloaked() && !reader.read_client(&command(COM_QUERY, b"INSERT INTO a")));
        let mut reader = logged_in();
        assert!(
            !reader.read_client(&packet(0, b"")) && !reader.read_client(&command(COM_STMT_EXECUTE, b"1"))
        );
        reader.read_server(&packet(1, b""));
        assert!(packet_length(&[1, 0, 0]).is_none() && packet_length(&[5, 1, 0, 0]) == Some(265));
    }
}
