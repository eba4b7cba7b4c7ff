//! What is wrong with a file, and where.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

/// Longest source line shown, in characters.
const EXCERPT_CHARS_MAX: usize = 160;

/// Whether a fault stops the file from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The files are not used.
    Error,
    /// The files are used; an admin should know.
    Warning,
}

/// One fault of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// How bad.
    pub severity: Severity,
    /// File, as it was named.
    pub file: PathBuf,
    /// Line from 1; absent when the fault has no place in the file.
    pub line: Option<usize>,
    /// Column from 1, in characters.
    pub column: Option<usize>,
    /// Keys that lead to it, `listen.address`.
    pub path: String,
    /// What is wrong: what was found and what is expected.
    pub message: String,
    /// What was meant or what to do.
    pub help: Option<String>,
    /// The source line, passwords hidden.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<Excerpt>,
}

/// A source line and the part of it that is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Excerpt {
    /// The line.
    pub text: String,
    /// Characters before the part.
    pub skip: usize,
    /// Characters of the part; at least 1.
    pub width: usize,
}

/// A file's name and text.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) file: PathBuf,
    pub(crate) text: String,
}

/// A place in a file.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    source: Arc<Source>,
    span: Range<usize>,
    path: String,
}

impl Place {
    pub(crate) fn new(source: &Arc<Source>, span: Range<usize>, path: impl Into<String>) -> Self {
        Self { source: Arc::clone(source), span, path: path.into() }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// `file:line`, to point at another place in a message.
    pub(crate) fn short(&self) -> String {
        let (line, _) = self.source.line_column(self.span.start);
        format!("{}:{line}", self.source.file.display())
    }

    pub(crate) fn error(&self, message: impl Into<String>) -> Fault {
        self.fault(Severity::Error, message)
    }

    pub(crate) fn warning(&self, message: impl Into<String>) -> Fault {
        self.fault(Severity::Warning, message)
    }

    fn fault(&self, severity: Severity, message: impl Into<String>) -> Fault {
        let (line, column) = self.source.line_column(self.span.start);
        Fault {
            severity,
            file: self.source.file.clone(),
            line: Some(line),
            column: Some(column),
            path: self.path.clone(),
            message: message.into(),
            help: None,
            excerpt: self.source.excerpt(&self.span),
        }
    }
}

impl Source {
    fn line_start(&self, at: usize) -> usize {
        self.text.as_bytes()[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1)
    }

    /// The nearest character boundary at or before `at`.
    fn floor(&self, at: usize) -> usize {
        let at = at.min(self.text.len());
        (0..=at).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0)
    }

    fn line_column(&self, at: usize) -> (usize, usize) {
        let at = self.floor(at);
        let start = self.line_start(at);
        let line = self.text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
        (line, self.text[start..at].chars().count() + 1)
    }

    fn excerpt(&self, span: &Range<usize>) -> Option<Excerpt> {
        let at = self.floor(span.start);
        let start = self.line_start(at);
        let line = self.text[start..].lines().next()?;
        let skip = self.text[start..at].chars().count();
        let end = self.floor(span.end).clamp(at, start + line.len().max(at - start));
        let width = self.text[at..end].chars().count().max(1);
        let hidden = hide_secrets(line);
        if skip >= EXCERPT_CHARS_MAX || line.trim().is_empty() {
            return None;
        }
        let text: String = hidden.chars().take(EXCERPT_CHARS_MAX).collect();
        let width = width.min(text.chars().count().saturating_sub(skip).max(1));
        Some(Excerpt { text: text.replace('\t', " "), skip, width })
    }
}

/// Parts of keys whose values may be secrets, slips of the pen included.
const SECRET_WORDS: [&str; 6] = ["pass", "pwd", "secret", "pw", "token", "url"];
/// Keys that only name where a secret is.
const PLACES_OF_SECRETS: [&str; 4] = ["password_env", "password_file", "token_env", "url_env"];

/// The line up to the value of a secret; names of variables and files with secrets may be seen.
fn hide_secrets(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    let is_secret = |at: &usize| {
        let key = &lower[*at..];
        !PLACES_OF_SECRETS.iter().any(|place| key.starts_with(place))
    };
    let places = SECRET_WORDS.iter().flat_map(|word| lower.match_indices(word)).map(|(at, _)| at);
    let signs = places.filter(is_secret).filter_map(|at| Some(at + line[at..].find(['=', ':'])?));
    match signs.min() {
        Some(sign) => format!("{} ***", &line[..=sign]),
        None => line.to_owned(),
    }
}

impl Fault {
    /// A fault of a file as a whole.
    pub fn of_file(file: &Path, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: file.to_owned(),
            line: None,
            column: None,
            path: String::new(),
            message: message.into(),
            help: None,
            excerpt: None,
        }
    }

    /// The same fault with what was meant or what to do.
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same fault with "did you mean", if there is a nearest word.
    pub(crate) fn meant(self, nearest: Option<&str>) -> Self {
        match nearest {
            Some(word) => self.with_help(format!("did you mean `{word}`?")),
            None => self,
        }
    }

    /// Says whether the files cannot be used.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Key for the order of a report: by file, line, column.
    pub(crate) fn order(&self) -> (PathBuf, Option<usize>, Option<usize>) {
        (self.file.clone(), self.line, self.column)
    }
}

impl fmt::Display for Fault {
    /// `file:line:column: error: key: message (help)`, then the source line with a mark.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, "{line}:{column}:")?;
        }
        f.write_str(if self.is_error() { " error: " } else { " warning: " })?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if let Some(help) = &self.help {
            write!(f, " ({help})")?;
        }
        if let Some(Excerpt { text, skip, width }) = &self.excerpt {
            let (gutter, line) = (" ", self.line.unwrap_or_default());
            write!(f, "\n{line:>5} | {text}\n{gutter:>5} | {:skip$}{}", "", "^".repeat(*width))?;
        }
        Ok(())
    }
}
