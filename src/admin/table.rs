//! Answers of admin statements: typed tables, and their forms for people and programs.

use std::cmp::Ordering;
use std::fmt::Write;

use serde_json::{Map, Value};

/// Type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Text.
    Text,
    /// A whole number.
    Number,
    /// A number with a fraction.
    Fraction,
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum AdminValue {
    /// Not known, or does not apply.
    Null,
    /// Text.
    Text(String),
    /// A whole number.
    Number(u64),
    /// A number with a fraction.
    Fraction(f64),
}

/// Rows under typed columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AdminTable {
    /// Names and types, in order.
    pub columns: Vec<(String, ColumnKind)>,
    /// Rows, each as long as `columns`.
    pub rows: Vec<Vec<AdminValue>>,
}

/// What an admin statement answers.
#[derive(Clone, Debug, PartialEq)]
pub enum AdminAnswer {
    /// A result set.
    Rows(AdminTable),
    /// Something was done.
    Done {
        /// Things changed.
        affected: u64,
        /// What, in words.
        info: String,
    },
}

/// Why a table was not rendered.
#[derive(Debug, thiserror::Error)]
#[error("the answer cannot be written as JSON: {0}")]
pub struct RenderError(#[from] serde_json::Error);

impl AdminTable {
    /// An empty table.
    pub fn new<'a>(columns: impl IntoIterator<Item = (&'a str, ColumnKind)>) -> Self {
        let columns = columns.into_iter().map(|(name, kind)| (name.to_owned(), kind)).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn push(&mut self, row: impl IntoIterator<Item = AdminValue>) {
        let row: Vec<_> = row.into_iter().collect();
        debug_assert_eq!(row.len(), self.columns.len());
        self.rows.push(row);
    }

    /// The position of a column; case does not matter.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|(column, _)| column.eq_ignore_ascii_case(name))
    }
}

impl AdminValue {
    /// Text, or `Null`.
    pub fn optional(text: Option<impl ToString>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.to_string()))
    }

    /// Whatever prints, as text.
    pub fn text(text: impl ToString) -> Self {
        Self::Text(text.to_string())
    }

    /// Microseconds, as milliseconds.
    pub fn milliseconds(us: u64) -> Self {
        Self::Fraction(us as f64 / 1000.0)
    }

    /// The printed value; `None` for `Null`.
    pub fn printed(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Text(text) => Some(text.clone()),
            Self::Number(number) => Some(number.to_string()),
            Self::Fraction(number) => Some(format!("{number:.3}")),
        }
    }

    /// Orders values: `Null` first, then numbers, then text.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        match (self.number(), other.number()) {
            (Some(mine), Some(theirs)) => mine.total_cmp(&theirs),
            _ => self.rank().cmp(&other.rank()).then_with(|| self.printed().cmp(&other.printed())),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number as f64),
            Self::Fraction(number) => Some(*number),
            Self::Null | Self::Text(_) => None,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Number(_) | Self::Fraction(_) => 1,
            Self::Text(_) => 2,
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Text(text) => Value::from(text.as_str()),
            Self::Number(number) => Value::from(*number),
            Self::Fraction(number) => Value::from((number * 1000.0).round() / 1000.0),
        }
    }
}

impl From<u64> for AdminValue {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for AdminValue {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<usize> for AdminValue {
    fn from(number: usize) -> Self {
        Self::Number(u64::try_from(number).unwrap_or(u64::MAX))
    }
}

impl From<&str> for AdminValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for AdminValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl AdminAnswer {
    /// The answer as JSON: an array of objects, or `{"affected": …, "info": …}`.
    ///
    /// # Errors
    /// [`RenderError`] when a number has no JSON form.
    pub fn to_json(&self) -> Result<String, RenderError> {
        let value = match self {
            Self::Done { affected, info } => serde_json::json!({ "affected": affected, "info": info }),
            Self::Rows(table) => table.rows.iter().map(|row| object(table, row)).collect(),
        };
        Ok(serde_json::to_string_pretty(&value)?)
    }

    /// The answer for people: aligned columns; a wide single row stands upright.
    pub fn to_text(&self) -> String {
        match self {
            Self::Done { info, .. } if info.is_empty() => "done\n".to_owned(),
            Self::Done { info, .. } => format!("{info}\n"),
            Self::Rows(table) if table.rows.is_empty() => "no rows\n".to_owned(),
            Self::Rows(table) => aligned(table),
        }
    }
}

fn object(table: &AdminTable, row: &[AdminValue]) -> Value {
    let fields = table.columns.iter().zip(row).map(|((name, _), value)| (name.clone(), value.json()));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn aligned(table: &AdminTable) -> String {
    let printed: Vec<Vec<String>> = table
        .rows
        .iter()
        .map(|row| row.iter().map(|value| value.printed().unwrap_or_else(|| "-".to_owned())).collect())
        .collect();
    let width = |at: usize| {
        let cells = printed.iter().map(|row| row[at].chars().count());
        cells.chain([table.columns[at].0.chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..table.columns.len()).map(width).collect();
    let mut out = String::new();
    let names = table.columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
    put_line(&mut out, table, &widths, &names);
    for row in &printed {
        put_line(&mut out, table, &widths, &row.iter().map(String::as_str).collect::<Vec<_>>());
    }
    out
}

/// Text to the left, numbers to the right.
fn put_line(out: &mut String, table: &AdminTable, widths: &[usize], cells: &[&str]) {
    let mut line = String::new();
    for ((cell, width), (_, kind)) in cells.iter().zip(widths).zip(&table.columns) {
        let cell = cell.replace('\n', " ");
        // Writing to a String cannot fail.
        let _ = match kind {
            ColumnKind::Text => write!(line, "{cell:<width$}  "),
            ColumnKind::Number | ColumnKind::Fraction => write!(line, "{cell:>width$}  "),
        };
    }
    out.push_str(line.trim_end());
    out.push('\n');
}
