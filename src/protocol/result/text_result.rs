//! Text result sets: building our own, reading rows. **Source**: MySQL internals, "Text Resultset".

use super::{Column, eof, result_end};
use crate::protocol::capability::{Capabilities, StatusFlags};
use crate::protocol::codec::{Cursor, LENENC_NULL, put_lenenc, put_lenenc_bytes};
use crate::protocol::errors::ProtocolError;
use crate::protocol::packet;

/// Builds a text result set as packets.
///
/// **Shape**: [`Self::finish`] gives wire bytes, headers included, numbered from the sequence id given; for
/// long results take what is there by [`Self::take`] and write it as rows come.
#[derive(Debug)]
pub struct TextResult {
    capabilities: Capabilities,
    columns: usize,
    wire: Vec<u8>,
    row: Vec<u8>,
    row_values: usize,
    sequence: u8,
}

impl TextResult {
    /// Starts a result set of `columns`; packets are numbered from `sequence` (1 for an answer).
    pub fn new(capabilities: Capabilities, columns: &[Column], sequence: u8, status: StatusFlags) -> Self {
        let mut result = Self {
            capabilities,
            columns: columns.len(),
            wire: Vec::with_capacity(64 * (columns.len() + 2)),
            row: Vec::new(),
            row_values: 0,
            sequence,
        };
        let mut payload = Vec::with_capacity(64);
        put_lenenc(&mut payload, columns.len() as u64);
        if capabilities.contains(Capabilities::OPTIONAL_RESULTSET_METADATA) {
            payload.push(1);
        }
        result.push(&payload);
        for column in columns {
            payload.clear();
            column.put(&mut payload);
            result.push(&payload);
        }
        if !capabilities.contains(Capabilities::DEPRECATE_EOF) {
            result.push(&eof(status, 0));
        }
        result
    }

    fn push(&mut self, payload: &[u8]) {
        self.sequence = packet::put_packets(&mut self.wire, payload, self.sequence);
    }

    /// Adds a value to the row; `None` is NULL. The row is complete with as many values as columns.
    pub fn value(&mut self, value: Option<&[u8]>) -> &mut Self {
        match value {
            Some(bytes) => put_lenenc_bytes(&mut self.row, bytes),
            None => self.row.push(LENENC_NULL),
        }
        self.row_values += 1;
        if self.row_values == self.columns {
            let mut row = std::mem::take(&mut self.row);
            self.push(&row);
            row.clear();
            self.row = row;
            self.row_values = 0;
        }
        self
    }

    /// Adds a text value.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.value(Some(value.as_bytes()))
    }

    /// Adds a value as its `Display` prints it (numbers).
    pub fn display(&mut self, value: impl std::fmt::Display) -> &mut Self {
        self.text(&value.to_string())
    }

    /// Adds a whole row of text values; missing ones are NULL, surplus ones are left out.
    pub fn row<'a>(&mut self, values: impl IntoIterator<Item = Option<&'a str>>) -> &mut Self {
        let mut values = values.into_iter();
        for _ in 0..self.columns {
            self.value(values.next().flatten().map(str::as_bytes));
        }
        self
    }

    /// Adds a whole row of text values, none of them NULL, as answers to an execution of a prepared statement
    /// have it (MySQL internals, "Binary Protocol Resultset Row").
    pub fn binary_row(&mut self, values: &[&str]) -> &mut Self {
        let mut row = vec![0; 1 + (values.len() + 7 + 2) / 8];
        values.iter().for_each(|value| put_lenenc_bytes(&mut row, value.as_bytes()));
        self.push(&row);
        self
    }

    /// Takes the packets made so far.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.wire)
    }

    /// Bytes of packets made and not taken.
    pub fn pending_bytes(&self) -> usize {
        self.wire.len()
    }

    /// Ends the result set and gives its packets (those not taken yet). A row begun is completed with NULLs.
    pub fn finish(mut self, status: StatusFlags, warnings: u16) -> Vec<u8> {
        while self.row_values > 0 {
            self.value(None);
        }
        let end = result_end(self.capabilities, status, warnings);
        self.push(&end);
        self.wire
    }

    /// The sequence id after the packets made so far.
    pub fn sequence(&self) -> u8 {
        self.sequence
    }
}

/// Reads the values of a text row.
///
/// # Errors
/// `Truncated`, `Malformed`; `Malformed` too if bytes are left over.
pub fn parse_text_row(payload: &[u8], columns: usize) -> Result<Vec<Option<&[u8]>>, ProtocolError> {
    let mut cursor = Cursor::new(payload);
    let mut values = Vec::with_capacity(columns.min(payload.len()));
    for _ in 0..columns {
        values.push(cursor.lenenc_nullable("value of a row")?);
    }
    if !cursor.is_empty() {
        return Err(ProtocolError::Malformed { what: "row" });
    }
    Ok(values)
}
