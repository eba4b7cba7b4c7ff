//! Clients that write to a table while it is copied.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mysql_async::prelude::Queryable;
use tokio::task::JoinHandle;

use crate::common::servers::{Cluster, connect};

/// Clients at work until they are stopped.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    writes: Arc<AtomicU64>,
    clients: Vec<JoinHandle<()>>,
}

/// A table for [`Traffic`]: an integer key, a unique value that may be NULL, a unique text, others.
pub(crate) const TABLE: &str = "CREATE TABLE t (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, \
    u INT NULL, name VARCHAR(60) CHARACTER SET utf8mb4 NOT NULL, note TEXT, \
    amount DECIMAL(12,3) NOT NULL DEFAULT 0, at DATETIME(6) NULL, UNIQUE KEY u (u), \
    UNIQUE KEY name (name), KEY amount (amount), KEY at (at))";
/// Its columns.
pub(crate) const COLUMNS: [&str; 6] = ["id", "u", "name", "note", "amount", "at"];

impl Traffic {
    /// Starts clients on `database.t`, whose keys are up to about `keys`.
    pub(crate) fn start(cluster: &Cluster, database: &str, clients: u64, keys: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let writes = Arc::new(AtomicU64::new(0));
        let client = |number: u64| {
            let (stop, writes) = (stop.clone(), writes.clone());
            let (port, password, database) =
                (cluster.primary_port, cluster.password.clone(), database.to_owned());
            tokio::spawn(async move {
                let mut conn = connect(port, "bulkhead_app", &password, Some(&database)).await;
                let mut dice = Dice(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
                while !stop.load(Ordering::Relaxed) {
                    for statement in transaction(&mut dice, keys) {
                        // Duplicates, deadlocks and lock waits are part of it.
                        if conn.query_drop(&statement).await.is_ok() {
                            writes.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
                conn.disconnect().await.expect("a goodbye");
            })
        };
        let clients = (1..=clients).map(client).collect();
        Self { stop, writes, clients }
    }

    /// Statements that were carried out so far.
    pub(crate) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// Ends; gives the statements that were carried out.
    pub(crate) async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.expect("a client ends in good order");
        }
        self.writes.load(Ordering::Relaxed)
    }
}

struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as u32 % sides.max(1)
    }
}

/// One transaction.
fn transaction(dice: &mut Dice, keys: u32) -> Vec<String> {
    let (one, two) = (1 + dice.throw(keys), 1 + dice.throw(keys));
    let (u, value) = (dice.throw(keys), dice.throw(1_000_000));
    let insert = format!(
        "INSERT INTO t (u, name, note, amount, at) VALUES ({u}, 'n{value}-{u} é\\'\\\\', REPEAT('x', {}), \
            {value}.125, \
         '2024-02-29 12:00:00.{value:06}')",
        dice.throw(300)
    );
    match dice.throw(12) {
        0..=3 => vec![insert],
        4 => vec![format!("UPDATE t SET note = CONCAT('y', {value}), amount = {value} WHERE id = {one}")],
        5 => vec![format!("DELETE FROM t WHERE id = {one}")],
        // The key changes.
        6 => vec![format!("UPDATE t SET id = id + 7000000 + {value} WHERE id = {one}")],
        7 => vec![format!("UPDATE t SET u = {u} WHERE id = {one}")],
        // Two rows swap their unique values.
        8 | 9 => vec![
            "START TRANSACTION".to_owned(),
            format!("SELECT u INTO @one FROM t WHERE id = {one} FOR UPDATE"),
            format!("SELECT u INTO @two FROM t WHERE id = {two} FOR UPDATE"),
            format!("UPDATE t SET u = NULL WHERE id = {one}"),
            format!("UPDATE t SET u = @one WHERE id = {two}"),
            format!("UPDATE t SET u = @two WHERE id = {one}"),
            "COMMIT".to_owned(),
        ],
        // Many rows at once.
        10 => vec![format!("UPDATE t SET amount = amount + 1 WHERE id BETWEEN {one} AND {one} + 300")],
        _ => vec![
            "START TRANSACTION".to_owned(),
            insert,
            format!("DELETE FROM t WHERE id BETWEEN {two} AND {two} + 5"),
            "ROLLBACK".to_owned(),
        ],
    }
}
