//! The proxy's side of an exchange: statements of the table are held, for a bounded time.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::migrations::service::{GatedTable, TableGate};

/// The gate refuses nobody: it is opened by then, and asked to hold a little longer than that.
const BEYOND: Duration = Duration::from_secs(1);

/// A table's gate. Dropped, it is open.
pub(in crate::migrations) struct Gate {
    gate: Arc<dyn TableGate>,
    table: Arc<GatedTable>,
    timer: std::sync::Mutex<Option<AbortHandle>>,
}

impl Gate {
    /// Open.
    pub(in crate::migrations) fn new(gate: Arc<dyn TableGate>, table: GatedTable) -> Self {
        Self { gate, table: Arc::new(table), timer: std::sync::Mutex::new(None) }
    }

    /// Holds statements, `within` at most: then they go to the server, and wait there if they have to.
    pub(super) fn hold(&self, within: Duration) {
        self.gate.hold(&self.table, within + BEYOND);
        let (gate, table) = (self.gate.clone(), self.table.clone());
        let timer = tokio::spawn(async move {
            tokio::time::sleep(within).await;
            gate.release(&table);
        });
        self.set_timer(Some(timer.abort_handle()));
    }

    /// Lets them go.
    pub(super) fn open(&self) {
        if self.set_timer(None) {
            self.gate.release(&self.table);
        }
    }

    /// Replaces the timer; says whether there was one.
    fn set_timer(&self, timer: Option<AbortHandle>) -> bool {
        let mut kept = self.timer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = std::mem::replace(&mut *kept, timer);
        before.inspect(AbortHandle::abort).is_some()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Instant;

    use super::*;
    use crate::ids::{ClusterName, Keyspace, ShardName, TableName};

    #[derive(Default)]
    struct Calls(Mutex<Vec<(&'static str, Instant)>>);

    impl TableGate for Calls {
        fn hold(&self, _: &GatedTable, _: Duration) {
            self.0.lock().unwrap().push(("hold", tokio::time::Instant::now().into_std()));
        }

        fn release(&self, _: &GatedTable) {
            self.0.lock().unwrap().push(("release", tokio::time::Instant::now().into_std()));
        }
    }

    fn table() -> GatedTable {
        GatedTable {
            cluster: ClusterName::new("c1"),
            keyspace: Keyspace::new("app"),
            shard: ShardName::new("-"),
            workspace: None,
            table: TableName::new("t"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn statements_are_held_no_longer_than_the_bound() {
        let calls = Arc::new(Calls::default());
        let gate = Gate::new(calls.clone(), table());
        gate.hold(Duration::from_secs(3));
        tokio::time::sleep(Duration::from_secs(10)).await;
        let seen = calls.0.lock().unwrap().clone();
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[1].1 - seen[0].1, Duration::from_secs(3));
        // Whatever becomes of the attempt, the gate does not stay.
        gate.hold(Duration::from_secs(3));
        drop(gate);
        tokio::time::sleep(Duration::from_secs(10)).await;
        let seen: Vec<_> = calls.0.lock().unwrap().iter().map(|(call, _)| *call).collect();
        assert_eq!(seen, ["hold", "release", "hold", "release"]);
    }
}
