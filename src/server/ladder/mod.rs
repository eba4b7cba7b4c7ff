//! The ladder acts: decisions are carried out, written down, shared, and told.
//!
//! - [`Acting`]: owned by the watching task of `health`; sets gates, begins what touches servers.
//! - `ledger`: decisions and events in the state store, and the lease that says which proxy decides.
//! - `kill`: schema changes and writing connections, through a reserved connection.
//! - `alerts`: webhooks and commands.
//! - [`Control`]: the admin port's side.

mod acting;
mod alerts;
mod control;
mod history;
mod http;
mod kill;
mod ledger;
mod log;
mod policy;
#[cfg(test)]
mod tests;

pub(super) use acting::{Acting, Call};
pub(super) use control::{Control, Told};
pub(super) use history::History;
pub(super) use ledger::StoreNews;

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::acting::CALLS_MAX;
use self::alerts::Outbox;
use self::ledger::{Keeper, Ledger};
use super::health::targets;
use crate::failover::Failovers;
use crate::session::Services;
use crate::topology::{Store, StoreError};

/// News of the store that wait for the watching task.
const STORE_NEWS_MAX: usize = 256;

/// What the watching task is given.
pub(super) struct Reins {
    pub(super) acting: Acting,
    pub(super) history: Arc<History>,
    pub(super) calls: mpsc::Receiver<Call>,
    pub(super) store: mpsc::Receiver<StoreNews>,
    pub(super) told: Arc<ArcSwap<Told>>,
}

/// Reads what was decided before, and starts the tasks at the store and of the alerts.
///
/// # Errors
/// The store cannot be read: without what was decided, a drained cluster would be let in.
pub(super) async fn start(
    services: &Arc<Services>,
    store: &Arc<dyn Store>,
    failovers: &Arc<Failovers>,
    background: &mut JoinSet<()>,
) -> Result<(Reins, Control), StoreError> {
    let ledger = Arc::new(Ledger::new(&**store));
    let (news, store_news) = mpsc::channel(STORE_NEWS_MAX);
    let mut keeper = Keeper::new(store.clone(), ledger.clone(), news);
    keeper.begin().await?;
    background.spawn(keeper.keep());
    let (outbox, sending) = Outbox::new(services.clone(), ledger.proxy());
    background.spawn(sending);
    let (calls, called) = mpsc::channel(CALLS_MAX);
    let (history, told) = (Arc::new(History::default()), Arc::new(ArcSwap::from_pointee(Told::default())));
    let mut acting =
        Acting::new(services.clone(), failovers.clone(), ledger.clone(), outbox.clone(), calls.clone());
    let snapshot = services.snapshots.load();
    acting.follow_config(&snapshot, &targets(&snapshot.config), Instant::now());
    let (failovers, seen) = (failovers.clone(), told.clone());
    let control = Control { calls, ledger, history: history.clone(), outbox, failovers, told: seen };
    Ok((Reins { acting, history, calls: called, store: store_news, told }, control))
}
