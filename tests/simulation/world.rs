//! One simulated cluster: clients that send, a server that answers as the scenario has it.
//!
//! Every write goes through the real meter. Within a step of the clock the order of statements does not
//! matter, as the meter is looked at between steps only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead::drain::Stage;
use bulkhead::health::{Beat, Class, Ended, Flight, Meter, ProbeFault, Reading, Statement};

use crate::random::Random;
use crate::scenario::{Cure, Scenario, What};

/// Kinds of writes: median in milliseconds, and how many of a hundred writes are of it.
const KINDS: [(f64, u64); 8] =
    [(1.5, 30), (2.0, 20), (3.0, 15), (4.0, 10), (6.0, 10), (9.0, 7), (15.0, 5), (40.0, 3)];
const READ_MS: f64 = 0.8;
const BEAT_MS: f64 = 3.0;
const PROBE_MS: f64 = 2.0;
const THREADS: f64 = 8.0;
/// Digest of the batch's write; those of kinds are 1 to 8, of reads 20.
const BATCH: u64 = 10;
const READ: u64 = 20;
/// Not one of the kinds that wait for a metadata lock.
const BEAT: u64 = 100;
/// Clients give up after so many seconds.
const PATIENCE: f64 = 10.0;
/// With few permits, so many writes are in flight at most.
const FEW: usize = 8;
/// One write in so many waits for a lock, up to three seconds.
const LOCK_WAIT_ONE_IN: u64 = 20_000;

/// What the events make of a cluster at one moment.
#[derive(Default)]
struct Weather {
    times: f64,
    slow: Option<(f64, f64)>,
    stall: f64,
    errors: Option<(f64, u16)>,
    beats_fail: bool,
    locks: f64,
    ddl: u32,
    threads: u32,
    hangs: bool,
    refuses: bool,
    lag: f64,
    read_only: bool,
    hot: Option<(f64, f64)>,
    batch: Option<(f64, f64)>,
    rate: f64,
    beat_locked: bool,
    late: f64,
}

impl Weather {
    fn stuck_beat(&self) -> bool {
        self.stall > 0.0 || self.beat_locked
    }
}

/// A statement without an answer.
struct Open {
    flight: Flight,
    sent: f64,
    /// Absent: not before the weather changes.
    ends: Option<f64>,
    kind: u64,
}

pub(crate) struct Cluster {
    at: usize,
    pub(crate) meter: Arc<Meter>,
    random: Random,
    start: Instant,
    open: Vec<Open>,
    beat: Option<(f64, Option<f64>)>,
    probe: Option<(f64, Option<f64>)>,
    /// Events that something has cured, by number, since when.
    cured: Vec<(usize, f64)>,
    pub(crate) stage: Stage,
    /// Writes that ended well, last step.
    pub(crate) done: u32,
    /// The same, averaged over about two seconds.
    pub(crate) flow: f64,
}

/// What a cluster's probes told in one step.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) beat_sent: bool,
    pub(crate) beat: Option<Beat>,
    pub(crate) probe_sent: bool,
    pub(crate) probe: Option<Result<Reading, ProbeFault>>,
}

impl Cluster {
    pub(crate) fn new(at: usize, start: Instant, seed: u64) -> Self {
        Self {
            at,
            meter: Arc::new(Meter::new(start)),
            random: Random::new(seed * 1000 + at as u64 + 1),
            start,
            open: Vec::new(),
            beat: None,
            probe: None,
            cured: Vec::new(),
            stage: Stage::Open,
            done: 0,
            flow: 0.0,
        }
    }

    pub(crate) fn cure(&mut self, scenario: &Scenario, cure: Cure, from: f64) {
        let cured = scenario.event.iter().enumerate().filter(|(_, event)| event.cured_by == Some(cure));
        self.cured.extend(cured.map(|(number, _)| (number, from)));
    }

    fn weather(&self, scenario: &Scenario, now: f64) -> Weather {
        let mut weather = Weather { times: 1.0, rate: 1.0, ..Weather::default() };
        for (number, event) in scenario.event.iter().enumerate() {
            let Some(progress) = event.progress(self.at, scenario.clusters, now) else { continue };
            if self.cured.iter().any(|(cured, from)| *cured == number && now >= *from) {
                continue;
            }
            match event.what {
                What::Slow { times, share } => weather.slow = Some((times, share)),
                What::Ramp { times } => weather.times *= 1.0 + (times - 1.0) * progress,
                What::Stall { share } => weather.stall = share,
                What::Errors { share, errno, beats } => {
                    (weather.errors, weather.beats_fail) = (Some((share, errno)), beats);
                }
                What::Locks { share } => weather.locks = share,
                What::Ddl { running, times, threads } => {
                    weather.times *= times;
                    (weather.ddl, weather.threads) = (running, threads);
                }
                What::Hang => weather.hangs = true,
                What::Refuse => weather.refuses = true,
                What::Lag { seconds } => weather.lag = seconds,
                What::ReadOnly => {
                    weather.read_only = true;
                    (weather.errors, weather.beats_fail) = (Some((1.0, 1290)), true);
                }
                What::HotRow { per_second, wait_ms } => weather.hot = Some((per_second, wait_ms)),
                What::Batch { per_second, seconds } => weather.batch = Some((per_second, seconds)),
                What::Rate { times } => weather.rate *= times,
                What::Storm { times, threads } => {
                    weather.rate *= 1.5;
                    weather.times *= times;
                    weather.threads = threads;
                }
                What::LockedBeat => weather.beat_locked = true,
                What::Starved { late_ms } => weather.late = late_ms / 1e3,
                What::Stopped | What::Clock { .. } => {}
            }
        }
        weather
    }

    fn at(&self, seconds: f64) -> Instant {
        self.start + Duration::from_secs_f64(seconds)
    }

    /// One step from `now` on.
    pub(crate) fn step(&mut self, scenario: &Scenario, now: f64, length: f64) -> Told {
        let weather = self.weather(scenario, now);
        let ends = now + length;
        self.done = 0;
        self.end_open(&weather, now, ends);
        let rate = rate(scenario, now) * weather.rate * length;
        for _ in 0..self.random.count(scenario.traffic.writes_per_second * rate) {
            let kind = self.kind();
            // Few workspaces are busy, many are not.
            let part = self.random.part();
            let owner = (part * part * scenario.traffic.workspaces as f64) as u64 + 100;
            let took = self.took(&weather, kind, KINDS[kind as usize - 1].0);
            self.send(&weather, (Class::Write, kind, owner), took, (now, ends));
        }
        for _ in 0..self.random.count(scenario.traffic.reads_per_second * rate) {
            let owner = self.random.below(scenario.traffic.workspaces) + 100;
            let took = READ_MS / 1e3 * self.random.spread() + weather.late;
            let took = (!weather.hangs).then_some(took);
            self.send(&weather, (Class::Read, READ, owner), took, (now, ends));
        }
        if let Some((per_second, wait_ms)) = weather.hot {
            for _ in 0..self.random.count(per_second * length) {
                let took = Some(wait_ms / 1e3 * self.random.spread());
                self.send(&weather, (Class::Write, 2, 7), took, (now, ends));
            }
        }
        if let Some((per_second, seconds)) = weather.batch {
            for _ in 0..self.random.count(per_second * length) {
                let owner = self.random.below(scenario.traffic.workspaces) + 100;
                let took = Some(seconds * self.random.spread());
                self.send(&weather, (Class::Write, BATCH, owner), took, (now, ends));
            }
        }
        self.flow = self.flow * 0.88 + f64::from(self.done) * 0.12;
        self.tell(&weather, now, ends)
    }

    fn kind(&mut self) -> u64 {
        let mut draw = self.random.below(100);
        for (number, (_, weight)) in KINDS.iter().enumerate() {
            if draw < *weight {
                return number as u64 + 1;
            }
            draw -= weight;
        }
        1
    }

    /// How long a write takes, in seconds; absent: it is stuck.
    fn took(&mut self, weather: &Weather, kind: u64, median_ms: f64) -> Option<f64> {
        let is_locked = weather.locks > 0.0 && (kind as f64) <= weather.locks * KINDS.len() as f64;
        let is_stuck = weather.stall > 0.0 && self.random.part() < weather.stall;
        if weather.hangs || is_locked || is_stuck {
            return None;
        }
        let mut took = median_ms / 1e3 * self.random.spread() * weather.times + weather.late;
        if let Some((times, share)) = weather.slow
            && self.random.part() < share
        {
            took *= times;
        }
        // The heartbeat has a row that nobody else locks.
        if kind != BEAT && self.random.below(LOCK_WAIT_ONE_IN) == 0 {
            took += 3.0 * self.random.part();
        }
        Some(took)
    }

    fn send(
        &mut self,
        weather: &Weather,
        (class, digest, owner): (Class, u64, u64),
        took: Option<f64>,
        (now, ends): (f64, f64),
    ) {
        let is_write = class == Class::Write;
        let is_shut = self.stage.is_drain() || self.stage == Stage::Limited && self.open.len() >= FEW;
        if is_write && is_shut {
            return;
        }
        if weather.refuses {
            return self.meter.count_unreachable(class);
        }
        let sent = now + (ends - now) * self.random.part();
        let flight = self.meter.begin(Statement { class, digest, owner }, self.at(sent));
        if let Some((share, errno)) = weather.errors.filter(|_| is_write)
            && self.random.part() < share
        {
            flight.end(Ended::Error(errno), self.at(sent + 0.001));
            return;
        }
        match took.map(|took| sent + took) {
            Some(over) if over <= ends => {
                self.done += u32::from(is_write);
                flight.end(Ended::Well, self.at(over));
            }
            over => self.open.push(Open { flight, sent, ends: over, kind: digest }),
        }
    }

    /// Ends what is answered by now, what its client gives up, and what was stuck and is so no more.
    fn end_open(&mut self, weather: &Weather, now: f64, ends: f64) {
        let start = self.start;
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        for mut open in std::mem::take(&mut self.open) {
            let is_locked = (open.kind as f64) <= weather.locks * KINDS.len() as f64;
            let is_stuck = weather.hangs || weather.stall > 0.0 || weather.locks > 0.0 && is_locked;
            if open.ends.is_none() && !is_stuck {
                open.ends = Some(now + 0.2 * self.random.part());
            }
            match open.ends {
                _ if weather.refuses => drop(open.flight.end(Ended::Lost, at(now))),
                Some(over) if over <= ends => {
                    self.done += u32::from(open.kind < READ);
                    open.flight.end(Ended::Well, at(over));
                }
                None if now - open.sent >= PATIENCE => open.flight.abandon(at(now)),
                _ => self.open.push(open),
            }
        }
    }

    /// Kills what is stuck: the transactions of a drain.
    pub(crate) fn kill_open(&mut self, now: f64) {
        let now = self.at(now);
        self.open.drain(..).for_each(|open| {
            open.flight.end(Ended::Lost, now);
        });
    }

    fn tell(&mut self, weather: &Weather, now: f64, ends: f64) -> Told {
        let mut told = Told::default();
        let is_whole = |every: f64| (now / every).round() * every - now;
        if self.beat.is_none() && is_whole(0.5).abs() < 0.01 {
            told.beat_sent = true;
            let took = self.took(weather, BEAT, BEAT_MS);
            let is_stuck = weather.stuck_beat();
            self.beat = Some((now, took.filter(|_| !is_stuck).map(|took| now + took)));
        }
        if let Some((sent, over)) = self.beat {
            // What was stuck is answered once the weather clears.
            let over = over.or_else(|| (!weather.stuck_beat() && !weather.hangs).then_some(now + 0.01));
            let is_over = over.is_some_and(|over| over <= ends);
            let beat = match over {
                _ if weather.refuses => Some(Beat::Refused),
                _ if is_over && weather.beats_fail => Some(Beat::Failed),
                Some(over) if is_over => Some(Beat::Done(Duration::from_secs_f64(over - sent))),
                _ if ends - sent >= 5.0 => Some(Beat::Failed),
                _ => None,
            };
            if beat.is_some() {
                (told.beat, self.beat) = (beat, None);
            }
        }
        if self.probe.is_none() && is_whole(1.0).abs() < 0.01 {
            told.probe_sent = true;
            let took = PROBE_MS / 1e3 * self.random.spread() + weather.late;
            self.probe = Some((now, (!weather.hangs).then_some(now + took)));
        }
        if let Some((sent, over)) = self.probe {
            let over = over.or_else(|| (!weather.hangs).then_some(now + 0.01));
            let probe = match over {
                _ if weather.refuses => Some(Err(ProbeFault::Refused)),
                Some(over) if over <= ends => Some(Ok(self.reading(weather))),
                _ if ends - sent >= 5.0 => Some(Err(ProbeFault::Failed)),
                _ => None,
            };
            if probe.is_some() {
                (told.probe, self.probe) = (probe, None);
            }
        }
        told
    }

    fn reading(&mut self, weather: &Weather) -> Reading {
        let stuck = self.open.iter().filter(|open| open.ends.is_none()).count() as u32;
        let running = THREADS * self.random.spread();
        Reading {
            threads_running: Some(running as u32 + weather.threads + stuck),
            metadata_lock_waiters: Some(if weather.locks > 0.0 { stuck } else { 0 }),
            ddl_running: Some(weather.ddl),
            history_list: Some(2000),
            replica_lag: Some(Duration::from_secs_f64(weather.lag)),
            is_read_only: Some(weather.read_only),
        }
    }
}

/// The day's rhythm: least at four in the morning, most twelve hours later.
fn rate(scenario: &Scenario, now: f64) -> f64 {
    let night = scenario.traffic.night;
    let hours = now / 3600.0 - 4.0;
    let wave = 0.5 - 0.5 * (hours / 24.0 * std::f64::consts::TAU).cos();
    night + (1.0 - night) * wave
}
