//! Why a statement is not run.

use std::borrow::Cow;
use std::fmt;

use crate::error::{ClientError, Code};

/// A refusal of the planner: a code, the details of this statement, and where in its text.
///
/// **Shape**: details name tables, columns and databases, never values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which refusal.
    pub code: Code,
    /// What in this statement; empty when the code's own sentence says it all.
    pub detail: Cow<'static, str>,
    /// Byte offset in the statement's text, where known.
    pub at: Option<usize>,
}

impl Refusal {
    /// A refusal in the code's own words.
    pub fn new(code: Code) -> Self {
        Self { code, detail: Cow::Borrowed(""), at: None }
    }

    /// A refusal with a detail: `<sentence>: <detail>`.
    pub fn because(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), at: None }
    }

    /// The same refusal, at a byte offset of the statement's text.
    pub fn at(mut self, offset: usize) -> Self {
        self.at = Some(offset);
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.sentence())?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for ClientError {
    fn from(refusal: Refusal) -> Self {
        let table = match refusal.code {
            Code::UnknownDatabase | Code::UnknownTable | Code::NoDatabaseSelected => true,
            code => code.is_mysql_own(),
        };
        if table && !refusal.detail.is_empty() {
            return Self::new(refusal.code, refusal.detail);
        }
        Self::new(refusal.code, refusal.to_string())
    }
}
