//! Names of workspace databases: `ws_{workspace_id}`.

use std::fmt;

use crate::ids::WorkspaceId;

/// The place of the workspace id in a pattern.
const PLACEHOLDER: &str = "{workspace_id}";
/// Longest database name MySQL takes, in characters.
const DATABASE_CHARS_MAX: usize = 64;

/// How a workspace's database is named.
///
/// **Shape**: text with `{workspace_id}` once; matching is exact and case-sensitive. Every database name
/// stands for at most one workspace: `match_database(render(id)) == Some(id)` for every id that can be a
/// database name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabasePattern {
    prefix: Box<str>,
    suffix: Box<str>,
}

impl DatabasePattern {
    /// Reads a pattern; `Err` says what is wrong with it.
    ///
    /// # Errors
    /// No placeholder or several, nothing beside it, or characters that a database name cannot hold.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let Some((prefix, suffix)) = text.split_once(PLACEHOLDER) else {
            return Err("it must hold {workspace_id}");
        };
        if suffix.contains(PLACEHOLDER) {
            return Err("it must hold {workspace_id} only once");
        }
        if prefix.is_empty() && suffix.is_empty() {
            return Err("it needs some text beside {workspace_id}, or every database would be a workspace");
        }
        let strange = |c: char| matches!(c, '/' | '\\' | '.' | '{' | '}' | '`' | '@') || c.is_control();
        if prefix.contains(strange) || suffix.contains(strange) {
            return Err("a database name cannot hold one of these characters: / \\ . { } ` @");
        }
        if prefix.chars().count() + suffix.chars().count() >= DATABASE_CHARS_MAX {
            return Err("a database name has at most 64 characters");
        }
        Ok(Self { prefix: prefix.into(), suffix: suffix.into() })
    }

    /// The workspace whose database this is; `None` for other databases.
    pub fn match_database(&self, database: &str) -> Option<WorkspaceId> {
        let middle = database.strip_prefix(&*self.prefix)?.strip_suffix(&*self.suffix)?;
        let id = WorkspaceId::parse(middle)?;
        is_name(database).then_some(id)
    }

    /// The database of a workspace; `None` when its id cannot be part of a database name.
    pub fn render(&self, workspace: &WorkspaceId) -> Option<String> {
        let name = format!("{}{workspace}{}", self.prefix, self.suffix);
        is_name(&name).then_some(name)
    }

    /// Says whether some name could belong to both patterns.
    pub fn overlaps(&self, other: &Self) -> bool {
        let prefixes = self.prefix.starts_with(&*other.prefix) || other.prefix.starts_with(&*self.prefix);
        let suffixes = self.suffix.ends_with(&*other.suffix) || other.suffix.ends_with(&*self.suffix);
        prefixes && suffixes
    }

    /// What every name begins with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What every name ends with.
    pub fn suffix(&self) -> &str {
        &self.suffix
    }
}

/// MySQL: 1 to 64 characters of the basic plane, none of them a path or quoting character, no space at the
/// end.
fn is_name(name: &str) -> bool {
    let bad = |c: char| c as u32 > 0xffff || c.is_control() || matches!(c, '/' | '\\' | '.' | '`' | '@');
    !name.ends_with(' ') && !name.contains(bad) && name.chars().count() <= DATABASE_CHARS_MAX
}

impl fmt::Display for DatabasePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{PLACEHOLDER}{}", self.prefix, self.suffix)
    }
}
