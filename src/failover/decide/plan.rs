//! What a failover will do, and why it will not be done.

use std::fmt;
use std::time::Duration;

use super::super::end::list;
use crate::gtid::GtidSet;
use crate::ids::{ClusterName, ServerId};

/// What is going to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailoverPlan {
    /// The cluster.
    pub cluster: ClusterName,
    /// The primary that steps down.
    pub from: ServerId,
    /// The replica that is promoted.
    pub to: ServerId,
    /// The others, which will follow the new primary.
    pub followers: Vec<ServerId>,
    /// What can be lost.
    pub loss: Loss,
    /// In this order.
    pub steps: Vec<Step>,
    /// What an operator should know before.
    pub warnings: Vec<String>,
}

/// What can be lost by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Nothing: the old primary answers; it is fenced, and its last transaction is waited for.
    NothingPrimaryAnswers,
    /// Nothing that was acknowledged: semi-synchronous replication was active when the primary was last
    /// heard of, and every replica that takes part in it answers.
    NothingAcknowledged {
        /// How long ago the primary was last heard of.
        heard_ago: Duration,
    },
    /// These are known to be lost, and whatever was committed since the primary was last heard of.
    Known {
        /// Executed by the primary, received by no replica that answers. May be empty.
        gtids: GtidSet,
        /// How long ago the primary was last heard of.
        heard_ago: Duration,
    },
    /// The primary was never heard of: what it executed is not known.
    Unknown,
}

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Waits until writes and transactions that run have ended, within a bound.
    AwaitWrites(ServerId),
    /// Makes the server refuse writes, and ends its clients' connections.
    Fence(ServerId),
    /// Waits until the server has applied everything that it received, and all that the old primary has.
    AwaitApplied(ServerId),
    /// Stops replication on it and makes it take writes.
    Promote(ServerId),
    /// From here on Bulkhead leads to it.
    Publish(ServerId),
    /// Makes a server replicate from the new primary.
    Repoint(ServerId),
    /// Fences a server as soon as it answers.
    RefenceLater(ServerId),
}

/// Why a failover is not done. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The config has no such cluster.
    #[error("no cluster {0}")]
    UnknownCluster(ClusterName),
    /// The cluster's config leaves failing over to others.
    #[error("clusters.{0}.failover is \"follow\": another system fails over; Bulkhead follows")]
    OthersDo(ClusterName),
    /// There is nothing to promote.
    #[error("the cluster has no replica")]
    NoReplica,
    /// The server that was asked for is not a replica of the cluster.
    #[error("{0} is not a replica of the cluster")]
    NotAReplica(ServerId),
    /// The server that was asked for is the primary already.
    #[error("{0} is the primary already")]
    AlreadyPrimary(ServerId),
    /// None of them can be promoted; each with its reason.
    #[error("no replica can be promoted: {}", unfit(.0))]
    NoneFit(Vec<(ServerId, Unfit)>),
    /// Replicas hold transactions of the primary that the others lack, each some.
    #[error("{one} and {other} have each what the other lacks ({gtids})")]
    Diverged {
        /// One of them.
        one: ServerId,
        /// Another.
        other: ServerId,
        /// What the second has and the first lacks.
        gtids: GtidSet,
    },
    /// Another replica has transactions that the one asked for lacks, and the primary cannot give them.
    #[error("{ahead} has transactions that {server} lacks ({gtids}) and the primary does not answer")]
    Behind {
        /// The server asked for.
        server: ServerId,
        /// The one that is ahead of it.
        ahead: ServerId,
        /// What is lacking.
        gtids: GtidSet,
    },
    /// A planned switchover needs a primary that answers.
    #[error("the primary {server} does not answer ({why}): this is no switchover but a failover")]
    PrimarySilent {
        /// The primary.
        server: ServerId,
        /// Why.
        why: String,
    },
    /// The replica of a switchover is too far behind, and did not come nearer.
    #[error(
        "{server} is {} ms behind the primary at least, more than {} ms, and did not come nearer within \
         {} s; writes were not held back",
        .lag.as_millis(), .lag_max.as_millis(), .waited.as_secs()
    )]
    TooFar {
        /// The replica.
        server: ServerId,
        /// How far it is behind, at least.
        lag: Duration,
        /// The most allowed.
        lag_max: Duration,
        /// How long it was waited for.
        waited: Duration,
    },
    /// Servers that do not replicate take writes: somebody else has promoted one, or there are two primaries.
    #[error("these take writes and do not replicate: {}; this must be settled first", list(.0))]
    SeveralWritable(Vec<ServerId>),
    /// One is under way.
    #[error("a failover of the cluster is under way")]
    UnderWay,
}

/// Why one replica cannot be promoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It does not answer.
    #[error("does not answer ({0})")]
    Silent(String),
    /// It is the former primary, or another server that nothing is sent to.
    #[error("was cut off and is not back yet")]
    CutOff,
    /// It does not replicate at all.
    #[error("does not replicate")]
    NoReplica,
    /// It replicates from elsewhere.
    #[error("replicates from {0}, not from the primary")]
    OtherSource(ServerId),
    /// It replicates from several sources.
    #[error("replicates from several sources")]
    SeveralSources,
    /// It takes writes.
    #[error("takes writes itself")]
    Writable,
    /// Transactions of its own.
    #[error("has transactions that the primary never had: {0}")]
    Errant(GtidSet),
    /// GTIDs are off.
    #[error("does not use GTIDs")]
    NoGtid,
    /// It keeps no binary log.
    #[error("keeps no binary log")]
    NoBinaryLog,
    /// What it replicates is not in its binary log.
    #[error("does not log what it replicates (log_replica_updates)")]
    NoLoggedUpdates,
    /// Applying stopped with an error.
    #[error("stopped applying with an error: {0}")]
    ApplyFailed(String),
    /// Applying was stopped.
    #[error("does not apply what it receives: its SQL thread is stopped")]
    ApplyStopped,
    /// Receiving stopped, and the primary could give it more.
    #[error("does not receive from the primary")]
    NotReceiving,
    /// It is made to lag.
    #[error("applies with a delay of {} s by configuration", .0.as_secs())]
    Delayed(Duration),
    /// It is too far behind.
    #[error("is {} ms behind, more than {} ms", .lag.as_millis(), .lag_max.as_millis())]
    Lagging {
        /// How far.
        lag: Duration,
        /// The most allowed.
        lag_max: Duration,
    },
    /// A newer server cannot replicate to it: it is older than this one.
    #[error("runs {version}, older than {other} ({other_version}), which could not follow it")]
    Newer {
        /// Its own version.
        version: String,
        /// The other server.
        other: ServerId,
        /// And its version.
        other_version: String,
    },
    /// It is another kind of server than the primary.
    #[error("is another kind of server than the primary")]
    OtherFlavour,
}

fn unfit(servers: &[(ServerId, Unfit)]) -> String {
    let each = servers.iter().map(|(server, why)| format!("{server} {why}"));
    each.collect::<Vec<_>>().join("; ")
}

impl Loss {
    /// Says whether anything acknowledged can be lost.
    pub fn is_possible(&self) -> bool {
        matches!(self, Self::Known { .. } | Self::Unknown)
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingPrimaryAnswers => f.write_str(
                "nothing is lost: the old primary answers, is fenced, and its last transaction is waited for",
            ),
            Self::NothingAcknowledged { heard_ago } => write!(
                f,
                "nothing acknowledged is lost: semi-synchronous replication was active {} ms ago and every \
                 replica that takes part in it answers",
                heard_ago.as_millis()
            ),
            Self::Known { gtids, heard_ago } if gtids.is_empty() => write!(
                f,
                "what the old primary was last heard to have executed is not lost; what it committed in the \
                 {} ms since then may be",
                heard_ago.as_millis()
            ),
            Self::Known { gtids, heard_ago } => write!(
                f,
                "lost is {gtids}, and what the old primary committed in the {} ms since it was last heard of \
                 may be",
                heard_ago.as_millis()
            ),
            Self::Unknown => f.write_str(
                "what is lost is not known: the old primary was never heard of by this proxy, and \
                 replication may have been behind",
            ),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AwaitWrites(server) => write!(f, "wait for the writes that run on {server}"),
            Self::Fence(server) => write!(f, "fence {server}"),
            Self::AwaitApplied(server) => write!(f, "wait until {server} has applied everything"),
            Self::Promote(server) => write!(f, "promote {server}"),
            Self::Publish(server) => write!(f, "lead to {server}"),
            Self::Repoint(server) => write!(f, "make {server} follow"),
            Self::RefenceLater(server) => write!(f, "fence {server} when it answers again"),
        }
    }
}

impl fmt::Display for FailoverPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} steps down, {} is promoted; {}", self.cluster, self.from, self.to, self.loss)?;
        let steps: Vec<_> = self.steps.iter().map(ToString::to_string).collect();
        write!(f, "; steps: {}", steps.join(", "))?;
        for warning in &self.warnings {
            write!(f, "; mind: {warning}")?;
        }
        Ok(())
    }
}
