//! Holds the tree to its own rules: layers, sizes, names, comments. `make lint` runs it; it needs no server.
//!
//! The rules are in `tidy/rules.rs`. What may break one is listed here, with the reason; an exemption that
//! is no longer needed fails too.

#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use rules::{FOLDER_FILES_MAX, RULES};

/// Rule, path (a prefix if it ends in `/`), why it may break the rule.
const EXEMPTIONS: &[(&str, &str, &str)] = &[
    ("width", "src/error/codes.rs", "a table: one code per line"),
    ("width", "tests/drivers/", "scripts of checks: one check a line"),
    ("width", "tests/rails/", "scripts that print long usage lines and SQL"),
    ("open-work", "tests/tidy/rules.rs", "names the words it looks for"),
    ("open-work", "tests/tidy.rs", "feeds the rules bad examples"),
    ("foreign-words", "tests/tidy/rules.rs", "names the words it looks for"),
    ("foreign-words", "tests/tidy.rs", "feeds the rules bad examples"),
];

/// Files that hold no text of ours.
const SKIPPED: [&str; 2] = ["Cargo.lock", "LICENSE"];

#[test]
fn tree_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut faults = Vec::new();
    let mut used = vec![false; EXEMPTIONS.len()];
    let paths = tracked_files(root);
    for path in &paths {
        // Binary files (test data) and files removed but not yet committed have no text.
        let Ok(text) = std::fs::read_to_string(root.join(path)) else { continue };
        for rule in RULES {
            for fault in (rule.check)(path, &text) {
                match exemption(rule.name, path) {
                    Some(at) => used[at] = true,
                    None => faults.push(format!("{path}:{fault} [{}]", rule.name)),
                }
            }
        }
    }
    faults.extend(crowded_folders(&paths));
    let idle = EXEMPTIONS.iter().zip(used).filter(|(_, used)| !used);
    faults.extend(
        idle.map(|((rule, path, _), _)| format!("{path}: exemption from {rule} is no longer needed")),
    );
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// The files git knows or would add.
fn tracked_files(root: &Path) -> Vec<String> {
    let listing = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .expect("git runs");
    assert!(listing.status.success(), "git ls-files failed: tidy runs in a git clone");
    let names = String::from_utf8(listing.stdout).expect("paths are UTF-8");
    names.lines().filter(|name| !SKIPPED.contains(name)).map(str::to_owned).collect()
}

fn exemption(rule: &str, path: &str) -> Option<usize> {
    EXEMPTIONS.iter().position(|(exempt_rule, exempt_path, _)| {
        *exempt_rule == rule
            && (*exempt_path == path || (exempt_path.ends_with('/') && path.starts_with(exempt_path)))
    })
}

/// Folders under `src` that should get a sub-module.
fn crowded_folders(paths: &[String]) -> Vec<String> {
    let mut folders: BTreeMap<&str, usize> = BTreeMap::new();
    let sources = paths.iter().filter(|path| path.starts_with("src/") && path.ends_with(".rs"));
    for path in sources.filter(|path| path.matches('/').count() > 1) {
        let (folder, file) = path.rsplit_once('/').expect("has a folder");
        if file != "mod.rs" && file != "tests.rs" && !folder.ends_with("/tests") {
            *folders.entry(folder).or_default() += 1;
        }
    }
    let crowded = folders.into_iter().filter(|(_, count)| *count > FOLDER_FILES_MAX);
    crowded.map(|(folder, count)| format!("{folder}: {count} files, at most {FOLDER_FILES_MAX}")).collect()
}

/// The names of the rules that a snippet breaks.
fn broken(path: &str, text: &str) -> Vec<&'static str> {
    RULES.iter().filter(|rule| !(rule.check)(path, text).is_empty()).map(|rule| rule.name).collect()
}

const DOC: &str = "//! Doc.\n";

#[test]
fn a_clean_file_breaks_nothing() {
    let text = format!("{DOC}use crate::ids::Keyspace;\n\n/// Doc.\npub fn f(&self, a: u8) {{}}\n");
    assert!(broken("src/plan/route.rs", &text).is_empty());
}

#[test]
fn layers_point_downwards() {
    let uses = |line: &str| broken("src/plan/route.rs", &format!("{DOC}{line}\n"));
    assert_eq!(uses("use crate::session::Session;"), ["layers"]);
    assert_eq!(uses("use crate::{ids::Keyspace, topology::{Snapshot, Shard}};"), ["layers"]);
    assert_eq!(uses("fn f(x: crate::backend::Pool) {}"), ["layers"]);
    assert!(uses("use crate::{sql::{a, b}, vschema::Table};").is_empty());
    assert!(uses("// see crate::session::Session").is_empty());
    assert!(uses("#[cfg(test)]\nmod tests { use crate::topology::Snapshot; }").is_empty());
    assert_eq!(broken("src/execute/x.rs", &format!("{DOC}use crate::migrations::Ledger;")), ["layers"]);
    assert_eq!(broken("src/newcomer/mod.rs", DOC), ["layers"]);
}

#[test]
fn packages_stay_in_their_modules() {
    let text = format!("{DOC}use mysql_async::Conn;\n");
    assert_eq!(broken("src/session/mod.rs", &text), ["packages"]);
    assert!(broken("src/health/probe.rs", &text).is_empty());
}

#[test]
fn sizes_are_bounded() {
    let long_file = format!("{DOC}{}", "\n".repeat(600));
    assert_eq!(broken("src/sql/lexer.rs", &long_file), ["file-length"]);
    let mostly_tests = format!("{DOC}#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(900));
    assert!(broken("src/sql/lexer.rs", &mostly_tests).is_empty());
    assert!(broken("src/sql/tests.rs", &long_file).is_empty());

    let function = |lines: usize| format!("{DOC}fn f() {{\n{}}}\n", "    a();\n".repeat(lines));
    assert!(broken("src/sql/lexer.rs", &function(58)).is_empty());
    assert_eq!(broken("src/sql/lexer.rs", &function(59)), ["function-length"]);
    // Braces in text do not end a function.
    let quoted = function(58).replacen("a();", "a(\"}}\", '}', b'}', r#\"}\"#); // }", 1);
    assert!(broken("src/sql/lexer.rs", &quoted).is_empty());

    let wide = format!("{DOC}// {}\n", "x".repeat(110));
    assert_eq!(broken("src/sql/lexer.rs", &wide), ["width"]);
}

#[test]
fn parameters_are_counted_without_the_receiver() {
    let breaks = |signature: &str| broken("src/sql/lexer.rs", &format!("{DOC}{signature} {{}}\n"));
    assert!(breaks("fn f(&mut self, a: u8, b: (u8, u8), c: Map<K, V>, d: [u8; 4], e: u8)").is_empty());
    assert!(breaks("fn f<A, B>(&'a self, a: A, b: impl Fn(u8, u8) -> B, c: u8, d: u8, e: u8,)").is_empty());
    assert_eq!(breaks("fn f(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8)"), ["parameters"]);
}

#[test]
fn nesting_counts_control_blocks_only() {
    let breaks = |body: &str| broken("src/sql/lexer.rs", &format!("{DOC}fn f() {{ {body} }}\n"));
    assert!(breaks("loop { match a { B => { if c { for d in e { f(g { h }); } } } } }").is_empty());
    assert_eq!(breaks("loop { match a { B => { if c { for d in e { while f { } } } } } }"), ["nesting"]);
    assert!(breaks("if a {} else if b {} else if c {} else if d {} else { e(); }").is_empty());
}

#[test]
fn comments_names_and_words_are_checked() {
    assert_eq!(broken("src/sql/lexer.rs", "fn f() {}\n"), ["module-doc"]);
    assert_eq!(broken("src/sql/lexer.rs", &format!("{DOC}// TODO later\n")), ["open-work"]);
    assert!(broken("src/sql/lexer.rs", &format!("{DOC}// TODO(#3) later\n")).is_empty());
    assert_eq!(broken("src/sql/string_utils.rs", DOC), ["file-name"]);
    assert!(broken("src/admin/information_schema.rs", DOC).is_empty());
    assert_eq!(broken("README.md", "see /work/shared"), ["foreign-words"]);
}

#[test]
fn shell_scripts_stop_at_errors() {
    assert_eq!(broken("docker/x.sh", "#!/usr/bin/env bash\n# Does x.\necho\n"), ["shell"]);
    assert_eq!(broken(".ci/run", "#!/usr/bin/env bash\nset -euo pipefail\n"), ["shell"]);
    assert!(broken("docker/x.sh", "#!/usr/bin/env bash\n# Does x.\nset -euo pipefail\n").is_empty());
    assert!(broken("docker/lib.sh", "# shellcheck shell=bash\n").is_empty());
}

#[test]
fn tests_with_servers_are_marked() {
    let text = |mark: &str| format!("{DOC}mod common;\n\n#[tokio::test]\n{mark}async fn f() {{}}\n");
    let mark = "#[ignore = \"needs servers: make test\"]\n";
    assert_eq!(broken("tests/server_x.rs", &text("")), ["server-tests"]);
    assert!(broken("tests/server_x.rs", &text(mark)).is_empty());
    assert_eq!(broken("tests/x.rs", &text(mark)), ["server-tests"]);
}
