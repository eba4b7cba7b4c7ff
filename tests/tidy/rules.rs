//! The rules. Each takes a file's path and text and returns its faults as `line: what`.

use crate::source::{Function, Source};

/// Lines of a file that are not test code, at most.
const FILE_LINES_MAX: usize = 600;
/// Lines of a function, at most.
const FUNCTION_LINES_MAX: usize = 60;
/// Parameters of a function, receiver not counted, at most.
const PARAMETERS_MAX: usize = 5;
/// Nested control blocks, at most.
const NESTING_MAX: usize = 4;
/// Characters of a line, at most.
const WIDTH_MAX: usize = 110;
/// Files of a folder under `src`, `mod.rs` and tests not counted, at most.
pub(crate) const FOLDER_FILES_MAX: usize = 12;

/// Modules and their layer: a module uses lower layers only.
const LAYERS: &[(&str, u8)] = &[
    ("ids", 0),
    ("clock", 0),
    ("fail_point", 0),
    ("gtid", 0),
    ("memory", 0),
    ("redact", 0),
    ("error", 1),
    ("config", 2),
    ("protocol", 2),
    ("control", 3),
    ("sql", 3),
    ("ddl", 4),
    ("vschema", 4),
    ("plan", 5),
    ("schema", 5),
    ("topology", 6),
    ("backend", 7),
    ("health", 8),
    ("drain", 9),
    ("admission", 10),
    ("execute", 10),
    ("failover", 10),
    ("migrations", 10),
    ("session", 11),
    ("admin", 12),
    ("server", 13),
];

/// Packages that only some modules may use.
const PACKAGES: &[(&str, &[&str], &str)] = &[
    (
        "mysql_async",
        &["config", "control", "failover", "health", "migrations", "schema", "topology", "admin", "server"],
        "serves the control plane, never a client's query path",
    ),
    ("sqlparser", &["sql", "plan"], "its tree stays within reading and planning"),
    ("axum", &["admin"], "serves metrics and health only"),
    ("redb", &["topology"], "is one of the stores behind the topology's trait"),
];

/// One rule: its name (for exemptions) and its check.
pub(crate) struct Rule {
    /// Short name, used in the exemption table.
    pub(crate) name: &'static str,
    /// Returns `line: what` for each fault.
    pub(crate) check: fn(&str, &str) -> Vec<String>,
}

/// Every rule that looks at one file.
pub(crate) const RULES: &[Rule] = &[
    Rule { name: "layers", check: check_layers },
    Rule { name: "packages", check: check_packages },
    Rule { name: "file-length", check: check_file_length },
    Rule { name: "function-length", check: |path, text| check_functions(path, text, function_length) },
    Rule { name: "parameters", check: |path, text| check_functions(path, text, function_parameters) },
    Rule { name: "nesting", check: |path, text| check_functions(path, text, function_nesting) },
    Rule { name: "width", check: check_width },
    Rule { name: "module-doc", check: check_module_doc },
    Rule { name: "open-work", check: check_open_work },
    Rule { name: "file-name", check: check_file_name },
    Rule { name: "foreign-words", check: check_foreign_words },
    Rule { name: "shell", check: check_shell },
    Rule { name: "server-tests", check: check_server_tests },
];

fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

fn is_source(path: &str) -> bool {
    is_rust(path) && path.starts_with("src/")
}

fn is_shell(path: &str, text: &str) -> bool {
    path.ends_with(".sh") || text.starts_with("#!/usr/bin/env bash") || text.starts_with("#!/bin/")
}

/// Test code by its place: integration tests, `tests.rs` and `tests/` folders of a module.
fn is_test_file(path: &str) -> bool {
    !path.starts_with("src/") || path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// The top-level module of a path under `src`; `None` for `lib.rs` and `main.rs`.
fn module_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    let module = inside.split('/').next()?.trim_end_matches(".rs");
    (module != "lib" && module != "main").then_some(module)
}

fn layer_of(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

/// The modules named after each `crate::` of the text, `{a, b::c}` groups included, with their line.
fn crate_uses(text: &str) -> Vec<(usize, String)> {
    let mut uses = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let line = text[..at].matches('\n').count() + 1;
        let rest = &text[at + "crate::".len()..];
        let first = |part: &str| -> String {
            part.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
        };
        if let Some(group) = rest.strip_prefix('{') {
            uses.extend(group_parts(group).into_iter().map(|part| (line, first(&part))));
        } else {
            uses.push((line, first(rest)));
        }
    }
    uses
}

/// The top-level parts of a `{…}` group whose opening brace is already taken off.
fn group_parts(group: &str) -> Vec<String> {
    let mut depth = 1;
    let mut parts = vec![String::new()];
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => parts.push(String::new()),
            _ => parts.last_mut().expect("never empty").push(c),
        }
        if depth == 0 {
            break;
        }
    }
    parts
}

fn check_layers(path: &str, text: &str) -> Vec<String> {
    let Some(module) = module_of(path).filter(|_| is_rust(path)) else { return Vec::new() };
    let Some(own) = layer_of(module) else {
        return vec![format!("1: module {module} has no layer: add it to LAYERS in tests/tidy/rules.rs")];
    };
    let code = Source::read(text, is_test_file(path)).code();
    let uses = crate_uses(&code).into_iter().filter(|(_, used)| used != module);
    let too_high = uses.filter_map(|(line, used)| {
        let layer = layer_of(&used).filter(|layer| *layer >= own)?;
        Some(format!("{line}: {module} (layer {own}) uses {used} (layer {layer})"))
    });
    too_high.collect()
}

fn check_packages(path: &str, text: &str) -> Vec<String> {
    let Some(module) = module_of(path).filter(|_| is_rust(path)) else { return Vec::new() };
    let code = Source::read(text, is_test_file(path)).code();
    let mut faults = Vec::new();
    for (package, modules, reason) in PACKAGES.iter().filter(|(_, modules, _)| !modules.contains(&module)) {
        let used = code.lines().enumerate().filter(|(_, line)| line.contains(&format!("{package}::")));
        faults.extend(
            used.map(|(at, _)| {
                format!("{}: {package} is for {} only: it {reason}", at + 1, modules.join(", "))
            }),
        );
    }
    faults
}

fn check_file_length(path: &str, text: &str) -> Vec<String> {
    if !is_source(path) || is_test_file(path) {
        return Vec::new();
    }
    let count = Source::read(text, false).is_test.iter().filter(|test| !**test).count();
    if count <= FILE_LINES_MAX {
        return Vec::new();
    }
    vec![format!("1: {count} lines that are not tests, at most {FILE_LINES_MAX}")]
}

fn check_functions(path: &str, text: &str, fault: fn(&Function) -> Option<String>) -> Vec<String> {
    if !is_rust(path) || (is_test_file(path) && !path.starts_with("tests/common/")) {
        return Vec::new();
    }
    let source = Source::read(text, false);
    let measured = source.functions.iter().filter(|function| !source.is_test_line(function.line));
    measured
        .filter_map(|function| Some(format!("{}: fn {} {}", function.line, function.name, fault(function)?)))
        .collect()
}

fn function_length(function: &Function) -> Option<String> {
    (function.length > FUNCTION_LINES_MAX)
        .then(|| format!("has {} lines, at most {FUNCTION_LINES_MAX}", function.length))
}

fn function_parameters(function: &Function) -> Option<String> {
    (function.parameters > PARAMETERS_MAX).then(|| {
        format!("has {} parameters, at most {PARAMETERS_MAX}: take an options struct", function.parameters)
    })
}

fn function_nesting(function: &Function) -> Option<String> {
    (function.nesting > NESTING_MAX)
        .then(|| format!("nests {} control blocks, at most {NESTING_MAX}", function.nesting))
}

fn check_width(path: &str, text: &str) -> Vec<String> {
    if !is_rust(path) && !is_shell(path, text) {
        return Vec::new();
    }
    let wide = text.lines().enumerate().filter(|(_, line)| line.chars().count() > WIDTH_MAX);
    wide.map(|(at, line)| format!("{}: {} characters, at most {WIDTH_MAX}", at + 1, line.chars().count()))
        .collect()
}

fn check_module_doc(path: &str, text: &str) -> Vec<String> {
    if !is_rust(path) || path.ends_with("/tests.rs") {
        return Vec::new();
    }
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
    if first.is_some_and(|line| line.starts_with("//!")) {
        return Vec::new();
    }
    vec!["1: does not start with a module comment (//!)".to_owned()]
}

/// Notes about open work carry an issue number, so that none is forgotten.
fn check_open_work(_path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for word in ["TODO", "FIXME", "XXX"] {
            let noted = line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word);
            if noted && !line.contains(&format!("{word}(#")) {
                faults.push(format!("{}: {word} without an issue number: {word}(#12)", at + 1));
            }
        }
    }
    faults
}

fn check_file_name(path: &str, _text: &str) -> Vec<String> {
    const VAGUE: [&str; 7] = ["util", "utils", "helper", "helpers", "manager", "info", "misc"];
    if !(path.starts_with("src/") || path.starts_with("tests/") && is_rust(path)) {
        return Vec::new();
    }
    let words = path.split(['/', '_', '.', '-']);
    words
        .filter(|word| VAGUE.contains(word))
        .map(|word| format!("1: \"{word}\" in a file name says nothing"))
        .collect()
}

/// Names of places that only exist where this was written, and hosts that the machine's settings name.
fn check_foreign_words(_path: &str, text: &str) -> Vec<String> {
    const FOREIGN: [&str; 16] = [
        "/work/",
        "/tmp/bh",
        "/tmp/wt",
        "DESIGN.md",
        "HOUSE-STYLE",
        "deb.debian.org",
        "security.debian.org",
        "snapshot.debian.org",
        "pypi.org",
        "pythonhosted.org",
        "registry.npmjs.org",
        "index.crates.io",
        "static.crates.io",
        "proxy.golang.org",
        "repo.mysql.com",
        "repo1.maven.org",
    ];
    let mut faults = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let found = FOREIGN.iter().filter(|word| line.contains(**word));
        faults.extend(found.map(|word| format!("{}: \"{word}\" does not belong in the project", at + 1)));
    }
    faults
}

fn check_shell(path: &str, text: &str) -> Vec<String> {
    if !is_shell(path, text) {
        return Vec::new();
    }
    // A file that is only sourced says so, and leaves the options to the script that sources it.
    if text.starts_with("# shellcheck shell=bash") {
        return Vec::new();
    }
    let mut faults = Vec::new();
    if !text.starts_with("#!/usr/bin/env bash\n# ") {
        faults.push("1: starts with #!/usr/bin/env bash and a comment that says what it does".to_owned());
    }
    if !text.lines().any(|line| line == "set -euo pipefail") {
        faults.push("1: has no line `set -euo pipefail`".to_owned());
    }
    faults
}

/// Tests that need servers are in `tests/server_*.rs` and ignored by plain `cargo test`, which says so.
fn check_server_tests(path: &str, text: &str) -> Vec<String> {
    if !path.starts_with("tests/") || path.matches('/').count() > 1 || !is_rust(path) {
        return Vec::new();
    }
    const MARK: &str = "#[ignore = \"needs servers: make test\"]";
    let is_server_file = path.starts_with("tests/server_");
    let uses_servers = text.lines().any(|line| line == "mod common;");
    if uses_servers && !is_server_file {
        return vec!["1: uses real servers: name the file server_*.rs".to_owned()];
    }
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let is_test = |line: &str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    let unmarked = lines.iter().enumerate().filter(|(at, line)| {
        is_server_file && is_test(line) && lines.get(at + 1).is_none_or(|next| *next != MARK)
    });
    unmarked.map(|(at, _)| format!("{}: a test that needs servers is marked {MARK}", at + 1)).collect()
}
