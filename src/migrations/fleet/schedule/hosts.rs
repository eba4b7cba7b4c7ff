//! Clusters whose primaries run on one machine.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::lane::Lane;
use crate::ids::MigrationId;
use crate::migrations::fleet::ledger::Moment;

/// A change that takes longer is a copy that minds its own pace, or waits for somebody: the neighbours go on.
const SHORT_FOR: Duration = Duration::from_secs(2);

/// Databases that were begun a moment ago and have not ended, by the lanes on which they are.
///
/// What shares a machine shares its processors and its disk: two changes at the same moment are what clients
/// of every server there notice, far more than as many one after the other. So a cluster begins nothing while
/// as many as it would change at once are at work on its machine, its own or others'.
#[derive(Debug, Default)]
pub(super) struct Young(BTreeMap<(MigrationId, u32), (u16, Moment)>);

/// How many of them there are on each machine.
pub(super) struct Hosts(HashMap<Arc<str>, u32>);

impl Young {
    pub(super) fn begun(&mut self, id: &MigrationId, row: u32, lane: u16, now: Moment) {
        self.0.insert((id.clone(), row), (lane, now));
    }

    pub(super) fn ended(&mut self, id: &MigrationId, row: u32) {
        self.0.remove(&(id.clone(), row));
    }

    /// Forgets those that are not young any more, and counts the rest. Of a cluster that is closed nothing
    /// holds up the others: it may not answer.
    pub(super) fn count(&mut self, lanes: &[Lane], now: Moment) -> Hosts {
        self.0.retain(|_, (_, began)| now.since(*began) < SHORT_FOR);
        let mut hosts = Hosts(HashMap::new());
        for (lane, _) in self.0.values() {
            let lane = &lanes[usize::from(*lane)];
            if lane.closed().is_none() {
                hosts.add(lane);
            }
        }
        hosts
    }
}

impl Hosts {
    /// Says whether the machine of a lane has room for one more of its changes.
    pub(super) fn admits(&self, lane: &Lane) -> bool {
        let at_work = lane.host.as_ref().and_then(|host| self.0.get(host));
        at_work.is_none_or(|at_work| *at_work < lane.at_once())
    }

    pub(super) fn add(&mut self, lane: &Lane) {
        if let Some(host) = &lane.host {
            *self.0.entry(host.clone()).or_default() += 1;
        }
    }
}
