//! Each signal on a recorded series, the state machine, and the rules of what counts against whom.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::facts::{Backing, Standing};
use super::heartbeat::{Beat, Heartbeat};
use super::own::OwnDelay;
use super::probe::Probe;
use super::siblings::compare;
use super::signal::{Board, Evidence, Finding, Verdict};
use super::state::{Findings, Machine};
use super::window::Window;
use super::*;
use crate::health::meter::{Class, Meter, Sample, Statement};
use crate::health::{BUCKETS, Ended};
use crate::ids::ClusterName;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Plays a heartbeat's latencies, in milliseconds, two a second; says after which ones the signal was raised.
fn beats(series: &[u64]) -> String {
    let start = Instant::now();
    let mut heartbeat = Heartbeat::new();
    let mut board = Board::EMPTY;
    // Usual: one to four milliseconds.
    for n in 0..400 {
        heartbeat.sent(start);
        heartbeat.ended(Beat::Done(ms(1 + n % 4)));
    }
    heartbeat.learn();
    let mut raised = String::new();
    for (n, took) in series.iter().enumerate() {
        let now = start + BEAT_EVERY * n as u32;
        heartbeat.sent(now);
        heartbeat.ended(Beat::Done(ms(*took)));
        board.note(heartbeat.look(now + ms(*took)), now);
        raised.push(if board.is_raised(Signal::Heartbeat) { '!' } else { '.' });
    }
    raised
}

#[test]
fn a_heartbeat_speaks_up_at_the_third_slow_beat_and_rests_after_nine_good_ones() {
    assert_eq!(beats(&[3, 90, 2, 3, 80, 3, 2, 3, 4]), ".........", "two are hiccups");
    assert_eq!(beats(&[3, 90, 2, 90, 90, 3, 2]), "....!!!");
    assert_eq!(beats(&[90, 90, 90, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3]), "..!!!!!!!!!..");
    assert_eq!(beats(&[20, 20, 20, 20, 20]), ".....", "less than a flush is no illness");
}

#[test]
fn a_heartbeat_without_an_answer_speaks_up_after_a_second() {
    let start = Instant::now();
    let mut heartbeat = Heartbeat::new();
    heartbeat.sent(start);
    assert_eq!(heartbeat.look(start + ms(999)).verdict, Verdict::Clear);
    assert_eq!(heartbeat.look(start + ms(1000)).verdict, Verdict::Raise);
    assert_eq!(heartbeat.silence(start + ms(1500)), ms(1500));
    heartbeat.ended(Beat::Failed);
    heartbeat.sent(start + ms(2000));
    heartbeat.ended(Beat::Failed);
    assert_eq!(heartbeat.look(start + ms(2100)).verdict, Verdict::Raise);
    assert_eq!(heartbeat.look_reachable().verdict, Verdict::Clear);
    (0..3).for_each(|_| heartbeat.ended(Beat::Refused));
    assert_eq!(heartbeat.look_reachable().verdict, Verdict::Raise);
    heartbeat.ended(Beat::Done(ms(3)));
    assert_eq!(heartbeat.look_reachable().verdict, Verdict::Clear);
    assert_eq!(heartbeat.silence(start + ms(9000)), Duration::ZERO);
}

/// Plays readings of one value, one a second; says after which the signal was raised.
fn readings(signal: Signal, series: &[Option<u32>], reading: impl Fn(Option<u32>) -> Reading) -> String {
    let start = Instant::now();
    let mut probe = Probe::new(start);
    let mut board = Board::EMPTY;
    let mut raised = String::new();
    for (n, value) in series.iter().enumerate() {
        let now = start + PROBE_EVERY * n as u32;
        probe.read(reading(*value), !board.is_raised(signal), now);
        probe.look().into_iter().for_each(|finding| board.note(finding, now));
        raised.push(if board.is_raised(signal) { '!' } else { '.' });
    }
    raised
}

#[test]
fn threads_are_many_when_they_are_four_times_the_usual_and_a_hundred() {
    let threads = |series: &[Option<u32>]| {
        let reading = |threads_running| Reading { threads_running, ..Reading::default() };
        readings(Signal::ThreadsRunning, series, reading)
    };
    let all = |series: &[u32]| series.iter().copied().map(Some).collect::<Vec<_>>();
    assert_eq!(threads(&all(&[8, 9, 60, 99, 8])), ".....");
    assert_eq!(threads(&all(&[8, 120, 200, 60, 49, 51])), ".!!!..");
    assert_eq!(threads(&all(&[90, 95, 300, 400, 150, 90])), "...!..", "a large server");
    // What cannot be read neither raises nor clears.
    assert_eq!(threads(&[Some(8), None, Some(200), None, None, Some(8)]), "..!!!.");
}

#[test]
fn locks_ddl_undo_lag_and_read_only_have_their_thresholds() {
    let some = |series: &[u32]| series.iter().copied().map(Some).collect::<Vec<_>>();
    let locks = |metadata_lock_waiters| Reading { metadata_lock_waiters, ..Reading::default() };
    assert_eq!(readings(Signal::MetadataLocks, &some(&[0, 9, 10, 5, 4]), locks), "..!!.");
    let ddl = |ddl_running| Reading { ddl_running, ..Reading::default() };
    assert_eq!(readings(Signal::DdlRunning, &some(&[1, 7, 8, 60, 4, 3]), ddl), "..!!!.");
    let undo = |history: Option<u32>| Reading { history_list: history.map(u64::from), ..Reading::default() };
    assert_eq!(readings(Signal::HistoryList, &some(&[2000, 999_999, 1_000_000, 400_000]), undo), "..!.");
    let lag = |lag: Option<u32>| Reading {
        replica_lag: lag.map(|seconds| Duration::from_secs(seconds.into())),
        ..Reading::default()
    };
    assert_eq!(readings(Signal::ReplicaLag, &some(&[0, 4, 5, 3, 2]), lag), "..!!.");
    let only = |flag: Option<u32>| Reading { is_read_only: flag.map(|flag| flag > 0), ..Reading::default() };
    assert_eq!(readings(Signal::ReadOnly, &some(&[0, 1, 0]), only), ".!.");
}

/// The shares of slow writes of five clusters.
fn standings(shares: [f64; 5]) -> String {
    let name = |standing| match standing {
        Standing::Unknown => '.',
        Standing::StandsOut => '!',
        Standing::Alike => '=',
    };
    compare(&shares.map(Some)).into_iter().map(|comparison| name(comparison.standing)).collect()
}

#[test]
fn one_of_five_stands_out_and_five_of_five_do_not() {
    assert_eq!(standings([0.02, 0.03, 0.02, 0.02, 0.03]), ".....");
    assert_eq!(standings([0.02, 0.30, 0.02, 0.02, 0.03]), ".!...");
    assert_eq!(standings([0.02, 0.30, 0.02, 0.40, 0.03]), ".!.!.", "two of five are still the exception");
    assert_eq!(standings([0.30, 0.40, 0.35, 0.30, 0.45]), "=====");
    assert_eq!(standings([0.30, 0.40, 0.35, 0.02, 0.45]), "===.=", "four of five are not");
    // The exception among troubled siblings is the one that is much worse.
    assert_eq!(standings([0.16, 0.17, 0.99, 0.16, 0.18]), "==!==");
}

#[test]
fn without_siblings_nothing_is_said() {
    let standing = |values: &[Option<f64>]| compare(values)[0].standing;
    assert_eq!(standing(&[Some(0.9)]), Standing::Unknown);
    assert_eq!(standing(&[Some(0.9), None, None]), Standing::Unknown);
    assert_eq!(standing(&[Some(0.9), Some(0.0)]), Standing::Unknown, "one sibling is no majority");
    assert_eq!(standing(&[Some(0.9), Some(0.8)]), Standing::Alike);
    assert!(compare(&[]).is_empty());
}

/// Looks that come so many milliseconds late; says after which the proxy blames itself.
fn lateness(series: &[u64]) -> String {
    let start = Instant::now();
    let mut own = OwnDelay::default();
    let look = |(n, late): (usize, &u64)| {
        let now = start + TICK_EVERY * n as u32;
        own.note(ms(*late), now);
        if own.is_blamed(now) { '!' } else { '.' }
    };
    series.iter().enumerate().map(look).collect()
}

#[test]
fn late_looks_are_the_proxys_own_fault() {
    assert_eq!(lateness(&[0, 5, 120, 0, 99, 150, 0]), ".......");
    assert_eq!(lateness(&[0, 120, 0, 130, 110, 0]), "....!!");
    assert_eq!(lateness(&[0, 30_000, 0]), ".!!");
    let mut recovered = vec![1500];
    recovered.resize(21, 0);
    assert_eq!(lateness(&recovered), format!("{}.", "!".repeat(20)), "five seconds of looks");
}

fn sample(answered: u32, slow: u32, bucket: usize) -> Sample {
    let mut sample = Sample::EMPTY;
    sample.owners[bucket].answered = answered;
    sample.owners[bucket].slow = slow;
    sample
}

#[test]
fn a_share_is_told_with_and_without_its_worst_owner() {
    let mut window = Window::new(Duration::from_secs(1));
    window.fold(&sample(40, 0, 1), ms(0));
    window.fold(&sample(60, 60, 2), ms(0));
    let shares = window.shares(&Sample::EMPTY.owners);
    assert_eq!((shares.all.value(), shares.rest.value(), shares.worst), (0.6, 0.0, 2));
    // In half a time constant, the same is left as half of the decay says.
    window.fold(&sample(0, 0, 1), ms(500));
    let later = window.shares(&Sample::EMPTY.owners).all;
    assert!((later.of - 100.0 * (-0.5_f64).exp()).abs() < 0.01 && (later.value() - 0.6).abs() < 1e-6);
    window.fold(&Sample::EMPTY, Duration::from_secs(100_000));
    assert_eq!(window.shares(&Sample::EMPTY.owners).all.of.round(), 0.0);
}

#[test]
fn a_board_remembers_since_when() {
    let start = Instant::now();
    let mut board = Board::EMPTY;
    let finding = |value, verdict| Finding { signal: Signal::SlowWrites, value, threshold: 0.25, verdict };
    board.note(finding(0.2, Verdict::Keep), start);
    assert!(!board.is_raised(Signal::SlowWrites));
    board.note(finding(0.3, Verdict::Raise), start + ms(10));
    board.note(finding(0.2, Verdict::Keep), start + ms(20));
    board.note(finding(f64::NAN, Verdict::Keep), start + ms(30));
    let expected =
        Evidence { signal: Signal::SlowWrites, value: 0.2, threshold: 0.25, since: start + ms(10) };
    assert_eq!(board.evidence().copied().collect::<Vec<_>>(), [expected]);
    assert_eq!(board.held(Signal::SlowWrites, start + ms(110)), ms(100));
    assert_eq!(expected.to_string(), "slow_writes 0.20 share (from 0.25)");
    board.note(finding(0.0, Verdict::Clear), start + ms(40));
    assert_eq!(board.evidence().count(), 0);
}

const QUIET: Findings = Findings { suspicious: false, degrading: false, unanswered: false, own_fault: false };
const ODD: Findings = Findings { suspicious: true, ..QUIET };
const SICK: Findings = Findings { degrading: true, ..ODD };
const GONE: Findings = Findings { unanswered: true, ..SICK };

/// Plays findings, each for so many looks; gives the states as letters, one a look.
fn states(series: &[(Findings, u32)]) -> String {
    let start = Instant::now();
    let mut machine = Machine::new(start);
    let mut letters = String::new();
    let looks = series.iter().flat_map(|(findings, looks)| (0..*looks).map(move |_| *findings));
    for (n, findings) in looks.enumerate() {
        machine.advance(findings, start + TICK_EVERY * n as u32);
        letters.push(machine.state.name().chars().next().expect("a name"));
    }
    letters
}

#[test]
fn states_follow_findings_that_last() {
    assert_eq!(states(&[(QUIET, 2), (ODD, 4), (QUIET, 2)]), "hhhhhhhh", "less than a second is nothing");
    assert_eq!(states(&[(ODD, 8)]), "hhhhssss");
    assert_eq!(states(&[(SICK, 10)]), "hhhhssdddd");
    assert_eq!(states(&[(GONE, 5)]), "hhwww".replace('w', "d"));
    let well_again = states(&[(SICK, 8), (QUIET, 60)]);
    // Five seconds until suspect; ten of quiet, counted from the same moment, until healthy.
    assert_eq!(well_again, format!("hhhhssdd{}{}{}", "d".repeat(20), "s".repeat(20), "h".repeat(20)));
}

#[test]
fn what_went_down_comes_back_as_degraded() {
    let start = Instant::now();
    let mut machine = Machine::new(start);
    let mut look = |n: u32, findings| {
        machine.advance(findings, start + TICK_EVERY * n);
        machine.state
    };
    (0..4).for_each(|n| assert_ne!(look(n, GONE), State::Degraded));
    assert_eq!(look(4, GONE), State::Down);
    assert_eq!(look(5, SICK), State::Down);
    assert_eq!(look(13, SICK), State::Degraded);
}

#[test]
fn a_starved_proxy_moves_no_state_but_for_a_refused_connection() {
    let blamed = Findings { own_fault: true, ..SICK };
    assert_eq!(states(&[(blamed, 20)]), "h".repeat(20));
    let refused = Findings { own_fault: true, ..GONE };
    assert_eq!(states(&[(refused, 4)]), "hhdd");
    // And nothing gets better either.
    assert!(states(&[(SICK, 8), (Findings { own_fault: true, ..QUIET }, 100)]).ends_with('d'));
}

/// A fleet of one cluster whose fingerprints 1 to 4 are known at a millisecond or two.
struct Lab {
    fleet: Fleet,
    meter: Arc<Meter>,
    now: Instant,
    flights: Vec<crate::health::Flight>,
}

impl Lab {
    fn new() -> Self {
        let now = Instant::now();
        let meter = Arc::new(Meter::new(now));
        let mut fleet = Fleet::new(now);
        fleet.watch(&ClusterName::new("c1"), Arc::clone(&meter), now);
        for n in 0..4000 {
            let write = Statement { class: Class::Write, digest: 1 + n % 4, owner: n };
            let _ = meter.begin(write, now).end(Ended::Well, now + Duration::from_micros(1000 + n / 4));
        }
        meter.learn();
        let _ = meter.take(Class::Write, now);
        Self { fleet, meter, now, flights: Vec::new() }
    }

    /// One look after writes of these owners were begun; the heartbeat is well.
    fn look(&mut self, owners: std::ops::Range<u64>) -> Facts {
        let cluster = ClusterName::new("c1");
        for owner in owners {
            let write = Statement { class: Class::Write, digest: 1 + owner % 4, owner };
            self.flights.push(self.meter.begin(write, self.now));
        }
        self.fleet.beat_sent(&cluster, self.now);
        self.fleet.beat_ended(&cluster, Beat::Done(ms(2)));
        self.now += TICK_EVERY;
        self.fleet.tick(Tick { now: self.now, late: Duration::ZERO });
        self.fleet.facts().pop().expect("one cluster")
    }
}

#[test]
fn passive_signals_alone_make_suspect_and_no_more() {
    let mut lab = Lab::new();
    let mut last = lab.look(0..0);
    for n in 0..240 {
        last = lab.look(n * 20..n * 20 + 20);
    }
    assert_eq!((last.state, last.backing()), (State::Suspect, Backing::Passive));
    assert!(last.has(Signal::OverdueWrites) && last.has(Signal::SlowWrites));
    // What the server says of itself is the second witness.
    let cluster = ClusterName::new("c1");
    let locked = Reading { metadata_lock_waiters: Some(200), ..Reading::default() };
    for _ in 0..8 {
        lab.fleet.probe_sent(&cluster, lab.now);
        lab.fleet.probe_ended(&cluster, Ok(locked), lab.now);
        last = lab.look(0..0);
    }
    assert_eq!((last.state, last.backing()), (State::Degraded, Backing::Both));
    lab.flights.clear();
    for _ in 0..80 {
        lab.fleet.probe_ended(&cluster, Ok(Reading::default()), lab.now);
        last = lab.look(0..0);
    }
    assert!(last.has(Signal::MetadataLocks), "a reading without the value clears nothing");
    for _ in 0..80 {
        let free = Reading { metadata_lock_waiters: Some(0), ..Reading::default() };
        lab.fleet.probe_ended(&cluster, Ok(free), lab.now);
        last = lab.look(0..0);
    }
    assert_eq!(last.state, State::Healthy);
}

#[test]
fn one_owners_slow_writes_are_a_hot_spot() {
    let mut lab = Lab::new();
    let mut last = lab.look(0..0);
    for _ in 0..40 {
        let flights = std::mem::take(&mut lab.flights);
        // Everybody else is answered at once.
        let (hot, well): (Vec<_>, Vec<_>) =
            flights.into_iter().partition(|flight| flight.age(lab.now) < TICK_EVERY);
        drop(hot);
        well.into_iter().for_each(|flight| flight.abandon(lab.now));
        for owner in 100..140 {
            let write = Statement { class: Class::Write, digest: 1, owner };
            let _ = lab.meter.begin(write, lab.now).end(Ended::Well, lab.now + ms(1));
            let hot = Statement { class: Class::Write, digest: 1, owner: 7 };
            let _ = lab.meter.begin(hot, lab.now).end(Ended::Well, lab.now + ms(3000));
        }
        last = lab.look(0..0);
    }
    assert_eq!(last.state, State::Healthy);
    assert!(last.hot_spot.is_some_and(|bucket| bucket < BUCKETS));
    assert!(matches!(Alert::of(&[last])[..], [Alert::HotSpot { .. }]));
}

#[test]
fn a_stopped_proxy_forgets_what_it_saw() {
    let mut lab = Lab::new();
    lab.look(0..50);
    lab.now += Duration::from_secs(30);
    lab.fleet.tick(Tick { now: lab.now, late: Duration::from_secs(30) });
    let facts = lab.fleet.facts().pop().expect("one cluster");
    assert_eq!((facts.state, facts.is_own_fault, facts.evidence.len()), (State::Healthy, true, 0));
    assert_eq!(Alert::of(&[facts]), [Alert::ProxyStarved]);
}
