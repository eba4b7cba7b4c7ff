//! Golden plans and refusals: every case is a statement, the session it comes from, and where it goes or why
//! not.
//!
//! `tests/plans/*.plan` are statements that are routed, `tests/refusals/*.plan` statements that are refused;
//! the format is in `tests/plans/README.md`. `UPDATE_GOLDEN=1 cargo test --test plans` writes what the
//! planner says now.

#[path = "plans/golden.rs"]
mod golden;
#[path = "plans/isolation.rs"]
mod isolation;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use bulkhead::error::Code;
use golden::{Case, File};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

fn files(name: &str) -> Vec<File> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder(name))
        .expect("the folder is there")
        .map(|entry| entry.expect("the folder is readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "plan"))
        .collect();
    paths.sort();
    paths.iter().map(|path| File::read(path)).collect()
}

/// Runs the cases of a folder; returns what differs.
fn run(name: &str) -> Vec<String> {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut faults = Vec::new();
    for mut file in files(name) {
        for case in &mut file.cases {
            let found = case.run();
            if found != case.expected && !update {
                faults.push(format!(
                    "{}:{}\n{}\nexpected:\n{}\nfound:\n{found}\n",
                    file.path.display(),
                    case.line,
                    case.statement,
                    case.expected
                ));
            }
            case.expected = found;
        }
        if update {
            std::fs::write(&file.path, file.print()).expect("the file is writable");
        }
    }
    faults
}

/// A user of some keyspaces is not shown the tables of the others, which may be on the same servers.
#[test]
fn scans_show_no_keyspaces_of_others() {
    let unsharded = |name: &str| {
        let path = PathBuf::from(format!("{name}.toml"));
        bulkhead::vschema::parse_vschema(&path, "layout = \"unsharded\"\n").expect("it is right")
    };
    let alone = std::sync::Arc::new(bulkhead::vschema::Vschema::new([unsharded("app")]));
    let two = std::sync::Arc::new(bulkhead::vschema::Vschema::new([unsharded("app"), unsharded("crm")]));
    let user = |confined| golden::Session {
        database: Some("app".to_owned()),
        confined,
        ..golden::Session::default()
    };
    let scans = [
        "select table_name from information_schema.tables",
        "show open tables",
        "select * from information_schema.columns where table_name = 'accounts'",
    ];
    for scan in scans {
        for (vschema, confined, is_refused) in
            [(&two, true, true), (&two, false, false), (&alone, true, false)]
        {
            let plan = golden::outcome(scan, &user(confined), vschema).plan;
            let is_fenced = plan.is_err_and(|refusal| refusal.code == Code::FencedScan);
            assert_eq!(is_fenced, is_refused, "{scan} {confined}");
        }
    }
    let own = "select table_name from information_schema.tables where table_schema = database()";
    assert!(golden::outcome(own, &user(true), &two).plan.is_ok());
}

#[test]
fn plans_are_as_recorded() {
    let faults = run("plans");
    assert!(faults.is_empty(), "{} cases differ:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn refusals_are_as_recorded() {
    let faults = run("refusals");
    assert!(faults.is_empty(), "{} cases differ:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn no_case_is_written_twice() {
    let mut seen: HashMap<(String, String), String> = HashMap::new();
    let mut faults = Vec::new();
    for file in files("plans").into_iter().chain(files("refusals")) {
        for Case { statement, session, line, .. } in &file.cases {
            let place = format!("{}:{line}", file.path.display());
            let key = (statement.clone(), session.to_string());
            if let Some(first) = seen.insert(key, place.clone()) {
                faults.push(format!("{place} repeats {first}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What a line says was refused.
fn refused(line: &str) -> Option<&str> {
    line.strip_prefix("-> ").unwrap_or(line).strip_prefix("refused ")
}

#[test]
fn plans_are_routed_and_refusals_refused() {
    let is_refused = |case: &Case| case.expected.lines().any(|line| refused(line).is_some());
    for file in files("plans") {
        assert!(!file.cases.is_empty(), "{}: no cases", file.path.display());
        for case in &file.cases {
            assert!(!is_refused(case), "{}:{} belongs to tests/refusals", file.path.display(), case.line);
        }
    }
    for file in files("refusals") {
        assert!(!file.cases.is_empty(), "{}: no cases", file.path.display());
        for case in &file.cases {
            assert!(is_refused(case), "{}:{} belongs to tests/plans", file.path.display(), case.line);
        }
    }
}

#[test]
fn every_refusal_of_the_planner_has_a_case() {
    let refused: HashSet<String> = files("refusals")
        .iter()
        .flat_map(|file| &file.cases)
        .flat_map(|case| case.expected.lines())
        .filter_map(|line| refused(line)?.split(' ').next())
        .map(str::to_owned)
        .collect();
    // What only a session can refuse: where its transaction, its locks and its role are.
    let of_sessions = [Code::TransactionElsewhere, Code::PinnedElsewhere, Code::ReadOnlyTarget];
    let planned = |code: &&Code| (2000..3000).contains(&code.number()) && !of_sessions.contains(code);
    let missing: Vec<String> =
        Code::ALL.iter().filter(planned).map(|code| code.id()).filter(|id| !refused.contains(id)).collect();
    assert!(missing.is_empty(), "no case for {}", missing.join(", "));
}

#[test]
fn there_are_many_cases() {
    let count: usize = files("plans").iter().chain(&files("refusals")).map(|file| file.cases.len()).sum();
    assert!(count >= 250, "only {count} cases");
}
