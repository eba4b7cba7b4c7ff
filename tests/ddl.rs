//! Golden cases and properties of what is decided about schema changes.
//!
//! `tests/ddl/*.plan` has the rows of the servers' matrices and the refusals; the format is in
//! `tests/ddl/README.md`. `UPDATE_GOLDEN=1 cargo test --test ddl` writes what is decided now. Whether the
//! servers agree is asked by `tests/server_ddl.rs`.

#![allow(clippy::unwrap_used, reason = "a test: a panic is its failure")]

#[path = "ddl/golden.rs"]
#[allow(dead_code, reason = "tests/server_ddl.rs uses the rest")]
mod golden;

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use bulkhead::ddl::{Level, Request, Route, Standing, decide, edited, rules};
use bulkhead::sql::{ClauseKind, Scan, ServerVersion, SqlMode, TableChange, read_change, scan};
use golden::files;
use proptest::prelude::*;

#[test]
fn decisions_are_as_recorded() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut faults = Vec::new();
    for mut file in files() {
        for case in &mut file.cases {
            let found = case.run();
            if found != case.expected && !update {
                let place = format!("{}:{}", file.path.display(), case.line);
                faults.push(format!(
                    "{place}\n{}\nexpected:\n{}\nfound:\n{found}\n",
                    case.statement, case.expected
                ));
            }
            case.expected = found;
        }
        if update {
            std::fs::write(&file.path, file.print()).unwrap();
        }
    }
    assert!(faults.is_empty(), "{} cases differ:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn no_case_is_written_twice_and_there_are_many() {
    let mut seen: HashMap<String, String> = HashMap::new();
    let mut faults = Vec::new();
    for file in files() {
        for case in &file.cases {
            let place = format!("{}:{}", file.path.display(), case.line);
            let key = format!("{:?} {}", case.setting, case.statement);
            if let Some(first) = seen.insert(key, place.clone()) {
                faults.push(format!("{place} repeats {first}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(seen.len() >= 600, "only {} cases", seen.len());
}

#[test]
fn every_rule_has_a_case_and_a_number_of_its_own() {
    let mut used: HashSet<&str> = HashSet::new();
    for file in files() {
        for case in &file.cases {
            let decision = case.decide();
            used.extend(
                decision.iter().flat_map(|decision| decision.all_findings()).map(|found| found.rule.id),
            );
        }
    }
    let (mut ids, mut names) = (HashSet::new(), HashSet::new());
    for rule in rules::all() {
        assert!(ids.insert(rule.id) && names.insert(rule.name), "{rule:?} twice");
        assert!(rule.id.len() == 4 && rule.id.starts_with('D'), "{rule:?}");
        for text in [rule.sentence, rule.remedy, rule.source] {
            assert!(!text.is_empty(), "{rule:?}");
        }
        assert!(used.contains(rule.id), "no case for {rule:?}");
    }
}

/// No option lets a type change go anywhere but into a copy.
#[test]
fn a_type_change_is_never_direct() {
    let mut count = 0;
    for file in files() {
        for case in &file.cases {
            let Some(change) = case.change().ok().flatten() else { continue };
            let definition = case.setting.definition();
            let standings = [Standing::InUse, Standing::Empty, Standing::Young, Standing::Unused];
            let all = standings.into_iter().flat_map(|standing| (0..8).map(move |bits| (standing, bits)));
            for (standing, bits) in all {
                let decision = decide(&Request {
                    text: case.statement.as_bytes(),
                    change: &change,
                    table: definition.as_ref(),
                    server: case.setting.server,
                    prove: bits & 1 != 0,
                    acknowledged: bits & 2 != 0,
                    standing,
                    must_copy: bits & 4 != 0,
                });
                let of_type = ["D201", "D202", "D205", "D206", "D405"];
                let changes_type = decision.all_findings().any(|found| of_type.contains(&found.rule.id));
                assert!(!changes_type || decision.route > Route::Direct, "{}", case.statement);
                count += usize::from(changes_type);
            }
        }
    }
    assert!(count >= 200, "only {count}");
}

/// The files, read once for all cases of a property.
fn known_files() -> &'static [golden::File] {
    static FILES: OnceLock<Vec<golden::File>> = OnceLock::new();
    FILES.get_or_init(files)
}

fn read(text: &[u8], server: ServerVersion) -> Option<TableChange> {
    let mode = SqlMode { server, ..SqlMode::default() };
    let mut found = Scan::default();
    scan(text, mode, &mut found);
    read_change(text, &found, mode).ok().flatten()
}

/// Clauses of the cases that are about the same table on the same server, without ALGORITHM and LOCK.
fn clauses_of(server: &str) -> Vec<String> {
    let file = known_files().iter().find(|file| file.path.ends_with(server)).expect("the file is there");
    let mut clauses = Vec::new();
    for case in file.cases.iter().filter(|case| case.setting.table.as_deref() == Some("base")) {
        let Some(change) = case.change().ok().flatten() else { continue };
        let is_alter = case.statement.starts_with("alter table t ");
        let is_last = |kind: &ClauseKind| {
            matches!(kind, ClauseKind::Partition(_) | ClauseKind::PartitionBy(_) | ClauseKind::OrderBy)
        };
        if is_alter && change.clauses.len() == 1 && !is_last(&change.clauses[0].kind) {
            let span = change.clauses[0].span;
            clauses.push(String::from_utf8_lossy(span.of(case.statement.as_bytes())).into_owned());
        }
    }
    clauses
}

/// Whatever changes a table in the corpus of statements is read, and every clause of it is known.
#[test]
fn every_clause_of_the_corpus_is_known() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let (mut faults, mut count) = (Vec::new(), 0);
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let content = std::fs::read_to_string(&path).unwrap();
        let mut server = ServerVersion::default();
        for line in content.lines() {
            if let Some(version) = line.strip_prefix("# server: ") {
                server = ServerVersion::parse(version).unwrap();
            }
            let mode = SqlMode { server, ..SqlMode::default() };
            let mut found = Scan::default();
            scan(line.as_bytes(), mode, &mut found);
            match read_change(line.as_bytes(), &found, mode) {
                Ok(None) => continue,
                Err(unread) => faults.push(format!("{unread}: {line}")),
                Ok(Some(change)) => {
                    let is_unknown = |clause: &bulkhead::sql::Clause| clause.kind == ClauseKind::Unknown;
                    if change.clauses.iter().any(is_unknown) {
                        faults.push(format!("{:?}: {line}", change.clauses));
                    }
                }
            }
            count += 1;
        }
    }
    assert!(faults.is_empty(), "{} of {count}:\n{}", faults.len(), faults.join("\n"));
    assert!(count > 60, "only {count}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A statement is at least as strict as each of its clauses, in it and alone.
    #[test]
    fn a_combination_is_as_strict_as_its_strictest_clause(
        picks in proptest::collection::vec(any::<prop::sample::Index>(), 1..5),
        mariadb in any::<bool>(),
        prove in any::<bool>(),
        acknowledged in any::<bool>(),
    ) {
        let (server, file) = match mariadb {
            true => (ServerVersion { mariadb, number: 101_100 }, "mariadb-10.11.plan"),
            false => (ServerVersion { mariadb, number: 90_700 }, "mysql-9.7.plan"),
        };
        let clauses = clauses_of(file);
        let picked: Vec<&String> = picks.iter().map(|pick| pick.get(&clauses)).collect();
        let text = |clauses: &[&String]| {
            let joined: Vec<&str> = clauses.iter().map(|clause| clause.as_str()).collect();
            format!("alter table t {}", joined.join(", "))
        };
        let setting = known_files().iter().find(|f| f.path.ends_with(file)).unwrap().cases.iter()
            .find(|case| case.setting.table.as_deref() == Some("base")).unwrap().setting.clone();
        let definition = setting.definition();
        let judge = |text: &str| {
            let change = read(text.as_bytes(), server).unwrap();
            decide(&Request {
                text: text.as_bytes(),
                change: &change,
                table: definition.as_ref(),
                server,
                prove,
                acknowledged,
                standing: Standing::InUse,
                must_copy: false,
            })
        };
        let whole_text = text(&picked);
        let whole = judge(&whole_text);
        for clause in &whole.clauses {
            prop_assert!(whole.route >= clause.route, "{whole_text}");
            prop_assert!(whole.class() >= clause.class(), "{whole_text}");
            prop_assert!(whole.loses >= clause.loses && whole.breaks >= clause.breaks, "{whole_text}");
        }
        // With a new primary key beside it, dropping the old one is milder than alone; and a column that
        // names no character set may keep its own, if that becomes the table's.
        let changes_key = picked.iter().any(|clause| clause.contains("primary key"));
        let changes_default = |clause: &&String| {
            ["default", "character set", "charset", "collate"].iter().any(|word| clause.starts_with(word))
        };
        let is_milder = changes_key || picked.iter().any(changes_default);
        for clause in picked.iter().filter(|_| !is_milder) {
            let alone = judge(&text(&[clause]));
            prop_assert!(whole.route >= alone.route, "{whole_text}: {clause}");
            prop_assert!(whole.class() >= alone.class(), "{whole_text}: {clause}");
        }
        check_edits(whole_text.as_bytes(), &whole)?;
    }

    /// Whatever bytes come, reading and deciding ends, and edits keep the client's bytes.
    #[test]
    fn nothing_makes_it_panic(
        pick in any::<prop::sample::Index>(),
        cut in any::<prop::sample::Index>(),
        put in proptest::collection::vec(prop_oneof![
            Just(" ".to_owned()), Just("(".to_owned()), Just(")".to_owned()), Just(",".to_owned()),
            Just("'".to_owned()), Just("`".to_owned()), Just("/*!80000 ".to_owned()), Just("*/".to_owned()),
            Just("default".to_owned()), Just("add".to_owned()), Just("0x".to_owned()), "[\\x00-\\xff]{0,4}",
        ], 0..4),
    ) {
        let texts: Vec<String> = known_files().iter()
            .flat_map(|file| &file.cases)
            .flat_map(|case| [Some(case.statement.clone()), case.setting.table_text()])
            .flatten()
            .collect();
        let mut text = pick.get(&texts).clone().into_bytes();
        let at = cut.index(text.len() + 1);
        text.splice(at..at, put.concat().into_bytes());
        for mariadb in [false, true] {
            let server = ServerVersion { mariadb, number: if mariadb { 101_100 } else { 90_700 } };
            let Some(change) = read(&text, server) else { continue };
            let decision = decide(&Request {
                text: &text, change: &change, table: None, server, prove: true, acknowledged: true,
                standing: Standing::Unused, must_copy: true,
            });
            check_edits(&text, &decision)?;
        }
    }
}

/// What is sent begins, ends and goes on with the client's own bytes; the edits do not overlap.
fn check_edits(text: &[u8], decision: &bulkhead::ddl::Decision) -> Result<(), TestCaseError> {
    let sent = edited(text, &decision.edits);
    let put: usize = decision.edits.iter().map(|edit| edit.text.len()).sum();
    let taken: usize = decision.edits.iter().map(|edit| edit.span.len()).sum();
    prop_assert_eq!(sent.len() + taken, text.len() + put);
    let mut spans: Vec<_> = decision.edits.iter().map(|edit| edit.span).collect();
    spans.sort();
    prop_assert!(spans.windows(2).all(|pair| pair[0].end <= pair[1].start));
    let mut edits: Vec<_> = decision.edits.iter().collect();
    edits.sort_by_key(|edit| edit.span);
    let (mut at, mut from) = (0, 0);
    for edit in edits {
        let kept = &text[from..edit.span.start as usize];
        prop_assert_eq!(&sent[at..at + kept.len()], kept);
        at += kept.len() + edit.text.len();
        from = edit.span.end as usize;
    }
    prop_assert_eq!(&sent[at..], &text[from..]);
    let refused = decision.all_findings().any(|found| found.level == Level::Refusal);
    prop_assert_eq!(refused, decision.route == Route::Refuse);
    prop_assert!(decision.route == Route::Direct || decision.edits.is_empty());
    Ok(())
}
