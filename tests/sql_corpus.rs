//! Every statement of `tests/corpus/*.sql` is read, except those listed as routed whole.
//!
//! One statement a line; `#` lines are comments, `# server: VERSION` sets the server of a file. `whole.sql`
//! lists, each with its reason, what is routed whole; it fails when such a statement can be read after all.

#![allow(clippy::unwrap_used, reason = "a test: a panic is its failure")]

use std::path::Path;

use bulkhead::sql::{Explained, Parsed, Scan, ServerVersion, SqlMode, StatementKind, parse, scan};

const LISTED_APART: &str = "whole.sql";

struct Case {
    place: String,
    text: String,
    mode: SqlMode,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    files.iter().flat_map(|path| cases_of(path)).collect()
}

fn cases_of(path: &Path) -> Vec<Case> {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let content = std::fs::read_to_string(path).unwrap();
    let mut mode = SqlMode::default();
    let mut cases = Vec::new();
    let mut reason = false;
    for (line, text) in content.lines().enumerate() {
        if let Some(version) = text.strip_prefix("# server: ") {
            mode.server = ServerVersion::parse(version).unwrap();
        }
        if text.starts_with('#') || text.trim().is_empty() {
            reason |= text.starts_with("# reason: ");
            continue;
        }
        assert!(name != LISTED_APART || reason, "{name}:{}: no reason is given", line + 1);
        reason = false;
        cases.push(Case { place: format!("{name}:{}", line + 1), text: text.to_owned(), mode });
    }
    cases
}

/// Says why a statement is not read fully; `None` when it is.
fn unread(case: &Case) -> Option<String> {
    let mut found = Scan::default();
    scan(case.text.as_bytes(), case.mode, &mut found);
    if found.end != case.text.len() {
        return Some(format!("ends at byte {} of {}", found.end, case.text.len()));
    }
    match parse(case.text.as_bytes(), &found, case.mode) {
        Ok(Parsed::Other(StatementKind::Unknown)) => Some("unknown kind".to_owned()),
        Ok(Parsed::Explain(explain)) if matches!(explain.explained, Explained::Unread(_)) => {
            Some("the explained statement is unread".to_owned())
        }
        Ok(_) => None,
        Err(unread) => Some(unread.to_string()),
    }
}

#[test]
fn every_statement_is_read_or_listed() {
    let cases = cases();
    assert!(cases.len() >= 400, "only {} statements", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let listed = case.place.starts_with(LISTED_APART);
        match unread(case) {
            Some(why) if !listed => wrong.push(format!("{}: {why}: {}", case.place, case.text)),
            None if listed => wrong.push(format!("{}: is listed but can be read: {}", case.place, case.text)),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}
