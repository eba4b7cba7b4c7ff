//! Tells clusters of the ends of small copies, many at once; closes the connections that were kept for them.
//!
//! A cluster's own ledger only informs: the store decides, and a copy of one chunk claims its table by a lock
//! that goes with its connection. So the end of each of a fleet's thousands of copies need not be a
//! transaction of its own, which a durable server flushes twice. What was not told when the process ended is
//! told when the old table is dropped.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{MissedTickBehavior, interval, timeout};

use super::engine;
use super::ledger::{Record, tables};
use super::run::Shared;
use crate::ids::ClusterName;

/// Between two times.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// A cluster that has not taken it by then is not told.
const TELL_WITHIN: Duration = Duration::from_secs(20);

/// Tells until dropped.
pub(super) async fn keep_telling(shared: Arc<Shared>) {
    let mut every = interval(TELL_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        shared.sessions.close_old().await;
        for (cluster, ids) in shared.take_untold() {
            let records: Vec<_> = ids.iter().filter_map(|id| shared.ledger.get(id)).filter(is_over).collect();
            let told = timeout(TELL_WITHIN, tell(&shared, &cluster, &records)).await;
            if let Err(why) = told.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
                let count = records.len();
                tracing::debug!(%cluster, count, why, "the cluster's ledger is behind");
            }
        }
    }
}

/// One that was retried meanwhile is not.
fn is_over(record: &Arc<Record>) -> bool {
    record.state.is_over()
}

async fn tell(shared: &Shared, cluster: &ClusterName, records: &[Arc<Record>]) -> Result<(), String> {
    let endpoint = shared.clusters.endpoint(cluster).map_err(|error| error.to_string())?;
    let mut conn = engine::open_session(&endpoint).await.map_err(|error| error.to_string())?;
    let told = tables::end_all(&mut conn, records, SystemTime::now()).await;
    conn.close().await;
    told.map_err(|error| error.to_string())
}
