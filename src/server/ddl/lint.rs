//! `bulkhead ddl lint`: every statement of the files, and what would become of it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Format, TargetArgs, at, define_from, put, put_json, read_file, sarif};
use crate::ddl::{self, Finding, Level, Route, Script, Step};
use crate::sql::line_and_column;

/// A file that was looked through.
pub(super) struct Linted {
    pub(super) path: PathBuf,
    pub(super) text: Vec<u8>,
    pub(super) steps: Vec<Step>,
}

/// A finding and where it is in its file.
pub(super) struct Placed<'a> {
    pub(super) finding: &'a Finding,
    pub(super) start: (usize, usize),
    pub(super) end: (usize, usize),
}

impl Linted {
    /// What is worth telling: notes and refusals.
    pub(super) fn placed(&self) -> impl Iterator<Item = Placed<'_>> {
        self.steps.iter().flat_map(move |step| {
            let findings = step.decision.all_findings().filter(|finding| finding.level > Level::Reason);
            findings.map(move |finding| {
                let at = |offset: u32| line_and_column(&self.text, step.start + offset as usize);
                Placed { finding, start: at(finding.span.start), end: at(finding.span.end) }
            })
        })
    }

    fn count(&self, route: Route) -> usize {
        self.steps.iter().filter(|step| step.decision.route == route).count()
    }
}

/// Says whether a statement is refused.
pub(super) fn run(
    files: &[PathBuf],
    schema: &[PathBuf],
    target: &TargetArgs,
    format: Format,
) -> Result<bool, String> {
    let server = target.server()?;
    let mut known = Script::default();
    for path in schema {
        define_from(path, server, &mut known)?;
    }
    let mut linted = Vec::new();
    for path in files {
        let text = read_file(path)?;
        let steps = ddl::read_script(&text, &mut known, server, target.permits())
            .map_err(|error| at(path, &error))?;
        linted.push(Linted { path: path.clone(), text, steps });
    }
    match format {
        Format::Human => put(&human(&linted))?,
        Format::Json => put_json(&to_json(&linted))?,
        Format::Sarif => put_json(&sarif::report(&linted))?,
    }
    Ok(linted.iter().any(|file| file.count(Route::Refuse) > 0))
}

fn total(linted: &[Linted], route: Route) -> usize {
    linted.iter().map(|file| file.count(route)).sum()
}

fn human(linted: &[Linted]) -> String {
    let mut out = String::new();
    for file in linted {
        for placed in file.placed() {
            let (finding, (line, column)) = (placed.finding, placed.start);
            let (level, rule) = (finding.level.word(), finding.rule);
            let path = file.path.display();
            let _ =
                writeln!(out, "{path}:{line}:{column}: {level} {} {}: {}", rule.id, rule.name, finding.why);
            if finding.level == Level::Refusal {
                let _ = writeln!(out, "    {}\n    remedy: {}", rule.sentence, rule.remedy);
            }
        }
    }
    let (direct, copied, refused) =
        (total(linted, Route::Direct), total(linted, Route::Copy), total(linted, Route::Refuse));
    let count = direct + copied + refused;
    let _ =
        writeln!(out, "{count} schema changes: {direct} direct, {copied} by online copy, {refused} refused");
    out
}

fn to_json(linted: &[Linted]) -> Value {
    let files: Vec<Value> = linted.iter().map(file_json).collect();
    json!({
        "files": files,
        "direct": total(linted, Route::Direct),
        "copied": total(linted, Route::Copy),
        "refused": total(linted, Route::Refuse),
    })
}

fn file_json(file: &Linted) -> Value {
    let statements: Vec<Value> = file
        .steps
        .iter()
        .map(|step| {
            let (line, column) = line_and_column(&file.text, step.span.start as usize);
            let mut decided = ddl::to_json(&file.text[step.start..step.end], &step.decision);
            if let Some(object) = decided.as_object_mut() {
                object.insert("table".to_owned(), json!(step.table));
                object.insert("line".to_owned(), json!(line));
                object.insert("column".to_owned(), json!(column));
            }
            decided
        })
        .collect();
    json!({ "file": name(&file.path), "statements": statements })
}

/// A path with slashes, as reports have it.
pub(super) fn name(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}
