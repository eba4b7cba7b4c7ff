//! Golden fault reports: each folder of `tests/config` holds files with faults and what `bulkhead check` says
//! of them.
//!
//! Update by `UPDATE_GOLDEN=1 cargo test --test config`, never in CI.

use std::path::Path;

use bulkhead::vschema::check;

#[test]
fn reports_are_golden() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    assert!(!(update && std::env::var_os("CI").is_some()), "goldens are not updated in CI");
    let folder = Path::new("tests/config");
    let mut cases: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(!cases.is_empty());
    let mut wrong = Vec::new();
    for case in cases {
        let (report, checked) = check::run(&case.join("bulkhead.toml"));
        let text = report.to_text();
        assert!(!text.contains("hunter2"), "a password in {}", case.display());
        assert_eq!(checked.is_some(), report.is_good());
        let expected = case.join("expected.txt");
        if update {
            std::fs::write(&expected, &text).unwrap();
        }
        if std::fs::read_to_string(&expected).unwrap_or_default() != text {
            wrong.push(format!("{}:\n{text}", expected.display()));
        }
    }
    assert!(wrong.is_empty(), "not as expected (UPDATE_GOLDEN=1 writes them):\n{}", wrong.join("\n"));
}

#[test]
fn reports_are_json_too() {
    let (report, _) = check::run(Path::new("tests/config/shards/bulkhead.toml"));
    let json = report.to_json();
    assert_eq!(json["good"], false);
    let fault = &json["faults"][0];
    assert!(fault["line"].is_u64() && fault["column"].is_u64() && fault["message"].is_string());
}
