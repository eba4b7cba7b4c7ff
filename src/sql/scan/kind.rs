//! The kind of a statement, from its first words.

/// What a statement does, as far as its first words tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StatementKind {
    /// Nothing but space and comments.
    Empty,
    /// SELECT, also in parentheses or after WITH.
    Select,
    /// VALUES ROW(…).
    Values,
    /// TABLE t.
    Table,
    /// INSERT.
    Insert,
    /// REPLACE.
    Replace,
    /// UPDATE, also after WITH.
    Update,
    /// DELETE, also after WITH.
    Delete,
    /// LOAD DATA, LOAD XML.
    Load,
    /// CALL.
    Call,
    /// DO.
    Do,
    /// HANDLER.
    Handler,
    /// SET in all forms.
    Set,
    /// BEGIN, START TRANSACTION.
    Begin,
    /// COMMIT.
    Commit,
    /// ROLLBACK, also ROLLBACK TO.
    Rollback,
    /// SAVEPOINT.
    Savepoint,
    /// RELEASE SAVEPOINT.
    ReleaseSavepoint,
    /// XA.
    Xa,
    /// USE.
    Use,
    /// SHOW.
    Show,
    /// EXPLAIN, DESCRIBE, DESC; also MariaDB's ANALYZE of a statement.
    Explain,
    /// CREATE.
    Create,
    /// ALTER.
    Alter,
    /// DROP.
    Drop,
    /// RENAME.
    Rename,
    /// TRUNCATE.
    Truncate,
    /// ANALYZE, OPTIMIZE, CHECK, REPAIR, CHECKSUM of tables, CACHE INDEX, LOAD INDEX.
    TableAdmin,
    /// LOCK TABLES, LOCK INSTANCE.
    Lock,
    /// UNLOCK TABLES, UNLOCK INSTANCE.
    Unlock,
    /// PREPARE.
    Prepare,
    /// EXECUTE.
    Execute,
    /// DEALLOCATE or DROP PREPARE.
    Deallocate,
    /// KILL.
    Kill,
    /// FLUSH.
    Flush,
    /// RESET.
    Reset,
    /// GRANT.
    Grant,
    /// REVOKE.
    Revoke,
    /// CHANGE, START, STOP of replication, PURGE, BINLOG.
    Replication,
    /// INSTALL, UNINSTALL.
    Install,
    /// SIGNAL, RESIGNAL, GET DIAGNOSTICS.
    Signal,
    /// HELP.
    Help,
    /// IMPORT, CLONE, SHUTDOWN, RESTART, BACKUP and others of the server as a whole.
    Server,
    /// MariaDB's BEGIN NOT ATOMIC and control flow outside of routines.
    Compound,
    /// Not known to Bulkhead; the server decides.
    #[default]
    Unknown,
}

impl StatementKind {
    /// Says whether plans of this kind are cached by shape: literals are left out of the shape only then.
    pub fn is_query(self) -> bool {
        use StatementKind::{Call, Delete, Do, Insert, Replace, Select, Table, Update, Values};
        matches!(self, Select | Values | Table | Insert | Replace | Update | Delete | Call | Do)
    }

    /// Lower-case name for people and metrics.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(kind, _)| *kind == self).map_or("unknown", |(_, name)| name)
    }
}

const NAMES: &[(StatementKind, &str)] = &[
    (StatementKind::Empty, "empty"),
    (StatementKind::Select, "select"),
    (StatementKind::Values, "values"),
    (StatementKind::Table, "table"),
    (StatementKind::Insert, "insert"),
    (StatementKind::Replace, "replace"),
    (StatementKind::Update, "update"),
    (StatementKind::Delete, "delete"),
    (StatementKind::Load, "load"),
    (StatementKind::Call, "call"),
    (StatementKind::Do, "do"),
    (StatementKind::Handler, "handler"),
    (StatementKind::Set, "set"),
    (StatementKind::Begin, "begin"),
    (StatementKind::Commit, "commit"),
    (StatementKind::Rollback, "rollback"),
    (StatementKind::Savepoint, "savepoint"),
    (StatementKind::ReleaseSavepoint, "release_savepoint"),
    (StatementKind::Xa, "xa"),
    (StatementKind::Use, "use"),
    (StatementKind::Show, "show"),
    (StatementKind::Explain, "explain"),
    (StatementKind::Create, "create"),
    (StatementKind::Alter, "alter"),
    (StatementKind::Drop, "drop"),
    (StatementKind::Rename, "rename"),
    (StatementKind::Truncate, "truncate"),
    (StatementKind::TableAdmin, "table_admin"),
    (StatementKind::Lock, "lock"),
    (StatementKind::Unlock, "unlock"),
    (StatementKind::Prepare, "prepare"),
    (StatementKind::Execute, "execute"),
    (StatementKind::Deallocate, "deallocate"),
    (StatementKind::Kill, "kill"),
    (StatementKind::Flush, "flush"),
    (StatementKind::Reset, "reset"),
    (StatementKind::Grant, "grant"),
    (StatementKind::Revoke, "revoke"),
    (StatementKind::Replication, "replication"),
    (StatementKind::Install, "install"),
    (StatementKind::Signal, "signal"),
    (StatementKind::Help, "help"),
    (StatementKind::Server, "server"),
    (StatementKind::Compound, "compound"),
];

/// The kind by the first word alone.
const FIRST: &[(&str, StatementKind)] = &[
    ("SELECT", StatementKind::Select),
    ("INSERT", StatementKind::Insert),
    ("UPDATE", StatementKind::Update),
    ("DELETE", StatementKind::Delete),
    ("REPLACE", StatementKind::Replace),
    ("VALUES", StatementKind::Values),
    ("TABLE", StatementKind::Table),
    ("WITH", StatementKind::Select),
    ("SET", StatementKind::Set),
    ("BEGIN", StatementKind::Begin),
    ("COMMIT", StatementKind::Commit),
    ("ROLLBACK", StatementKind::Rollback),
    ("SAVEPOINT", StatementKind::Savepoint),
    ("RELEASE", StatementKind::ReleaseSavepoint),
    ("XA", StatementKind::Xa),
    ("USE", StatementKind::Use),
    ("SHOW", StatementKind::Show),
    ("EXPLAIN", StatementKind::Explain),
    ("DESCRIBE", StatementKind::Explain),
    ("DESC", StatementKind::Explain),
    ("CREATE", StatementKind::Create),
    ("ALTER", StatementKind::Alter),
    ("DROP", StatementKind::Drop),
    ("RENAME", StatementKind::Rename),
    ("TRUNCATE", StatementKind::Truncate),
    ("ANALYZE", StatementKind::TableAdmin),
    ("OPTIMIZE", StatementKind::TableAdmin),
    ("CHECK", StatementKind::TableAdmin),
    ("REPAIR", StatementKind::TableAdmin),
    ("CHECKSUM", StatementKind::TableAdmin),
    ("CACHE", StatementKind::TableAdmin),
    ("LOAD", StatementKind::Load),
    ("LOCK", StatementKind::Lock),
    ("UNLOCK", StatementKind::Unlock),
    ("PREPARE", StatementKind::Prepare),
    ("EXECUTE", StatementKind::Execute),
    ("DEALLOCATE", StatementKind::Deallocate),
    ("KILL", StatementKind::Kill),
    ("CALL", StatementKind::Call),
    ("DO", StatementKind::Do),
    ("HANDLER", StatementKind::Handler),
    ("FLUSH", StatementKind::Flush),
    ("RESET", StatementKind::Reset),
    ("GRANT", StatementKind::Grant),
    ("REVOKE", StatementKind::Revoke),
    ("CHANGE", StatementKind::Replication),
    ("STOP", StatementKind::Replication),
    ("PURGE", StatementKind::Replication),
    ("BINLOG", StatementKind::Replication),
    ("INSTALL", StatementKind::Install),
    ("UNINSTALL", StatementKind::Install),
    ("SIGNAL", StatementKind::Signal),
    ("RESIGNAL", StatementKind::Signal),
    ("GET", StatementKind::Signal),
    ("HELP", StatementKind::Help),
    ("IMPORT", StatementKind::Server),
    ("CLONE", StatementKind::Server),
    ("SHUTDOWN", StatementKind::Server),
    ("RESTART", StatementKind::Server),
    ("BACKUP", StatementKind::Server),
    ("IF", StatementKind::Compound),
    ("LOOP", StatementKind::Compound),
    ("WHILE", StatementKind::Compound),
    ("REPEAT", StatementKind::Compound),
    ("CASE", StatementKind::Compound),
];

/// The kind by the first two words, in this order.
pub(super) fn classify(first: &[u8], second: &[u8]) -> StatementKind {
    let kind =
        FIRST.iter().find(|(word, _)| word.as_bytes().eq_ignore_ascii_case(first)).map(|(_, kind)| *kind);
    let second = |word: &str| second.eq_ignore_ascii_case(word.as_bytes());
    match kind {
        None if first.eq_ignore_ascii_case(b"START") => {
            if second("TRANSACTION") {
                StatementKind::Begin
            } else {
                StatementKind::Replication
            }
        }
        Some(StatementKind::Begin) if second("NOT") => StatementKind::Compound,
        Some(StatementKind::Drop) if second("PREPARE") => StatementKind::Deallocate,
        Some(StatementKind::Load) if second("INDEX") => StatementKind::TableAdmin,
        Some(StatementKind::TableAdmin) if first.eq_ignore_ascii_case(b"ANALYZE") => {
            let statement = ["SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "FORMAT"];
            if statement.iter().any(|word| second(word)) {
                StatementKind::Explain
            } else {
                StatementKind::TableAdmin
            }
        }
        Some(StatementKind::Commit) if second("PREPARED") => StatementKind::Xa,
        Some(kind) => kind,
        None => StatementKind::Unknown,
    }
}
