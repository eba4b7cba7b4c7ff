//! New workspaces: their databases are made from a template, which may be older than what fleet migrations
//! have made of the others since.

use std::sync::Arc;

use super::execute::LiveExecutor;
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
/// What it has already, and what does not fit what it is like, is left. A migration that has not left its
/// canaries yet comes to the database later, as to any other.
///
/// # Errors
/// In words: a change failed, or its end is not known.
async fn bring_up(
    executor: &Arc<LiveExecutor>,
    orders: &[Arc<Order>],
    newcomer: &Newcomer<'_>,
) -> Result<u32, String> {
    let mut changed = 0;
    for order in orders.iter().filter(|order| order.keyspace == *newcomer.keyspace) {
        let work = Work {
            order: order.clone(),
            row: NO_ROW,
            attempt: 1,
            database: newcomer.database.into(),
            workspace: Some(newcomer.workspace.clone()),
            shard: newcomer.shard.name.clone(),
            cluster: newcomer.shard.cluster.clone(),
        };
        match executor.change(work).await {
            Outcome::Changed => changed += 1,
            Outcome::There | Outcome::Gone => {}
            Outcome::Drifted(like) => {
                let (id, database) = (&order.id, newcomer.database);
                tracing::warn!(target: "bulkhead::fleet", %id, database, like, "the template is another one");
            }
            Outcome::Failed(failure) | Outcome::Again(failure) | Outcome::Unknown(failure) => {
                return Err(format!("fleet migration {}: {}", order.id, failure.message));
            }
            Outcome::Later(_) | Outcome::Unchanged | Outcome::StillRunning => {
                return Err(format!("fleet migration {} could not be carried out", order.id));
            }
        }
    }
    Ok(changed)
}

impl NewestSchema for Fleet {
    fn bring_up<'a>(
        &'a self,
        (keyspace, workspace): (&'a Keyspace, &'a WorkspaceId),
        database: &'a str,
        shard: &'a Shard,
    ) -> BringUpFuture<'a> {
        Box::pin(async move {
            let orders = self.orders();
            let newcomer = Newcomer { keyspace, workspace, database, shard };
            let changed = bring_up(self.executor(), &orders, &newcomer).await?;
            if changed > 0 {
                tracing::info!(target: "bulkhead::fleet", %keyspace, %workspace, changed, "brought up");
            }
            Ok(())
        })
    }
}
