//! Where a cluster stands on the ladder, and what that means for its clients.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::action::{Action, Lane, PermitsHeld, WriteGate};
use super::event::{Because, How};
use super::policy::Rung;

/// Where a cluster stands; what several proxies have to agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing is held back.
    Open,
    /// No schema changes.
    Contained,
    /// Few statements at a time; the others fail fast.
    Limited,
    /// No new writes; those under way may finish.
    Draining,
    /// No writes.
    Drained,
    /// Another server becomes the primary.
    FailingOver,
    /// Statements are let in again, twice as many every few seconds.
    Ramping,
}

impl Stage {
    /// Name for people and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Contained => "contained",
            Self::Limited => "limited",
            Self::Draining => "draining",
            Self::Drained => "drained",
            Self::FailingOver => "failing over",
            Self::Ramping => "ramping",
        }
    }

    /// Says whether it counts as a drain.
    pub fn is_drain(self) -> bool {
        matches!(self, Self::Draining | Self::Drained | Self::FailingOver)
    }

    /// What a stage means in every proxy: lane, permits, gate.
    fn posture(self) -> (Lane, PermitsHeld, WriteGate) {
        match self {
            Self::Open => (Lane::Open, PermitsHeld::Free, WriteGate::Open),
            Self::Contained => (Lane::Closed, PermitsHeld::Free, WriteGate::Open),
            Self::Limited => (Lane::Closed, PermitsHeld::Few, WriteGate::Limited),
            Self::Draining => (Lane::Closed, PermitsHeld::Few, WriteGate::Refusing),
            Self::Drained => (Lane::Closed, PermitsHeld::Few, WriteGate::Drained),
            Self::FailingOver => (Lane::Closed, PermitsHeld::Few, WriteGate::Buffering),
            Self::Ramping => (Lane::Closed, PermitsHeld::Ramping, WriteGate::Open),
        }
    }
}

/// What was decided about a cluster: what several proxies share, and what survives a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Where it stands.
    pub stage: Stage,
    /// An operator drained it: only an operator lets it in again.
    pub is_operators: bool,
    /// What became of a failover is not known: only an operator lets it in again.
    pub is_unsure: bool,
    /// An operator froze schema changes.
    pub is_ddl_frozen: bool,
    /// A failover is expected while it drains: writes are held, not refused.
    pub expects_failover: bool,
    /// The failover under way was ordered on a cluster that works.
    pub is_planned: bool,
}

impl Decision {
    /// Nothing was decided yet.
    pub const OPEN: Self = Self {
        stage: Stage::Open,
        is_operators: false,
        is_unsure: false,
        is_ddl_frozen: false,
        expects_failover: false,
        is_planned: false,
    };

    /// Lane, permits and gate in every proxy.
    pub fn posture(&self) -> (Lane, PermitsHeld, WriteGate) {
        let (lane, permits, gate) = self.stage.posture();
        let lane = if self.is_ddl_frozen { Lane::Closed } else { lane };
        let holds = self.stage == Stage::Draining && self.expects_failover;
        (lane, permits, if holds { WriteGate::Buffering } else { gate })
    }
}

/// A cluster on the ladder.
#[derive(Clone, Debug)]
pub struct Stand {
    /// What was decided.
    pub decision: Decision,
    /// It stands there since.
    pub since: Instant,
    /// What was decided was taken over then: detectors may have begun at that moment.
    pub(super) taken: Option<Instant>,
    /// A failover was tried and failed: none by itself before this.
    pub(super) no_failover_until: Option<Instant>,
    /// DDL was last killed then.
    pub(super) ddl_killed: Option<Instant>,
    /// The primary that is read-only was last looked for a successor then.
    pub(super) primary_sought: Option<Instant>,
    /// What was advised or held back since it was last open, so that each is told once.
    pub(super) told: Vec<(Rung, How, Because)>,
}

impl Stand {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            decision: Decision::OPEN,
            since: now,
            taken: None,
            no_failover_until: None,
            ddl_killed: None,
            primary_sought: None,
            told: Vec::new(),
        }
    }

    /// The last thing that was advised or held back since it was last open: which stage, and why.
    pub fn advice(&self) -> Option<(Stage, How, &Because)> {
        self.told.last().map(|(rung, how, because)| (rung.stage(), *how, because))
    }

    /// Changes it and gives what has to be done in every proxy for that.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Self)) -> Vec<Action> {
        let before = self.decision.posture();
        change(self);
        let after = self.decision.posture();
        let mut actions = Vec::new();
        if before.0 != after.0 {
            actions.push(Action::DdlLane(after.0));
        }
        if before.1 != after.1 {
            actions.push(Action::Permits(after.1));
        }
        if before.2 != after.2 {
            actions.push(Action::Gate(after.2));
        }
        actions
    }

    /// Moves to another stage.
    pub(super) fn go(&mut self, stage: Stage, now: Instant) -> Vec<Action> {
        self.change(|stand| {
            (stand.decision.stage, stand.since) = (stage, now);
            if !stage.is_drain() {
                let decision = &mut stand.decision;
                (decision.is_operators, decision.is_unsure) = (false, false);
                (decision.expects_failover, decision.is_planned) = (false, false);
            }
            if stage == Stage::Open {
                stand.told.clear();
            }
        })
    }

    /// Takes over what was decided elsewhere, or before a restart.
    pub(super) fn take(&mut self, decision: Decision, now: Instant) -> Vec<Action> {
        self.change(|stand| {
            if stand.decision.stage != decision.stage {
                stand.since = now;
                stand.told.clear();
            }
            stand.taken = (decision.stage >= Stage::Limited).then_some(now);
            stand.decision = decision;
        })
    }
}
