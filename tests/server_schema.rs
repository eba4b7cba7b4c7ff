//! Schema changes in sessions, on real servers: what reaches the server, what is refused, what is copied, and
//! how long a table's statements wait for a change.

mod common;

use std::time::{Duration, Instant};

use common::servers::{Bulkhead, Cluster, Flavour, Role, Setup};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};

const VSCHEMA: &str = "layout = \"database_per_workspace\"\ndatabase = \"ws_{workspace_id}\"\n";
const USERS: &str = "CREATE TABLE app.users (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, \
    name VARCHAR(50), n INT NOT NULL DEFAULT 7, x INT); \
    INSERT INTO app.users (name, n, x) VALUES ('ada', 1, 1), ('bob', 300, NULL)";
/// A statement waits for one attempt of a change (`ddl_lock`), not for all of them (`ddl_retry`).
const HELD_UP_MAX: Duration = Duration::from_secs(5);
/// A statement that took so long waited for a change.
const HELD_UP_MIN: Duration = Duration::from_millis(300);
/// Ends a wait for what never comes.
const PATIENCE: Duration = Duration::from_secs(60);

struct Stand {
    cluster: Cluster,
    bulkhead: Bulkhead,
}

impl Stand {
    async fn start(flavour: Flavour) -> Self {
        let cluster = Cluster::start("c1", flavour);
        cluster.sql("CREATE DATABASE app; CREATE DATABASE ws_1; CREATE DATABASE ws_2");
        cluster.sql(USERS);
        cluster.sql(
            "CREATE TABLE ws_1.issues (id BIGINT PRIMARY KEY, title VARCHAR(20)); \
                     INSERT INTO ws_1.issues VALUES (1, 'a'); CREATE TABLE ws_2.issues LIKE ws_1.issues",
        );
        cluster.sql("SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = ON");
        let config = "[keyspaces.app]\nshards = { \"-\" = \"c1\" }\n\
             [keyspaces.workspaces]\nshards = { ws-a = \"c1\" }\n\
             [timeouts]\nddl_lane = \"4s\"\nddl_lock = \"1s\"\nddl_retry = \"10s\"\n";
        let bulkhead = Setup::default()
            .cluster(&cluster)
            .config(config)
            .vschema("app.toml", "layout = \"unsharded\"\n")
            .vschema("workspaces.toml", VSCHEMA)
            .start();
        let mut admin = bulkhead.connect_admin().await;
        for id in [1, 2] {
            admin.query_drop(format!("CREATE WORKSPACE workspaces {id}")).await.expect("it is entered");
        }
        Self { cluster, bulkhead }
    }

    fn is_mysql(&self) -> bool {
        self.cluster.flavour == Flavour::MySql
    }

    /// Statements with this beginning that have reached the server by way of Bulkhead, oldest first.
    fn seen(&self, beginning: &str) -> Vec<String> {
        let question = format!(
            "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log \
             WHERE user_host LIKE 'bulkhead_app%' \
             AND command_type = 'Query' AND CONVERT(argument USING utf8mb4) LIKE '{beginning}%' \
             ORDER BY event_time"
        );
        self.cluster.sql(&question).lines().map(str::to_owned).collect()
    }

    fn columns(&self, table: &str) -> Vec<String> {
        let (database, table) = table.split_once('.').expect("database.table");
        let question = format!(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = '{database}' AND \
             table_name = '{table}' ORDER BY ordinal_position"
        );
        self.cluster.sql(&question).lines().map(str::to_owned).collect()
    }

    fn has_column(&self, table: &str, column: &str) -> bool {
        self.columns(table).iter().any(|name| name == column)
    }
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

/// Refused by Bulkhead with this code, and told this.
async fn refused_with(conn: &mut Conn, statement: &str, code: &str, words: &str) {
    let (errno, message) = refused(conn, statement).await;
    assert!(message.contains(&format!("bulkhead {code} ")), "{statement}: {errno} {message}");
    assert!(message.contains(words), "{statement}: {message}");
}

/// What is direct goes with an assertion, however it is sent.
async fn direct_changes_are_asserted(stand: &Stand) {
    let mut conn = stand.bulkhead.connect(Some("app")).await;
    let instant = if stand.is_mysql() { "ALGORITHM=INSTANT" } else { "ALGORITHM=INSTANT, LOCK=NONE" };
    run(&mut conn, "ALTER TABLE users ADD COLUMN d1 INT").await;
    assert_eq!(
        stand.seen("ALTER TABLE users ADD COLUMN d1"),
        [format!("ALTER TABLE users ADD COLUMN d1 INT, {instant}")]
    );
    conn.exec_drop("ALTER TABLE users ADD COLUMN d2 INT", ()).await.expect("prepared");
    assert!(stand.seen("ALTER TABLE users ADD COLUMN d2")[0].ends_with(instant));
    run(&mut conn, "ALTER TABLE app.users ADD COLUMN d3 INT; INSERT INTO users (name) VALUES ('c')").await;
    assert!(stand.seen("ALTER TABLE app.users ADD COLUMN d3")[0].ends_with(instant));
    run(&mut conn, "PREPARE s FROM 'ALTER TABLE users ADD COLUMN d4 INT'").await;
    run(&mut conn, "EXECUTE s").await;
    run(&mut conn, "DEALLOCATE PREPARE s").await;
    assert!(stand.seen("ALTER TABLE users ADD COLUMN d4")[0].ends_with(instant));
    run(&mut conn, "SET sql_mode = 'ANSI_QUOTES,STRICT_ALL_TABLES'").await;
    run(&mut conn, "ALTER TABLE \"users\" ADD COLUMN \"d5\" VARCHAR(5) DEFAULT 'it''s'").await;
    assert!(stand.has_column("app.users", "d5"));
    let mut conn = stand.bulkhead.connect(Some("app")).await;
    run(&mut conn, "CREATE INDEX by_name ON users (name)").await;
    assert!(stand.seen("CREATE INDEX by_name")[0].ends_with("LOCK=NONE"));
    run(&mut conn, "DROP INDEX by_name ON users").await;
    let dropped = if stand.is_mysql() {
        "DROP INDEX by_name ON users ALGORITHM"
    } else {
        "ALTER TABLE users DROP INDEX"
    };
    assert_eq!(stand.seen(dropped).len(), 1, "{:?}", stand.seen("DROP INDEX"));
    // The wait for a table is the change's own, not the session's.
    let wait: Option<u64> = conn.query_first("SELECT @@lock_wait_timeout").await.expect("it answers");
    assert!(wait.expect("a number") > 60, "{wait:?}");
}

async fn breaking_changes_are_refused_unless_acknowledged(stand: &Stand) {
    let mut conn = stand.bulkhead.connect(Some("app")).await;
    let before = stand.columns("app.users");
    for (statement, code, rule) in [
        ("ALTER TABLE users DROP COLUMN d1", "E7002", "D106 drop_column"),
        ("ALTER TABLE users RENAME COLUMN d1 TO e1", "E7002", "D107 rename_column"),
        ("ALTER TABLE users CHANGE d1 e1 INT", "E7002", "D107 rename_column"),
        ("ALTER TABLE users RENAME TO people", "E7002", "D407 rename_table"),
        ("RENAME TABLE users TO people", "E7002", "D407 rename_table"),
        ("ALTER TABLE users ADD COLUMN must INT NOT NULL", "E7002", "D102 required_column"),
        ("ALTER TABLE users MODIFY n SMALLINT NOT NULL", "E7003", "D202 lossy_conversion"),
        ("ALTER TABLE users MODIFY x INT NOT NULL", "E7003", "D111 not_null"),
        ("ALTER TABLE users FROBNICATE", "E7001", "D501 unknown_clause"),
        ("ALTER TABLE users ADD FOREIGN KEY (x) REFERENCES users (id)", "E7001", "D307 add_foreign_key"),
        ("ALTER TABLE users ENGINE=MyISAM", "E7001", "D403 engine"),
    ] {
        refused_with(&mut conn, statement, code, rule).await;
    }
    let prepared = conn.exec_drop("ALTER TABLE users DROP COLUMN d1", ()).await;
    assert!(prepared.is_err_and(|error| error.to_string().contains("D106")), "prepared");
    assert_eq!(stand.columns("app.users"), before);
    for verb in ["ALTER TABLE users DROP COLUMN", "RENAME"] {
        assert_eq!(stand.seen(verb), [""; 0], "it reached the server");
    }
    // The session goes on, and an acknowledgement lets one statement through.
    run(&mut conn, "/* bulkhead: ddl_acknowledged */ ALTER TABLE users DROP COLUMN d1").await;
    assert!(!stand.has_column("app.users", "d1"));
    refused_with(&mut conn, "ALTER TABLE users DROP COLUMN d2", "E7002", "D106").await;
    let log = stand.bulkhead.log();
    assert!(log.contains("schema change") && log.contains("acknowledged=true"), "{log}");
    let told = acknowledged_changes(stand).await;
    let statement = "ALTER TABLE users DROP COLUMN d1";
    assert!(told.len() == 1 && told[0].contains(statement), "one is told, what was refused is not: {told:?}");
    assert!(told[0].starts_with("done in_place app.users app "), "{told:?}");
    let (errno, message) = refused(&mut conn, "ALTER TABLE no_such_table ADD COLUMN a INT").await;
    assert!(errno == 1146 && message.contains("no_such_table"), "{errno} {message}");
    refused_with(&mut conn, "ALTER TABLE users ADD COLUMN (a INT", "E7005", "cannot be read").await;
}

/// The changes in place that SHOW MIGRATIONS tells of: state, how, where, who, what.
async fn acknowledged_changes(stand: &Stand) -> Vec<String> {
    let mut admin = stand.bulkhead.connect_admin().await;
    let rows: Vec<mysql_async::Row> = admin.query("SHOW MIGRATIONS").await.expect("it answers");
    let text =
        |row: &mysql_async::Row, column: &str| row.get::<String, _>(column).expect("the column is there");
    let line = |row: &mysql_async::Row| {
        let at = format!("{}.{}", text(row, "database"), text(row, "table"));
        let of = |column| text(row, column);
        format!("{} {} {at} {} {}", of("state"), of("step"), of("user"), of("statement"))
    };
    rows.iter().map(line).filter(|line| line.contains(" in_place ")).collect()
}

/// A session that keeps its connection asks for the warnings of a change as on a plain server, twice too.
async fn warnings_are_told_on_a_held_connection(stand: &Stand) {
    let mut conn = stand.bulkhead.connect(Some("app")).await;
    run(&mut conn, "CREATE TEMPORARY TABLE keeps_it (id INT)").await;
    run(&mut conn, "DROP TABLE IF EXISTS nothing_there").await;
    for _ in 0..2 {
        let told: Vec<(String, u16, String)> = conn.query("SHOW WARNINGS").await.expect("it answers");
        assert!(told.len() == 1 && told[0].1 == 1051, "{told:?}");
    }
    let count: Option<u64> = conn.query_first("SELECT @@warning_count").await.expect("it answers");
    assert_eq!(count, Some(1));
    run(&mut conn, "INSERT INTO keeps_it VALUES (1)").await;
    let told: Vec<(String, u16, String)> = conn.query("SHOW WARNINGS").await.expect("it answers");
    assert!(told.is_empty(), "{told:?}");
}

/// The server does not answer a look: a KILL QUERY ends it, which the server is not asked about.
async fn a_look_can_be_killed(stand: &Stand) {
    let mut conn = stand.bulkhead.connect(Some("app")).await;
    let id: Option<u64> = conn.query_first("SELECT CONNECTION_ID()").await.expect("it answers");
    let mut killer = stand.bulkhead.connect(Some("app")).await;
    stand.cluster.signal(Role::Primary, "STOP");
    let began = Instant::now();
    let change = tokio::spawn(async move {
        let done = conn.query_drop("ALTER TABLE users ADD COLUMN unseen INT").await;
        (done, conn)
    });
    while !change.is_finished() && began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(100)).await;
        run(&mut killer, &format!("KILL QUERY {}", id.expect("a number"))).await;
    }
    let is_over = change.is_finished();
    stand.cluster.signal(Role::Primary, "CONT");
    assert!(is_over, "it ends while the server does not answer");
    let (done, mut conn) = change.await.expect("it ends");
    let error = done.expect_err("it was killed").to_string();
    assert!(error.contains("1317") || error.contains("interrupted"), "{error}");
    run(&mut conn, "SELECT 1").await;
}

/// What nobody uses yet may be changed freely; a type change is copied all the same.
async fn new_and_empty_tables_are_free(stand: &Stand) {
    let mut maker = stand.bulkhead.connect(Some("app")).await;
    run(&mut maker, "CREATE TABLE young (id BIGINT AUTO_INCREMENT PRIMARY KEY, a INT, b INT)").await;
    run(&mut maker, "INSERT INTO young (a, b) VALUES (1, 2)").await;
    run(&mut maker, "ALTER TABLE young DROP COLUMN b").await;
    run(&mut maker, "ALTER TABLE young RENAME COLUMN a TO c").await;
    run(&mut maker, "ALTER TABLE young MODIFY c INT NOT NULL").await;
    run(&mut maker, "ALTER TABLE young ADD COLUMN user_id BIGINT").await;
    run(&mut maker, "ALTER TABLE young ADD CONSTRAINT fk_young FOREIGN KEY (user_id) REFERENCES users (id)")
        .await;
    run(&mut maker, "ALTER TABLE young DROP FOREIGN KEY fk_young").await;
    run(&mut maker, "RENAME TABLE young TO grown").await;
    run(&mut maker, "ALTER TABLE grown DROP COLUMN user_id").await;
    let mut other = stand.bulkhead.connect(Some("app")).await;
    refused_with(&mut other, "ALTER TABLE grown DROP COLUMN c", "E7002", "D106").await;
    // Emptied: nothing can be lost, but code may know it.
    run(&mut other, "DELETE FROM grown").await;
    refused_with(&mut other, "ALTER TABLE grown DROP COLUMN c", "E7002", "holds no rows, but held some")
        .await;
    // Neither a TRUNCATE nor a counter that is set back makes it one that was never used, for whoever asks.
    let mut third = stand.bulkhead.connect(Some("app")).await;
    for statement in ["TRUNCATE grown", "ALTER TABLE grown AUTO_INCREMENT = 1"] {
        run(&mut other, statement).await;
        refused_with(&mut third, "ALTER TABLE grown DROP COLUMN c", "E7002", "D106").await;
        refused_with(&mut other, "ALTER TABLE grown DROP COLUMN c", "E7002", "D106").await;
    }
    run(&mut other, "DROP TABLE grown").await;
    // A counter at its start, of a new table of that name: never used.
    run(&mut maker, "CREATE TABLE grown (id BIGINT AUTO_INCREMENT PRIMARY KEY, c INT)").await;
    run(&mut other, "ALTER TABLE grown DROP COLUMN c").await;
    run(&mut other, "DROP TABLE grown").await;
    run(&mut maker, "CREATE TABLE IF NOT EXISTS users (id INT)").await;
    refused_with(&mut maker, "RENAME TABLE users TO people", "E7002", "D407").await;
    run(&mut maker, "CREATE TABLE again (id INT PRIMARY KEY)").await;
    run(&mut maker, "DROP TABLE again").await;
    let (errno, message) = refused(&mut maker, "ALTER TABLE users DROP COLUMN n, MODIFY nix INT").await;
    assert!(errno == 1054 && message.contains("nix"), "{errno} {message}");
    refused_with(&mut maker, "ALTER TABLE users ADD z INT /*!100000 , DROP COLUMN n */", "E7005", "").await;
    if stand.is_mysql() {
        return;
    }
    run(&mut maker, "PREPARE s FROM 'CREATE OR REPLACE TABLE users SELECT ? AS a'").await;
    run(&mut maker, "SET @a = 1").await;
    let (_, message) = refused(&mut maker, "EXECUTE s USING @a").await;
    assert!(message.contains("a schema change with parameters"), "{message}");
}

async fn temporary_tables_are_the_sessions_own(stand: &Stand) {
    let mut conn = stand.bulkhead.connect(Some("app")).await;
    run(&mut conn, "CREATE TEMPORARY TABLE users (id INT PRIMARY KEY, v VARCHAR(10))").await;
    run(&mut conn, "INSERT INTO users VALUES (1, '12')").await;
    run(&mut conn, "ALTER TABLE users MODIFY v INT, RENAME COLUMN id TO k").await;
    let row: Option<(i64, i64)> = conn.query_first("SELECT k, v FROM users").await.expect("it is there");
    assert_eq!(row, Some((1, 12)));
    if stand.is_mysql() {
        // It would take the table that the temporary one hides.
        refused_with(&mut conn, "RENAME TABLE users TO people", "E7002", "D407").await;
    } else {
        run(&mut conn, "RENAME TABLE users TO people").await;
        run(&mut conn, "RENAME TABLE people TO users").await;
    }
    run(&mut conn, "TRUNCATE users").await;
    run(&mut conn, "DROP TABLE users").await;
    let rows: Option<u64> = conn.query_first("SELECT COUNT(*) FROM users").await.expect("the real one");
    assert!(rows > Some(1));
}

/// A reader keeps the table's metadata lock; the change comes again and again, and holds nobody up for long.
async fn a_change_that_waits_holds_nobody_up(stand: &Stand) {
    let mut reader = stand.cluster.connect(Role::Primary, "root").await;
    run(&mut reader, "BEGIN").await;
    run(&mut reader, "SELECT COUNT(*) FROM app.users").await;
    let mut changer = stand.bulkhead.connect(Some("app")).await;
    let change = tokio::spawn(async move {
        let done = changer.query_drop("ALTER TABLE users ADD COLUMN late INT").await;
        (done, changer)
    });
    let mut writer = stand.bulkhead.connect(Some("app")).await;
    let (began, mut waited) = (Instant::now(), Vec::new());
    while waited.len() < 2 && !change.is_finished() && began.elapsed() < PATIENCE {
        let sent = Instant::now();
        run(&mut writer, "INSERT INTO users (name) VALUES ('w')").await;
        waited.extend(Some(sent.elapsed()).filter(|took| *took > HELD_UP_MIN));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(waited.len() == 2, "it came back twice, and was waited for: {waited:?}");
    assert!(waited.iter().all(|took| *took < HELD_UP_MAX), "a write waited {waited:?}");
    run(&mut reader, "COMMIT").await;
    let (done, mut changer) = change.await.expect("it ends");
    done.expect("it got its table in the end");
    assert!(stand.has_column("app.users", "late"));

    run(&mut reader, "BEGIN").await;
    run(&mut reader, "SELECT COUNT(*) FROM app.users").await;
    refused_with(&mut changer, "ALTER TABLE users ADD COLUMN never INT", "E7007", "did not get its table")
        .await;
    // A view needs the table for a moment too, and waits as little.
    run(&mut changer, "CREATE VIEW names AS SELECT name FROM users").await;
    run(&mut changer, "DROP VIEW names").await;
    run(&mut reader, "COMMIT").await;
    assert!(!stand.has_column("app.users", "never"));
}

async fn an_open_transaction_is_committed_first(stand: &Stand) {
    let mut conn = stand.bulkhead.connect(Some("app")).await;
    let count = "SELECT COUNT(*) FROM users WHERE name = 'open'";
    run(&mut conn, "BEGIN").await;
    run(&mut conn, "INSERT INTO users (name) VALUES ('open')").await;
    run(&mut conn, "ALTER TABLE users ADD COLUMN t1 INT").await;
    run(&mut conn, "ROLLBACK").await;
    let open: Option<u64> = conn.query_first(count).await.expect("it answers");
    assert_eq!(open, Some(1));
    // What Bulkhead refuses commits nothing.
    run(&mut conn, "BEGIN").await;
    run(&mut conn, "INSERT INTO users (name) VALUES ('open')").await;
    refused_with(&mut conn, "ALTER TABLE users DROP COLUMN t1", "E7002", "D106").await;
    run(&mut conn, "ROLLBACK").await;
    let open: Option<u64> = conn.query_first(count).await.expect("it answers");
    assert_eq!(open, Some(1));
    run(&mut conn, "LOCK TABLES users WRITE").await;
    refused_with(&mut conn, "ALTER TABLE users MODIFY n BIGINT NOT NULL", "E7006", "locks").await;
    run(&mut conn, "UNLOCK TABLES").await;
}

async fn proofs_scan_the_rows(stand: &Stand) {
    let mut conn = stand.bulkhead.connect(Some("app")).await;
    stand.cluster.sql(
        "CREATE TABLE app.proofs (a BIGINT, b VARCHAR(10), n INT, v VARCHAR(20), \
        d DECIMAL(10,4), \
        f VARCHAR(20) CHARACTER SET utf8mb4, PRIMARY KEY (a, b)); INSERT INTO app.proofs \
        SELECT x.n, 'k', x.n, CONCAT('v', x.n), x.n / 2, 'plain' FROM \
        (WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL \
        SELECT n + 1 FROM c WHERE n < 900) SELECT n FROM c) x; \
        INSERT INTO app.proofs SELECT a + 1000, b, n, v, d, f FROM app.proofs; \
        INSERT INTO app.proofs SELECT a + 2000, b, n, v, d, f FROM app.proofs; \
        INSERT INTO app.proofs SELECT a + 4000, b, n, v, d, f FROM app.proofs",
    );
    let ask = "/* bulkhead: ddl_prove */ ALTER TABLE proofs MODIFY";
    for (change, fault) in [
        ("n TINYINT", "does not fit"),
        ("v VARCHAR(3)", "does not fit"),
        ("v INT", "does not fit"),
        ("d DECIMAL(10,0)", "another one"),
        ("d DECIMAL(3,1)", "does not fit"),
    ] {
        refused_with(&mut conn, &format!("{ask} {change}"), "E7004", fault).await;
    }
    stand.cluster.sql("INSERT INTO app.proofs VALUES (9999, 'k', NULL, 'last', 1, 'ü')");
    refused_with(&mut conn, &format!("{ask} n INT NOT NULL"), "E7004", "`n`: rows hold NULL").await;
    let latin = format!("{ask} f VARCHAR(20) CHARACTER SET ascii");
    let (_, message) = refused(&mut conn, &latin).await;
    assert!(message.contains("E7004") && message.contains("`f`"), "{message}");
}

/// What is copied ends as a server's own change would: same rows, same answer, nothing left to see.
async fn type_changes_are_copied(stand: &Stand) {
    let mut conn = stand.bulkhead.connect(Some("app")).await;
    let rows = "SELECT COUNT(*), SUM(id), SUM(n), COUNT(x), MAX(name) FROM app.users";
    let (before, count) = (stand.cluster.sql(rows), stand.cluster.sql("SELECT COUNT(*) FROM app.users"));
    let answer =
        conn.query_iter("ALTER TABLE users MODIFY n BIGINT NOT NULL DEFAULT 7").await.expect("copied");
    assert_eq!(answer.affected_rows().to_string(), count.trim(), "as a copying server answers");
    assert!(answer.info().starts_with("Records: "), "{}", answer.info());
    answer.drop_result().await.expect("nothing follows");
    assert_eq!(stand.cluster.sql(rows), before);
    let definition = stand.cluster.sql("SHOW CREATE TABLE app.users");
    assert!(definition.contains("`n` bigint"), "{definition}");
    let own: [&str; 0] = [];
    assert_eq!(stand.seen("ALTER TABLE users MODIFY n BIGINT"), own, "it reached the server as it was");
    run(&mut conn, "INSERT INTO users (name, n) VALUES ('big', 5000000000)").await;
    let seen: Option<i64> =
        conn.query_first("SELECT n FROM users WHERE name = 'big'").await.expect("it reads");
    assert_eq!(seen, Some(5_000_000_000));

    // A transaction that is open is committed; prepared and several in one text are copied too.
    run(&mut conn, "BEGIN").await;
    run(&mut conn, "INSERT INTO users (name) VALUES ('kept')").await;
    conn.exec_drop("ALTER TABLE users MODIFY x BIGINT", ()).await.expect("prepared");
    run(&mut conn, "ROLLBACK").await;
    let kept: Option<u64> =
        conn.query_first("SELECT COUNT(*) FROM users WHERE name = 'kept'").await.expect("it reads");
    assert_eq!(kept, Some(1));
    run(
        &mut conn,
        "ALTER TABLE users MODIFY name VARCHAR(300); INSERT INTO users (name) VALUES (REPEAT('x', 299))",
    )
    .await;
    // A proof that holds lets it through.
    run(&mut conn, "/* bulkhead: ddl_prove */ ALTER TABLE users MODIFY x INT").await;
    assert!(stand.bulkhead.log().contains("proof=Holds"));
    // Only an id, at once.
    run(&mut conn, "SET @bulkhead_ddl = 'submit'").await;
    let id: Option<String> = conn.query_first("ALTER TABLE users MODIFY x BIGINT").await.expect("an id");
    assert_eq!(id.as_ref().map(String::len), Some(16), "{id:?}");
    let id: Option<String> = conn.exec_first("ALTER TABLE ws_1.none MODIFY x INT", ()).await.ok().flatten();
    assert_eq!(id, None);
    run(&mut conn, "SET @bulkhead_ddl = 'sumbit'").await;
    wait_for_type(stand, "app.users", "x", "bigint").await;
    refused_with(&mut conn, "ALTER TABLE users MODIFY x INT", "E7003", "D202").await;
    refused_with(&mut conn, "ALTER TABLE users MODIFY x DECIMAL(30,0)", "E7009", "").await;
    run(&mut conn, "SET @bulkhead_ddl = NULL").await;
    let tables = stand.cluster.sql("SHOW TABLES FROM app");
    assert!(!tables.contains("zz") && !tables.contains("new_") && !tables.contains("old_"), "{tables}");
}

async fn wait_for_type(stand: &Stand, table: &str, column: &str, wanted: &str) {
    let began = Instant::now();
    let (database, name) = table.split_once('.').expect("database.table");
    let question = format!(
        "SELECT data_type FROM information_schema.columns WHERE table_schema = '{database}' AND table_name = \
         '{name}' AND column_name = '{column}'"
    );
    while stand.cluster.sql(&question).trim() != wanted {
        assert!(began.elapsed() < PATIENCE, "{table}.{column} is not {wanted}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn a_closed_lane_is_waited_for(stand: &Stand) {
    let mut admin = stand.bulkhead.connect_admin().await;
    let mut conn = stand.bulkhead.connect(Some("app")).await;
    run(&mut admin, "SET DDL LANE c1 CLOSED").await;
    let change = tokio::spawn(async move {
        let done = conn.query_drop("ALTER TABLE users ADD COLUMN laned INT").await;
        (done, conn)
    });
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(!change.is_finished(), "it waits for the lane");
    run(&mut admin, "SET DDL LANE c1 OPEN").await;
    let (done, mut conn) = change.await.expect("it ends");
    done.expect("the lane opened in time");
    run(&mut admin, "SET DDL LANE c1 CLOSED").await;
    let began = Instant::now();
    refused_with(&mut conn, "ALTER TABLE users ADD COLUMN unlaned INT", "E4010", "ddl_lane").await;
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(4), "not before its time: {took:?}");
    run(&mut conn, "INSERT INTO users (name) VALUES ('rows go on')").await;
    run(&mut admin, "SET DDL LANE c1 OPEN").await;
}

async fn workspaces_have_their_own(stand: &Stand) {
    let mut conn = stand.bulkhead.connect(Some("workspaces")).await;
    run(&mut conn, "SET @workspace_id = 1").await;
    run(&mut conn, "ALTER TABLE workspaces.issues ADD COLUMN state INT").await;
    run(&mut conn, "ALTER TABLE issues ADD COLUMN points INT").await;
    assert_eq!(stand.columns("ws_1.issues"), ["id", "title", "state", "points"]);
    assert_eq!(stand.columns("ws_2.issues"), ["id", "title"]);
    refused_with(&mut conn, "ALTER TABLE issues DROP COLUMN title", "E7002", "D106").await;
    refused_with(&mut conn, "ALTER TABLE ws_2.issues ADD COLUMN a INT", "E2003", "").await;
    let mut whole = stand.bulkhead.connect(Some("workspaces")).await;
    // Every database is meant. What is not like most is left as it is, and told.
    refused_with(&mut whole, "ALTER TABLE issues ADD COLUMN a INT", "E7204", "1 drifted").await;
}

async fn a_wait_can_be_killed(stand: &Stand) {
    let mut reader = stand.cluster.connect(Role::Primary, "root").await;
    run(&mut reader, "BEGIN").await;
    run(&mut reader, "SELECT COUNT(*) FROM app.users").await;
    let mut conn = stand.bulkhead.connect(Some("app")).await;
    let id: Option<u64> = conn.query_first("SELECT CONNECTION_ID()").await.expect("it answers");
    let change = tokio::spawn(async move {
        let done = conn.query_drop("ALTER TABLE users ADD COLUMN killed INT").await;
        (done, conn)
    });
    let mut killer = stand.bulkhead.connect(Some("app")).await;
    let began = Instant::now();
    while !change.is_finished() && began.elapsed() < PATIENCE {
        run(&mut killer, &format!("KILL QUERY {}", id.expect("a number"))).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (done, mut conn) = change.await.expect("it ends");
    let error = done.expect_err("it was killed").to_string();
    assert!(error.contains("1317") || error.contains("interrupted"), "{error}");
    run(&mut reader, "COMMIT").await;
    run(&mut conn, "SELECT 1").await;
}

fn the_command_line_looks_at_servers(stand: &Stand) {
    let explain = |database: &str, sql: &str, more: &[&str]| {
        let mut arguments = vec!["ddl", "explain", "--table-from", "live", "--database", database, sql];
        arguments.extend(more);
        stand.bulkhead.command(&arguments)
    };
    let (good, text) = explain("app", "ALTER TABLE users ADD COLUMN later INT", &[]);
    assert!(good && text.contains("route direct"), "{text}");
    let (good, text) = explain("ws_1", "ALTER TABLE issues MODIFY id INT", &[]);
    assert!(!good && text.contains("D202") && text.contains("route refuse"), "{text}");
    let (good, text) = explain("ws_2", "ALTER TABLE issues MODIFY id INT", &["--json"]);
    assert!(good && text.contains("\"route\": \"copy\""), "no rows: {text}");
    let (good, text) = explain("nowhere", "ALTER TABLE t ADD a INT", &[]);
    assert!(!good && text.contains("neither a keyspace"), "{text}");

    stand.cluster.sql(
        "CREATE VIEW app.`a view` AS SELECT id FROM app.users; \
        CREATE TABLE app.`od``d \"x` (`i-d` INT PRIMARY KEY, `sel``ect` TINYINT, KEY k (`sel``ect`)); \
        INSERT INTO app.`od``d \"x` VALUES (1, -127)",
    );
    for (sql, words) in [
        ("ALTER TABLE no_such ADD a INT", "no_such' doesn't exist"),
        ("ALTER TABLE nowhere.users ADD a INT", "nowhere"),
        ("ALTER TABLE `a view` ADD a INT", "a view is a view"),
        ("ALTER TABLE users ADD (a INT", "line 1, column "),
        ("SELECT 1", "changes no table"),
        ("/* bulkhead: ddl_anything */ ALTER TABLE users ADD a INT", "unknown bulkhead directive"),
    ] {
        let (good, text) = explain("app", sql, &[]);
        assert!(!good && text.contains(words) && !text.contains("route"), "{sql}: {text}");
    }
    for sql in ["CREATE TABLE no_such (a INT)", "DROP TABLE IF EXISTS no_such", "DROP VIEW `a view`"] {
        let (good, text) = explain("app", sql, &[]);
        assert_eq!(good, !sql.contains("VIEW"), "{sql}: {text}");
    }
    let (good, text) = explain("app", "ALTER TABLE `od``d \"x` MODIFY `sel``ect` INT", &[]);
    assert!(good && text.contains("route copy"), "{text}");

    stand.cluster.sql(
        "CREATE TABLE app.threads (id BIGINT AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT = 2147483000; \
        CREATE TABLE app.posts (id INT AUTO_INCREMENT PRIMARY KEY, thread_id INT, n TINYINT, KEY (n)); \
        INSERT INTO app.posts (n) VALUES (120)",
    );
    let (near, text) = stand.bulkhead.command(&["ddl", "headroom", "--database", "app"]);
    assert!(!near, "a failure, so that a check notices: {text}");
    for line in
        ["critical  100.0 %  posts.thread_id  int", "refers to bigint threads.id by name", "posts.n  tinyint"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    odd_tables_have_room(stand);
    let (_, json) = stand.bulkhead.command(&["ddl", "headroom", "--database", "app", "--format", "json"]);
    assert!(json.contains("\"danger\": \"critical\""), "{json}");
    let (_, metrics) =
        stand.bulkhead.command(&["ddl", "headroom", "--database", "app", "--format", "prometheus"]);
    assert!(metrics.contains("bulkhead_integer_used_ratio{database=\"app\",table=\"posts\""), "{metrics}");
    if !stand.is_mysql() {
        stand.cluster.sql(
            "CREATE SEQUENCE app.ids START WITH 2000000000 MAXVALUE 9000000000; \
            CREATE TABLE app.fed (id INT NOT NULL DEFAULT NEXT VALUE FOR app.ids PRIMARY KEY)",
        );
        let (_, text) = stand.bulkhead.command(&["ddl", "headroom", "--database", "app", "--all"]);
        assert!(text.contains("fed.id  int") && text.contains("(sequence ids)"), "{text}");
    }
}

/// Names that need quotes, an index that the server does not read by, rows with a history, a database that is
/// not there.
fn odd_tables_have_room(stand: &Stand) {
    let (unused, versioned) = match stand.is_mysql() {
        true => ("INVISIBLE", ""),
        false => ("IGNORED", "WITH SYSTEM VERSIONING"),
    };
    stand.cluster.sql(&format!(
        "CREATE TABLE app.unread (id INT PRIMARY KEY, n TINYINT, KEY k (n) {unused}); \
        INSERT INTO app.unread VALUES (1, 120); \
        CREATE TABLE app.past (id INT PRIMARY KEY, m TINYINT, KEY k (m)) {versioned}; \
        INSERT INTO app.past VALUES (1, 120)"
    ));
    let (_, text) = stand.bulkhead.command(&["ddl", "headroom", "--database", "app"]);
    assert!(text.contains("od`d \"x.sel`ect  tinyint"), "{text}");
    assert!(text.contains("past.m  tinyint"), "{text}");
    // Both ends of that index would be looked for in every row.
    assert!(!text.contains("unread.n"), "{text}");
    let (near, text) = stand.bulkhead.command(&["ddl", "headroom", "--database", "ws_777"]);
    assert!(!near && text.contains("has a database of that name"), "{text}");
    let (near, text) = stand.bulkhead.command(&["ddl", "headroom", "--database", "a`b"]);
    assert!(!near && text.contains("neither a keyspace"), "{text}");
}

async fn changes_are_looked_at(flavour: Flavour) {
    let stand = Stand::start(flavour).await;
    direct_changes_are_asserted(&stand).await;
    breaking_changes_are_refused_unless_acknowledged(&stand).await;
    new_and_empty_tables_are_free(&stand).await;
    temporary_tables_are_the_sessions_own(&stand).await;
    warnings_are_told_on_a_held_connection(&stand).await;
    an_open_transaction_is_committed_first(&stand).await;
    proofs_scan_the_rows(&stand).await;
    workspaces_have_their_own(&stand).await;
    the_command_line_looks_at_servers(&stand);
}

async fn changes_are_copied(flavour: Flavour) {
    let stand = Stand::start(flavour).await;
    type_changes_are_copied(&stand).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn changes_are_copied_on_mysql() {
    changes_are_copied(Flavour::MySql).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn changes_are_copied_on_mariadb() {
    changes_are_copied(Flavour::MariaDb).await;
}

async fn changes_wait_a_little(flavour: Flavour) {
    let stand = Stand::start(flavour).await;
    a_closed_lane_is_waited_for(&stand).await;
    a_change_that_waits_holds_nobody_up(&stand).await;
    a_wait_can_be_killed(&stand).await;
    a_look_can_be_killed(&stand).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn changes_are_looked_at_on_mysql() {
    changes_are_looked_at(Flavour::MySql).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn changes_are_looked_at_on_mariadb() {
    changes_are_looked_at(Flavour::MariaDb).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn changes_wait_a_little_on_mysql() {
    changes_wait_a_little(Flavour::MySql).await;
}

#[tokio::test]
#[ignore = "needs servers: make test"]
async fn changes_wait_a_little_on_mariadb() {
    changes_wait_a_little(Flavour::MariaDb).await;
}
