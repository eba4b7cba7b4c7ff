//! Clusters whose primaries run on one machine.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::lane::Lane;
use crate::ids::MigrationId;
use crate::migrations::fleet::ledger::Moment;

/// A change that takes longer is a copy that minds its own pace, or waits for somebody: the neighbours go on.
pub const SHORT_FOR: Duration = Duration::from_secs(2);

/// Databases that were begun a moment ago and have not ended, by the lanes on which they are.
///
/// What shares a machine shares its processors and its disk: two changes at the same moment are what clients
/// of every server there notice, far more than as many one after the other. So nothing is begun while as many
/// are at work on a machine as the one of its clusters that bears most may change at once.
#[derive(Debug, Default)]
pub(super) struct Young(BTreeMap<(MigrationId, u32), (u16, Moment)>);

/// How many of them there are on each machine, and how many there may be.
pub(super) struct Hosts(HashMap<Arc<str>, Room>);

#[derive(Default)]
struct Room {
    at_work: u32,
    at_most: u32,
}

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
        for lane in lanes.iter().filter(|lane| lane.closed().is_none()) {
            if let Some(host) = &lane.host {
                let room = hosts.0.entry(host.clone()).or_default();
                room.at_most = room.at_most.max(lane.at_once());
            }
        }
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
    /// Says whether the machine of a lane has room for one more change.
    pub(super) fn admits(&self, lane: &Lane) -> bool {
        let room = lane.host.as_ref().and_then(|host| self.0.get(host));
        room.is_none_or(|room| room.at_work < room.at_most)
    }

    pub(super) fn add(&mut self, lane: &Lane) {
        if let Some(host) = &lane.host {
            self.0.entry(host.clone()).or_default().at_work += 1;
        }
    }
}
