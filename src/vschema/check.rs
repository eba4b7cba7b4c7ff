//! `bulkhead check`: every fault of every file, for people and as JSON.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::config::{Config, Fault, Severity};

use super::Vschema;
use super::load::read_all;

/// What a check found.
#[derive(Debug, Default)]
pub struct Report {
    /// Files that were read.
    pub files: Vec<PathBuf>,
    /// Faults of the files, in the order of files and lines.
    pub faults: Vec<Fault>,
    /// Findings on servers, if they were asked.
    pub live: Vec<Finding>,
}

/// Something found on a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// Cluster.
    pub cluster: String,
    /// Server, `host:port`.
    pub server: String,
    /// What was looked at: `login`, `keyspace shop`, `shop.orders`.
    pub about: String,
    /// What was found.
    pub message: String,
}

/// Files that hold, for the part of a check that asks servers.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The main file.
    pub config: Arc<Config>,
    /// The vschema files.
    pub vschema: Arc<Vschema>,
}

/// Checks the files; the second part is there when they could be used.
pub fn run(path: &Path) -> (Report, Option<Checked>) {
    let read = read_all(path);
    let usable = !read.faults.iter().any(Fault::is_error);
    let checked = read
        .config
        .filter(|_| usable)
        .map(|config| Checked { config: Arc::new(config), vschema: Arc::new(Vschema::new(read.schemas)) });
    (Report { files: read.files, faults: read.faults, live: Vec::new() }, checked)
}

impl Report {
    /// Says whether nothing stops the files from being used, and no server has an error.
    pub fn is_good(&self) -> bool {
        self.count(Severity::Error) == 0
    }

    /// Faults and findings of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        let faults = self.faults.iter().filter(|fault| fault.severity == severity).count();
        faults + self.live.iter().filter(|finding| finding.severity == severity).count()
    }

    /// For people: one paragraph for each fault, one line for each finding, a summary.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for fault in &self.faults {
            let _infallible = writeln!(text, "{fault}");
        }
        for finding in &self.live {
            let Finding { cluster, server, about, message, .. } = finding;
            let severity = if finding.severity == Severity::Error { "error" } else { "warning" };
            let _infallible = writeln!(text, "{cluster} ({server}): {severity}: {about}: {message}");
        }
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        let counted =
            |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let files = counted(self.files.len(), "file");
        let _infallible = match (errors, warnings) {
            (0, 0) => writeln!(text, "{files}: good"),
            _ => writeln!(text, "{files}: {}, {}", counted(errors, "error"), counted(warnings, "warning")),
        };
        text
    }

    /// For programs: an object with `good`, `files`, `faults`, `live`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "good": self.is_good(),
            "files": self.files,
            "faults": self.faults,
            "live": self.live,
        })
    }
}
