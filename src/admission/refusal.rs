//! Why a statement was not admitted, and how its client is told.

use std::time::Duration;

use crate::drain::Shed;
use crate::error::{ClientError, Code, Outcome};
use crate::ids::ClusterName;
use crate::topology::Shard;

/// Why a statement was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Schema changes are not let through.
    DdlLane,
    /// A gate refuses it, or holds as many as it may.
    Refused,
    /// The cluster is drained.
    Drained,
    /// It was held at a gate, and its time is over.
    HeldTooLong,
    /// As many statements wait for a permit as may.
    QueueFull,
    /// Those that wait take as many bytes as may.
    QueueBytes,
    /// It waited too long for a permit.
    Late,
    /// There is no free permit, and none may wait for one.
    NoFreePermit,
    /// Its workspace has as many statements in flight, waiting or per second as it may.
    WorkspaceLimit,
    /// As many bytes are held for the cluster as may be.
    Memory,
}

impl Why {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::DdlLane,
        Self::Refused,
        Self::Drained,
        Self::HeldTooLong,
        Self::QueueFull,
        Self::QueueBytes,
        Self::Late,
        Self::NoFreePermit,
        Self::WorkspaceLimit,
        Self::Memory,
    ];

    /// Name for people and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::DdlLane => "ddl_lane",
            Self::Refused => "refused",
            Self::Drained => "drained",
            Self::HeldTooLong => "held_too_long",
            Self::QueueFull => "queue_full",
            Self::QueueBytes => "queue_bytes",
            Self::Late => "late",
            Self::NoFreePermit => "no_free_permit",
            Self::WorkspaceLimit => "workspace_limit",
            Self::Memory => "memory",
        }
    }

    fn code(self) -> Code {
        match self {
            Self::DdlLane => Code::DdlLaneClosed,
            Self::Refused => Code::ShardDraining,
            Self::Drained => Code::ShardDrained,
            Self::HeldTooLong => Code::HeldTooLong,
            Self::QueueFull | Self::QueueBytes => Code::ShardQueueFull,
            Self::Late => Code::ShardQueueLate,
            Self::NoFreePermit => Code::ShardLimited,
            Self::WorkspaceLimit => Code::WorkspaceLimit,
            Self::Memory => Code::ShardMemoryFull,
        }
    }
}

impl From<Shed> for Why {
    fn from(shed: Shed) -> Self {
        match shed {
            Shed::QueueFull => Self::QueueFull,
            Shed::QueueBytes => Self::QueueBytes,
            Shed::Waited => Self::Late,
            Shed::WorkspaceRate | Shed::WorkspaceQueue => Self::WorkspaceLimit,
            Shed::Closed => Self::NoFreePermit,
        }
    }
}

/// A statement was not admitted; nothing of it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub why: Why,
    /// When to try again.
    pub retry_after: Duration,
}

impl Refusal {
    /// Gates changed faster than the statement could follow.
    pub const GATES_UNSTEADY: Self = Self { why: Why::HeldTooLong, retry_after: Duration::from_secs(1) };

    /// As many bytes are held for the cluster as may be.
    pub const MEMORY: Self = Self { why: Why::Memory, retry_after: Duration::from_secs(1) };

    /// What the client is told: the shard, the reason, when to try again.
    pub fn error(&self, cluster: &ClusterName, shard: Option<&Shard>) -> ClientError {
        let (code, ms) = (self.why.code(), self.retry_after.as_millis().max(1));
        let place = match shard {
            Some(shard) => format!("shard {}/{} on cluster {cluster}", shard.keyspace, shard.name),
            None => format!("cluster {cluster}"),
        };
        let message =
            format!("{} ({place}; reason {}; retry after {ms} ms)", code.sentence(), self.why.name());
        ClientError::new(code, message).with_outcome(Outcome::NotSent)
    }
    /// The same of an answer that was on its way: the statement had been sent.
    pub(super) fn of_answer(&self, cluster: &ClusterName) -> ClientError {
        let (why, ms) = (self.why.name(), self.retry_after.as_millis());
        let message = format!(
            "the answer was given up, as many bytes are held for the shard as may be (cluster {cluster}; \
             reason {why}; retry after {ms} ms)"
        );
        ClientError::new(self.why.code(), message).with_outcome(Outcome::Unknown)
    }
}
