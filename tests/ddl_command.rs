//! `bulkhead ddl` as a command: what it prints and how it ends. Needs no server.

#![allow(clippy::unwrap_used, reason = "a test: a panic is its failure")]

use std::process::Command;

use serde_json::Value;

/// Exit code, standard output, standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_bulkhead"))
        .arg("ddl")
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ddl/lint"))
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn json(arguments: &[&str]) -> (i32, Value) {
    let (code, out, error) = run(arguments);
    (code, serde_json::from_str(&out).unwrap_or_else(|fault| panic!("{fault}: {out}{error}")))
}

#[test]
fn rules_are_listed() {
    let (code, out, _) = run(&["rules"]);
    assert!(code == 0 && out.contains("D201 type_change\n") && out.contains("remedy: "));
    let (code, rules) = json(&["rules", "--json"]);
    assert_eq!(code, 0);
    assert_eq!(rules.as_array().unwrap().len(), bulkhead::ddl::rules::all().count());
    assert_eq!(rules[0]["id"], "D101");
}

#[test]
fn a_statement_is_explained() {
    let (code, out, _) =
        run(&["explain", "--table-from", "schema.sql", "ALTER TABLE users ADD COLUMN x INT -- why"]);
    assert_eq!(code, 0);
    assert!(
        out.contains("route direct")
            && out.contains("sends: ALTER TABLE users ADD COLUMN x INT, ALGORITHM=INSTANT -- why")
    );
    let (code, decided) = json(&[
        "explain",
        "--json",
        "--flavour",
        "mariadb",
        "--version",
        "10.11",
        "--table-from",
        "schema.sql",
        "ALTER TABLE users MODIFY age SMALLINT",
    ]);
    assert_eq!(code, 1);
    assert_eq!((&decided["route"], &decided["class"]), (&"refuse".into(), &"copy".into()));
    assert_eq!(decided["clauses"][0]["findings"][2]["rule"], "D202");
    let (code, decided) = json(&[
        "explain",
        "--json",
        "--prove",
        "--table-from",
        "schema.sql",
        "ALTER TABLE users MODIFY age SMALLINT",
    ]);
    assert_eq!((code, &decided["route"], &decided["needs_proof"]), (0, &"copy".into(), &true.into()));
    let (code, out, _) = run(&["explain", "ALTER TABLE users ADD COLUMN x INT"]);
    assert!(code == 1 && out.contains("D502"));
    let (code, out, _) = run(&["explain", "--acknowledge", "DROP TABLE users"]);
    assert!(code == 0 && out.contains("sends: DROP TABLE users"));
}

#[test]
fn what_cannot_be_read_ends_with_two() {
    for arguments in [
        &["explain", "SELECT 1"][..],
        &["explain", "ALTER TABLE t ADD COLUMN"],
        &["explain", "--version", "new", "ALTER TABLE t FORCE"],
        &["explain", "--table-from", "none.sql", "ALTER TABLE t FORCE"],
        &["explain", "--table-from", "bad.sql", "ALTER TABLE t FORCE"],
        &["lint"],
        &["lint", "--format", "xml", "good.sql"],
        &["lint", "none.sql"],
        &["lint", "unread.sql"],
        &["frobnicate"],
    ] {
        let (code, out, error) = run(arguments);
        assert!(code == 2 && !error.is_empty(), "{arguments:?}: {code} {out} {error}");
    }
    let (_, _, error) = run(&["lint", "unread.sql"]);
    assert_eq!(error, "unread.sql:3:13: not understood: a name was expected\n");
}

#[test]
fn good_migrations_end_with_zero_and_the_file_is_followed() {
    let (code, out, error) = run(&["lint", "--schema", "schema.sql", "good.sql"]);
    assert_eq!(code, 0, "{out}{error}");
    assert!(out.ends_with("6 schema changes: 4 direct, 2 by online copy, 0 refused\n"), "{out}");
    assert!(out.contains("good.sql:5:19: note D201 type_change: the type of `age` changes\n"), "{out}");
    assert!(
        out.contains("good.sql:8:34: note D512 online_copy: the server would write every row anew\n"),
        "{out}"
    );
    assert!(out.contains("good.sql:8:52: note D106 drop_column: "), "{out}");
}

#[test]
fn bad_migrations_end_with_one_in_every_format() {
    let (code, out, _) = run(&["lint", "--schema", "schema.sql", "bad.sql"]);
    assert_eq!(code, 1);
    assert!(out.contains("bad.sql:3:3: refusal D202 lossy_conversion: `name` could lose values"), "{out}");
    assert!(out.contains("bad.sql:5:1: refusal D502 definition_missing: the definition of `gone`"), "{out}");
    assert!(out.ends_with("3 schema changes: 1 direct, 0 by online copy, 2 refused\n"), "{out}");

    let (code, report) = json(&["lint", "--format", "json", "--schema", "schema.sql", "bad.sql"]);
    assert_eq!((code, &report["refused"]), (1, &2.into()));
    let statement = &report["files"][0]["statements"][1];
    assert_eq!((&statement["line"], &statement["route"]), (&4.into(), &"direct".into()));

    let (code, sarif) = json(&["lint", "--format", "sarif", "--schema", "schema.sql", "bad.sql"]);
    assert_eq!((code, &sarif["version"]), (1, &"2.1.0".into()));
    let run = &sarif["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    for result in run["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        let region = &result["locations"][0]["physicalLocation"]["region"];
        assert!(region["startLine"].as_u64().unwrap() >= 1 && region["endColumn"].as_u64().unwrap() >= 1);
    }
    let lossy = run["results"].as_array().unwrap().iter().find(|result| result["ruleId"] == "D202").unwrap();
    assert_eq!(lossy["level"], "error");
    assert_eq!(lossy["locations"][0]["physicalLocation"]["region"]["startLine"], 3);
}

#[test]
fn permits_hold_for_all_and_unknown_directives_for_none() {
    let (code, out, _) = run(&["lint", "--prove", "--schema", "schema.sql", "bad.sql"]);
    assert!(code == 1 && out.ends_with("1 direct, 1 by online copy, 1 refused\n"), "{out}");
    let (code, _, error) = run(&["explain", "/* bulkhead: ddl_anything */ DROP TABLE t"]);
    assert!(code == 2 && !error.is_empty(), "{error}");
}
