//! What is written down of every step: when, why, on what evidence, what was done, by whom.

use std::fmt;
use std::time::{Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::super::action::Action;
use super::super::rung::Stage;
use crate::health::Evidence;
use crate::ids::ClusterName;

/// Whether a step was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It was.
    Acted,
    /// The policy only advises it.
    Advised,
    /// It was due, and something forbids it.
    HeldBack,
}

impl How {
    /// Name for people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Acted => "acted",
            Self::Advised => "advised",
            Self::HeldBack => "held_back",
        }
    }
}

/// Who decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The ladder, by its policy.
    Policy,
    /// A person.
    Operator(String),
}

impl By {
    /// The operator, or `policy`.
    pub fn name(&self) -> &str {
        match self {
            Self::Policy => "policy",
            Self::Operator(name) => name,
        }
    }
}

/// Why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// It is suspect.
    Suspect,
    /// It is degraded.
    Degraded,
    /// It is down.
    Down,
    /// Schema changes run on it again, or still.
    DdlStillRuns,
    /// Limiting it has not helped.
    StillSick,
    /// The time for transactions to finish is over.
    DrainIsOver,
    /// It works again.
    Recovered,
    /// All permits are back.
    RampIsOver,
    /// Another server is the primary.
    FailedOver,
    /// The failover was not done, for this reason; the old primary is as it was.
    FailoverUndone(String),
    /// What became of the failover is not known, for this reason.
    FailoverUnknown(String),
    /// The primary says that it is read-only.
    ReadOnly,
    /// The proxy itself is short of CPU.
    OwnFault,
    /// Nothing was heard of the failover in time.
    FailoverUnheard,
    /// As many clusters are drained as may be by themselves.
    OthersDrain,
    /// The other clusters look the same.
    AllAlike,
    /// Only one kind of signal speaks against it.
    OneSided,
    /// Its writes are slow, and come to their end.
    NotStuck,
    /// A failover failed a short while ago.
    FailoverTooSoon,
    /// The state store is away: no proxy may touch servers.
    StoreAway,
    /// What an operator wrote.
    Ordered(String),
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Suspect => "it is suspect",
            Self::Degraded => "it is degraded",
            Self::Down => "it is down",
            Self::DdlStillRuns => "schema changes still run on it",
            Self::StillSick => "limiting it has not helped",
            Self::DrainIsOver => "the time for transactions to finish is over",
            Self::Recovered => "it works again",
            Self::RampIsOver => "all permits are back",
            Self::FailedOver => "another server is the primary",
            Self::FailoverUndone(why) => return write!(f, "the failover was not done: {why}"),
            Self::FailoverUnknown(why) => {
                return write!(f, "what became of the failover is not known: {why}");
            }
            Self::ReadOnly => "the primary is read-only",
            Self::OwnFault => "the proxy itself is short of CPU",
            Self::FailoverUnheard => "nothing was heard of the failover in time",
            Self::OthersDrain => "as many clusters are drained as may be by themselves",
            Self::AllAlike => "the other clusters look the same",
            Self::OneSided => "sessions and probes do not both speak against it",
            Self::NotStuck => "its writes are slow but come to their end",
            Self::FailoverTooSoon => "a failover failed a short while ago",
            Self::StoreAway => "the state store is away, and no proxy may touch servers",
            Self::Ordered(why) => return f.write_str(why),
        })
    }
}

/// A signal as it is written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Witness {
    /// Its name.
    pub signal: String,
    /// Its value.
    pub value: f64,
    /// What raised it.
    pub threshold: f64,
    /// Unit of both.
    pub unit: String,
    /// Seconds that it had been raised.
    pub for_seconds: f64,
}

impl Witness {
    /// The evidence as it is at this moment.
    pub fn of(evidence: &Evidence, now: Instant) -> Self {
        Self {
            signal: evidence.signal.name().to_owned(),
            value: evidence.value,
            threshold: evidence.threshold,
            unit: evidence.signal.unit().to_owned(),
            for_seconds: now.saturating_duration_since(evidence.since).as_secs_f64(),
        }
    }
}

/// One step of the ladder; goes into the log that survives a restart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, by the wall clock; only for people, nothing is computed from it.
    pub at: SystemTime,
    /// Which cluster.
    pub cluster: ClusterName,
    /// From where.
    pub from: Stage,
    /// To where; the same when nothing was done.
    pub to: Stage,
    /// Whether it was done.
    pub how: How,
    /// Who decided.
    pub by: By,
    /// Why.
    pub because: Because,
    /// The signals raised at that moment.
    pub evidence: Vec<Witness>,
    /// What was done, or would have been.
    pub actions: Vec<Action>,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from.name(), self.to.name());
        let how = match self.how {
            How::Acted => "",
            How::Advised => "advised: ",
            How::HeldBack => "held back: ",
        };
        write!(f, "{}: {how}{from} → {to}, because {}", self.cluster, self.because)?;
        if let By::Operator(name) = &self.by {
            write!(f, " (by {name})")?;
        }
        for witness in &self.evidence {
            let Witness { signal, value, threshold, unit, .. } = witness;
            write!(f, "; {signal} {value:.2} {unit} (from {threshold:.2})")?;
        }
        Ok(())
    }
}
