//! The scheduler on a clock that the tests step.

mod again;
mod budgets;
mod chaos;
mod waves;

use std::time::Duration;

use super::*;
use crate::ids::{ClusterName, MigrationId, UserName};
use crate::migrations::fleet::fixture::{Here, cluster, order, well};
use crate::migrations::fleet::ledger::{Ending, Header, Moment, Outcome, Row, Wave};

const TICK: Duration = Duration::from_millis(100);

/// A scheduler, its clock, and clusters that are all well unless a test says otherwise.
struct Bench {
    scheduler: Scheduler,
    now: Moment,
    clusters: Vec<ClusterName>,
    events: Vec<Event>,
    begun: Vec<(Moment, Work)>,
}

impl Bench {
    fn new(clusters: usize, budget: Budget) -> Self {
        Self {
            scheduler: Scheduler::new("a", budget, Limits::default()),
            now: Moment(1_000_000),
            clusters: (0..clusters).map(cluster).collect(),
            events: Vec::new(),
            begun: Vec::new(),
        }
    }

    fn submit(&mut self, id: &str, table: &str, waves: Vec<Wave>, rows: Vec<Row>) -> MigrationId {
        let order = order(id, table, waves);
        let turn = self.scheduler.admit(&order, &rows).unwrap();
        let id = order.id.clone();
        let databases = u32::try_from(rows.len()).unwrap();
        self.scheduler.insert(Header::new(order, databases, turn), rows, |_| false, self.now);
        id
    }

    /// One tick: readings by `read`, then what there is to do.
    fn tick(&mut self, places: &dyn Places, read: impl Fn(usize, Reading) -> Reading) -> Vec<Act> {
        self.now = self.now.after(TICK);
        for (at, cluster) in self.clusters.iter().enumerate() {
            let reading = read(at, well(self.now));
            self.events.extend(self.scheduler.read(cluster, reading, self.now));
        }
        let step = self.scheduler.step(places, self.now);
        self.events.extend(step.events);
        for act in &step.acts {
            if let Act::Change(work) = act {
                self.begun.push((self.now, work.clone()));
            }
        }
        step.acts
    }

    /// Ticks in which everything that is begun ends at once, changed.
    fn run(&mut self, ticks: usize, read: impl Fn(usize, Reading) -> Reading) {
        self.run_with(ticks, &Here, read, |_| Outcome::Changed);
    }

    fn run_with<E: Into<Ending>>(
        &mut self,
        ticks: usize,
        places: &dyn Places,
        read: impl Fn(usize, Reading) -> Reading,
        outcome: impl Fn(&Work) -> E,
    ) {
        for _ in 0..ticks {
            for act in self.tick(places, &read) {
                let (Act::Change(work) | Act::Look(work)) = act else { continue };
                let ended = self.scheduler.ended(&work.order.id, work.row, outcome(&work), self.now);
                self.events.extend(ended);
            }
        }
    }

    fn status(&self, id: &MigrationId) -> Status {
        self.scheduler.status(self.now).into_iter().find(|status| status.id == *id).unwrap()
    }

    fn command(&mut self, id: &MigrationId, command: Command) -> Result<Step, Refusal> {
        self.scheduler.command(id, &command, &UserName::new("operator"), self.now)
    }

    fn lane(&self, at: usize) -> LaneStatus {
        let name = &self.clusters[at];
        self.scheduler.lanes().into_iter().find(|lane| lane.cluster == *name).unwrap()
    }
}

fn as_it_is(_: usize, reading: Reading) -> Reading {
    reading
}

/// A budget that stands in nobody's way.
const WIDE: Budget = Budget { at_once: 1000, statements_per_second: 1e6 };
