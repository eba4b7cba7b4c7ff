//! What a statement does to the session beyond its rows: transactions, pins, dependence on a connection.

use std::fmt;

/// What ties a session to its connection; a set.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Pins(u16);

impl Pins {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// `GET_LOCK`; released by `RELEASE_LOCK`, `RELEASE_ALL_LOCKS`.
    pub const USER_LOCK: Self = Self(1);
    /// `LOCK TABLES`, `FLUSH TABLES … WITH READ LOCK`, `LOCK INSTANCE`; released by `UNLOCK`.
    pub const TABLE_LOCK: Self = Self(1 << 1);
    /// `CREATE TEMPORARY TABLE`; released by dropping it.
    pub const TEMPORARY_TABLE: Self = Self(1 << 2);
    /// A user variable that a server computed; released only with the session.
    pub const USER_VARIABLE: Self = Self(1 << 3);
    /// `SQL_CALC_FOUND_ROWS`: the next `FOUND_ROWS()` asks the same connection.
    pub const FOUND_ROWS: Self = Self(1 << 4);
    /// `HANDLER … OPEN`; released by `CLOSE`.
    pub const HANDLER: Self = Self(1 << 5);
    /// `XA START`; released by `XA COMMIT`, `XA ROLLBACK`.
    pub const XA: Self = Self(1 << 6);
    /// A session variable that a server computed (`SET` of an expression, `SET` inside a routine).
    pub const SESSION_VARIABLE: Self = Self(1 << 7);

    const NAMES: [(Self, &str); 8] = [
        (Self::USER_LOCK, "user_lock"),
        (Self::TABLE_LOCK, "table_lock"),
        (Self::TEMPORARY_TABLE, "temporary_table"),
        (Self::USER_VARIABLE, "user_variable"),
        (Self::FOUND_ROWS, "found_rows"),
        (Self::HANDLER, "handler"),
        (Self::XA, "xa"),
        (Self::SESSION_VARIABLE, "session_variable"),
    ];

    /// Both sets.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without the other.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Says whether all of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Says whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (pin, name) in Self::NAMES {
            if self.contains(pin) {
                f.write_str(if first { "" } else { "," })?;
                f.write_str(name)?;
                first = false;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Pins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pins({self})")
    }
}

/// What a statement does to the session's transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TransactionEffect {
    /// Nothing.
    #[default]
    None,
    /// `BEGIN`, `START TRANSACTION`: commits an open one first.
    Begin,
    /// `COMMIT`.
    Commit,
    /// `ROLLBACK`.
    Rollback,
    /// `SAVEPOINT`.
    Savepoint,
    /// `ROLLBACK TO SAVEPOINT`.
    RollbackToSavepoint,
    /// `RELEASE SAVEPOINT`.
    ReleaseSavepoint,
}

/// What a statement does to the session beyond its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Effects {
    /// What it does to the transaction.
    pub transaction: TransactionEffect,
    /// MySQL commits the open transaction before it (manual: statements that cause an implicit commit).
    pub implicit_commit: bool,
    /// What it pins when it succeeds.
    pub pins: Pins,
    /// What it may release when it succeeds: the session asks or counts.
    pub releases: Pins,
    /// It asks about the previous statement (`SHOW WARNINGS`, `ROW_COUNT()`, `LAST_INSERT_ID()`,
    /// `FOUND_ROWS()`): it must run on the connection of that statement, if one is still held, or be answered
    /// from what the session remembers.
    pub asks_previous: bool,
    /// It may leave on its connection what the session does not know of: a routine's temporary tables, locks
    /// and variables. The connection is reset before another session has it.
    pub leaves_state: bool,
    /// It calls user-lock functions and touches no table.
    pub only_locks: bool,
    /// It reads values that a pin keeps on the connection: user variables.
    pub reads_variables: bool,
    /// It changes rows or schema.
    pub writes: bool,
    /// It changes a schema.
    pub changes_schema: bool,
    /// It changes, drops or empties a table that is kept: how it may is decided with the table's definition.
    pub alters_table: bool,
    /// It takes locks in a transaction (`FOR UPDATE`, `FOR SHARE`): the primary must run it.
    pub locks_rows: bool,
}
