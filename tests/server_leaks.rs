//! What stored code leaves on a server connection, on real servers: the next session does not find it, the
//! session's own statements do, and clients see what a plain server would have told them.

mod common;

use std::time::{Duration, Instant};

use bulkhead::protocol::capability::Capabilities;
use bulkhead::protocol::response::CommandKind;
use common::clients::{errno, login, run, value};
use common::raw::{Answer, Login, MODERN, OLD, RawClient};
use common::servers::{Bulkhead, Cluster, Flavour, Setup};
use mysql_async::prelude::Queryable;

const CONFIG: &str = "[users.app]\npassword_env = \"TEST_APP_PASSWORD\"\n\
                      [users.boss]\npassword_env = \"TEST_APP_PASSWORD\"\nadmin = true\n\
                      [keyspaces.spaces]\nshards = { a = \"c1\" }\n\
                      [clusters.c1.pool]\nmax_connections = 1\n";
const SPACES: &str = "layout = \"database_per_workspace\"\ndatabase = \"ws_{workspace_id}\"\n";
/// Stored code of workspace 7 whose changes servers tell of.
const STORED: &str = "\
    CREATE TABLE ws_7.source (a INT); INSERT INTO ws_7.source VALUES (5); \
    CREATE TABLE ws_7.keeps (t VARCHAR(60)); CREATE TABLE ws_7.limits (a INT); \
    CREATE TABLE ws_7.fails (t VARCHAR(60)); CREATE TABLE ws_7.locals (a INT); \
    CREATE TRIGGER ws_7.t1 BEFORE INSERT ON ws_7.keeps FOR EACH ROW SET @stolen = NEW.t; \
    CREATE TRIGGER ws_7.t2 BEFORE INSERT ON ws_7.limits FOR EACH ROW SET SESSION sql_select_limit = 0; \
    \nDELIMITER //\n\
    CREATE TRIGGER ws_7.t3 BEFORE INSERT ON ws_7.fails FOR EACH ROW BEGIN SET @stolen = NEW.t; \
        SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'; END//\n\
    CREATE FUNCTION ws_7.f1() RETURNS INT DETERMINISTIC BEGIN SET @stolen = 'SECRET of 7'; RETURN 1; END//\n\
    CREATE FUNCTION ws_7.f2() RETURNS INT DETERMINISTIC MODIFIES SQL DATA \
        BEGIN INSERT INTO ws_7.keeps VALUES ('SECRET of 7'); RETURN 1; END//\n\
    CREATE PROCEDURE ws_7.p1() BEGIN SELECT 1; SET @stolen = 'SECRET of 7'; SELECT 2; END//\n\
    \nDELIMITER ;\n\
    CREATE VIEW ws_7.by_function AS SELECT ws_7.f1() AS a FROM ws_7.source; \
    CREATE VIEW ws_7.by_both AS SELECT ws_7.f2() AS a FROM ws_7.source;";

/// Clients by what they negotiate.
const CLASSES: [(&str, Capabilities); 4] = [
    ("modern", MODERN),
    ("old", OLD),
    ("without tracking", Capabilities(MODERN.0 & !Capabilities::SESSION_TRACK.0)),
    ("with EOF packets", Capabilities(MODERN.0 & !Capabilities::DEPRECATE_EOF.0)),
];

/// How a statement is run.
#[derive(Clone, Copy, Debug)]
enum How {
    Text,
    Prepared,
}

async fn start(flavour: Flavour) -> (Cluster, Bulkhead) {
    let cluster = Cluster::start("c1", flavour);
    cluster.sql(
        "CREATE DATABASE ws_7; CREATE DATABASE ws_8; CREATE TABLE ws_8.issues (t VARCHAR(60)); \
         INSERT INTO ws_8.issues VALUES ('mine'); SET GLOBAL log_bin_trust_function_creators = 1",
    );
    cluster.sql(STORED);
    let bulkhead = Setup::default().cluster(&cluster).config(CONFIG).vschema("spaces.toml", SPACES).start();
    let mut admin = common::servers::connect(bulkhead.admin_port, "boss", &bulkhead.password, None).await;
    for workspace in [7, 8] {
        run(&mut admin, &format!("CREATE WORKSPACE spaces {workspace} ON a")).await;
    }
    (cluster, bulkhead)
}

async fn session(bulkhead: &Bulkhead, database: &str, capabilities: Capabilities) -> RawClient {
    let login = Login { database: Some(database.to_owned()), capabilities, ..login(bulkhead) };
    RawClient::connect(&login).await.expect("logs in")
}

async fn ask(client: &mut RawClient, sql: &str, how: How) -> Answer {
    let lost = |lost| panic!("{sql} {how:?}: {lost:?}");
    let How::Prepared = how else { return client.query(sql.as_bytes()).await.unwrap_or_else(lost) };
    let payload = [b"\x16", sql.as_bytes()].concat();
    let prepared = client.command(&payload, CommandKind::Prepare).await.unwrap_or_else(lost);
    assert!(prepared.error().is_none(), "{sql}: {:?}", prepared.error());
    let id = prepared.payloads()[0][1..5].to_vec();
    let payload = [&b"\x17"[..], &id, &[0, 1, 0, 0, 0]].concat();
    client.command(&payload, CommandKind::Execute).await.unwrap_or_else(lost)
}

fn shows(answer: &Answer, what: &str) -> bool {
    answer.wire.windows(what.len()).any(|window| window == what.as_bytes())
}

/// What each statement leaves is not there for the session that has the connection next.
async fn nothing_is_left(bulkhead: &Bulkhead, name: &str, class: Capabilities) {
    for how in [How::Text, How::Prepared] {
        for attack in [
            "INSERT INTO keeps VALUES ('SECRET of 7')",
            "INSERT INTO limits VALUES (1)",
            "INSERT INTO fails VALUES ('SECRET of 7')",
            "SELECT * FROM by_function",
            "SELECT * FROM by_both",
            "CALL p1()",
        ] {
            let mut victim = session(bulkhead, "ws_7", class).await;
            let answer = ask(&mut victim, attack, how).await;
            let fails = attack.contains("fails");
            assert_eq!(answer.error().is_some(), fails, "{name} {attack} {how:?}: {:?}", answer.error());
            if fails {
                // The connection is not the session's any more: it lingers, and goes back by itself.
                assert!(ask(&mut victim, "SELECT 1", How::Text).await.error().is_none());
            }
            let mut next = if fails { Some(session(bulkhead, "ws_8", class).await) } else { None };
            let next = match &mut next {
                Some(next) => next,
                None => {
                    victim.drop_connection();
                    &mut session(bulkhead, "ws_8", class).await
                }
            };
            let stolen = ask(next, "SELECT @stolen", How::Text).await;
            assert!(!shows(&stolen, "SECRET"), "{name} {attack} {how:?}: stolen");
            let rows = ask(next, "SELECT t FROM issues", How::Text).await;
            assert!(shows(&rows, "mine"), "{name} {attack} {how:?}: no rows");
        }
    }
}

/// The session itself finds what its own statements had set, as on a plain server.
async fn the_session_keeps_its_own(bulkhead: &Bulkhead, name: &str, class: Capabilities) {
    for how in [How::Text, How::Prepared] {
        for sets in ["INSERT INTO keeps VALUES ('SECRET of 7')", "SELECT * FROM by_function"] {
            let mut client = session(bulkhead, "ws_7", class).await;
            assert!(ask(&mut client, sets, how).await.error().is_none());
            assert!(ask(&mut client, "SELECT a FROM source", how).await.error().is_none());
            let own = ask(&mut client, "SELECT @stolen", how).await;
            assert!(shows(&own, "SECRET of 7"), "{name} {sets} {how:?}");
            client.drop_connection();
        }
    }
}

/// Packets are those of a plain server, byte by byte.
async fn clients_see_what_they_asked_for(
    cluster: &Cluster,
    bulkhead: &Bulkhead,
    name: &str,
    class: Capabilities,
) {
    let through = Login { database: Some("ws_7".to_owned()), capabilities: class, ..login(bulkhead) };
    let direct = Login {
        port: cluster.primary_port,
        user: "bulkhead_app".to_owned(),
        password: cluster.password.clone(),
        ..through.clone()
    };
    let mut direct = RawClient::connect(&direct).await.expect("logs in at the server");
    let mut through = RawClient::connect(&through).await.expect("logs in at Bulkhead");
    for sql in [
        "SET NAMES utf8mb4",
        "SET autocommit = 1",
        "INSERT INTO keeps VALUES ('a')",
        "UPDATE source SET a = a + 1",
        "SELECT * FROM by_function",
        "CALL p1()",
        "BEGIN",
        "INSERT INTO keeps VALUES ('b')",
        "COMMIT",
        "INSERT INTO keeps VALUES ('c'), ('d')",
        "SET session_track_state_change = ON",
        "INSERT INTO keeps VALUES ('e')",
        "SELECT * FROM by_function",
        "SET @x = 1 + 1",
        "SET session_track_state_change = OFF",
        "INSERT INTO keeps VALUES ('f')",
        "UPDATE source SET a = a + f1()",
        "SELECT * FROM by_function",
    ] {
        // A server may tell by this one's answer whether it was on before: Bulkhead's connections always are.
        let is_switch = sql.ends_with("change = ON");
        let expected = ask(&mut direct, sql, How::Text).await;
        let seen = ask(&mut through, sql, How::Text).await;
        let same = seen.wire == expected.wire;
        assert!(same || is_switch, "{name} {sql}:\n{:?}\nplain:\n{:?}", seen.payloads(), expected.payloads());
    }
    through.drop_connection();
}

async fn stored_code_leaves_nothing(flavour: Flavour) {
    let (cluster, bulkhead) = start(flavour).await;
    for (name, class) in CLASSES {
        nothing_is_left(&bulkhead, name, class).await;
        the_session_keeps_its_own(&bulkhead, name, class).await;
        clients_see_what_they_asked_for(&cluster, &bulkhead, name, class).await;
    }
}

/// What servers do not tell of cannot be created, and what they do tell of can.
async fn unseen_forms_are_refused(flavour: Flavour) {
    let (_cluster, bulkhead) = start(flavour).await;
    let mut conn = common::servers::connect(bulkhead.port, "app", &bulkhead.password, Some("ws_7")).await;
    for sql in [
        "CREATE TRIGGER x BEFORE INSERT ON locals FOR EACH ROW \
         BEGIN DECLARE q INT; SET q = GET_LOCK('a', 0); END",
        "CREATE TRIGGER x BEFORE INSERT ON locals FOR EACH ROW SELECT 1 INTO @stolen",
        "CREATE TRIGGER x BEFORE INSERT ON locals FOR EACH ROW SET SESSION session_track_state_change = 0",
        "CREATE FUNCTION x() RETURNS INT DETERMINISTIC RETURN (@stolen := 1)",
        "CREATE VIEW x AS SELECT `get_lock`('a', 0) AS q",
    ] {
        let (code, message) = errno(conn.query_drop(sql).await);
        assert!(code == 1235 && message.contains("E2012"), "{sql}: {code} {message}");
    }
    run(&mut conn, "CREATE TABLE log (who INT, a INT)").await;
    let audit = "CREATE TRIGGER x AFTER INSERT ON locals FOR EACH ROW \
                 INSERT INTO log VALUES (@current_user_id, NEW.a)";
    run(&mut conn, audit).await;
    run(&mut conn, "SET @current_user_id = 42").await;
    run(&mut conn, "INSERT INTO locals VALUES (1)").await;
    assert_eq!(value(&mut conn, "SELECT who FROM log").await, 42);
    // A lock by a quoted name is the session's all the same.
    assert_eq!(value(&mut conn, "SELECT `get_lock`('b', 0)").await, 1);
    conn.disconnect().await.expect("says goodbye");
    let mut next = common::servers::connect(bulkhead.port, "app", &bulkhead.password, Some("ws_7")).await;
    assert_eq!(value(&mut next, "SELECT IS_FREE_LOCK('b')").await, 1);
}

/// SHOW WARNINGS and its kin tell of Bulkhead's own refusal, not of the statement before it.
async fn refusals_are_what_warnings_show(flavour: Flavour) {
    let (_cluster, bulkhead) = start(flavour).await;
    let mut conn = common::servers::connect(bulkhead.port, "app", &bulkhead.password, Some("ws_7")).await;
    for opens in ["SELECT 1", "BEGIN"] {
        run(&mut conn, opens).await;
        run(&mut conn, "SELECT CAST('a' AS SIGNED)").await;
        let (code, message) = errno(conn.query_drop("KILL 1 + 1").await);
        assert_eq!(code, 1235, "{message}");
        for asked in ["SHOW WARNINGS", "SHOW ERRORS"] {
            let shown: Vec<(String, u16, String)> = conn.query(asked).await.expect("answers");
            assert_eq!(shown, [("Error".to_owned(), code, message.clone())], "{opens} {asked}");
        }
        assert_eq!(value(&mut conn, "SHOW COUNT(*) ERRORS").await, 1, "{opens}");
        assert_eq!(value(&mut conn, "SELECT @@error_count").await, 1, "{opens}");
        run(&mut conn, "SELECT a FROM source").await;
        let shown: Vec<(String, u16, String)> = conn.query("SHOW WARNINGS").await.expect("answers");
        assert!(shown.is_empty(), "{opens}: {shown:?}");
        run(&mut conn, "ROLLBACK").await;
    }
    let (code, message) = errno(conn.query_drop("KILL 1 + 1").await);
    assert_eq!(code, 1235, "{message}");
    run(&mut conn, "USE ws_7").await;
    let shown: Vec<(String, u16, String)> = conn.query("SHOW WARNINGS").await.expect("answers");
    assert!(shown.is_empty(), "{shown:?}");
}

/// A server closes the connection behind COMMIT RELEASE: nobody is lent it again.
async fn released_connections_are_not_lent(flavour: Flavour) {
    let (_cluster, bulkhead) = start(flavour).await;
    let mut admin = common::servers::connect(bulkhead.admin_port, "boss", &bulkhead.password, None).await;
    for (before, end) in [
        ("SELECT 1", "COMMIT RELEASE"),
        ("SELECT 1", "ROLLBACK RELEASE"),
        ("SET completion_type = 2", "COMMIT"),
    ] {
        let mut conn = common::servers::connect(bulkhead.port, "app", &bulkhead.password, Some("ws_7")).await;
        run(&mut conn, before).await;
        run(&mut conn, "BEGIN").await;
        run(&mut conn, "INSERT INTO source VALUES (6)").await;
        run(&mut conn, end).await;
        // The client has its answer before the connection is done with.
        let until = Instant::now() + Duration::from_secs(10);
        let idle = loop {
            let row: mysql_async::Row =
                admin.query_first("SHOW POOLS").await.expect("answers").expect("one pool");
            let column = |name: &str| row.get::<u64, _>(name).unwrap_or_else(|| panic!("{name}: {row:?}"));
            if column("busy") == 0 {
                break column("idle");
            }
            assert!(Instant::now() < until, "{before}; {end}: it stays busy");
        };
        assert_eq!(idle, 0, "{before}; {end}");
        let mut next = common::servers::connect(bulkhead.port, "app", &bulkhead.password, Some("ws_7")).await;
        assert!(value(&mut next, "SELECT COUNT(*) FROM source").await > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mysql_leaves_nothing() {
    stored_code_leaves_nothing(Flavour::MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mariadb_leaves_nothing() {
    stored_code_leaves_nothing(Flavour::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn unseen_forms_are_refused_for_both() {
    unseen_forms_are_refused(Flavour::MySql).await;
    unseen_forms_are_refused(Flavour::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn refusals_and_releases_on_both() {
    for flavour in [Flavour::MySql, Flavour::MariaDb] {
        refusals_are_what_warnings_show(flavour).await;
        released_connections_are_not_lent(flavour).await;
    }
}
