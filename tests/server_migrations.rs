//! Online schema changes on real servers: writers that lose nothing, a process that ends at every step, lost
//! connections, holders of locks, cancelling.
//!
//! A migration is written into the store while no proxy runs, and carried out by the one that starts then: so
//! these tests need no session that decides about statements, and a process can be told where to stop.

mod common;
#[path = "migrations_run/fleet.rs"]
mod fleet;
#[path = "migrations_run/relay.rs"]
mod relay;
#[path = "migrations_run/writers.rs"]
mod writers;

use std::time::{Duration, Instant};

use bulkhead::migrations::{Command, Ended, MigrationRequest, State, Step};
use common::clients::{run, value};
use common::servers::{Flavour, Role};
use fleet::{Fleet, WIDEN};
use mysql_async::Row;
use mysql_async::prelude::Queryable;
use relay::{Cut, Relay};
use writers::Writers;

const BOTH: [Flavour; 2] = [Flavour::MySql, Flavour::MariaDb];

/// Rows of a table that takes the way of the feed.
const MANY: u32 = 4_000;
/// Rows of a table of one chunk.
const FEW: u32 = 200;
/// Rows whose copies take more than a file may have.
const SPREAD: u32 = 12_000;
/// What a file may have: more than any of these servers has else, which is MariaDB's redo log of 32 MiB.
const FILE_BYTES_MAX: u64 = 40 << 20;
/// Clients are held for one attempt of an exchange (`swap_within`, 3 s), not until its table is free.
const HELD_MAX: Duration = Duration::from_secs(20);
/// What comes is waited for so long.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_small_table_is_changed_at_once() {
    for flavour in BOTH {
        let mut fleet = Fleet::start("small", flavour).await;
        fleet.make_table("t", FEW).await;
        let before = fleet.sum("t").await;
        fleet.launch(None);
        fleet.stop();
        let id = fleet.submit("t", WIDEN, false).await;
        fleet.launch(None);
        assert_eq!(fleet.wait_for(&id, "done").await, "done", "{flavour:?}: {}", fleet.tell(&id).await);
        assert_eq!(fleet.sum("t").await, before, "{flavour:?}");
        assert_eq!(fleet.type_of("t", "n").await, "bigint", "{flavour:?}");
        let swap: f64 = fleet.fact(&id, "swap_ms").await.parse().expect("a number");
        assert!(swap < 1000.0, "{flavour:?}: {swap} ms");
        assert_eq!(fleet.artifacts().await, [format!("old_{id}")], "{flavour:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn writers_lose_nothing() {
    for flavour in BOTH {
        let mut fleet = Fleet::start("writers", flavour).await;
        fleet.make_table("t", MANY).await;
        let id = fleet.submit("t", WIDEN, true).await;
        fleet.launch(None);
        let writers = Writers::start(&fleet, "t", MANY).await;
        assert_eq!(fleet.wait_for(&id, "postponed").await, "postponed", "{}", fleet.tell(&id).await);
        writers.go_on_for(Duration::from_secs(1)).await;
        fleet.admin(&format!("CUT OVER MIGRATION '{id}'")).await;
        assert_eq!(fleet.wait_for(&id, "done").await, "done", "{flavour:?}: {}", fleet.tell(&id).await);
        writers.go_on_for(Duration::from_secs(1)).await;
        let ledger = writers.stop().await;
        assert!(ledger.writes > 500, "{flavour:?}: {} writes", ledger.writes);
        ledger.compare(&fleet, "t").await;
        assert_eq!(fleet.type_of("t", "n").await, "bigint", "{flavour:?}");
        eprintln!(
            "{flavour:?}: {} writes acknowledged, slowest {:?}, swap {} ms, {} attempts",
            ledger.writes,
            ledger.slowest,
            fleet.fact(&id, "swap_ms").await,
            fleet.fact(&id, "attempts").await
        );
    }
}

/// Readers of the shadow table hold its metadata lock while the tables are exchanged: no writer may slip in
/// between the unlocking and the RENAME.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn readers_of_the_shadow_open_no_hole() {
    for flavour in BOTH {
        let mut fleet = Fleet::start("readers", flavour).await;
        fleet.make_table("t", MANY).await;
        let id = fleet.submit("t", WIDEN, true).await;
        fleet.launch(None);
        let writers = Writers::start(&fleet, "t", MANY).await;
        assert_eq!(fleet.wait_for(&id, "postponed").await, "postponed", "{}", fleet.tell(&id).await);
        let readers = fleet.read_shadow(&id, 4).await;
        fleet.admin(&format!("CUT OVER MIGRATION '{id}'")).await;
        assert_eq!(fleet.wait_for(&id, "done").await, "done", "{flavour:?}: {}", fleet.tell(&id).await);
        readers.abort_all();
        writers.go_on_for(Duration::from_millis(500)).await;
        writers.stop().await.compare(&fleet, "t").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_process_that_ends_at_any_step_is_followed_by_one_that_goes_on_mysql() {
    end_at_every_step(Flavour::MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_process_that_ends_at_any_step_is_followed_by_one_that_goes_on_mariadb() {
    end_at_every_step(Flavour::MariaDb).await;
}

async fn end_at_every_step(flavour: Flavour) {
    let mut fleet = Fleet::start("steps", flavour).await;
    // One chunk needs no feed; of a fleet's nothing is written down between its beginning and its end.
    for (rows, is_paced) in [(MANY, false), (FEW, false), (FEW, true)] {
        for (at, step) in Step::ALL.into_iter().enumerate() {
            let is_feeds = matches!(step, Step::Subscribe | Step::Copy | Step::Index | Step::Verify);
            for side in ["before", "after"] {
                if rows == MANY || !is_feeds {
                    let table = format!("t{at}{side}{rows}{is_paced}");
                    let is_postponed = step == Step::Await;
                    let request = Fleet::request(&table, WIDEN, is_postponed);
                    let request = MigrationRequest { is_paced, ..request };
                    end_at(&mut fleet, (request, rows), (side, step)).await;
                }
            }
        }
    }
}

/// A process ends at one point; the next one goes on; the table is changed, has every row, and nothing is
/// left.
async fn end_at(fleet: &mut Fleet, (request, rows): (MigrationRequest, u32), (side, step): (&str, Step)) {
    let point = format!("{side}:{} {}", step.name(), request.table);
    let (table, is_postponed) = (&request.table.clone(), request.postponed);
    fleet.make_table(table, rows).await;
    let before = fleet.sum(table).await;
    let id = fleet.submit_as(request).await;
    fleet.launch(Some(&format!("{side}:{}", step.name())));
    if is_postponed && side == "after" {
        fleet.wait_for_or_gone(&id, "postponed").await;
        // The process may have stopped before it answers.
        let _ = fleet.try_admin(&format!("CUT OVER MIGRATION '{id}'")).await;
    }
    if step == Step::Retire {
        fleet.wait_for_or_gone(&id, "done").await;
        let _ = fleet.try_admin(&format!("RETIRE MIGRATION '{id}'")).await;
    }
    assert!(fleet.wait_for_end().await, "{point}: it is reached");
    assert_eq!(fleet.sum(table).await, before, "{point}: rows are there, whichever table has the name");
    fleet.launch(None);
    if is_postponed && side == "before" {
        fleet.wait_for(&id, "postponed").await;
        fleet.admin(&format!("CUT OVER MIGRATION '{id}'")).await;
    }
    let state = fleet.wait_for(&id, "done").await;
    assert_eq!(state, "done", "{:?}, {point}: {}", fleet.flavour(), fleet.tell(&id).await);
    assert_eq!(fleet.sum(table).await, before, "{point}");
    assert_eq!(fleet.type_of(table, "n").await, "bigint", "{point}");
    fleet.retire(&id).await;
    assert_eq!(fleet.artifacts_when_quiet().await, Vec::<String>::new(), "{point}");
    fleet.stop();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_connection_lost_around_the_rename_is_looked_into() {
    for flavour in BOTH {
        for cut in [Cut::BeforeRename, Cut::AfterRename] {
            for rows in [MANY, FEW] {
                let relay = Relay::default();
                let mut fleet = Fleet::start_behind("lost", flavour, &relay).await;
                fleet.make_table("t", rows).await;
                let before = fleet.sum("t").await;
                let id = fleet.submit("t", WIDEN, false).await;
                relay.cut_once(cut);
                fleet.launch(None);
                let state = fleet.wait_for(&id, "done").await;
                assert_eq!(state, "done", "{flavour:?} {cut:?} {rows}: {}", fleet.tell(&id).await);
                assert_eq!(relay.cuts(), 1, "{flavour:?} {cut:?} {rows}");
                assert_eq!(fleet.sum("t").await, before, "{flavour:?} {cut:?} {rows}");
                assert_eq!(fleet.type_of("t", "n").await, "bigint", "{flavour:?} {cut:?} {rows}");
            }
        }
    }
}

/// The server is gone right behind the RENAME: neither success nor failure is told, until it answers.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn an_end_that_nobody_knows_is_told_as_unknown() {
    let relay = Relay::default();
    let mut fleet = Fleet::start_behind("unknown", Flavour::MySql, &relay).await;
    fleet.make_table("t", FEW).await;
    let id = fleet.submit("t", WIDEN, false).await;
    relay.cut_once(Cut::AfterRenameForGood);
    fleet.launch(None);
    assert_eq!(fleet.wait_for(&id, "unknown").await, "unknown", "{}", fleet.tell(&id).await);
    relay.mend();
    assert_eq!(fleet.wait_for(&id, "done").await, "done", "{}", fleet.tell(&id).await);
    assert_eq!(fleet.type_of("t", "n").await, "bigint");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_holder_of_the_table_delays_the_exchange_and_nothing_else() {
    for flavour in BOTH {
        let mut fleet = Fleet::start("holder", flavour).await;
        fleet.make_table("t", FEW).await;
        let mut holder = fleet.cluster.connect(Role::Primary, "bulkhead_app").await;
        run(&mut holder, "BEGIN").await;
        run(&mut holder, "SELECT COUNT(*) FROM app.t").await;
        let id = fleet.submit("t", WIDEN, false).await;
        fleet.launch(None);
        assert!(fleet.waits(&id).await, "{flavour:?}: {}", fleet.tell(&id).await);
        // Meanwhile clients are not held for longer than an exchange may take.
        let mut client = fleet.client().await;
        for _ in 0..30 {
            let began = Instant::now();
            run(&mut client, "UPDATE t SET n = n WHERE id = 1").await;
            assert!(began.elapsed() < HELD_MAX, "{flavour:?}: {:?}", began.elapsed());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        run(&mut holder, "COMMIT").await;
        assert_eq!(fleet.wait_for(&id, "done").await, "done", "{flavour:?}: {}", fleet.tell(&id).await);
    }
}

/// Of a fleet's small copies nothing is entered into the cluster's ledger before their end; who shares no
/// store is kept out all the same, by a lock or by what it has entered itself.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_small_copy_of_a_fleet_meets_those_that_share_no_store() {
    for flavour in BOTH {
        let mut fleet = Fleet::start("light", flavour).await;
        let mut root = fleet.root().await;
        fleet.make_ledger(&mut root).await;
        let mut ids = Vec::new();
        for table in ["t", "u", "v"] {
            fleet.make_table(table, FEW).await;
            let request = MigrationRequest { is_paced: true, ..Fleet::request(table, WIDEN, false) };
            ids.push(fleet.submit_as(request).await);
        }
        // Another Bulkhead is about to claim one of them, and has claimed the other.
        let claim =
            |table: &str| format!("{:032x}", xxhash_rust::xxh3::xxh3_128(format!("app\0{table}").as_bytes()));
        let lock = format!("'bulkhead_table_{}'", claim("t"));
        assert_eq!(value(&mut root, &format!("SELECT GET_LOCK({lock}, 0)")).await, 1);
        let entered = format!(
            "INSERT INTO zz_bulkhead.migrations (id, table_schema, table_name, active, state, step, \
             statement, submitted_utc, changed_utc) \
             VALUES ('00000000deadbeef', 'app', 'u', x'{}', 'copying', 'copy', '', '', '')",
            claim("u")
        );
        run(&mut root, &entered).await;
        fleet.launch(None);
        assert_eq!(
            fleet.wait_for(&ids[1], "failed").await,
            "failed",
            "{flavour:?}: {}",
            fleet.tell(&ids[1]).await
        );
        assert!(fleet.tell(&ids[1]).await.contains("00000000deadbeef"), "{}", fleet.tell(&ids[1]).await);
        assert!(fleet.waits(&ids[0]).await, "{flavour:?}: {}", fleet.tell(&ids[0]).await);
        assert_eq!(fleet.type_of("t", "n").await, "int", "{flavour:?}");
        run(&mut root, &format!("DO RELEASE_LOCK({lock})")).await;
        assert_eq!(
            fleet.wait_for(&ids[0], "done").await,
            "done",
            "{flavour:?}: {}",
            fleet.tell(&ids[0]).await
        );
        assert_eq!(
            fleet.wait_for(&ids[2], "done").await,
            "done",
            "{flavour:?}: {}",
            fleet.tell(&ids[2]).await
        );
        // The ends are told to the cluster, and nothing is claimed any more but by the other one.
        for (id, state) in [(&ids[0], "done"), (&ids[1], "failed"), (&ids[2], "done")] {
            let told = format!(
                "SELECT COUNT(*) FROM zz_bulkhead.migrations WHERE id = '{id}' AND state = '{state}' \
                 AND active IS NULL"
            );
            let began = Instant::now();
            while value(&mut root, &told).await != 1 {
                assert!(began.elapsed() < Duration::from_secs(60), "{flavour:?}: {id} is not told");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn force_ends_holders_but_no_holder_of_table_locks() {
    let mut fleet = Fleet::start("force", Flavour::MySql).await;
    fleet.make_table("t", FEW).await;
    fleet.make_table("u", FEW).await;
    let mut holder = fleet.cluster.connect(Role::Primary, "bulkhead_app").await;
    run(&mut holder, "BEGIN").await;
    run(&mut holder, "SELECT COUNT(*) FROM app.t").await;
    let mut locker = fleet.cluster.connect(Role::Primary, "bulkhead_app").await;
    run(&mut locker, "LOCK TABLES app.u READ").await;
    let held = fleet.submit("t", WIDEN, true).await;
    let locked = fleet.submit("u", WIDEN, true).await;
    fleet.launch(None);
    fleet.wait_for(&held, "postponed").await;
    fleet.wait_for(&locked, "postponed").await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    fleet.admin(&format!("CUT OVER MIGRATION '{held}' FORCE")).await;
    fleet.admin(&format!("CUT OVER MIGRATION '{locked}' FORCE")).await;
    assert_eq!(fleet.wait_for(&held, "done").await, "done", "{}", fleet.tell(&held).await);
    assert!(holder.query_drop("SELECT 1").await.is_err(), "it was ended");
    assert!(fleet.waits(&locked).await, "{}", fleet.tell(&locked).await);
    assert_eq!(value(&mut locker, "SELECT COUNT(*) FROM app.u").await, i64::from(FEW), "it goes on");
    run(&mut locker, "UNLOCK TABLES").await;
    assert_eq!(fleet.wait_for(&locked, "done").await, "done", "{}", fleet.tell(&locked).await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn cancelled_in_each_state_nothing_is_left() {
    for flavour in BOTH {
        let mut fleet = Fleet::start("cancel", flavour).await;
        fleet.make_table("paused", MANY).await;
        fleet.make_table("postponed", MANY).await;
        fleet.make_table("held", FEW).await;
        fleet.make_table("queued", FEW).await;
        let mut holder = fleet.cluster.connect(Role::Primary, "bulkhead_app").await;
        run(&mut holder, "BEGIN").await;
        run(&mut holder, "SELECT COUNT(*) FROM app.held").await;
        run(&mut holder, "SELECT COUNT(*) FROM app.queued").await;
        let sums = [fleet.sum("paused").await, fleet.sum("postponed").await, fleet.sum("held").await];
        let paused = fleet.submit("paused", WIDEN, false).await;
        let postponed = fleet.submit("postponed", WIDEN, true).await;
        fleet.pause_offline(&paused).await;
        fleet.launch(None);
        assert_eq!(fleet.wait_for(&postponed, "postponed").await, "postponed", "{flavour:?}");
        assert_eq!(fleet.wait_for(&paused, "copying").await, "copying", "{flavour:?}");
        assert_eq!(fleet.fact(&paused, "waits_for").await, "paused by an operator", "{flavour:?}");
        fleet.stop();
        let held = fleet.submit("held", WIDEN, false).await;
        let queued = fleet.submit("queued", WIDEN, false).await;
        fleet.launch(None);
        for id in [&queued, &held, &postponed, &paused] {
            fleet.admin(&format!("CANCEL MIGRATION '{id}'")).await;
        }
        for id in [&queued, &held, &postponed, &paused] {
            assert_eq!(
                fleet.wait_for(id, "cancelled").await,
                "cancelled",
                "{flavour:?}: {}",
                fleet.tell(id).await
            );
        }
        assert_eq!(fleet.artifacts_when_quiet().await, Vec::<String>::new(), "{flavour:?}");
        for (table, sum) in ["paused", "postponed", "held"].into_iter().zip(sums) {
            assert_eq!(fleet.sum(table).await, sum, "{flavour:?}: {table}");
            assert_eq!(fleet.type_of(table, "n").await, "int", "{flavour:?}: {table}");
        }
        run(&mut holder, "ROLLBACK").await;
        fleet.admin(&format!("RETRY MIGRATION '{postponed}'")).await;
        fleet.wait_for(&postponed, "postponed").await;
        fleet.admin(&format!("CUT OVER MIGRATION '{postponed}'")).await;
        assert_eq!(fleet.wait_for(&postponed, "done").await, "done", "{flavour:?}");
        assert_eq!(fleet.type_of("postponed", "n").await, "bigint", "{flavour:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_change_that_cannot_be_made_fails_in_the_servers_words() {
    for flavour in BOTH {
        let mut fleet = Fleet::start("fails", flavour).await;
        for (table, rows) in [("few", FEW), ("many", MANY)] {
            fleet.make_table(table, rows).await;
            let mut conn = fleet.root().await;
            run(&mut conn, &format!("UPDATE app.{table} SET s = 'twice' WHERE id <= 2")).await;
            let id =
                fleet.submit(table, &format!("ALTER TABLE {table} ADD UNIQUE KEY twice (s)"), false).await;
            let before = fleet.sum(table).await;
            fleet.launch(None);
            assert_eq!(
                fleet.wait_for(&id, "failed").await,
                "failed",
                "{flavour:?}: {}",
                fleet.tell(&id).await
            );
            let message = fleet.fact(&id, "message").await;
            assert!(message.contains("Duplicate entry"), "{flavour:?}: {message}");
            assert_eq!(fleet.sum(table).await, before, "{flavour:?}");
            assert_eq!(fleet.artifacts_when_quiet().await, Vec::<String>::new(), "{flavour:?}");
            fleet.stop();
        }
        let id = fleet.submit("nowhere", "ALTER TABLE nowhere FORCE", false).await;
        fleet.make_table("triggered", FEW).await;
        let mut conn = fleet.root().await;
        run(&mut conn, "CREATE TRIGGER app.tr BEFORE INSERT ON app.triggered FOR EACH ROW SET NEW.n = 1")
            .await;
        let triggered = fleet.submit("triggered", &WIDEN.replace(" t ", " triggered "), false).await;
        fleet.launch(None);
        assert_eq!(fleet.wait_for(&id, "failed").await, "failed", "{flavour:?}");
        assert_eq!(fleet.wait_for(&triggered, "failed").await, "failed", "{flavour:?}");
        assert!(fleet.fact(&triggered, "message").await.contains("trigger tr"), "{flavour:?}");
    }
}

/// The disk is full while rows are copied, and while changes are applied: a trigger says what the server
/// would. It ends in those words, gives back what it took, loses nothing, and can be asked for again.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_full_disk_ends_it_and_nothing_is_lost() {
    for flavour in BOTH {
        let mut fleet = Fleet::start("full", flavour).await;
        for table in ["copied", "applied"] {
            fleet.make_table(table, MANY).await;
        }
        let copied = fleet.submit("copied", WIDEN, false).await;
        let applied = fleet.submit("applied", WIDEN, true).await;
        fleet.pause_offline(&copied).await;
        fleet.launch(None);
        assert_eq!(
            fleet.wait_for(&applied, "postponed").await,
            "postponed",
            "{}",
            fleet.tell(&applied).await
        );
        let began = Instant::now();
        while fleet.fact(&copied, "waits_for").await != "paused by an operator" {
            assert!(began.elapsed() < PATIENCE, "{}", fleet.tell(&copied).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut root = fleet.root().await;
        for id in [&copied, &applied] {
            // A migration that was paused before it began says so before it has a shadow.
            let shadow = format!(
                "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'zz_bulkhead' AND \
                 table_name = 'new_{id}'"
            );
            while value(&mut root, &shadow).await == 0 {
                assert!(began.elapsed() < PATIENCE, "{}", fleet.tell(id).await);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let full = format!(
                "CREATE TRIGGER zz_bulkhead.full_{id} BEFORE INSERT ON zz_bulkhead.new_{id} FOR EACH ROW \
                 SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114, MESSAGE_TEXT = 'the disk is full'"
            );
            run(&mut root, &full).await;
        }
        fleet.admin(&format!("RESUME MIGRATION '{copied}'")).await;
        let mut client = fleet.client().await;
        for table in ["copied", "applied"] {
            run(&mut client, &format!("UPDATE {table} SET s = 'meanwhile' WHERE id <= 10")).await;
        }
        // The one that waits for an operator tells it by itself.
        for (id, table) in [(&copied, "copied"), (&applied, "applied")] {
            assert_eq!(fleet.wait_for(id, "failed").await, "failed", "{flavour:?}: {}", fleet.tell(id).await);
            let message = fleet.fact(id, "message").await;
            assert!(message.contains("the disk is full"), "{flavour:?}: {message}");
            assert_eq!(fleet.type_of(table, "n").await, "int", "{flavour:?}");
        }
        assert_eq!(fleet.artifacts_when_quiet().await, Vec::<String>::new(), "{flavour:?}");
        for (id, table) in [(&copied, "copied"), (&applied, "applied")] {
            let before = fleet.sum(table).await;
            fleet.admin(&format!("RETRY MIGRATION '{id}'")).await;
            if table == "applied" {
                fleet.wait_for(id, "postponed").await;
                fleet.admin(&format!("CUT OVER MIGRATION '{id}'")).await;
            }
            assert_eq!(fleet.wait_for(id, "done").await, "done", "{flavour:?}: {}", fleet.tell(id).await);
            assert_eq!(fleet.sum(table).await, before, "{flavour:?}");
            assert_eq!(fleet.type_of(table, "n").await, "bigint", "{flavour:?}");
            let kept = format!("SELECT COUNT(*) FROM app.{table} WHERE s = 'meanwhile'");
            assert_eq!(value(&mut root, &kept).await, 10, "{flavour:?}");
        }
    }
}

/// The system refuses to make the shadow's file larger, as on a full disk: while rows are copied beside
/// writers, and while changes are applied. It ends in the server's words, the table goes on, nothing is left,
/// and behind it, when there is room, the same migration comes to its end.
async fn run_out_of_room(flavour: Flavour) {
    let mut fleet = Fleet::start("room", flavour).await;
    fleet.make_table("t", SPREAD).await;
    let mut root = fleet.root().await;
    // All other files stay below the bound.
    run(&mut root, "SET GLOBAL max_binlog_size = 4194304").await;
    run(&mut root, "SET GLOBAL innodb_autoextend_increment = 1").await;
    let text = format!(
        "ALTER TABLE t MODIFY n BIGINT NOT NULL, ADD COLUMN pad VARCHAR(4000) NOT NULL DEFAULT '{}'",
        "x".repeat(4000)
    );
    let id = fleet.submit("t", &text, true).await;
    fleet.cluster.bound_files(Role::Primary, Some(FILE_BYTES_MAX));
    fleet.launch(None);
    let writers = Writers::start_slow(&fleet, "t", SPREAD, Duration::from_millis(20)).await;
    fails_for_want_of_room(&fleet, &id).await;
    let copied: u64 = fleet.fact(&id, "rows_copied").await.parse().expect("a number");
    assert!(copied > 0 && copied < u64::from(SPREAD), "{flavour:?}: {copied}");
    // A writer that is refused anything ends the test.
    writers.go_on_for(Duration::from_secs(1)).await;
    let ledger = writers.stop().await;
    assert!(ledger.writes > 50, "{flavour:?}: {} writes", ledger.writes);
    ledger.compare(&fleet, "t").await;

    fleet.cluster.bound_files(Role::Primary, None);
    fleet.admin(&format!("RETRY MIGRATION '{id}'")).await;
    assert_eq!(fleet.wait_for(&id, "postponed").await, "postponed", "{}", fleet.tell(&id).await);
    let now = fleet.cluster.file_bytes(Role::Primary, "zz_bulkhead", &format!("new_{id}"));
    assert!(now > FILE_BYTES_MAX, "{flavour:?}: the first attempt could have come to its end: {now}");
    fleet.cluster.bound_files(Role::Primary, Some(now));
    let mut client = fleet.client().await;
    for first in (0..8).map(|batch| 10_000_000 + batch * 1000) {
        let values: Vec<String> = (first..first + 1000).map(|id| format!("({id}, 0, 'more')")).collect();
        run(&mut client, &format!("INSERT INTO t (id, n, s) VALUES {}", values.join(", "))).await;
    }
    // It waits for an operator, and does not tell so any longer.
    fails_for_want_of_room(&fleet, &id).await;

    fleet.cluster.bound_files(Role::Primary, None);
    let before = fleet.sum("t").await;
    fleet.admin(&format!("RETRY MIGRATION '{id}'")).await;
    assert_eq!(fleet.wait_for(&id, "postponed").await, "postponed", "{}", fleet.tell(&id).await);
    fleet.admin(&format!("CUT OVER MIGRATION '{id}'")).await;
    assert_eq!(fleet.wait_for(&id, "done").await, "done", "{flavour:?}: {}", fleet.tell(&id).await);
    assert_eq!(fleet.sum("t").await, before, "{flavour:?}");
    assert_eq!(fleet.type_of("t", "n").await, "bigint", "{flavour:?}");
    let short = "SELECT COUNT(*) FROM app.t WHERE LENGTH(pad) <> 4000";
    assert_eq!(value(&mut root, short).await, 0, "{flavour:?}");
    assert_eq!(fleet.artifacts().await, [format!("old_{id}")], "{flavour:?}");
}

/// The migration ends with the server's words, and gives back what it took.
async fn fails_for_want_of_room(fleet: &Fleet, id: &str) {
    let flavour = fleet.flavour();
    assert_eq!(fleet.wait_for(id, "failed").await, "failed", "{flavour:?}: {}", fleet.tell(id).await);
    let message = fleet.fact(id, "message").await;
    assert!(message.contains("is full"), "{flavour:?}: {message}");
    assert_eq!(fleet.type_of("t", "n").await, "int", "{flavour:?}");
    assert_eq!(fleet.artifacts_when_quiet().await, Vec::<String>::new(), "{flavour:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_server_that_may_not_write_any_more_ends_it_mysql() {
    run_out_of_room(Flavour::MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_server_that_may_not_write_any_more_ends_it_mariadb() {
    run_out_of_room(Flavour::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_change_is_taken_back_with_what_was_changed_since() {
    for flavour in BOTH {
        for rows in [MANY, FEW] {
            let mut fleet = Fleet::start("back", flavour).await;
            fleet.make_table("t", rows).await;
            let text = "ALTER TABLE t CHANGE n m BIGINT NOT NULL, ADD COLUMN x INT NULL";
            let id = fleet.submit("t", text, false).await;
            fleet.launch(None);
            assert_eq!(fleet.wait_for(&id, "done").await, "done", "{flavour:?}: {}", fleet.tell(&id).await);
            let mut client = fleet.client().await;
            run(&mut client, "UPDATE t SET m = m + 1000, s = 'since' WHERE id < 50").await;
            run(&mut client, "DELETE FROM t WHERE id BETWEEN 60 AND 69").await;
            run(&mut client, "INSERT INTO t (id, m, s, x) VALUES (100000, 7, 'new', 1)").await;
            let wanted = fleet.sum_of("SELECT id, m, s FROM app.t ORDER BY id").await;
            fleet.admin(&format!("REVERT MIGRATION '{id}'")).await;
            let back = fleet.newest().await;
            assert_ne!(back, id);
            assert_eq!(
                fleet.wait_for(&back, "done").await,
                "done",
                "{flavour:?}: {}",
                fleet.tell(&back).await
            );
            assert_eq!(fleet.sum("t").await, wanted, "{flavour:?} {rows}");
            assert_eq!(fleet.type_of("t", "n").await, "int", "{flavour:?}");
            assert_eq!(fleet.fact(&id, "old_table_kept_until").await, "", "{flavour:?}");
            assert_eq!(fleet.artifacts().await, [format!("old_{back}")], "{flavour:?}");
            let refused = fleet.try_admin(&format!("REVERT MIGRATION '{id}'")).await.expect_err("not twice");
            assert!(refused.contains("no old table"), "{refused}");
        }
    }
}

/// Names of checks are unique in a database of MySQL's: the tables of two workspaces, and the old and the new
/// one, have the same.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn checks_keep_their_names() {
    for flavour in BOTH {
        let mut fleet = Fleet::start("checks", flavour).await;
        let mut root = fleet.root().await;
        for database in ["app", "other"] {
            run(&mut root, &format!("CREATE DATABASE IF NOT EXISTS {database}")).await;
            run(
                &mut root,
                &format!(
                    "CREATE TABLE {database}.t (id INT PRIMARY KEY, n INT NOT NULL, s VARCHAR(40) NOT NULL, \
                     CONSTRAINT positive CHECK (n >= 0), CHECK (id > 0)) ENGINE=InnoDB"
                ),
            )
            .await;
            run(&mut root, &format!("INSERT INTO {database}.t VALUES (1, 1, 'a'), (2, 2, 'b')")).await;
        }
        let first = fleet.submit("t", WIDEN, true).await;
        let second = fleet.submit_in("other", "t", WIDEN, true).await;
        fleet.launch(None);
        for id in [&first, &second] {
            assert_eq!(
                fleet.wait_for(id, "postponed").await,
                "postponed",
                "{flavour:?}: {}",
                fleet.tell(id).await
            );
        }
        for id in [&first, &second] {
            fleet.admin(&format!("CUT OVER MIGRATION '{id}'")).await;
            assert_eq!(fleet.wait_for(id, "done").await, "done", "{flavour:?}: {}", fleet.tell(id).await);
        }
        for database in ["app", "other"] {
            let shown: (String, String) = root
                .query_first(format!("SHOW CREATE TABLE {database}.t"))
                .await
                .expect("works")
                .expect("a row");
            assert!(shown.1.contains("CONSTRAINT `positive` CHECK"), "{flavour:?}: {}", shown.1);
            assert!(shown.1.contains("bigint"), "{flavour:?}: {}", shown.1);
            let refused = root.query_drop(format!("INSERT INTO {database}.t VALUES (3, -1, 'c')")).await;
            assert!(refused.is_err(), "{flavour:?}: the check is there");
        }
        for id in [&first, &second] {
            fleet.retire(id).await;
        }
        let left =
            "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name LIKE 'zz\\_bulkhead\\_%'";
        assert_eq!(value(&mut root, left).await, 0, "{flavour:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_stop_in_good_order_leaves_a_migration_that_goes_on() {
    for flavour in BOTH {
        let mut fleet = Fleet::start("order", flavour).await;
        fleet.make_table("t", MANY).await;
        let before = fleet.sum("t").await;
        let id = fleet.submit("t", WIDEN, true).await;
        fleet.launch(None);
        assert_eq!(fleet.wait_for(&id, "postponed").await, "postponed", "{}", fleet.tell(&id).await);
        fleet.stop_in_order();
        fleet.launch(None);
        fleet.admin(&format!("CUT OVER MIGRATION '{id}'")).await;
        assert_eq!(fleet.wait_for(&id, "done").await, "done", "{flavour:?}: {}", fleet.tell(&id).await);
        assert_eq!(fleet.sum("t").await, before, "{flavour:?}");
    }
}

/// Another statement changes the table meanwhile: the copy is of a table that is no more.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_change_by_somebody_else_ends_it() {
    for flavour in BOTH {
        let mut fleet = Fleet::start("else", flavour).await;
        fleet.make_table("t", MANY).await;
        let id = fleet.submit("t", WIDEN, true).await;
        fleet.launch(None);
        assert_eq!(fleet.wait_for(&id, "postponed").await, "postponed", "{}", fleet.tell(&id).await);
        run(&mut fleet.root().await, "ALTER TABLE app.t ADD COLUMN extra INT").await;
        // Nobody has to ask for the exchange: what waits for an operator tells by itself that it has ended.
        assert_eq!(fleet.wait_for(&id, "failed").await, "failed", "{flavour:?}: {}", fleet.tell(&id).await);
        assert_eq!(fleet.type_of("t", "extra").await, "int", "{flavour:?}: the other change stays");
        assert_eq!(fleet.type_of("t", "n").await, "int", "{flavour:?}");
        assert_eq!(fleet.artifacts_when_quiet().await, Vec::<String>::new(), "{flavour:?}");
    }
}

/// The same while an operator has paused the copy: it is not told as paused for ever.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_change_by_somebody_else_ends_a_paused_copy() {
    for flavour in BOTH {
        let mut fleet = Fleet::start("paused", flavour).await;
        fleet.make_table("t", MANY).await;
        let id = fleet.submit("t", WIDEN, false).await;
        fleet.pause_offline(&id).await;
        fleet.launch(None);
        let began = Instant::now();
        while fleet.fact(&id, "step").await != "copy" {
            assert!(began.elapsed() < PATIENCE, "{flavour:?}: {}", fleet.tell(&id).await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(fleet.waits(&id).await, "{flavour:?}: {}", fleet.tell(&id).await);
        run(&mut fleet.root().await, "ALTER TABLE app.t ADD COLUMN extra INT").await;
        assert_eq!(fleet.wait_for(&id, "failed").await, "failed", "{flavour:?}: {}", fleet.tell(&id).await);
        assert_eq!(fleet.type_of("t", "extra").await, "int", "{flavour:?}: the other change stays");
        assert_eq!(fleet.artifacts_when_quiet().await, Vec::<String>::new(), "{flavour:?}");
    }
}

/// Another statement changes the table before the first row is copied, between two attempts: the second one
/// begins with the table as it is, and so does whoever goes on from there.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn an_attempt_that_begins_anew_takes_the_table_as_it_is() {
    for flavour in BOTH {
        let mut fleet = Fleet::start("anew", flavour).await;
        fleet.make_table("t", MANY).await;
        let id = fleet.submit("t", WIDEN, false).await;
        fleet.launch(Some("after:subscribe"));
        assert!(fleet.wait_for_end().await, "{flavour:?}: it is reached");
        run(&mut fleet.root().await, "ALTER TABLE app.t ADD COLUMN extra INT").await;
        let before = fleet.sum("t").await;
        fleet.launch(Some("after:copy"));
        assert!(fleet.wait_for_end().await, "{flavour:?}: it is reached");
        fleet.launch(None);
        assert_eq!(fleet.wait_for(&id, "done").await, "done", "{flavour:?}: {}", fleet.tell(&id).await);
        assert_eq!(fleet.sum("t").await, before, "{flavour:?}");
        assert_eq!(fleet.type_of("t", "n").await, "bigint", "{flavour:?}");
        assert_eq!(fleet.type_of("t", "extra").await, "int", "{flavour:?}");
    }
}

/// Two proxies believe that a migration is theirs, again and again, as behind a lease that changed hands
/// while the first one was stopped: no write is lost, whichever comes to the end.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn two_engines_on_one_migration_lose_nothing() {
    for flavour in BOTH {
        let mut fleet = Fleet::start("two", flavour).await;
        let tables = [("many", MANY * 5), ("few", FEW)];
        for (table, rows) in tables {
            fleet.make_table(table, rows).await;
        }
        let services = fleet.two_at_once().await;
        fleet.launch(None);
        let mut background = tokio::task::JoinSet::new();
        for service in &services {
            service.start(&mut background).await.expect("the store can be read");
        }
        let mut all = Vec::new();
        for (table, rows) in tables {
            all.push((table, Writers::start(&fleet, table, rows).await));
        }
        // Until the second one has taken the lease too.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let mut ids = Vec::new();
        for (table, _) in tables {
            let request = Fleet::request(table, WIDEN, false);
            ids.push(services[0].submit(request).await.expect("it is taken on"));
        }
        // They take it from each other; in the end one of them is left.
        tokio::time::sleep(Duration::from_secs(8)).await;
        services[0].stop().await;
        for id in &ids {
            let ended = tokio::time::timeout(Duration::from_secs(90), services[1].wait(id)).await;
            assert!(matches!(ended, Ok(Ended::Done { .. })), "{flavour:?}: {ended:?}");
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        for (table, writers) in all {
            writers.stop().await.compare(&fleet, table).await;
            assert_eq!(fleet.type_of(table, "n").await, "bigint", "{flavour:?}");
        }
        let kept: Vec<String> = ids.iter().map(|id| format!("old_{id}")).collect();
        assert_eq!(fleet.artifacts().await, kept, "{flavour:?}: one exchange of each");
        let states: Vec<_> = ids.iter().filter_map(|id| services[1].row(id)).map(|row| row.state).collect();
        assert_eq!(states, [State::Done, State::Done], "{flavour:?}: an end stays what it is");
    }
}

/// Readers of the binary log are killed while a table is copied and kept up to date.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_feed_that_is_cut_off_again_and_again_loses_nothing() {
    for flavour in BOTH {
        let mut fleet = Fleet::start("cut", flavour).await;
        fleet.make_table("t", MANY * 5).await;
        let id = fleet.submit("t", WIDEN, true).await;
        fleet.launch(None);
        let writers = Writers::start(&fleet, "t", MANY * 5).await;
        let mut root = fleet.root().await;
        let (began, mut killed) = (Instant::now(), 0);
        while began.elapsed() < Duration::from_secs(6) {
            let readers = "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'";
            let readers: Vec<u64> = root.query(readers).await.expect("it works");
            for reader in readers {
                // It may have gone by itself.
                killed += u32::from(root.query_drop(format!("KILL {reader}")).await.is_ok());
            }
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        assert!(killed > 3, "{flavour:?}: {killed}");
        assert_eq!(fleet.wait_for(&id, "postponed").await, "postponed", "{}", fleet.tell(&id).await);
        fleet.admin(&format!("CUT OVER MIGRATION '{id}'")).await;
        assert_eq!(fleet.wait_for(&id, "done").await, "done", "{flavour:?}: {}", fleet.tell(&id).await);
        writers.go_on_for(Duration::from_millis(500)).await;
        writers.stop().await.compare(&fleet, "t").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_server_that_is_started_again_during_the_copy_is_gone_on_with() {
    for flavour in BOTH {
        let mut fleet = Fleet::start("again", flavour).await;
        fleet.make_table("t", MANY * 5).await;
        let id = fleet.submit("t", WIDEN, true).await;
        fleet.launch(None);
        // In the middle of the copy, and while it is kept up to date.
        for state in ["copying", "postponed"] {
            fleet.wait_for(&id, state).await;
            let mut conn = fleet.root().await;
            run(&mut conn, &format!("UPDATE app.t SET s = '{state}' WHERE id % 7 = 0")).await;
            run(&mut conn, "DELETE FROM app.t WHERE id % 11 = 3 LIMIT 100").await;
            fleet.cluster.kill(Role::Primary);
            fleet.cluster.start_one(Role::Primary);
            let update = format!("UPDATE app.t SET s = '{state} 2' WHERE id % 13 = 0");
            run(&mut fleet.root().await, &update).await;
        }
        let before = fleet.sum("t").await;
        assert_eq!(fleet.wait_for(&id, "postponed").await, "postponed", "{}", fleet.tell(&id).await);
        fleet.admin(&format!("CUT OVER MIGRATION '{id}'")).await;
        assert_eq!(fleet.wait_for(&id, "done").await, "done", "{flavour:?}: {}", fleet.tell(&id).await);
        assert_eq!(fleet.sum("t").await, before, "{flavour:?}");
        assert_eq!(fleet.type_of("t", "n").await, "bigint", "{flavour:?}");
    }
}

/// The binary log was purged while no proxy read it: what was changed then is not known. It ends clearly, and
/// the table is as its clients left it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_binary_log_that_was_purged_meanwhile_ends_it() {
    for flavour in BOTH {
        let mut fleet = Fleet::start("purged", flavour).await;
        fleet.make_table("t", MANY).await;
        let id = fleet.submit("t", WIDEN, true).await;
        fleet.launch(None);
        assert_eq!(fleet.wait_for(&id, "postponed").await, "postponed", "{}", fleet.tell(&id).await);
        fleet.stop();
        let mut root = fleet.root().await;
        run(&mut root, "UPDATE app.t SET s = 'unseen' WHERE id < 100").await;
        let before = fleet.sum("t").await;
        let began = Instant::now();
        loop {
            run(&mut root, "FLUSH BINARY LOGS").await;
            let files: Vec<Row> = root.query("SHOW BINARY LOGS").await.expect("it works");
            let last: String = files[files.len() - 1].get(0).expect("a name");
            run(&mut root, &format!("PURGE BINARY LOGS TO '{last}'")).await;
            // The server keeps files while a reader that has gone seems to be there.
            let files: Vec<Row> = root.query("SHOW BINARY LOGS").await.expect("it works");
            if files.len() == 1 {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "the files go");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        fleet.launch(None);
        assert_eq!(fleet.wait_for(&id, "failed").await, "failed", "{flavour:?}: {}", fleet.tell(&id).await);
        let message = fleet.fact(&id, "message").await;
        assert!(message.contains("purged its binary log"), "{flavour:?}: {message}");
        assert_eq!(fleet.sum("t").await, before, "{flavour:?}");
        assert_eq!(fleet.type_of("t", "n").await, "int", "{flavour:?}");
        assert_eq!(fleet.artifacts_when_quiet().await, Vec::<String>::new(), "{flavour:?}");
        // Nothing stands in the way of another attempt.
        fleet.admin(&format!("RETRY MIGRATION '{id}'")).await;
        assert_eq!(fleet.wait_for(&id, "postponed").await, "postponed", "{}", fleet.tell(&id).await);
    }
}

/// The primary is exchanged for its replica while a copy waits for an operator: by GTIDs it goes on there.
async fn go_on_behind_a_switchover(flavour: Flavour) {
    let mut fleet = Fleet::start_with_replica(flavour).await;
    fleet.make_table("t", MANY).await;
    let id = fleet.submit("t", WIDEN, true).await;
    fleet.launch(None);
    assert_eq!(fleet.wait_for(&id, "postponed").await, "postponed", "{}", fleet.tell(&id).await);
    let mut client = fleet.client().await;
    run(&mut client, "UPDATE t SET s = 'before' WHERE id < 100").await;
    let to = fleet.cluster.replica_port.expect("it has one");
    fleet.admin(&format!("FAILOVER CLUSTER c1 TO '127.0.0.1:{to}' WHY 'a test'")).await;
    let began = Instant::now();
    while client.query_drop("UPDATE t SET s = 'behind' WHERE id BETWEEN 200 AND 299").await.is_err() {
        assert!(began.elapsed() < PATIENCE, "{flavour:?}: writes go on");
        client = fleet.client().await;
    }
    fleet.admin(&format!("CUT OVER MIGRATION '{id}'")).await;
    assert_eq!(fleet.wait_for(&id, "done").await, "done", "{flavour:?}: {}", fleet.tell(&id).await);
    run(&mut client, "UPDATE t SET s = 'after' WHERE id BETWEEN 300 AND 399").await;
    let mut primary = fleet.cluster.connect(Role::Replica, "root").await;
    let count = |word: &str| format!("SELECT COUNT(*) FROM app.t WHERE s = '{word}'");
    for (word, rows) in [("before", 99), ("behind", 100), ("after", 100)] {
        assert_eq!(value(&mut primary, &count(word)).await, rows, "{flavour:?}: {word}");
    }
    assert_eq!(value(&mut primary, "SELECT COUNT(*) FROM app.t").await, i64::from(MANY), "{flavour:?}");
    let kind = "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'app' AND \
                table_name = 't' AND column_name = 'n' AND data_type = 'bigint'";
    assert_eq!(value(&mut primary, kind).await, 1, "{flavour:?}: it is changed on the new primary");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_copy_goes_on_behind_a_switchover_mysql() {
    go_on_behind_a_switchover(Flavour::MySql).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_copy_goes_on_behind_a_switchover_mariadb() {
    go_on_behind_a_switchover(Flavour::MariaDb).await;
}

/// One chunk whose rows take longer than the lock may be held: the statement is ended on the server too.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_chunk_that_takes_too_long_holds_nobody_up() {
    for flavour in BOTH {
        let mut fleet = Fleet::start("slow", flavour).await;
        fleet.make_table("t", FEW).await;
        let text = "ALTER TABLE t ADD COLUMN g CHAR(128) AS (SHA2(REPEAT(s, 6000000), 512)) STORED";
        let id = fleet.submit("t", text, false).await;
        fleet.launch(None);
        assert!(fleet.waits(&id).await, "{flavour:?}: {}", fleet.tell(&id).await);
        let mut direct = fleet.root().await;
        let began = Instant::now();
        let mut longest = Duration::ZERO;
        while began.elapsed() < Duration::from_secs(6) {
            let asked = Instant::now();
            run(&mut direct, "UPDATE app.t SET n = n + 1 WHERE id = 1").await;
            longest = longest.max(asked.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // The bound is three seconds, and what ends the statement takes a moment.
        assert!(longest < Duration::from_millis(4500), "{flavour:?}: {longest:?}");
        fleet.admin(&format!("CANCEL MIGRATION '{id}'")).await;
        assert_eq!(fleet.wait_for(&id, "cancelled").await, "cancelled", "{}", fleet.tell(&id).await);
        assert_eq!(fleet.artifacts_when_quiet().await, Vec::<String>::new(), "{flavour:?}");
    }
}

/// One that is cancelled before it has begun takes nothing away.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_revert_that_is_cancelled_early_can_be_asked_for_again() {
    for flavour in BOTH {
        let mut fleet = Fleet::start("early", flavour).await;
        fleet.make_table("t", FEW).await;
        let id = fleet.submit("t", WIDEN, false).await;
        fleet.launch(None);
        assert_eq!(fleet.wait_for(&id, "done").await, "done", "{flavour:?}: {}", fleet.tell(&id).await);
        // Its process ends when the kept table has the name of the shadow, and nothing is applied to it.
        fleet.stop();
        fleet.launch(Some("before:subscribe"));
        // The process may have stopped before it answers.
        let _ = fleet.try_admin(&format!("REVERT MIGRATION '{id}'")).await;
        assert!(fleet.wait_for_end().await, "{flavour:?}: it is reached");
        let back = fleet.cancel_newest_offline().await;
        fleet.launch(None);
        assert_eq!(fleet.wait_for(&back, "cancelled").await, "cancelled", "{}", fleet.tell(&back).await);
        let began = Instant::now();
        while fleet.artifacts().await != [format!("old_{id}")] {
            assert!(began.elapsed() < PATIENCE, "{flavour:?}: {:?}", fleet.artifacts().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut client = fleet.client().await;
        run(&mut client, "UPDATE t SET s = 'since' WHERE id < 50").await;
        let wanted = fleet.sum("t").await;
        fleet.admin(&format!("REVERT MIGRATION '{id}'")).await;
        let again = fleet.newest().await;
        assert_eq!(fleet.wait_for(&again, "done").await, "done", "{flavour:?}: {}", fleet.tell(&again).await);
        assert_eq!(fleet.sum("t").await, wanted, "{flavour:?}");
        assert_eq!(fleet.type_of("t", "n").await, "int", "{flavour:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn the_command_line_shows_and_commands() {
    let mut fleet = Fleet::start("words", Flavour::MySql).await;
    fleet.make_table("t", FEW).await;
    let id = fleet.submit("t", WIDEN, true).await;
    fleet.launch(None);
    fleet.wait_for(&id, "postponed").await;
    let (ok, text) = fleet.command(&["migration", "list", "--json"]);
    assert!(ok, "{text}");
    let row: serde_json::Value = serde_json::from_str(text.trim()).expect("one object");
    assert_eq!((row["id"].as_str(), row["state"].as_str()), (Some(id.as_str()), Some("postponed")));
    let (ok, text) = fleet.command(&["migration", "cut-over", &id]);
    assert!(ok && text.contains("exchanges its tables"), "{text}");
    assert_eq!(fleet.wait_for(&id, "done").await, "done");
    let (ok, text) = fleet.command(&["migration", "pause", &id]);
    assert!(!ok && text.contains("migration_not_now"), "{text}");
    let (ok, text) = fleet.command(&["migration", "show", "nowhere"]);
    assert!(!ok && text.contains("no migration nowhere"), "{text}");
    let metrics = fleet.metrics().await;
    assert!(metrics.contains("bulkhead_migrations{cluster=\"c1\",state=\"done\"} 1"), "{metrics}");
}

/// Two are copied at once by default; those that an operator has paused are none of them.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn a_paused_copy_leaves_its_turn_to_others() {
    for flavour in BOTH {
        let mut fleet = Fleet::start("turns", flavour).await;
        let mut held = Vec::new();
        for table in ["a", "b", "c"] {
            fleet.make_table(table, MANY).await;
        }
        for table in ["a", "b"] {
            held.push(fleet.submit(table, WIDEN, false).await);
        }
        for id in &held {
            fleet.pause_offline(id).await;
        }
        fleet.launch(None);
        let began = Instant::now();
        for id in &held {
            while fleet.fact(id, "step").await != "copy" {
                assert!(began.elapsed() < PATIENCE, "{flavour:?}: {}", fleet.tell(id).await);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        let mut client = fleet.client().await;
        let other = run(&mut client, "ALTER TABLE c MODIFY n BIGINT NOT NULL");
        tokio::time::timeout(PATIENCE, other).await.expect("the third one has a turn");
        for (id, table) in held.iter().zip(["a", "b"]) {
            assert_eq!(fleet.fact(id, "waits_for").await, "paused by an operator", "{flavour:?}");
            assert_eq!(fleet.type_of(table, "n").await, "int", "{flavour:?}");
            fleet.admin(&format!("RESUME MIGRATION '{id}'")).await;
            assert_eq!(fleet.wait_for(id, "done").await, "done", "{flavour:?}: {}", fleet.tell(id).await);
            assert_eq!(fleet.type_of(table, "n").await, "bigint", "{flavour:?}");
        }
    }
}

/// What the server made of the first table's definition is believed of the others, but neither its counter
/// nor the names that the server gives by the table's own.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn tables_of_one_definition_keep_what_is_their_own() {
    const DATABASES: [(&str, i64); 5] =
        [("like_1", 20), ("like_2", 90), ("like_3", 0), ("like_4", 11), ("like_5", 40)];
    for (flavour, has_check) in BOTH.into_iter().flat_map(|flavour| [(flavour, false), (flavour, true)]) {
        let mut fleet = Fleet::start("alike", flavour).await;
        let mut root = fleet.root().await;
        let mut ids = Vec::new();
        for (database, rows) in DATABASES {
            run(&mut root, &format!("CREATE DATABASE {database}")).await;
            let columns = "id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, n INT NOT NULL";
            let check = if has_check { ", CHECK (n >= 0)" } else { "" };
            run(&mut root, &format!("CREATE TABLE {database}.t ({columns}{check})")).await;
            for number in 0..rows {
                run(&mut root, &format!("INSERT INTO {database}.t (n) VALUES ({number})")).await;
            }
            run(&mut root, &format!("DELETE FROM {database}.t WHERE id > 10")).await;
            ids.push(fleet.submit_in(database, "t", "ALTER TABLE t MODIFY n BIGINT NOT NULL", false).await);
        }
        fleet.launch(None);
        for (id, (database, rows)) in ids.iter().zip(DATABASES) {
            assert_eq!(fleet.wait_for(id, "done").await, "done", "{flavour:?}: {}", fleet.tell(id).await);
            run(&mut root, &format!("INSERT INTO {database}.t (n) VALUES (1)")).await;
            let last = value(&mut root, &format!("SELECT MAX(id) FROM {database}.t")).await;
            assert_eq!(last, rows + 1, "{flavour:?}: {database}");
            let of_type = format!(
                "SELECT data_type = 'bigint' FROM information_schema.columns WHERE table_schema = \
                 '{database}' AND column_name = 'n'"
            );
            assert_eq!(value(&mut root, &of_type).await, 1, "{flavour:?}: {database}");
            let check = match flavour {
                Flavour::MySql => "t_chk_1",
                Flavour::MariaDb => "CONSTRAINT_1",
            };
            let of_name = format!(
                "SELECT COUNT(*) FROM information_schema.check_constraints WHERE constraint_schema = \
                 '{database}' AND constraint_name = '{check}'"
            );
            let found = value(&mut root, &of_name).await;
            assert_eq!(found, i64::from(has_check), "{flavour:?}: {database}: {check}");
        }
    }
}

/// Held back by an operator in the midst of its copy, a migration has no lock and no transaction; what was
/// throttled for a time goes on by itself.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs servers: make test"]
async fn held_back_it_holds_nothing() {
    for flavour in BOTH {
        let mut fleet = Fleet::start("holds", flavour).await;
        fleet.make_table("t", MANY).await;
        fleet.make_table("u", MANY).await;
        let paused = fleet.submit("t", WIDEN, true).await;
        let id = fleet.submit("u", "ALTER TABLE u MODIFY n BIGINT NOT NULL", true).await;
        fleet.pause_offline(&paused).await;
        fleet.order_offline(&id, Command::Throttle(Duration::from_secs(15))).await;
        fleet.launch(None);
        for (id, words) in [(&id, "throttled by an operator for"), (&paused, "paused by an operator")] {
            let began = Instant::now();
            // It is shown as held from the start on, and is once it comes to its first rows.
            while fleet.fact(id, "step").await != "copy"
                || !fleet.fact(id, "waits_for").await.starts_with(words)
            {
                assert!(began.elapsed() < PATIENCE, "{flavour:?} {words}: {}", fleet.tell(id).await);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        let mut root = fleet.root().await;
        run(&mut root, "SET SESSION lock_wait_timeout = 1").await;
        run(&mut root, "LOCK TABLES app.t WRITE, app.u WRITE").await;
        run(&mut root, "UNLOCK TABLES").await;
        let open = value(&mut root, "SELECT COUNT(*) FROM information_schema.innodb_trx").await;
        assert_eq!(open, 0, "{flavour:?}: transactions");
        assert_eq!(fleet.wait_for(&id, "postponed").await, "postponed", "{flavour:?}");
        fleet.admin(&format!("CUT OVER MIGRATION '{id}'")).await;
        assert_eq!(fleet.wait_for(&id, "done").await, "done", "{flavour:?}: {}", fleet.tell(&id).await);
    }
}
