//! Indexes that may be built behind the copy, in one pass over the rows instead of row by row.

use super::row_key::RowKeyPlan;
use crate::sql::quote::identifier;
use crate::sql::{KeyDefinition, KeyKind, KeyPart, TableDefinition};

/// Indexes that are left out of an empty shadow and built again later, all at once or one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateIndexes {
    /// The statement that leaves them out.
    pub drop: String,
    /// `ALTER TABLE …`
    alter: String,
    /// `ADD KEY …`, one for each.
    adds: Vec<String>,
}

/// What builds indexes, without blocking writes of the shadow.
const LOCK: &str = "ALGORITHM=INPLACE, LOCK=NONE";

impl LateIndexes {
    /// Of the shadow as SHOW CREATE TABLE prints it; `None` when there is none to leave out.
    ///
    /// Left out are plain and unique indexes over columns, except the row key's, and one that an
    /// AUTO_INCREMENT column needs. A unique one is checked when it is built: until then the copy meets no
    /// duplicates, which also spares it those that pass away.
    pub fn of(target: &str, text: &[u8], shadow: &TableDefinition, key: &RowKeyPlan) -> Option<Self> {
        let mut drops = Vec::new();
        let mut adds = Vec::new();
        for definition in &shadow.keys {
            let (Some(name), Some(line)) = (&definition.name, line_of(text, definition)) else { continue };
            let name = identifier(&name.text);
            if !may_be_late(definition, shadow) || name == key.target_index {
                continue;
            }
            drops.push(format!("DROP INDEX {name}"));
            adds.push(format!("ADD {line}"));
        }
        if drops.is_empty() {
            return None;
        }
        let alter = format!("ALTER TABLE {target}");
        Some(Self { drop: format!("{alter} {}", drops.join(", ")), alter, adds })
    }

    /// What is recorded of them, for a later process: [`LateBuild::read`] reads it.
    ///
    /// **Shape**: lines; the first one is how the statement begins, each further one adds an index.
    pub fn recorded(&self) -> String {
        format!("{}\n{}", self.alter, self.adds.join("\n"))
    }
}

/// Indexes that are to be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateBuild {
    alter: String,
    adds: Vec<String>,
}

impl LateBuild {
    /// Reads what was recorded; `None` for what is no such text.
    pub fn read(recorded: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(recorded).ok()?.split('\n');
        let alter = lines.next()?.to_owned();
        let adds: Vec<String> = lines.map(str::to_owned).collect();
        // Earlier releases recorded the whole statement.
        Some(Self { alter, adds })
    }

    /// How many there are; none in a statement that an earlier release recorded.
    pub fn len(&self) -> usize {
        self.adds.len()
    }

    /// True if there is only a whole statement.
    pub fn is_empty(&self) -> bool {
        self.adds.is_empty()
    }

    /// The statement that builds all of them.
    pub fn all(&self) -> String {
        if self.adds.is_empty() {
            return self.alter.clone();
        }
        format!("{} {}, {LOCK}", self.alter, self.adds.join(", "))
    }

    /// The statement that builds the one at this place.
    pub fn one(&self, at: usize) -> Option<String> {
        self.adds.get(at).map(|add| format!("{} {add}, {LOCK}", self.alter))
    }
}

fn may_be_late(key: &KeyDefinition, shadow: &TableDefinition) -> bool {
    if !matches!(key.kind, KeyKind::Plain | KeyKind::Unique) || !key.unknown.is_empty() {
        return false;
    }
    let mut columns = Vec::new();
    for part in &key.parts {
        match part {
            KeyPart::Column { name, .. } => columns.push(name.text.as_str()),
            KeyPart::Expression(_) => return false,
        }
    }
    let is_ordinary = |name: &&str| {
        let column = shadow.columns.iter().find(|column| column.name.text.eq_ignore_ascii_case(name));
        column.is_some_and(|column| !column.auto_increment && column.generated.is_none())
    };
    columns.iter().all(is_ordinary)
}

/// The key's own line, without the comma: SHOW CREATE TABLE prints each on a line, comments of versions
/// included.
fn line_of(text: &[u8], key: &KeyDefinition) -> Option<String> {
    let (start, end) = (key.span.start as usize, key.span.end as usize);
    let line_start = text.get(..start)?.iter().rposition(|byte| *byte == b'\n')? + 1;
    let line_end = start + text.get(start..)?.iter().position(|byte| *byte == b'\n')?;
    if line_end < end {
        return None;
    }
    let line = std::str::from_utf8(text.get(line_start..line_end)?).ok()?.trim();
    Some(line.strip_suffix(',').unwrap_or(line).to_owned())
}
