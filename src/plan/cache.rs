//! The plan cache: bounded in bytes, shared by all sessions.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::ids::Generation;
use crate::sql::SqlMode;

use super::route::{Plan, Route};
use super::{Refusal, TargetShape};

/// Bytes counted for a plan besides its vectors.
const PLAN_BYTES: u64 = 512;
/// Bytes counted for each source, row or edit of a plan.
const PART_BYTES: u64 = 32;
/// Expected bytes of one entry; sizes the cache's tables.
const ENTRY_BYTES_EXPECTED: u64 = 768;

/// What a plan depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PlanKey {
    /// The statement's shape.
    pub shape: u128,
    /// How it was read.
    pub mode: SqlMode,
    /// The session's target.
    pub target: TargetShape,
    /// The snapshot it was planned on.
    pub generation: Generation,
}

/// A plan, or why there is none; refusals are worth keeping too.
pub type Planned = Result<Plan, Refusal>;

/// Plans by shape.
#[derive(Debug)]
pub struct PlanCache {
    cache: Cache<PlanKey, Arc<Planned>, ByBytes>,
}

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<PlanKey, Arc<Planned>> for ByBytes {
    fn weight(&self, _: &PlanKey, planned: &Arc<Planned>) -> u64 {
        let names = planned.as_ref().as_ref().map_or(0, |plan| plan.tables.count());
        let parts = match planned.as_ref() {
            Ok(Plan { route: Route::Key(route), .. }) => {
                let rows = route.rows.as_ref().map_or(0, |rows| rows.keys.len() * (route.values.len() + 2));
                route.values.iter().map(Vec::len).sum::<usize>() + route.kept.len() + rows
            }
            Ok(Plan { route: Route::Database(route), .. }) => route.named.len() + route.logical.len(),
            Ok(Plan { route: Route::System(route), .. }) => route.names.len(),
            Ok(_) => 0,
            Err(refusal) => refusal.detail.len() / PART_BYTES as usize,
        };
        PLAN_BYTES + PART_BYTES * (parts + names) as u64
    }
}

impl PlanCache {
    /// A cache of at most so many bytes, as counted.
    pub fn new(bytes_max: u64) -> Self {
        let entries = usize::try_from(bytes_max / ENTRY_BYTES_EXPECTED).unwrap_or(usize::MAX).max(16);
        Self { cache: Cache::with_weighter(entries, bytes_max, ByBytes) }
    }

    /// The plan of a key.
    pub fn get(&self, key: &PlanKey) -> Option<Arc<Planned>> {
        self.cache.get(key)
    }

    /// Keeps a plan; the least useful ones make room.
    pub fn insert(&self, key: PlanKey, planned: Arc<Planned>) {
        self.cache.insert(key, planned);
    }

    /// Plans kept.
    pub fn len(&self) -> usize {
        self.cache.len()
    }

    /// Says whether no plan is kept.
    pub fn is_empty(&self) -> bool {
        self.cache.is_empty()
    }

    /// Bytes counted for what is kept.
    pub fn bytes(&self) -> u64 {
        self.cache.weight()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[test]
    fn the_cache_stays_within_its_bytes() {
        let cache = PlanCache::new(64 * 1024);
        for shape in 0..10_000 {
            let key = PlanKey {
                shape,
                mode: SqlMode::default(),
                target: TargetShape::default(),
                generation: Generation(1),
            };
            cache.insert(key, Arc::new(Err(Refusal::new(Code::MissingWorkspace))));
        }
        assert!(cache.bytes() <= 64 * 1024, "{} bytes", cache.bytes());
        assert!(!cache.is_empty() && cache.len() < 200, "{} plans", cache.len());
    }
}
