//! Why a table is not copied.

/// A reason not to copy a table, found before anything is made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}; {remedy}")]
pub struct Refusal {
    /// What is in the way, with the names of the client's own columns and keys; no values.
    pub why: String,
    /// What to do instead.
    pub remedy: &'static str,
}

impl Refusal {
    pub(super) fn new(why: impl Into<String>, remedy: &'static str) -> Self {
        Self { why: why.into(), remedy }
    }
}
