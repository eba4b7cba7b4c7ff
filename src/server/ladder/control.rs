//! What the admin port sees of the ladder, and how its orders get there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::acting::{Answered, Call};
use super::alerts::Outbox;
use super::history::History;
use super::kill::Reserve;
use super::ledger::Ledger;
use crate::admin::{
    AdminFuture, ClusterSample, LadderStanding, LadderView, LoggedEntry, Ordered, RunningStatement,
};
use crate::drain::{Command, Entry, Order, Refused};
use crate::error::{ClientError, Code};
use crate::failover::Failovers;
use crate::ids::ClusterName;

/// The watching task answers an order within one look; this is only in case that it does not.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What the watching task tells of the ladder besides the board's rows; replaced at every look.
#[derive(Debug, Default)]
pub(in crate::server) struct Told {
    /// Reserved connections.
    pub(in crate::server) reserves: BTreeMap<ClusterName, Arc<Reserve>>,
    /// Why the store is away.
    pub(in crate::server) store_away: Option<String>,
}

/// The admin port's handle.
pub(in crate::server) struct Control {
    pub(super) calls: mpsc::Sender<Call>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) history: Arc<History>,
    pub(super) outbox: Outbox,
    pub(super) failovers: Arc<Failovers>,
    pub(super) told: Arc<ArcSwap<Told>>,
}

impl Control {
    /// Notes something that happened beside the ladder, and sends it to those who want to know.
    pub(in crate::server) fn note(&self, entry: Entry) {
        self.outbox.offer(&entry);
        self.ledger.note(entry, None);
    }

    async fn ask(&self, command: Command, is_rehearsal: bool) -> Result<Ordered, ClientError> {
        let Order::FailOver(to) = command.order.clone() else {
            return Ok(Ordered { step: self.call(command, is_rehearsal).await?.step, plan: None });
        };
        let cluster = command.cluster.clone();
        if is_rehearsal {
            let step = self.call(command, true).await?.step;
            let plan = self.failovers.plan(&cluster, to).await;
            let plan = plan.map(|plan| plan.to_string()).map_err(|refusal| refusal.to_string());
            return Ok(Ordered { step, plan: Some(plan) });
        }
        // With the order writes are held: what can be waited for before that is.
        if self.call(command.clone(), true).await?.works {
            let near = self.failovers.await_near(&cluster, to.as_ref()).await;
            near.map_err(|refusal| ClientError::new(Code::OrderRefused, refusal.to_string()))?;
        }
        Ok(Ordered { step: self.call(command, false).await?.step, plan: None })
    }

    async fn call(&self, command: Command, is_rehearsal: bool) -> Result<Answered, ClientError> {
        let (reply, answer) = oneshot::channel();
        let failed = |what: &str| ClientError::new(Code::AdminFailed, what.to_owned());
        self.calls
            .try_send(Call::Order { command, is_rehearsal, reply })
            .map_err(|_| failed("too many orders wait; try again"))?;
        match timeout(ANSWER_WITHIN, answer).await {
            Ok(Ok(Ok(answered))) => Ok(answered),
            Ok(Ok(Err(refused))) => Err(self.refusal(&refused)),
            Ok(Err(_closed)) => Err(failed("the proxy is stopping")),
            Err(_elapsed) => {
                Err(failed("no answer in time: the order may still be followed; see SHOW EVENTS"))
            }
        }
    }

    fn refusal(&self, refused: &Refused) -> ClientError {
        let code = match refused {
            Refused::UnknownCluster(_) => Code::AdminNotFound,
            Refused::NotOwner => {
                let owner = self.ledger.lease.with(|lease| lease.owner().map(str::to_owned));
                let owner = owner.unwrap_or_else(|| "not known".into());
                let said = format!("{refused}: {owner}; give the order there");
                return ClientError::new(Code::OtherProxyDecides, said);
            }
            Refused::Already(_) | Refused::IsNot(_) | Refused::FailingOver | Refused::StoreAway => {
                Code::OrderRefused
            }
        };
        ClientError::new(code, refused.to_string())
    }
}

impl LadderView for Control {
    fn order(&self, command: Command, is_rehearsal: bool) -> AdminFuture<'_, Result<Ordered, ClientError>> {
        Box::pin(self.ask(command, is_rehearsal))
    }

    fn events(&self) -> Vec<LoggedEntry> {
        self.ledger.events.entries()
    }

    fn samples(&self, cluster: &ClusterName) -> Vec<ClusterSample> {
        self.history.of(cluster)
    }

    fn running_ddl(&self, cluster: &ClusterName) -> AdminFuture<'_, Option<Vec<RunningStatement>>> {
        let reserve = self.told.load().reserves.get(cluster).cloned();
        Box::pin(async move { reserve?.running_ddl().await })
    }

    fn standing(&self) -> LadderStanding {
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let sent = &self.outbox.sent;
        LadderStanding {
            proxy: self.ledger.proxy().to_owned(),
            owner: self.ledger.lease.with(|lease| lease.owner().map(str::to_owned)),
            ownership: self.ledger.lease.ownership(),
            store_away: self.told.load().store_away.clone(),
            events_given_up: self.ledger.events.given_up(),
            alerts_delivered: count(&sent.delivered),
            alerts_failed: count(&sent.failed),
            alerts_dropped: count(&sent.dropped),
        }
    }
}
