//! A gate: whether statements pass, for one cluster, shard or table.

use std::time::{Duration, Instant};

use super::action::WriteGate;

/// Told to who is refused at a gate that may open soon.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Told to who is refused at a drained gate: a drain lasts as long as a failover.
const RETRY_AFTER_DRAINED: Duration = Duration::from_secs(5);
/// While a failover is awaited, statements are held so long: three times what a planned one takes. Clients'
/// own time limits are seldom shorter.
const HELD_FOR: Duration = Duration::from_secs(10);
/// Statements held at one gate, at most. At thousands of writes per second this is a second's worth: enough
/// for a planned switchover, and for an outage nothing would be.
const HELD_MAX: usize = 4096;
/// Bytes of statements held at one gate, at most.
const HELD_BYTES_MAX: usize = 64 << 20;

/// What a gate does with statements that it covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateState {
    /// All pass.
    Open,
    /// They pass if there is a permit at once; none waits.
    Limited,
    /// New ones are held until then at most; those of open transactions pass.
    Buffering {
        /// From then on new ones are refused, and those held.
        until: Instant,
    },
    /// New ones are refused; those of open transactions pass.
    Refusing,
    /// None passes.
    Drained,
}

impl GateState {
    /// Name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Limited => "limited",
            Self::Buffering { .. } => "buffering",
            Self::Refusing => "refusing",
            Self::Drained => "drained",
        }
    }

    /// The state that the ladder wants.
    pub fn of(gate: WriteGate, now: Instant) -> Self {
        match gate {
            WriteGate::Open => Self::Open,
            WriteGate::Limited => Self::Limited,
            WriteGate::Buffering => Self::Buffering { until: now + HELD_FOR },
            WriteGate::Refusing => Self::Refusing,
            WriteGate::Drained => Self::Drained,
        }
    }
}

/// Which statements a gate covers; the others pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covers {
    /// Writes, and transactions that may write.
    Writes,
    /// All.
    All,
}

/// A statement at a gate.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// It writes, or belongs to a transaction that may.
    pub is_write: bool,
    /// Its transaction is open on the server.
    pub is_in_transaction: bool,
    /// What it keeps in memory while it is held.
    pub bytes: usize,
}

/// What becomes of it. Ordered by strictness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ruling {
    /// It passes, and may wait for a permit.
    Pass,
    /// It passes only with a permit that is free now.
    PassIfFree,
    /// It is held, until then at most; to be let go with [`Gate::let_go`], whatever becomes of it, and
    /// planned again then.
    Hold {
        /// When to refuse it.
        until: Instant,
    },
    /// It is refused.
    Refuse {
        /// When to try again.
        retry_after: Duration,
    },
}

/// One gate.
#[derive(Clone, Debug)]
pub struct Gate {
    state: GateState,
    covers: Covers,
    since: Instant,
    held: usize,
    held_bytes: usize,
}

impl Gate {
    /// An open gate.
    pub fn new(now: Instant) -> Self {
        Self { state: GateState::Open, covers: Covers::All, since: now, held: 0, held_bytes: 0 }
    }

    /// Its state, which statements it covers, and since when.
    pub fn state(&self) -> (GateState, Covers, Instant) {
        (self.state, self.covers, self.since)
    }

    /// Statements held, and their bytes.
    pub fn held(&self) -> (usize, usize) {
        (self.held, self.held_bytes)
    }

    /// Brings it into another state, whichever it was in. Says whether those held have to be looked at again:
    /// each asks anew, in the order in which it came.
    pub fn set(&mut self, state: GateState, covers: Covers, now: Instant) -> bool {
        if (self.state, self.covers) != (state, covers) {
            (self.state, self.covers, self.since) = (state, covers, now);
        }
        self.held > 0 && !matches!(state, GateState::Buffering { .. })
    }

    /// Rules on a statement. One that is held counts from here on.
    pub fn rule(&mut self, visit: Visit, now: Instant) -> Ruling {
        let ruling = self.look(visit, now);
        if let Ruling::Hold { .. } = ruling {
            self.held += 1;
            self.held_bytes += visit.bytes;
        }
        ruling
    }

    /// As [`Gate::rule`], and counts nothing.
    pub(super) fn look(&self, visit: Visit, now: Instant) -> Ruling {
        if self.covers == Covers::Writes && !visit.is_write {
            return Ruling::Pass;
        }
        let refuse = Ruling::Refuse { retry_after: RETRY_AFTER };
        match self.state {
            GateState::Open => Ruling::Pass,
            GateState::Drained => Ruling::Refuse { retry_after: RETRY_AFTER_DRAINED },
            // Its locks are what others wait for, and nothing of it can be replayed.
            _ if visit.is_in_transaction => Ruling::Pass,
            GateState::Limited => Ruling::PassIfFree,
            GateState::Buffering { until } if now < until && self.can_hold(visit.bytes) => {
                Ruling::Hold { until }
            }
            GateState::Buffering { .. } | GateState::Refusing => refuse,
        }
    }

    fn can_hold(&self, bytes: usize) -> bool {
        self.held < HELD_MAX && self.held_bytes.saturating_add(bytes) <= HELD_BYTES_MAX
    }

    /// A held statement is held no more.
    pub fn let_go(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(1);
        self.held_bytes = self.held_bytes.saturating_sub(bytes);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.state == GateState::Open && self.held == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITE: Visit = Visit { is_write: true, is_in_transaction: false, bytes: 100 };
    const READ: Visit = Visit { is_write: false, ..WRITE };
    const WITHIN: Visit = Visit { is_in_transaction: true, ..WRITE };

    #[test]
    fn each_state_has_its_ruling() {
        let now = Instant::now();
        let until = now + Duration::from_secs(3);
        let refuse = Ruling::Refuse { retry_after: RETRY_AFTER };
        let drained = Ruling::Refuse { retry_after: RETRY_AFTER_DRAINED };
        let table = [
            (GateState::Open, Ruling::Pass, Ruling::Pass),
            (GateState::Limited, Ruling::PassIfFree, Ruling::Pass),
            (GateState::Buffering { until }, Ruling::Hold { until }, Ruling::Pass),
            (GateState::Refusing, refuse, Ruling::Pass),
            (GateState::Drained, drained, drained),
        ];
        for (state, new, within) in table {
            let mut gate = Gate::new(now);
            gate.set(state, Covers::Writes, now);
            assert_eq!((gate.rule(WRITE, now), gate.rule(WITHIN, now)), (new, within), "{state:?}");
            assert_eq!(gate.rule(READ, now), Ruling::Pass, "{state:?}");
            gate.set(state, Covers::All, now);
            assert_eq!(gate.look(READ, now), new, "{state:?}");
        }
    }

    #[test]
    fn what_is_held_is_bounded_in_number_bytes_and_time() {
        let now = Instant::now();
        let until = now + Duration::from_secs(3);
        let refuse = Ruling::Refuse { retry_after: RETRY_AFTER };
        let mut gate = Gate::new(now);
        gate.set(GateState::Buffering { until }, Covers::Writes, now);
        assert_eq!(gate.rule(Visit { bytes: HELD_BYTES_MAX + 1, ..WRITE }, now), refuse);
        (0..HELD_MAX).for_each(|_| assert_eq!(gate.rule(WRITE, now), Ruling::Hold { until }));
        assert_eq!(gate.rule(WRITE, now), refuse);
        assert_eq!(gate.held(), (HELD_MAX, HELD_MAX * 100));
        gate.let_go(100);
        assert_eq!(gate.rule(WRITE, now), Ruling::Hold { until });
        gate.let_go(100);
        assert_eq!(gate.rule(WRITE, until), refuse);
        assert!(gate.set(GateState::Open, Covers::All, now), "those held are to be woken");
        (1..HELD_MAX).for_each(|_| gate.let_go(100));
        assert_eq!((gate.held(), gate.is_idle()), ((0, 0), true));
    }
}
