//! Holds the documentation to the code: the table of error codes, the files that links lead to.

#![allow(clippy::unwrap_used, reason = "a test: a panic is its failure")]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use bulkhead::error::{Code, Origin, Retry};

const SQL_PAGE: &str = "docs/sql.md";
const BEGIN: &str = "<!-- error codes: made from src/error/codes.rs by tests/docs.rs -->\n";
const END: &str = "<!-- end of error codes -->\n";
/// Families of codes, by their number's thousands.
const FAMILIES: [(u16, &str); 9] = [
    (0, "MySQL's own errors"),
    (2, "Refusals of the planner"),
    (3, "Routing and the directory"),
    (4, "Servers"),
    (5, "Limits"),
    (6, "Admin statements"),
    (7, "Schema changes"),
    (9, "Faults of Bulkhead"),
    (1, "Protocol"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn origin(code: Code) -> &'static str {
    match code.origin() {
        Origin::Client => "client",
        Origin::Proxy => "proxy",
        Origin::Shard => "shard",
    }
}

fn retry(code: Code) -> &'static str {
    match code.retry() {
        Retry::Never => "no",
        Retry::FreshConnection => "yes",
        Retry::Replan => "once routing has changed",
        Retry::Later => "yes, a little later",
    }
}

/// The tables of all codes.
fn code_tables() -> String {
    let mut text = String::new();
    for (family, title) in FAMILIES {
        let in_family = |code: &Code| code.number() / 1000 == family;
        let mut codes: Vec<Code> = Code::ALL.iter().copied().filter(in_family).collect();
        codes.sort_by_key(|code| code.number());
        if codes.is_empty() {
            continue;
        }
        writeln!(text, "\n### {title}\n").unwrap();
        writeln!(text, "| code | name | errno | SQLSTATE | from | again? | meaning | remedy |").unwrap();
        writeln!(text, "|---|---|---|---|---|---|---|---|").unwrap();
        for code in codes {
            writeln!(
                text,
                "| {} | `{}` | {} | {} | {} | {} | {} | {} |",
                code.id(),
                code.name(),
                code.errno(),
                code.sqlstate(),
                origin(code),
                retry(code),
                code.sentence(),
                code.remedy(),
            )
            .unwrap();
        }
    }
    text.push('\n');
    text
}

#[test]
fn every_code_is_documented() {
    let path = root().join(SQL_PAGE);
    let page = read(&path);
    let (head, rest) = page.split_once(BEGIN).expect("the page marks where the table begins");
    let (table, tail) = rest.split_once(END).expect("the page marks where the table ends");
    let wanted = code_tables();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, format!("{head}{BEGIN}{wanted}{END}{tail}")).unwrap();
        return;
    }
    for code in Code::ALL {
        assert!(table.contains(&format!("| {} ", code.id())), "{SQL_PAGE} does not know {}", code.id());
    }
    assert!(table == wanted, "{SQL_PAGE} is out of date: UPDATE_GOLDEN=1 cargo test --test docs");
}

const DDL_PAGE: &str = "docs/schema-changes.md";
const DDL_BEGIN: &str = "<!-- ddl rules: made from src/ddl/rules by tests/docs.rs -->\n";
const DDL_END: &str = "<!-- end of ddl rules -->\n";

/// The table of all rules about schema changes.
fn rule_table() -> String {
    let mut text = "\n| rule | name | what | remedy | source |\n|---|---|---|---|---|\n".to_owned();
    for rule in bulkhead::ddl::rules::all() {
        let (id, name, sentence) = (rule.id, rule.name, rule.sentence);
        writeln!(text, "| {id} | `{name}` | {sentence} | {} | {} |", rule.remedy, rule.source).unwrap();
    }
    text.push('\n');
    text
}

#[test]
fn every_rule_is_documented() {
    let path = root().join(DDL_PAGE);
    let page = read(&path);
    let (head, rest) = page.split_once(DDL_BEGIN).expect("the page marks where the rules begin");
    let (table, tail) = rest.split_once(DDL_END).expect("the page marks where the rules end");
    let wanted = rule_table();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, format!("{head}{DDL_BEGIN}{wanted}{DDL_END}{tail}")).unwrap();
        return;
    }
    assert!(table == wanted, "{DDL_PAGE} is out of date: UPDATE_GOLDEN=1 cargo test --test docs");
}

/// The pages that people read.
fn pages() -> Vec<PathBuf> {
    let listed = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let is_page = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    let mut pages: Vec<PathBuf> = listed.filter(is_page).collect();
    pages.push(root().join("README.md"));
    pages.sort();
    pages
}

/// Targets of `[text](target)` that are files of the project.
fn linked_files(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    targets.filter(|target| !target.contains("://") && !target.starts_with('#'))
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = read(&page);
        for target in linked_files(&text) {
            let file = target.split('#').next().unwrap_or(target);
            if !page.parent().unwrap().join(file).exists() {
                broken.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

/// Source files that a page names in backquotes, `src/…`, `tests/…`, `docker/…`.
fn named_files(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|word| {
        let is_path = ["src/", "tests/", "docker/", "vschema/", "docs/", "benches/"];
        is_path.iter().any(|folder| word.starts_with(folder)) && !word.contains([' ', '*', '<', '…', '{'])
    })
}

#[test]
fn named_files_exist() {
    let mut missing = Vec::new();
    for page in pages() {
        let text = read(&page);
        for name in named_files(&text) {
            if !root().join(name).exists() {
                missing.push(format!("{}: {name}", page.display()));
            }
        }
    }
    assert!(missing.is_empty(), "files that are not there:\n{}", missing.join("\n"));
}
