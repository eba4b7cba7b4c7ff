//! Permits, queues and gates on real servers: a stalled cluster's clients are told at once, the others do not
//! notice; what is held runs once and where it belongs by then; nothing is committed behind a drain.

mod common;

use std::time::{Duration, Instant};

use common::clients::{errno, run, value};
use common::servers::{Bulkhead, Cluster, Flavour, Role, Setup};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};
use tokio::task::JoinHandle;

const SPACES: &str = "layout = \"database_per_workspace\"\ndatabase = \"ws_{workspace_id}\"\n\
                      template = \"ws.sql\"\n";
const SHARED: &str = "layout = \"shared_tables\"\nworkspace_column = \"workspace_id\"\n\
                      workspace_vindex = \"by_workspace\"\n[vindexes.by_workspace]\ntype = \"xxhash\"\n\
                      [tables.facts]\n";
/// Few permits, a short queue, a short wait.
const SMALL: &str = "[clusters.c1.permits]\nwrites = 4\nfloor = 4\nqueue = 8\nwait = \"300ms\"\n";
/// Ends a wait for what never comes; how long it takes is not what is tested.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// ER_LOCK_WAIT_TIMEOUT: what clients run again, and keep their connection for.
const RETRY: u16 = 1205;

struct Stand {
    one: Cluster,
    other: Cluster,
    bulkhead: Bulkhead,
    admin: Conn,
}

impl Stand {
    /// Workspaces 1 and 2 on c1, 3 and 4 on c2; shared tables on both.
    async fn start(more: &str) -> Self {
        let (one, other) = (Cluster::start("c1", Flavour::MySql), Cluster::start("c2", Flavour::MariaDb));
        for cluster in [&one, &other] {
            cluster.sql("CREATE DATABASE shared; CREATE TABLE shared.facts (workspace_id INT, n INT)");
        }
        let bulkhead = Setup::default()
            .cluster(&one)
            .cluster(&other)
            .config("[keyspaces.spaces]\nshards = { a = \"c1\", b = \"c2\" }\n")
            .config("[keyspaces.shared]\nshards = { \"-80\" = \"c1\", \"80-\" = \"c2\" }\n")
            .config(more)
            .vschema("spaces.toml", SPACES)
            .vschema("shared.toml", SHARED)
            .vschema("ws.sql", "CREATE TABLE issues (id INT PRIMARY KEY, n INT);\n")
            .start();
        let mut admin = bulkhead.connect_admin().await;
        for (workspace, shard) in [(1, "a"), (2, "a"), (3, "b"), (4, "b")] {
            run(&mut admin, &format!("CREATE WORKSPACE spaces {workspace} ON {shard} WITH DATABASE")).await;
        }
        Self { one, other, bulkhead, admin }
    }

    async fn client(&self, workspace: u32) -> Conn {
        self.bulkhead.connect(Some(&format!("ws_{workspace}"))).await
    }

    /// Waits until as many statements are held at the cluster's gates.
    async fn wait_held(&mut self, cluster: &str, count: u64) {
        self.wait_for(cluster, "held", count).await;
    }

    /// Waits until a column of the cluster's writes says so.
    async fn wait_for(&mut self, cluster: &str, column: &str, count: u64) {
        let sql = format!("SHOW ADMISSION WHERE cluster = {cluster} AND class = write");
        let began = Instant::now();
        loop {
            let row: mysql_async::Row = self.admin.query_first(&sql).await.expect("works").expect("a row");
            let found: u64 = row.get(column).expect("a number");
            if found == count {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{column} is {found}, not {count}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until a statement with that text runs on the first cluster's server.
    async fn wait_running(&self, text: &str) {
        let mut conn = self.one.connect(Role::Primary, "root").await;
        let sql = format!(
            "SELECT COUNT(*) FROM information_schema.processlist \
             WHERE id <> CONNECTION_ID() AND info = '{text}'"
        );
        let began = Instant::now();
        while value(&mut conn, &sql).await == 0 {
            assert!(began.elapsed() < PATIENCE, "{text} does not run");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// A statement that runs on its own; gives its connection back with the errno, the message and the time.
type Running = JoinHandle<(Conn, (u16, String), Duration)>;

fn begin(mut conn: Conn, sql: String) -> Running {
    tokio::spawn(async move {
        let began = Instant::now();
        let result = conn.query_drop(sql).await;
        (conn, errno(result), began.elapsed())
    })
}

fn begin_prepared(mut conn: Conn, sql: &'static str, id: u32) -> Running {
    tokio::spawn(async move {
        let began = Instant::now();
        let result = conn.exec_drop(sql, (id, 1)).await;
        (conn, errno(result), began.elapsed())
    })
}

async fn refused(conn: &mut Conn, sql: &str) -> (u16, String) {
    let result: Result<(), Error> = conn.query_drop(sql).await;
    errno(result)
}

fn is_told(told: &(u16, String), errno: u16, code: &str) -> bool {
    told.0 == errno && told.1.contains(code)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_stalled_clusters_clients_are_told_and_the_others_do_not_notice() {
    let mut stand = Stand::start(SMALL).await;
    let mut root = stand.one.connect(Role::Primary, "root").await;
    let (mut idle, mut other) = (stand.client(1).await, stand.client(3).await);
    run(&mut idle, "INSERT INTO issues VALUES (1000, 0)").await;
    run(&mut root, "FLUSH TABLES WITH READ LOCK").await;
    let mut running = Vec::new();
    for id in 0..40 {
        let conn = stand.client(1 + id % 2).await;
        running.push(begin(conn, format!("INSERT INTO issues VALUES ({id}, 0)")));
    }
    // Four have permits and wait for the server; the others are told while it is still locked.
    stand.wait_for("c1", "refused", 36).await;
    stand.wait_for("c1", "in_flight", 4).await;
    let began = Instant::now();
    while running.iter().filter(|task| task.is_finished()).count() < 36 && began.elapsed() < PATIENCE {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let (finished, stuck): (Vec<_>, Vec<_>) = running.into_iter().partition(JoinHandle::is_finished);
    // Four have the permits; two of each workspace, for none has more than half.
    assert_eq!((finished.len(), stuck.len()), (36, 4));
    for task in finished {
        let (mut conn, told, _) = task.await.expect("the client goes on");
        assert_eq!(told.0, RETRY, "{told:?}");
        assert!(["E5008", "E5009", "E5011"].iter().any(|code| told.1.contains(code)), "{}", told.1);
        for word in ["shard spaces/a on cluster c1", "retry after 1000 ms", "nothing was sent"] {
            assert!(told.1.contains(word), "no {word:?} in {}", told.1);
        }
        // The connection is as it was, and reads go on.
        assert_eq!(value(&mut conn, "SELECT 1 + 1").await, 2);
        assert_eq!(value(&mut conn, "SELECT COUNT(*) FROM issues WHERE id < 1000").await, 0);
    }
    for id in 0..50 {
        run(&mut other, &format!("INSERT INTO issues VALUES ({id}, 0)")).await;
    }
    assert!(stuck.iter().all(|task| !task.is_finished()), "the first cluster is locked all the time");
    run(&mut root, "UNLOCK TABLES").await;
    for task in stuck {
        let (_, told, _) = task.await.expect("the client goes on");
        assert_eq!(told.0, 0, "{told:?}");
    }
    // Who was told so was not written; who was not, was.
    let counts = stand.one.sql("SELECT COUNT(*) FROM ws_1.issues; SELECT COUNT(*) FROM ws_2.issues");
    assert_eq!(counts.split_whitespace().collect::<Vec<_>>(), ["3", "2"]);
    run(&mut idle, "INSERT INTO issues VALUES (1001, 0)").await;
    stand.wait_for("c1", "in_flight", 0).await;
    stand.wait_for("c1", "refused", 36).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn what_is_held_runs_once_where_it_belongs_by_then() {
    let mut stand = Stand::start("").await;
    stand.other.sql("CREATE DATABASE ws_1; CREATE TABLE ws_1.issues (id INT PRIMARY KEY, n INT)");
    let mut within = stand.client(1).await;
    run(&mut within, "BEGIN").await;
    run(&mut within, "INSERT INTO issues VALUES (500, 0)").await;
    run(&mut stand.admin, "SET GATE SHARD spaces a BUFFERING FOR 20").await;
    let mut running = Vec::new();
    for id in 0..20 {
        let conn = stand.client(1).await;
        running.push(match id % 3 {
            0 => begin_prepared(conn, "INSERT INTO issues VALUES (?, ?)", id),
            1 => begin(conn, format!("BEGIN;INSERT INTO issues VALUES ({id}, 1);COMMIT")),
            _ => begin(conn, format!("INSERT INTO issues VALUES ({id}, 1)")),
        });
    }
    let (gone, killed) = (stand.client(1).await, stand.client(1).await);
    let killed_id = killed.id();
    let gone = begin(gone, "INSERT INTO issues VALUES (600, 1)".to_owned());
    let killed = begin(killed, "INSERT INTO issues VALUES (601, 1)".to_owned());
    stand.wait_held("c1", 22).await;
    // A client that leaves, or is killed, gives its place up.
    gone.abort();
    run(&mut stand.admin, &format!("KILL {killed_id}")).await;
    stand.wait_held("c1", 20).await;
    assert_eq!(killed.await.expect("the client goes on").1.0, 1, "its connection was closed");
    // An open transaction goes on; so do reads, and the other cluster.
    run(&mut within, "INSERT INTO issues VALUES (501, 0)").await;
    run(&mut within, "COMMIT").await;
    assert_eq!(value(&mut within, "SELECT COUNT(*) FROM issues").await, 2);
    let mut other = stand.client(3).await;
    run(&mut other, "INSERT INTO issues VALUES (1, 1)").await;
    // The workspace is somewhere else by the time the gate opens: the held ones are planned again.
    run(&mut stand.admin, "SET WORKSPACE spaces 1 SHARD b FORCE").await;
    assert!(running.iter().all(|task| !task.is_finished()));
    run(&mut stand.admin, "SET GATE SHARD spaces a OPEN").await;
    for task in running {
        // Who is held until the gate's time is over is refused.
        let (_, told, _) = task.await.expect("the client goes on");
        assert_eq!(told.0, 0, "{told:?}");
    }
    assert_eq!(stand.one.sql("SELECT GROUP_CONCAT(id ORDER BY id) FROM ws_1.issues").trim(), "500,501");
    let moved = stand.other.sql("SELECT COUNT(*), COUNT(DISTINCT id), MAX(id) FROM ws_1.issues");
    assert_eq!(moved.split_whitespace().collect::<Vec<_>>(), ["20", "20", "19"]);
    stand.wait_held("c1", 0).await;
    let gates: Vec<mysql_async::Row> = stand.admin.query("SHOW GATES").await.expect("works");
    assert!(gates.is_empty(), "{gates:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn holding_ends_with_its_time_and_tables_have_gates() {
    let mut stand = Stand::start("").await;
    let mut conn = stand.client(2).await;
    run(&mut conn, "CREATE TABLE others (id INT PRIMARY KEY)").await;
    let began = Instant::now();
    run(&mut stand.admin, "SET GATE TABLE spaces a issues BUFFERING FOR 3 ALL").await;
    run(&mut conn, "INSERT INTO others VALUES (1)").await;
    let told = refused(&mut conn, "SELECT * FROM issues").await;
    assert!(is_told(&told, RETRY, "E4009 held_too_long"), "{told:?}");
    assert!(began.elapsed() >= Duration::from_secs(3), "not before its time: {:?}", began.elapsed());
    let told = refused(&mut conn, "INSERT INTO issues VALUES (1, 1)").await;
    assert!(is_told(&told, RETRY, "E4007 shard_draining"), "{told:?}");
    run(&mut stand.admin, "SET GATE TABLE spaces a issues OPEN").await;
    run(&mut conn, "INSERT INTO issues VALUES (1, 1)").await;

    // Rows for both shards: refused on one of them, written on none.
    run(&mut stand.admin, "SET GATE TABLE shared 80- facts REFUSING").await;
    let mut shared = stand.bulkhead.connect(Some("shared")).await;
    let rows = (1..=8).map(|workspace| format!("({workspace}, 1)")).collect::<Vec<_>>().join(", ");
    let insert = format!("INSERT INTO facts (workspace_id, n) VALUES {rows}");
    let told = refused(&mut shared, &insert).await;
    assert!(is_told(&told, RETRY, "E4007") && told.1.contains("shared/80- on cluster c2"), "{told:?}");
    let count = "SELECT COUNT(*) FROM shared.facts";
    assert_eq!([&stand.one, &stand.other].map(|cluster| cluster.sql(count).trim().to_owned()), ["0", "0"]);
    run(&mut stand.admin, "SET GATE TABLE shared 80- facts BUFFERING FOR 10").await;
    let held = begin(shared, insert);
    stand.wait_held("c2", 1).await;
    run(&mut stand.admin, "SET GATE TABLE shared 80- facts OPEN").await;
    let (_, told, _) = held.await.expect("the client goes on");
    assert_eq!(told.0, 0, "{told:?}");
    let found = [&stand.one, &stand.other].map(|cluster| cluster.sql(count).trim().parse::<u32>());
    let found: u32 = found.into_iter().map(|count| count.expect("a number")).sum();
    assert_eq!(found, 8);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_tables_gate_stands_before_the_table_and_not_before_its_name() {
    let mut stand = Stand::start("").await;
    let mut conn = stand.client(2).await;
    run(&mut conn, "CREATE TABLE others (id INT PRIMARY KEY, issues INT)").await;
    run(&mut conn, "CREATE VIEW numbers AS SELECT n FROM issues").await;
    run(&mut stand.admin, "SET GATE TABLE spaces a issues REFUSING ALL").await;
    for sql in [
        "INSERT INTO others (id, issues) VALUES (1, 2)",
        "UPDATE others SET issues = 3 WHERE issues = 2",
        "SELECT 'issues' FROM others /* issues */",
        "SELECT issues.id AS n FROM others AS issues",
        "WITH issues AS (SELECT id FROM others) SELECT * FROM issues",
        "ALTER TABLE others ADD KEY issues (issues)",
        "SELECT n FROM numbers",
    ] {
        assert_eq!(refused(&mut conn, sql).await.0, 0, "{sql}");
        let prepared = errno(conn.exec_drop("SELECT issues FROM others WHERE id = ?", (1,)).await);
        assert_eq!(prepared.0, 0, "{prepared:?}");
    }
    for sql in [
        "SELECT * FROM `issues`",
        "SELECT * FROM ws_2.issues",
        "SELECT o.id FROM issues AS o",
        "SELECT id FROM others WHERE EXISTS (SELECT 1 FROM issues)",
        "INSERT INTO others SELECT id, n FROM issues",
        "UPDATE others JOIN issues USING (id) SET others.issues = n",
        "LOCK TABLES issues READ",
    ] {
        let told = refused(&mut conn, sql).await;
        assert!(is_told(&told, RETRY, "E4007 shard_draining"), "{sql}: {told:?}");
        let prepared = errno(conn.exec_drop("SELECT id FROM issues WHERE id = ?", (1,)).await);
        assert!(is_told(&prepared, RETRY, "E4007"), "{prepared:?}");
    }
    // The other workspace's table of that name is on the same shard; the other shard's is not.
    assert!(is_told(&refused(&mut stand.client(1).await, "SELECT * FROM issues").await, RETRY, "E4007"));
    assert_eq!(refused(&mut stand.client(3).await, "SELECT * FROM issues").await.0, 0);
    // What a view leads to is not known: it has a gate by its own name.
    run(&mut stand.admin, "SET GATE TABLE spaces a numbers REFUSING ALL").await;
    assert!(is_told(&refused(&mut conn, "SELECT n FROM numbers").await, RETRY, "E4007"));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn nothing_is_committed_behind_a_drain() {
    let mut stand = Stand::start("").await;
    let mut conns = Vec::new();
    for id in 0..5 {
        let mut conn = stand.client(1).await;
        run(&mut conn, "START TRANSACTION").await;
        run(&mut conn, &format!("INSERT INTO issues VALUES ({id}, 0)")).await;
        conns.push(conn);
    }
    run(&mut stand.admin, "SET GATE CLUSTER c1 REFUSING").await;
    let mut free = stand.client(2).await;
    for sql in [
        "INSERT INTO issues VALUES (1, 1)",
        "BEGIN",
        "SELECT * FROM issues FOR UPDATE",
        "LOCK TABLES issues WRITE",
        "XA START 'a'",
    ] {
        let told = refused(&mut free, sql).await;
        assert!(is_told(&told, RETRY, "E4007 shard_draining"), "{sql}: {told:?}");
    }
    let [going_on, writing, committing, giving_up, sleeping] = &mut conns[..] else { panic!("five") };
    run(going_on, "UPDATE issues SET n = 1 WHERE id = 0").await;
    run(going_on, "COMMIT").await;
    let mut long = stand.client(2).await;
    run(&mut stand.admin, "SET GATE CLUSTER c1 OPEN").await;
    let in_flight = begin(std::mem::replace(&mut long, stand.client(2).await), slow_insert(1, 2));
    stand.wait_running(&slow_insert(1, 2)).await;

    run(&mut stand.admin, "SET GATE CLUSTER c1 DRAINED").await;
    let told = refused(&mut free, "INSERT INTO issues VALUES (2, 1)").await;
    assert!(is_told(&told, RETRY, "E4008 shard_drained"), "{told:?}");
    assert_eq!(value(&mut free, "SELECT COUNT(*) FROM issues WHERE id = 2").await, 0, "reads go on");
    let told = refused(writing, "INSERT INTO issues VALUES (10, 0)").await;
    assert!(is_told(&told, RETRY, "E4011 transaction_cut"), "{told:?}");
    let told = refused(writing, "INSERT INTO issues VALUES (11, 0)").await;
    assert!(is_told(&told, RETRY, "E4011"), "until ROLLBACK: {told:?}");
    run(writing, "ROLLBACK").await;
    let told = refused(committing, "COMMIT").await;
    assert!(is_told(&told, RETRY, "E4011"), "{told:?}");
    run(committing, "ROLLBACK").await;
    run(giving_up, "ROLLBACK").await;
    // What was sent before the drain is not killed by it.
    let (_, told, _) = in_flight.await.expect("the client goes on");
    assert_eq!(told.0, 0, "{told:?}");

    run(&mut stand.admin, "SET GATE CLUSTER c1 OPEN").await;
    // It slept through all of that: the primary may be another one by now.
    let told = refused(sleeping, "COMMIT").await;
    assert!(is_told(&told, RETRY, "E4011"), "{told:?}");
    run(sleeping, "ROLLBACK").await;
    for (at, conn) in conns.iter_mut().enumerate() {
        run(conn, &format!("INSERT INTO issues VALUES ({}, 5)", 100 + at)).await;
    }
    let left = stand.one.sql("SELECT GROUP_CONCAT(id ORDER BY id) FROM ws_1.issues");
    assert_eq!(left.trim(), "0,100,101,102,103,104");
    assert_eq!(stand.one.sql("SELECT COUNT(*) FROM ws_2.issues").trim(), "1");
}

/// An INSERT that takes so many seconds.
fn slow_insert(id: u32, seconds: u32) -> String {
    format!("INSERT INTO issues SELECT {id}, SLEEP({seconds})")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_closed_lane_refuses_schema_changes_only() {
    let mut stand = Stand::start("[timeouts]\nddl_lane = \"100ms\"\n").await;
    let mut conn = stand.client(1).await;
    run(&mut stand.admin, "SET DDL LANE c1 CLOSED").await;
    for sql in ["ALTER TABLE issues ADD COLUMN m INT", "CREATE TABLE more (id INT)", "DROP TABLE issues"] {
        let told = refused(&mut conn, sql).await;
        assert!(is_told(&told, RETRY, "E4010 ddl_lane_closed"), "{sql}: {told:?}");
        let result = conn.exec_drop(sql, ()).await;
        assert!(is_told(&errno(result), RETRY, "E4010"), "prepared: {sql}");
    }
    run(&mut conn, "CREATE TEMPORARY TABLE scratch (id INT)").await;
    run(&mut conn, "INSERT INTO issues VALUES (1, 1)").await;
    let mut other = stand.client(3).await;
    run(&mut other, "ALTER TABLE issues ADD COLUMN m INT").await;
    run(&mut stand.admin, "SET DDL LANE c1 OPEN").await;
    run(&mut conn, "ALTER TABLE issues ADD COLUMN m INT").await;
}

/// Writes of one client that take a tenth of a second each.
async fn flood_of(id: u32, mut conn: Conn) -> Vec<(u16, String)> {
    let mut told = Vec::new();
    for round in 0..4 {
        let sql = format!("INSERT INTO issues SELECT {}, SLEEP(0.1)", id * 10 + round);
        told.push(errno(conn.query_drop(sql).await));
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn one_workspaces_flood_leaves_room_for_another() {
    let mut stand = Stand::start("[clusters.c1.permits]\nwrites = 6\nqueue = 60\nwait = \"2s\"\n").await;
    let mut quiet = stand.client(2).await;
    let mut conns = Vec::new();
    for _ in 0..50 {
        conns.push(stand.client(1).await);
    }
    // All at once: three run, thirty wait, the rest is told.
    let flood: Vec<_> = (0..).zip(conns).map(|(id, conn)| tokio::spawn(flood_of(id, conn))).collect();
    stand.wait_for("c1", "in_flight", 3).await;
    for id in 0..20 {
        run(&mut quiet, &format!("INSERT INTO issues VALUES ({id}, 1)")).await;
    }
    assert!(flood.iter().any(|task| !task.is_finished()), "the flood goes on meanwhile");
    let (mut served, mut shed) = (0, 0);
    for task in flood {
        for told in task.await.expect("the client goes on") {
            served += u32::from(told.0 == 0);
            shed += u32::from(is_told(&told, RETRY, "E5011 workspace_limit"));
        }
    }
    println!("the flood: {served} served, {shed} shed");
    assert_eq!(served + shed, 200, "nothing else happens to it");
    assert!(served > 0 && shed > 0);
    assert_eq!(stand.one.sql("SELECT COUNT(*) FROM ws_1.issues").trim(), served.to_string());

    // Transactions hold connections between their statements: of those it has half, too.
    let (mut open, mut told) = (Vec::new(), Vec::new());
    for id in 0..5 {
        let mut conn = stand.client(1).await;
        match refused(&mut conn, "BEGIN").await {
            (0, _) => {
                run(&mut conn, &format!("INSERT INTO issues VALUES ({}, 1)", 5000 + id)).await;
                open.push(conn);
            }
            refusal => told.push(refusal),
        }
    }
    assert_eq!((open.len(), told.len()), (3, 2));
    assert!(told.iter().all(|told| is_told(told, RETRY, "E5011 workspace_limit")), "{told:?}");
    run(&mut quiet, "BEGIN").await;
    run(&mut quiet, "INSERT INTO issues VALUES (5000, 1)").await;
    run(&mut quiet, "COMMIT").await;
    run(&mut open[0], "COMMIT").await;
    let mut next = stand.client(1).await;
    run(&mut next, "BEGIN").await;
    run(&mut next, "ROLLBACK").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn limits_of_a_workspace_are_set_by_an_admin_and_kept() {
    let mut stand = Stand::start("").await;
    run(&mut stand.admin, "SET WORKSPACE LIMIT spaces 1 PER_SECOND 2").await;
    let (mut limited, mut other) = (stand.client(1).await, stand.client(2).await);
    let insert = |id: u32| format!("INSERT INTO issues VALUES ({id}, 1)");
    let (mut told, began) = (Vec::new(), Instant::now());
    for id in 0..30 {
        told.push(refused(&mut limited, &insert(id)).await);
        run(&mut other, &insert(id)).await;
    }
    let served = told.iter().filter(|told| told.0 == 0).count() as f64;
    let shed = told.iter().filter(|told| is_told(told, RETRY, "E5011 workspace_limit")).count() as f64;
    assert_eq!(served + shed, 30.0, "{told:?}");
    let may_be = 2.0 + 2.0 * began.elapsed().as_secs_f64();
    assert!((2.0..=may_be).contains(&served), "two at once, and two per second: {served} of {may_be}");
    // They are in the store: another process has them.
    stand.bulkhead.signal("TERM");
    drop((limited, other, stand.admin));
    stand.bulkhead.wait(Duration::from_secs(40)).expect("it stops");
    stand.bulkhead.launch();
    let mut admin = stand.bulkhead.connect_admin().await;
    let rows: Vec<(String, String, Option<u64>, Option<f64>)> =
        admin.query("SHOW WORKSPACE LIMITS WHERE workspace = 1").await.expect("works");
    assert_eq!(rows, [("spaces".to_owned(), "1".to_owned(), None, Some(2.0))]);
    let mut conn = stand.bulkhead.connect(Some("ws_1")).await;
    let mut shed = 0;
    for id in 100..130 {
        shed += u32::from(refused(&mut conn, &insert(id)).await.0 == RETRY);
    }
    assert!(shed > 0);
    run(&mut admin, "DROP WORKSPACE LIMIT spaces 1").await;
    for id in 200..220 {
        run(&mut conn, &insert(id)).await;
    }
    // One statement in flight at a time.
    run(&mut admin, "SET WORKSPACE LIMIT spaces 1 IN_FLIGHT 1").await;
    let began = Instant::now();
    let mut running = Vec::new();
    for id in 300..303 {
        let conn = stand.bulkhead.connect(Some("ws_1")).await;
        running.push(begin(conn, format!("INSERT INTO issues SELECT {id}, SLEEP(0.3)")));
    }
    for task in running {
        let (_, told, _) = task.await.expect("the client goes on");
        assert_eq!(told.0, 0, "{told:?}");
    }
    assert!(began.elapsed() >= Duration::from_millis(850), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn kill_query_ends_a_statement_that_waits_and_nothing_is_sent() {
    let mut stand = Stand::start("[clusters.c1.permits]\nwrites = 1\nfloor = 1\nwait = \"60s\"\n").await;
    let mut killer = stand.client(3).await;
    // Held at a gate.
    run(&mut stand.admin, "SET GATE SHARD spaces a BUFFERING FOR 20").await;
    let conn = stand.client(1).await;
    let id = conn.id();
    let held = begin(conn, "INSERT INTO issues VALUES (1, 0)".into());
    stand.wait_held("c1", 1).await;
    run(&mut killer, &format!("KILL QUERY {id}")).await;
    let (mut conn, told, _) = held.await.expect("the client goes on");
    assert_eq!(told.0, 1317, "{told:?}");
    run(&mut stand.admin, "SET GATE SHARD spaces a OPEN").await;
    assert_eq!(value(&mut conn, "SELECT COUNT(*) FROM issues").await, 0);
    // Waiting for a permit.
    let mut root = stand.one.connect(Role::Primary, "root").await;
    run(&mut root, "LOCK TABLES ws_1.issues WRITE, ws_2.issues WRITE").await;
    let first = begin(stand.client(2).await, "INSERT INTO issues VALUES (1, 0)".into());
    stand.wait_for("c1", "in_flight", 1).await;
    let second = begin(conn, "INSERT INTO issues VALUES (2, 0)".into());
    stand.wait_for("c1", "waiting", 1).await;
    run(&mut killer, &format!("KILL QUERY {id}")).await;
    let (mut conn, told, _) = second.await.expect("the client goes on");
    assert_eq!(told.0, 1317, "{told:?}");
    run(&mut root, "UNLOCK TABLES").await;
    assert_eq!(first.await.expect("it ends").1.0, 0);
    assert_eq!(value(&mut conn, "SELECT COUNT(*) FROM issues").await, 0);
}

/// The bytes held for the first cluster.
async fn memory_of(admin: &mut Conn, cluster: &str) -> u64 {
    let sql = format!("SHOW ADMISSION WHERE cluster = {cluster} AND class = write");
    let row: mysql_async::Row = admin.query_first(&sql).await.expect("works").expect("a row");
    row.get("memory").expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_stalled_clusters_statements_are_bounded_in_memory() {
    const TEXT: usize = 1 << 20;
    let mut stand = Stand::start("[clusters.c1.permits]\nmemory = \"256MiB\"\n").await;
    stand.one.sql("CREATE TABLE ws_1.texts (id INT PRIMARY KEY, t MEDIUMTEXT)");
    stand.other.sql("CREATE TABLE ws_3.texts (id INT PRIMARY KEY, t MEDIUMTEXT)");
    let insert = |id: u32, bytes: usize| format!("INSERT INTO texts VALUES ({id}, '{}')", "x".repeat(bytes));
    let (mut idle, mut other) = (stand.client(1).await, stand.client(3).await);
    run(&mut stand.admin, "SET GATE CLUSTER c1 BUFFERING FOR 600").await;
    // The gate itself holds 64 MiB; each of these is counted twice, and the account is full before that.
    let mut running = Vec::new();
    for id in 0..7 {
        running.push(begin(stand.client(1).await, insert(id, 8 * TEXT)));
        stand.wait_held("c1", u64::from(id) + 1).await;
    }
    let full = memory_of(&mut stand.admin, "c1").await;
    assert!(full > 7 * 16 * TEXT as u64, "{full}");
    // A read is not held at the gate; it is large, and there is no room for it.
    let large = format!("SELECT LENGTH('{}')", "x".repeat(40 * TEXT));
    let mut reader = stand.client(1).await;
    let lock = stand.client(1).await;
    let blocked = begin(lock, format!("SELECT SLEEP(3600), '{}'", "y".repeat(40 * TEXT)));
    let began = Instant::now();
    while memory_of(&mut stand.admin, "c1").await < full + 80 * TEXT as u64 {
        assert!(began.elapsed() < PATIENCE, "the slow read is not counted");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let told = refused(&mut reader, &large).await;
    assert!(is_told(&told, RETRY, "E5012 shard_memory_full"), "{}: {}", told.0, told.1);
    for word in ["on cluster c1", "reason memory", "retry after 1000 ms", "nothing was sent"] {
        assert!(told.1.contains(word), "no {word:?} in {}", told.1);
    }
    // Small statements of the cluster, and large ones of the other, go on.
    assert_eq!(value(&mut reader, "SELECT 1 + 1").await, 2);
    assert_eq!(value(&mut idle, "SELECT COUNT(*) FROM texts").await, 0);
    for id in 0..3 {
        run(&mut other, &insert(id, 8 * TEXT)).await;
    }
    assert!(running.iter().all(|task| !task.is_finished()));
    run(&mut stand.admin, "SET GATE CLUSTER c1 OPEN").await;
    for task in running {
        let (_, told, _) = task.await.expect("the client goes on");
        assert_eq!(told.0, 0, "{told:?}");
    }
    // A client that leaves gives back what was held for it.
    blocked.abort();
    stand.wait_for("c1", "memory", 0).await;
    stand.wait_for("c2", "memory", 0).await;
    assert_eq!(stand.one.sql("SELECT COUNT(*) FROM ws_1.texts").trim(), "7");
    assert_eq!(refused(&mut reader, &large).await.0, 0);
    stand.wait_for("c1", "memory", 0).await;
}
