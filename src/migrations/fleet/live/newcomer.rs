//! New workspaces: their databases are made from a template, which may be older than what fleet migrations
//! have made of the others since.

use std::collections::HashSet;
use std::sync::Arc;

use super::service::Fleet;
use crate::ids::{Keyspace, WorkspaceId};
use crate::migrations::fleet::drive::Executor;
use crate::migrations::fleet::ledger::{Order, Outcome};
use crate::migrations::fleet::schedule::Work;
use crate::topology::{BringUpFuture, NewestSchema, Shard};

/// A row that no migration has: the database is not one of its rows yet.
const NO_ROW: u32 = u32::MAX;

/// A database that was just made.
struct Newcomer<'a> {
    keyspace: &'a Keyspace,
    workspace: &'a WorkspaceId,
    database: &'a str,
    shard: &'a Shard,
}

/// Carries out, one after the other, what was decided for all databases of the keyspace; how many changed it.
/// What is decided meanwhile is carried out too: nobody knows of the database yet. What it has already, and
/// what does not fit what it is like, is left. A migration that has not left its canaries yet comes to the
/// database later, as to any other.
///
/// # Errors
/// In words: a change failed, or its end is not known.
async fn bring_up(
    executor: &impl Executor,
    orders: impl Fn() -> Vec<Arc<Order>>,
    newcomer: &Newcomer<'_>,
) -> Result<u32, String> {
    let (mut changed, mut carried_out) = (0, HashSet::new());
    loop {
        let is_next =
            |order: &Arc<Order>| order.keyspace == *newcomer.keyspace && !carried_out.contains(&order.id);
        let Some(order) = orders().into_iter().find(is_next) else { return Ok(changed) };
        carried_out.insert(order.id.clone());
        changed += u32::from(carry_out(executor, &order, newcomer).await?);
    }
}

/// Carries one order out; says whether that changed the database.
///
/// # Errors
/// In words.
async fn carry_out(
    executor: &impl Executor,
    order: &Arc<Order>,
    newcomer: &Newcomer<'_>,
) -> Result<bool, String> {
    let work = Work {
        order: order.clone(),
        row: NO_ROW,
        attempt: 1,
        there: 0,
        database: newcomer.database.into(),
        workspace: Some(newcomer.workspace.clone()),
        shard: newcomer.shard.name.clone(),
        cluster: newcomer.shard.cluster.clone(),
    };
    match executor.change(work).await.outcome {
        Outcome::Changed => Ok(true),
        Outcome::There | Outcome::Gone => Ok(false),
        Outcome::Drifted(like) => {
            let (id, database) = (&order.id, newcomer.database);
            tracing::warn!(target: "bulkhead::fleet", %id, database, like, "the template is another one");
            Ok(false)
        }
        Outcome::Failed(failure) | Outcome::Again(failure) | Outcome::Unknown(failure) => {
            Err(format!("fleet migration {}: {}", order.id, failure.message))
        }
        Outcome::Later(_) | Outcome::Unchanged | Outcome::StillRunning => {
            Err(format!("fleet migration {} could not be carried out", order.id))
        }
    }
}

impl NewestSchema for Fleet {
    fn bring_up<'a>(
        &'a self,
        (keyspace, workspace): (&'a Keyspace, &'a WorkspaceId),
        database: &'a str,
        shard: &'a Shard,
    ) -> BringUpFuture<'a> {
        Box::pin(async move {
            let newcomer = Newcomer { keyspace, workspace, database, shard };
            let changed = bring_up(&**self.executor(), || self.orders(), &newcomer).await?;
            if changed > 0 {
                tracing::info!(target: "bulkhead::fleet", %keyspace, %workspace, changed, "brought up");
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::ids::{ClusterName, ShardName};
    use crate::migrations::fleet::drive::ExecutorFuture;
    use crate::migrations::fleet::fixture;
    use crate::migrations::fleet::ledger::Ending;
    use crate::migrations::fleet::schedule::{Afresh, Unplanned};

    /// While the first order is carried out another one is decided about.
    #[derive(Default)]
    struct Busy {
        orders: Mutex<Vec<Arc<Order>>>,
        changed: Mutex<Vec<String>>,
    }

    fn order(id: &str) -> Arc<Order> {
        Arc::new(fixture::order(id, "issues", Vec::new()))
    }

    impl Executor for Busy {
        fn change(&self, work: Work) -> ExecutorFuture<'_, Ending> {
            let mut changed = self.changed.lock().unwrap();
            if changed.is_empty() {
                self.orders.lock().unwrap().push(order("0002"));
            }
            changed.push(work.order.id.to_string());
            let outcome = if changed.len() == 1 { Outcome::Changed } else { Outcome::There };
            Box::pin(async move { outcome.into() })
        }

        fn look(&self, _: Work) -> ExecutorFuture<'_, Outcome> {
            Box::pin(async { Outcome::Unchanged })
        }

        fn stop(&self, _: Work) -> ExecutorFuture<'_, ()> {
            Box::pin(async {})
        }

        fn plan(&self, _: Arc<Order>) -> ExecutorFuture<'_, Result<Afresh, Unplanned>> {
            Box::pin(async { Err(Unplanned::Later(String::new())) })
        }
    }

    #[tokio::test]
    async fn what_is_decided_meanwhile_is_carried_out_too() {
        let busy = Busy::default();
        busy.orders.lock().unwrap().extend([order("0001"), Arc::new(elsewhere())]);
        let (keyspace, workspace) = (Keyspace::new("workspaces"), WorkspaceId::Number(7));
        let shard = Shard {
            keyspace: keyspace.clone(),
            name: ShardName::new("ws-a"),
            cluster: ClusterName::new("c1"),
            range: None,
            weight: 1,
        };
        let (keyspace, workspace, shard) = (&keyspace, &workspace, &shard);
        let newcomer = Newcomer { keyspace, workspace, database: "ws_7", shard };
        let orders = || busy.orders.lock().unwrap().clone();
        assert_eq!(bring_up(&busy, orders, &newcomer).await, Ok(1));
        assert_eq!(*busy.changed.lock().unwrap(), ["0001", "0002"]);
    }

    fn elsewhere() -> Order {
        Order { keyspace: Keyspace::new("shop"), ..Order::clone(&order("0003")) }
    }
}
