//! One raw connection: statements in, rows and ends out.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::error::{DirectError, LostCause};
use super::packets::PacketStream;
use super::rows::{Rows, TextRow};
use crate::backend::connection::ProvenSettings;
use crate::backend::error::OpenError;
use crate::backend::open::{LoggedIn, Opener};
use crate::backend::set_up::StoredFunctions;
use crate::backend::settings::UTF8MB4_GENERAL_CI;
use crate::config::Login;
use crate::error::Outcome;
use crate::ids::ServerId;
use crate::protocol::capability::{Capabilities, StatusFlags};
use crate::protocol::codec::Cursor;
use crate::protocol::command::code;
use crate::protocol::errors::ProtocolError;
use crate::protocol::framed::Framed;
use crate::protocol::handshake::{Flavour, ServerVersion};
use crate::protocol::packet::PAYLOAD_BYTES_MAX;
use crate::protocol::result::{
    Column, EOF_BYTE, ERR_BYTE, LOCAL_INFILE_BYTE, OK_BYTE, OkPacket, ServerError,
};
use crate::protocol::tls::ClientTls;

/// Bytes of the rows of one collected answer, unless set otherwise.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Columns of an answer: MySQL's own bound.
const COLUMNS_MAX: u64 = 4096;
/// "Unknown thread id": what was to be killed is gone already.
const ER_NO_SUCH_THREAD: u16 = 1094;
/// Rows end in an OK packet, which carries more than an EOF.
const CLASS: Capabilities = Capabilities::DEPRECATE_EOF;

/// What a statement ended with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OkEnd {
    /// Rows changed; a row that was set to what it was is not among them.
    pub affected_rows: u64,
    /// The last value of AUTO_INCREMENT made.
    pub last_insert_id: u64,
    /// Warnings; their texts are read by SHOW WARNINGS.
    pub warnings: u16,
    /// The server's summary (`Records: 3  Duplicates: 0  Warnings: 0`).
    pub info: String,
    /// Status flags: whether a transaction is open, for one.
    pub status: StatusFlags,
}

/// What to end of another connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    /// Its statement.
    Query,
    /// All of it; an open transaction is rolled back.
    Connection,
}

/// One raw connection; see the module.
pub struct Direct {
    framed: Framed,
    capabilities: Capabilities,
    server: ServerId,
    version: ServerVersion,
    thread_id: u32,
    is_mid_answer: bool,
    answer_bytes_max: usize,
}

impl Direct {
    /// Connects and logs in, `within` this time. The session has the server's own settings, utf8mb4, and no
    /// database.
    ///
    /// # Errors
    /// What stood in the way: the network, TLS, the login.
    pub async fn open(
        server: &ServerId,
        login: &Login,
        tls: &ClientTls,
        within: Duration,
    ) -> Result<Self, OpenError> {
        let opener = Opener {
            server: Arc::new(server.clone()),
            login: login.clone(),
            tls: tls.clone(),
            within,
            proven: Arc::new(ProvenSettings::default()),
            functions: Arc::new(StoredFunctions::default()),
        };
        let logged_in = match timeout(within, opener.log_on(CLASS, UTF8MB4_GENERAL_CI)).await {
            Ok(logged_in) => logged_in?,
            Err(_) => return Err(OpenError::Timeout { within }),
        };
        let LoggedIn { framed, capabilities, version, thread_id, .. } = logged_in;
        Ok(Self {
            framed,
            capabilities,
            server: server.clone(),
            version,
            thread_id,
            is_mid_answer: false,
            answer_bytes_max: ANSWER_BYTES_MAX,
        })
    }

    /// The server.
    pub fn server(&self) -> &ServerId {
        &self.server
    }

    /// Family and number of the server.
    pub fn version(&self) -> &ServerVersion {
        &self.version
    }

    /// Family of the server.
    pub fn flavour(&self) -> Flavour {
        self.version.flavour
    }

    /// The connection's id on the server, for [`Self::kill`] on another one.
    pub fn thread_id(&self) -> u32 {
        self.thread_id
    }

    /// True if the connection can be used no more.
    pub fn is_lost(&self) -> bool {
        self.is_mid_answer
    }

    /// True if the connection is open as far as can be told without asking, and the server sent nothing.
    /// Costs no system call unless something happened.
    pub fn is_quiet(&mut self) -> bool {
        !self.is_mid_answer && self.framed.is_quiet()
    }

    /// Bounds the rows that [`Self::query`] collects, bytes; 256 MiB unless set.
    pub fn set_answer_bytes_max(&mut self, bytes_max: usize) {
        self.answer_bytes_max = bytes_max;
    }

    /// Bytes read from and written to the server so far.
    pub fn traffic(&self) -> (u64, u64) {
        self.framed.traffic()
    }

    /// Runs one statement and collects its rows, as text.
    ///
    /// **Cancel safety**: none; the connection is lost then.
    ///
    /// # Errors
    /// See [`DirectError`].
    pub async fn query(&mut self, sql: impl AsRef<[u8]>) -> Result<Rows, DirectError> {
        let bytes_max = self.answer_bytes_max;
        let mut stream = self.select(sql).await?;
        let mut rows = Rows { columns: std::mem::take(&mut stream.columns), ..Rows::default() };
        while let Some(row) = stream.next_payload().await? {
            rows.bytes.extend_from_slice(row);
            rows.ends.push(rows.bytes.len());
            if rows.bytes.len() > bytes_max {
                return Err(DirectError::TooLarge { bytes_max });
            }
        }
        rows.end = stream.end;
        Ok(rows)
    }

    /// Runs one statement; its rows, if it gives any, are read and dropped.
    ///
    /// **Cancel safety**: none; the connection is lost then.
    ///
    /// # Errors
    /// See [`DirectError`].
    pub async fn execute(&mut self, sql: impl AsRef<[u8]>) -> Result<OkEnd, DirectError> {
        let mut stream = self.select(sql).await?;
        while stream.next_payload().await?.is_some() {}
        Ok(stream.end)
    }

    /// Runs one statement whose rows are taken one by one: nothing is kept, the server waits meanwhile.
    ///
    /// **Cancel safety**: none; the connection is lost then, and also when the stream is dropped before its
    /// end.
    ///
    /// # Errors
    /// See [`DirectError`].
    pub async fn select(&mut self, sql: impl AsRef<[u8]>) -> Result<RowStream<'_>, DirectError> {
        self.begin(code::QUERY, sql.as_ref()).await?;
        let columns = self.read_columns().await?;
        let (columns, end) = match columns {
            Ok(columns) => (columns, OkEnd::default()),
            Err(end) => (Vec::new(), end),
        };
        Ok(RowStream { width: columns.len(), columns, end, direct: self })
    }

    /// Asks the server whether it is there.
    ///
    /// # Errors
    /// See [`DirectError`].
    pub async fn ping(&mut self) -> Result<(), DirectError> {
        self.begin(code::PING, &[]).await?;
        self.read_columns().await.map(drop)
    }

    /// Ends a statement or a connection of the same server. Gives false if it was gone already.
    ///
    /// # Errors
    /// See [`DirectError`].
    pub async fn kill(&mut self, thread_id: u32, what: Kill) -> Result<bool, DirectError> {
        let word = if what == Kill::Query { "QUERY" } else { "CONNECTION" };
        match self.execute(format!("KILL {word} {thread_id}")).await {
            Ok(_) => Ok(true),
            Err(error) if error.errno() == Some(ER_NO_SUCH_THREAD) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Says goodbye. The server would notice anyhow; this spares its log a line.
    pub async fn close(mut self) {
        if !self.is_mid_answer {
            // Whatever goes wrong, the connection is over.
            let _ = self.begin(code::QUIT, &[]).await;
        }
    }

    /// Sends a command (its code and the rest) that is answered by packets without an end: a dump of the
    /// binary log.
    ///
    /// # Errors
    /// It could not be sent.
    pub async fn into_packets(mut self, command: u8, rest: &[u8]) -> Result<PacketStream, DirectError> {
        self.begin(command, rest).await?;
        Ok(PacketStream::new(self.framed))
    }

    async fn begin(&mut self, command: u8, rest: &[u8]) -> Result<(), DirectError> {
        if self.is_mid_answer {
            return Err(DirectError::Lost { cause: LostCause::MidAnswer, outcome: Outcome::NotSent });
        }
        self.is_mid_answer = true;
        self.framed.reset_sequence();
        let mut payload = Vec::with_capacity(rest.len() + 1);
        payload.push(command);
        payload.extend_from_slice(rest);
        self.framed.write_packet(&payload).await?;
        Ok(())
    }

    /// The first part of an answer: column definitions, or (`Err`) the end of one without rows.
    async fn read_columns(&mut self) -> Result<Result<Vec<Column>, OkEnd>, DirectError> {
        let capabilities = self.capabilities;
        let first = self.framed.read_packet().await?;
        let count = match first.first().copied() {
            Some(OK_BYTE | EOF_BYTE) => {
                let end = OkEnd::of(OkPacket::parse(first, capabilities)?);
                self.finish();
                return Ok(Err(end));
            }
            Some(ERR_BYTE) => return Err(self.refused()),
            Some(LOCAL_INFILE_BYTE) | None => {
                return Err(ProtocolError::Unexpected { what: "no answer to a statement" }.into());
            }
            Some(_) => Cursor::new(first).lenenc("number of columns")?,
        };
        if count > COLUMNS_MAX {
            return Err(ProtocolError::Malformed { what: "number of columns" }.into());
        }
        let mut columns = Vec::with_capacity(count as usize);
        for _ in 0..count {
            columns.push(Column::parse(self.framed.read_packet().await?)?);
        }
        Ok(Ok(columns))
    }

    /// The current packet is an ERR.
    fn refused(&mut self) -> DirectError {
        match ServerError::parse(self.framed.packet()) {
            Ok(error) => {
                let error = DirectError::of_server(error);
                if !error.is_lost() {
                    self.finish();
                }
                error
            }
            Err(error) => error.into(),
        }
    }

    fn finish(&mut self) {
        self.framed.release_packet();
        self.is_mid_answer = false;
    }
}

impl OkEnd {
    fn of(packet: OkPacket) -> Self {
        Self {
            affected_rows: packet.affected_rows,
            last_insert_id: packet.last_insert_id,
            warnings: packet.warnings,
            info: packet.info,
            status: packet.status,
        }
    }
}

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Direct({} #{}, {})", self.server, self.thread_id, self.version.text)
    }
}

/// Rows as they come.
#[derive(Debug)]
pub struct RowStream<'a> {
    direct: &'a mut Direct,
    columns: Vec<Column>,
    width: usize,
    end: OkEnd,
}

impl RowStream<'_> {
    /// The columns; none for a statement that gives no rows.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The next row; `None` behind the last. The row is gone with the next call.
    ///
    /// **Cancel safety**: safe.
    ///
    /// # Errors
    /// See [`DirectError`]; a refusal in the middle of the rows (a timeout of the server's, a KILL QUERY)
    /// makes those that came void.
    pub async fn next(&mut self) -> Result<Option<TextRow<'_>>, DirectError> {
        Ok(self.next_payload().await?.map(TextRow::new))
    }

    /// What the answer ended with; meaningful behind the last row.
    pub fn end(&self) -> &OkEnd {
        &self.end
    }

    async fn next_payload(&mut self) -> Result<Option<&[u8]>, DirectError> {
        let direct = &mut *self.direct;
        if !direct.is_mid_answer {
            return Ok(None);
        }
        let packet = direct.framed.read_packet().await?;
        match packet.first().copied() {
            Some(ERR_BYTE) => return Err(direct.refused()),
            // A row that begins so is longer than a packet: its first value alone is beyond 16 MiB.
            Some(EOF_BYTE) if packet.len() < PAYLOAD_BYTES_MAX => {
                self.end = OkEnd::of(OkPacket::parse(packet, direct.capabilities)?);
                direct.finish();
                return Ok(None);
            }
            _ => TextRow::new(packet).check(self.width)?,
        }
        Ok(Some(direct.framed.packet()))
    }
}
