//! A file as a tree in which every key and value knows its place: one form for TOML and JSON.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use jsonc_parser::ast;
use jsonc_parser::common::Ranged;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, Place, Source};

/// Largest file read, in bytes.
pub(crate) const FILE_BYTES_MAX: u64 = 64 << 20;
/// Deepest nesting of a JSON file.
const DEPTH_MAX: usize = 64;

/// A parsed file.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) source: Arc<Source>,
    pub(crate) root: Node,
}

/// A value and its place.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) value: Tree,
}

/// A value.
#[derive(Debug)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Integer(i128),
    Float,
    Datetime,
    Text(String),
    Array(Vec<Node>),
    Object(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) node: Node,
}

impl Tree {
    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Integer(_) => "a whole number",
            Self::Float => "a number with a fraction",
            Self::Datetime => "a date",
            Self::Text(_) => "text",
            Self::Array(_) => "a list",
            Self::Object(_) => "a table",
        }
    }
}

impl Document {
    /// Parses TOML, or JSON (comments allowed) if the file is named `.json`.
    pub(crate) fn parse(file: &Path, text: String) -> Result<Self, Vec<Fault>> {
        let source = Arc::new(Source { file: file.to_owned(), text });
        let is_json = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        let root = if is_json { parse_json(&source) } else { parse_toml(&source) }?;
        Ok(Self { source, root })
    }

    /// The place of a key, or of the deepest part of the path that exists.
    pub(crate) fn place(&self, path: &[&str]) -> Place {
        let (mut span, mut node) = (0..0, &self.root);
        for key in path {
            let Tree::Object(entries) = &node.value else { break };
            let Some(entry) = entries.iter().find(|entry| entry.key == *key) else { break };
            (span, node) = (entry.key_span.clone(), &entry.node);
        }
        Place::new(&self.source, span, path.join("."))
    }
}

fn parse_toml(source: &Arc<Source>) -> Result<Node, Vec<Fault>> {
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    let fault = |error: toml::de::Error| {
        let message = format!("not TOML: {}", error.message().trim_end());
        Place::new(source, error.span().unwrap_or(0..0), "").error(message)
    };
    if !errors.is_empty() {
        return Err(errors.into_iter().map(fault).collect());
    }
    let span = table.span();
    Ok(Node { span, value: from_toml_table(table.into_inner()) })
}

fn from_toml_table(table: DeTable<'_>) -> Tree {
    let entry = |(key, node): (Spanned<std::borrow::Cow<'_, str>>, Spanned<DeValue<'_>>)| Entry {
        key_span: key.span(),
        key: key.into_inner().into_owned(),
        node: from_toml(node),
    };
    let mut entries: Vec<Entry> = table.into_iter().map(entry).collect();
    entries.sort_by_key(|entry| entry.key_span.start);
    Tree::Object(entries)
}

fn from_toml(node: Spanned<DeValue<'_>>) -> Node {
    let span = node.span();
    let value = match node.into_inner() {
        DeValue::String(text) => Tree::Text(text.into_owned()),
        DeValue::Integer(number) => {
            i128::from_str_radix(number.as_str(), number.radix()).map_or(Tree::Float, Tree::Integer)
        }
        DeValue::Float(_) => Tree::Float,
        DeValue::Boolean(flag) => Tree::Bool(flag),
        DeValue::Datetime(_) => Tree::Datetime,
        DeValue::Array(items) => Tree::Array(items.into_iter().map(from_toml).collect()),
        DeValue::Table(table) => from_toml_table(table),
    };
    Node { span, value }
}

fn parse_json(source: &Arc<Source>) -> Result<Node, Vec<Fault>> {
    let place = |span: Range<usize>| Place::new(source, span, "");
    if let Some(at) = too_deep(source.text.as_bytes()) {
        return Err(vec![place(at..at + 1).error("nested too deeply")]);
    }
    let options = jsonc_parser::ParseOptions {
        allow_comments: true,
        allow_loose_object_property_names: false,
        allow_trailing_commas: true,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
    };
    let parsed = jsonc_parser::parse_to_ast(&source.text, &jsonc_parser::CollectOptions::default(), &options);
    let ast = parsed.map_err(|error| {
        let range = error.range();
        vec![place(range.start..range.end).error(format!("not JSON: {}", error.kind()))]
    })?;
    let value = ast.value.ok_or_else(|| vec![place(0..0).error("the file is empty")])?;
    let mut faults = Vec::new();
    let node = from_json(value, source, &mut faults);
    if faults.is_empty() { Ok(node) } else { Err(faults) }
}

fn from_json(value: ast::Value<'_>, source: &Arc<Source>, faults: &mut Vec<Fault>) -> Node {
    let range = value.range();
    let value = match value {
        ast::Value::StringLit(text) => Tree::Text(text.value.into_owned()),
        ast::Value::NumberLit(number) => number.value.parse().map_or(Tree::Float, Tree::Integer),
        ast::Value::BooleanLit(flag) => Tree::Bool(flag.value),
        ast::Value::NullKeyword(_) => Tree::Null,
        ast::Value::Array(array) => {
            Tree::Array(array.elements.into_iter().map(|item| from_json(item, source, faults)).collect())
        }
        ast::Value::Object(object) => Tree::Object(from_json_object(object, source, faults)),
    };
    Node { span: range.start..range.end, value }
}

fn from_json_object(object: ast::Object<'_>, source: &Arc<Source>, faults: &mut Vec<Fault>) -> Vec<Entry> {
    let mut seen = std::collections::HashSet::new();
    let mut entries = Vec::new();
    for property in object.properties {
        let range = property.name.range();
        let key = property.name.into_string();
        let key_span = range.start..range.end;
        if !seen.insert(key.clone()) {
            faults.push(Place::new(source, key_span.clone(), key.as_str()).error("the key is given twice"));
        }
        let node = from_json(property.value, source, faults);
        entries.push(Entry { key, key_span, node });
    }
    entries
}

/// Where brackets outside of strings and comments nest deeper than [`DEPTH_MAX`].
fn too_deep(text: &[u8]) -> Option<usize> {
    let (mut depth, mut at) = (0usize, 0);
    while at < text.len() {
        match (text[at], text.get(at + 1)) {
            (b'"', _) => at = end_of_string(text, at),
            (b'/', Some(b'/')) => at += memchr::memchr(b'\n', &text[at..]).unwrap_or(text.len() - at),
            (b'/', Some(b'*')) => {
                at += memchr::memmem::find(&text[at + 2..], b"*/").map_or(text.len(), |end| end + 3)
            }
            (b'{' | b'[', _) => depth += 1,
            (b'}' | b']', _) => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// The closing quote of the string that begins at `at`, or the end of the text.
fn end_of_string(text: &[u8], mut at: usize) -> usize {
    loop {
        at += 1;
        match text.get(at) {
            None | Some(b'"') => return at,
            Some(b'\\') => at += 1,
            Some(_) => {}
        }
    }
}
