//! Query events: what controls transactions, and everything else.

use super::{BinlogError, envelope};
use crate::protocol::codec::Cursor;

/// Fields of EXECUTE_LOAD_QUERY that a query event does not have.
const LOAD_FIELDS_BYTES: usize = 13;

/// A statement as it was logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Statement {
    /// The session's database; empty for none.
    pub(in super::super) database: String,
    /// Its text; what is not UTF-8 is replaced.
    pub(in super::super) text: String,
    /// The session's sql_mode, bits.
    mode: u64,
}

/// Modes that change how a text is read: `PIPES_AS_CONCAT`, `ANSI_QUOTES`, `IGNORE_SPACE`,
/// `NO_BACKSLASH_ESCAPES`.
const MODES: [(u64, &str); 4] =
    [(2, "PIPES_AS_CONCAT"), (4, "ANSI_QUOTES"), (8, "IGNORE_SPACE"), (1 << 20, "NO_BACKSLASH_ESCAPES")];

impl Statement {
    /// A statement of a session with no such mode.
    #[cfg(test)]
    pub(in super::super) fn new(database: &str, text: &str) -> Self {
        Self { database: database.to_owned(), text: text.to_owned(), mode: 0 }
    }

    /// The modes that change how the text is read, by name, with commas between.
    pub(in super::super) fn modes(&self) -> String {
        let names = MODES.iter().filter(|(bit, _)| self.mode & bit != 0).map(|(_, name)| *name);
        names.collect::<Vec<_>>().join(",")
    }
}

/// What a statement does to the transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    Begin,
    Commit,
    Rollback,
    /// A savepoint, the end of an XA transaction's statements: nothing yet.
    Nothing,
    /// Something else.
    Other,
}

impl Control {
    pub(super) fn of(text: &[u8]) -> Self {
        let starts = |word: &str| {
            text.get(..word.len()).is_some_and(|front| front.eq_ignore_ascii_case(word.as_bytes()))
        };
        match text {
            _ if text.eq_ignore_ascii_case(b"BEGIN") || starts("XA START") => Self::Begin,
            _ if text.eq_ignore_ascii_case(b"COMMIT") || starts("XA COMMIT") => Self::Commit,
            _ if text.eq_ignore_ascii_case(b"ROLLBACK") || starts("XA ROLLBACK") => Self::Rollback,
            _ if starts("SAVEPOINT ") || starts("XA END") => Self::Nothing,
            _ => Self::Other,
        }
    }
}

/// The parts of a query event.
pub(super) struct Query<'a> {
    database: &'a [u8],
    text: &'a [u8],
    mode: u64,
}

impl<'a> Query<'a> {
    pub(super) fn read(body: &'a [u8], is_load: bool) -> Result<Self, BinlogError> {
        let mut cursor = Cursor::new(body);
        let what = "the fields of a query";
        cursor.take(8, what)?;
        let database = usize::from(cursor.u8(what)?);
        cursor.u16(what)?;
        let variables = usize::from(cursor.u16(what)?);
        if is_load {
            cursor.take(LOAD_FIELDS_BYTES, what)?;
        }
        let mode = read_mode(cursor.take(variables, "the variables of a query")?);
        let database = cursor.take(database, "the database of a query")?;
        cursor.u8("the database of a query")?;
        Ok(Self { database, text: cursor.rest(), mode })
    }

    /// The text, unpacked into `buffer` if it is compressed.
    pub(super) fn text<'b>(
        &self,
        is_compressed: bool,
        buffer: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], BinlogError>
    where
        'a: 'b,
    {
        if !is_compressed {
            return Ok(self.text);
        }
        envelope::open(self.text, buffer)?;
        Ok(buffer)
    }

    pub(super) fn statement(&self, text: &[u8]) -> Statement {
        Statement {
            database: String::from_utf8_lossy(self.database).into_owned(),
            text: String::from_utf8_lossy(text).into_owned(),
            mode: self.mode,
        }
    }
}

/// The sql_mode among a query's variables: flags (code 0, four bytes) and mode (code 1, eight) come first.
fn read_mode(variables: &[u8]) -> u64 {
    let rest = match variables {
        [0, _, _, _, _, rest @ ..] => rest,
        rest => rest,
    };
    match rest {
        [1, mode @ ..] => mode.first_chunk().map_or(0, |mode| u64::from_le_bytes(*mode)),
        _ => 0,
    }
}
