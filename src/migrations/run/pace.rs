//! Whether one more chunk may be copied: operators' orders, the throttle, and room for clients.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::runner::Turn;
use super::shared::Shared;
use crate::ids::{ClusterName, MigrationId};
use crate::migrations::engine::{ChunkCost, Pace, Permission, Slice};
use crate::migrations::ledger::Orders;
use crate::migrations::throttle::Throttle;

/// Chunks at once while no client writes, and while some do.
const WORKERS: usize = 4;
const WORKERS_BESIDE_CLIENTS: usize = 1;
/// Time that a chunk is meant to take while clients write, rests apart, at most and at least.
const CHUNK_TIME_BESIDE_CLIENTS: Duration = Duration::from_millis(100);
const CHUNK_TIME_MIN: Duration = Duration::from_millis(40);
/// And each of its statements: well below the time for which a kernel leaves a processor to one thread while
/// others want it, which is 3 to 4 ms on Linux.
const SLICE_TIME: Duration = Duration::from_millis(1);
/// And else.
const CHUNK_TIME: Duration = Duration::from_millis(800);
/// While clients write, a copy rests behind each chunk, so that it works for its share of the time; never
/// longer than this.
const REST_MAX: Duration = Duration::from_secs(3);
/// Orders that end by themselves are looked at so often.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The pace of one migration.
pub(super) struct Paced {
    shared: Arc<Shared>,
    id: MigrationId,
    throttle: Arc<Throttle>,
    /// What the last chunk took, and rested.
    last: Mutex<(Duration, Duration)>,
    /// Its turn among the copies of the cluster; others have it while an operator holds this one.
    turn: Mutex<Option<Turn>>,
}

impl Paced {
    pub(super) fn new(shared: Arc<Shared>, id: MigrationId, throttle: Arc<Throttle>, turn: Turn) -> Self {
        Self { shared, id, throttle, last: Mutex::default(), turn: Mutex::new(Some(turn)) }
    }

    /// Lets others copy.
    pub(super) fn give_turn(&self) {
        drop(self.turn().take());
    }

    fn turn(&self) -> MutexGuard<'_, Option<Turn>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn; it may be that it is to stop, or is held again, meanwhile.
    async fn take_turn(&self, cluster: &ClusterName) {
        let taken = tokio::select! {
            taken = self.shared.turns(cluster).acquire_owned() => taken,
            _ = wait_for_orders(&self.shared, &self.id, |_| false) => return,
        };
        *self.turn() = taken.ok();
    }

    /// Why it waits now; `None`: it does not.
    fn waits_for(&self, orders: &Orders) -> Option<String> {
        held_by(orders, SystemTime::now()).or_else(|| self.throttle.closed())
    }

    /// Each change is whole, so a panic elsewhere does not spoil it.
    fn last(&self) -> MutexGuard<'_, (Duration, Duration)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait(&self) -> Permission {
        let mut orders = self.shared.ledger.changes();
        let mut owned = self.shared.owned();
        loop {
            let record = self.shared.ledger.get(&self.id);
            let Some(record) = record.filter(|record| record.orders.cancelled_by.is_none()) else {
                return Permission::Stop;
            };
            if !*owned.borrow_and_update() {
                return Permission::Stop;
            }
            if held_by(&record.orders, SystemTime::now()).is_some() {
                self.give_turn();
            }
            let why = self.waits_for(&record.orders);
            let waits = why.is_some();
            if !waits && self.turn().is_none() {
                self.shared
                    .note_throttled(&self.id, Some("other copies have the cluster's turns".to_owned()));
                self.take_turn(&record.request.cluster).await;
                continue;
            }
            self.shared.note_throttled(&self.id, why);
            if !waits {
                self.rest().await;
                return Permission::Go;
            }
            tokio::select! {
                changed = orders.changed() => if changed.is_err() { return Permission::Stop },
                () = self.throttle.changed() => {}
                changed = owned.changed() => if changed.is_err() { return Permission::Stop },
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn rest(&self) {
        let Some(slice) = self.slice() else { return };
        let (took, rested) = *self.last();
        tokio::time::sleep(rest_behind(slice.rest(took), rested)).await;
    }
}

/// How long to rest behind a chunk that is to rest for so long in all, and has for a part of it.
fn rest_behind(all: Duration, rested: Duration) -> Duration {
    all.saturating_sub(rested).min(REST_MAX)
}

/// Why operators hold a migration; `None`: they do not.
pub(in crate::migrations) fn held_by(orders: &Orders, now: SystemTime) -> Option<String> {
    if orders.is_paused {
        return Some("paused by an operator".to_owned());
    }
    let until = orders.throttled_until?;
    let left = until.duration_since(now).ok()?;
    Some(format!("throttled by an operator for {} s more", left.as_secs() + 1))
}

impl Pace for Paced {
    fn admit(&self) -> Pin<Box<dyn Future<Output = Permission> + Send + '_>> {
        Box::pin(self.wait())
    }

    fn workers(&self) -> usize {
        if self.throttle.is_busy() { WORKERS_BESIDE_CLIENTS } else { WORKERS }
    }

    fn chunk_time(&self) -> Duration {
        if self.throttle.is_busy() {
            CHUNK_TIME_BESIDE_CLIENTS.mul_f64(self.throttle.ease()).max(CHUNK_TIME_MIN)
        } else {
            CHUNK_TIME
        }
    }

    fn slice(&self) -> Option<Slice> {
        let share = self.throttle.share();
        self.throttle.is_busy().then_some(Slice { time: SLICE_TIME, share })
    }

    fn done(&self, cost: ChunkCost) {
        *self.last() = (cost.took, cost.rested);
        self.throttle.note_chunk();
        self.shared.note_chunk(&self.id, cost, std::time::Instant::now());
    }

    fn goes_on(&self) {
        self.throttle.note_chunk();
    }
}

/// Waits until the migration's record says something that `is_awaited`, or it is cancelled or let go.
pub(super) async fn wait_for_orders(
    shared: &Shared,
    id: &MigrationId,
    is_awaited: impl Fn(&Orders) -> bool,
) -> Option<Permission> {
    let mut changes = shared.ledger.changes();
    let mut owned: watch::Receiver<bool> = shared.owned();
    loop {
        let record = shared.ledger.get(id)?;
        if record.orders.cancelled_by.is_some() || !*owned.borrow_and_update() {
            return Some(Permission::Stop);
        }
        if is_awaited(&record.orders) {
            return Some(Permission::Go);
        }
        tokio::select! {
            changed = changes.changed() => changed.ok()?,
            changed = owned.changed() => changed.ok()?,
            // A throttling by hand ends by itself.
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_leaves_a_share_of_the_time() {
        let took = Duration::from_millis(100);
        let rest = |took, share, rested| {
            let all = Slice { time: SLICE_TIME, share }.rest(took);
            rest_behind(all, Duration::from_millis(rested))
        };
        assert_eq!(rest(took, 0.5, 0), took);
        assert_eq!(rest(took, 0.1, 0).as_millis(), 900);
        assert_eq!(rest(took, 0.1, 850).as_millis(), 50, "it rested between its statements");
        assert_eq!(rest(took, 0.1, 950), Duration::ZERO);
        assert_eq!(rest(took, 1.0, 0), Duration::ZERO);
        assert_eq!(rest(took * 100, 0.1, 0), REST_MAX);
    }

    #[test]
    fn orders_hold_until_they_are_over() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let orders = Orders::default();
        assert_eq!(held_by(&orders, now), None);
        let paused = Orders { is_paused: true, ..orders.clone() };
        assert_eq!(held_by(&paused, now).as_deref(), Some("paused by an operator"));
        let throttled = Orders { throttled_until: Some(now + Duration::from_secs(5)), ..orders };
        assert_eq!(held_by(&throttled, now).as_deref(), Some("throttled by an operator for 6 s more"));
        assert_eq!(
            held_by(&throttled, now + Duration::from_secs(5)).as_deref(),
            Some("throttled by an operator for 1 s more")
        );
        assert_eq!(held_by(&throttled, now + Duration::from_secs(6)), None);
    }
}
