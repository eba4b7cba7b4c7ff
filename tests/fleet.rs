//! A fleet migration of 100,000 databases over ten clusters, on a stepped clock: what the scheduler's
//! decisions cost, and that budgets hold meanwhile. `cargo test --release --test fleet -- --nocapture`
//! prints the numbers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

use bulkhead::health::State;
use bulkhead::ids::{ClusterName, Keyspace, MigrationId, ShardName, UserName, WorkspaceId};
use bulkhead::migrations::StatementSettings;
use bulkhead::migrations::fleet::ledger::{Action, Header, Kind, Moment, Order, Outcome, Phase, Row};
use bulkhead::migrations::fleet::plan::{Candidate, WavePlan, lay_out};
use bulkhead::migrations::fleet::schedule::{
    Act, Budget, Foreign, Limits, Place, Places, Reading, Scheduler, Work,
};

const DATABASES: usize = 100_000;
const CLUSTERS: usize = 10;
const STATEMENTS: u16 = 5;
/// What a cluster bears; the same work takes about an hour and a half of simulated time.
const BUDGET: Budget = Budget { at_once: 8, statements_per_second: 10.0 };
const TICK: Duration = Duration::from_millis(100);
/// What the decisions may take.
const CORE_SHARE_MAX: f64 = 0.01;
const MEMORY_BYTES_MAX: u64 = 200 << 20;

struct Here;

impl Places for Here {
    fn place(&self, _: &Order, _: &Row) -> Place {
        Place::Ready
    }
}

fn cluster(at: usize) -> ClusterName {
    ClusterName::new(format!("cluster-{at}"))
}

fn order() -> (Order, Vec<Row>) {
    let candidates = (0..DATABASES)
        .map(|at| Candidate {
            database: format!("ws_{at}").into(),
            workspace: Some(WorkspaceId::Number(at as u64)),
            shard: ShardName::new(format!("shard-{}", at % CLUSTERS)),
            cluster: cluster(at % CLUSTERS),
            bytes: Some(100_000),
            there: 0,
        })
        .collect();
    let plan = WavePlan { soak: Duration::from_secs(60), ..WavePlan::default() };
    let (waves, rows) = lay_out(candidates, &plan).expect("they can be laid out");
    let order = Order {
        id: MigrationId::new("0000000000000001"),
        keyspace: Keyspace::new("workspaces"),
        tables: vec!["issues".to_owned()],
        statement: "ALTER TABLE issues MODIFY id BIGINT NOT NULL".to_owned(),
        settings: StatementSettings::default(),
        action: Action::Change,
        prove: false,
        acknowledged: false,
        steps: Vec::new(),
        statements: STATEMENTS,
        waves,
        user: UserName::new("app"),
        submitted: Moment(0),
        again: None,
    };
    (order, rows)
}

/// Memory of this process at its highest, in bytes.
fn memory_peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("and this line");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("in KiB") * 1024
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    ends: Moment,
    row: u32,
    cluster: usize,
}

struct Simulation {
    scheduler: Scheduler,
    now: Moment,
    flights: BinaryHeap<Reverse<Flight>>,
    at_work: [usize; CLUSTERS],
    /// When databases were begun on each cluster in the last ten seconds.
    begun: [VecDeque<Moment>; CLUSTERS],
    done: [usize; CLUSTERS],
    deciding: Duration,
    writing: Duration,
    bytes: usize,
    steps: u64,
}

impl Simulation {
    fn reading(&self, at: usize, second: u64) -> Reading {
        // Each cluster has a bad minute now and then, and one of them a worse one.
        let is_slow = (second / 20 + at as u64 * 7).is_multiple_of(37);
        let is_sick = at == 3 && (3000..3030).contains(&second);
        let foreign = u32::from(at == 5 && (second / 60).is_multiple_of(10));
        Reading {
            at: self.now,
            state: if is_sick { State::Suspect } else { State::Healthy },
            is_stalling: at == 3 && (2998..3000).contains(&second),
            is_drained: at == 7 && (1000..2000).contains(&second),
            write_p99: Some(Duration::from_millis(if is_slow { 30 } else { 8 })),
            usual_write_p99: Some(Duration::from_millis(8)),
            lag: Some((Duration::from_secs(1), Duration::from_secs(10))),
            threads: Some((12, 64)),
            foreign: Foreign { running: foreign, begun: 0 },
        }
    }

    fn step(&mut self, id: &MigrationId, second: u64) {
        let mut ended = Vec::new();
        while self.flights.peek().is_some_and(|flight| flight.0.ends <= self.now) {
            ended.extend(self.flights.pop().map(|flight| flight.0));
        }
        for flight in &ended {
            self.at_work[flight.cluster] -= 1;
            self.done[flight.cluster] += 1;
        }
        let readings: Vec<_> = (0..CLUSTERS).map(|at| (cluster(at), self.reading(at, second))).collect();
        let began = Instant::now();
        for flight in ended {
            self.scheduler.ended(id, flight.row, Outcome::Changed, self.now);
        }
        for (cluster, reading) in readings {
            self.scheduler.read(&cluster, reading, self.now);
        }
        let step = self.scheduler.step(&Here, self.now);
        self.deciding += began.elapsed();
        let began = Instant::now();
        let writes = self.scheduler.take_writes();
        self.writing += began.elapsed();
        self.bytes += writes.iter().map(|(_, value)| value.len()).sum::<usize>();
        for act in step.acts {
            match act {
                Act::Change(work) => self.begin(&work),
                other => panic!("nothing is unknown here: {other:?}"),
            }
        }
        self.steps += 1;
    }

    fn begin(&mut self, work: &Work) {
        let at: usize = work.cluster.as_str()["cluster-".len()..].parse().expect("a number");
        self.at_work[at] += 1;
        assert!(
            self.at_work[at] <= BUDGET.at_once as usize,
            "{} at work on {}",
            self.at_work[at],
            work.cluster
        );
        let times = &mut self.begun[at];
        times.push_back(self.now);
        while self.now.since(times[0]) >= Duration::from_secs(10) {
            times.pop_front();
        }
        let most = BUDGET.statements_per_second * 11.0 + f64::from(STATEMENTS);
        let statements = times.len() as f64 * f64::from(STATEMENTS);
        assert!(statements <= most, "{statements} statements in 10 s on {}", work.cluster);
        let takes = Duration::from_millis(100 + u64::from(work.row % 400));
        let flight = Flight { ends: self.now.after(takes), row: work.row, cluster: at };
        self.flights.push(Reverse(flight));
    }
}

#[test]
fn a_hundred_thousand_databases_take_a_hundredth_of_a_core() {
    let (order, rows) = order();
    let id = order.id.clone();
    let start = Moment(1_700_000_000_000);
    let mut scheduler = Scheduler::new("proxy", BUDGET, Limits::default());
    let turn = scheduler.admit(&order, &rows).expect("it is taken on");
    scheduler.insert(Header::new(order, DATABASES as u32, turn), rows, |_| false, start);
    let mut simulation = Simulation {
        scheduler,
        now: start,
        flights: BinaryHeap::new(),
        at_work: [0; CLUSTERS],
        begun: Default::default(),
        done: [0; CLUSTERS],
        deciding: Duration::ZERO,
        writing: Duration::ZERO,
        bytes: 0,
        steps: 0,
    };
    let mut halfway = None;
    let is_over = |simulation: &Simulation| {
        simulation.scheduler.header(&id).is_some_and(|header| header.progress.phase == Phase::Finished)
    };
    while !is_over(&simulation) {
        simulation.now = simulation.now.after(TICK);
        let second = simulation.now.since(start).as_secs();
        assert!(second < 30_000, "it comes to its end");
        simulation.step(&id, second);
        if halfway.is_none() && simulation.done.iter().sum::<usize>() >= DATABASES / 2 {
            halfway = Some(simulation.done);
        }
    }
    report(&simulation, start, halfway.expect("it was halfway once"));
    let counts =
        simulation.scheduler.header(&id).and_then(|header| header.progress.totals).expect("it is over");
    assert_eq!((counts.of(Kind::Changed) as usize, counts.total() as usize), (DATABASES, DATABASES));
}

fn report(simulation: &Simulation, start: Moment, halfway: [usize; CLUSTERS]) {
    let simulated = simulation.now.since(start);
    let share = simulation.deciding.as_secs_f64() / simulated.as_secs_f64();
    let writing = simulation.writing.as_secs_f64() / simulated.as_secs_f64();
    let peak = memory_peak();
    println!(
        "{DATABASES} databases over {CLUSTERS} clusters, {} steps, {simulated:?} simulated",
        simulation.steps
    );
    println!("decisions: {:.4} % of a core ({:?})", share * 100.0, simulation.deciding);
    let mib = simulation.bytes >> 20;
    println!("ledger: {:.4} % of a core ({:?}), {mib} MiB written", writing * 100.0, simulation.writing);
    println!("memory: {} MiB at its highest, this test's own included", peak >> 20);
    let done: BTreeMap<_, _> = halfway.iter().enumerate().collect();
    println!("done by cluster when half of all were done: {done:?}");
    assert!(share <= CORE_SHARE_MAX, "decisions took {:.2} % of a core", share * 100.0);
    assert!(peak <= MEMORY_BYTES_MAX, "{} MiB", peak >> 20);
    // All have the same budget: those that had nothing worse than the usual bad minutes are close to each
    // other.
    let usual = [0, 1, 2, 4, 6, 8, 9].map(|at| halfway[at]);
    let (least, most) = (usual.iter().min().expect("seven"), usual.iter().max().expect("seven"));
    assert!(*least as f64 >= *most as f64 * 0.85, "{least} and {most} when half of all were done");
}
