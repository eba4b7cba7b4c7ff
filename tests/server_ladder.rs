//! The ladder on real servers: a sick cluster is contained, limited, drained and let in again; what floods it
//! is killed; operators order; what was decided outlives the process; the other cluster does not notice.

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::clients::{errno, run, value};
use common::servers::{Bulkhead, Cluster, Flavour, Role, Setup};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use tokio::task::JoinHandle;

const SPACES: &str = "layout = \"database_per_workspace\"\ndatabase = \"ws_{workspace_id}\"\n\
                      template = \"ws.sql\"\n";
/// Workspaces of each cluster; one client writes to each.
const WORKSPACES: u32 = 6;
/// Between two writes of a client.
const WRITE_EVERY: Duration = Duration::from_millis(100);
/// A fingerprint has a usual time after the first round of learning, 10 s, that finds 50 statements.
const LEARNT_AFTER: Duration = Duration::from_secs(22);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Ends a wait for what never comes, seconds. How soon a cluster is contained is shown by the replay of a bad
/// day.
const PATIENCE_S: u64 = 180;

fn setup(first: &Cluster, second: &Cluster, more: &str) -> Setup {
    let config = "[keyspaces.spaces]\nshards = { a = \"c1\", b = \"c2\" }\n";
    Setup::default()
        .watched()
        .cluster(first)
        .cluster(second)
        .config(config)
        .config("[timeouts]\nddl_lane = \"1s\"")
        .config(more)
        // As `Setup` makes the password of its user.
        .env("BULKHEAD_ADMIN_PASSWORD", &format!("app-{}", std::process::id()))
        .vschema("spaces.toml", SPACES)
        .vschema("ws.sql", "CREATE TABLE issues (id INT PRIMARY KEY, n INT);\n")
}

async fn make_workspaces(admin: &mut Conn) {
    for workspace in 1..=2 * WORKSPACES {
        let shard = if workspace <= WORKSPACES { "a" } else { "b" };
        run(admin, &format!("CREATE WORKSPACE spaces {workspace} ON {shard} WITH DATABASE")).await;
    }
}

/// One cluster's row of SHOW SHARD STATUS.
async fn status(admin: &mut Conn, cluster: &str) -> Row {
    let sql = format!("SHOW SHARD STATUS WHERE cluster = {cluster}");
    admin.query_first(sql).await.expect("it works").expect("the cluster is there")
}

async fn text(admin: &mut Conn, cluster: &str, column: &str) -> String {
    let row = status(admin, cluster).await;
    row.get::<Option<String>, _>(column).expect("the column is there").unwrap_or_default()
}

/// Waits until a column says so; gives how long it took.
async fn until(admin: &mut Conn, (cluster, column): (&str, &str), bound_s: u64, wanted: &str) -> Duration {
    let began = Instant::now();
    loop {
        let found = text(admin, cluster, column).await;
        if found == wanted {
            return began.elapsed();
        }
        assert!(began.elapsed().as_secs() < bound_s, "{cluster}: {column} is {found:?}, not {wanted:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Every event, oldest first: what, how, by, why, actions.
async fn events(admin: &mut Conn, like: &str) -> Vec<[String; 5]> {
    let sql = format!("SHOW EVENTS LIKE '{like}' WHERE cluster = c1");
    let rows: Vec<Row> = admin.query(sql).await.expect("it works");
    let cell = |row: &Row, column| row.get::<Option<String>, _>(column).expect("there").unwrap_or_default();
    // Newest first.
    rows.iter()
        .rev()
        .map(|row| ["what", "how", "by", "why", "actions"].map(|column| cell(row, column)))
        .collect()
}

/// What the writers of one cluster saw.
#[derive(Debug, Default)]
struct Tally {
    written: AtomicU64,
    refused: AtomicU64,
    /// Anything that is neither: the first of them.
    wrong: Mutex<Option<String>>,
    slowest_refusal_ms: AtomicU64,
}

/// Clients that write until told to stop, those of `c1` whatever they are told.
struct Writers {
    stop: Arc<AtomicBool>,
    sick: Arc<Tally>,
    well: Arc<Tally>,
    running: Vec<JoinHandle<()>>,
}

/// Errors that a client may try again after, as nothing was applied: lock wait timeout (shed), deadlock
/// (transaction cut), interrupted (a statement killed where it waited).
const RETRYABLE: [u16; 3] = [1205, 1213, 1317];

impl Writers {
    async fn start(bulkhead: &Bulkhead) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (sick, well) = (Arc::<Tally>::default(), Arc::<Tally>::default());
        let mut running = Vec::new();
        for workspace in 1..=2 * WORKSPACES {
            let mut conn = bulkhead.connect(Some(&format!("ws_{workspace}"))).await;
            run(&mut conn, "INSERT INTO issues VALUES (1, 0) ON DUPLICATE KEY UPDATE n = n").await;
            let tally = if workspace <= WORKSPACES { sick.clone() } else { well.clone() };
            let stop = stop.clone();
            running.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    write_once(&mut conn, &tally).await;
                    tokio::time::sleep(WRITE_EVERY).await;
                }
            }));
        }
        Self { stop, sick, well, running }
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for writer in self.running {
            writer.await.expect("it does not panic");
        }
    }
}

async fn write_once(conn: &mut Conn, tally: &Tally) {
    let began = Instant::now();
    let (code, message) = errno(conn.query_drop("UPDATE issues SET n = n + 1 WHERE id = 1").await);
    let took = u64::try_from(began.elapsed().as_millis()).expect("short");
    match code {
        0 => {
            tally.written.fetch_add(1, Ordering::Relaxed);
        }
        code if RETRYABLE.contains(&code) => {
            tally.refused.fetch_add(1, Ordering::Relaxed);
            if message.contains("drained") || message.contains("draining") {
                tally.slowest_refusal_ms.fetch_max(took, Ordering::Relaxed);
            }
        }
        code => {
            tally.wrong.lock().expect("whole").get_or_insert(format!("{code}: {message}"));
        }
    }
}

/// A webhook: keeps the bodies it gets.
fn listen_for_alerts() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("bound").port();
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let kept = bodies.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut text = String::new();
            let mut chunk = [0; 4096];
            while !is_whole(&text) {
                match stream.read(&mut chunk) {
                    Ok(0) | Err(_) => break,
                    Ok(read) => text.push_str(&String::from_utf8_lossy(&chunk[..read])),
                }
            }
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
            let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
            kept.lock().expect("whole").extend(body);
        }
    });
    (port, bodies)
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}

async fn healthy(admin: &mut Conn) {
    for cluster in ["c1", "c2"] {
        until(admin, (cluster, "state"), PATIENCE_S, "healthy").await;
        until(admin, (cluster, "stage"), PATIENCE_S, "open").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_sick_cluster_is_contained_and_drained_and_let_in_again() {
    let (sick, well) = (Cluster::start("c1", Flavour::MySql), Cluster::start("c2", Flavour::MariaDb));
    let (port, alerts) = listen_for_alerts();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let told = folder.path().join("told");
    let hooks = format!(
        "[alerts.webhooks.pager]\nurl = \"http://127.0.0.1:{port}/hook\"\n\
         [alerts.commands.file]\nprogram = \"/bin/sh\"\narguments = [\"-c\", \"cat >> {}\"]\n",
        told.display()
    );
    let mut bulkhead = setup(&sick, &well, &hooks).start();
    let mut admin = bulkhead.connect_admin().await;
    make_workspaces(&mut admin).await;
    let writers = Writers::start(&bulkhead).await;
    tokio::time::sleep(LEARNT_AFTER).await;
    healthy(&mut admin).await;

    flood_and_see_it_killed(&sick, &mut admin).await;
    healthy(&mut admin).await;

    // Writes wait, everything else is fast: what a ping does not see.
    let began = Instant::now();
    let mut root = sick.connect(Role::Primary, "root").await;
    run(&mut root, "FLUSH TABLES WITH READ LOCK").await;
    let seen = events(&mut admin, "%→%").await.len();
    for step in ["open → contained", "contained → limited", "limited → draining", "draining → drained"]
    {
        wait_for_step(&mut admin, seen, step).await;
        println!("{step} after {:?}", began.elapsed());
        // A busy machine may make it suspect; nothing of its statements is held or refused for that.
        let other = text(&mut admin, "c2", "stage").await;
        assert!(["open", "contained"].contains(&other.as_str()), "{other}");
        if text(&mut admin, "c1", "stage").await == "limited" {
            assert_eq!(text(&mut admin, "c1", "gate").await, "limited");
            assert_eq!(text(&mut admin, "c1", "permits").await, "few");
            assert_eq!(text(&mut admin, "c1", "ddl").await, "closed");
        }
    }
    assert_eq!(text(&mut admin, "c1", "gate").await, "drained");
    assert!(text(&mut admin, "c1", "worst_signal").await.len() > 3);
    let mut reader = bulkhead.connect(Some("ws_1")).await;
    assert_eq!(value(&mut reader, "SELECT COUNT(*) FROM issues").await, 1, "reads go on");
    let killed = wait_for_event(&mut admin, "kill_transactions").await;
    assert_eq!(killed[1], "done", "{killed:?}");
    let (_, screen) = bulkhead.command(&["shard", "status", "-u", "app"]);
    println!("{screen}");

    // The proxy dies and comes back: what was decided counts from the first statement on.
    let before = events(&mut admin, "%").await;
    assert_eq!(*writers.well.wrong.lock().expect("whole"), None, "the other cluster does not notice");
    assert_eq!(writers.well.refused.load(Ordering::Relaxed), 0);
    assert_eq!(*writers.sick.wrong.lock().expect("whole"), None, "only errors that may be tried again");
    let slowest = writers.sick.slowest_refusal_ms.load(Ordering::Relaxed);
    println!("slowest refusal {slowest} ms, {:?}", writers.sick);
    writers.stop().await;
    bulkhead.signal("KILL");
    assert!(bulkhead.wait(Duration::from_secs(PATIENCE_S)).is_some());
    bulkhead.launch();
    let mut admin = bulkhead.connect_admin().await;
    let mut client = bulkhead.connect(Some("ws_1")).await;
    let (code, message) = errno(client.query_drop("UPDATE issues SET n = 0 WHERE id = 1").await);
    assert!(code == 1205 && message.contains("E4008"), "{code} {message}");
    assert_eq!(text(&mut admin, "c1", "stage").await, "drained");
    let after = events(&mut admin, "%").await;
    assert_eq!(after[..before.len()], before, "events survive");
    tokio::time::sleep(Duration::from_secs(18)).await;
    assert_eq!(text(&mut admin, "c1", "stage").await, "drained", "it is still sick");

    run(&mut root, "UNLOCK TABLES").await;
    let released = Instant::now();
    until(&mut admin, ("c1", "stage"), PATIENCE_S, "ramping").await;
    println!("ramping {:?} after the release", released.elapsed());
    until(&mut admin, ("c1", "stage"), PATIENCE_S, "open").await;
    println!("open {:?} after the release", released.elapsed());
    run(&mut client, "UPDATE issues SET n = 0 WHERE id = 1").await;

    let (_, bundle) = bulkhead.command(&["incident", "show", "c1", "--since", "1h", "-u", "app"]);
    for word in ["contained → limited (acted, by policy)", "heartbeat", "kill_ddl", "gate_drained", "sample"]
    {
        assert!(bundle.contains(word), "no {word:?} in\n{bundle}");
    }
    let bodies = alerts.lock().expect("whole").join("\n");
    let lines = std::fs::read_to_string(&told).expect("the command ran");
    for told in [&bodies, &lines] {
        for word in ["contained → limited", "\"signal\":\"heartbeat\"", "kill_transactions", "ramping"] {
            assert!(told.contains(word), "no {word:?} in\n{told}");
        }
        assert!(told.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{told}");
    }
}

/// Waits until the ladder took a step, behind those that were seen before.
async fn wait_for_step(admin: &mut Conn, seen: usize, step: &str) {
    let began = Instant::now();
    while !events(admin, "%→%").await[seen..].iter().any(|event| event[0] == step && event[1] == "acted") {
        assert!(began.elapsed().as_secs() < PATIENCE_S, "no step {step}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn wait_for_event(admin: &mut Conn, what: &str) -> [String; 5] {
    let began = Instant::now();
    loop {
        if let Some(found) = events(admin, what).await.into_iter().next() {
            return found;
        }
        assert!(began.elapsed().as_secs() < PATIENCE_S, "no event {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Schema changes pile up behind open transactions, and writes behind them; with the changes killed, all goes
/// on.
async fn flood_and_see_it_killed(sick: &Cluster, admin: &mut Conn) {
    let mut readers = Vec::new();
    let mut floods = Vec::new();
    for workspace in 1..=WORKSPACES {
        let mut reader = sick.connect(Role::Primary, "root").await;
        run(&mut reader, "BEGIN").await;
        run(&mut reader, &format!("SELECT * FROM ws_{workspace}.issues")).await;
        readers.push(reader);
    }
    // Bulkhead's own, by its mark: left alone.
    let mut own = sick.connect(Role::Primary, "root").await;
    let own = tokio::spawn(async move {
        own.query_drop("/*bulkhead migration*/ ALTER TABLE ws_1.issues ENGINE = InnoDB").await
    });
    for at in 0..2 * WORKSPACES {
        let mut conn = sick.connect(Role::Primary, "root").await;
        let sql =
            format!("ALTER TABLE ws_{}.issues MODIFY n BIGINT NOT NULL DEFAULT {at}", at % WORKSPACES + 1);
        floods.push(tokio::spawn(async move { errno(conn.query_drop(sql).await) }));
    }
    let began = Instant::now();
    for flood in floods {
        let ended = tokio::time::timeout(Duration::from_secs(PATIENCE_S), flood).await;
        let (code, message) = ended.expect("killed in time").expect("it does not panic");
        assert_eq!(code, 1317, "{message}");
    }
    println!("the flood is over after {:?}", began.elapsed());
    let killed = wait_for_event(admin, "kill_ddl").await;
    assert!(killed[1] == "done" && killed[3].contains("schema changes were killed"), "{killed:?}");
    assert!(!own.is_finished(), "Bulkhead's own schema change still waits");
    for reader in &mut readers {
        run(reader, "COMMIT").await;
    }
    own.await.expect("it does not panic").expect("its turn came");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn operators_drain_and_let_in_again() {
    let (mysql, mariadb) = (Cluster::start("c1", Flavour::MySql), Cluster::start("c2", Flavour::MariaDb));
    let bulkhead = setup(&mysql, &mariadb, "").start();
    let mut admin = bulkhead.connect_admin().await;
    make_workspaces(&mut admin).await;
    for (cluster, shard, workspace) in [("c1", "spaces/a", "ws_1"), ("c2", "spaces/b", "ws_7")] {
        until(&mut admin, (cluster, "state"), PATIENCE_S, "healthy").await;
        let mut client = bulkhead.connect(Some(workspace)).await;
        run(&mut client, "INSERT INTO issues VALUES (2, 0)").await;
        let mut holder = bulkhead.connect(Some(workspace)).await;
        run(&mut holder, "BEGIN").await;
        run(&mut holder, "UPDATE issues SET n = 1 WHERE id = 2").await;

        let order = |words: &[&str]| {
            let mut all = vec!["shard"];
            all.extend(words);
            all.extend(["-u", "app"]);
            bulkhead.command(&all)
        };
        let (is_done, said) = order(&["drain", cluster, "--why", "a drill", "--dry-run"]);
        assert!(is_done && said.contains("open → draining") && said.contains("would be"), "{said}");
        assert_eq!(text(&mut admin, cluster, "stage").await, "open", "a dry run does nothing");
        let (is_done, said) = order(&["undrain", cluster, "--why", "x"]);
        assert!(!is_done && said.contains("E6005"), "{said}");
        let (is_done, said) = order(&["drain", shard, "--why", "it's a drill"]);
        assert!(is_done && said.contains(&format!("{shard} is on the cluster {cluster}")), "{said}");

        // New writes are refused, the open transaction may go on; then it is killed.
        let (code, message) = errno(client.query_drop("UPDATE issues SET n = 5 WHERE id = 2").await);
        assert!(code == 1205 && message.contains("E4007"), "{code} {message}");
        run(&mut holder, "UPDATE issues SET n = 2 WHERE id = 2").await;
        until(&mut admin, (cluster, "stage"), PATIENCE_S, "drained").await;
        let sql = format!("SELECT * FROM events WHERE cluster = {cluster} AND what = kill_transactions");
        let began = Instant::now();
        let killed = loop {
            if let Some(row) = admin.query_first::<Row, _>(sql.as_str()).await.expect("it works") {
                break row.get::<String, _>("why").expect("text");
            }
            assert!(began.elapsed().as_secs() < PATIENCE_S, "nothing was killed");
            tokio::time::sleep(LOOK_EVERY).await;
        };
        assert!(killed.starts_with("0 statements and 1 connections that wrote were killed"), "{killed}");
        let (code, message) = errno(holder.query_drop("COMMIT").await);
        assert!(message.contains("bulkhead E") && code != 0, "{code} {message}");
        println!("{cluster}: a cut transaction is told {code} {message}");
        assert_eq!(value(&mut client, "SELECT n FROM issues WHERE id = 2").await, 0, "rolled back");
        assert_eq!(text(&mut admin, cluster, "set_by").await, "operator");
        assert!(text(&mut admin, cluster, "consider").await.contains("undrain"));

        let (is_done, said) = order(&["undrain", cluster, "--why", "the drill is over"]);
        assert!(is_done && said.contains("ramping"), "{said}");
        run(&mut client, "UPDATE issues SET n = 6 WHERE id = 2").await;
        let by: Vec<(String, String)> = admin
            .query_map(format!("SELECT * FROM events WHERE cluster = {cluster} AND by = app"), |row: Row| {
                (row.get("what").expect("text"), row.get("why").expect("text"))
            })
            .await
            .expect("it works");
        let by: Vec<_> = by.into_iter().rev().collect();
        assert_eq!(by[0], ("open → draining".to_owned(), "it's a drill".to_owned()), "{by:?}");
        assert_eq!(by[1].1, "the drill is over", "{by:?}");

        let (is_done, said) = order(&["freeze-ddl", cluster, "--why", "a campaign"]);
        assert!(is_done && said.contains("until THAW DDL no schema change begins"), "{said}");
        let (code, message) = errno(client.query_drop("ALTER TABLE issues ADD m INT").await);
        assert!(code == 1205 && message.contains("E4010"), "{code} {message}");
        let (is_done, said) = order(&["thaw-ddl", cluster, "--why", "it is over"]);
        assert!(is_done, "{said}");
        let (is_done, said) = order(&["failover", cluster, "--why", "a drill", "--dry-run"]);
        assert!(is_done && said.contains("refused") && said.contains("no replica"), "{said}");
    }
    let (is_done, said) = bulkhead.command(&["shard", "drain", "nowhere", "--why", "x", "-u", "app"]);
    assert!(!is_done && said.contains("there are the clusters c1, c2"), "{said}");
    let (is_done, said) = bulkhead.command(&["shard", "drain", "c1", "-u", "app"]);
    assert!(!is_done && said.contains("--why"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn operators_switch_over_and_the_policy_may_fail_over() {
    let first = Cluster::start_with_replica("c1", Flavour::MySql);
    let other = Cluster::start("c2", Flavour::MariaDb);
    let bulkhead = setup(&first, &other, "").start();
    let mut admin = bulkhead.connect_admin().await;
    make_workspaces(&mut admin).await;
    until(&mut admin, ("c1", "state"), PATIENCE_S, "healthy").await;
    let mut client = bulkhead.connect(Some("ws_1")).await;
    run(&mut client, "INSERT INTO issues VALUES (1, 1)").await;
    let address = |port: u16| format!("127.0.0.1:{port}");
    let (old, new) = (address(first.primary_port), address(first.replica_port.expect("started with one")));

    let switch = ["shard", "failover", "c1", "--to", &new, "--why", "a drill", "-u", "app"];
    let mut rehearsal = switch.to_vec();
    rehearsal.push("--dry-run");
    let (is_done, said) = bulkhead.command(&rehearsal);
    assert!(is_done && said.contains(&format!("{new} is promoted")), "{said}");
    assert_eq!(text(&mut admin, "c1", "primary").await, old, "a dry run does nothing");
    let (is_done, said) = bulkhead.command(&switch);
    assert!(is_done && said.contains("open → failing over"), "{said}");
    let took = until(&mut admin, ("c1", "primary"), PATIENCE_S, &new).await;
    until(&mut admin, ("c1", "stage"), PATIENCE_S, "open").await;
    println!("switched over after {took:?}");
    run(&mut client, "UPDATE issues SET n = 2 WHERE id = 1").await;
    let ended = wait_for_event(&mut admin, "fail_over").await;
    assert_eq!((ended[1].as_str(), &ended[3]), ("done", &format!("{new} is the primary")));

    // The new primary dies. Until the policy allows more, failing over is advised.
    first.kill(Role::Replica);
    let began = Instant::now();
    until(&mut admin, ("c1", "stage"), PATIENCE_S, "drained").await;
    println!("drained after {:?}", began.elapsed());
    let advised =
        async |admin: &mut Conn| text(admin, "c1", "advice").await.starts_with("advised failing over");
    while !advised(&mut admin).await {
        assert!(began.elapsed().as_secs() < PATIENCE_S, "nothing is advised");
        tokio::time::sleep(LOOK_EVERY).await;
    }
    assert!(text(&mut admin, "c1", "consider").await.contains("failover c1"));
    let file = bulkhead.path("bulkhead.toml");
    let config = std::fs::read_to_string(&file).expect("it is there");
    std::fs::write(&file, format!("{config}\n[ladder]\nfailover = \"act\"\n")).expect("it can be written");
    run(&mut admin, "RELOAD").await;
    let reloaded = Instant::now();
    until(&mut admin, ("c1", "primary"), PATIENCE_S, &old).await;
    println!("failed over {:?} after the reload", reloaded.elapsed());
    let mut tries = 0;
    while client.query_drop("UPDATE issues SET n = 3 WHERE id = 1").await.is_err() {
        tries += 1;
        assert!(reloaded.elapsed().as_secs() < PATIENCE_S, "writes do not flow after {tries} tries");
        tokio::time::sleep(LOOK_EVERY).await;
        client = bulkhead.connect(Some("ws_1")).await;
    }
    assert_eq!(value(&mut client, "SELECT n FROM issues WHERE id = 1").await, 3);
    let steps = events(&mut admin, "%failing over").await;
    assert!(steps.iter().any(|step| step[0] == "drained → failing over" && step[2] == "policy"), "{steps:?}");
    until(&mut admin, ("c1", "stage"), PATIENCE_S, "open").await;
    until(&mut admin, ("c2", "stage"), PATIENCE_S, "open").await;
}
