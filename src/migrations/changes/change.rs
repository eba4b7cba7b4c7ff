//! What a subscription gives.

use std::fmt;
use std::sync::Arc;

use super::position::Position;
use super::values::Row;

/// Database and table, as the server writes them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    /// Database.
    pub database: Arc<str>,
    /// Table.
    pub table: Arc<str>,
}

impl TableName {
    /// Takes the names as they are.
    pub fn new(database: impl Into<Arc<str>>, table: impl Into<Arc<str>>) -> Self {
        Self { database: database.into(), table: table.into() }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.table)
    }
}

/// One thing that happened, in the order of the binary log.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Rows of the table changed. A large transaction comes in several parts.
    Rows {
        /// Where a reader that has applied everything so far, and nothing beyond, has to begin: behind the
        /// transaction in its last part, before it in the others.
        position: Position,
        /// The changes in order.
        rows: Vec<RowChange>,
        /// This is the transaction's last part: it is committed.
        end_of_transaction: bool,
    },
    /// The marker with this number, of [`super::Feeds::mark`]: everything that was committed before it has
    /// come.
    Marker(u64),
    /// Another statement changed the table itself. Rows that follow may be of other columns; when they do not
    /// fit any more, the subscription ends with an error.
    TableChanged {
        /// What kind of statement.
        what: TableChange,
    },
    /// Nothing of the table up to here: a reader may begin here.
    Advanced {
        /// Behind the last transaction seen.
        position: Position,
    },
}

/// Kind of a statement that changes a table itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableChange {
    /// ALTER TABLE, CREATE and DROP INDEX, and CREATE TABLE of that name.
    Altered,
    /// RENAME TABLE, from or to the name.
    Renamed,
    /// DROP TABLE, DROP DATABASE.
    Dropped,
    /// TRUNCATE TABLE, and of a partition.
    Truncated,
    /// A trigger on the table was made or dropped.
    Trigger,
    /// A statement that names the table and could not be read.
    Unknown,
}

/// One row before and after: INSERT has no `before`, DELETE no `after`, UPDATE both.
#[derive(Clone, Debug, PartialEq)]
pub struct RowChange {
    /// The row as it was.
    pub before: Option<Row>,
    /// The row as it is.
    pub after: Option<Row>,
}
