//! What operators order.

use thiserror::Error;

use crate::ids::{ClusterName, ServerId};

/// What is ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// No schema changes until [`Order::ThawDdl`].
    FreezeDdl,
    /// Schema changes again.
    ThawDdl,
    /// No new writes; stays until [`Order::Undrain`].
    Drain,
    /// Lets writes in again, by way of the ramp.
    Undrain,
    /// Makes another server the primary: this one, or the most advanced.
    FailOver(Option<ServerId>),
}

/// An operator's order for one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Which cluster.
    pub cluster: ClusterName,
    /// What.
    pub order: Order,
    /// Who.
    pub by: String,
    /// Why, for the event.
    pub why: String,
}

/// How a failover ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailoverEnd {
    /// This server is the primary.
    Done(ServerId),
    /// It was not done, for this reason; the old primary is as it was.
    Undone(String),
    /// What became of it is not known, for this reason.
    Unknown(String),
}

/// Why an order was not followed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// There is no such cluster.
    #[error("no cluster {0}")]
    UnknownCluster(ClusterName),
    /// It is so already.
    #[error("the cluster is already {0}")]
    Already(&'static str),
    /// There is nothing to undo.
    #[error("the cluster is not {0}")]
    IsNot(&'static str),
    /// A failover is under way; its end is awaited.
    #[error("a failover is under way")]
    FailingOver,
    /// Another proxy owns the decisions.
    #[error("another proxy decides about this cluster now")]
    NotOwner,
    /// It is not known who decides.
    #[error("the state store is away: no proxy may touch servers")]
    StoreAway,
}
