//! The parts of statements that are not queries.

use sqlparser::ast::Statement;

use crate::sql::span::Span;

/// A name without its quotes, and where it stands with them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    /// The name; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// Where it stands, quotes included.
    pub span: Span,
}

/// `name` or `qualifier.name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectName {
    /// The database.
    pub qualifier: Option<Name>,
    /// The object.
    pub name: Name,
}

impl ObjectName {
    /// From the first to the last byte.
    pub fn span(&self) -> Span {
        self.qualifier.as_ref().map_or(self.name.span, |qualifier| qualifier.span.to(self.name.span))
    }
}

/// Where a variable is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VariableScope {
    /// No word: the session's value, or a local variable of a routine.
    Implicit,
    /// SESSION or LOCAL.
    Session,
    /// GLOBAL.
    Global,
    /// PERSIST.
    Persist,
    /// PERSIST_ONLY.
    PersistOnly,
}

/// What a value in SET is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ValueKind {
    /// A string, with escapes undone (lossy when not UTF-8).
    Text(String),
    /// A number with its sign, as written.
    Number(String),
    /// A bare word: `ON`, `utf8mb4`, `STRICT`.
    Word(String),
    /// NULL.
    Null,
    /// `x'…'`, `b'…'` or a string with an introducer: take the bytes of the span as SQL.
    Opaque,
    /// DEFAULT.
    Default,
    /// `?`.
    Placeholder,
    /// An expression of literals and functions only: the same wherever it runs.
    Constant,
    /// An expression that reads variables, tables or the session: must be run where it was meant.
    Relative,
}

/// The right side of an assignment in SET.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SetValue {
    /// What it is.
    pub kind: ValueKind,
    /// The expression's bytes.
    pub span: Span,
}

/// One item of a SET list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SetItem {
    /// `SET [scope] name = value`, `SET @@scope.name = value`. The name is in lower case; `a.b` for variables
    /// of components and key caches.
    Variable {
        /// Where it is set.
        scope: VariableScope,
        /// The variable.
        name: Name,
        /// Its new value.
        value: SetValue,
    },
    /// `SET @name = value`; the name is without `@`, in lower case (MySQL's are case-insensitive).
    UserVariable {
        /// The variable.
        name: Name,
        /// Its new value.
        value: SetValue,
    },
    /// `SET NAMES charset [COLLATE collation]`; `None` is DEFAULT.
    Names {
        /// The character set.
        charset: Option<Name>,
        /// The collation.
        collation: Option<Name>,
    },
    /// `SET CHARACTER SET charset`, `SET CHARSET charset`; `None` is DEFAULT.
    CharacterSet {
        /// The character set.
        charset: Option<Name>,
    },
    /// `SET [scope] TRANSACTION …`. The implicit scope means the next transaction only.
    Transaction {
        /// Where it is set.
        scope: VariableScope,
        /// ISOLATION LEVEL.
        isolation: Option<IsolationLevel>,
        /// READ WRITE (false), READ ONLY (true).
        read_only: Option<bool>,
    },
    /// SET PASSWORD.
    Password,
    /// SET ROLE and SET DEFAULT ROLE.
    Role {
        /// SET DEFAULT ROLE: of accounts, not of the session.
        default: bool,
    },
    /// SET RESOURCE GROUP.
    ResourceGroup,
    /// MariaDB's `SET STATEMENT name = value, … FOR statement`.
    ForStatement {
        /// The statement behind FOR.
        statement: Span,
    },
}

/// A transaction isolation level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IsolationLevel {
    /// READ UNCOMMITTED.
    ReadUncommitted,
    /// READ COMMITTED.
    ReadCommitted,
    /// REPEATABLE READ.
    RepeatableRead,
    /// SERIALIZABLE.
    Serializable,
}

/// `[NO] CHAIN`, `[NO] RELEASE` after COMMIT and ROLLBACK; `None` where nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Completion {
    /// AND CHAIN: a new transaction begins at once.
    pub chain: Option<bool>,
    /// RELEASE: the client is disconnected.
    pub release: Option<bool>,
}

/// A statement about transactions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TransactionStatement {
    /// BEGIN, START TRANSACTION.
    Begin {
        /// WITH CONSISTENT SNAPSHOT.
        consistent_snapshot: bool,
        /// READ WRITE (false), READ ONLY (true).
        read_only: Option<bool>,
    },
    /// COMMIT.
    Commit(Completion),
    /// ROLLBACK.
    Rollback(Completion),
    /// SAVEPOINT.
    Savepoint(Name),
    /// ROLLBACK TO SAVEPOINT.
    RollbackTo(Name),
    /// RELEASE SAVEPOINT.
    ReleaseSavepoint(Name),
}

/// The verb of an XA statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum XaStatement {
    /// XA START, XA BEGIN.
    Start,
    /// XA END.
    End,
    /// XA PREPARE.
    Prepare,
    /// XA COMMIT.
    Commit {
        /// ONE PHASE.
        one_phase: bool,
    },
    /// XA ROLLBACK.
    Rollback,
    /// XA RECOVER.
    Recover,
}

/// What SHOW shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ShowKind {
    /// DATABASES, SCHEMAS.
    Databases,
    /// TABLES.
    Tables,
    /// TABLE STATUS.
    TableStatus,
    /// OPEN TABLES.
    OpenTables,
    /// COLUMNS, FIELDS.
    Columns,
    /// INDEX, INDEXES, KEYS.
    Index,
    /// TRIGGERS.
    Triggers,
    /// EVENTS.
    Events,
    /// PROCEDURE STATUS.
    ProcedureStatus,
    /// FUNCTION STATUS.
    FunctionStatus,
    /// PACKAGE STATUS, PACKAGE BODY STATUS.
    PackageStatus,
    /// PROCEDURE CODE, FUNCTION CODE.
    RoutineCode,
    /// CREATE TABLE.
    CreateTable,
    /// CREATE VIEW.
    CreateView,
    /// CREATE DATABASE.
    CreateDatabase,
    /// CREATE PROCEDURE, FUNCTION, TRIGGER, EVENT, SEQUENCE, PACKAGE.
    CreateRoutine,
    /// CREATE USER, SERVER, LIBRARY: of the server.
    CreateOther,
    /// VARIABLES.
    Variables,
    /// STATUS.
    Status,
    /// WARNINGS, COUNT(*) WARNINGS.
    Warnings,
    /// ERRORS, COUNT(*) ERRORS.
    Errors,
    /// PROCESSLIST.
    ProcessList,
    /// GRANTS.
    Grants,
    /// CHARACTER SET, CHARSET.
    CharacterSet,
    /// COLLATION.
    Collation,
    /// ENGINES, STORAGE ENGINES.
    Engines,
    /// ENGINE x STATUS, MUTEX, LOGS.
    Engine,
    /// PLUGINS, PLUGINS SONAME.
    Plugins,
    /// PRIVILEGES.
    Privileges,
    /// PROFILE, PROFILES.
    Profile,
    /// BINARY LOGS, BINLOG EVENTS, BINARY LOG STATUS, MASTER STATUS, REPLICA STATUS and others of
    /// replication.
    Replication,
    /// Anything else.
    Other,
}

/// A SHOW statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ShowStatement {
    /// What is shown.
    pub kind: ShowKind,
    /// FULL.
    pub full: bool,
    /// GLOBAL (VARIABLES, STATUS).
    pub global: bool,
    /// The object (table, routine), with its qualifier when written as `db.name`.
    pub object: Option<ObjectName>,
    /// FROM or IN a database.
    pub database: Option<Name>,
    /// The string behind LIKE, quotes included.
    pub like: Option<Span>,
    /// The expression behind WHERE.
    pub condition: Option<Span>,
}

/// What EXPLAIN explains.
#[derive(Clone, Debug, PartialEq)]
pub enum Explained {
    /// A query.
    Query(Box<Statement>),
    /// A query that could not be read; its bytes.
    Unread(Span),
    /// FOR CONNECTION.
    Connection(u64),
}

/// An EXPLAIN statement.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainStatement {
    /// ANALYZE: the statement is run.
    pub analyze: bool,
    /// FOR DATABASE, FOR SCHEMA.
    pub database: Option<Name>,
    /// INTO @variable.
    pub into: Option<Name>,
    /// What is explained.
    pub explained: Explained,
}

/// The verb of a schema statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DdlVerb {
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
}

/// The kind of object that a schema statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DdlObject {
    /// A table.
    Table,
    /// An index of a table: the objects are the tables.
    Index,
    /// A view.
    View,
    /// MariaDB's sequence.
    Sequence,
    /// A trigger: the objects are the trigger and, on CREATE, its table.
    Trigger,
    /// A stored procedure.
    Procedure,
    /// A stored function.
    Function,
    /// MariaDB's package.
    Package,
    /// An event.
    Event,
    /// A database.
    Database,
    /// A loadable function (CREATE FUNCTION … SONAME).
    Loadable,
    /// User, role.
    Account,
    /// Server, tablespace, log file group, undo tablespace, resource group, instance, spatial reference
    /// system …
    Server,
}

/// A statement that changes a schema.
#[derive(Clone, Debug, PartialEq)]
pub struct DdlStatement {
    /// The verb.
    pub verb: DdlVerb,
    /// The kind of object.
    pub object: DdlObject,
    /// The objects, in the order of the text; for RENAME TABLE old and new names in turn; for databases the
    /// name alone. Tables referenced by foreign keys, LIKE, ALTER … RENAME, EXCHANGE PARTITION and UNION are
    /// in `others`.
    pub objects: Vec<ObjectName>,
    /// Other tables that the statement names.
    pub others: Vec<ObjectName>,
    /// The name of an index in CREATE INDEX and DROP INDEX.
    pub index: Option<Name>,
    /// TEMPORARY.
    pub temporary: bool,
    /// IF EXISTS or IF NOT EXISTS.
    pub if_exists: bool,
    /// OR REPLACE.
    pub or_replace: bool,
    /// The clauses behind the names, to the end.
    pub tail: Span,
    /// CREATE TABLE … SELECT and CREATE VIEW … AS: the query.
    pub query: Option<Box<Statement>>,
}

/// What KILL kills.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KillTarget {
    /// A connection id.
    Id(u64),
    /// Any other expression.
    Expression(Span),
}

/// A KILL statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KillStatement {
    /// QUERY: only the running statement.
    pub query_only: bool,
    /// MariaDB's SOFT.
    pub soft: bool,
    /// Whom.
    pub target: KillTarget,
}

/// Where PREPARE takes its text from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PrepareSource {
    /// A string: its value, and where it stands.
    Text(Vec<u8>, Span),
    /// A user variable, without `@`.
    Variable(Name),
    /// MariaDB: any expression.
    Expression(Span),
}

/// A table of LOCK TABLES.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LockedTable {
    /// The table.
    pub table: ObjectName,
    /// Its alias.
    pub alias: Option<Name>,
    /// WRITE rather than READ.
    pub write: bool,
}

/// What HANDLER does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HandlerVerb {
    /// OPEN.
    Open,
    /// READ.
    Read,
    /// CLOSE.
    Close,
}

/// A HANDLER statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HandlerStatement {
    /// What it does.
    pub verb: HandlerVerb,
    /// The table or its alias.
    pub table: ObjectName,
}

/// A LOAD DATA or LOAD XML statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LoadStatement {
    /// LOCAL: the file comes from the client.
    pub local: bool,
    /// LOAD XML.
    pub xml: bool,
    /// The table.
    pub table: ObjectName,
    /// The columns and user variables in parentheses, as written.
    pub columns: Vec<Name>,
}

/// The verb of a table maintenance statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TableAdminVerb {
    /// ANALYZE.
    Analyze,
    /// OPTIMIZE.
    Optimize,
    /// CHECK.
    Check,
    /// REPAIR.
    Repair,
    /// CHECKSUM.
    Checksum,
    /// CACHE INDEX.
    CacheIndex,
    /// LOAD INDEX INTO CACHE.
    LoadIndex,
}

/// A table maintenance statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableAdminStatement {
    /// The verb.
    pub verb: TableAdminVerb,
    /// The tables.
    pub tables: Vec<ObjectName>,
}

/// A FLUSH statement.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FlushStatement {
    /// FLUSH TABLES: the tables named.
    pub tables: Vec<ObjectName>,
    /// FLUSH TABLES … WITH READ LOCK or FOR EXPORT: holds locks until UNLOCK TABLES.
    pub locks: bool,
}
