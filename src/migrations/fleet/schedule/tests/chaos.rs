//! Everything at once: servers that fail in every way, clusters that become sick, proxies that die between
//! any two steps. Whatever happens: no cluster has more at once than its budget, no more statements in a
//! second, and every database is changed exactly once.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::health::State;
use crate::migrations::Failure;
use crate::migrations::fleet::fixture::{Dice, row, wave};
use crate::migrations::fleet::ledger::{
    Kind, Order, Phase, Standing, Why, decode_page, header_key, page_key, pages_for,
};

const STATEMENTS: f64 = 5.0;

/// What a change comes to on the server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Changes,
    /// It changes, and nobody hears of it.
    ChangesUnheard,
    /// It does not, and nobody hears of it.
    LostUnheard,
    Again,
    Fails,
}

struct Flight {
    ends: Moment,
    fate: Fate,
    cluster: ClusterName,
    row: u32,
    /// The process that waits for its end; it may be gone.
    process: u32,
}

/// Servers, store, and what has been seen.
struct World {
    dice: Dice,
    now: Moment,
    budget: Budget,
    clusters: usize,
    changed: BTreeSet<u32>,
    failed: BTreeSet<u32>,
    flights: Vec<Flight>,
    disk: BTreeMap<String, Vec<u8>>,
    process: u32,
    restarts: Vec<Moment>,
    begun: Vec<(Moment, ClusterName)>,
    sick: Vec<State>,
    drained: Vec<bool>,
    foreign: Vec<u32>,
    /// As the last reading told it.
    told: Vec<u32>,
    suspended: BTreeSet<u32>,
    is_calm: bool,
}

impl Places for World {
    fn place(&self, _: &Order, row: &Row) -> Place {
        let number: u32 = row.database[3..].parse().unwrap();
        if self.suspended.contains(&number) { Place::Later(Why::Suspended) } else { Place::Ready }
    }
}

impl World {
    fn one_in(&mut self, sides: u64) -> bool {
        !self.is_calm && self.dice.roll(sides) == 0
    }

    fn readings(&mut self, scheduler: &mut Scheduler) {
        for at in 0..self.clusters {
            if self.one_in(100) {
                self.sick[at] = [State::Healthy, State::Healthy, State::Suspect, State::Degraded]
                    [self.dice.roll(4) as usize];
            }
            if self.one_in(200) {
                self.drained[at] = !self.drained[at];
            }
            if self.one_in(50) {
                self.foreign[at] = u32::try_from(self.dice.roll(3)).unwrap();
            }
            if self.one_in(20) {
                continue;
            }
            let running = if self.is_calm { 0 } else { self.foreign[at] };
            self.told[at] = running;
            let slow = self.one_in(10);
            let reading = Reading {
                state: if self.is_calm { State::Healthy } else { self.sick[at] },
                is_drained: self.drained[at] && !self.is_calm,
                write_p99: Some(Duration::from_millis(if slow { 50 } else { 10 })),
                foreign: Foreign { running, begun: 0 },
                ..well(self.now)
            };
            scheduler.read(&cluster(at), reading, self.now);
        }
    }

    /// A change reaches the server.
    fn begin(&mut self, work: &Work) {
        assert!(!self.changed.contains(&work.row), "row {} is changed, and is begun again", work.row);
        let twin = self.flights.iter().any(|flight| flight.row == work.row);
        assert!(!twin, "row {} is at work, and is begun again", work.row);
        assert!(
            !self.failed.contains(&work.row),
            "row {} has failed, and nobody said to try again",
            work.row
        );
        let at_work = self.flights.iter().filter(|flight| flight.cluster == work.cluster).count();
        let number: usize = work.cluster.as_str()[1..].parse().unwrap();
        let free = self.budget.at_once.saturating_sub(self.told[number]) as usize;
        assert!(at_work < free, "{at_work} at work on {}, {free} may be", work.cluster);
        let fate = match self.dice.roll(20) {
            _ if self.is_calm => Fate::Changes,
            0 => Fate::ChangesUnheard,
            1 => Fate::LostUnheard,
            2 | 3 => Fate::Again,
            4 => Fate::Fails,
            _ => Fate::Changes,
        };
        let ends = self.now.after(Duration::from_millis(20 + self.dice.roll(3000)));
        let (cluster, row, process) = (work.cluster.clone(), work.row, self.process);
        self.begun.push((self.now, cluster.clone()));
        self.flights.push(Flight { ends, fate, cluster, row, process });
    }

    /// What ended; told to the process that began it, if it is still there.
    fn land(&mut self, scheduler: &mut Scheduler, id: &MigrationId) {
        let now = self.now;
        let (landed, flying) = std::mem::take(&mut self.flights).into_iter().partition(|f| f.ends <= now);
        self.flights = flying;
        let landed: Vec<Flight> = landed;
        for flight in landed {
            let outcome = match flight.fate {
                Fate::Changes | Fate::ChangesUnheard => {
                    assert!(self.changed.insert(flight.row), "row {} is changed twice", flight.row);
                    if flight.fate == Fate::Changes { Outcome::Changed } else { lost() }
                }
                Fate::LostUnheard => lost(),
                Fate::Again => Outcome::Again(Failure::new("lock wait")),
                Fate::Fails => Outcome::Failed(Failure::new("duplicate")),
            };
            if flight.process == self.process {
                scheduler.ended(id, flight.row, outcome.clone(), now);
                if self.standing(scheduler, id, flight.row) == Kind::Failed {
                    self.failed.insert(flight.row);
                }
            }
        }
    }

    fn standing(&self, scheduler: &Scheduler, id: &MigrationId, row: u32) -> Kind {
        scheduler.rows(id).unwrap()[row as usize].record.standing.kind()
    }

    fn look(&mut self, row: u32) -> Outcome {
        if self.flights.iter().any(|flight| flight.row == row) {
            Outcome::StillRunning
        } else if self.one_in(4) {
            lost()
        } else if self.changed.contains(&row) {
            Outcome::Changed
        } else {
            Outcome::Unchanged
        }
    }

    fn save(&mut self, writes: Vec<(String, Vec<u8>)>) {
        self.disk.extend(writes);
    }

    /// A new process reads what is on disk.
    fn restart(&mut self, id: &MigrationId) -> Scheduler {
        self.process += 1;
        self.restarts.push(self.now);
        let header: Header = serde_json::from_slice(&self.disk[&header_key(id)]).unwrap();
        let mut rows = Vec::new();
        for page in 0..pages_for(header.databases) {
            rows.extend(decode_page(&self.disk[&page_key(id, 0, page)]).unwrap());
        }
        let mut scheduler = Scheduler::new(&format!("p{}", self.process), self.budget, Limits::default());
        // Failures that were not written down are tried again: that is not known to be of no use.
        let is_failed = |row: &u32| rows[*row as usize].record.standing.kind() == Kind::Failed;
        self.failed.retain(is_failed);
        scheduler.insert(header, rows, |_| false, self.now);
        scheduler
    }
}

fn lost() -> Outcome {
    Outcome::Unknown(Failure::new("connection lost"))
}

fn world(seed: u64, clusters: usize, at_once: u32, rate: f64) -> World {
    World {
        dice: Dice(seed),
        now: Moment(1_000_000),
        budget: Budget { at_once, statements_per_second: rate },
        clusters,
        changed: BTreeSet::new(),
        failed: BTreeSet::new(),
        flights: Vec::new(),
        disk: BTreeMap::new(),
        process: 0,
        restarts: Vec::new(),
        begun: Vec::new(),
        sick: vec![State::Healthy; clusters],
        drained: vec![false; clusters],
        foreign: vec![0; clusters],
        told: vec![0; clusters],
        suspended: BTreeSet::new(),
        is_calm: false,
    }
}

fn begin(world: &mut World, databases: usize) -> (Scheduler, MigrationId) {
    let soak = Duration::from_secs(2);
    let waves = vec![wave("canary", 2, soak), wave("some", 8, soak), wave("all", 1, soak)];
    let wave_of = |at| if at < 2 { 0 } else { u16::from(at >= 10) + 1 };
    let rows: Vec<Row> = (0..databases).map(|at| row(at, at % world.clusters, wave_of(at))).collect();
    let order = order("0001", "issues", waves);
    let header = Header::new(order, u32::try_from(databases).unwrap(), 0);
    let id = header.order.id.clone();
    world.save(crate::migrations::fleet::ledger::encode_new(&header, &rows).into_iter().flatten().collect());
    (world.restart(&id), id)
}

/// No window of ten seconds has more statements than ten seconds' budget, what a bucket holds, and what one
/// database takes; each restart within it may add the latter two once more.
fn check_rates(world: &World) {
    let window = Duration::from_secs(10);
    let rate = world.budget.statements_per_second;
    for at in 0..world.clusters {
        let times: Vec<Moment> =
            world.begun.iter().filter(|(_, on)| *on == cluster(at)).map(|(when, _)| *when).collect();
        for (first, from) in times.iter().enumerate() {
            let within = times[first..].iter().take_while(|when| when.since(*from) < window).count();
            let is_within = |when: &&Moment| **when >= *from && when.since(*from) < window;
            let restarts = world.restarts.iter().filter(is_within).count();
            let bound = rate * 10.0 + (rate.max(1.0) + STATEMENTS) * (restarts + 1) as f64;
            let statements = within as f64 * STATEMENTS;
            assert!(statements <= bound, "{statements} statements in 10 s, {rate} may be sent in a second");
        }
    }
}

fn play(seed: u64, databases: usize, clusters: usize, at_once: u32, rate: f64) {
    let mut world = world(seed, clusters, at_once, rate);
    let (mut scheduler, id) = begin(&mut world, databases);
    let user = UserName::new("operator");
    for tick in 0..60_000_u32 {
        world.now = world.now.after(TICK);
        world.is_calm = tick >= 2000;
        if world.is_calm {
            world.suspended.clear();
        } else if world.one_in(50) {
            let row = u32::try_from(world.dice.roll(databases as u64)).unwrap();
            if !world.suspended.remove(&row) {
                world.suspended.insert(row);
            }
        }
        world.land(&mut scheduler, &id);
        world.readings(&mut scheduler);
        if matches!(scheduler.header(&id).unwrap().progress.phase, Phase::Stopped { .. }) {
            scheduler.command(&id, &Command::Resume, &user, world.now).unwrap();
        }
        let step = scheduler.step(&world, world.now);
        let writes = scheduler.take_writes();
        // The process dies before it has written, before it acts, in the middle of its acts, or not at all.
        if world.one_in(150) {
            scheduler = world.restart(&id);
            continue;
        }
        world.save(writes);
        for act in step.acts {
            if world.one_in(300) {
                scheduler = world.restart(&id);
                break;
            }
            match act {
                Act::Change(work) => world.begin(&work),
                Act::Look(work) => {
                    let outcome = world.look(work.row);
                    scheduler.ended(&id, work.row, outcome, world.now);
                }
                Act::Stop(_) | Act::Plan(_) => {}
            }
        }
        if scheduler.header(&id).unwrap().progress.phase == Phase::Finished {
            break;
        }
    }
    check_rates(&world);
    check_end(&world, &scheduler, &id, databases);
}

fn check_end(world: &World, scheduler: &Scheduler, id: &MigrationId, databases: usize) {
    assert_eq!(scheduler.header(id).unwrap().progress.phase, Phase::Finished);
    let rows = scheduler.rows(id).unwrap();
    assert_eq!(rows.len(), databases);
    for (row, at) in rows.iter().zip(0..) {
        match row.record.standing {
            Standing::Changed => assert!(world.changed.contains(&at), "row {at} is not changed"),
            Standing::Failed => assert!(!world.changed.contains(&at), "row {at} is changed"),
            ref other => panic!("row {at} is {other:?} at the end"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn every_database_is_changed_once_within_the_budgets(
        seed: u64,
        databases in 1_usize..150,
        clusters in 1_usize..5,
        at_once in 1_u32..8,
        rate in 4.0_f64..200.0,
    ) {
        play(seed, databases, clusters, at_once, rate);
    }
}
