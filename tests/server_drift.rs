//! `bulkhead schema drift` against real servers, and whether what is foretold of definitions is what servers
//! print.

mod common;

use std::process::Command;

use bulkhead::migrations::fleet::definition::{Definition, Difference, Effect, compare, foretell};
use bulkhead::sql::{Scan, ServerVersion, SqlMode, TableChange, read_change, scan};
use common::servers::{Bulkhead, Cluster, Flavour, Role, Setup};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use serde_json::Value;

const DATABASES: usize = 40;
const ISSUES: &str = "CREATE TABLE issues (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, \
                      title VARCHAR(100) NOT NULL DEFAULT '', state ENUM('open','closed') DEFAULT 'open', \
                      votes INT UNSIGNED DEFAULT 0, body TEXT, \
                      created_at DATETIME(6) NOT NULL DEFAULT NOW(6), \
                      KEY by_state (state, votes)) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin";
const USERS: &str = "CREATE TABLE users (id BIGINT PRIMARY KEY, name VARCHAR(20)) DEFAULT CHARSET=utf8mb4";
/// What happened to single databases.
const DRIFT: &[(usize, &str)] = &[
    (7, "ALTER TABLE issues DROP KEY by_state"),
    (8, "ALTER TABLE issues MODIFY votes INT DEFAULT 1"),
    (9, "ALTER TABLE issues ADD COLUMN extra INT"),
    (
        11,
        "ALTER TABLE issues MODIFY body TEXT FIRST, \
         MODIFY created_at DATETIME(6) NOT NULL DEFAULT NOW(6) AFTER id",
    ),
    (12, "ALTER TABLE issues CONVERT TO CHARACTER SET latin1, MODIFY votes INT UNSIGNED DEFAULT 0"),
    (13, "ALTER TABLE issues DROP COLUMN title, ADD UNIQUE KEY by_state2 (state, votes), COMMENT='odd'"),
    (14, "DROP TABLE users"),
    // No drift: rows, and the counter that goes with them.
    (15, "INSERT INTO issues (title) VALUES ('a'), ('b'), ('c')"),
    (16, "CREATE VIEW open_issues AS SELECT id FROM issues"),
];

async fn run(conn: &mut Conn, sql: &str) {
    conn.query_drop(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Exit code and what was printed.
fn drift(bulkhead: &Bulkhead, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bulkhead"));
    command.args(["schema", "drift"]).args(arguments).arg("--config").arg(bulkhead.path("bulkhead.toml"));
    command.envs(bulkhead.environment().iter().map(|(name, value)| (name, value)));
    let output = command.output().expect("the binary starts");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().expect("it ends by itself"), String::from_utf8_lossy(&text).into_owned())
}

async fn drifts_are_found_and_repaired(flavour: Flavour) {
    let cluster = Cluster::shared(flavour);
    let mut conn = cluster.connect(Role::Primary, "bulkhead_admin").await;
    for number in 1..=DATABASES {
        run(&mut conn, &format!("CREATE DATABASE drift_{number}")).await;
        run(&mut conn, &format!("USE drift_{number}")).await;
        for table in [ISSUES, USERS] {
            run(&mut conn, table).await;
        }
        for (_, sql) in DRIFT.iter().filter(|(at, _)| *at == number) {
            run(&mut conn, sql).await;
        }
    }
    // Not of the keyspace.
    run(&mut conn, "CREATE DATABASE drifting").await;
    run(&mut conn, "CREATE TABLE drifting.issues (x INT)").await;
    let bulkhead = Setup::default()
        .cluster(cluster)
        .config("[keyspaces]\nspaces = { shards = { a = \"shared\" } }\n")
        .vschema(
            "spaces.toml",
            "layout = \"database_per_workspace\"\ndatabase = \"drift_{workspace_id}\"\n[tables.issues]\n",
        )
        .start();
    let (code, text) = drift(&bulkhead, &["spaces"]);
    assert_eq!(code, 1, "{text}");
    for line in [
        "keyspace spaces: 40 databases\n",
        "issues: 6 of 40 databases differ\n",
        "  34 databases (shared 34)  wanted\n",
        "key by_state is missing: key (state,votes)\n",
        "column votes is int null default 1, wanted int unsigned null default 0\n",
        "column extra is not wanted: int null\n",
        "      refused by D106 drop_column",
        "column body should come after votes\n",
        "1 databases without the table: drift_14\n",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    let (code, text) = drift(&bulkhead, &["--table", "issues", "--json"]);
    assert_eq!(code, 1, "{text}");
    let report: Value = serde_json::from_str(&text).expect("one JSON object");
    let tables = report["keyspaces"][0]["tables"].as_array().expect("tables");
    assert_eq!(tables.len(), 1);
    let groups = tables[0]["groups"].as_array().expect("groups");
    assert_eq!((groups.len(), groups[0]["databases"].as_u64()), (7, Some(34)));
    for group in groups.iter().filter(|group| !group["repair"].is_null()) {
        let statement = group["repair"]["statement"].as_str().expect("a statement");
        for database in group["names"].as_array().expect("names") {
            run(&mut conn, &format!("USE {}", database.as_str().expect("a name"))).await;
            run(&mut conn, statement).await;
        }
    }
    let (code, text) = drift(&bulkhead, &["--table", "issues"]);
    assert_eq!(
        (code, text.as_str()),
        (0, "keyspace spaces: 40 databases\nissues: 40 databases, one definition\n")
    );
    run(&mut conn, "USE drift_14").await;
    run(&mut conn, USERS).await;
    let (code, text) = drift(&bulkhead, &["spaces", "--at-once", "4", "--per-second", "1000"]);
    assert_eq!(code, 0, "{text}");
    // A database that is as it should be, whatever the others are.
    run(&mut conn, "ALTER TABLE drift_3.users ADD COLUMN age INT").await;
    let (code, text) = drift(&bulkhead, &["spaces", "--like", "drift_3", "--table", "users"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("users: 39 of 40 databases differ\n"), "{text}");
    assert!(text.contains("repair: ALTER TABLE `users` ADD COLUMN `age` int"), "{text}");
    for (arguments, part) in [
        (["--like", "drift_999"], "there is no database drift_999"),
        (["elsewhere", "--json"], "there is no keyspace elsewhere"),
    ] {
        let (code, text) = drift(&bulkhead, &arguments);
        assert_eq!(code, 2, "{text}");
        assert!(text.contains(part), "{text}");
    }
}

fn change(text: &str, server: ServerVersion) -> TableChange {
    let mode = SqlMode { server, ..SqlMode::default() };
    let mut found = Scan::default();
    scan(text.as_bytes(), mode, &mut found);
    read_change(text.as_bytes(), &found, mode).expect("it can be read").expect("it changes a table")
}

/// One after the other on one table; each is foretold from the definition before.
const STATEMENTS: &[&str] = &[
    "ALTER TABLE t ADD COLUMN n1 INT",
    "ALTER TABLE t ADD COLUMN n2 INT(11) UNSIGNED NOT NULL DEFAULT 7 FIRST",
    "ALTER TABLE t ADD COLUMN s1 VARCHAR(20) DEFAULT 'it''s', ADD COLUMN s2 CHAR(3) CHARACTER SET latin1",
    "ALTER TABLE t ADD COLUMN b1 BOOL DEFAULT TRUE AFTER id, ADD COLUMN d1 DECIMAL(10,2) DEFAULT 0",
    "ALTER TABLE t ADD COLUMN at1 DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) \
     ON UPDATE CURRENT_TIMESTAMP(3)",
    "ALTER TABLE t ADD COLUMN at2 TIMESTAMP NULL, ADD COLUMN at3 DATE DEFAULT '2020-01-02'",
    "ALTER TABLE t ADD COLUMN j1 JSON, ADD COLUMN x1 TEXT, ADD COLUMN x2 BLOB NOT NULL, ADD COLUMN f1 DOUBLE",
    "ALTER TABLE t ADD COLUMN e1 ENUM('a','b') NOT NULL DEFAULT 'b', ADD COLUMN bits BIT(3) DEFAULT b'101'",
    "ALTER TABLE t MODIFY n1 BIGINT NOT NULL DEFAULT -5 COMMENT 'it''s n'",
    "ALTER TABLE t CHANGE n1 n3 BIGINT AFTER b1",
    "ALTER TABLE t ALTER n3 SET DEFAULT 12",
    "ALTER TABLE t ALTER n3 DROP DEFAULT",
    "ALTER TABLE t ADD INDEX (n3), ADD INDEX (n3), ADD UNIQUE KEY u1 (s1(5), n2)",
    "CREATE INDEX i1 ON t (n2 DESC, s1)",
    "ALTER TABLE t RENAME INDEX i1 TO i2",
    "ALTER TABLE t RENAME COLUMN n2 TO n4",
    "DROP INDEX u1 ON t",
    "ALTER TABLE t DROP COLUMN s2, COMMENT='a table'",
    "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (id, n4)",
    "ALTER TABLE t ROW_FORMAT=COMPRESSED",
    // Its keys go with it. What has no default at all cannot be made from what MySQL prints.
    "ALTER TABLE t DROP COLUMN n3",
];

async fn definition(conn: &mut Conn, server: ServerVersion) -> Definition {
    let (_, text): (String, String) =
        conn.query_first("SHOW CREATE TABLE t").await.expect("it is shown").expect("one row");
    Definition::read(&text, server).unwrap_or_else(|fault| panic!("{fault}: {text}"))
}

async fn statements_do_what_is_foretold(flavour: Flavour) {
    let cluster = Cluster::shared(flavour);
    let mut conn = cluster.connect(Role::Primary, "bulkhead_admin").await;
    let version: String = conn.query_first("SELECT VERSION()").await.expect("asked").expect("a row");
    let server = ServerVersion::parse(&version).expect("a version");
    run(&mut conn, "CREATE DATABASE foretold").await;
    run(&mut conn, "USE foretold").await;
    run(&mut conn, "CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY) DEFAULT CHARSET=utf8mb4").await;
    let mut foreseen = 0;
    for statement in STATEMENTS {
        let before = definition(&mut conn, server).await;
        let change = change(statement, server);
        let effect = foretell(&before, &change);
        run(&mut conn, statement).await;
        let after = definition(&mut conn, server).await;
        let Effect::Changes { to } = effect else { panic!("{statement}: {effect:?}\n{}", before.text) };
        if let Some(to) = to {
            assert_eq!(
                to,
                after.fingerprint(),
                "{statement}\nbefore: {}\nafter: {}",
                before.text,
                after.text
            );
            foreseen += 1;
        }
        assert!(after.is_known(), "{statement}: {}", after.text);
        assert_eq!(foretell(&after, &change), Effect::There, "{statement}\nafter: {}", after.text);
    }
    assert!(foreseen >= STATEMENTS.len() - 1, "{foreseen} of {} were foreseen", STATEMENTS.len());
    // The same table, made in one go from its own definition, has the same fingerprint.
    let made = definition(&mut conn, server).await;
    run(&mut conn, "DROP TABLE t").await;
    run(&mut conn, &made.text).await;
    let again = definition(&mut conn, server).await;
    let left: Vec<String> = compare(&again.normal, &made.normal).iter().map(Difference::words).collect();
    assert_eq!(left, Vec::<String>::new());
}

/// The databases of shards have one name; two of them that differ say nothing about which is right.
#[tokio::test]
#[ignore = "needs servers: make test"]
async fn shards_that_drifted_are_found_and_repaired() {
    let clusters = [Cluster::start("c1", Flavour::MySql), Cluster::start("c2", Flavour::MariaDb)];
    let orders = "CREATE DATABASE shop; CREATE TABLE shop.orders (workspace_id BIGINT, id BIGINT, note \
                  VARCHAR(9), PRIMARY KEY (workspace_id, id)) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin";
    clusters.iter().for_each(|cluster| drop(cluster.sql(orders)));
    let bulkhead = Setup::default()
        .cluster(&clusters[0])
        .cluster(&clusters[1])
        .config("[keyspaces.shop]\nshards = { \"-80\" = \"c1\", \"80-\" = \"c2\" }\n")
        .vschema(
            "shop.toml",
            "layout = \"shared_tables\"\nworkspace_column = \"workspace_id\"\nworkspace_vindex = \"hash\"\n\
             [vindexes.hash]\ntype = \"hash\"\n[tables.orders]\n",
        )
        .start();
    let (code, text) = drift(&bulkhead, &["shop"]);
    assert_eq!(
        (code, text.as_str()),
        (0, "keyspace shop: 2 databases\norders: 2 databases, one definition\n")
    );
    clusters[1].sql("ALTER TABLE shop.orders DROP COLUMN note, ADD KEY by_id (id)");
    let (code, text) = drift(&bulkhead, &["shop"]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("orders: 1 of 2 databases differ\n"), "{text}");
    assert!(text.contains("as many databases have another definition: --like says which"), "{text}");
    let (code, text) = drift(&bulkhead, &["shop", "--like", "shop"]);
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("several clusters have a database shop: say which, as c1/shop"), "{text}");
    // Whichever is named; the second proposal is carried out.
    for (like, other_cluster) in [("c2/shop", "c1"), ("c1/shop", "c2")] {
        let (code, text) = drift(&bulkhead, &["shop", "--like", like, "--json"]);
        assert_eq!(code, 1, "{text}");
        let report: Value = serde_json::from_str(&text).expect("one JSON object");
        let groups = report["keyspaces"][0]["tables"][0]["groups"].as_array().expect("groups");
        let other = groups.iter().find(|group| group["is_wanted"] == false).expect("it differs");
        assert_eq!(other["clusters"], serde_json::json!({ other_cluster: 1 }), "{text}");
        if other_cluster == "c2" {
            let statement = other["repair"]["statement"].as_str().expect("a statement");
            clusters[1].sql(&format!("USE shop; {statement}"));
        }
    }
    let (code, text) = drift(&bulkhead, &["shop"]);
    assert_eq!(code, 0, "{text}");
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mysql_drifts_are_found_and_repaired() {
    drifts_are_found_and_repaired(Flavour::MySql).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mariadb_drifts_are_found_and_repaired() {
    drifts_are_found_and_repaired(Flavour::MariaDb).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mysql_does_what_is_foretold() {
    statements_do_what_is_foretold(Flavour::MySql).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn mariadb_does_what_is_foretold() {
    statements_do_what_is_foretold(Flavour::MariaDb).await;
}
