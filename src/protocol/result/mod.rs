//! Answers of our own, and the parts of answers that are read: OK, ERR, EOF, column definitions, text rows.
//!
//! Owns the encoding both ways. What is written honours the client's capabilities (OK instead of EOF, session
//! tracking, no metadata), and metadata is what MySQL itself sends for the type: charset, length, flags and
//! decimals.

mod column;
mod packets;
mod text_result;

pub use column::{BINARY_COLLATION, Column, ColumnType, DECIMALS_NOT_FIXED, UTF8MB4_COLLATION, column_flags};
pub use packets::{
    EOF_BYTE, EOF_BYTES_MAX, ERR_BYTE, GENERAL_SQLSTATE, LOCAL_INFILE_BYTE, OK_BYTE, OkPacket, ServerError,
    SessionChanges, eof, err, ok, result_end,
};
pub(crate) use packets::{RawOk, TRACK_STATE};
pub use text_result::{TextResult, parse_text_row};

/// Text of a server, for us to read: what is not UTF-8 is replaced.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests;
