//! Writers through the proxy, and the ledger of what was acknowledged to them.
//!
//! Each writer owns the rows whose id it can tell apart by the remainder, so what it was told last about a
//! row is what the row must be. A write whose answer is an error may or may not have happened: then both are
//! right.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::task::JoinHandle;

use crate::fleet::Fleet;

const WRITERS: u32 = 6;

/// Writers that go on until they are stopped.
pub(crate) struct Writers {
    tasks: Vec<JoinHandle<Ledger>>,
    stop: Arc<AtomicBool>,
}

/// What was acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Rows as they must be; `None`: deleted.
    rows: BTreeMap<i64, Option<(i64, String)>>,
    pub(crate) writes: u64,
    pub(crate) slowest: Duration,
}

impl Writers {
    /// Begins to write into `app.TABLE`, which has rows 1 to `rows` as `Fleet::make_table` made them.
    pub(crate) async fn start(fleet: &Fleet, table: &str, rows: u32) -> Self {
        Self::start_slow(fleet, table, rows, Duration::ZERO).await
    }

    /// The same, with a pause behind each write.
    pub(crate) async fn start_slow(fleet: &Fleet, table: &str, rows: u32, pause: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for writer in 0..WRITERS {
            let conn = fleet.client().await;
            let (table, stop) = (table.to_owned(), stop.clone());
            tasks.push(tokio::spawn(write(conn, table, (writer, rows), (pause, stop))));
        }
        Self { tasks, stop }
    }

    /// Lets them write for a while.
    pub(crate) async fn go_on_for(&self, period: Duration) {
        tokio::time::sleep(period).await;
    }

    /// Ends them; what they were told.
    pub(crate) async fn stop(self) -> Ledger {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Ledger::default();
        for task in self.tasks {
            let ledger = task.await.expect("a writer does not fail");
            all.rows.extend(ledger.rows);
            all.writes += ledger.writes;
            all.slowest = all.slowest.max(ledger.slowest);
        }
        all
    }
}

async fn write(
    mut conn: Conn,
    table: String,
    (writer, rows): (u32, u32),
    (pause, stop): (Duration, Arc<AtomicBool>),
) -> Ledger {
    let mut ledger = Ledger::default();
    let mut own: Vec<i64> =
        (1..=i64::from(rows)).filter(|id| id % i64::from(WRITERS) == i64::from(writer)).collect();
    ledger.rows = own.iter().map(|id| (*id, Some((*id, format!("row {id}"))))).collect();
    let mut next = i64::from(rows) * 10 + i64::from(writer);
    let mut turn: u64 = u64::from(writer) * 7_919;
    while !stop.load(Ordering::SeqCst) {
        turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pick = usize::try_from((turn >> 33) % own.len() as u64).expect("an index");
        let id = own[pick];
        let value = i64::try_from(turn >> 40).expect("24 bits");
        let (sql, row, key) = match (turn >> 20) % 4 {
            0 => {
                next += i64::from(WRITERS);
                own.push(next);
                let sql = format!("INSERT INTO {table} (id, n, s) VALUES ({next}, {value}, 'new')");
                (sql, Some((value, "new".to_owned())), next)
            }
            1 if own.len() > 100 => {
                own.swap_remove(pick);
                (format!("DELETE FROM {table} WHERE id = {id}"), None, id)
            }
            _ => {
                let sql = format!("UPDATE {table} SET n = {value}, s = 'w{value}' WHERE id = {id}");
                (sql, Some((value, format!("w{value}"))), id)
            }
        };
        let began = Instant::now();
        conn.query_drop(&sql).await.unwrap_or_else(|error| panic!("writer {writer}: {sql}: {error}"));
        ledger.slowest = ledger.slowest.max(began.elapsed());
        ledger.writes += 1;
        ledger.rows.insert(key, row);
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    ledger
}

impl Ledger {
    /// Every acknowledged write is there, and nothing else.
    pub(crate) async fn compare(&self, fleet: &Fleet, table: &str) {
        let mut conn = fleet.root().await;
        let found: Vec<(i64, i64, String)> =
            conn.query(format!("SELECT id, n, s FROM app.{table}")).await.expect("it works");
        let found: BTreeMap<i64, (i64, String)> = found.into_iter().map(|(id, n, s)| (id, (n, s))).collect();
        let wanted: BTreeMap<i64, (i64, String)> =
            self.rows.iter().filter_map(|(id, row)| Some((*id, row.clone()?))).collect();
        let lost: Vec<_> = wanted.iter().filter(|(id, row)| found.get(id) != Some(row)).take(5).collect();
        let extra: Vec<_> = found.iter().filter(|(id, _)| !wanted.contains_key(id)).take(5).collect();
        assert!(
            lost.is_empty() && extra.is_empty(),
            "{:?}: lost {lost:?}, not written {extra:?}",
            fleet.flavour()
        );
        assert_eq!(found.len(), wanted.len());
    }
}
