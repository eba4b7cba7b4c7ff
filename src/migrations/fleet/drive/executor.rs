//! What acts on databases.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::migrations::fleet::ledger::{Ending, Order, Outcome};
use crate::migrations::fleet::schedule::{Afresh, Unplanned, Work};

/// What an executor's methods return.
pub type ExecutorFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Changes databases and looks at them.
///
/// What is promised to the ledger rests on it: an outcome other than [`Outcome::Unknown`] is certain.
pub trait Executor: Send + Sync + 'static {
    /// Changes one database, once. It looks at the definition itself, right before it sends anything: one
    /// that is wanted is [`Outcome::There`], one that the order does not know is [`Outcome::Drifted`], and
    /// neither is touched. With the outcome goes what was seen of the order's steps. Ends when it is known
    /// what became of it, or when that cannot be found out.
    ///
    /// Cancel safety: not cancelled by the driver. When the process ends under it, a look tells what became
    /// of it.
    fn change(&self, work: Work) -> ExecutorFuture<'_, Ending>;

    /// Looks what became of a database that was begun: by its definition, and by what is at work on it (a
    /// statement on the server, a copy). [`Outcome::StillRunning`] while something is.
    fn look(&self, work: Work) -> ExecutorFuture<'_, Outcome>;

    /// Stops a change that is under way, where that can be done without harm; its end is told by
    /// [`Executor::change`].
    fn stop(&self, work: Work) -> ExecutorFuture<'_, ()>;

    /// Plans an order again, whose turn has come: looks at every database anew and sends nothing that changes
    /// one. What was read before is not believed: others have changed the tables since.
    ///
    /// Cancel safety: safe.
    fn plan(&self, order: Arc<Order>) -> ExecutorFuture<'_, Result<Afresh, Unplanned>>;
}
