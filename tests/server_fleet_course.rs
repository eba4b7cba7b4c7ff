//! What befalls fleet migrations on their way, on real servers of both kinds: one that waits for another, one
//! that is taken back, an order by size, a cluster that is drained, one that fails over and one that stalls.

mod common;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use common::clients::run;
use common::fleet::{Stand, WIDEN, WITHIN, at, tail};
use common::servers::{Cluster, Flavour, Role};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

/// One database in five seconds on each cluster, so that it is seen under way on any machine: of changes in
/// place, which are one statement, and of copies, which count as five.
const SLOWLY: &str = "AT ONCE 1 PER SECOND 0.2";
const COPIES_SLOWLY: &str = "AT ONCE 1 PER SECOND 1";

/// One fact of a migration.
async fn fact(stand: &Stand, id: &str, name: &str) -> String {
    let rows: Vec<Row> =
        stand.admin().await.query(format!("SHOW MIGRATION '{id}'")).await.expect("it is shown");
    let is_it = |row: &&Row| row.get::<String, _>("name").as_deref() == Some(name);
    rows.iter().find(is_it).and_then(|row| row.get("value")).unwrap_or_default()
}

/// How many databases are over in each wave, and in each cluster.
async fn parts(stand: &Stand, id: &str) -> (Vec<u32>, Vec<u32>) {
    let mut admin = stand.admin().await;
    let mut over = Vec::new();
    for part in ["WAVES", "CLUSTERS"] {
        let rows: Vec<Row> =
            admin.query(format!("SHOW MIGRATION {part} '{id}'")).await.expect("they are shown");
        over.push(rows.iter().map(|row| row.get("over").expect("a number")).collect());
    }
    let clusters = over.pop().expect("two");
    (over.pop().expect("one"), clusters)
}

/// Two statements of one table, the second of which means nothing before the first is done.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn one_that_waits_for_another_is_planned_again_when_its_turn_comes() {
    let mut stand = Stand::start("").await;
    let mut admin = stand.admin().await;
    let add = stand.submit("ALTER TABLE issues ADD COLUMN a INT", SLOWLY).await;
    // What would be done is told of as it is now, and not refused for that.
    let plan = "SUBMIT MIGRATION ON workspaces 'ALTER TABLE issues MODIFY a BIGINT' DRY RUN";
    let told: Vec<String> = admin.query(plan).await.expect("it is planned");
    let told = told.join("\n");
    for part in ["waits until fleet migration", "planned again when its turn comes", "there is no column a"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let widen =
        stand.submit("ALTER TABLE issues MODIFY a BIGINT", "CANARY '5,6' WAVES '20' ORDER SIZE").await;
    let odd = stand.submit("ALTER TABLE issues MODIFY nothing BIGINT", "").await;
    // Values may be lost by then: that is refused, though nobody can tell now.
    let narrow = stand.submit("ALTER TABLE issues MODIFY a SMALLINT", "").await;
    // What the rules refuse is refused at once, also behind another one.
    let refused = "SUBMIT MIGRATION ON workspaces 'ALTER TABLE issues DROP COLUMN title'";
    assert!(admin.query_drop(refused).await.is_err());
    run(&mut admin, &format!("SKIP DATABASE ws_20 OF MIGRATION '{widen}'")).await;
    // One that is gone when the turn comes, and one that somebody has made as it should be.
    run(&mut admin, "DROP WORKSPACE workspaces 21 FORCE").await;
    assert_eq!(fact(&stand, &widen, "step").await, "queued");
    stand.bulkhead.kill();
    stand.bulkhead.launch();
    stand.until(&add, "active").await;
    assert_eq!(fact(&stand, &widen, "step").await, "queued", "{}", tail(&stand.bulkhead));
    let mut admin = stand.admin().await;
    run(&mut admin, &format!("PACE MIGRATION '{add}' OFF")).await;
    stand.until(&add, "finished").await;
    stand.until(&widen, "finished").await;
    stand.until(&odd, "finished").await;
    stand.until(&narrow, "refused").await;
    let counts = stand.counts(&widen).await;
    let expected = [("changed", 58), ("gone", 1), ("skipped", 1)];
    assert_eq!(
        counts,
        expected.map(|(word, count)| (word.to_owned(), count)).into(),
        "{}",
        tail(&stand.bulkhead)
    );
    let types = stand.types("issues", "a");
    assert_eq!(types.get("bigint"), Some(&58), "{types:?}");
    let skipped = "SELECT data_type FROM information_schema.columns WHERE table_schema = 'ws_20' AND \
                   table_name = 'issues' AND column_name = 'a'";
    assert_eq!(stand.sql(20, skipped), "int");
    let counts = stand.counts(&odd).await;
    assert_eq!((counts.get("drifted"), counts.get("changed")), (Some(&59), None), "{counts:?}");
    assert!(!fact(&stand, &narrow, "waits_for").await.is_empty());
    assert_eq!(stand.counts(&narrow).await.get("waiting"), Some(&60), "nothing was begun");
    // What was is still told.
    let (waves, clusters) = parts(&stand, &widen).await;
    assert_eq!((waves.len(), waves.iter().sum::<u32>()), (3, 60), "{waves:?}");
    assert_eq!((clusters.len(), clusters.iter().sum::<u32>()), (3, 60), "{clusters:?}");
    let counts = stand.counts(&add).await;
    assert_eq!(counts.get("drifted"), None, "{counts:?}");
}

/// Copies are taken back through the tables that they left, with what was written since; what was made in
/// place by a statement.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_migration_is_taken_back() {
    let stand = Stand::start("").await;
    let mut admin = stand.admin().await;
    let id = stand.submit(WIDEN, "WAVES '20'").await;
    stand.until(&id, "finished").await;
    assert_eq!(stand.types("issues", "votes"), BTreeMap::from([("bigint".to_owned(), 60)]));
    for workspace in [1, 2, 3, 40] {
        stand.sql(
            workspace,
            "INSERT INTO issues (title, votes) VALUES ('since', 7); DELETE FROM issues WHERE title = 'first'",
        );
    }
    let back: Option<Row> =
        admin.query_first(format!("REVERT MIGRATION '{id}'")).await.expect("it is taken back");
    println!("{back:?}");
    let rows: Vec<Row> = admin.query("SHOW MIGRATIONS WHERE kind = fleet").await.expect("they are shown");
    let back: String = rows[0].get("id").expect("the newest is first");
    assert_eq!(fact(&stand, &back, "reverts").await, id);
    stand.until(&back, "finished").await;
    assert_eq!(
        stand.counts(&back).await,
        BTreeMap::from([("changed".to_owned(), 60)]),
        "{}",
        tail(&stand.bulkhead)
    );
    assert_eq!(stand.types("issues", "votes"), BTreeMap::from([("int".to_owned(), 60)]));
    for workspace in [1, 2, 3, 40] {
        assert_eq!(stand.sql(workspace, "SELECT CONCAT(title, votes) FROM issues"), "since7");
    }
    assert_eq!(stand.sql(4, "SELECT CONCAT(title, votes) FROM issues"), "first4");
    // Each by the table that was kept: no table was copied a second time.
    let copies: Vec<Row> = admin.query("SHOW MIGRATIONS WHERE kind = copy").await.expect("they are shown");
    let mut reverts = 0;
    for copy in &copies {
        let one: String = copy.get("id").expect("an id");
        reverts += usize::from(!fact(&stand, &one, "reverts").await.is_empty());
    }
    assert_eq!((copies.len(), reverts), (120, 60));
    // In place, and back by the statement that undoes it.
    let id = stand.submit("ALTER TABLE issues ADD COLUMN age INT", "WAVES '20'").await;
    stand.until(&id, "finished").await;
    run(&mut admin, &format!("REVERT MIGRATION '{id}'")).await;
    let rows: Vec<Row> = admin.query("SHOW MIGRATIONS WHERE kind = fleet").await.expect("they are shown");
    let back: String = rows[0].get("id").expect("the newest is first");
    stand.until(&back, "finished").await;
    assert_eq!(stand.types("issues", "age"), BTreeMap::new(), "{}", tail(&stand.bulkhead));
}

/// When the databases of a migration were over, in order.
async fn in_order(stand: &Stand, id: &str) -> Vec<String> {
    let question = format!("SHOW MIGRATION DATABASES '{id}' LIMIT 1000");
    let rows: Vec<Row> = stand.admin().await.query(question).await.expect("they are shown");
    let ended =
        |row: &Row| (row.get::<String, _>("ended").expect("it is over"), row.get::<String, _>("database"));
    let mut ended: Vec<_> = rows.iter().map(ended).collect();
    ended.sort();
    ended.into_iter().filter_map(|(_, database)| database).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn the_smallest_come_first_where_that_is_asked_for() {
    let stand = Stand::start("").await;
    // Megabytes, on one cluster of each kind; the names are in another order than the sizes.
    for (workspace, rows) in [(3, 9_000), (12, 3_000), (5, 9_000), (14, 3_000)] {
        let fill = format!(
            "INSERT INTO issues (title, votes) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 \
             FROM n WHERE i < {rows}) SELECT REPEAT('x', 50), i FROM n; ANALYZE TABLE issues"
        );
        let deeper = match at(workspace) {
            2 => "SET max_recursive_iterations = 100000",
            _ => "SET cte_max_recursion_depth = 100000",
        };
        stand.sql(workspace, &format!("{deeper}; {fill}"));
    }
    // One at a time, so that the order shows; each database takes longer than the clock's step.
    let id = stand
        .submit("ALTER TABLE issues ADD COLUMN age INT", "CANARY 0 WAVES '100' ORDER SIZE AT ONCE 1")
        .await;
    stand.until(&id, "finished").await;
    let order = in_order(&stand, &id).await;
    let of = |cluster: usize| -> Vec<&str> {
        let is_on = |name: &&String| name["ws_".len()..].parse::<usize>().is_ok_and(|id| at(id) == cluster);
        order.iter().filter(is_on).map(String::as_str).collect()
    };
    for (cluster, last) in [(0, ["ws_12", "ws_3"]), (2, ["ws_14", "ws_5"])] {
        let own = of(cluster);
        assert_eq!((own.len(), &own[18..]), (20, &last[..]), "{own:?}");
    }
}

/// How many columns of a cluster's workspaces have a type, on one of its servers.
async fn count_on(cluster: &Cluster, role: Role, kind: &str) -> usize {
    let mut conn: Conn = cluster.connect(role, "root").await;
    let question = format!(
        "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema LIKE 'ws\\_%' \
         AND table_name = 'issues' AND column_name = 'votes' AND data_type = '{kind}'"
    );
    conn.query_first(question).await.expect("it answers").expect("a number")
}

/// Waits until every database of the clusters that are not drained is changed.
async fn until_all_but(stand: &Stand, id: &str, cluster: &str) {
    let until = Instant::now() + WITHIN;
    loop {
        let rows: Vec<Row> = stand
            .admin()
            .await
            .query(format!("SHOW MIGRATION CLUSTERS '{id}'"))
            .await
            .expect("they are shown");
        let is_open = |row: &&Row| {
            row.get::<String, _>("cluster").as_deref() != Some(cluster)
                && row.get::<u32, _>("over") < row.get::<u32, _>("databases")
        };
        if !rows.iter().any(|row| is_open(&row)) {
            return;
        }
        assert!(Instant::now() < until, "{rows:?}\n{}", tail(&stand.bulkhead));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// One cluster is drained in the middle and comes back; meanwhile another one gets a new primary.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn the_part_of_a_drained_cluster_waits_and_a_failover_is_followed() {
    let clusters = [
        Cluster::start_with_replica("c1", Flavour::MySql),
        Cluster::start("c2", Flavour::MySql),
        Cluster::start("c3", Flavour::MariaDb),
    ];
    let stand = Stand::on(clusters, "").await;
    let mut admin = stand.admin().await;
    let id = stand.submit(WIDEN, &format!("CANARY 3 WAVES '20' {COPIES_SLOWLY}")).await;
    stand.until_changed(&id, 6).await;
    run(&mut admin, "DRAIN CLUSTER c2 WHY 'a test'").await;
    let to = stand.clusters[0].replica_port.expect("it has one");
    run(&mut admin, &format!("FAILOVER CLUSTER c1 TO '127.0.0.1:{to}' WHY 'a test'")).await;
    run(&mut admin, &format!("PACE MIGRATION '{id}' OFF")).await;
    until_all_but(&stand, &id, "c2").await;
    let drained = count_on(&stand.clusters[1], Role::Primary, "bigint").await;
    assert!(drained < 20, "{drained} of the drained cluster's");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(count_on(&stand.clusters[1], Role::Primary, "bigint").await, drained, "its part waits");
    assert_eq!(stand.state(&id).await, "active");
    run(&mut admin, "UNDRAIN CLUSTER c2 WHY 'it is over'").await;
    stand.until(&id, "finished").await;
    assert_eq!(
        stand.counts(&id).await,
        BTreeMap::from([("changed".to_owned(), 60)]),
        "{}",
        tail(&stand.bulkhead)
    );
    let on = [(0, Role::Replica), (1, Role::Primary), (2, Role::Primary)];
    for (cluster, role) in on {
        assert_eq!(count_on(&stand.clusters[cluster], role, "bigint").await, 20, "cluster {cluster}");
    }
    // Each table was exchanged once, on whichever server was the primary then.
    let mut conn = stand.clusters[0].connect(Role::Replica, "root").await;
    let tables: Vec<String> = conn.query("SHOW TABLES FROM zz_bulkhead").await.expect("they are shown");
    assert_eq!(tables.iter().filter(|name| name.starts_with("old_")).count(), 20, "{tables:?}");
}

/// Whether a cluster's lane is open, and what is said of it.
async fn lane(stand: &Stand, cluster: &str) -> String {
    let rows: Vec<Row> = stand.admin().await.query("SHOW DDL LANES").await.expect("they are shown");
    let is_it = |row: &&Row| row.get::<String, _>("cluster").as_deref() == Some(cluster);
    rows.iter().find(is_it).and_then(|row| row.get("lane")).unwrap_or_default()
}

/// A server hangs while its databases are changed: canaries bear no such thing, and the migration waits for
/// an operator, on the other clusters too.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn it_stops_by_itself_where_a_cluster_becomes_suspect_under_it() {
    let stand = Stand::start("").await;
    let mut admin = stand.admin().await;
    let id = stand.submit(WIDEN, &format!("CANARY 30 WAVES '100' {COPIES_SLOWLY}")).await;
    stand.until_changed(&id, 3).await;
    stand.clusters[0].signal(Role::Primary, "STOP");
    stand.until(&id, "stopped").await;
    assert!(lane(&stand, "c1").await.starts_with("closed"), "{}", lane(&stand, "c1").await);
    assert!(lane(&stand, "c2").await.starts_with("open"), "{}", lane(&stand, "c2").await);
    assert_eq!(fact(&stand, &id, "waits_for").await, "cluster c1 became suspect in wave canary");
    // What was begun by then ends; nothing else is begun.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let changed = stand.counts(&id).await["changed"];
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(stand.counts(&id).await["changed"], changed, "{}", tail(&stand.bulkhead));
    stand.clusters[0].signal(Role::Primary, "CONT");
    run(&mut admin, &format!("PACE MIGRATION '{id}' OFF")).await;
    run(&mut admin, &format!("RESUME MIGRATION '{id}'")).await;
    stand.until(&id, "finished").await;
    let all = BTreeMap::from([("changed".to_owned(), 60)]);
    assert_eq!(stand.counts(&id).await, all, "{}", tail(&stand.bulkhead));
    for cluster in &stand.clusters {
        assert_eq!(count_on(cluster, Role::Primary, "bigint").await, 20);
        let old = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'zz_bulkhead' AND \
                   table_name LIKE 'old\\_%'";
        assert_eq!(cluster.sql(old).trim(), "20", "each was exchanged once");
    }
}
