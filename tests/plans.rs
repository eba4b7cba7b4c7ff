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

/// Gates of tables go by this: a name in a string, a comment, a column, an alias or a CTE is no table's; a
/// table is one however it is written and wherever it stands.
#[test]
fn tables_are_told_from_other_names() {
    let vschema = golden::vschema();
    let session = golden::Session { database: Some("app".to_owned()), ..golden::Session::default() };
    let names = |sql: &str| {
        let plan = golden::outcome(sql, &session, &vschema).plan;
        let plan = plan.unwrap_or_else(|refusal| panic!("{sql}: {refusal:?}"));
        plan.tables.has("orders", sql.as_bytes(), bulkhead::sql::SqlMode::default())
    };
    for named in [
        "SELECT 1 FROM orders",
        "SELECT 1 FROM `Orders`",
        "SELECT 1 FROM app.orders",
        "SELECT 1 FROM `app`.`orders` AS o WHERE o.id = 1",
        "SELECT 1 FROM users JOIN (SELECT user_id FROM orders) AS o ON o.user_id = users.id",
        "SELECT id, (SELECT COUNT(*) FROM orders) FROM users",
        "SELECT id FROM users WHERE EXISTS (SELECT 1 FROM orders)",
        "SELECT id FROM users UNION SELECT id FROM orders",
        "WITH o AS (SELECT id FROM orders) SELECT * FROM o",
        "INSERT INTO orders (id) VALUES (1)",
        "INSERT INTO users (id) SELECT id FROM orders",
        "REPLACE INTO orders VALUES (1)",
        "UPDATE orders SET a = 1",
        "UPDATE users, orders SET users.a = orders.a",
        "DELETE FROM orders",
        "DELETE u FROM users u JOIN orders o ON o.id = u.id",
        "EXPLAIN SELECT 1 FROM orders",
        "TRUNCATE TABLE orders",
        "DROP TABLE IF EXISTS users, orders",
        "RENAME TABLE users TO orders",
        "ALTER TABLE orders ADD COLUMN a INT",
        "ALTER TABLE users ADD FOREIGN KEY (a) REFERENCES orders (id)",
        "CREATE INDEX i ON orders (a)",
        "CREATE VIEW v AS SELECT id FROM orders",
        "LOCK TABLES users READ, orders WRITE",
        "SHOW COLUMNS FROM orders",
    ] {
        assert!(names(named), "{named}");
    }
    for other in [
        "SELECT 'orders' FROM users",
        "SELECT 1 FROM users /* orders */",
        "SELECT /*+ NO_MERGE(orders) */ 1 FROM users",
        "SELECT 1 FROM users -- orders",
        "SELECT orders FROM users",
        "SELECT users.orders FROM users",
        "SELECT id AS orders FROM users ORDER BY orders",
        "SELECT orders.id FROM users AS orders",
        "WITH orders AS (SELECT id FROM users) SELECT * FROM orders",
        "SELECT @orders FROM users",
        "SELECT 1 FROM orders_2, reorders",
        "INSERT INTO users (orders) VALUES ('orders')",
        "UPDATE users SET orders = orders + 1",
        "DELETE FROM users WHERE orders = 1",
        "ALTER TABLE users ADD COLUMN orders INT",
        "ALTER TABLE users DROP INDEX orders",
        "CREATE INDEX orders ON users (a)",
        "LOCK TABLES users AS orders READ",
        "SELECT 1",
        "COMMIT",
    ] {
        assert!(!names(other), "{other}");
    }
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
