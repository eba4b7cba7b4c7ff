//! Workspaces that use a cluster at this moment: how many statements each has in flight, and its rate.
//!
//! A workspace is remembered while it has statements in flight or waiting, or its rate is above zero; a few
//! others are, so that one that comes back with every statement is not made anew for each.
//! The rate is kept as one instant (the generic cell rate algorithm): a token bucket without a timer.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::ids::NameMap;

use super::permits::Ticket;

/// A burst may be as large as what the rate allows in this time.
const BURST: Duration = Duration::from_secs(1);
/// Workspaces remembered before any is forgotten.
const REMEMBERED: usize = 1024;
/// Idle workspaces looked at with every statement, to be forgotten when their rate has come down.
const FORGET_AT_ONCE: usize = 2;

/// What one workspace may use of a cluster, set by an operator.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WorkspaceLimits {
    /// Statements in flight; 0: only its fair share bounds it; absent: as all workspaces.
    pub in_flight_max: Option<u32>,
    /// Statements per second, bursts of a second's worth allowed; 0: no bound; absent: as all workspaces.
    pub per_second_max: Option<f64>,
}

/// What a workspace may have at the most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Statements in flight.
    pub(super) in_flight: u32,
    /// Connections: seats, and statements that need one.
    pub(super) connections: u32,
}

/// One workspace that uses the cluster.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) in_flight: u32,
    /// Of these, those whose sessions had no connection before.
    pub(super) outside: u32,
    /// Connections that its sessions keep between statements.
    pub(super) seats: u32,
    /// Tickets in order; some of them may have been cancelled.
    pub(super) waiting: VecDeque<Ticket>,
    /// Those that were not.
    pub(super) waiting_count: usize,
    /// Its next turn is in the ring of turns.
    pub(super) has_turn: bool,
    /// Statements are allowed as if each took its part of a second, one after the other; here the last ends.
    busy_until: Instant,
    is_listed: bool,
}

impl Workspace {
    /// Says whether one more may be in flight.
    pub(super) fn has_room(&self, bounds: Option<Bounds>) -> bool {
        bounds.is_none_or(|bounds| {
            self.in_flight < bounds.in_flight && self.seats + self.outside < bounds.connections
        })
    }

    /// Says whether it waits and is not in the ring of turns.
    pub(super) fn wants_turn(&self) -> bool {
        !self.has_turn && !self.waiting.is_empty()
    }

    fn is_unused(&self) -> bool {
        self.in_flight == 0 && self.seats == 0 && self.waiting.is_empty() && !self.has_turn
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.is_unused() && self.busy_until <= now
    }
}

#[derive(Debug, Default)]
pub(super) struct Workspaces {
    /// By numbers that are mixed well enough: ids of workspaces with their keyspace, hashed.
    known: NameMap<u64, Workspace>,
    /// Those that had nothing in flight or waiting when they were listed, in the order of that.
    idle: VecDeque<u64>,
}

impl Workspaces {
    pub(super) fn get(&mut self, key: u64, now: Instant) -> &mut Workspace {
        self.known.entry(key).or_insert_with(|| Workspace {
            in_flight: 0,
            outside: 0,
            seats: 0,
            waiting: VecDeque::new(),
            waiting_count: 0,
            has_turn: false,
            busy_until: now,
            is_listed: false,
        })
    }

    pub(super) fn find(&mut self, key: u64) -> Option<&mut Workspace> {
        self.known.get_mut(&key)
    }

    /// Takes one statement of the workspace's rate; says how long to wait when there is none left.
    pub(super) fn take_rate(&mut self, key: u64, per_second: f64, now: Instant) -> Result<(), Duration> {
        let each = Duration::try_from_secs_f64(1.0 / per_second).unwrap_or(Duration::MAX);
        let workspace = self.get(key, now);
        let begins = workspace.busy_until.max(now);
        let ahead = begins.saturating_duration_since(now);
        // A first statement is always allowed, however low the rate.
        let allowed = BURST.saturating_sub(each);
        if ahead > allowed {
            return Err(ahead - allowed);
        }
        workspace.busy_until = begins.checked_add(each).unwrap_or(begins);
        Ok(())
    }

    /// Changes what a workspace has; says whether it wants a turn.
    pub(super) fn change(&mut self, key: u64, change: impl FnOnce(&mut Workspace)) -> bool {
        let Some(workspace) = self.known.get_mut(&key) else { return false };
        change(workspace);
        if workspace.is_unused() && !workspace.is_listed {
            workspace.is_listed = true;
            self.idle.push_back(key);
        }
        workspace.wants_turn()
    }

    /// Lists a workspace that has nothing any more, to be forgotten once there are too many.
    pub(super) fn settle(&mut self, key: u64) {
        self.change(key, |_| {});
    }

    /// Looks at a few that became idle earlier, if too many are remembered.
    pub(super) fn forget_idle(&mut self, now: Instant) {
        if self.known.len() <= REMEMBERED {
            return;
        }
        for _ in 0..FORGET_AT_ONCE {
            let Some(key) = self.idle.pop_front() else { return };
            let Some(workspace) = self.known.get_mut(&key) else { continue };
            workspace.is_listed = false;
            if workspace.is_idle(now) {
                self.known.remove(&key);
            } else {
                self.settle(key);
            }
        }
    }

    pub(super) fn in_use(&self) -> usize {
        self.known.values().filter(|workspace| !workspace.is_unused()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_allows_a_burst_and_then_its_pace() {
        let start = Instant::now();
        let mut workspaces = Workspaces::default();
        let mut passed = 0;
        for ms in 0..3000 {
            let now = start + Duration::from_millis(ms);
            passed += u32::from(workspaces.take_rate(1, 100.0, now).is_ok());
        }
        assert!((395..=400).contains(&passed), "a second's burst and three seconds: {passed}");
        let wait = workspaces.take_rate(1, 100.0, start + Duration::from_millis(2999)).expect_err("used up");
        assert!(wait <= Duration::from_millis(10), "{wait:?}");
    }

    #[test]
    fn a_rate_below_one_per_second_still_lets_one_pass() {
        let start = Instant::now();
        let mut workspaces = Workspaces::default();
        assert!(workspaces.take_rate(1, 0.1, start).is_ok());
        assert_eq!(workspaces.take_rate(1, 0.1, start), Err(Duration::from_secs(10)));
        assert!(workspaces.take_rate(1, 0.1, start + Duration::from_secs(10)).is_ok());
    }

    #[test]
    fn idle_workspaces_are_forgotten_once_their_rate_has_come_down() {
        let start = Instant::now();
        let mut workspaces = Workspaces::default();
        for key in 0..3000 {
            workspaces.take_rate(key, 10.0, start).expect("the first passes");
            workspaces.settle(key);
        }
        (0..3000).for_each(|_| workspaces.forget_idle(start));
        assert_eq!((workspaces.known.len(), workspaces.idle.len()), (3000, 3000), "their rate is remembered");
        let later = start + Duration::from_secs(1);
        (0..3000).for_each(|_| workspaces.forget_idle(later));
        assert_eq!((workspaces.known.len(), workspaces.idle.len()), (REMEMBERED, REMEMBERED));
        assert_eq!(workspaces.in_use(), 0);
    }
}
