//! The state machine of one answer.

use std::ops::Range;

use super::{Advance, CommandKind, PrepareOk, ResponseEnd};
use crate::protocol::capability::{Capabilities, StatusFlags};
use crate::protocol::codec::Cursor;
use crate::protocol::errors::ProtocolError;
use crate::protocol::packet::{HEADER_BYTES, Header, PAYLOAD_BYTES_MAX};
use crate::protocol::result::{
    EOF_BYTE, EOF_BYTES_MAX, ERR_BYTE, LOCAL_INFILE_BYTE, OK_BYTE, RawOk, ServerError, SessionChanges,
};

/// A packet that is read whole (OK, ERR, EOF, first packet of a result) at most: session tracking makes the
/// large ones.
const CONTROL_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Columns of a result set at most: MySQL's bound is 4096, its field is 16 bits in prepared statements.
const COLUMNS_MAX: u64 = 65_535;
/// Session variables remembered of one answer at most; a server that tells more is not believed.
const TRACKED_VARIABLES_MAX: usize = 4096;
/// MariaDB's errno of a progress report: not the end of anything.
const PROGRESS_ERRNO: u16 = 0xffff;

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// First packet of a result.
    First,
    /// Column definitions, this many.
    Columns(u32),
    /// The EOF behind column definitions (never with `DEPRECATE_EOF`).
    ColumnsEof,
    /// Rows, and the packet that ends them.
    Rows,
    /// Definitions and EOFs behind the OK of a prepare: packets of the parameters, then of the columns.
    Prepared {
        /// Definitions of parameters left.
        params: u16,
        /// Definitions of columns left.
        columns: u16,
        /// The EOF of the list in front is due.
        eof_due: bool,
    },
    /// The client's file is on its way; the next packet is the server's verdict.
    Upload,
    /// The answer is complete.
    Done,
}

/// A packet at the front of the bytes shown.
#[derive(Clone, Copy)]
struct Packet<'a> {
    header: Header,
    /// The payload, as far as it is there.
    there: &'a [u8],
}

/// What to do with the packet at the front.
enum Step {
    /// Pass it on without looking inside; rows may be longer than what is there.
    Skip,
    /// It is done with, all of it.
    Take,
    /// More bytes are needed to tell.
    Wait,
}

/// Finds the end of one command's answer in a server's wire bytes.
#[derive(Debug)]
pub struct ResponseTracker {
    kind: CommandKind,
    capabilities: Capabilities,
    phase: Phase,
    sequence: u8,
    /// Any sequence id is right for the next packet: the client's file came in between.
    any_sequence: bool,
    /// Payload bytes of the packet being skipped that are still to come.
    skip: usize,
    /// The packet before was full: the next one continues it.
    is_continued: bool,
    /// The rows that are coming are OUT parameters, and the EOF before them said that more follow: the EOF
    /// behind them does not say it again, but an OK follows (`Protocol_binary::send_parameters` of MySQL).
    is_out_parameters: bool,
    /// Where packets that tell of changed session state are in the bytes last shown.
    changed: Vec<Range<usize>>,
    /// The packet in front is one.
    tells_change: bool,
    end: ResponseEnd,
}

impl Default for ResponseTracker {
    fn default() -> Self {
        Self::new()
    }
}

impl ResponseTracker {
    /// A tracker with no answer to wait for.
    pub fn new() -> Self {
        Self {
            kind: CommandKind::None,
            capabilities: Capabilities::NONE,
            phase: Phase::Done,
            sequence: 1,
            any_sequence: false,
            skip: 0,
            is_continued: false,
            is_out_parameters: false,
            changed: Vec::new(),
            tells_change: false,
            end: ResponseEnd::default(),
        }
    }

    /// Starts with the answer to a command of `kind`; `capabilities` are those of the server connection.
    pub fn start(&mut self, kind: CommandKind, capabilities: Capabilities) {
        self.kind = kind;
        self.capabilities = capabilities;
        self.sequence = 1;
        self.any_sequence = false;
        self.skip = 0;
        self.is_continued = false;
        self.is_out_parameters = false;
        self.end = ResponseEnd::default();
        self.phase = match kind {
            CommandKind::None => Phase::Done,
            CommandKind::Fetch | CommandKind::FieldList => Phase::Rows,
            _ => Phase::First,
        };
    }

    /// Sets the number of the answer's first packet: a command of several packets is answered behind its
    /// last.
    pub fn expect_sequence(&mut self, first: u8) {
        self.sequence = first;
    }

    /// True once the answer is complete.
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done && self.skip == 0 && !self.is_continued
    }

    /// True if bytes of the answer were forwarded: it can no longer be replaced by another.
    pub fn has_begun(&self) -> bool {
        self.end.bytes > 0
    }

    /// The sequence id of the server's next packet.
    pub fn sequence(&self) -> u8 {
        self.sequence
    }

    /// What the answer ended with.
    pub fn end(&self) -> &ResponseEnd {
        &self.end
    }

    /// What the answer ended with, taken out.
    pub fn take_end(&mut self) -> ResponseEnd {
        std::mem::take(&mut self.end)
    }

    /// Adds what an answer right behind this one told of session state.
    pub fn add_told(&mut self, behind: &ResponseEnd) {
        self.end.state_changed |= behind.state_changed;
        self.end.is_state_told |= behind.is_state_told;
    }

    /// Places in the bytes last shown of whole packets, header included, that tell of changed session state;
    /// all of them are in what is to be forwarded.
    pub fn changed(&self) -> &[Range<usize>] {
        &self.changed
    }

    /// Looks at wire bytes, starting where the last call's `forward` ended.
    ///
    /// # Errors
    /// The server broke the protocol.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<Advance, ProtocolError> {
        let mut at = 0;
        self.changed.clear();
        loop {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len() - at);
                self.skip -= skipped;
                at += skipped;
            }
            if self.is_done() {
                return Ok(Advance::Done { forward: self.count(at) });
            }
            if self.skip > 0 {
                return Ok(Advance::More { forward: self.count(at) });
            }
            if self.phase == Phase::Rows && !self.is_continued {
                at += self.skip_rows(&bytes[at..]);
            }
            let Some(header) = Header::read(&bytes[at..]) else {
                return Ok(Advance::More { forward: self.count(at) });
            };
            if header.sequence != self.sequence && !self.any_sequence {
                if header.sequence == 0
                    && bytes.get(at + HEADER_BYTES) == Some(&ERR_BYTE)
                    && !self.has_begun()
                {
                    return Err(ProtocolError::Farewell);
                }
                return Err(ProtocolError::OutOfOrder { expected: self.sequence, got: header.sequence });
            }
            let there = &bytes[at + HEADER_BYTES..];
            let packet = Packet { header, there: &there[..there.len().min(header.length)] };
            let was_upload = self.phase == Phase::Upload;
            match self.step(packet)? {
                Step::Wait => return Ok(Advance::More { forward: self.count(at) }),
                Step::Skip => self.skip = header.length,
                Step::Take => at += header.length,
            }
            at += HEADER_BYTES;
            if std::mem::take(&mut self.tells_change) {
                self.changed.push(at - HEADER_BYTES - header.length..at);
            }
            self.sequence = header.sequence.wrapping_add(1);
            self.any_sequence = false;
            self.is_continued = header.is_continued();
            if self.phase == Phase::Upload && !was_upload {
                self.any_sequence = true;
                return Ok(Advance::LocalInfile { forward: self.count(at) });
            }
        }
    }

    /// The hot loop: steps over rows that are there whole and are surely rows; gives their bytes. Whatever is
    /// not that simple is left to [`Self::step`].
    fn skip_rows(&mut self, bytes: &[u8]) -> usize {
        let (mut at, mut rows) = (0, 0);
        while let Some(&[a, b, c, sequence, first]) = bytes[at..].first_chunk::<5>() {
            let length = u32::from_le_bytes([a, b, c, 0]) as usize;
            let end = at + HEADER_BYTES + length;
            let is_plain = length > 0 && length < PAYLOAD_BYTES_MAX && first < EOF_BYTE;
            if !is_plain || end > bytes.len() || sequence != self.sequence {
                break;
            }
            self.sequence = sequence.wrapping_add(1);
            rows += 1;
            at = end;
        }
        if self.kind != CommandKind::FieldList {
            self.end.rows += rows;
        }
        at
    }

    fn count(&mut self, forward: usize) -> usize {
        self.end.bytes += forward as u64;
        forward
    }

    fn step(&mut self, packet: Packet<'_>) -> Result<Step, ProtocolError> {
        if self.is_continued {
            return Ok(Step::Skip);
        }
        match self.phase {
            Phase::Rows => self.step_rows(packet),
            Phase::First => self.step_first(packet),
            Phase::Columns(left) => self.step_columns(packet, left),
            Phase::ColumnsEof => self.step_columns_eof(packet),
            Phase::Prepared { params, columns, eof_due } => {
                self.step_prepared(packet, params, columns, eof_due)
            }
            Phase::Upload => self.step_upload(packet),
            Phase::Done => Err(ProtocolError::Unexpected { what: "bytes behind the answer" }),
        }
    }

    fn step_rows(&mut self, packet: Packet<'_>) -> Result<Step, ProtocolError> {
        let length = packet.header.length;
        let Some(first) = packet.there.first().copied() else {
            return if length == 0 { Err(ProtocolError::Malformed { what: "row" }) } else { Ok(Step::Wait) };
        };
        match first {
            ERR_BYTE => self.take_error(packet),
            EOF_BYTE if self.ends_rows(packet.header) => {
                let Some(payload) = whole(packet, "end of a result set")? else { return Ok(Step::Wait) };
                self.read_result_end(payload)?;
                self.end_result();
                Ok(Step::Take)
            }
            _ => {
                if self.kind != CommandKind::FieldList {
                    self.end.rows += 1;
                }
                Ok(Step::Skip)
            }
        }
    }

    /// A row may start with 0xfe too, but then it is at least 16 MiB long.
    fn ends_rows(&self, header: Header) -> bool {
        if self.capabilities.contains(Capabilities::DEPRECATE_EOF) {
            !header.is_continued()
        } else {
            header.length <= EOF_BYTES_MAX
        }
    }

    fn step_first(&mut self, packet: Packet<'_>) -> Result<Step, ProtocolError> {
        let Some(payload) = whole(packet, "first packet of an answer")? else { return Ok(Step::Wait) };
        let Some(first) = payload.first().copied() else {
            return match self.kind {
                CommandKind::Statistics => self.finish_plain(),
                _ => Err(ProtocolError::Malformed { what: "first packet of an answer" }),
            };
        };
        match (self.kind, first) {
            (_, ERR_BYTE) => self.take_error(packet),
            (CommandKind::Statistics, _) => self.finish_plain(),
            (CommandKind::Prepare, OK_BYTE) => self.read_prepared(payload),
            (CommandKind::Prepare, _) => Err(ProtocolError::Unexpected { what: "the answer to a prepare" }),
            (_, OK_BYTE) => {
                self.read_ok(payload)?;
                self.end_result();
                Ok(Step::Take)
            }
            (CommandKind::Simple | CommandKind::SetOption, EOF_BYTE) => {
                self.read_result_end(payload)?;
                self.end_result();
                Ok(Step::Take)
            }
            (CommandKind::Query | CommandKind::Execute, LOCAL_INFILE_BYTE) => {
                self.phase = Phase::Upload;
                Ok(Step::Take)
            }
            (CommandKind::Query | CommandKind::Execute, _) => self.read_column_count(payload),
            _ => Err(ProtocolError::Unexpected { what: "an OK packet" }),
        }
    }

    fn finish_plain(&mut self) -> Result<Step, ProtocolError> {
        self.end.results += 1;
        self.phase = Phase::Done;
        Ok(Step::Take)
    }

    fn read_column_count(&mut self, payload: &[u8]) -> Result<Step, ProtocolError> {
        let mut cursor = Cursor::new(payload);
        let count = cursor.lenenc("column count")?;
        let mut follow = true;
        if self.capabilities.contains(Capabilities::OPTIONAL_RESULTSET_METADATA) {
            follow = cursor.u8("metadata flag")? != 0;
        }
        if count == 0 || count > COLUMNS_MAX {
            return Err(ProtocolError::Malformed { what: "column count" });
        }
        self.end.columns = count as u32;
        self.phase = if follow { Phase::Columns(count as u32) } else { self.after_columns() };
        Ok(Step::Take)
    }

    fn after_columns(&self) -> Phase {
        if self.capabilities.contains(Capabilities::DEPRECATE_EOF) { Phase::Rows } else { Phase::ColumnsEof }
    }

    fn step_columns(&mut self, packet: Packet<'_>, left: u32) -> Result<Step, ProtocolError> {
        match definition(packet)? {
            Definition::Wait => Ok(Step::Wait),
            Definition::Error => self.take_error(packet),
            Definition::Column => {
                self.phase = if left > 1 { Phase::Columns(left - 1) } else { self.after_columns() };
                Ok(Step::Skip)
            }
        }
    }

    fn step_columns_eof(&mut self, packet: Packet<'_>) -> Result<Step, ProtocolError> {
        let Some(payload) = whole(packet, "EOF packet")? else { return Ok(Step::Wait) };
        if payload.first() == Some(&ERR_BYTE) {
            return self.take_error(packet);
        }
        self.read_eof(payload)?;
        let out_parameters = StatusFlags::PS_OUT_PARAMETERS.with(StatusFlags::MORE_RESULTS);
        self.is_out_parameters = self.end.status.contains(out_parameters);
        if self.kind == CommandKind::Execute && self.end.status.contains(StatusFlags::CURSOR_EXISTS) {
            // Rows come by COM_STMT_FETCH; this EOF ends the answer.
            self.end_result();
        } else {
            self.phase = Phase::Rows;
        }
        Ok(Step::Take)
    }

    fn read_prepared(&mut self, payload: &[u8]) -> Result<Step, ProtocolError> {
        let mut cursor = Cursor::new(payload);
        cursor.u8("prepare OK")?;
        let statement_id = cursor.u32("statement id")?;
        let columns = cursor.u16("column count")?;
        let params = cursor.u16("parameter count")?;
        let (mut warnings, mut follow) = (0, true);
        if cursor.left() >= 3 {
            cursor.u8("filler")?;
            warnings = cursor.u16("prepare warnings")?;
        }
        if self.capabilities.contains(Capabilities::OPTIONAL_RESULTSET_METADATA) && !cursor.is_empty() {
            follow = cursor.u8("metadata flag")? != 0;
        }
        self.end.prepared = Some(PrepareOk { statement_id, columns, params, warnings });
        self.end.warnings = warnings;
        self.end.results += 1;
        let (params, columns) = if follow { (params, columns) } else { (0, 0) };
        self.phase = prepared_phase(params, columns, false);
        Ok(Step::Take)
    }

    fn step_prepared(
        &mut self,
        packet: Packet<'_>,
        params: u16,
        columns: u16,
        eof_due: bool,
    ) -> Result<Step, ProtocolError> {
        if eof_due {
            let Some(payload) = whole(packet, "EOF packet")? else { return Ok(Step::Wait) };
            if payload.first() == Some(&ERR_BYTE) {
                return self.take_error(packet);
            }
            self.read_eof(payload)?;
            self.phase = prepared_phase(params, columns, false);
            return Ok(Step::Take);
        }
        match definition(packet)? {
            Definition::Wait => Ok(Step::Wait),
            Definition::Error => self.take_error(packet),
            Definition::Column => {
                let eof_follows = !self.capabilities.contains(Capabilities::DEPRECATE_EOF);
                let (params, columns) = if params > 0 { (params - 1, columns) } else { (0, columns - 1) };
                // An EOF ends each list that is not empty: when the parameters ran out, or the columns did.
                let list_ended = if self.list_is_params() { params == 0 } else { columns == 0 };
                self.phase = prepared_phase(params, columns, eof_follows && list_ended);
                Ok(Step::Skip)
            }
        }
    }

    /// True if the list in front is that of the parameters.
    fn list_is_params(&self) -> bool {
        matches!(self.phase, Phase::Prepared { params, .. } if params > 0)
    }

    fn step_upload(&mut self, packet: Packet<'_>) -> Result<Step, ProtocolError> {
        let Some(payload) = whole(packet, "answer to an upload")? else { return Ok(Step::Wait) };
        match payload.first() {
            Some(&ERR_BYTE) => self.take_error(packet),
            Some(&OK_BYTE) => {
                self.read_ok(payload)?;
                self.end_result();
                Ok(Step::Take)
            }
            _ => Err(ProtocolError::Unexpected { what: "the answer to an upload" }),
        }
    }

    fn take_error(&mut self, packet: Packet<'_>) -> Result<Step, ProtocolError> {
        let Some(payload) = whole(packet, "ERR packet")? else { return Ok(Step::Wait) };
        let error = ServerError::parse(payload)?;
        if error.errno == PROGRESS_ERRNO {
            return Ok(Step::Take);
        }
        self.end.error = Some(error);
        self.end.is_state_told = false;
        self.end.error_packet_bytes = HEADER_BYTES + payload.len();
        self.end.results += 1;
        self.end.status = self.end.status.without(StatusFlags::MORE_RESULTS);
        self.phase = Phase::Done;
        Ok(Step::Take)
    }

    fn read_eof(&mut self, payload: &[u8]) -> Result<(), ProtocolError> {
        let mut cursor = Cursor::new(payload);
        if cursor.u8("EOF packet")? != EOF_BYTE || payload.len() > EOF_BYTES_MAX {
            return Err(ProtocolError::Unexpected { what: "an EOF packet" });
        }
        self.end.warnings = cursor.u16("EOF warnings")?;
        self.end.status = StatusFlags(cursor.u16("EOF status")?);
        self.end.is_state_told = false;
        if self.end.status.contains(StatusFlags::SESSION_STATE_CHANGED) {
            // MariaDB's only; it does not say what changed.
            self.tells_change = true;
            self.end.state_changed = true;
        }
        Ok(())
    }

    /// Reads the packet that ends rows: EOF, or OK with `DEPRECATE_EOF`.
    fn read_result_end(&mut self, payload: &[u8]) -> Result<(), ProtocolError> {
        if self.capabilities.contains(Capabilities::DEPRECATE_EOF) {
            // An EOF of five bytes from servers that keep it for some commands reads as no OK packet.
            if payload.len() == 5 {
                return self.read_eof(payload);
            }
            return self.read_ok(payload);
        }
        self.read_eof(payload)
    }

    fn read_ok(&mut self, payload: &[u8]) -> Result<(), ProtocolError> {
        let ok = RawOk::parse(payload, self.capabilities)?;
        self.end.status = ok.status;
        self.end.warnings = ok.warnings;
        self.end.affected_rows = self.end.affected_rows.saturating_add(ok.affected_rows);
        self.end.last_insert_id = ok.last_insert_id;
        self.end.is_state_told = true;
        if let Some(changes) = ok.changes {
            self.tells_change = true;
            self.merge_changes(SessionChanges::parse(changes)?)?;
        }
        Ok(())
    }

    fn merge_changes(&mut self, changes: SessionChanges) -> Result<(), ProtocolError> {
        self.end.state_changed |= changes.is_changed == Some(true);
        let kept = self.end.session_state.get_or_insert_default();
        kept.merge(changes);
        if kept.system_variables.len() > TRACKED_VARIABLES_MAX {
            return Err(ProtocolError::Malformed { what: "session state" });
        }
        Ok(())
    }

    fn end_result(&mut self) {
        self.end.results = self.end.results.saturating_add(1);
        let is_out_parameters = std::mem::take(&mut self.is_out_parameters);
        let more = is_out_parameters || self.end.status.contains(StatusFlags::MORE_RESULTS);
        let may_have_more = matches!(self.kind, CommandKind::Query | CommandKind::Execute);
        self.phase = if more && may_have_more { Phase::First } else { Phase::Done };
    }
}

fn prepared_phase(params: u16, columns: u16, eof_due: bool) -> Phase {
    if params == 0 && columns == 0 && !eof_due {
        return Phase::Done;
    }
    Phase::Prepared { params, columns, eof_due }
}

enum Definition {
    Wait,
    Error,
    Column,
}

/// Tells a column definition from an error by the first byte: definitions start with the length of `def`.
fn definition(packet: Packet<'_>) -> Result<Definition, ProtocolError> {
    match packet.there.first() {
        Some(&ERR_BYTE) => Ok(Definition::Error),
        Some(&(EOF_BYTE | OK_BYTE)) => Err(ProtocolError::Unexpected { what: "a column definition" }),
        Some(_) if packet.header.is_continued() => {
            let (bytes, bytes_max) = (packet.header.length, CONTROL_BYTES_MAX);
            Err(ProtocolError::TooLarge { what: "column definition", bytes, bytes_max })
        }
        Some(_) => Ok(Definition::Column),
        None if packet.header.length == 0 => Err(ProtocolError::Malformed { what: "column definition" }),
        None => Ok(Definition::Wait),
    }
}

/// The payload if all of it is there.
fn whole<'a>(packet: Packet<'a>, what: &'static str) -> Result<Option<&'a [u8]>, ProtocolError> {
    let bytes = packet.header.length;
    if bytes > CONTROL_BYTES_MAX {
        return Err(ProtocolError::TooLarge { what, bytes, bytes_max: CONTROL_BYTES_MAX });
    }
    Ok((packet.there.len() == bytes).then_some(packet.there))
}
