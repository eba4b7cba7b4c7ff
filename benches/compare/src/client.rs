//! The load driver's own MySQL client: as little work per statement as an honest client can do.
//!
//! It reads answers to their end and discards them. It knows nothing of Bulkhead's code, so that both cannot
//! share a mistake. Login: `caching_sha2_password` on its short way only (the harness logs in once by the
//! mysql shell, then servers and proxies know the password) and `mysql_native_password`.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;

use sha1::Sha1;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes that are asked of the socket at once.
const READ_BYTES: usize = 64 * 1024;
/// Packets above this are a broken peer.
const PACKET_BYTES_MAX: usize = 16 * 1024 * 1024;

const CONNECT_WITH_DB: u32 = 1 << 3;
const PROTOCOL_41: u32 = 1 << 9;
const TRANSACTIONS: u32 = 1 << 13;
const SECURE_CONNECTION: u32 = 1 << 15;
const PLUGIN_AUTH: u32 = 1 << 19;
const DEPRECATE_EOF: u32 = 1 << 24;
/// What is asked for if the server offers it. LONG_PASSWORD and LONG_FLAG are the two lowest.
const WANTED: u32 = 1
    | 1 << 2
    | CONNECT_WITH_DB
    | PROTOCOL_41
    | TRANSACTIONS
    | SECURE_CONNECTION
    | PLUGIN_AUTH
    | DEPRECATE_EOF;
/// utf8mb4_general_ci.
const COLLATION: u8 = 45;

/// Where to log in, and as whom.
#[derive(Clone, Debug)]
pub struct Login {
    /// Where the system listens.
    pub address: SocketAddr,
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
    /// Database to begin with.
    pub database: String,
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    /// Bytes read; those before `at` are done with.
    buffer: Vec<u8>,
    at: usize,
    out: Vec<u8>,
    deprecates_eof: bool,
}

/// What an answer brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Rows of the result set.
    pub rows: u64,
    /// Bytes of the answer's packets, headers not counted.
    pub bytes: u64,
}

fn broken(what: impl Into<String>) -> io::Error {
    io::Error::other(what.into())
}

/// What the server answered instead of a result. In an `io::Error`; [`ServerError::of`] takes it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError {
    /// MySQL's number.
    pub number: u16,
    /// SQLSTATE and words.
    pub text: String,
}

impl ServerError {
    /// The server's answer, if that is what the error is; anything else means a lost connection.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

impl std::fmt::Display for ServerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "error {}: {}", self.number, self.text)
    }
}

impl std::error::Error for ServerError {}

/// An ERR packet as an error of ours.
fn server_error(payload: &[u8]) -> io::Error {
    let number = u16::from_le_bytes([*payload.get(1).unwrap_or(&0), *payload.get(2).unwrap_or(&0)]);
    let text = String::from_utf8_lossy(payload.get(3..).unwrap_or_default()).into_owned();
    io::Error::other(ServerError { number, text })
}

/// A result set as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Rows; NULL is `None`.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Table {
    /// A value by its column's name; none for NULL, and where there is no such column.
    pub fn get(&self, row: usize, column: &str) -> Option<&str> {
        let at = self.columns.iter().position(|name| name == column)?;
        self.rows.get(row)?.get(at)?.as_deref()
    }
}

/// Length-encoded texts one after the other; NULL is `None`.
fn texts(mut payload: &[u8]) -> io::Result<Vec<Option<String>>> {
    let mut found = Vec::new();
    while let Some((first, rest)) = payload.split_first() {
        let (length, rest) = match first {
            0xfb => {
                found.push(None);
                payload = rest;
                continue;
            }
            0xfc if rest.len() >= 2 => (usize::from(u16::from_le_bytes([rest[0], rest[1]])), &rest[2..]),
            0xfd if rest.len() >= 3 => {
                (u32::from_le_bytes([rest[0], rest[1], rest[2], 0]) as usize, &rest[3..])
            }
            short if *short < 0xfb => (usize::from(*short), rest),
            _ => return Err(broken("a value's length is broken")),
        };
        let text = rest.get(..length).ok_or_else(|| broken("a value ends early"))?;
        found.push(Some(String::from_utf8_lossy(text).into_owned()));
        payload = &rest[length..];
    }
    Ok(found)
}

impl Client {
    /// Connects and logs in.
    ///
    /// # Errors
    /// Nobody listens, the login was refused, or the peer broke the protocol.
    pub async fn connect(login: &Login) -> io::Result<Self> {
        let stream = TcpStream::connect(login.address).await?;
        stream.set_nodelay(true)?;
        let mut client = Self { stream, buffer: Vec::new(), at: 0, out: Vec::new(), deprecates_eof: false };
        let greeting = client.packet().await?;
        let greeting = Greeting::parse(&client.buffer[greeting])?;
        client.deprecates_eof = greeting.capabilities & DEPRECATE_EOF != 0;
        let response = greeting.response(login);
        client.put_packet(&response, 1);
        client.flush().await?;
        client.authenticate(login).await?;
        Ok(client)
    }

    async fn authenticate(&mut self, login: &Login) -> io::Result<()> {
        loop {
            let range = self.packet().await?;
            let sequence = self.buffer[range.start - 1].wrapping_add(1);
            let payload = &self.buffer[range];
            match (payload.first(), payload.get(1)) {
                (Some(0x00), _) => return Ok(()),
                (Some(0x01), Some(0x03)) => {}
                (Some(0x01), _) => {
                    return Err(broken("the server wants the whole password: log in once by another client"));
                }
                (Some(0xfe), _) => {
                    let mut parts = payload[1..].splitn(2, |byte| *byte == 0);
                    let plugin = parts.next().unwrap_or_default();
                    let nonce = parts.next().unwrap_or_default();
                    let scramble = scramble(plugin, login.password.as_bytes(), nonce)?;
                    self.put_packet(&scramble, sequence);
                    self.flush().await?;
                }
                _ => return Err(server_error(payload)),
            }
        }
    }

    /// Runs SQL as text and reads the whole answer.
    ///
    /// # Errors
    /// The server's error, or a lost connection.
    pub async fn query(&mut self, sql: &str) -> io::Result<Answer> {
        self.command(0x03, sql.as_bytes()).await
    }

    /// Runs SQL as text and gives the rows.
    ///
    /// # Errors
    /// The server's error, a lost connection, or the answer is no result set.
    pub async fn table(&mut self, sql: &str) -> io::Result<Table> {
        self.send(0x03, sql.as_bytes()).await?;
        let range = self.packet().await?;
        let payload = &self.buffer[range];
        let columns = match payload.first() {
            Some(0x00) => return Err(broken("the answer has no rows")),
            Some(0xff) | None => return Err(server_error(payload)),
            Some(count) => *count,
        };
        let mut table = Table::default();
        for _ in 0..columns {
            let range = self.packet().await?;
            // Catalogue, schema, table, its own name, then the column's; numbers follow.
            let end = range.end.saturating_sub(13).max(range.start);
            let names = texts(&self.buffer[range.start..end])?;
            table.columns.push(names.into_iter().nth(4).flatten().unwrap_or_default());
        }
        if !self.deprecates_eof {
            self.packet().await?;
        }
        loop {
            let range = self.packet().await?;
            let payload = &self.buffer[range];
            match payload.first() {
                Some(0xfe) if payload.len() < 9 || self.deprecates_eof => return Ok(table),
                Some(0xff) => return Err(server_error(payload)),
                _ => table.rows.push(texts(payload)?),
            }
        }
    }

    /// Prepares a statement; gives its id.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn prepare(&mut self, sql: &str) -> io::Result<u32> {
        self.send(0x16, sql.as_bytes()).await?;
        let range = self.packet().await?;
        let payload = &self.buffer[range];
        if payload.len() < 9 || payload[0] != 0 {
            return Err(server_error(payload));
        }
        let id = u32::from_le_bytes([payload[1], payload[2], payload[3], payload[4]]);
        let columns = u16::from_le_bytes([payload[5], payload[6]]);
        let parameters = u16::from_le_bytes([payload[7], payload[8]]);
        for count in [parameters, columns] {
            let with_eof = u16::from(count > 0 && !self.deprecates_eof);
            for _ in 0..count + with_eof {
                self.packet().await?;
            }
        }
        Ok(id)
    }

    /// Runs a prepared statement with one whole number.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn execute(&mut self, statement: u32, parameter: i64) -> io::Result<Answer> {
        let mut payload = [0; 21];
        payload[..4].copy_from_slice(&statement.to_le_bytes());
        // No cursor, one iteration, no NULL, types follow, one BIGINT.
        payload[5..9].copy_from_slice(&1_u32.to_le_bytes());
        payload[10] = 1;
        payload[11] = 0x08;
        payload[13..21].copy_from_slice(&parameter.to_le_bytes());
        self.command(0x17, &payload).await
    }

    /// Says good-bye, as clients do, and closes.
    ///
    /// # Errors
    /// The connection was lost before.
    pub async fn quit(mut self) -> io::Result<()> {
        self.send(0x01, &[]).await?;
        self.stream.shutdown().await
    }

    async fn command(&mut self, code: u8, body: &[u8]) -> io::Result<Answer> {
        self.send(code, body).await?;
        self.answer().await
    }

    /// Sends a command and does not wait.
    ///
    /// # Errors
    /// The connection was lost.
    pub async fn send(&mut self, code: u8, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(body.len() + 1).map_err(|_| broken("the statement is too long"))?;
        self.out.extend_from_slice(&length.to_le_bytes()[..3]);
        self.out.extend_from_slice(&[0, code]);
        self.out.extend_from_slice(body);
        self.flush().await
    }

    async fn answer(&mut self) -> io::Result<Answer> {
        let range = self.packet().await?;
        let mut answer = Answer { rows: 0, bytes: range.len() as u64 };
        let payload = &self.buffer[range];
        let columns = match payload.first() {
            Some(0x00) => return Ok(answer),
            Some(0xff) | None => return Err(server_error(payload)),
            Some(count) => u64::from(*count),
        };
        // Columns beyond 250 would need longer numbers; no statement here has them.
        for _ in 0..columns + u64::from(!self.deprecates_eof) {
            answer.bytes += self.packet().await?.len() as u64;
        }
        loop {
            let range = self.packet().await?;
            answer.bytes += range.len() as u64;
            let payload = &self.buffer[range];
            match payload.first() {
                Some(0xfe) if payload.len() < 9 || self.deprecates_eof => return Ok(answer),
                Some(0xff) => return Err(server_error(payload)),
                _ => answer.rows += 1,
            }
        }
    }

    fn put_packet(&mut self, payload: &[u8], sequence: u8) {
        self.out.extend_from_slice(&(payload.len() as u32).to_le_bytes()[..3]);
        self.out.push(sequence);
        self.out.extend_from_slice(payload);
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.out).await?;
        self.out.clear();
        Ok(())
    }

    /// The next packet's payload, as a place in the buffer that holds until the next call.
    async fn packet(&mut self) -> io::Result<Range<usize>> {
        self.need(4).await?;
        let header = &self.buffer[self.at..];
        let length = usize::from(header[0]) | usize::from(header[1]) << 8 | usize::from(header[2]) << 16;
        if length >= PACKET_BYTES_MAX - 1 {
            return Err(broken("a packet of 16 MiB: no statement here asks for it"));
        }
        self.need(4 + length).await?;
        let start = self.at + 4;
        self.at = start + length;
        Ok(start..self.at)
    }

    /// Reads until this many bytes are there.
    async fn need(&mut self, count: usize) -> io::Result<()> {
        if self.buffer.len() - self.at >= count {
            return Ok(());
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        while self.buffer.len() < count {
            self.buffer.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }
}

/// What the server says first.
struct Greeting {
    capabilities: u32,
    nonce: Vec<u8>,
    plugin: Vec<u8>,
}

impl Greeting {
    fn parse(payload: &[u8]) -> io::Result<Self> {
        if payload.first() != Some(&10) {
            return Err(server_error(payload));
        }
        let short = || broken("the greeting is too short");
        let version_end = payload.iter().position(|byte| *byte == 0).ok_or_else(short)?;
        let rest = payload.get(version_end + 5..).ok_or_else(short)?;
        if rest.len() < 8 + 1 + 2 + 1 + 2 + 2 + 1 + 10 + 13 {
            return Err(short());
        }
        let capabilities = u32::from_le_bytes([rest[9], rest[10], rest[14], rest[15]]);
        let mut nonce = rest[..8].to_vec();
        nonce.extend_from_slice(&rest[27..39]);
        let plugin = rest[40..].split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        Ok(Self { capabilities, nonce, plugin })
    }

    fn response(&self, login: &Login) -> Vec<u8> {
        let capabilities = WANTED & (self.capabilities | CONNECT_WITH_DB);
        // An unknown plugin is settled by the server's request to switch.
        let scramble = scramble(&self.plugin, login.password.as_bytes(), &self.nonce).unwrap_or_default();
        let mut out = capabilities.to_le_bytes().to_vec();
        out.extend_from_slice(&(PACKET_BYTES_MAX as u32).to_le_bytes());
        out.push(COLLATION);
        out.extend_from_slice(&[0; 23]);
        out.extend_from_slice(login.user.as_bytes());
        out.push(0);
        out.push(scramble.len() as u8);
        out.extend_from_slice(&scramble);
        out.extend_from_slice(login.database.as_bytes());
        out.push(0);
        out.extend_from_slice(&self.plugin);
        out.push(0);
        out
    }
}

/// The proof that the password is known.
fn scramble(plugin: &[u8], password: &[u8], nonce: &[u8]) -> io::Result<Vec<u8>> {
    let nonce = nonce.strip_suffix(&[0]).unwrap_or(nonce);
    match plugin {
        b"caching_sha2_password" => {
            let once = Sha256::digest(password);
            let twice = Sha256::digest(once);
            let mask = Sha256::new().chain_update(twice).chain_update(nonce).finalize();
            Ok(once.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect())
        }
        b"mysql_native_password" => {
            let once = Sha1::digest(password);
            let twice = Sha1::digest(once);
            let mask = Sha1::new().chain_update(nonce).chain_update(twice).finalize();
            Ok(once.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect())
        }
        other => Err(broken(format!("unknown login method {}", String::from_utf8_lossy(other)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_by_their_lengths() {
        let long = [&[0xfc, 0x2c, 0x01][..], &[b'x'; 300]].concat();
        let payload = [&[3, b'a', b'b', b'c', 0xfb, 0][..], &long].concat();
        let found = texts(&payload).expect("whole");
        assert_eq!(found[..3], [Some("abc".to_owned()), None, Some(String::new())]);
        assert_eq!(found[3].as_deref().map(str::len), Some(300));
        assert!(texts(&[5, b'a']).is_err() && texts(&[0xfc, 1]).is_err() && texts(&[0xff]).is_err());
    }

    #[test]
    fn a_server_error_is_told_from_a_lost_connection() {
        let error = server_error(b"\xff\x1d\x04#08S01lost");
        assert_eq!(ServerError::of(&error).map(|error| error.number), Some(1053));
        assert!(ServerError::of(&io::ErrorKind::UnexpectedEof.into()).is_none());
        assert!(ServerError::of(&broken("too short")).is_none());
    }

    #[test]
    fn values_are_found_by_column() {
        let rows = vec![vec![Some("c1".to_owned()), None]];
        let table = Table { columns: vec!["cluster".to_owned(), "state".to_owned()], rows };
        assert_eq!(table.get(0, "cluster"), Some("c1"));
        assert_eq!(
            (table.get(0, "state"), table.get(0, "other"), table.get(1, "cluster")),
            (None, None, None)
        );
    }
}
