//! Shards of one keyspace, and finding one by keyspace id or name.

use std::sync::Arc;

use super::WorkspaceState;
use crate::error::Code;
use crate::ids::{ClusterName, KeyRange, Keyspace, KeyspaceId, NameMap, ShardName};

/// The part of a keyspace that lives on one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// The keyspace.
    pub keyspace: Keyspace,
    /// Its name: the key range as written, or a free name where a directory places workspaces.
    pub name: ShardName,
    /// The cluster that holds it.
    pub cluster: ClusterName,
    /// The keyspace ids it holds; `None` where a directory places workspaces.
    pub range: Option<KeyRange>,
    /// Its share of new workspaces.
    pub weight: u32,
}

/// Where a workspace is, and what it accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The shard.
    pub shard: Arc<Shard>,
    /// What the workspace accepts now.
    pub state: WorkspaceState,
    /// Grows with every change of the workspace's entry.
    pub revision: u32,
}

impl Placement {
    /// Why the workspace takes no statement that writes, or that only reads; `None` when it does.
    pub fn refusal(&self, is_write: bool) -> Option<Code> {
        match self.state {
            WorkspaceState::Active => None,
            WorkspaceState::ReadOnly => is_write.then_some(Code::WorkspaceReadOnly),
            WorkspaceState::Moving => is_write.then_some(Code::WorkspaceMoving),
            WorkspaceState::Suspended => Some(Code::WorkspaceSuspended),
        }
    }
}

/// The shards of one keyspace.
///
/// **Shape**: either every shard has a range, in order, without gap or overlap from the first to the last
/// keyspace id; or none has one.
#[derive(Clone, Debug)]
pub struct KeyspaceShards {
    shards: Vec<Arc<Shard>>,
    by_name: NameMap<ShardName, usize>,
    by_range: bool,
}

/// Why shards do not make a keyspace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardsFault {
    /// There is none.
    #[error("a keyspace needs at least one shard")]
    Empty,
    /// Two have one name.
    #[error("the shard {name} is there twice")]
    Duplicate {
        /// The name.
        name: ShardName,
    },
    /// Some have a range and some have none.
    #[error("the shard {name} has no key range, others have one")]
    Mixed {
        /// The first without.
        name: ShardName,
    },
    /// The ranges leave a gap or overlap.
    #[error("the key ranges do not tile the keyspace at {name}")]
    Untiled {
        /// The shard whose start is not the end of the one before, or the last.
        name: ShardName,
    },
}

impl KeyspaceShards {
    /// Orders the shards and checks that they tile the keyspace.
    ///
    /// # Errors
    /// Every variant of [`ShardsFault`], as named there.
    pub fn new(shards: Vec<Shard>) -> Result<Self, ShardsFault> {
        let mut shards: Vec<Arc<Shard>> = shards.into_iter().map(Arc::new).collect();
        let by_range = shards.iter().any(|shard| shard.range.is_some());
        if let Some(shard) = shards.iter().find(|shard| by_range && shard.range.is_none()) {
            return Err(ShardsFault::Mixed { name: shard.name.clone() });
        }
        shards.sort_by(|a, b| start_of(a).cmp(start_of(b)).then_with(|| a.name.cmp(&b.name)));
        let mut by_name = NameMap::with_capacity_and_hasher(shards.len(), Default::default());
        for (at, shard) in shards.iter().enumerate() {
            if by_name.insert(shard.name.clone(), at).is_some() {
                return Err(ShardsFault::Duplicate { name: shard.name.clone() });
            }
        }
        if by_range {
            check_tiles(&shards)?;
        }
        if shards.is_empty() { Err(ShardsFault::Empty) } else { Ok(Self { shards, by_name, by_range }) }
    }

    /// All shards, in key order, or in name order where they have no ranges.
    pub fn all(&self) -> &[Arc<Shard>] {
        &self.shards
    }

    /// The shard of that name.
    pub fn named(&self, name: &str) -> Option<&Arc<Shard>> {
        self.by_name.get(name).map(|at| &self.shards[*at])
    }

    /// The shard whose range holds `id`; `None` where shards have no ranges.
    pub fn holding(&self, id: &KeyspaceId) -> Option<&Arc<Shard>> {
        if !self.by_range {
            return None;
        }
        let after = self.shards.partition_point(|shard| start_of(shard) <= id.as_bytes());
        self.shards[..after].last()
    }

    /// The shards that share a keyspace id with `range`, in key order; none where shards have no ranges.
    pub fn overlapping<'a>(&'a self, range: &'a KeyRange) -> impl Iterator<Item = &'a Arc<Shard>> {
        self.shards.iter().filter(|shard| shard.range.as_ref().is_some_and(|own| own.overlaps(range)))
    }
}

fn start_of(shard: &Shard) -> &[u8] {
    shard.range.as_ref().map_or(&[], |range| &range.start)
}

fn check_tiles(shards: &[Arc<Shard>]) -> Result<(), ShardsFault> {
    let mut reached: Option<&[u8]> = Some(&[]);
    for shard in shards {
        if reached != Some(start_of(shard)) {
            return Err(ShardsFault::Untiled { name: shard.name.clone() });
        }
        let end = shard.range.as_ref().map_or(&[][..], |range| &range.end);
        reached = (!end.is_empty()).then_some(end);
    }
    match (reached, shards.last()) {
        (Some(_), Some(last)) => Err(ShardsFault::Untiled { name: last.name.clone() }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keyspace(names: &[&str]) -> Result<KeyspaceShards, ShardsFault> {
        let shard = |name: &&str| Shard {
            keyspace: Keyspace::new("shop"),
            name: ShardName::new(*name),
            cluster: ClusterName::new("c1"),
            range: KeyRange::parse(name),
            weight: 1,
        };
        KeyspaceShards::new(names.iter().map(shard).collect())
    }

    #[test]
    fn ranges_must_tile() {
        assert!(keyspace(&["-"]).is_ok());
        assert!(keyspace(&["aa-", "-55", "55-aa"]).is_ok());
        assert!(keyspace(&["ws-a", "ws-b"]).is_ok());
        for bad in [&["-55", "aa-"][..], &["-55", "55-aa"], &["-55", "44-"], &["55-"], &["-", "80-"]] {
            assert!(matches!(keyspace(bad), Err(ShardsFault::Untiled { .. })), "{bad:?}");
        }
        assert!(matches!(keyspace(&[]), Err(ShardsFault::Empty)));
        assert!(matches!(keyspace(&["-", "ws-a"]), Err(ShardsFault::Mixed { .. })));
        assert!(matches!(keyspace(&["a", "a"]), Err(ShardsFault::Duplicate { .. })));
    }

    #[test]
    fn named_shards_hold_no_ids() {
        let shards = keyspace(&["ws-a", "ws-b"]).unwrap();
        assert_eq!(shards.holding(&KeyspaceId::from(1)), None);
        assert_eq!(shards.named("ws-b").unwrap().name.as_str(), "ws-b");
        assert!(shards.named("ws-c").is_none());
    }

    proptest! {
        #[test]
        fn the_shard_found_is_the_one_that_contains(bytes in prop::collection::vec(any::<u8>(), 0..10)) {
            let shards = keyspace(&["-0100", "0100-55", "55-aa", "aa-ff80", "ff80-"]).unwrap();
            let id = KeyspaceId::new(&bytes);
            let linear: Vec<_> =
                shards.all().iter().filter(|s| s.range.as_ref().unwrap().contains(&id)).collect();
            prop_assert_eq!(linear.len(), 1);
            prop_assert_eq!(shards.holding(&id), Some(linear[0]));
        }
    }
}
