//! What is known of one database's integers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// An integer column, and what its values are known to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntegerColumn {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// Bytes of the type: 1, 2, 3, 4 or 8.
    pub bytes: u8,
    /// UNSIGNED.
    pub unsigned: bool,
    /// The next value of its AUTO_INCREMENT counter.
    pub counter: Option<u64>,
    /// The MariaDB sequence of its default, `nextval(…)`.
    pub sequence: Option<String>,
    /// The largest value, where an index tells it.
    pub largest: Option<i128>,
    /// The smallest value, where an index tells it.
    pub smallest: Option<i128>,
    /// It is the primary key alone.
    pub is_key: bool,
    /// `x_id` beside `x_type`: which table it refers to is told row by row.
    pub is_polymorphic: bool,
}

impl IntegerColumn {
    /// The largest value that the type holds.
    pub fn limit(&self) -> i128 {
        let bits = u32::from(self.bytes) * 8 - u32::from(!self.unsigned);
        (1 << bits) - 1
    }

    /// The smallest value that the type holds.
    pub fn floor(&self) -> i128 {
        if self.unsigned { 0 } else { -self.limit() - 1 }
    }

    /// As in CREATE TABLE.
    pub fn type_name(&self) -> String {
        let name = match self.bytes {
            1 => "tinyint",
            2 => "smallint",
            3 => "mediumint",
            4 => "int",
            _ => "bigint",
        };
        if self.unsigned { format!("{name} unsigned") } else { name.to_owned() }
    }
}

/// A foreign key of one column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// The table that it refers to.
    pub parent_table: String,
    /// Its column.
    pub parent_column: String,
}

/// A MariaDB sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceFacts {
    /// The value that it gives next, at the least.
    pub next: i128,
    /// The last value that it gives.
    pub limit: i128,
    /// It begins again after that.
    pub cycles: bool,
}

/// One database's integers at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaFacts {
    /// The database.
    pub database: String,
    /// When they were read, in seconds since 1970.
    pub taken: u64,
    /// Its integer columns.
    pub columns: Vec<IntegerColumn>,
    /// Its foreign keys of one column.
    pub references: Vec<Reference>,
    /// Its sequences, by name.
    pub sequences: BTreeMap<String, SequenceFacts>,
}

impl SchemaFacts {
    /// A column by table and name; names of columns are compared without case.
    pub fn column(&self, table: &str, column: &str) -> Option<&IntegerColumn> {
        self.columns.iter().find(|known| known.table == table && known.column.eq_ignore_ascii_case(column))
    }
}
