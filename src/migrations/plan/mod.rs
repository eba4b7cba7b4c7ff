//! What is copied and how, decided from definitions alone.

mod refusal;

pub use refusal::Refusal;

use super::ARTIFACTS;
use crate::sql::quote::identifier;

/// The tables of a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The client's database.
    pub database: String,
    /// The client's table.
    pub table: String,
    /// The shadow table in [`ARTIFACTS`].
    pub shadow: String,
}

impl Names {
    /// The client's table, quoted and qualified.
    pub fn source(&self) -> String {
        format!("{}.{}", identifier(&self.database), identifier(&self.table))
    }

    /// The shadow table, quoted and qualified.
    pub fn target(&self) -> String {
        format!("{}.{}", identifier(ARTIFACTS), identifier(&self.shadow))
    }
}

/// What is copied and how: columns that both tables have, the key by which a row is found again, how values are
/// written, how they are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyPlan {
    /// The tables.
    pub names: Names,
}
