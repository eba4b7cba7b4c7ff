//! What Bulkhead knows of a statement after reading it.
//!
//! SELECT and DML are trees of `sqlparser` whose spans give byte offsets (`byte_span`); everything else is
//! read by small parsers of our own, which keep names with their spans and pass over what does not matter to
//! routing. What cannot be read is [`Unread`]; it is never called a syntax error, that is for the server to
//! say.

mod admin;
mod cursor;
mod ddl;
mod set;
mod show;
mod table;
mod transaction;
mod types;

pub use table::*;
pub use types::*;

use sqlparser::ast::Statement;

use self::cursor::Cursor;
use super::lexer::SqlMode;
use super::scan::{Scan, ScanFlags, StatementKind};
use super::span::Span;

/// A statement that was read.
#[derive(Clone, Debug, PartialEq)]
pub enum Parsed {
    /// SELECT, VALUES, TABLE, INSERT, REPLACE, UPDATE, DELETE.
    Query(Box<Statement>),
    /// SET of variables, names, character sets, transaction characteristics, passwords, roles; in order.
    Set(Vec<SetItem>),
    /// BEGIN, COMMIT, ROLLBACK, savepoints.
    Transaction(TransactionStatement),
    /// XA of all kinds.
    Xa(XaStatement),
    /// USE.
    Use {
        /// The database.
        database: Name,
    },
    /// SHOW.
    Show(ShowStatement),
    /// DESCRIBE of a table.
    Describe {
        /// The table.
        table: ObjectName,
    },
    /// EXPLAIN of a statement or a connection.
    Explain(ExplainStatement),
    /// CREATE, ALTER, DROP, RENAME, TRUNCATE.
    Ddl(DdlStatement),
    /// KILL.
    Kill(KillStatement),
    /// PREPARE … FROM.
    Prepare {
        /// Name of the prepared statement.
        name: Name,
        /// Where its text comes from.
        source: PrepareSource,
    },
    /// EXECUTE.
    Execute {
        /// Name of the prepared statement.
        name: Name,
        /// USING: user variables, without `@`.
        using: Vec<Name>,
    },
    /// MariaDB's EXECUTE IMMEDIATE.
    ExecuteImmediate {
        /// Where its text comes from.
        source: PrepareSource,
        /// The expressions behind USING.
        using: Option<Span>,
    },
    /// DEALLOCATE PREPARE.
    Deallocate {
        /// Name of the prepared statement.
        name: Name,
    },
    /// LOCK TABLES.
    LockTables(Vec<LockedTable>),
    /// UNLOCK TABLES.
    UnlockTables,
    /// CALL.
    Call {
        /// The procedure.
        procedure: ObjectName,
    },
    /// DO: the tree is a SELECT of the same expressions; there is no answer but OK.
    Do(Box<Statement>),
    /// HANDLER of a table.
    Handler(HandlerStatement),
    /// LOAD DATA, LOAD XML.
    LoadData(LoadStatement),
    /// ANALYZE, OPTIMIZE, CHECK, REPAIR, CHECKSUM of tables.
    TableAdmin(TableAdminStatement),
    /// FLUSH.
    Flush(FlushStatement),
    /// Known by its first words, with nothing in it that matters to routing.
    Other(StatementKind),
}

/// A statement that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why} (at byte {at})")]
pub struct Unread {
    /// Byte offset of the place.
    pub at: usize,
    /// What is in the way.
    pub why: UnreadReason,
}

/// Why a statement could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadReason {
    /// Too many tokens, or too deep: to be answered with "statement too complex".
    #[error("the statement has too many {what}: {count} of at most {limit}")]
    TooComplex {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many may be.
        limit: usize,
    },
    /// A form that is not known here; the server may well know it.
    #[error("not understood: {0}")]
    Form(&'static str),
    /// Something is not closed, or a byte is not SQL.
    #[error("a string, name or comment is not closed, or a byte is not SQL")]
    Invalid,
}

/// Reads the statement of `scan`.
///
/// # Errors
/// [`Unread`] with the place and reason; never a verdict on the client's SQL.
pub fn parse(text: &[u8], scan: &Scan, mode: SqlMode) -> Result<Parsed, Unread> {
    if scan.flags.contains(ScanFlags::INVALID) {
        return Err(Unread { at: scan.body.start as usize, why: UnreadReason::Invalid });
    }
    match scan.kind {
        StatementKind::Select
        | StatementKind::Values
        | StatementKind::Table
        | StatementKind::Insert
        | StatementKind::Replace
        | StatementKind::Update
        | StatementKind::Delete => super::query::parse_query(text, scan, mode).map(Parsed::Query),
        StatementKind::Do => super::query::parse_query(text, scan, mode).map(Parsed::Do),
        kind if has_own_parser(kind) => parse_other(&mut Cursor::new(text, scan.body, mode)?, kind),
        kind => Ok(Parsed::Other(kind)),
    }
}

fn has_own_parser(kind: StatementKind) -> bool {
    use StatementKind::{
        Compound, Empty, Grant, Help, Install, Replication, Reset, Revoke, Server, Signal, Unknown,
    };
    !matches!(
        kind,
        Compound | Empty | Grant | Help | Install | Replication | Reset | Revoke | Server | Signal | Unknown
    )
}

fn parse_other(cursor: &mut Cursor<'_>, kind: StatementKind) -> Result<Parsed, Unread> {
    use StatementKind as Kind;
    Ok(match kind {
        Kind::Set => Parsed::Set(set::read(cursor)?),
        Kind::Begin | Kind::Commit | Kind::Rollback | Kind::Savepoint | Kind::ReleaseSavepoint => {
            transaction::read(cursor)?
        }
        Kind::Xa => transaction::read_xa(cursor)?,
        Kind::Use => Parsed::Use { database: ddl::read_use(cursor)? },
        Kind::Show => show::read(cursor)?,
        Kind::Explain => show::read_explain(cursor)?,
        Kind::Create | Kind::Alter | Kind::Drop | Kind::Rename | Kind::Truncate => {
            Parsed::Ddl(ddl::read(cursor)?)
        }
        Kind::Kill => admin::read_kill(cursor)?,
        Kind::Prepare => admin::read_prepare(cursor)?,
        Kind::Execute => admin::read_execute(cursor)?,
        Kind::Deallocate => admin::read_deallocate(cursor)?,
        Kind::Lock => admin::read_lock(cursor)?.unwrap_or(Parsed::Other(kind)),
        Kind::Unlock if cursor.word_at(1, "TABLES") || cursor.word_at(1, "TABLE") => Parsed::UnlockTables,
        Kind::Call => admin::read_call(cursor)?,
        Kind::Handler => admin::read_handler(cursor)?,
        Kind::Load => admin::read_load(cursor)?,
        Kind::TableAdmin => admin::read_table_admin(cursor)?.unwrap_or(Parsed::Other(kind)),
        Kind::Flush => admin::read_flush(cursor)?,
        other => Parsed::Other(other),
    })
}
