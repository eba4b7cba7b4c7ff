//! All gates that are not open: of clusters, shards and tables.

use std::collections::HashMap;
use std::time::Instant;

use super::gate::{Covers, Gate, GateState, Ruling, Visit};
use crate::ids::{ClusterName, Keyspace, ShardName, TableName, WorkspaceId};

/// What a gate stands before.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// All shards of a cluster: what the ladder sets.
    Cluster(ClusterName),
    /// One shard: an operator's.
    Shard(Keyspace, ShardName),
    /// One table of one shard: an operator's, and a cut-over's where workspaces share tables.
    Table(Keyspace, ShardName, TableName),
    /// One table of one workspace's own database: a cut-over's. A shard has thousands of that name.
    OwnTable(Keyspace, ShardName, WorkspaceId, TableName),
}

/// The gates that are not open; no entry is an open gate.
#[derive(Clone, Debug, Default)]
pub struct Gates {
    closed: HashMap<Scope, Gate>,
}

impl Gates {
    /// All open.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says whether every gate is open, so that no statement need ask.
    pub fn is_all_open(&self) -> bool {
        self.closed.is_empty()
    }

    /// Brings a gate into a state. Says whether statements held there have to be looked at again.
    pub fn set(&mut self, scope: Scope, state: GateState, covers: Covers, now: Instant) -> bool {
        let gate = self.closed.entry(scope.clone()).or_insert_with(|| Gate::new(now));
        let wakes = gate.set(state, covers, now);
        if gate.is_idle() {
            self.closed.remove(&scope);
        }
        wakes
    }

    /// Rules on a statement by the strictest of the gates that it has to pass. When it is held, `scopes`
    /// names the gate that holds it: the answer's index, to be given to [`Gates::let_go`].
    pub fn rule(&mut self, scopes: &[Scope], visit: Visit, now: Instant) -> (usize, Ruling) {
        let mut strictest = (0, Ruling::Pass);
        for (at, scope) in scopes.iter().enumerate() {
            let Some(gate) = self.closed.get(scope) else { continue };
            let ruling = gate.look(visit, now);
            if ruling > strictest.1 {
                strictest = (at, ruling);
            }
        }
        if let (at, Ruling::Hold { .. }) = strictest
            && let Some(gate) = self.closed.get_mut(&scopes[at])
        {
            strictest.1 = gate.rule(visit, now);
        }
        strictest
    }

    /// A statement that was held at a gate is held no more.
    pub fn let_go(&mut self, scope: &Scope, bytes: usize) {
        let Some(gate) = self.closed.get_mut(scope) else { return };
        gate.let_go(bytes);
        if gate.is_idle() {
            self.closed.remove(scope);
        }
    }

    /// Every gate that is not open, or still holds statements; in no order.
    pub fn closed(&self) -> impl Iterator<Item = (&Scope, &Gate)> {
        self.closed.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_strictest_gate_rules_and_holds() {
        let now = Instant::now();
        let until = now + Duration::from_secs(1);
        let (shop, shard) = (Keyspace::new("shop"), ShardName::new("-80"));
        let cluster = Scope::Cluster(ClusterName::new("c1"));
        let table = Scope::Table(shop.clone(), shard.clone(), TableName::new("orders"));
        let scopes = [cluster.clone(), Scope::Shard(shop, shard), table.clone()];
        let visit = Visit { is_write: true, is_in_transaction: false, bytes: 10 };
        let mut gates = Gates::new();
        assert_eq!(gates.rule(&scopes, visit, now), (0, Ruling::Pass));
        gates.set(cluster.clone(), GateState::Limited, Covers::Writes, now);
        assert_eq!(gates.rule(&scopes, visit, now), (0, Ruling::PassIfFree));
        gates.set(table.clone(), GateState::Buffering { until }, Covers::All, now);
        assert_eq!(gates.rule(&scopes, visit, now), (2, Ruling::Hold { until }));
        gates.set(cluster.clone(), GateState::Open, Covers::Writes, now);
        assert!(gates.set(table.clone(), GateState::Open, Covers::All, now), "one is held there");
        assert!(!gates.is_all_open());
        gates.let_go(&table, 10);
        assert!(gates.is_all_open());
    }
}
