//! The doors of fleet migrations on real servers: sessions, what a Rails migration sends, the command line,
//! the admin port, alerts.

mod common;

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::servers::{Bulkhead, Cluster, Flavour, Role, Setup, wait_until};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use serde_json::Value;

const VSCHEMA: &str = "layout = \"database_per_workspace\"\ndatabase = \"ws_{workspace_id}\"\n";
/// Workspaces 1 to 6, every other one on the second cluster.
const WORKSPACES: u32 = 6;
/// Without canaries to wait for, and without pauses.
const QUICK: [&str; 4] = ["--waves", "50%", "--soak", "0s"];

struct Stand {
    clusters: [Cluster; 2],
    bulkhead: Bulkhead,
}

impl Stand {
    async fn start() -> Self {
        let clusters = [Cluster::start("c1", Flavour::MySql), Cluster::start("c2", Flavour::MySql)];
        let alerts = tempfile::NamedTempFile::new().expect("a file can be made").into_temp_path();
        let alerts = alerts.keep().expect("it can be kept").display().to_string();
        let config = format!(
            "[keyspaces.workspaces]\nshards = {{ ws-a = \"c1\", ws-b = \"c2\" }}\n\
             [schema_changes.fleet]\nsoak = \"0s\"\n\
             [alerts.commands.file]\nprogram = \"/bin/sh\"\narguments = [\"-c\", \"cat >> {alerts}\"]\n"
        );
        let bulkhead = Setup::default()
            .cluster(&clusters[0])
            .cluster(&clusters[1])
            .config(&config)
            .vschema("workspaces.toml", VSCHEMA)
            .env("TEST_ALERTS", &alerts)
            .start();
        let stand = Self { clusters, bulkhead };
        let mut admin = stand.bulkhead.connect_admin().await;
        for id in 1..=WORKSPACES {
            let (at, shard) = if id % 2 == 1 { (0, "ws-a") } else { (1, "ws-b") };
            stand.clusters[at].sql(&format!(
                "CREATE DATABASE ws_{id}; CREATE TABLE ws_{id}.issues (id BIGINT AUTO_INCREMENT PRIMARY KEY, \
                 title VARCHAR(20), number INT); \
                 INSERT INTO ws_{id}.issues (title, number) VALUES ('a', {id})"
            ));
            run(&mut admin, &format!("CREATE WORKSPACE workspaces {id} ON {shard}")).await;
        }
        stand
    }

    fn cluster_of(&self, id: u32) -> &Cluster {
        &self.clusters[((id + 1) % 2) as usize]
    }

    /// The type of a column in each workspace's database; empty where it is not there.
    fn types(&self, table: &str, column: &str) -> Vec<String> {
        let of = |id| {
            let question = format!(
                "SELECT column_type FROM information_schema.columns WHERE table_schema = 'ws_{id}' AND \
                 table_name = '{table}' AND column_name = '{column}'"
            );
            self.cluster_of(id).sql(&question).trim().to_owned()
        };
        (1..=WORKSPACES).map(of).collect()
    }

    fn all_have(&self, table: &str, column: &str, kind: &str) -> bool {
        self.types(table, column).iter().all(|found| found == kind)
    }

    fn migrate(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulkhead"));
        command.arg("migrate").args(arguments);
        command.arg("--config").arg(self.bulkhead.path("bulkhead.toml")).args(["--user", "app"]);
        command.envs(self.bulkhead.environment().iter().map(|(name, value)| (name, value)));
        let password = self.bulkhead.environment().iter().find(|(name, _)| name == "TEST_APP_PASSWORD");
        command.env("BULKHEAD_ADMIN_PASSWORD", &password.expect("it is set").1);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn told(&self, arguments: &[&str]) -> (i32, String, String) {
        told(self.migrate(arguments).output().expect("the binary starts"))
    }

    /// The lines that the alert command was given.
    fn alerts(&self) -> Vec<Value> {
        let file = self.bulkhead.environment().iter().find(|(name, _)| name == "TEST_ALERTS");
        let text = std::fs::read_to_string(&file.expect("it is set").1).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

fn told(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

async fn run(conn: &mut Conn, statement: &str) {
    conn.query_drop(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

async fn refused(conn: &mut Conn, statement: &str) -> (u16, String) {
    match conn.query_drop(statement).await {
        Err(Error::Server(error)) => (error.code, error.message),
        other => panic!("{statement}: {other:?}"),
    }
}

async fn states(admin: &mut Conn) -> Vec<(String, String)> {
    let rows: Vec<mysql_async::Row> =
        admin.query("SHOW MIGRATIONS WHERE kind = fleet").await.expect("they are shown");
    rows.iter().map(|row| (row.get("id").expect("an id"), row.get("state").expect("a state"))).collect()
}

/// Has every copy on a cluster wait: its DDL lane is closed by an operator.
async fn freeze(admin: &mut Conn) {
    for cluster in ["c1", "c2"] {
        run(admin, &format!("FREEZE DDL ON {cluster} WHY 'a test'")).await;
    }
}

async fn thaw(admin: &mut Conn) {
    for cluster in ["c1", "c2"] {
        run(admin, &format!("THAW DDL ON {cluster} WHY 'a test'")).await;
    }
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_session_without_a_workspace_changes_all_of_them() {
    let stand = Stand::start().await;
    let mut session = stand.bulkhead.connect(Some("workspaces")).await;
    run(&mut session, "ALTER TABLE issues ADD COLUMN age INT").await;
    assert!(session.info().contains("Databases: 6"), "{}", session.info());
    assert!(stand.all_have("issues", "age", "int"), "{:?}", stand.types("issues", "age"));
    // Done is done, also by hand.
    run(&mut session, "ALTER TABLE issues ADD COLUMN age INT").await;
    // A change of type is copied, in each of them; the row is still there.
    run(&mut session, "ALTER TABLE issues MODIFY number BIGINT").await;
    assert!(stand.all_have("issues", "number", "bigint"));
    for id in 1..=WORKSPACES {
        assert_eq!(
            stand.cluster_of(id).sql(&format!("SELECT number FROM ws_{id}.issues")).trim(),
            id.to_string()
        );
    }
    run(&mut session, "CREATE TABLE tags (id BIGINT PRIMARY KEY, name VARCHAR(9))").await;
    assert!(stand.all_have("tags", "name", "varchar(9)"));
    run(&mut session, "CREATE INDEX by_name ON tags (name)").await;
    run(&mut session, "DROP INDEX by_name ON tags").await;
    for cluster in &stand.clusters {
        let keys = "SELECT COUNT(*) FROM information_schema.statistics WHERE index_name = 'by_name'";
        assert_eq!(cluster.sql(keys).trim(), "0");
    }
    // The same, prepared.
    session.exec_drop("ALTER TABLE tags ADD COLUMN colour INT", ()).await.expect("it is made");
    assert!(stand.all_have("tags", "colour", "int"));
    // Questions about the schema are answered for all; the keyspace's name is what the client sees.
    let tables: Vec<String> = session.query("SHOW TABLES").await.expect("they are shown");
    assert_eq!(tables, ["issues", "tags"]);
    let columns: Vec<String> = session
        .query(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE() \
             AND table_name = 'tags' ORDER BY ordinal_position",
        )
        .await
        .expect("they are told");
    assert_eq!(columns, ["id", "name", "colour"]);
    run(&mut session, "DROP TABLE tags").await;
    assert!(stand.all_have("tags", "name", ""));
    // What is refused for one is refused for all, and what touches rows needs a workspace.
    for (statement, errno, part) in [
        ("ALTER TABLE issues DROP COLUMN title", 1235, "E7002"),
        ("ALTER TABLE issues MODIFY title VARCHAR(3)", 1235, "E7003"),
        ("ALTER TABLE nowhere ADD a INT", 1146, "E7202"),
        ("RENAME TABLE issues TO tickets", 1235, "E7201"),
        ("ALTER TABLE workspaces.issues ADD a INT", 1235, "E2009"),
        ("TRUNCATE issues", 1235, "E2004"),
        ("CREATE TABLE copies SELECT * FROM issues", 1235, "E2004"),
        ("UPDATE issues SET title = 'x'", 1235, "E2004"),
        ("CREATE TRIGGER t BEFORE INSERT ON issues FOR EACH ROW SET NEW.age = 1", 1235, "E2004"),
    ] {
        let (code, message) = refused(&mut session, statement).await;
        assert_eq!(code, errno, "{statement}: {message}");
        assert!(message.contains(part), "{statement}: {message}");
    }
    run(&mut session, "/* bulkhead: ddl_acknowledged */ ALTER TABLE issues DROP COLUMN age").await;
    assert!(stand.all_have("issues", "age", ""));
    // A pinned session changes its own workspace alone.
    run(&mut session, "USE ws_3").await;
    run(&mut session, "ALTER TABLE issues ADD COLUMN own INT").await;
    let own: Vec<bool> = stand.types("issues", "own").iter().map(|kind| !kind.is_empty()).collect();
    assert_eq!(own, [false, false, true, false, false, false]);
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_session_waits_leaves_or_is_interrupted() {
    let stand = Stand::start().await;
    let mut admin = stand.bulkhead.connect_admin().await;
    let mut session = stand.bulkhead.connect(Some("workspaces")).await;
    // An id at once; nothing when there is nothing to do.
    run(&mut session, "SET @bulkhead_ddl = 'submit'").await;
    let ids: Vec<String> = session.query("ALTER TABLE issues ADD COLUMN a INT").await.expect("an id");
    assert_eq!(ids.len(), 1);
    let until = Instant::now() + Duration::from_secs(60);
    while states(&mut admin).await[0] != (ids[0].clone(), "finished".to_owned()) {
        assert!(Instant::now() < until, "{:?}", states(&mut admin).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let ids: Vec<String> = session.query("ALTER TABLE issues ADD COLUMN a INT").await.expect("no id");
    assert!(ids.is_empty(), "{ids:?}");
    run(&mut session, "SET @bulkhead_ddl = NULL").await;
    // An open transaction is committed first, as on a server.
    run(&mut session, "USE ws_1").await;
    run(&mut session, "BEGIN").await;
    run(&mut session, "UPDATE issues SET title = 'kept'").await;
    run(&mut session, "USE workspaces").await;
    run(&mut session, "ALTER TABLE issues ADD COLUMN b INT").await;
    run(&mut session, "ROLLBACK").await;
    assert_eq!(stand.clusters[0].sql("SELECT title FROM ws_1.issues").trim(), "kept");
    // KILL QUERY ends the wait, and not the migration.
    freeze(&mut admin).await;
    let id = session.id();
    let waiting = tokio::spawn(async move {
        let refused = refused(&mut session, "ALTER TABLE issues ADD COLUMN c INT").await;
        (session, refused)
    });
    while states(&mut admin).await[0].1 != "active" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    run(&mut admin, &format!("KILL QUERY {id}")).await;
    let (session, (errno, message)) = waiting.await.expect("it ends");
    let migration = states(&mut admin).await[0].0.clone();
    assert_eq!(errno, 1317, "{message}");
    assert!(message.contains(&migration) && message.contains("goes on"), "{message}");
    assert!(stand.all_have("issues", "c", ""), "nothing was begun while it was frozen");
    thaw(&mut admin).await;
    let done = wait_until(|| stand.all_have("issues", "c", "int"));
    assert!(done, "{:?}", stand.types("issues", "c"));
    drop(session);
}

/// What Rails sends for `db:migrate`, in its order, on one connection.
#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_rails_migration_of_all_workspaces_works() {
    let stand = Stand::start().await;
    let mut rails = stand.bulkhead.connect(Some("workspaces")).await;
    run(
        &mut rails,
        "SET NAMES utf8mb4, @@SESSION.sql_mode = \
         CONCAT(@@sql_mode, ',STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO'), @@SESSION.wait_timeout = 2147483647",
    )
    .await;
    let has_table = |table: &str| {
        format!(
            "SELECT table_name FROM (SELECT table_name, table_type FROM information_schema.tables WHERE \
             table_schema = database()) _subquery WHERE _subquery.table_name = '{table}' AND \
             _subquery.table_type = 'BASE TABLE'"
        )
    };
    let locked: Option<u8> = rails.query_first("SELECT GET_LOCK('8123', 0)").await.expect("it is asked");
    assert_eq!(locked, Some(1));
    let mut second = stand.bulkhead.connect(Some("workspaces")).await;
    let refused: Option<u8> = second.query_first("SELECT GET_LOCK('8123', 0)").await.expect("it is asked");
    assert_eq!(refused, Some(0), "a second migration is kept out");
    for table in ["schema_migrations", "ar_internal_metadata"] {
        let found: Vec<String> = rails.query(has_table(table)).await.expect("it is told");
        assert!(found.is_empty(), "{table}");
    }
    run(&mut rails, "CREATE TABLE `schema_migrations` (`version` varchar(255) NOT NULL PRIMARY KEY)").await;
    run(
        &mut rails,
        "CREATE TABLE `ar_internal_metadata` (`key` varchar(255) NOT NULL PRIMARY KEY, `value` varchar(255), \
         `created_at` datetime(6) NOT NULL, `updated_at` datetime(6) NOT NULL)",
    )
    .await;
    let found: Vec<String> = rails.query(has_table("schema_migrations")).await.expect("it is told");
    assert_eq!(found, ["schema_migrations"]);
    run(
        &mut rails,
        "INSERT INTO `ar_internal_metadata` (`key`, `value`, `created_at`, `updated_at`) \
         VALUES ('environment', 'production', NOW(6), NOW(6))",
    )
    .await;
    let versions = "SELECT `schema_migrations`.`version` FROM `schema_migrations` ORDER BY \
                    `schema_migrations`.`version` ASC";
    let known: Vec<String> = rails.query(versions).await.expect("they are told");
    assert!(known.is_empty());
    run(
        &mut rails,
        "CREATE TABLE `labels` (`id` bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, `name` varchar(255), INDEX \
         `index_labels_on_name` (`name`))",
    )
    .await;
    run(&mut rails, "ALTER TABLE `labels` ADD `colour` varchar(20) DEFAULT 'red' NOT NULL").await;
    run(&mut rails, "CREATE INDEX `index_labels_on_colour` ON `labels` (`colour`)").await;
    let fields: Vec<mysql_async::Row> = rails.query("SHOW FULL FIELDS FROM `labels`").await.expect("fields");
    assert_eq!(fields.len(), 3);
    let keys: Vec<mysql_async::Row> = rails.query("SHOW KEYS FROM `labels`").await.expect("keys");
    assert_eq!(keys.len(), 3);
    run(&mut rails, "BEGIN").await;
    run(&mut rails, "INSERT INTO `schema_migrations` (`version`) VALUES ('20260101000001')").await;
    run(&mut rails, "COMMIT").await;
    let known: Vec<String> = rails.query(versions).await.expect("they are told");
    assert_eq!(known, ["20260101000001"]);
    let released: Option<u8> = rails.query_first("SELECT RELEASE_LOCK('8123')").await.expect("it is asked");
    assert_eq!(released, Some(1));
    assert!(stand.all_have("labels", "colour", "varchar(20)"));
    // They belong to no workspace.
    assert!(stand.all_have("schema_migrations", "version", ""));
    let (errno, message) = {
        let refused = second.query_drop("UPDATE labels SET colour = 'blue'").await;
        match refused {
            Err(Error::Server(error)) => (error.code, error.message),
            other => panic!("{other:?}"),
        }
    };
    assert!(errno == 1235 && message.contains("E2004"), "{message}");
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn the_command_line_submits_waits_and_orders() {
    let stand = Stand::start().await;
    let sql = stand.bulkhead.path("x.sql");
    std::fs::write(
        &sql,
        "-- two columns\nALTER TABLE issues ADD COLUMN a INT;\nALTER TABLE issues ADD b INT;\n",
    )
    .expect("the file can be written");
    let sql = sql.display().to_string();
    let submit = |more: &[&str]| {
        let first = ["submit", "--keyspace", "workspaces", "--file", &sql];
        stand.told(&[&first[..], more].concat())
    };
    // What would be done, and nothing is.
    let (code, out, err) = submit(&["--dry-run"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("6 databases"), "{out}");
    assert!(stand.all_have("issues", "a", ""));
    let (code, out, _) = submit(&["--dry-run", "--json"]);
    let plan: Value = serde_json::from_str(&out).expect("one JSON object");
    assert!(code == 0 && plan.is_object(), "{out}");
    // Done, with lines in a log.
    let (code, out, err) = submit(&[&QUICK[..], &["--canary", "ws_1,2", "--wait"]].concat());
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("is done: 6 of 6 databases have the new definition"), "{out}{err}");
    assert!(err.contains("6 of 6 databases (100.0 %)"), "{err}");
    assert!(stand.all_have("issues", "a", "int") && stand.all_have("issues", "b", "int"));
    // Again: nothing to do, and that is no failure.
    let (code, out, err) = submit(&["--wait"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("6 databases are as"), "{out}{err}");
    // One database is in the way: it ends with a failure, and `retry` mends it.
    stand.clusters[1].sql("INSERT INTO ws_4.issues (number) VALUES (4)");
    let unique = ["submit", "-k", "workspaces", "--sql", "ALTER TABLE issues ADD UNIQUE KEY u (number)"];
    let patient = ["--failures", "5", "--canary", "1", "--wait"];
    let (code, out, err) = stand.told(&[&unique[..], &QUICK[..], &patient[..]].concat());
    assert_eq!(code, 1, "{out}{err}");
    assert!(out.contains("1 failed") && out.contains("bulkhead migrate retry"), "{out}{err}");
    let mut admin = stand.bulkhead.connect_admin().await;
    let id = states(&mut admin).await[0].0.clone();
    let (code, out, _) = stand.told(&["status", &id]);
    assert!(code == 1 && out.contains("ws_4") && out.contains("Duplicate entry"), "{out}");
    stand.clusters[1].sql("DELETE FROM ws_4.issues WHERE title IS NULL");
    let (code, out, err) = stand.told(&["retry", &id]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, err) = stand.told(&["status", &id, "--watch"]);
    assert_eq!(code, 0, "{out}{err}");
    // Wrong usage, refusals, a proxy that is not there.
    assert_eq!(stand.told(&["submit", "-k", "workspaces"]).0, 2);
    let waves = ["submit", "-k", "workspaces", "--sql", "ALTER TABLE issues ADD c INT", "--waves", "9%,1%"];
    let (code, out, err) = stand.told(&waves);
    assert!(code == 2 && err.contains("rising"), "{out}{err}");
    let (code, _, err) =
        stand.told(&["submit", "-k", "workspaces", "--sql", "ALTER TABLE issues DROP COLUMN b"]);
    assert!(code == 1 && err.contains("E7002"), "{err}");
    let (code, _, err) = stand.told(&["pause", &id]);
    assert!(code == 1 && err.contains("finished"), "{err}");
    assert_eq!(stand.told(&["show", "nowhere"]).0, 1);
    // Everything was announced.
    let has = |how: &str| {
        let is_it = |alert: &Value| alert["kind"] == "fleet" && alert["how"] == how;
        wait_until(|| stand.alerts().iter().any(is_it))
    };
    for how in ["begun", "wave_done", "ended"] {
        assert!(has(how), "{how}: {:?}", stand.alerts());
    }
    let events: Vec<mysql_async::Row> =
        admin.query("SHOW EVENTS LIKE 'fleet migration%'").await.expect("they are shown");
    assert!(events.len() >= 4, "{}", events.len());
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn a_wait_is_interrupted_and_what_was_done_is_taken_back() {
    let stand = Stand::start().await;
    let mut admin = stand.bulkhead.connect_admin().await;
    freeze(&mut admin).await;
    let submit = ["submit", "-k", "workspaces", "--sql", "ALTER TABLE issues ADD COLUMN a INT", "--wait"];
    let child = stand.migrate(&[&submit[..], &QUICK[..], &["--canary", "1"]].concat()).spawn();
    let child = child.expect("the binary starts");
    let until = Instant::now() + Duration::from_secs(30);
    while states(&mut admin).await.is_empty() {
        assert!(Instant::now() < until, "it was not submitted");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Ctrl-C, once it waits.
    tokio::time::sleep(Duration::from_millis(800)).await;
    let pid = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status().expect("kill runs");
    assert!(sent.success());
    let (code, out, err) = told(child.wait_with_output().expect("it ends"));
    let id = states(&mut admin).await[0].0.clone();
    assert_eq!(code, 130, "{out}{err}");
    assert!(err.contains(&format!("{id} goes on")), "{err}");
    assert_eq!(states(&mut admin).await[0].1, "active");
    // Orders while it waits.
    for (order, state) in [("pause", "paused"), ("resume", "active")] {
        let (code, out, err) = stand.told(&[order, &id]);
        assert_eq!(code, 0, "{out}{err}");
        assert_eq!(states(&mut admin).await[0].1, state, "{order}");
    }
    let (code, out, err) = stand.told(&["skip", &id, "--workspace", "5"]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, err) = stand.told(&["pace", &id, "--at-once", "1", "--per-second", "50"]);
    assert_eq!(code, 0, "{out}{err}");
    thaw(&mut admin).await;
    let (code, out, err) = stand.told(&["status", &id, "--watch", "--json"]);
    assert_eq!(code, 0, "{out}{err}");
    let end: Value = serde_json::from_str(out.lines().last().expect("a line")).expect("JSON");
    assert_eq!(
        (end["ended"].as_str(), end["changed"].as_u64(), end["skipped"].as_u64()),
        (Some("done"), Some(5), Some(1))
    );
    assert_eq!(stand.types("issues", "a"), ["int", "int", "int", "int", "", "int"]);
    let (code, out, err) = stand.told(&["cancel", &id, "--revert"]);
    assert_eq!(code, 0, "{out}{err}");
    let reverted = wait_until(|| stand.all_have("issues", "a", ""));
    assert!(reverted, "{:?}", stand.types("issues", "a"));
    let metrics = metrics(&stand.bulkhead).await;
    assert!(
        metrics.contains("bulkhead_fleet_migrations{keyspace=\"workspaces\",state=\"finished\"}"),
        "{metrics}"
    );
    assert!(metrics.contains("bulkhead_ddl_lane_share{cluster=\"c1\"}"), "{metrics}");
}

async fn metrics(bulkhead: &Bulkhead) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream =
        tokio::net::TcpStream::connect(("127.0.0.1", bulkhead.http_port)).await.expect("it listens");
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("it is asked");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("it answers");
    text
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn shared_tables_are_changed_on_every_shard() {
    let cluster = Cluster::start("c1", Flavour::MySql);
    let other = Cluster::start("c2", Flavour::MySql);
    for server in [&cluster, &other] {
        server.sql(
            "CREATE DATABASE shop; CREATE TABLE shop.orders (workspace_id BIGINT, id BIGINT, \
             PRIMARY KEY (workspace_id, id))",
        );
    }
    let bulkhead = Setup::default()
        .cluster(&cluster)
        .cluster(&other)
        .config(
            "[keyspaces.shop]\nshards = { \"-80\" = \"c1\", \"80-\" = \"c2\" }\n\
             [schema_changes.fleet]\nsoak = \"0s\"\n",
        )
        .vschema(
            "shop.toml",
            "layout = \"shared_tables\"\nworkspace_column = \"workspace_id\"\nworkspace_vindex = \"hash\"\n\
             [vindexes.hash]\ntype = \"hash\"\n[tables.orders]\n",
        )
        .start();
    let mut session = bulkhead.connect(Some("shop")).await;
    run(&mut session, "ALTER TABLE orders ADD COLUMN note VARCHAR(9)").await;
    for server in [&cluster, &other] {
        let found = server.sql(
            "SELECT column_type FROM information_schema.columns WHERE table_schema = 'shop' AND \
             column_name = 'note'",
        );
        assert_eq!(found.trim(), "varchar(9)");
    }
    // A session of one workspace does not change what all share.
    run(&mut session, "SET @workspace_id = 7").await;
    let (errno, message) = refused(&mut session, "ALTER TABLE orders ADD COLUMN more INT").await;
    assert!(errno == 1235 && message.contains("E2009"), "{message}");
    let mut conn = cluster.connect(Role::Primary, "bulkhead_admin").await;
    let columns: Vec<String> = conn.query("SHOW COLUMNS FROM shop.orders LIKE 'more'").await.expect("shown");
    assert!(columns.is_empty());
}
