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

/// Writes files, and looks through the last one with the others as definitions: code, output, errors with the
/// folder's name left out.
fn lint_texts(texts: &[(&str, &[u8])], more: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (name, text) in texts {
        std::fs::write(path(name), text).unwrap();
    }
    let (schema, linted) = texts.split_at(texts.len() - 1);
    let mut arguments = vec!["lint".to_owned(), path(linted[0].0)];
    for (name, _) in schema {
        arguments.extend(["--schema".to_owned(), path(name)]);
    }
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (code, out, error) = run(&arguments);
    let short = |text: String| text.replace(&format!("{}/", folder.path().display()), "");
    (code, short(out), short(error))
}

const USERS: &[u8] = b"CREATE TABLE users (id BIGINT PRIMARY KEY, name VARCHAR(50) NOT NULL, age INT);";

#[test]
fn a_dump_of_the_structure_is_read_as_a_client_reads_it() {
    let text = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ddl/lint/structure.sql")).unwrap();
    let change = b"ALTER TABLE users ADD COLUMN city VARCHAR(40);\n\
        ALTER TABLE events MODIFY name VARCHAR(60) NOT NULL DEFAULT 'a;b -- c';\n\
        ALTER TABLE events MODIFY hidden BIGINT INVISIBLE;\n\
        ALTER TABLE users MODIFY name VARCHAR(300) NOT NULL DEFAULT '';\n";
    for flavour in ["mysql", "mariadb"] {
        let files = [("structure.sql", &*text), ("change.sql", change)];
        let (code, out, error) = lint_texts(&files, &["--flavour", flavour]);
        // The key of `users` is added by a statement of its own, and no body of a routine is followed.
        assert_eq!(code, 0, "{flavour}: {out}{error}");
        assert!(out.ends_with("4 schema changes: 2 direct, 2 by online copy, 0 refused\n"), "{out}");
    }
    // The same file as a migration: what it changes is told, once each.
    let (code, out, error) = lint_texts(&[("structure.sql", &*text)], &[]);
    assert!(code == 1 && error.is_empty(), "{out}{error}");
    assert!(out.contains("structure.sql:61:") && !out.contains("structure.sql:37:"), "{out}");
}

#[test]
fn no_change_is_passed_over_for_how_the_file_is_written() {
    let change = "ALTER TABLE users DROP COLUMN age";
    let with = |front: &str, behind: &str| format!("{front}{change}{behind}").into_bytes();
    let wide: Vec<u8> = with("", ";\n").iter().flat_map(|byte| [*byte, 0]).collect();
    let long = format!("-- {}\nINSERT INTO x VALUES ('{}'); ", "x".repeat(70_000), "y".repeat(900_000));
    for (text, line, column) in [
        (with("", ""), 1, 19),
        (with("\u{feff}", ";"), 1, 19),
        (with("-- why\r\n\r\nSET NAMES utf8mb4;\r\n", ";\r\n"), 4, 19),
        (with("DELIMITER $$\n", "$$\nDELIMITER ;\n"), 2, 19),
        (with("delimiter //\nSELECT 1 / 2//\n  ", "\n//"), 3, 21),
        (with("DELIMITER ;;\nSELECT ';;'; ", "; ;;"), 2, 32),
        (with("/*!40101 SET NAMES utf8 */;\n/*!50003 ", " */;"), 2, 28),
        (with("# it's a comment\n/* and 'another */ -- \"one\n", ";"), 3, 19),
        (with("/* ü */ SELECT 'ü'; ", ";"), 1, 39),
        (with(&long, ";"), 2, 900_027 + 19),
    ] {
        let (code, out, error) = lint_texts(&[("s.sql", USERS), ("m.sql", &text)], &[]);
        let place = format!("m.sql:{line}:{column}: refusal D106 drop_column: ");
        let shown = String::from_utf8_lossy(&text[..text.len().min(200)]);
        assert!(code == 1 && out.starts_with(&place), "{shown}: {code} {out} {error}");
    }
    // What cannot be read, or may hold anything, ends with two, and says where.
    for (text, place) in [
        (wide.clone(), "m.sql:1:2: "),
        ([&[0xff, 0xfe][..], &*wide].concat(), "m.sql:1:4: "),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(), "m.sql:"),
        (with("INSERT INTO x VALUES ('it's');\n", ";\n"), "m.sql:1:28: "),
        (with("SELECT 1;\n/* open\n", ";"), "m.sql:2:1: "),
        (with("SELECT 1;\nsource other.sql;\n", ";"), "m.sql:2:1: "),
        (with("SELECT 1;\n  ALTR TABLE users DROP age;\n", ";"), "m.sql:2:3: "),
        (with("IF 1 THEN ", "; END IF;"), "m.sql:1:1: "),
    ] {
        let (code, out, error) = lint_texts(&[("s.sql", USERS), ("m.sql", &text)], &[]);
        let shown = String::from_utf8_lossy(&text);
        assert!(code == 2 && error.starts_with(place) && out.is_empty(), "{shown}: {code} {out} {error}");
    }
    // Nothing in it is no fault.
    for text in ["", "\u{feff}", "\r\n", "-- nothing", ";;", "/* bulkhead: ddl_prove */", "DELIMITER ;"] {
        let (code, out, error) = lint_texts(&[("s.sql", USERS), ("m.sql", text.as_bytes())], &[]);
        assert!(code == 0 && out.starts_with("0 schema changes"), "{text:?}: {code} {out} {error}");
    }
}

#[test]
fn a_report_names_files_as_references() {
    let files: [(&str, &[u8]); 2] =
        [("s.sql", USERS), ("2026 100%\u{fc}.sql", b"ALTER TABLE users DROP age;")];
    let (code, out, error) = lint_texts(&files, &["--format", "sarif"]);
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|fault| panic!("{fault}: {out}{error}"));
    let place = &report["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    let uri = place["artifactLocation"]["uri"].as_str().unwrap();
    assert!(code == 1 && uri.ends_with("2026%20100%25%C3%BC.sql"), "{uri}");
}

#[test]
fn a_character_set_is_followed() {
    let schema = b"CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(50), l VARCHAR(50) CHARACTER SET latin1) \
        DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;";
    for (text, end) in [
        // The columns that are there keep theirs, so this loses what latin1 has not.
        ("ALTER TABLE t DEFAULT CHARACTER SET latin1; ALTER TABLE t MODIFY v VARCHAR(50);", "1 refused\n"),
        (
            "ALTER TABLE t DEFAULT CHARACTER SET latin1; ALTER TABLE t MODIFY v VARCHAR(50) \
             CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, MODIFY l VARCHAR(50);",
            "2 schema changes: 1 direct, 1 by online copy, 0 refused\n",
        ),
        // All of them get it.
        (
            "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin; ALTER TABLE t MODIFY l \
             VARCHAR(50), MODIFY v VARCHAR(50);",
            "2 schema changes: 1 direct, 1 by online copy, 0 refused\n",
        ),
    ] {
        let (_, out, error) = lint_texts(&[("s.sql", schema), ("m.sql", text.as_bytes())], &[]);
        assert!(out.ends_with(end), "{text}: {out}{error}");
    }
}
