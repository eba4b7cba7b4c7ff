//! Sections `[ladder]`, `[clusters.<name>.ladder]`, and `[ladder]` of a vschema file.

use super::super::decode::Object;
use super::super::keys::{Key, Section, Shape};

/// Most clusters that may be drained at once.
const DRAINS_MAX: u64 = 1000;
const MODES: &[&str] = &["off", "advise", "act"];
const CONTAIN: &str = "A suspect cluster: no schema change begins on it.";
const LIMIT: &str = "A degraded one: running schema changes are killed, few writes at a time.";
const DRAIN: &str = "One that limiting does not help: no new writes; after a while none.";
const FAILOVER: &str = "A drained one that stays sick: a replica is promoted.";

pub(in crate::config) const LADDER: Section = Section {
    doc: "What may be done by itself about a sick cluster: `off`, `advise` (it is told what would be done), \
          or `act`. A rung is never more than those above it in this list. Orders of operators are not bound \
          by it.",
    keys: &[
        Key::new("contain", Shape::Choice(MODES), CONTAIN).or("act"),
        Key::new("limit", Shape::Choice(MODES), LIMIT).or("act"),
        Key::new("drain", Shape::Choice(MODES), DRAIN).or("act"),
        Key::new("failover", Shape::Choice(MODES), FAILOVER).or("advise"),
        Key::new(
            "drains_max",
            Shape::Number(1, DRAINS_MAX),
            "Clusters drained or failing over at once by the ladder's own decision.",
        )
        .or("1"),
    ],
};

/// Some rungs' modes: a cluster's own, or a keyspace's bounds.
pub(crate) const RUNGS: Section = Section {
    doc: "Modes of rungs of the ladder, see `[ladder]` of `bulkhead.toml`.",
    keys: &[
        Key::new("contain", Shape::Choice(MODES), CONTAIN),
        Key::new("limit", Shape::Choice(MODES), LIMIT),
        Key::new("drain", Shape::Choice(MODES), DRAIN),
        Key::new("failover", Shape::Choice(MODES), FAILOVER),
    ],
};

/// Rungs from the lowest, as their keys are named.
const NAMES: [&str; 4] = ["contain", "limit", "drain", "failover"];

/// What is done when a rung's time has come. Ordered by how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RungMode {
    /// Nothing, and nothing is said.
    Off,
    /// It is told what would be done.
    Advise,
    /// It is done.
    Act,
}

impl RungMode {
    fn name(self) -> &'static str {
        MODES[self as usize]
    }
}

/// Modes of the four rungs, from the lowest: contain, limit, drain, fail over; absent where nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rungs(pub [Option<RungMode>; 4]);

/// What the ladder may do by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LadderPolicy {
    /// Modes of the four rungs, from the lowest.
    pub rungs: [RungMode; 4],
    /// Clusters drained or failing over at once by the ladder's own decision.
    pub drains_max: u32,
}

impl Rungs {
    /// Reads the section; what is not given is absent.
    pub(crate) fn decode(object: &Object<'_>) -> Self {
        Self(NAMES.map(|name| mode(object, name)))
    }
}

fn mode(object: &Object<'_>, name: &str) -> Option<RungMode> {
    match object.choice(name)? {
        0 => Some(RungMode::Off),
        1 => Some(RungMode::Advise),
        _ => Some(RungMode::Act),
    }
}

impl LadderPolicy {
    pub(in crate::config) fn decode(object: &Object<'_>) -> Self {
        let rungs = NAMES.map(|name| mode(object, name).unwrap_or(RungMode::Off));
        Self { rungs, drains_max: object.number_u32("drains_max") }
    }

    /// The same with what a cluster says for itself.
    #[must_use]
    pub fn with(mut self, own: Rungs) -> Self {
        for (rung, own) in self.rungs.iter_mut().zip(own.0) {
            *rung = own.unwrap_or(*rung);
        }
        self
    }

    /// The same, no rung more than a keyspace allows.
    #[must_use]
    pub fn within(mut self, bounds: Rungs) -> Self {
        for (rung, bound) in self.rungs.iter_mut().zip(bounds.0) {
            *rung = bound.map_or(*rung, |bound| bound.min(*rung));
        }
        self
    }

    /// Warns of rungs that are more than one below them, among those that the section itself gives.
    pub(in crate::config) fn check(&self, object: &Object<'_>) {
        for (at, name) in NAMES.iter().enumerate().skip(1) {
            let (below, lowest) =
                NAMES[..at].iter().zip(self.rungs).min_by_key(|(_, mode)| *mode).expect("one");
            let is_said_here = NAMES[..=at].iter().any(|name| object.has(name));
            if self.rungs[at] > lowest && is_said_here {
                let key = if object.has(name) { name } else { below };
                let message = format!(
                    "`{name}` is \"{}\" and `{below}` is \"{}\": a rung is never more than those below it",
                    self.rungs[at].name(),
                    lowest.name()
                );
                let help = format!("`{name}` works as \"{}\"", lowest.name());
                object.fault(object.place_of(key).warning(message).with_help(help));
            }
        }
    }
}
