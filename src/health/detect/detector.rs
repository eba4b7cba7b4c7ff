//! One cluster's detector: windows, probes, signals, state.

use std::time::{Duration, Instant};

use super::facts::{Facts, Standing};
use super::heartbeat::{Beat, Heartbeat};
use super::probe::{Probe, ProbeFault, Reading};
use super::siblings::Comparison;
use super::signal::{Board, Finding, Signal, SignalKind, Verdict};
use super::state::{Findings, Machine, State};
use super::window::{Fading, Shares, Window};
use crate::health::meter::Sample;
use crate::ids::ClusterName;

/// Window of the share of slow statements.
const SHORT: Duration = Duration::from_millis(2500);
/// Window of the comparison with siblings: more statements, so a smaller share can stand out.
const LONG: Duration = Duration::from_secs(15);
/// Window of the error ratio; TiProxy's two minutes are too slow for writes.
const ERRORS: Duration = Duration::from_secs(5);

/// Share of slow statements that raises the signal; 2.3 % are slow by definition.
const SLOW_RAISE: f64 = 0.25;
/// And that clears it.
const SLOW_CLEAR: f64 = 0.10;
/// Of so many slow statements at least: with fewer, chance reaches the share once in a while. Eight of twenty
/// at 2.3 % come up once in 10⁸ windows.
const SLOW_MIN: f64 = 8.0;
/// Overdue statements that raise the signal, at least.
const OVERDUE_MIN: f64 = 3.0;
/// And at least this part of all in flight: on a busy server a few isolated lock waits are always there.
const OVERDUE_PART: f64 = 0.2;
/// Ratio of failed statements that raises the signal, and that clears it (TiProxy's numbers).
const ERRORS_RAISE: f64 = 0.3;
const ERRORS_CLEAR: f64 = 0.1;
/// Of so many failures at least.
const ERRORS_MIN: f64 = 5.0;
/// Share of slow writes that may stand out from the siblings'.
const SIBLINGS_MIN: f64 = 0.10;
/// Writes that a cluster must have answered lately for its share to be compared.
const COMPARED_MIN: f64 = 20.0;
/// Neither heartbeat nor status answered for so long: silent.
const SILENT_RAISE: Duration = Duration::from_secs(5);
/// The heartbeat alone, failing for so long, makes degraded: at night nothing else may be there to tell.
const HEARTBEAT_ALONE: Duration = Duration::from_secs(10);
/// So many writes that are well contradict a heartbeat that is not: then its own table is what is locked.
const CONTRADICTED_MIN: f64 = 10.0;

/// What one look at a cluster's meter saw.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) writes: Sample,
    pub(super) reads: Sample,
    /// Since the look before.
    pub(super) passed: Duration,
}

/// Watches one cluster; owned by [`super::Fleet`].
pub struct Detector {
    cluster: ClusterName,
    writes: Window,
    compared: Window,
    reads: Window,
    write_errors: Errors,
    read_errors: Errors,
    last: Look,
    pub(super) heartbeat: Heartbeat,
    pub(super) probe: Probe,
    board: Board,
    machine: Machine,
    standing: Standing,
    is_own_fault: bool,
    hot_spot: Option<usize>,
}

impl Detector {
    pub(super) fn new(cluster: ClusterName, now: Instant) -> Self {
        let last = Look { writes: Sample::EMPTY, reads: Sample::EMPTY, passed: Duration::ZERO };
        Self {
            cluster,
            writes: Window::new(SHORT),
            compared: Window::new(LONG),
            reads: Window::new(SHORT),
            write_errors: Errors::default(),
            read_errors: Errors::default(),
            last,
            heartbeat: Heartbeat::new(),
            probe: Probe::new(now),
            board: Board::EMPTY,
            machine: Machine::new(now),
            standing: Standing::Unknown,
            is_own_fault: false,
            hot_spot: None,
        }
    }

    pub(super) fn beat_ended(&mut self, beat: Beat) {
        // A late answer is late by the proxy's own delay too; a refused connection is not.
        if !self.is_own_fault || beat == Beat::Refused {
            self.heartbeat.ended(beat);
        }
    }

    pub(super) fn probe_ended(&mut self, reading: Result<Reading, ProbeFault>, now: Instant) {
        match reading {
            Ok(reading) => self.probe.read(reading, self.machine.state == State::Healthy, now),
            Err(_) => self.probe.failed(),
        }
    }

    /// Takes a look into the windows.
    pub(super) fn fold(&mut self, look: Look) {
        self.writes.fold(&look.writes, look.passed);
        self.compared.fold(&look.writes, look.passed);
        self.reads.fold(&look.reads, look.passed);
        self.write_errors.fold(&look.writes, look.passed);
        self.read_errors.fold(&look.reads, look.passed);
        self.last = look;
    }

    /// Forgets what was measured while the proxy was short of CPU.
    pub(super) fn forgive(&mut self, now: Instant) {
        [&mut self.writes, &mut self.compared, &mut self.reads].into_iter().for_each(Window::empty);
        (self.write_errors, self.read_errors) = (Errors::default(), Errors::default());
        self.last = Look { writes: Sample::EMPTY, reads: Sample::EMPTY, passed: Duration::ZERO };
        self.heartbeat.forgive_pending(now);
        self.probe.forgive_pending(now);
    }

    /// How much trouble it is in, to be compared with its siblings': 0 to 1; absent when nothing is known.
    pub(super) fn trouble(&self, now: Instant) -> Option<f64> {
        let slow = self.compared.shares(&self.last.writes.owners).rest;
        let slow = (slow.of >= COMPARED_MIN || slow.slow >= SLOW_MIN).then(|| slow.value());
        let beats = Some(self.heartbeat.trouble(now)).filter(|_| self.heartbeat.is_sent());
        let errors = self.write_errors.is_enough().then(|| self.write_errors.ratio());
        [slow, beats, errors].into_iter().flatten().reduce(f64::max)
    }

    /// Raises and clears signals and moves the state.
    pub(super) fn judge(&mut self, comparison: Comparison, is_own_fault: bool, now: Instant) {
        self.standing = comparison.standing;
        self.is_own_fault = is_own_fault;
        let writes = self.writes.shares(&self.last.writes.owners);
        self.judge_passive(writes, comparison, now);
        self.judge_active(now);
        if is_own_fault {
            self.board.clear(&PASSIVE);
            self.board.clear(&[Signal::Heartbeat, Signal::Silent]);
        }
        let findings = self.findings(writes, now);
        self.machine.advance(findings, now);
    }

    fn judge_passive(&mut self, writes: Shares, comparison: Comparison, now: Instant) {
        let Look { writes: sample, reads: read_sample, .. } = &self.last;
        let reads = self.reads.shares(&read_sample.owners);
        let overdue = overdue(Signal::OverdueWrites, sample);
        let slow = slow(Signal::SlowWrites, writes);
        let is_all_slow = writes.all.slow >= SLOW_MIN && writes.all.value() >= SLOW_RAISE;
        let is_one_owners = overdue.is_one_owners || is_all_slow && slow.verdict != Verdict::Raise;
        self.hot_spot = is_one_owners.then_some(writes.worst);
        let errors = self.write_errors.look(Signal::WriteErrors);
        let read_findings = [
            self::overdue(Signal::OverdueReads, read_sample).finding,
            self::slow(Signal::SlowReads, reads),
            self.read_errors.look(Signal::ReadErrors),
        ];
        let siblings = self.compare(comparison);
        let findings = [overdue.finding, slow, siblings, errors];
        findings.into_iter().chain(read_findings).for_each(|finding| self.board.note(finding, now));
    }

    fn compare(&self, comparison: Comparison) -> Finding {
        let share = self.compared.shares(&self.last.writes.owners).rest;
        let threshold = comparison.stands_out_from.unwrap_or(1.0).max(SIBLINGS_MIN);
        let is_enough = share.slow >= SLOW_MIN && comparison.stands_out_from.is_some();
        let verdict = Verdict::of(is_enough && share.value() >= threshold, share.value() < threshold / 2.0);
        Finding { signal: Signal::Siblings, value: share.value(), threshold, verdict }
    }

    fn judge_active(&mut self, now: Instant) {
        let silence = self.heartbeat.silence(now).min(self.probe.silence(now));
        let silent = Finding {
            signal: Signal::Silent,
            value: silence.as_secs_f64(),
            threshold: SILENT_RAISE.as_secs_f64(),
            verdict: Verdict::of(silence >= SILENT_RAISE, silence < SILENT_RAISE / 2),
        };
        let beats = [self.heartbeat.look(now), self.heartbeat.look_reachable(), silent];
        let findings = beats.into_iter().chain(self.probe.look());
        findings.for_each(|finding| self.board.note(finding, now));
    }

    /// What the signals add up to. The table is in `docs/health.md`.
    fn findings(&self, writes: Shares, now: Instant) -> Findings {
        use Signal::{Heartbeat, OverdueWrites, ReadOnly, Siblings, SlowWrites, WriteErrors};
        let board = &self.board;
        let beat = board.is_raised(Heartbeat);
        let sick_writes = board.any(&[OverdueWrites, SlowWrites, Siblings, WriteErrors]);
        // Slowness alone is confirmed by the heartbeat only: many threads may be many clients.
        let stalled = board.any(&[OverdueWrites, WriteErrors]);
        let beat_alone = board.held(Heartbeat, now) >= HEARTBEAT_ALONE && !self.contradicts_beat(writes);
        let degrading = sick_writes && beat
            || stalled && board.any_of_kind(SignalKind::Active)
            || beat && board.is_raised(ReadOnly)
            || beat_alone;
        Findings {
            suspicious: board.any_of_kind(SignalKind::Passive) || board.any_of_kind(SignalKind::Active),
            degrading,
            unanswered: board.any(&[Signal::Unreachable, Signal::Silent]),
            own_fault: self.is_own_fault,
        }
    }

    fn contradicts_beat(&self, writes: Shares) -> bool {
        let is_well = writes.all.value() < SLOW_CLEAR && !self.board.is_raised(Signal::OverdueWrites);
        writes.all.of >= CONTRADICTED_MIN && is_well
    }

    /// Its state.
    pub fn state(&self) -> State {
        self.machine.state
    }

    /// Everything known.
    pub fn facts(&self) -> Facts {
        Facts {
            cluster: self.cluster.clone(),
            state: self.machine.state,
            since: self.machine.since,
            evidence: self.board.evidence().copied().collect(),
            standing: self.standing,
            is_own_fault: self.is_own_fault,
            hot_spot: self.hot_spot,
            reading: self.probe.reading(),
            writes_in_flight: self.last.writes.in_flight,
            oldest_write: self.last.writes.oldest,
        }
    }
}

const PASSIVE: [Signal; 7] = [
    Signal::OverdueWrites,
    Signal::SlowWrites,
    Signal::Siblings,
    Signal::WriteErrors,
    Signal::OverdueReads,
    Signal::SlowReads,
    Signal::ReadErrors,
];

/// Failed and answered statements of late.
#[derive(Clone, Copy, Debug, Default)]
struct Errors {
    failed: Fading,
    answered: Fading,
}

impl Errors {
    fn fold(&mut self, sample: &Sample, passed: Duration) {
        self.failed.fold(f64::from(sample.failed), passed, ERRORS);
        self.answered.fold(f64::from(sample.answered()), passed, ERRORS);
    }

    fn is_enough(self) -> bool {
        self.failed.0 >= ERRORS_MIN
    }

    fn ratio(self) -> f64 {
        let all = self.failed.0 + self.answered.0;
        if all > 0.0 { self.failed.0 / all } else { 0.0 }
    }

    fn look(self, signal: Signal) -> Finding {
        let value = self.ratio();
        let verdict = Verdict::of(self.is_enough() && value >= ERRORS_RAISE, value < ERRORS_CLEAR);
        Finding { signal, value, threshold: ERRORS_RAISE, verdict }
    }
}

struct Overdue {
    finding: Finding,
    is_one_owners: bool,
}

fn overdue(signal: Signal, sample: &Sample) -> Overdue {
    let (all, rest) = sample.overdue();
    let threshold = (f64::from(sample.in_flight) * OVERDUE_PART).max(OVERDUE_MIN);
    let value = f64::from(rest);
    let verdict = Verdict::of(value >= threshold, value < threshold / 2.0);
    let is_one_owners = f64::from(all) >= threshold && value < threshold / 2.0;
    Overdue { finding: Finding { signal, value, threshold, verdict }, is_one_owners }
}

fn slow(signal: Signal, shares: Shares) -> Finding {
    let value = shares.rest.value();
    let raise = shares.rest.slow >= SLOW_MIN && value >= SLOW_RAISE;
    let clear = value < SLOW_CLEAR || shares.rest.of < SLOW_MIN / 2.0;
    Finding { signal, value, threshold: SLOW_RAISE, verdict: Verdict::of(raise, clear) }
}
