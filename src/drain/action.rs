//! What the ladder wants done; each is carried out by whoever holds the means.

use serde::{Deserialize, Serialize};

use crate::ids::ServerId;

/// Whether schema changes are let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Within their budget.
    Open,
    /// None begins, and migrations pause.
    Closed,
}

/// How the permits for writes on a cluster are held; carried out by [`crate::drain::Limit::follow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PermitsHeld {
    /// Not.
    Free,
    /// At the floor.
    Few,
    /// Doubling from the floor.
    Ramping,
}

/// The state of a cluster's gate for writes; carried out by [`crate::drain::GateState::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteGate {
    /// All pass.
    Open,
    /// Pass with a permit that is free now; none waits.
    Limited,
    /// New ones are held for a bounded time; transactions finish.
    Buffering,
    /// New ones are refused; transactions finish.
    Refusing,
    /// None passes, those of transactions neither.
    Drained,
}

impl Lane {
    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

impl PermitsHeld {
    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Few => "few",
            Self::Ramping => "ramping",
        }
    }
}

impl WriteGate {
    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Limited => "limited",
            Self::Buffering => "buffering",
            Self::Refusing => "refusing",
            Self::Drained => "drained",
        }
    }
}

/// One thing to do for one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Lets schema changes through or not, and pauses or resumes migrations.
    DdlLane(Lane),
    /// Caps the permits of writes. Reads have a limit of their own that adapts by itself.
    Permits(PermitsHeld),
    /// Sets the cluster's gate for writes.
    Gate(WriteGate),
    /// Kills the schema changes that run on the primary.
    KillDdl,
    /// Kills what still writes on the primary: transactions had their time.
    KillTransactions,
    /// Promotes a replica: this one, or the most advanced.
    FailOver(Option<ServerId>),
    /// The primary says that it is read-only: looks for the one that is primary now.
    FindPrimary,
}

impl Action {
    /// Name for people and programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::DdlLane(Lane::Open) => "ddl_lane_open",
            Self::DdlLane(Lane::Closed) => "ddl_lane_closed",
            Self::Permits(PermitsHeld::Free) => "permits_free",
            Self::Permits(PermitsHeld::Few) => "permits_few",
            Self::Permits(PermitsHeld::Ramping) => "permits_ramping",
            Self::Gate(WriteGate::Open) => "gate_open",
            Self::Gate(WriteGate::Limited) => "gate_limited",
            Self::Gate(WriteGate::Buffering) => "gate_buffering",
            Self::Gate(WriteGate::Refusing) => "gate_refusing",
            Self::Gate(WriteGate::Drained) => "gate_drained",
            Self::KillDdl => "kill_ddl",
            Self::KillTransactions => "kill_transactions",
            Self::FailOver(_) => "fail_over",
            Self::FindPrimary => "find_primary",
        }
    }

    /// Says whether it touches a server, so that only the proxy that owns the decision may do it; every proxy
    /// does the others for itself.
    pub fn touches_server(&self) -> bool {
        match self {
            Self::DdlLane(_) | Self::Permits(_) | Self::Gate(_) => false,
            Self::KillDdl | Self::KillTransactions | Self::FailOver(_) | Self::FindPrimary => true,
        }
    }
}
