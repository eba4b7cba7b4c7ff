//! The log that survives a restart: steps of the ladder, how what was done ended, changes of states, alerts.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::super::action::Action;
use super::step::{Event, How, Witness};
use crate::ids::{ClusterName, Keyspace, MigrationId};

/// How something that touched a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It was done.
    Done,
    /// It was not done.
    Failed,
    /// Nobody knows: no answer came.
    Unknown,
}

impl Ended {
    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// An action that touched a server has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActEnd {
    /// When.
    pub at: SystemTime,
    /// Which cluster.
    pub cluster: ClusterName,
    /// What.
    pub action: Action,
    /// How.
    pub ended: Ended,
    /// In words: how many were killed, or why it failed.
    pub said: String,
    /// The statements it was done to, without their values; only the first ones.
    pub statements: Vec<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// A cluster's state has changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateChange {
    /// When.
    pub at: SystemTime,
    /// Which cluster.
    pub cluster: ClusterName,
    /// Name of the state before.
    pub from: String,
    /// Name of the state now.
    pub to: String,
    /// The signals raised.
    pub evidence: Vec<Witness>,
}

/// Something that operators should know, and no step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// When.
    pub at: SystemTime,
    /// Which cluster; absent: the proxy itself, or all.
    pub cluster: Option<ClusterName>,
    /// Whether it began or is over.
    pub is_raised: bool,
    /// A short name: `hot_spot`, `store_away`.
    pub name: String,
    /// In words.
    pub said: String,
}

/// What happened to a fleet migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FleetTurn {
    /// It was taken on.
    Begun,
    /// A wave is done, and the next one has begun.
    WaveDone,
    /// An operator paused it.
    Paused,
    /// It goes on.
    Resumed,
    /// It stopped by itself, and waits for an operator.
    Stopped,
    /// An operator ended it; what was begun comes to its end.
    Cancelled,
    /// It is over.
    Ended,
}

impl FleetTurn {
    /// Name for people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::WaveDone => "wave_done",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Stopped => "stopped",
            Self::Cancelled => "cancelled",
            Self::Ended => "ended",
        }
    }
}

/// Something happened to a fleet migration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetEvent {
    /// When.
    pub at: SystemTime,
    /// Which migration.
    pub id: MigrationId,
    /// Its keyspace.
    pub keyspace: Keyspace,
    /// What happened.
    pub turn: FleetTurn,
    /// Who did it, where somebody did.
    pub by: Option<String>,
    /// In words: how many databases, why it stopped.
    pub said: String,
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Entry {
    /// A step of the ladder: done, advised or held back.
    Step(Event),
    /// What was done to a server has ended.
    Act(ActEnd),
    /// A state changed.
    State(StateChange),
    /// Something happened to a fleet migration.
    Fleet(FleetEvent),
    /// Something else.
    Notice(Notice),
}

impl Entry {
    /// When, by the wall clock.
    pub fn at(&self) -> SystemTime {
        match self {
            Self::Step(event) => event.at,
            Self::Act(end) => end.at,
            Self::State(change) => change.at,
            Self::Fleet(event) => event.at,
            Self::Notice(notice) => notice.at,
        }
    }

    /// Which cluster.
    pub fn cluster(&self) -> Option<&ClusterName> {
        match self {
            Self::Step(event) => Some(&event.cluster),
            Self::Act(end) => Some(&end.cluster),
            Self::State(change) => Some(&change.cluster),
            Self::Fleet(_) => None,
            Self::Notice(notice) => notice.cluster.as_ref(),
        }
    }

    /// What happened, without cluster and reason.
    pub fn what(&self) -> String {
        match self {
            Self::Step(event) if event.from == event.to => event.to.name().to_owned(),
            Self::Step(event) => format!("{} → {}", event.from.name(), event.to.name()),
            Self::Act(end) => end.action.name().to_owned(),
            Self::State(change) => format!("{} → {}", change.from, change.to),
            Self::Fleet(event) => format!("fleet migration {}", event.id),
            Self::Notice(notice) => notice.name.clone(),
        }
    }

    /// Whether it was done, in one word.
    pub fn how(&self) -> &'static str {
        match self {
            Self::Step(event) => event.how.name(),
            Self::Act(end) => end.ended.name(),
            Self::State(_) => "measured",
            Self::Fleet(event) => event.turn.name(),
            Self::Notice(notice) if notice.is_raised => "raised",
            Self::Notice(_) => "cleared",
        }
    }

    /// Why, or what came of it.
    pub fn why(&self) -> String {
        match self {
            Self::Step(event) => event.because.to_string(),
            Self::Act(end) => end.said.clone(),
            Self::State(_) => String::new(),
            Self::Fleet(event) => event.said.clone(),
            Self::Notice(notice) => notice.said.clone(),
        }
    }

    /// Who decided; `None` where nobody did.
    pub fn by(&self) -> Option<&str> {
        match self {
            Self::Step(event) => Some(event.by.name()),
            Self::Fleet(event) => event.by.as_deref(),
            Self::Act(_) | Self::State(_) | Self::Notice(_) => None,
        }
    }

    /// The signals with their values.
    pub fn evidence(&self) -> &[Witness] {
        match self {
            Self::Step(event) => &event.evidence,
            Self::State(change) => &change.evidence,
            Self::Act(_) | Self::Fleet(_) | Self::Notice(_) => &[],
        }
    }

    /// What was done, or would have been, in order.
    pub fn actions(&self) -> &[Action] {
        match self {
            Self::Step(event) => &event.actions,
            Self::Act(_) | Self::State(_) | Self::Fleet(_) | Self::Notice(_) => &[],
        }
    }

    /// Says whether it is only told: nothing was done.
    pub fn is_advice(&self) -> bool {
        matches!(self, Self::Step(event) if event.how != How::Acted)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(event) => event.fmt(f),
            Self::Act(end) => {
                let (cluster, action, ended) = (&end.cluster, end.action.name(), end.ended.name());
                write!(f, "{cluster}: {action} {ended} after {} ms: {}", end.took_ms, end.said)
            }
            Self::State(change) => write!(f, "{}: {} → {}", change.cluster, change.from, change.to),
            Self::Fleet(event) => {
                let FleetEvent { id, keyspace, turn, said, .. } = event;
                write!(f, "{keyspace}: fleet migration {id} {}: {said}", turn.name())
            }
            Self::Notice(notice) => {
                let whose = notice.cluster.as_ref().map_or("all", ClusterName::as_str);
                write!(f, "{whose}: {} {}: {}", notice.name, self.how(), notice.said)
            }
        }
    }
}

/// A moment for people, in UTC: `2024-02-28T21:40:07.123Z`. What lies before 1970 is 1970.
///
/// **Source**: days to civil dates by the proleptic Gregorian calendar, counted in eras of 400 years.
pub fn utc(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    // Years begin in March here, so that a leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute) = (second / 3600, second / 60 % 60);
    let (second, ms) = (second % 60, since.subsec_millis());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drain::{Because, By, Stage};

    #[test]
    fn moments_are_told_in_utc() {
        let at = |seconds: u64, ms: u64| {
            utc(UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(ms))
        };
        // By `date -u -d @…`.
        assert_eq!(at(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_399, 7), "2000-02-28T23:59:59.007Z");
        assert_eq!(at(951_782_400, 0), "2000-02-29T00:00:00.000Z");
        assert_eq!(at(1_709_156_407, 123), "2024-02-28T21:40:07.123Z");
        assert_eq!(at(1_709_251_200, 0), "2024-03-01T00:00:00.000Z");
        assert_eq!(at(4_102_444_799, 0), "2099-12-31T23:59:59.000Z");
        assert_eq!(utc(UNIX_EPOCH - Duration::from_secs(5)), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn entries_survive_their_form() {
        let at = UNIX_EPOCH + Duration::from_millis(1_709_156_407_123);
        let cluster = ClusterName::new("c1");
        let evidence = vec![Witness {
            signal: "heartbeat".into(),
            value: 3.5,
            threshold: 1.0,
            unit: "s".into(),
            for_seconds: 2.0,
        }];
        let entries = [
            Entry::Step(Event {
                at,
                cluster: cluster.clone(),
                from: Stage::Contained,
                to: Stage::Limited,
                how: How::Acted,
                by: By::Operator("ana".into()),
                because: Because::Ordered("drill".into()),
                evidence: evidence.clone(),
                actions: vec![Action::KillDdl, Action::FailOver(None)],
            }),
            Entry::Act(ActEnd {
                at,
                cluster: cluster.clone(),
                action: Action::KillDdl,
                ended: Ended::Unknown,
                said: "no answer".into(),
                statements: vec!["ALTER TABLE t".into()],
                took_ms: 5000,
            }),
            Entry::State(StateChange {
                at,
                cluster: cluster.clone(),
                from: "suspect".into(),
                to: "degraded".into(),
                evidence,
            }),
            Entry::Fleet(FleetEvent {
                at,
                id: MigrationId::new("018f00000000dddd"),
                keyspace: Keyspace::new("workspaces"),
                turn: FleetTurn::WaveDone,
                by: None,
                said: "the wave canary is done".into(),
            }),
            Entry::Notice(Notice {
                at,
                cluster: None,
                is_raised: true,
                name: "store_away".into(),
                said: "disk full".into(),
            }),
        ];
        for entry in entries {
            let text = serde_json::to_string(&entry).unwrap();
            assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry, "{text}");
            assert_eq!(entry.at(), at);
            assert!(!entry.what().is_empty() && !entry.to_string().is_empty());
        }
    }
}
