//! How databases are laid out in waves, as it was asked for: kept for as long as a migration may have to be
//! planned again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The databases that are changed first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Canary {
    /// These: databases or workspaces, by name.
    Names(Vec<String>),
    /// So many, from all clusters in turn.
    Count(u32),
}

/// The order within a wave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ordering {
    /// As the candidates are given.
    AsGiven,
    /// The smallest first; those of which the size is not known come last.
    BySize,
    /// These first, in this order (databases or workspaces), then the rest as they are given.
    ByList(Vec<String>),
}

/// How databases are laid out in waves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WavePlan {
    /// The first wave.
    pub canary: Canary,
    /// The share of all databases that is done when each of the next waves is, rising, each above 0 and below
    /// 1. All the rest is the last wave.
    pub shares: Vec<f64>,
    /// After each wave but the last, nothing is begun for so long.
    pub soak: Duration,
    /// The order within a wave.
    pub ordering: Ordering,
}

impl Default for WavePlan {
    /// Three databases, then 1 %, 10 %, all; five minutes after each.
    fn default() -> Self {
        Self {
            canary: Canary::Count(3),
            shares: vec![0.01, 0.1],
            soak: Duration::from_secs(300),
            ordering: Ordering::AsGiven,
        }
    }
}

/// The shares of a plan that is kept are numbers between 0 and 1, never NaN: others are laid out by nobody.
impl Eq for WavePlan {}

/// What it takes to plan an order again, beside the order itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// How databases are laid out.
    pub waves: WavePlan,
    /// More failures than these in one wave, and it stops; absent: as the waves are by themselves.
    pub failures_max: Option<u32>,
    /// Databases that drifted are changed too, where the statements fit them.
    pub takes_drifted: bool,
    /// Another migration that changes one of the tables was not over when this one was planned: whether or
    /// not it is by now, the plan is an old one.
    pub is_due: bool,
}

impl Again {
    /// Bytes of the names in it: they are part of one value of the store.
    pub fn names_bytes(&self) -> usize {
        let names = |names: &[String]| names.iter().map(|name| name.len() + 3).sum::<usize>();
        let canary = match &self.waves.canary {
            Canary::Names(list) => names(list),
            Canary::Count(_) => 0,
        };
        let ordering = match &self.waves.ordering {
            Ordering::ByList(list) => names(list),
            Ordering::AsGiven | Ordering::BySize => 0,
        };
        canary + ordering
    }
}
