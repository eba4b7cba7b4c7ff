//! How a cluster's admission is, for people and metrics.

use std::time::Duration;

use super::entry::Admission;
use super::refusal::Why;
use crate::drain::{Covers, GateState, PermitsHeld, Scope};
use crate::health::Class;
use crate::ids::ClusterName;

/// One cluster's admission, as of now.
#[derive(Clone, Debug, PartialEq)]
pub struct AdmissionView {
    /// The cluster.
    pub cluster: ClusterName,
    /// Schema changes are refused.
    pub is_ddl_closed: bool,
    /// Writes, then reads.
    pub classes: [ClassView; 2],
    /// Bytes held for it now, at most since the start, and the bound.
    pub memory: MemoryView,
    /// Gates that are not open, in order of their scopes.
    pub gates: Vec<GateView>,
    /// Statements that were held since the start.
    pub held_total: u64,
    /// How often the cluster was drained since the start.
    pub drains: u64,
}

/// Bytes held for one cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryView {
    /// Now.
    pub used: usize,
    /// The most at once since the start.
    pub peak: usize,
    /// The bound.
    pub bytes_max: usize,
}

/// Permits of one class.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassView {
    /// Which.
    pub class: Class,
    /// Statements that may be in flight now.
    pub limit: u32,
    /// The least and the most that this may come to by itself.
    pub bounds: (u32, u32),
    /// What the ladder makes of it.
    pub held: PermitsHeld,
    /// Statements in flight.
    pub in_flight: u32,
    /// Statements that wait.
    pub waiting: usize,
    /// Bytes of those.
    pub waiting_bytes: usize,
    /// Statements that were refused since the start.
    pub refused: [(Why, u64); Why::ALL.len()],
}

/// One gate that is not open, or at which statements are still held.
#[derive(Clone, Debug, PartialEq)]
pub struct GateView {
    /// What it stands before.
    pub scope: Scope,
    /// Its state.
    pub state: GateState,
    /// Which statements it covers.
    pub covers: Covers,
    /// For how long.
    pub since: Duration,
    /// Statements held there, and their bytes.
    pub held: (usize, usize),
}

impl Admission {
    /// How it is now.
    pub fn view(&self) -> AdmissionView {
        let now = super::now();
        let gates = self.gates().lock();
        let mut closed: Vec<GateView> = gates
            .gates
            .closed()
            .map(|(scope, gate)| {
                let (state, covers, since) = gate.state();
                let since = now.saturating_duration_since(since);
                GateView { scope: scope.clone(), state, covers, since, held: gate.held() }
            })
            .collect();
        drop(gates);
        closed.sort_by(|a, b| a.scope.cmp(&b.scope));
        AdmissionView {
            cluster: self.cluster().clone(),
            is_ddl_closed: self.is_ddl_closed(),
            classes: [Class::Write, Class::Read].map(|class| self.class_view(class)),
            memory: self.memory_view(),
            gates: closed,
            held_total: self.held_total(),
            drains: self.drains(),
        }
    }

    fn memory_view(&self) -> MemoryView {
        let memory = self.memory();
        MemoryView { used: memory.used(), peak: memory.peak(), bytes_max: memory.bytes_max() }
    }

    fn class_view(&self, class: Class) -> ClassView {
        let refused = self.refused(class);
        let now = super::now();
        let mut queue = self.queue(class).lock();
        let permits = &mut queue.permits;
        ClassView {
            class,
            limit: permits.limit.current(now),
            bounds: (permits.limits().floor, permits.limits().ceiling),
            held: permits.limit.held(),
            in_flight: permits.in_flight(),
            waiting: permits.waiting(),
            waiting_bytes: permits.waiting_bytes(),
            refused: std::array::from_fn(|at| (Why::ALL[at], refused[at])),
        }
    }
}

impl AdmissionView {
    /// The state of the gate of the whole cluster.
    pub fn cluster_gate(&self) -> GateState {
        let of_cluster = |gate: &&GateView| matches!(gate.scope, Scope::Cluster(_));
        self.gates.iter().find(of_cluster).map_or(GateState::Open, |gate| gate.state)
    }

    /// Statements held at its gates, and their bytes.
    pub fn held(&self) -> (usize, usize) {
        self.gates.iter().fold((0, 0), |sum, gate| (sum.0 + gate.held.0, sum.1 + gate.held.1))
    }
}
