//! What ALTER TABLE and its kin change.

use super::TableDefinition;
use super::parts::{
    Check, ColumnDefinition, DefaultValue, ForeignKey, KeyDefinition, Partitioning, TableOption,
};
use crate::sql::span::Span;
use crate::sql::statement::{Name, ObjectName};

/// Where a column goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// FIRST.
    First,
    /// AFTER a column.
    After(Name),
}

/// What is done with partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionAction {
    /// ADD PARTITION.
    Add,
    /// DROP PARTITION.
    Drop,
    /// TRUNCATE PARTITION.
    Truncate,
    /// COALESCE PARTITION.
    Coalesce,
    /// REORGANIZE PARTITION.
    Reorganize,
    /// REBUILD, OPTIMIZE PARTITION.
    Rebuild,
    /// ANALYZE, CHECK, REPAIR PARTITION.
    Maintain,
    /// EXCHANGE PARTITION; MariaDB's CONVERT PARTITION and CONVERT TABLE.
    Exchange,
    /// DISCARD, IMPORT PARTITION … TABLESPACE.
    Tablespace,
}

/// One change of a column by ALTER COLUMN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnChange {
    /// SET DEFAULT.
    SetDefault(DefaultValue),
    /// DROP DEFAULT.
    DropDefault,
    /// SET VISIBLE, SET INVISIBLE.
    SetVisible(bool),
}

/// What a clause of ALTER TABLE does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClauseKind {
    /// ADD COLUMN; one for each column of `ADD (…)`.
    AddColumn {
        /// The column.
        column: Box<ColumnDefinition>,
        /// FIRST, AFTER.
        position: Option<Position>,
    },
    /// DROP COLUMN.
    DropColumn {
        /// The column.
        name: Name,
        /// IF EXISTS.
        if_exists: bool,
    },
    /// MODIFY COLUMN, CHANGE COLUMN.
    ChangeColumn {
        /// Its name before.
        from: Name,
        /// What it becomes.
        column: Box<ColumnDefinition>,
        /// FIRST, AFTER.
        position: Option<Position>,
    },
    /// RENAME COLUMN.
    RenameColumn {
        /// Its name before.
        from: Name,
        /// Its name then.
        to: Name,
    },
    /// ALTER COLUMN.
    AlterColumn {
        /// The column.
        name: Name,
        /// What is done.
        change: ColumnChange,
    },
    /// ADD KEY of all kinds, CREATE INDEX.
    AddKey(Box<KeyDefinition>),
    /// DROP KEY, DROP INDEX.
    DropKey(Name),
    /// DROP PRIMARY KEY.
    DropPrimaryKey,
    /// RENAME KEY.
    RenameKey {
        /// Its name before.
        from: Name,
        /// Its name then.
        to: Name,
    },
    /// ALTER INDEX … VISIBLE, IGNORED.
    AlterKey {
        /// The key.
        name: Name,
        /// VISIBLE, NOT IGNORED.
        visible: bool,
    },
    /// ADD FOREIGN KEY.
    AddForeignKey(Box<ForeignKey>),
    /// DROP FOREIGN KEY.
    DropForeignKey(Name),
    /// ADD CHECK.
    AddCheck(Box<Check>),
    /// DROP CHECK.
    DropCheck(Name),
    /// ALTER CHECK, ALTER CONSTRAINT … ENFORCED.
    AlterCheck {
        /// The constraint.
        name: Name,
        /// ENFORCED.
        enforced: bool,
    },
    /// DROP CONSTRAINT: a check, foreign key or unique key of that name.
    DropConstraint(Name),
    /// RENAME TO.
    RenameTable(ObjectName),
    /// A table option.
    Option(TableOption),
    /// CONVERT TO CHARACTER SET; `None` is DEFAULT.
    Convert {
        /// The character set, lower case.
        charset: Option<String>,
        /// The collation, lower case.
        collation: Option<String>,
    },
    /// FORCE, and OPTIMIZE TABLE.
    Force,
    /// ORDER BY.
    OrderBy,
    /// ENABLE KEYS, DISABLE KEYS.
    SwitchKeys,
    /// DISCARD TABLESPACE, IMPORT TABLESPACE.
    Tablespace,
    /// WITH VALIDATION, WITHOUT VALIDATION.
    Validation,
    /// ALGORITHM: the client's own assertion, upper case.
    Algorithm(String),
    /// LOCK: the client's own assertion, upper case.
    Lock(String),
    /// ADD, DROP SYSTEM VERSIONING, ADD, DROP PERIOD.
    SystemVersioning,
    /// SECONDARY_LOAD, SECONDARY_UNLOAD.
    SecondaryEngine,
    /// Something about partitions.
    Partition(PartitionAction),
    /// PARTITION BY.
    PartitionBy(Partitioning),
    /// REMOVE PARTITIONING.
    RemovePartitioning,
    /// Nothing that is known here.
    Unknown,
}

/// A clause and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// What it does.
    pub kind: ClauseKind,
    /// From its first to its last byte.
    pub span: Span,
}

/// The form a change is written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeForm {
    /// ALTER TABLE.
    Alter {
        /// Clauses about partitions must follow ALGORITHM and LOCK.
        is_partitions_only: bool,
    },
    /// CREATE INDEX.
    CreateIndex,
    /// DROP INDEX: where its name stands.
    DropIndex(Span),
    /// OPTIMIZE TABLE.
    Optimize,
    /// RENAME TABLE.
    Rename,
    /// DROP TABLE.
    Drop,
    /// TRUNCATE TABLE.
    Truncate,
    /// CREATE TABLE; the definition, `None` for LIKE and SELECT.
    Create(Option<Box<TableDefinition>>),
}

/// A statement that changes a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableChange {
    /// How it is written.
    pub form: ChangeForm,
    /// The table; the first of RENAME, DROP, OPTIMIZE.
    pub table: ObjectName,
    /// The clauses; for the forms that have none, those that mean the same.
    pub clauses: Vec<Clause>,
    /// Tables besides the first.
    pub more_tables: Vec<ObjectName>,
    /// TEMPORARY.
    pub temporary: bool,
    /// IF EXISTS, IF NOT EXISTS.
    pub if_exists: bool,
    /// MariaDB's IGNORE: rows that do not fit are dropped.
    pub ignore: bool,
    /// The statement without comments around it and without `;`.
    pub span: Span,
}
