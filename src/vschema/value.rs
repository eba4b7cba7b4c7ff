//! Values of routing columns, as they reach a vindex.

use std::borrow::Cow;

use crate::ids::WorkspaceId;

/// A value of a routing column: a literal or a parameter, read no further than needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// A whole number with a sign.
    Int(i64),
    /// A whole number above `i64::MAX`.
    Uint(u64),
    /// Text or bytes as the client sent them.
    Text(Cow<'a, [u8]>),
    /// What no vindex takes, by what it is: decimal, float, date.
    Other(&'static str),
}

impl<'a> Value<'a> {
    /// Takes text.
    pub fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text.as_bytes()))
    }

    /// Names the kind of value, never the value.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Int(_) | Self::Uint(_) => "whole number",
            Self::Text(_) => "text",
            Self::Other(kind) => kind,
        }
    }

    /// Reads the value as a workspace id; `None` for NULL, other kinds, and text that cannot be one.
    pub fn to_workspace(&self) -> Option<WorkspaceId> {
        match self {
            Self::Null | Self::Other(_) => None,
            Self::Uint(number) => Some(WorkspaceId::Number(*number)),
            Self::Int(number) => match u64::try_from(*number) {
                Ok(number) => Some(WorkspaceId::Number(number)),
                Err(_) => WorkspaceId::parse(&number.to_string()),
            },
            Self::Text(text) => WorkspaceId::parse_bytes(text),
        }
    }

    /// The value of a workspace id.
    pub fn of_workspace(workspace: &'a WorkspaceId) -> Self {
        match workspace {
            WorkspaceId::Number(number) => Self::Uint(*number),
            WorkspaceId::Text(text) => Self::text(text),
        }
    }
}

/// Calls `with` with the bytes that MySQL prints for the value: what Vitess hashes. NULL has none.
pub(crate) fn with_printed<T>(value: &Value<'_>, with: impl FnOnce(&[u8]) -> T) -> Option<T> {
    match value {
        Value::Null => Some(with(b"")),
        Value::Int(number) => Some(with(number.to_string().as_bytes())),
        Value::Uint(number) => Some(with(number.to_string().as_bytes())),
        Value::Text(text) => Some(with(text)),
        Value::Other(_) => None,
    }
}
