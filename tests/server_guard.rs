//! What would reach another workspace's rows, tried on real servers: refused, or answered with the session's
//! own rows. Each attempt is one that a server and a reader of SQL could understand differently.

mod common;

use common::clients::{errno, login, run, value};
use common::raw::{Login, RawClient};
use common::servers::{Bulkhead, Cluster, Flavour, Setup};
use mysql_async::prelude::Queryable;

const CONFIG: &str = "[users.app]\npassword_env = \"TEST_APP_PASSWORD\"\n\
                      [users.boss]\npassword_env = \"TEST_APP_PASSWORD\"\nadmin = true\n\
                      [keyspaces.shared]\nshards = { \"-\" = \"c1\" }\n\
                      [keyspaces.spaces]\nshards = { a = \"c1\" }\n\
                      [clusters.c1.pool]\nmax_connections = 1\n";
const SHARED: &str = "layout = \"shared_tables\"\nworkspace_column = \"workspace_id\"\n\
                      workspace_vindex = \"by_workspace\"\n[vindexes.by_workspace]\ntype = \"xxhash\"\n\
                      [tables.notes]\n";
const SPACES: &str = "layout = \"database_per_workspace\"\ndatabase = \"ws_{workspace_id}\"\n";

/// Collations of a handshake: gbk, latin1.
const GBK: u8 = 28;
const LATIN1: u8 = 8;

async fn start(flavour: Flavour) -> (Cluster, Bulkhead) {
    let cluster = Cluster::start("c1", flavour);
    cluster.sql(
        "CREATE DATABASE shared; CREATE DATABASE ws_7; CREATE DATABASE ws_8; \
         CREATE TABLE shared.notes (workspace_id BIGINT, id INT, body VARCHAR(60), \
                                    PRIMARY KEY (workspace_id, id)); \
         INSERT INTO shared.notes VALUES (7, 1, 'mine'), (8, 2, 'SECRET of 8'), (9, 3, 'SECRET of 9'); \
         CREATE TABLE ws_7.issues (t VARCHAR(60)); INSERT INTO ws_7.issues VALUES ('mine'); \
         CREATE TABLE ws_8.issues (t VARCHAR(60)); INSERT INTO ws_8.issues VALUES ('SECRET of 8')",
    );
    // The default, whatever the servers are: what clients are told is no proof of what runs.
    let bulkhead = Setup::default()
        .cluster(&cluster)
        .config(CONFIG)
        .vschema("shared.toml", SHARED)
        .vschema("spaces.toml", SPACES)
        .start();
    let mut admin = common::servers::connect(bulkhead.admin_port, "boss", &bulkhead.password, None).await;
    for workspace in [7, 8] {
        run(&mut admin, &format!("CREATE WORKSPACE spaces {workspace} ON a")).await;
    }
    (cluster, bulkhead)
}

/// A session in a database, after these statements; `collation` is the handshake's.
async fn session(bulkhead: &Bulkhead, database: &str, collation: u8, before: &[&str]) -> RawClient {
    let login = Login { database: Some(database.to_owned()), collation, ..login(bulkhead) };
    let mut client = RawClient::connect(&login).await.expect("logs in");
    for sql in before {
        let answer = client.query(sql.as_bytes()).await.unwrap_or_else(|lost| panic!("{sql}: {lost:?}"));
        assert!(answer.error().is_none(), "{sql}: {:?}", answer.error());
    }
    client
}

/// Runs what may be refused; its answer must show nothing of others.
async fn attempt(client: &mut RawClient, sql: &[u8]) {
    let shown = String::from_utf8_lossy(sql).into_owned();
    let answer = client.query(sql).await.unwrap_or_else(|lost| panic!("{shown}: {lost:?}"));
    let shows = answer.wire.windows(6).any(|window| window == b"SECRET");
    assert!(!shows, "{shown}: {}", String::from_utf8_lossy(&answer.wire));
}

async fn texts_that_are_read_in_two_ways(flavour: Flavour) {
    let (_cluster, bulkhead) = start(flavour).await;
    let pinned: &[&str] = &["SET @workspace_id = 7"];
    let with = |more: &'static str| [pinned, &[more]].concat();
    // Character sets: of the handshake, by name, by number; quotes in the second byte, spaces beyond ASCII.
    let hidden = b"select id, body from notes where workspace_id = 7 and body <> '\x81\\' or 1=1 -- '";
    attempt(&mut session(&bulkhead, "shared", GBK, pinned).await, hidden).await;
    attempt(&mut session(&bulkhead, "shared", 45, &with("SET NAMES gbk")).await, hidden).await;
    let by_number = "SET character_set_client = 28";
    attempt(&mut session(&bulkhead, "shared", 45, &with(by_number)).await, hidden).await;
    for names in [
        &b"select (select x.\x81` ), (select group_concat(body) from notes) from \
           (select body as \x81` from notes where workspace_id = 7) x"[..],
        b"select body as `a\x81`, id from notes where workspace_id = 7 order by ` from notes #`",
    ] {
        attempt(&mut session(&bulkhead, "shared", GBK, pinned).await, names).await;
    }
    let spaces = b"select body from notes where 1 --\xa0 and workspace_id = 7";
    attempt(&mut session(&bulkhead, "shared", LATIN1, pinned).await, spaces).await;
    attempt(&mut session(&bulkhead, "shared", 45, &with("SET NAMES latin2")).await, spaces).await;
    // A zero byte ends a comment.
    let mut plain = session(&bulkhead, "shared", 45, pinned).await;
    attempt(&mut plain, b"select body from notes -- \0\n where workspace_id = 7").await;
    attempt(&mut plain, b"select body from notes # \0\n where workspace_id = 7").await;
    // Modes as numbers.
    let backslash = b"select id, body from notes where workspace_id = 7 and body <> '\\' or 1=1 -- '";
    for set in ["SET sql_mode = 1048576", "SET sql_mode = 'NO_BACKSLASH_ESCAPES'"] {
        attempt(&mut session(&bulkhead, "shared", 45, &with(set)).await, backslash).await;
    }
    // Version comments are code to one server and not to the other.
    for sql in [
        &b"select id, body from notes where workspace_id = 7 /*M! or 1=1 */"[..],
        b"select id, body from notes where 1 /*!50701 and workspace_id = 7 */",
        b"select id, body from notes where 1 /*!80400 and workspace_id = 7 */",
        b"select id, body from notes where workspace_id = 7 /*!100100 or 1=1 */",
        b"select json_value('{\"S\": \"yes\"}', concat('$.', (select left(body, 1) from notes limit 1, 1)))",
        b"insert into notes (workspace_id, id, body) values (7, 5, 'x') on duplicate key update body = \
          (select group_concat(o.body) from notes o where o.workspace_id = notes.workspace_id)",
        b"select body from notes where workspace_id in (7, 8)",
    ] {
        attempt(&mut plain, sql).await;
    }
    attempt(&mut plain, b"select group_concat(body) from notes where workspace_id = 7").await;
    // What is prepared is what was planned, under the modes that it was planned under.
    let signal = "signal sqlstate '45000' set message_text = 'select * from notes'";
    let mut client = session(&bulkhead, "shared", 45, &with("set @t = 'select 1'")).await;
    for sql in [
        "begin",
        "select id from notes where workspace_id = 7",
        signal,
        "get diagnostics condition 1 @t = message_text",
        "prepare s from @t",
        "execute s",
    ] {
        attempt(&mut client, sql.as_bytes()).await;
    }
    drop(client);
    // The second byte of this character is a backslash in gbk.
    let quoted = "set @t = \"select body from notes where workspace_id = 7 and body <> '\u{4e57}' \
                  and body <> ' or 1=1 -- '\"";
    let gbk = [pinned, &["set collation_connection = gbk_chinese_ci", quoted]].concat();
    let mut client = session(&bulkhead, "shared", 45, &gbk).await;
    for sql in ["prepare s from @t", "execute s"] {
        attempt(&mut client, sql.as_bytes()).await;
    }
    drop(client);
    let mut client = session(&bulkhead, "shared", 45, &with("set sql_mode = 'NO_BACKSLASH_ESCAPES'")).await;
    let text = "prepare s from 'select body from notes where workspace_id = 7 and body <> ''\\'' \
                or body <> '' or 1=1 -- '''";
    for sql in [text, "set sql_mode = ''", "execute s"] {
        attempt(&mut client, sql.as_bytes()).await;
    }
    drop(client);
    let mut client = session(&bulkhead, "shared", 45, &with("set sql_mode = 'ANSI_QUOTES'")).await;
    let variable = b"select id, body from notes where workspace_id = 7 and @\"\\\" is null or 1 -- \"";
    attempt(&mut client, variable).await;
    drop(client);
    for sql in [
        "select a.body from (notes a, (select 7 as workspace_id) b join notes c using (workspace_id)) \
         where c.workspace_id = 7",
        "select a.id, (select group_concat(a.body) from (notes a, notes b join notes c \
         on a.workspace_id = 7)) x from notes a where a.workspace_id = 7",
    ] {
        attempt(&mut plain, sql.as_bytes()).await;
    }
}

async fn what_follows_stays_in_its_database(flavour: Flavour) {
    let (cluster, bulkhead) = start(flavour).await;
    for statements in [
        // A second statement that a server would see and nobody planned.
        &[&b"create table event (a int)"[..], b"alter table event add begin int; use ws_8"][..],
        &[b"begin not atomic execute immediate 'use ws_8'; end"],
        &[
            b"create procedure p() begin prepare s from 'select * from ws_8.issues'; execute s; end",
            b"call p()",
        ],
        &[b"select nextval(ws_8.seq) from issues as ws_8"],
        &[b"select t from issues /*!80400 union select t from ws_8.issues */"],
        &[b"select t from issues where 1 /*!90000 or '*/ or ' union select t from ws_8.issues */ -- '"],
        &[b"select t from issues /*!80400 '*/ union select t from ws_8.issues /* ' */"],
        &[b"set sql_mode='MSSQL'", b"select t from [ws_8].[issues]"],
        &[b"select t from issues /*M! union select t from ws_8.issues */"],
    ] {
        let mut client = session(&bulkhead, "ws_7", 45, &[]).await;
        for sql in statements {
            attempt(&mut client, sql).await;
        }
        if !statements.iter().any(|sql| sql.ends_with(b"; use ws_8")) {
            attempt(&mut client, b"select t from issues").await;
        }
        drop(client);
        // Whoever has the connection next is where it wants to be.
        let mut next = common::servers::connect(bulkhead.port, "app", &bulkhead.password, Some("ws_7")).await;
        let found: Vec<String> = next.query("select t from issues").await.expect("rows");
        assert_eq!(found, ["mine"], "{}", String::from_utf8_lossy(statements[0]));
        run(&mut next, "insert into issues values ('new')").await;
        run(&mut next, "delete from issues where t = 'new'").await;
    }
    assert_eq!(cluster.sql("SELECT COUNT(*) FROM ws_8.issues").trim(), "1");
    // Who wants a database that is gone does not end up in the one before.
    let mut before = session(&bulkhead, "ws_7", 45, &["create temporary table mine (id int)"]).await;
    attempt(&mut before, b"select t from issues").await;
    drop(before);
    cluster.sql("DROP DATABASE ws_8");
    let mut late = session(&bulkhead, "ws_8", 45, &[]).await;
    let refused = late.query(b"delete from issues").await.expect("an answer").error();
    assert_eq!(refused.map(|error| error.errno), Some(1049));
    assert_eq!(cluster.sql("SELECT COUNT(*) FROM ws_7.issues").trim(), "1");
    // Reads too, also once it is known that there are no stored functions, which a task looks for.
    let until = std::time::Instant::now() + std::time::Duration::from_secs(3);
    while std::time::Instant::now() < until {
        attempt(&mut session(&bulkhead, "ws_7", 45, &[]).await, b"select t from issues").await;
        let refused = late.query(b"select t from issues").await.expect("an answer").error();
        assert_eq!(refused.map(|error| error.errno), Some(1049));
    }
    drop(late);
    // The texts of clients are split by the proxy alone.
    let mut client = session(&bulkhead, "ws_7", 45, &[]).await;
    let texts = client.query(b"alter table issues add event int; select count(*) from issues").await;
    assert!(texts.expect("answers").error().is_none());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mysql_shows_nothing_of_others() {
    texts_that_are_read_in_two_ways(Flavour::MySql).await;
    what_follows_stays_in_its_database(Flavour::MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn mariadb_shows_nothing_of_others() {
    texts_that_are_read_in_two_ways(Flavour::MariaDb).await;
    what_follows_stays_in_its_database(Flavour::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_server_that_reads_otherwise_is_not_used() {
    let (cluster, bulkhead) = start(Flavour::MySql).await;
    let mut conn = common::servers::connect(bulkhead.port, "app", &bulkhead.password, None).await;
    cluster.sql("SET GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES'");
    // What a procedure may have left is cleared: the connection is the server's as it is now.
    run(&mut conn, "USE ws_7").await;
    let _ = conn.query_drop("call nothing()").await;
    let (code, message) = errno(conn.query_drop("select t from issues").await);
    assert!(code == 1040 && message.contains("NO_BACKSLASH_ESCAPES"), "{code} {message}");
    cluster.sql("SET GLOBAL sql_mode = DEFAULT");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while errno(conn.query_drop("select t from issues").await).0 != 0 {
        assert!(std::time::Instant::now() < until, "it is not used again");
    }
    assert_eq!(value(&mut conn, "select count(*) from issues").await, 1);
    assert_eq!(errno(conn.query_drop("SET NAMES swe7").await).0, 1235);
}
