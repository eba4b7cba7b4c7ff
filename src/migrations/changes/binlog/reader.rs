//! The state between events: where the reader is, which tables the rows are of, whether a transaction is open.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::change::TableName;
use super::BinlogError;
use super::header::{Checksums, HEADER_BYTES, Header, kind};
use super::payload::Payload;
use super::rows::{self, RowsEvent, RowsFormat, RowsKind};
use super::statement::{Control, Query, Statement};
use super::table::{Names, TableMap};
use super::transaction::{self, TransactionId};
use crate::protocol::codec::Cursor;

/// Offset of the first event of a file.
const FIRST_OFFSET: u64 = 4;
/// Tables that one transaction may change; beyond it the log is not believed.
const TABLES_MAX: usize = 1 << 20;

/// The tables whose rows are wanted, each with a number.
#[derive(Debug, Default)]
pub(in super::super) struct Interest {
    /// By database, a zero byte, table.
    tables: HashMap<Box<[u8]>, usize>,
}

impl Interest {
    /// Wants rows of `table`.
    pub(in super::super) fn insert(&mut self, table: &TableName, number: usize) {
        let key = [table.database.as_bytes(), &[0], table.table.as_bytes()].concat();
        self.tables.insert(key.into(), number);
    }

    /// Wants them no more.
    pub(in super::super) fn remove(&mut self, table: &TableName) {
        let key = [table.database.as_bytes(), &[0], table.table.as_bytes()].concat();
        self.tables.remove(&key[..]);
    }

    fn number(&self, names: &Names<'_>, key: &mut Vec<u8>) -> Option<usize> {
        key.clear();
        key.extend_from_slice(names.database);
        key.push(0);
        key.extend_from_slice(names.table);
        self.tables.get(&key[..]).copied()
    }
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Ending {
    /// It is committed.
    Committed,
    /// What it logged was taken back, but for what could not be.
    RolledBack,
    /// An XA transaction was prepared: whether it commits is told later.
    Prepared,
}

/// What an event says.
#[derive(Debug)]
pub(in super::super) enum Happening {
    /// A transaction begins.
    Began(TransactionId),
    /// Rows of a table that is wanted.
    Rows(RowsEvent),
    /// A statement that is not about transactions.
    Statement {
        /// The statement.
        statement: Statement,
        /// It is a transaction of its own, and ends with it.
        ends: bool,
    },
    /// The transaction ends.
    Ended(Ending),
    /// The server has nothing more to send for now.
    Idle,
    /// The log lacks something.
    Incident,
}

/// Reads one event after the other.
pub(in super::super) struct Reader {
    checksums: Checksums,
    file: Arc<str>,
    /// Behind the last event.
    offset: u64,
    tables: HashMap<u64, Option<Arc<TableMap>>>,
    payload: Option<Payload>,
    /// A transaction is open that only a commit or the like ends.
    is_open: bool,
    key: Vec<u8>,
    text: Vec<u8>,
    /// Of the last event that is in a file.
    timestamp: u32,
    events: u64,
}

impl Reader {
    /// A reader that begins in `file` at `offset`.
    pub(in super::super) fn new(file: &str, offset: u64) -> Self {
        Self {
            checksums: Checksums::Unknown,
            file: file.into(),
            offset,
            tables: HashMap::new(),
            payload: None,
            is_open: false,
            key: Vec::new(),
            text: Vec::new(),
            timestamp: 0,
            events: 0,
        }
    }

    /// File and offset behind the last event.
    pub(in super::super) fn place(&self) -> (&Arc<str>, u64) {
        (&self.file, self.offset)
    }

    /// When the statement of the last event began, seconds since 1970 by the server's clock; 0 before any.
    pub(in super::super) fn timestamp(&self) -> u32 {
        self.timestamp
    }

    /// Events read.
    pub(in super::super) fn events(&self) -> u64 {
        self.events
    }

    /// Reads one event as the server sends it. Behind each, [`Self::read_inside`] is to be called until it
    /// gives nothing.
    ///
    /// # Errors
    /// See [`BinlogError`]; the reader is of no use then.
    pub(in super::super) fn read(
        &mut self,
        event: &[u8],
        interest: &Interest,
    ) -> Result<Option<Happening>, BinlogError> {
        let header = Header::read(event)?;
        if header.size as usize != event.len() {
            return Err(BinlogError::Malformed { what: "the size of an event" });
        }
        self.events += 1;
        if header.kind == kind::FORMAT_DESCRIPTION {
            self.checksums = Checksums::of_format(event)?;
            self.tables.clear();
            self.advance(header);
            return Ok(None);
        }
        let bytes = match self.is_passed_over(header, event)? {
            true => self.checksums.cut(event),
            false => self.checksums.strip(event)?,
        };
        let body = bytes.get(HEADER_BYTES..).ok_or(BinlogError::Truncated { what: "an event" })?;
        let happening = self.take(header, body, interest)?;
        if header.kind != kind::ROTATE {
            self.advance(header);
        }
        Ok(happening)
    }

    /// Goes on within a compressed transaction, if the last event was one.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(in super::super) fn read_inside(
        &mut self,
        interest: &Interest,
    ) -> Result<Option<Happening>, BinlogError> {
        let Some(mut payload) = self.payload.take() else { return Ok(None) };
        while let Some(event) = payload.next()? {
            let header = Header::read(&event)?;
            if header.kind == kind::TRANSACTION_PAYLOAD {
                return Err(BinlogError::Malformed { what: "a compressed transaction within another" });
            }
            self.events += 1;
            if let Some(happening) = self.take(header, &event[HEADER_BYTES..], interest)? {
                self.payload = Some(payload);
                return Ok(Some(happening));
            }
        }
        Ok(None)
    }

    /// Rows of a table that nobody wants: their bytes are not looked at.
    fn is_passed_over(&self, header: Header, event: &[u8]) -> Result<bool, BinlogError> {
        if rows_format(header.kind).is_none() {
            return Ok(false);
        }
        let id = rows::table_id(&event[HEADER_BYTES..])?;
        Ok(self.tables.get(&id).is_some_and(Option::is_none))
    }

    fn advance(&mut self, header: Header) {
        if header.is_artificial() || matches!(header.kind, kind::HEARTBEAT | kind::HEARTBEAT_V2) {
            return;
        }
        // 32 bits of it are told: beyond 4 GiB they begin again.
        let low = u64::from(header.next);
        let same = self.offset >> 32 << 32 | low;
        self.offset = if same < self.offset { same + (1 << 32) } else { same };
        self.timestamp = header.timestamp;
    }

    fn take(
        &mut self,
        header: Header,
        body: &[u8],
        interest: &Interest,
    ) -> Result<Option<Happening>, BinlogError> {
        if let Some(format) = rows_format(header.kind) {
            return self.rows(format, body);
        }
        match header.kind {
            kind::TABLE_MAP => self.table_map(body, interest).map(|()| None),
            kind::QUERY | kind::QUERY_COMPRESSED | kind::EXECUTE_LOAD_QUERY => self.query(header.kind, body),
            kind::GTID => Ok(Some(self.begin(transaction::read_gtid(body)?, false))),
            kind::TAGGED_GTID => Ok(Some(self.begin(transaction::read_tagged(body)?, false))),
            kind::ANONYMOUS_GTID => {
                let id = TransactionId::File { name: Arc::clone(&self.file), offset: self.offset };
                Ok(Some(self.begin(id, false)))
            }
            kind::MARIADB_GTID => {
                let (id, stands_alone) = transaction::read_mariadb(header, body)?;
                Ok(Some(self.begin(id, !stands_alone)))
            }
            kind::XID => Ok(Some(self.end(Ending::Committed))),
            kind::XA_PREPARE => {
                let is_one_phase = Cursor::new(body).u8("an XA prepare")? != 0;
                Ok(Some(self.end(if is_one_phase { Ending::Committed } else { Ending::Prepared })))
            }
            kind::TRANSACTION_PAYLOAD => {
                self.payload = Some(Payload::open(body)?);
                Ok(None)
            }
            kind::ROTATE => self.rotate(body).map(|()| None),
            kind::HEARTBEAT | kind::HEARTBEAT_V2 => Ok(Some(Happening::Idle)),
            kind::INCIDENT => Ok(Some(Happening::Incident)),
            other if is_without_meaning(other) || header.may_be_ignored() => Ok(None),
            other => Err(BinlogError::Unknown { kind: other }),
        }
    }

    fn begin(&mut self, id: TransactionId, is_open: bool) -> Happening {
        self.is_open = is_open;
        self.tables.clear();
        Happening::Began(id)
    }

    fn end(&mut self, ending: Ending) -> Happening {
        self.is_open = false;
        self.tables.clear();
        Happening::Ended(ending)
    }

    fn rotate(&mut self, body: &[u8]) -> Result<(), BinlogError> {
        let mut cursor = Cursor::new(body);
        self.offset = cursor.u64("the offset of a rotation")?.max(FIRST_OFFSET);
        let name = cursor.rest();
        let name = std::str::from_utf8(name).map_err(|_| BinlogError::Malformed { what: "a file name" })?;
        if *self.file != *name {
            self.file = name.into();
        }
        Ok(())
    }

    fn table_map(&mut self, body: &[u8], interest: &Interest) -> Result<(), BinlogError> {
        let names = Names::read(body)?;
        let (id, number) = (names.id, interest.number(&names, &mut self.key));
        let map = number.map(|number| names.map(number)).transpose()?;
        if self.tables.len() >= TABLES_MAX {
            return Err(BinlogError::Malformed { what: "the number of tables of a transaction" });
        }
        self.tables.insert(id, map);
        Ok(())
    }

    fn rows(&mut self, format: RowsFormat, body: &[u8]) -> Result<Option<Happening>, BinlogError> {
        match self.tables.get(&rows::table_id(body)?) {
            Some(Some(map)) => {
                let map = Arc::clone(map);
                Ok(Some(Happening::Rows(RowsEvent::read(body, format, map)?)))
            }
            Some(None) => Ok(None),
            // What ends a statement may name a table that never was: an empty event.
            None if body.len() <= 8 => Ok(None),
            None => Err(BinlogError::Malformed { what: "the table of a rows event" }),
        }
    }

    fn query(&mut self, event: u8, body: &[u8]) -> Result<Option<Happening>, BinlogError> {
        let query = Query::read(body, event == kind::EXECUTE_LOAD_QUERY)?;
        let mut buffer = std::mem::take(&mut self.text);
        buffer.clear();
        let text = query.text(event == kind::QUERY_COMPRESSED, &mut buffer)?;
        let happening = match Control::of(text) {
            Control::Begin => {
                self.is_open = true;
                None
            }
            Control::Nothing => None,
            Control::Commit => Some(self.end(Ending::Committed)),
            Control::Rollback => Some(self.end(Ending::RolledBack)),
            Control::Other => {
                let statement = query.statement(text);
                Some(Happening::Statement { statement, ends: !self.is_open })
            }
        };
        buffer.shrink_to(64 * 1024);
        self.text = buffer;
        Ok(happening)
    }
}

fn rows_format(event: u8) -> Option<RowsFormat> {
    use RowsKind::{Delete, Insert, PartialUpdate, Update};
    let (kind, has_extra, is_compressed) = match event {
        kind::WRITE_ROWS_V1 => (Insert, false, false),
        kind::UPDATE_ROWS_V1 => (Update, false, false),
        kind::DELETE_ROWS_V1 => (Delete, false, false),
        kind::WRITE_ROWS => (Insert, true, false),
        kind::UPDATE_ROWS => (Update, true, false),
        kind::DELETE_ROWS => (Delete, true, false),
        kind::PARTIAL_UPDATE_ROWS => (PartialUpdate, true, false),
        kind::WRITE_ROWS_COMPRESSED_V1 => (Insert, false, true),
        kind::UPDATE_ROWS_COMPRESSED_V1 => (Update, false, true),
        kind::DELETE_ROWS_COMPRESSED_V1 => (Delete, false, true),
        kind::WRITE_ROWS_COMPRESSED => (Insert, true, true),
        kind::UPDATE_ROWS_COMPRESSED => (Update, true, true),
        kind::DELETE_ROWS_COMPRESSED => (Delete, true, true),
        _ => return None,
    };
    Some(RowsFormat { kind, has_extra, is_compressed })
}

/// Events that say nothing about rows.
fn is_without_meaning(event: u8) -> bool {
    matches!(
        event,
        kind::STOP
            | kind::INTVAR
            | kind::RAND
            | kind::USER_VAR
            | kind::BEGIN_LOAD_QUERY
            | kind::IGNORABLE
            | kind::ROWS_QUERY
            | kind::PREVIOUS_GTIDS
            | kind::TRANSACTION_CONTEXT
            | kind::VIEW_CHANGE
            | kind::ANNOTATE_ROWS
            | kind::BINLOG_CHECKPOINT
            | kind::GTID_LIST
            | kind::START_ENCRYPTION
    )
}
