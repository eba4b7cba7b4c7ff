//! Workspaces as lines of text: CSV or JSON lines.
//!
//! CSV has the header `workspace,shard,state`; shard and state may be empty or absent; fields may be quoted
//! as in RFC 4180, but hold no line breaks. A JSON line is `{"workspace": 42, "shard": "ws-a", "state":
//! "active"}`; shard and state may be absent.

use std::fmt;
use std::io::BufRead;

use serde::Deserialize;

use crate::ids::{ShardName, WORKSPACE_ID_BYTES_MAX, WorkspaceId};
use crate::topology::WorkspaceState;

/// Most workspaces in one import.
pub(super) const ROWS_MAX: usize = 10_000_000;

/// Faults reported at once.
pub(super) const FAULTS_MAX: usize = 100;

/// Longest line in bytes.
const LINE_BYTES_MAX: usize = 4096;

const CSV_HEADER: &str = "workspace,shard,state";

/// How workspaces are written in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowFormat {
    /// Comma-separated, with a header.
    Csv,
    /// One JSON object in a line.
    JsonLines,
}

impl RowFormat {
    /// Reads a name or a file's ending: `csv`; `json`, `jsonl`, `ndjson`.
    pub fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "json" | "jsonl" | "ndjson" => Some(Self::JsonLines),
            _ => None,
        }
    }
}

/// One workspace of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkspaceRow {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// Its shard; `None`: by weight.
    pub shard: Option<ShardName>,
    /// Its state.
    pub state: WorkspaceState,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowFault {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for RowFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// Lines that were read, each with its number.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) rows: Vec<(usize, WorkspaceRow)>,
    pub(super) faults: Vec<RowFault>,
}

impl Rows {
    /// Notes a fault, as long as there is room.
    pub(super) fn fault(&mut self, line: usize, reason: impl Into<String>) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(RowFault { line, reason: reason.into() });
        }
    }
}

/// Reads all lines; faults are collected, not fatal, up to a bound.
pub(super) fn read(mut input: impl BufRead, format: RowFormat) -> Rows {
    let mut rows = Rows::default();
    let mut columns = None;
    let mut line = Vec::new();
    for number in 1.. {
        match read_line(&mut input, &mut line) {
            Ok(false) => break,
            Ok(true) => {}
            Err(reason) => {
                rows.fault(number, reason);
                break;
            }
        }
        let Ok(text) = std::str::from_utf8(&line) else {
            rows.fault(number, "it is not UTF-8");
            continue;
        };
        let text = text.trim_end_matches(['\n', '\r']);
        let text = if number == 1 { text.trim_start_matches('\u{feff}') } else { text };
        if text.is_empty() {
            continue;
        }
        let row = match (format, &columns) {
            (RowFormat::JsonLines, _) => json_row(text),
            (RowFormat::Csv, Some(columns)) => csv_row(text, columns),
            (RowFormat::Csv, None) => match csv_columns(text) {
                Ok(found) => {
                    columns = Some(found);
                    continue;
                }
                Err(reason) => {
                    rows.fault(number, reason);
                    break;
                }
            },
        };
        match row {
            Ok(row) => rows.rows.push((number, row)),
            Err(reason) => rows.fault(number, reason),
        }
        if rows.faults.len() >= FAULTS_MAX {
            break;
        }
        if rows.rows.len() > ROWS_MAX {
            rows.fault(number, format!("more than {ROWS_MAX} workspaces in one file"));
            break;
        }
    }
    rows
}

/// Reads one line; `false` at the end.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> Result<bool, String> {
    use std::io::Read;
    line.clear();
    let bound = u64::try_from(LINE_BYTES_MAX + 1).unwrap_or(u64::MAX);
    let read = input.by_ref().take(bound).read_until(b'\n', line).map_err(|error| error.to_string())?;
    if read > LINE_BYTES_MAX {
        return Err(format!("it is longer than {LINE_BYTES_MAX} bytes"));
    }
    Ok(read > 0)
}

/// Which field is which: positions of workspace, shard, state.
#[derive(Debug, PartialEq, Eq)]
struct Columns {
    workspace: usize,
    shard: Option<usize>,
    state: Option<usize>,
}

fn csv_columns(header: &str) -> Result<Columns, String> {
    let fields = csv_fields(header)?;
    let position = |name: &str| fields.iter().position(|field| field.trim().eq_ignore_ascii_case(name));
    let known = ["workspace", "shard", "state"];
    if let Some(other) = fields.iter().find(|f| !known.iter().any(|name| f.trim().eq_ignore_ascii_case(name)))
    {
        return Err(format!("the header names the unknown column {other:?}; it must be {CSV_HEADER}"));
    }
    let workspace =
        position("workspace").ok_or_else(|| format!("the header has no column workspace: {CSV_HEADER}"))?;
    Ok(Columns { workspace, shard: position("shard"), state: position("state") })
}

fn csv_row(line: &str, columns: &Columns) -> Result<WorkspaceRow, String> {
    let fields = csv_fields(line)?;
    let expected = 1 + usize::from(columns.shard.is_some()) + usize::from(columns.state.is_some());
    if fields.len() != expected {
        return Err(format!("it has {} fields, the header has {expected}", fields.len()));
    }
    let field = |at: Option<usize>| at.map(|at| fields[at].trim()).filter(|text| !text.is_empty());
    row(&fields[columns.workspace], field(columns.shard), field(columns.state))
}

fn csv_fields(line: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        fields.push(field);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(fields),
            None => return Err("text follows a closing quote".to_owned()),
        }
    }
}

/// The field after an opening quote, and what follows its closing quote.
fn quoted_field(text: &str) -> Result<(String, &str), String> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('"').ok_or("a quote is not closed")?;
        field.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                rest = after;
            }
            None => return Ok((field, rest)),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRow {
    workspace: JsonId,
    shard: Option<String>,
    state: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum JsonId {
    Number(u64),
    Text(String),
}

fn json_row(line: &str) -> Result<WorkspaceRow, String> {
    let read: JsonRow = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let workspace = match read.workspace {
        JsonId::Number(number) => number.to_string(),
        JsonId::Text(text) => text,
    };
    row(&workspace, read.shard.as_deref(), read.state.as_deref())
}

fn row(workspace: &str, shard: Option<&str>, state: Option<&str>) -> Result<WorkspaceRow, String> {
    let id = WorkspaceId::parse(workspace)
        .ok_or_else(|| format!("a workspace id has 1 to {WORKSPACE_ID_BYTES_MAX} bytes"))?;
    let state = match state {
        None => WorkspaceState::Active,
        Some(name) => WorkspaceState::parse(name)
            .ok_or_else(|| format!("{name:?} is no state (active, read_only, moving, suspended)"))?,
    };
    Ok(WorkspaceRow { workspace: id, shard: shard.map(ShardName::new), state })
}

/// Writes the line before the first row, if the format has one.
pub(super) fn write_header(format: RowFormat, out: &mut Vec<u8>) {
    if format == RowFormat::Csv {
        out.extend_from_slice(CSV_HEADER.as_bytes());
        out.push(b'\n');
    }
}

/// Writes one row.
pub(super) fn write_row(format: RowFormat, row: &WorkspaceRow, out: &mut Vec<u8>) {
    let workspace = row.workspace.to_string();
    let shard = row.shard.as_ref().map_or("", ShardName::as_str);
    let line = match format {
        RowFormat::Csv => format!("{},{},{}\n", csv_field(&workspace), csv_field(shard), row.state),
        RowFormat::JsonLines => {
            let value = match &row.workspace {
                WorkspaceId::Number(number) => serde_json::Value::from(*number),
                WorkspaceId::Text(text) => serde_json::Value::from(&**text),
            };
            let shard = serde_json::Value::from(shard);
            format!("{{\"workspace\":{value},\"shard\":{shard},\"state\":\"{}\"}}\n", row.state)
        }
    };
    out.extend_from_slice(line.as_bytes());
}

fn csv_field(text: &str) -> String {
    let is_plain = !text.contains(['"', ',']) && text.trim() == text;
    if is_plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}
