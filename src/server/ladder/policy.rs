//! The ladder's policies: what config and vschema say, put together.

use std::collections::BTreeMap;

use crate::config::{Config, LadderPolicy, RungMode};
use crate::drain::{Mode, Policy};
use crate::ids::ClusterName;
use crate::vschema::Vschema;

/// The policy for all, and those of clusters. A cluster's own words go before those for all; no rung is more
/// than any keyspace allows that has a shard there.
pub(super) fn policies(config: &Config, vschema: &Vschema) -> (Policy, BTreeMap<ClusterName, Policy>) {
    let of_cluster = |cluster: &crate::config::Cluster| {
        let on_it = config
            .keyspaces
            .values()
            .filter(|keyspace| keyspace.shards.iter().any(|shard| shard.cluster == cluster.name));
        let bounds = on_it.filter_map(|keyspace| Some(vschema.keyspace(keyspace.name.as_str())?.ladder));
        let own = bounds.fold(config.ladder.with(cluster.ladder), LadderPolicy::within);
        (cluster.name.clone(), policy_of(&own))
    };
    (policy_of(&config.ladder), config.clusters.values().map(of_cluster).collect())
}

fn policy_of(ladder: &LadderPolicy) -> Policy {
    let mode = |mode| match mode {
        RungMode::Off => Mode::Off,
        RungMode::Advise => Mode::Advise,
        RungMode::Act => Mode::Act,
    };
    let [contain, limit, drain, fail_over] = ladder.rungs.map(mode);
    let drains_max = usize::try_from(ladder.drains_max).unwrap_or(usize::MAX);
    Policy { contain, limit, drain, fail_over, drains_max }
}

#[cfg(test)]
mod tests {
    use crate::drain::Mode;
    use crate::ids::ClusterName;
    use crate::vschema;

    use super::policies;

    #[test]
    fn clusters_differ_and_keyspaces_only_lower() {
        let path = std::path::Path::new("tests/config/ladder_warnings/bulkhead.toml");
        let loaded = vschema::load(path).expect("usable");
        let (all, own) = policies(&loaded.config, &loaded.vschema);
        let modes =
            |policy: &crate::drain::Policy| [policy.contain, policy.limit, policy.drain, policy.fail_over];
        assert_eq!(modes(&all), [Mode::Act, Mode::Act, Mode::Advise, Mode::Act]);
        // c1 has a shard of the keyspace that allows no failover; c2 has none.
        let c1 = &own[&ClusterName::new("c1")];
        assert_eq!(modes(c1), [Mode::Act, Mode::Off, Mode::Advise, Mode::Off]);
        let c2 = &own[&ClusterName::new("c2")];
        assert_eq!(modes(c2), [Mode::Act, Mode::Act, Mode::Act, Mode::Act]);
        assert_eq!(all.drains_max, 1);
    }
}
