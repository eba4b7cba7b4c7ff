//! Attempts to reach another workspace, line by line, on real servers: `tests/guard/shared.sql` against
//! tables that workspaces share, `tests/guard/spaces.sql` against a database for each. Each is tried as text
//! and prepared, in a session of its own. Whether it is refused or answered does not matter: what belongs to
//! others is not shown and not changed. Then: values of parameters, and what sessions leave on connections.

mod common;

use bulkhead::protocol::command;
use bulkhead::protocol::response::CommandKind;
use common::clients::{login, run};
use common::raw::{Answer, Login, RawClient};
use common::servers::{Bulkhead, Cluster, Flavour, Role, Setup, connect};
use mysql_async::Conn;
use mysql_async::prelude::Queryable;

const CONFIG: &str = "[users.app]\npassword_env = \"TEST_APP_PASSWORD\"\n\
                      [users.boss]\npassword_env = \"TEST_APP_PASSWORD\"\nadmin = true\n\
                      may_cross_workspaces = true\n\
                      [users.narrow]\npassword_env = \"TEST_APP_PASSWORD\"\n\
                      keyspaces = [\"shared\"]\n\
                      [keyspaces.shared]\nshards = { \"-\" = \"c1\" }\n\
                      [keyspaces.spaces]\nshards = { a = \"c1\" }\n\
                      [clusters.c1.pool]\nmax_connections = 1\n\
                      [timeouts]\npool_wait = \"300ms\"\n";
const SHARED: &str = "layout = \"shared_tables\"\nworkspace_column = \"workspace_id\"\n\
                      workspace_vindex = \"by_workspace\"\n[vindexes.by_workspace]\ntype = \"xxhash\"\n\
                      [tables.notes]\n";
const SPACES: &str = "layout = \"database_per_workspace\"\ndatabase = \"ws_{workspace_id}\"\n";
/// What only other workspaces' rows and names hold.
const MARK: &[u8] = b"SECRET";

const DATA: &str = "CREATE DATABASE shared; CREATE DATABASE ws_7; CREATE DATABASE ws_8; \
    CREATE TABLE shared.notes (workspace_id BIGINT, id INT, body VARCHAR(60), \
                               PRIMARY KEY (workspace_id, id)); \
    INSERT INTO shared.notes VALUES (7, 1, 'mine'), (8, 2, 'SECRET of 8'), (9, 3, 'SECRET of 9'), \
        (55, 4, 'SECRET of 55'), (9007199254740992, 5, 'SECRET'), (9007199254740993, 5, 'SECRET'), \
        (-8, 6, 'SECRET of -8'), (0, 7, 'SECRET of 0'); \
    CREATE TABLE ws_7.issues (t VARCHAR(60)); INSERT INTO ws_7.issues VALUES ('mine'); \
    CREATE TABLE ws_8.issues (t VARCHAR(60)); INSERT INTO ws_8.issues VALUES ('SECRET of 8'); \
    CREATE TABLE ws_8.SECRET_table (SECRET_column INT PRIMARY KEY); \
    CREATE TABLE ws_8.keyed (id INT PRIMARY KEY); INSERT INTO ws_8.keyed VALUES (1); \
    CREATE VIEW ws_8.v AS SELECT t AS SECRET_name FROM ws_8.issues; \
    CREATE PROCEDURE ws_8.p() SELECT t FROM ws_8.issues; \
    CREATE FUNCTION ws_8.f() RETURNS VARCHAR(60) DETERMINISTIC READS SQL DATA \
        RETURN (SELECT t FROM ws_8.issues LIMIT 1); \
    CREATE EVENT ws_8.e ON SCHEDULE EVERY 1 DAY DO DELETE FROM ws_8.SECRET_table; \
    CREATE TRIGGER ws_8.tr BEFORE INSERT ON ws_8.SECRET_table FOR EACH ROW SET NEW.SECRET_column = 1";
/// What belongs to others: rows, and what is defined.
const OTHERS: &str = "SELECT \
    (SELECT GROUP_CONCAT(workspace_id, '/', id, '/', body ORDER BY workspace_id, id) FROM shared.notes \
        WHERE workspace_id <> 7), \
    (SELECT GROUP_CONCAT(t) FROM ws_8.issues), \
    (SELECT GROUP_CONCAT(table_name ORDER BY table_name) FROM information_schema.tables \
        WHERE table_schema IN ('ws_8', 'shared')), \
    (SELECT GROUP_CONCAT(column_name ORDER BY column_name) FROM information_schema.columns \
        WHERE table_schema = 'ws_8' AND table_name = 'issues'), \
    (SELECT GROUP_CONCAT(routine_name ORDER BY routine_name) FROM information_schema.routines \
        WHERE routine_schema = 'ws_8'), \
    (SELECT GROUP_CONCAT(trigger_name, event_object_schema) FROM information_schema.triggers \
        WHERE event_object_schema IN ('ws_8', 'shared')), \
    (SELECT GROUP_CONCAT(event_name, status) FROM information_schema.events WHERE event_schema = 'ws_8'), \
    (SELECT GROUP_CONCAT(schema_name ORDER BY schema_name) FROM information_schema.schemata)";

type Others = (
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
);

async fn start(flavour: Flavour) -> (Cluster, Bulkhead) {
    let cluster = Cluster::start("c1", flavour);
    cluster.sql(DATA);
    if flavour == Flavour::MariaDb {
        cluster.sql("CREATE SEQUENCE ws_8.s; CREATE SEQUENCE shared.seq");
    }
    let version = if flavour == Flavour::MariaDb { "10.11.14-MariaDB" } else { "9.7.0" };
    let bulkhead = Setup::default()
        .cluster(&cluster)
        .config(CONFIG)
        .listen(&format!("server_version = \"{version}\""))
        .vschema("shared.toml", SHARED)
        .vschema("spaces.toml", SPACES)
        .start();
    let mut admin = connect(bulkhead.admin_port, "boss", &bulkhead.password, None).await;
    for workspace in [7, 8] {
        run(&mut admin, &format!("CREATE WORKSPACE spaces {workspace} ON a")).await;
    }
    (cluster, bulkhead)
}

async fn session(bulkhead: &Bulkhead, database: &str) -> RawClient {
    session_of(bulkhead, "app", database).await
}

async fn session_of(bulkhead: &Bulkhead, user: &str, database: &str) -> RawClient {
    let login = Login { database: Some(database.to_owned()), user: user.to_owned(), ..login(bulkhead) };
    let mut client = RawClient::connect(&login).await.expect("logs in");
    if database == "shared" {
        assert!(client.query(b"SET @workspace_id = 7").await.expect("an answer").error().is_none());
    }
    client
}

/// Prepares; gives the answer, and the id and number of parameters where it is no error.
async fn prepare(
    client: &mut RawClient,
    sql: &str,
) -> Result<(Answer, Option<(u32, usize)>), common::raw::Lost> {
    let payload = command::string_payload(command::code::STMT_PREPARE, sql.as_bytes());
    let answer = client.command(&payload, CommandKind::Prepare).await?;
    if answer.error().is_some() {
        return Ok((answer, None));
    }
    let id = u32::from_le_bytes(answer.wire[5..9].try_into().expect("four bytes"));
    let params = u16::from_le_bytes(answer.wire[11..13].try_into().expect("two bytes"));
    Ok((answer, Some((id, params.into()))))
}

/// Prepares and executes; the last answer there was.
async fn prepared(client: &mut RawClient, sql: &str) -> Result<Answer, common::raw::Lost> {
    let (answer, prepared) = prepare(client, sql).await?;
    let Some((id, params)) = prepared else { return Ok(answer) };
    execute(client, id, &vec![integer(7); params], true).await
}

/// A parameter as it is sent: type, flags, value.
type Param = (u8, u8, Vec<u8>);

fn integer(number: i64) -> Param {
    (8, 0, number.to_le_bytes().to_vec())
}

fn text(kind: u8, text: &str) -> Param {
    (kind, 0, [&[u8::try_from(text.len()).expect("short")], text.as_bytes()].concat())
}

/// Executes with parameters; without their types where `is_typed` is false: those of the last time hold.
async fn execute(
    client: &mut RawClient,
    id: u32,
    params: &[Param],
    is_typed: bool,
) -> Result<Answer, common::raw::Lost> {
    let mut payload = command::number_payload(command::code::STMT_EXECUTE, id).to_vec();
    payload.push(0);
    payload.extend_from_slice(&1u32.to_le_bytes());
    if !params.is_empty() {
        payload.resize(payload.len() + params.len().div_ceil(8), 0);
        payload.push(u8::from(is_typed));
        for (kind, flags, _) in params.iter().filter(|_| is_typed) {
            payload.extend_from_slice(&[*kind, *flags]);
        }
        params.iter().for_each(|(_, _, value)| payload.extend_from_slice(value));
    }
    client.command(&payload, CommandKind::Execute).await
}

fn shows_others(answer: &Answer) -> bool {
    answer.wire.windows(MARK.len()).any(|window| window == MARK)
}

async fn others(root: &mut Conn) -> Others {
    root.query_first(OTHERS).await.expect("rows").expect("a row")
}

async fn attack(flavour: Flavour, database: &str, lines: &str) {
    let (cluster, bulkhead) = start(flavour).await;
    let mut root = cluster.connect(Role::Primary, "root").await;
    run(&mut root, "SET SESSION group_concat_max_len = 100000").await;
    let before = others(&mut root).await;
    // Whoever may cross does see it: the attempts below are looked at with open eyes.
    let mut boss = session_of(&bulkhead, "boss", database).await;
    let all = if database == "shared" { "SELECT body FROM notes" } else { "SELECT t FROM ws_8.issues" };
    assert!(shows_others(&boss.query(all.as_bytes()).await.expect("an answer")), "{database}");
    drop(boss);
    let mut reached = Vec::new();
    for line in lines.lines().filter(|line| !line.starts_with("-- ")) {
        for is_prepared in [false, true] {
            let mut client = session(&bulkhead, database).await;
            let how = if is_prepared { "prepared" } else { "text" };
            let answer = if is_prepared {
                prepared(&mut client, line).await
            } else {
                client.query(line.as_bytes()).await
            };
            let told = match &answer {
                Ok(answer) => answer.error().map_or("answered".to_owned(), |error| error.message),
                Err(lost) => format!("{lost:?}"),
            };
            if answer.is_ok_and(|answer| shows_others(&answer)) {
                reached.push(format!("{flavour:?} {how} shows: {line}: {told}"));
            }
            drop(client);
            let now = others(&mut root).await;
            if now != before {
                reached.push(format!("{flavour:?} {how} changes: {line}: {now:?}"));
            }
        }
    }
    assert!(reached.is_empty(), "{}", reached.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mysql_shared_tables() {
    attack(Flavour::MySql, "shared", include_str!("guard/shared.sql")).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mysql_databases() {
    attack(Flavour::MySql, "ws_7", include_str!("guard/spaces.sql")).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mariadb_shared_tables() {
    attack(Flavour::MariaDb, "shared", include_str!("guard/shared.sql")).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mariadb_databases() {
    attack(Flavour::MariaDb, "ws_7", include_str!("guard/spaces.sql")).await;
}

/// Statements whose parameters say which workspace.
const WITH_PARAMETERS: &[&str] = &[
    "SELECT body FROM notes WHERE workspace_id = ?",
    "SELECT body FROM notes WHERE ? = workspace_id",
    "SELECT body FROM notes WHERE workspace_id <=> ?",
    "SELECT body FROM notes WHERE workspace_id IN (?)",
    "SELECT body FROM notes WHERE workspace_id = ? OR workspace_id = 7",
    "SELECT body FROM notes WHERE (workspace_id, 1) = (?, 1)",
    "SELECT body FROM notes WHERE workspace_id = 7 UNION SELECT body FROM notes WHERE workspace_id = ?",
    "SELECT body FROM notes WHERE workspace_id = 7 \
     AND id IN (SELECT id - 1 FROM notes WHERE workspace_id = ?)",
    "SELECT n.body FROM notes n JOIN (SELECT ? AS workspace_id) x USING (workspace_id)",
    "DELETE FROM notes WHERE workspace_id = ?",
    "UPDATE notes SET body = 'gone' WHERE workspace_id = ?",
    "UPDATE notes SET workspace_id = ? WHERE workspace_id = 7",
    "INSERT INTO notes (workspace_id, id, body) VALUES (?, 77, 'gone')",
    "INSERT INTO notes (workspace_id, id, body) VALUES (7, 1, 'x') ON DUPLICATE KEY UPDATE workspace_id = ?",
    "INSERT INTO notes (workspace_id, id, body) SELECT ?, 78, 'gone'",
    "INSERT INTO notes (workspace_id, id, body) VALUES (7, 79, 'x'), (?, 79, 'gone')",
    "REPLACE INTO notes SET workspace_id = ?, id = 2, body = 'gone'",
];

/// Parameters that a server takes for 8, 0, 9 or 55.
fn other_workspaces() -> Vec<Param> {
    let mut params = vec![integer(8), (1, 0, vec![8]), (2, 0, vec![8, 0]), (3, 128, vec![8, 0, 0, 0])];
    params.push((4, 0, 8f32.to_le_bytes().to_vec()));
    params.push((5, 0, 8f64.to_le_bytes().to_vec()));
    for kind in [0, 0x0f, 0x10, 0xf6, 0xf9, 0xfc, 0xfd, 0xfe] {
        for shown in ["8", "8.0", "8 ", " 8", "8e0", "8x", "+8", "08", "\u{8}", "", "0", "7 OR 1"] {
            params.push(text(kind, shown));
        }
    }
    // Dates and times are numbers, too.
    params.push((10, 0, vec![4, 0xd0, 7, 1, 8]));
    params.push((11, 0, vec![8, 0, 0, 0, 0, 0, 0, 0, 8]));
    params.push((6, 0, Vec::new()));
    params.push((8, 128, 8u64.to_le_bytes().to_vec()));
    params.push(integer(-8));
    params
}

async fn parameters(flavour: Flavour) {
    let (cluster, bulkhead) = start(flavour).await;
    let mut root = cluster.connect(Role::Primary, "root").await;
    run(&mut root, "SET SESSION group_concat_max_len = 100000").await;
    let before = others(&mut root).await;
    let mut reached = Vec::new();
    for sql in WITH_PARAMETERS {
        for param in other_workspaces() {
            let mut client = session(&bulkhead, "shared").await;
            let (_, prepared) = prepare(&mut client, sql).await.expect("an answer");
            let Some((id, _)) = prepared else { continue };
            let mut answers = vec![execute(&mut client, id, std::slice::from_ref(&param), true).await];
            // Types of an execution that was allowed hold for the next; long data stands for a value.
            if param.0 == 8 {
                answers.push(execute(&mut client, id, &[integer(7)], true).await);
                answers.push(execute(&mut client, id, &[integer(8)], false).await);
                let long = [&[0x18][..], &id.to_le_bytes(), &[0, 0], b"8"].concat();
                client.send(&long).await.expect("sent");
                answers.push(execute(&mut client, id, &[(0xfd, 0, Vec::new())], true).await);
            }
            if *sql == WITH_PARAMETERS[0] && answers.len() > 1 {
                let own = answers[1].as_ref().expect("an answer");
                assert!(own.wire.windows(4).any(|window| window == b"mine"), "own rows are shown: {own:?}");
            }
            if answers.iter().flatten().any(shows_others) || others(&mut root).await != before {
                reached.push(format!("{flavour:?} {sql} {param:?}"));
            }
        }
    }
    assert!(reached.is_empty(), "{}", reached.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mysql_parameters() {
    parameters(Flavour::MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mariadb_parameters() {
    parameters(Flavour::MariaDb).await;
}

/// What a user who may use the keyspace `shared` alone tries with the other one.
const NOT_ALLOWED: &[&str] = &[
    "SELECT t FROM ws_8.issues",
    "SELECT t FROM spaces.issues /*workspace_id:8*/",
    "/*workspace_id:8*/ SELECT t FROM spaces.issues",
    "SELECT n.body, i.t FROM notes n JOIN ws_8.issues i WHERE n.workspace_id = 7",
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'ws_8'",
    "SELECT column_name FROM information_schema.columns WHERE table_schema = 'ws_8'",
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'spaces'",
    "SELECT schema_name FROM information_schema.schemata WHERE schema_name = 'ws_8'",
    "SELECT routine_definition FROM information_schema.routines WHERE routine_schema = 'ws_8'",
    "SHOW TABLES FROM ws_8",
    "SHOW FULL TABLES FROM ws_8",
    "SHOW TABLE STATUS FROM ws_8",
    "SHOW CREATE TABLE ws_8.issues",
    "SHOW CREATE TABLE ws_8.keyed",
    "SHOW CREATE DATABASE ws_8",
    "SHOW COLUMNS FROM issues FROM ws_8",
    "SHOW INDEX FROM ws_8.keyed",
    "SHOW TRIGGERS FROM ws_8",
    "SHOW EVENTS FROM ws_8",
    "SHOW CREATE PROCEDURE ws_8.p",
    "SHOW PROCEDURE STATUS WHERE Db = 'ws_8'",
    "DESCRIBE ws_8.issues",
    "EXPLAIN SELECT t FROM ws_8.issues",
    "USE ws_8",
    "USE spaces",
    "USE `ws_8@replica`",
    "SHOW TABLES FROM spaces /*workspace_id:8*/",
    "CALL ws_8.p()",
    "SELECT ws_8.f()",
    "DO (SELECT t FROM ws_8.issues)",
    "HANDLER ws_8.issues OPEN",
    "LOCK TABLES ws_8.issues READ",
    "INSERT INTO ws_8.issues VALUES ('gone')",
    "DELETE FROM ws_8.issues",
    "TRUNCATE ws_8.issues",
    "DROP TABLE ws_8.issues",
    "CREATE TABLE ws_8.fresh (a INT)",
    "CREATE VIEW ws_8.mine AS SELECT 1",
    "ALTER TABLE ws_8.issues ADD COLUMN x INT",
    "CHECKSUM TABLE ws_8.issues",
    "PREPARE s FROM 'SELECT t FROM ws_8.issues'",
    "SET @x = (SELECT t FROM ws_8.issues)",
    "LOAD DATA LOCAL INFILE 'x' INTO TABLE ws_8.issues",
];

async fn keyspaces_of_others(flavour: Flavour) {
    let (cluster, bulkhead) = start(flavour).await;
    let mut root = cluster.connect(Role::Primary, "root").await;
    let before = others(&mut root).await;
    let mut reached = Vec::new();
    for sql in NOT_ALLOWED {
        for is_prepared in [false, true] {
            let mut client = session_of(&bulkhead, "narrow", "shared").await;
            let answer = match is_prepared {
                true => prepared(&mut client, sql).await,
                false => client.query(sql.as_bytes()).await,
            };
            let answer = answer.expect("an answer");
            let refused = answer.error();
            if refused.is_none() || shows_others(&answer) || others(&mut root).await != before {
                reached.push(format!("{flavour:?} {is_prepared} {sql}: {refused:?}"));
            }
        }
    }
    let mut client = session_of(&bulkhead, "narrow", "shared").await;
    let listed = client.query(b"SHOW DATABASES").await.expect("an answer").wire;
    assert!(
        !listed.windows(6).any(|window| window == b"spaces"),
        "{flavour:?}: keyspaces of others are listed"
    );
    for database in ["spaces", "ws_8", "ws_8@replica"] {
        let login = Login { user: "narrow".into(), database: Some(database.into()), ..login(&bulkhead) };
        assert!(RawClient::connect(&login).await.is_err(), "{flavour:?} {database}: by handshake");
        let init_db = command::string_payload(command::code::INIT_DB, database.as_bytes());
        let answer = client.command(&init_db, CommandKind::Simple).await.expect("an answer");
        assert_eq!(answer.error().map(|error| error.errno), Some(1044), "{flavour:?} {database}");
    }
    assert!(reached.is_empty(), "{}", reached.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mysql_keyspaces_of_others() {
    keyspaces_of_others(Flavour::MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mariadb_keyspaces_of_others() {
    keyspaces_of_others(Flavour::MariaDb).await;
}

/// What a session of workspace 8 does before one of workspace 7 gets its server connection.
const BEFORE: &[&[&str]] = &[
    &["SET profiling = 1", "SELECT t, 'SECRET' FROM issues"],
    &["SET optimizer_trace = 'enabled=on'", "SELECT t FROM issues WHERE t = 'SECRET'"],
    &["SET @v = 'SECRET'", "SELECT @v"],
    &["SELECT t INTO @v FROM issues LIMIT 1"],
    &["SELECT @v := t FROM issues"],
    &["CREATE TEMPORARY TABLE tmp SELECT t FROM issues"],
    &["CREATE TEMPORARY TABLE issues SELECT t FROM ws_8.issues"],
    &["HANDLER issues OPEN", "HANDLER issues READ FIRST"],
    &["PREPARE s FROM 'SELECT t FROM issues'", "EXECUTE s"],
    &["SELECT LAST_INSERT_ID(424242)"],
    &["SELECT SQL_CALC_FOUND_ROWS t FROM (SELECT t FROM issues UNION ALL SELECT t FROM issues) x LIMIT 1"],
    &["SELECT CAST('SECRET' AS SIGNED)"],
    &["SIGNAL SQLSTATE '01000' SET MESSAGE_TEXT = 'SECRET'"],
    &["SELECT * FROM SECRET_nothing"],
    &["INSERT INTO keyed VALUES (1) ON DUPLICATE KEY UPDATE id = id"],
    &["SELECT GET_LOCK('SECRET', 0)"],
    &["XA START 'gtrid'", "INSERT INTO keyed VALUES (2)", "XA END 'gtrid'", "XA PREPARE 'gtrid'"],
    &["BEGIN", "INSERT INTO keyed VALUES (3)", "SAVEPOINT sp"],
    &["SET autocommit = 0", "INSERT INTO keyed VALUES (4)"],
    &["LOCK TABLES issues READ"],
    &["SET NAMES latin1"],
    &["SET sql_select_limit = 1", "SET sql_safe_updates = 1", "SET foreign_key_checks = 0"],
    &["SET timestamp = 1", "SET lc_time_names = 'de_DE'", "SET time_zone = '+05:00'"],
    &["SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED, READ ONLY"],
    &["SET TRANSACTION READ ONLY"],
    &["SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'", "SELECT t FROM issues"],
    &["SET rand_seed1 = 1", "SET rand_seed2 = 2"],
    &["SET collation_connection = 'utf8mb4_bin'", "SET character_set_results = NULL"],
    &["SET session_track_system_variables = '*'", "SET session_track_transaction_info = 'STATE'"],
    &["SET default_storage_engine = 'MEMORY'", "SET big_tables = 1", "SET max_heap_table_size = 16384"],
    &["SET debug_sync = 'RESET'", "SET sql_log_bin = 0", "SET gtid_next = 'AUTOMATIC'"],
    &["SET insert_id = 77", "SET last_insert_id = 78", "SET identity = 79"],
    &["USE ws_8", "SHOW TABLES", "SHOW CREATE TABLE SECRET_table"],
    &["EXPLAIN SELECT t FROM issues WHERE t = 'SECRET'", "SHOW WARNINGS"],
    &["DO 'SECRET' + 1"],
    &["SELECT t FROM issues; SELECT CAST('SECRET' AS SIGNED); SELECT 1"],
    &["ANALYZE TABLE issues", "SELECT 'SECRET' FROM issues PROCEDURE ANALYSE()"],
];

/// What workspace 7 asks then.
const ASKED: &[&str] = &[
    "SHOW WARNINGS",
    "SHOW ERRORS",
    "SHOW COUNT(*) WARNINGS",
    "SELECT @@warning_count, @@error_count",
    "SHOW PROFILES",
    "SHOW PROFILE FOR QUERY 1",
    "SELECT * FROM information_schema.profiling",
    "SELECT * FROM information_schema.optimizer_trace",
    "SELECT @v",
    "SELECT t FROM tmp",
    "SELECT t FROM issues",
    "HANDLER issues READ FIRST",
    "HANDLER issues READ NEXT",
    "EXECUTE s",
    "SELECT IF(LAST_INSERT_ID() IN (78, 79, 424242), CONCAT('SECR', 'ET'), '')",
    "SELECT IF(FOUND_ROWS() = 2, CONCAT('SECR', 'ET'), '')",
    "SELECT ROW_COUNT()",
    "SELECT IF(RELEASE_LOCK(CONCAT('SECR', 'ET')) = 1, CONCAT('SECR', 'ET'), '')",
    "SELECT IF(RELEASE_ALL_LOCKS() > 0, CONCAT('SECR', 'ET'), '')",
    "ROLLBACK TO sp",
    "RELEASE SAVEPOINT sp",
    "XA END 'gtrid'",
    "XA COMMIT 'gtrid' ONE PHASE",
    "XA COMMIT 'gtrid'",
    "XA ROLLBACK 'gtrid'",
    "GET DIAGNOSTICS CONDITION 1 @m = MESSAGE_TEXT",
    "SELECT @m",
    "GET CURRENT DIAGNOSTICS @n = NUMBER",
    "SELECT t FROM ws_7.issues",
    "SHOW TABLES",
    "SHOW SESSION STATUS LIKE 'Last_query%'",
    "SHOW FULL PROCESSLIST",
    "EXPLAIN FOR CONNECTION CONNECTION_ID()",
    "UNLOCK TABLES",
    "COMMIT",
    "ROLLBACK",
    "SELECT t FROM issues",
];

/// Variables that differ from session to session by themselves.
const OWN: &[&str] = &[
    "timestamp",
    "pseudo_thread_id",
    "rand_seed1",
    "rand_seed2",
    "gtid_executed",
    "gtid_binlog_pos",
    "gtid_binlog_state",
    "gtid_current_pos",
    "last_gtid",
    "error_count",
    "warning_count",
    "statement_id",
    "innodb_buffer_pool_dump_status",
    "in_transaction",
];

async fn variables(bulkhead: &Bulkhead) -> Vec<(String, String)> {
    let mut conn = connect(bulkhead.port, "app", &bulkhead.password, Some("ws_7")).await;
    let all: Vec<(String, String)> = conn.query("SHOW SESSION VARIABLES").await.expect("rows");
    conn.disconnect().await.expect("QUIT");
    all.into_iter().filter(|(name, _)| !OWN.contains(&name.as_str())).collect()
}

async fn leftovers(flavour: Flavour) {
    let (cluster, bulkhead) = start(flavour).await;
    let mut root = cluster.connect(Role::Primary, "root").await;
    let keyed = "SELECT GROUP_CONCAT(id) FROM ws_8.keyed";
    let usual = variables(&bulkhead).await;
    let mut reached = Vec::new();
    for statements in BEFORE {
        for stays in [false, true] {
            let mut before = session(&bulkhead, "ws_8").await;
            for sql in *statements {
                before.query(sql.as_bytes()).await.expect("an answer");
            }
            let stayed = if stays {
                Some(before)
            } else {
                before.drop_connection();
                None
            };
            let mut after = session(&bulkhead, "ws_7").await;
            for sql in ASKED {
                let answer = after.query(sql.as_bytes()).await.expect("an answer");
                // Who stays may hold the one connection: then there is nothing to be had.
                if stays && answer.error().is_some_and(|error| error.message.contains("E5001")) {
                    break;
                }
                if shows_others(&answer) {
                    reached.push(format!("{flavour:?} {stays} {statements:?}: {sql}"));
                }
            }
            for id in 1..4 {
                let answer = execute(&mut after, id, &[], true).await.expect("an answer");
                if shows_others(&answer) {
                    reached.push(format!("{flavour:?} {stays} {statements:?}: statement {id}"));
                }
            }
            drop(after);
            if !stays {
                let now = variables(&bulkhead).await;
                let differ: Vec<_> = now.iter().filter(|pair| !usual.contains(pair)).collect();
                if !differ.is_empty() {
                    reached.push(format!("{flavour:?} {statements:?} leaves {differ:?}"));
                }
            }
            drop(stayed);
            let rows: Option<String> = root.query_first(keyed).await.expect("rows").expect("a row");
            if rows.as_deref() != Some("1") {
                reached.push(format!("{flavour:?} {stays} {statements:?}: {rows:?} is left"));
                run(&mut root, "DELETE FROM ws_8.keyed WHERE id > 1").await;
            }
            let _ = root.query_drop("XA ROLLBACK 'gtrid'").await;
        }
    }
    assert!(reached.is_empty(), "{}", reached.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mysql_leaves_nothing() {
    leftovers(Flavour::MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mariadb_leaves_nothing() {
    leftovers(Flavour::MariaDb).await;
}
