//! Fleet migrations and what others do meanwhile, on real servers of both kinds: databases that are changed
//! by hand before a retry, a revert or a second look; half of a migration; workspaces that move; tables that
//! refer to others.

mod common;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::clients::run;
use common::fleet::{ISSUES, Stand, WIDEN, WITHIN, WORKSPACES, at, tail};
use common::servers::{Cluster, Flavour, Role, Setup};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

const UNIQUE: &str = "ALTER TABLE issues ADD UNIQUE KEY u (votes)";

fn counts<const N: usize>(of: [(&str, usize); N]) -> BTreeMap<String, usize> {
    of.map(|(word, count)| (word.to_owned(), count)).into()
}

/// Databases whose table has the key.
fn with_key(stand: &Stand) -> Vec<String> {
    let mut names = Vec::new();
    for cluster in &stand.clusters {
        let found = cluster.sql(
            "SELECT table_schema FROM information_schema.statistics WHERE table_schema LIKE 'ws\\_%' AND \
             table_name = 'issues' AND index_name = 'u'",
        );
        names.extend(found.lines().map(str::to_owned));
    }
    names
}

/// Takes a migration back; the id of the one that does.
async fn revert(admin: &mut Conn, id: &str) -> String {
    run(admin, &format!("REVERT MIGRATION '{id}'")).await;
    let rows: Vec<Row> = admin.query("SHOW MIGRATIONS WHERE kind = fleet").await.expect("they are shown");
    rows[0].get("id").expect("the newest is first")
}

/// Databases that are over, by wave and by cluster.
async fn over(admin: &mut Conn, id: &str) -> [u32; 2] {
    let mut over = [0; 2];
    for (part, sum) in ["WAVES", "CLUSTERS"].into_iter().zip(&mut over) {
        let rows: Vec<Row> =
            admin.query(format!("SHOW MIGRATION {part} '{id}'")).await.expect("they are shown");
        *sum = rows.iter().map(|row| row.get::<u32, _>("over").expect("a number")).sum();
    }
    over
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn half_of_a_migration_is_taken_back_too() {
    let stand = Stand::start("").await;
    let mut admin = stand.admin().await;
    stand.sql(30, "INSERT INTO issues (title, votes) VALUES ('twice', 30)");
    let both = format!("ALTER TABLE issues ADD COLUMN a INT; {UNIQUE}");
    let id = stand.submit(&both, "WAVES '20' FAILURES 5").await;
    stand.until(&id, "finished").await;
    assert_eq!(stand.counts(&id).await, counts([("changed", 59), ("failed", 1)]));
    assert_eq!(stand.types("issues", "a"), counts([("int", 60)]), "the first statement is done there");
    let back = revert(&mut admin, &id).await;
    stand.until(&back, "finished").await;
    assert_eq!(stand.counts(&back).await, counts([("changed", 60)]), "{}", tail(&stand.bulkhead));
    assert_eq!(stand.types("issues", "a"), BTreeMap::new());
    assert_eq!(with_key(&stand), Vec::<String>::new());
    // And that is taken back: what was done is done again, the half of it where half was.
    let forth = revert(&mut admin, &back).await;
    stand.until(&forth, "finished").await;
    assert_eq!(stand.counts(&forth).await, counts([("changed", 60)]), "{}", tail(&stand.bulkhead));
    assert_eq!((stand.types("issues", "a"), with_key(&stand).len()), (counts([("int", 60)]), 59));
    let back = revert(&mut admin, &forth).await;
    stand.until(&back, "finished").await;
    assert_eq!((stand.types("issues", "a"), with_key(&stand).len()), (BTreeMap::new(), 0));
}

/// Most databases had what the first of two statements makes, and one has values there.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn what_was_there_before_is_not_taken_back() {
    let stand = Stand::start("").await;
    let mut admin = stand.admin().await;
    let mine = "INSERT INTO issues (title, votes, a) VALUES ('mine', 900, 7)";
    for id in 20..55 {
        stand.sql(id, "ALTER TABLE issues ADD COLUMN a INT");
    }
    stand.sql(30, mine);
    let both = format!("ALTER TABLE issues ADD COLUMN a INT; {UNIQUE}");
    let id = stand.submit(&both, "WAVES '20'").await;
    stand.until(&id, "finished").await;
    assert_eq!(stand.counts(&id).await, counts([("changed", 60)]));
    let back = revert(&mut admin, &id).await;
    stand.until(&back, "finished").await;
    assert_eq!(stand.counts(&back).await, counts([("changed", 60)]), "{}", tail(&stand.bulkhead));
    assert_eq!(with_key(&stand), Vec::<String>::new());
    assert_eq!(stand.types("issues", "a"), counts([("int", 35)]));
    assert_eq!(stand.sql(30, "SELECT a FROM issues WHERE title = 'mine'"), "7");
}

/// The plan says what is there; until a database's turn comes somebody may do or undo it by hand.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn what_was_there_at_its_turn_is_not_taken_back() {
    let stand = Stand::start("").await;
    let mut admin = stand.admin().await;
    stand.sql(40, "ALTER TABLE issues ADD COLUMN a INT");
    let both = format!("ALTER TABLE issues ADD COLUMN a INT; {UNIQUE}");
    for id in [40, 41] {
        run(&mut admin, &format!("SET WORKSPACE workspaces {id} STATE moving")).await;
    }
    let id = stand.submit(&both, "WAVES '20'").await;
    stand.until_changed(&id, 58).await;
    stand.sql(40, "ALTER TABLE issues DROP COLUMN a");
    stand.sql(41, "ALTER TABLE issues ADD COLUMN a INT");
    stand.sql(41, "INSERT INTO issues (title, votes, a) VALUES ('mine', 900, 7)");
    for id in [40, 41] {
        run(&mut admin, &format!("SET WORKSPACE workspaces {id} STATE active")).await;
    }
    stand.until(&id, "finished").await;
    assert_eq!(stand.counts(&id).await, counts([("changed", 60)]));
    // What it did and saw outlives its process.
    let mut stand = stand;
    stand.bulkhead.kill();
    stand.bulkhead.launch();
    stand.until(&id, "finished").await;
    let back = revert(&mut stand.admin().await, &id).await;
    stand.until(&back, "finished").await;
    assert_eq!(stand.counts(&back).await, counts([("changed", 60)]), "{}", tail(&stand.bulkhead));
    assert_eq!(with_key(&stand), Vec::<String>::new());
    assert_eq!(stand.types("issues", "a"), counts([("int", 1)]));
    assert_eq!(stand.sql(41, "SELECT a FROM issues WHERE title = 'mine'"), "7");
}

/// A retry and a revert are of the databases as they were: what others have changed since is left to them.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn what_others_changed_is_left_by_a_retry_and_a_revert() {
    let mut stand = Stand::start("").await;
    let mut admin = stand.admin().await;
    for id in [30, 31] {
        stand.sql(id, &format!("INSERT INTO issues (title, votes) VALUES ('twice', {id})"));
    }
    let id = stand.submit(UNIQUE, "WAVES '20' FAILURES 5").await;
    stand.until(&id, "finished").await;
    assert_eq!(stand.counts(&id).await, counts([("changed", 58), ("failed", 2)]));
    for id in [30, 31] {
        stand.sql(id, "DELETE FROM issues WHERE title = 'twice'");
    }
    stand.sql(30, "ALTER TABLE issues ADD COLUMN odd INT");
    run(&mut admin, &format!("RETRY MIGRATION '{id}'")).await;
    stand.until(&id, "finished").await;
    let standings = stand.standings(&id).await;
    assert_eq!((&*standings["drifted"], standings["changed"].len()), (&["ws_30".to_owned()][..], 59));
    assert_eq!(with_key(&stand).len(), 59);
    // What was is told after its end, also by a process that did not see it.
    assert_eq!(over(&mut admin, &id).await, [60, 60]);
    stand.bulkhead.kill();
    stand.bulkhead.launch();
    stand.until(&id, "finished").await;
    let mut admin = stand.admin().await;
    assert_eq!(over(&mut admin, &id).await, [60, 60]);
    stand.sql(20, "ALTER TABLE issues ADD COLUMN odd INT");
    let back = revert(&mut admin, &id).await;
    stand.until(&back, "finished").await;
    let standings = stand.standings(&back).await;
    assert_eq!((&*standings["drifted"], standings["changed"].len()), (&["ws_20".to_owned()][..], 58));
    assert_eq!(with_key(&stand), ["ws_20"]);
}

/// Between a look at the plan and its submission somebody mends what is in the way, or undoes what was done.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn what_was_mended_or_undone_since_the_last_look_is_changed() {
    let stand = Stand::start("").await;
    let mut admin = stand.admin().await;
    stand.sql(7, "ALTER TABLE issues ADD COLUMN odd INT");
    let add = "ALTER TABLE issues ADD COLUMN age INT";
    let dry_run = format!("SUBMIT MIGRATION ON workspaces '{add}' DRY RUN");
    let told: Vec<String> = admin.query(&dry_run).await.expect("it is planned");
    assert!(told.join("\n").contains("59 to change, 0 done already, 1 drifted"), "{told:?}");
    stand.sql(7, "ALTER TABLE issues DROP COLUMN odd");
    let id = stand.submit(add, "WAVES '20'").await;
    stand.until(&id, "finished").await;
    assert_eq!(stand.counts(&id).await, counts([("changed", 60)]));
    let again = format!("SUBMIT MIGRATION ON workspaces '{add}'");
    let none: Option<Row> = admin.query_first(&again).await.expect("there is nothing to do");
    let id: Option<String> = none.expect("a row").get(0).expect("a column");
    assert_eq!(id, None);
    stand.sql(3, "ALTER TABLE issues DROP COLUMN age");
    let id = stand.submit(add, "DRIFTED").await;
    stand.until(&id, "finished").await;
    // Those that were done are looked at once more, as any that came late.
    assert_eq!(stand.counts(&id).await, counts([("changed", 1), ("there", 59)]));
    assert_eq!(stand.types("issues", "age"), counts([("int", 60)]));
}

/// The databases in the order in which they were over.
async fn in_order(stand: &Stand, id: &str) -> Vec<(String, usize)> {
    let question = format!("SHOW MIGRATION DATABASES '{id}' LIMIT 1000");
    let rows: Vec<Row> = stand.admin().await.query(question).await.expect("they are shown");
    let place = |row: &Row| {
        let database: String = row.get("database").expect("a name");
        let cluster: String = row.get("cluster").expect("a name");
        let number = cluster.trim_start_matches('c').parse().expect("its number");
        let ended: Option<String> = row.get("ended").expect("a moment, or none");
        (ended.unwrap_or_default(), database, number)
    };
    let mut places: Vec<(String, String, usize)> = rows.iter().map(place).collect();
    places.sort();
    places.into_iter().map(|(_, database, cluster)| (database, cluster)).collect()
}

/// One workspace moves to another cluster while the others are done, those of a list first.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_workspace_that_moves_is_changed_where_it_comes_to_be() {
    let stand = Stand::start("").await;
    let mut admin = stand.admin().await;
    assert_eq!(at(9), 0);
    run(&mut admin, "SET WORKSPACE workspaces 9 STATE moving").await;
    let listed = ["ws_50", "ws_41", "ws_20"];
    assert!([50, 41, 20].iter().all(|id| at(*id) == 2));
    let options = "CANARY 0 WAVES '100' ORDER 'ws_50,41,ws_20' AT ONCE 1";
    let id = stand.submit("ALTER TABLE issues ADD COLUMN age INT", options).await;
    stand.until_changed(&id, 59).await;
    let order = in_order(&stand, &id).await;
    let first = order.iter().filter(|(_, cluster)| *cluster == 3).map(|(database, _)| database.as_str());
    assert_eq!(first.take(3).collect::<Vec<_>>(), listed);
    assert_eq!(stand.standings(&id).await["later"], ["ws_9"]);
    assert_eq!(stand.state(&id).await, "active");
    // It moves, and is as it was.
    let made = stand.sql(9, "SHOW CREATE TABLE issues");
    assert!(!made.contains("age"), "nobody has touched it: {made}");
    stand.clusters[0].sql("DROP DATABASE ws_9");
    stand.clusters[1].sql(&format!(
        "CREATE DATABASE ws_9; USE ws_9; {}; INSERT INTO issues (title, votes) VALUES ('first', 9)",
        ISSUES
    ));
    run(&mut admin, "SET WORKSPACE workspaces 9 SHARD b").await;
    run(&mut admin, "SET WORKSPACE workspaces 9 STATE active").await;
    stand.until(&id, "finished").await;
    assert_eq!(stand.counts(&id).await, counts([("changed", 60)]), "{}", tail(&stand.bulkhead));
    assert_eq!(stand.types("issues", "age"), counts([("int", 60)]));
    let order = in_order(&stand, &id).await;
    assert_eq!(order.last(), Some(&("ws_9".to_owned(), 2)), "on the second cluster");
}

/// A table that refers to another one is put away, and holds none of its rows any more.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_table_that_is_put_away_holds_no_rows_of_others_and_goes_in_time() {
    let mut stand = Stand::start("").await;
    for (cluster, number) in stand.clusters.iter().zip(0..) {
        let own = (1..=WORKSPACES).filter(|id| at(*id) == number);
        let script = own.map(|id| {
            format!(
                "CREATE TABLE ws_{id}.`it``s` (id INT PRIMARY KEY, issue INT NOT NULL, CONSTRAINT `of it` \
                 FOREIGN KEY (issue) REFERENCES ws_{id}.issues (id)); \
                 INSERT INTO ws_{id}.`it``s` SELECT 1, id FROM ws_{id}.issues; "
            )
        });
        cluster.sql(&script.collect::<String>());
    }
    let id = stand.submit("DROP TABLE `it``s`", "DRIFTED WAVES '20'").await;
    stand.until(&id, "finished").await;
    assert_eq!(stand.counts(&id).await, counts([("changed", 60)]), "{}", tail(&stand.bulkhead));
    for workspace in [1, 2, 3] {
        stand.sql(workspace, "DELETE FROM issues");
        assert_eq!(stand.sql(workspace, "SELECT COUNT(*) FROM issues"), "0");
    }
    for cluster in &stand.clusters {
        // They are kept, with their rows.
        let tables = cluster.sql("SHOW TABLES FROM zz_bulkhead LIKE 'old\\_%'");
        let first = tables.lines().next().expect("it is kept");
        assert_eq!(tables.lines().count(), 20);
        assert_eq!(cluster.sql(&format!("SELECT COUNT(*) FROM zz_bulkhead.{first}")).trim(), "1");
    }
    // A table that was put away a month ago, and what a process that was killed has left.
    stand.bulkhead.kill();
    let month = Duration::from_secs(30 * 24 * 3600);
    let then = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later") - month;
    for cluster in &stand.clusters {
        cluster.sql(&format!(
            "CREATE TABLE zz_bulkhead.old_{:012x}abcd (id INT PRIMARY KEY); \
             CREATE VIEW zz_bulkhead.twin_4000000000 AS SELECT 1",
            then.as_millis()
        ));
    }
    stand.bulkhead.launch();
    for cluster in &stand.clusters {
        let tables = || cluster.sql("SHOW TABLES FROM zz_bulkhead");
        let left = || tables().lines().filter(|name| name.starts_with("old_")).count();
        let is_cleared = common::servers::wait_until(|| left() == 20 && !tables().contains("twin_"));
        assert!(is_cleared, "{}\n{}", tables(), tail(&stand.bulkhead));
    }
}

/// Whoever waits hears why it does not go on.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_session_is_told_that_it_stopped_or_was_cancelled() {
    let stand = Stand::start("").await;
    let mut admin = stand.admin().await;
    // Every database that can be a canary.
    for id in 1..=9 {
        stand.sql(id, &format!("INSERT INTO issues (title, votes) VALUES ('twice', {id})"));
    }
    let mut session = stand.bulkhead.connect(Some("workspaces")).await;
    let refused = session.query_drop(UNIQUE).await.expect_err("it stops").to_string();
    assert!(refused.contains("E7205") && refused.contains("Duplicate entry"), "{refused}");
    let rows: Vec<Row> = admin.query("SHOW MIGRATIONS WHERE kind = fleet").await.expect("they are shown");
    let id: String = rows[0].get("id").expect("an id");
    assert_eq!(stand.state(&id).await, "stopped");
    assert_eq!(with_key(&stand), Vec::<String>::new(), "nothing was begun behind the canaries");
    run(&mut admin, &format!("CANCEL MIGRATION '{id}'")).await;
    stand.until(&id, "cancelled").await;
    for cluster in ["c1", "c2", "c3"] {
        run(&mut admin, &format!("FREEZE DDL ON {cluster} WHY 'a test'")).await;
    }
    let waiting =
        tokio::spawn(async move { session.query_drop("ALTER TABLE issues ADD COLUMN age INT").await });
    let begun = async {
        loop {
            let rows: Vec<Row> =
                admin.query("SHOW MIGRATIONS WHERE kind = fleet").await.expect("they are shown");
            let newest: String = rows[0].get("id").expect("an id");
            if newest != id {
                return newest;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let next = tokio::time::timeout(WITHIN, begun).await.expect("it is taken on");
    run(&mut admin, &format!("CANCEL MIGRATION '{next}'")).await;
    let refused = waiting.await.expect("it ends").expect_err("it is cancelled").to_string();
    assert!(refused.contains("E7206") && refused.contains("1317"), "{refused}");
    assert_eq!(stand.types("issues", "age"), BTreeMap::new());
}

/// A database that is dropped while its table is copied is gone, and no failure that would stop the others.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_database_that_is_dropped_under_its_copy_is_gone() {
    let stand = Stand::start("").await;
    let mut admin = stand.admin().await;
    let fill = "SET cte_max_recursion_depth = 1000000; INSERT INTO issues (title, votes) \
                WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) \
                SELECT REPEAT('x', 50), i FROM n";
    stand.sql(3, fill);
    let id = stand.submit(WIDEN, "CANARY 'ws_3' WAVES '20'").await;
    let copying = async {
        let copy = "SHOW MIGRATIONS WHERE kind = copy AND database = ws_3 AND state = copying";
        while admin.query::<Row, _>(copy).await.expect("they are shown").is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WITHIN, copying).await.expect("it is copied");
    stand.clusters[0].sql("DROP DATABASE ws_3");
    stand.until(&id, "finished").await;
    let standings = stand.standings(&id).await;
    assert_eq!(standings["gone"], ["ws_3"], "{standings:?}\n{}", tail(&stand.bulkhead));
    assert_eq!(standings["changed"].len(), 59, "{standings:?}");
}

/// A view is the one that a statement makes only if all of it is: MySQL tells its algorithm elsewhere.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_view_with_another_algorithm_is_another_view() {
    let stand = Stand::start("").await;
    for (cluster, id) in stand.clusters.iter().zip([3, 1, 2]) {
        let mut conn = cluster.connect(Role::Primary, "bulkhead_admin").await;
        run(&mut conn, "SET NAMES utf8mb4").await;
        for (algorithm, id) in [("TEMPTABLE", id), ("UNDEFINED", id + 3)] {
            run(&mut conn, &format!("USE ws_{id}")).await;
            let view = "VIEW `sh``ort` AS SELECT title FROM issues";
            run(&mut conn, &format!("CREATE ALGORITHM={algorithm} {view}")).await;
        }
    }
    let id = stand.submit("CREATE VIEW `sh``ort` AS SELECT title FROM issues", "DRIFTED WAVES '20'").await;
    stand.until(&id, "finished").await;
    let standings = stand.standings(&id).await;
    let names = |state: &str| {
        let mut names = standings[state].clone();
        names.sort();
        names
    };
    assert_eq!(names("drifted"), ["ws_1", "ws_2", "ws_3"], "{standings:?}");
    assert_eq!(names("there"), ["ws_4", "ws_5", "ws_6"], "{standings:?}");
    assert_eq!(standings["changed"].len(), 54);
}

/// A statement that is for the databases that have a table does not end the plan in those that have not.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_statement_for_those_that_have_the_table_is_followed_by_the_next() {
    let cluster = Cluster::start("c1", Flavour::MariaDb);
    let bulkhead = Setup::default()
        .cluster(&cluster)
        .config(
            "[keyspaces.workspaces]\nshards = { a = \"c1\" }\n[schema_changes.fleet]\nsoak = \"0s\"\n\
             statements_per_second = 200\n",
        )
        .vschema("workspaces.toml", "layout = \"database_per_workspace\"\ndatabase = \"ws_{workspace_id}\"\n")
        .start();
    let mut admin = bulkhead.connect_admin().await;
    for id in 1..=4 {
        cluster.sql(&format!("CREATE DATABASE ws_{id}; CREATE TABLE ws_{id}.issues (id INT PRIMARY KEY)"));
        run(&mut admin, &format!("CREATE WORKSPACE workspaces {id} ON a")).await;
    }
    for id in [1, 2] {
        cluster.sql(&format!("CREATE TABLE ws_{id}.extras (id INT PRIMARY KEY)"));
    }
    let several = "ALTER TABLE IF EXISTS extras ADD COLUMN a INT; ALTER TABLE issues ADD COLUMN a INT";
    run(&mut admin, &format!("SUBMIT MIGRATION ON workspaces '{several}' DRIFTED WAVES '50'")).await;
    let ended = common::servers::wait_until(|| {
        let tables = cluster.sql(
            "SELECT CONCAT(table_schema, '.', table_name) FROM information_schema.columns WHERE \
             column_name = 'a' AND table_schema LIKE 'ws\\_%' ORDER BY 1",
        );
        let wanted =
            ["ws_1.extras", "ws_1.issues", "ws_2.extras", "ws_2.issues", "ws_3.issues", "ws_4.issues"];
        tables.lines().eq(wanted)
    });
    let rows: Vec<Row> = admin.query("SHOW MIGRATIONS WHERE kind = fleet").await.expect("they are shown");
    assert!(ended, "{rows:?}");
}
