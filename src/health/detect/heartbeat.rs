//! The heartbeat: one row updated on the primary, twice a second.

use std::time::{Duration, Instant};

use super::signal::{Finding, Signal, Verdict};
use crate::health::meter::Baseline;

/// A heartbeat is sent this often, unless the last is still waited for.
pub const BEAT_EVERY: Duration = Duration::from_millis(500);
/// Whoever sends heartbeats gives one up after this, and reports [`Beat::Failed`].
pub const BEAT_WITHIN: Duration = Duration::from_secs(5);

/// Beats that are remembered: five seconds' worth.
const BEATS: u32 = 10;
/// Bad ones among them that raise the signal; one or two are everyday hiccups.
const BAD_RAISE: u32 = 3;
/// And that clear it.
const BAD_CLEAR: u32 = 1;
/// Failures in a row that raise it.
const FAILED_RAISE: u32 = 2;
/// No answer for so long raises it at once.
const PENDING_RAISE: Duration = Duration::from_secs(1);
/// A beat is bad from so many times its 97.7th percentile on: about eight times the median.
const BAD_TIMES: u32 = 3;
/// No beat is bad below: a disk flush and a little.
const BAD_MIN: Duration = Duration::from_millis(25);
/// Before its usual time is known, a beat is bad from here on.
const BAD_UNKNOWN: Duration = Duration::from_millis(500);
/// Refused connections in a row that mean that the server is down.
const REFUSED_DOWN: u32 = 3;

/// How a heartbeat ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// The row was updated, after this long.
    Done(Duration),
    /// No connection could be opened.
    Refused,
    /// The server answered with an error, or not within [`BEAT_WITHIN`].
    Failed,
}

pub(super) struct Heartbeat {
    usual: Baseline,
    sent: Option<Instant>,
    /// One bit for each of the last beats, the newest lowest; set: bad.
    bad: u16,
    failed_in_row: u32,
    refused_in_row: u32,
    last: Duration,
    /// The first one sent since the last that was done.
    unanswered: Option<Instant>,
}

/// The one fingerprint of the heartbeat's table.
const DIGEST: u64 = 1;

impl Heartbeat {
    pub(super) fn new() -> Self {
        Self {
            usual: Baseline::with_slots(1),
            sent: None,
            bad: 0,
            failed_in_row: 0,
            refused_in_row: 0,
            last: Duration::ZERO,
            unanswered: None,
        }
    }

    pub(super) fn sent(&mut self, now: Instant) {
        self.sent = Some(now);
        self.unanswered.get_or_insert(now);
    }

    pub(super) fn ended(&mut self, beat: Beat) {
        self.sent = None;
        let is_bad = match beat {
            Beat::Done(took) => {
                (self.failed_in_row, self.refused_in_row) = (0, 0);
                (self.last, self.unanswered) = (took, None);
                self.usual.record(DIGEST, took);
                took > self.bad_from()
            }
            Beat::Refused => {
                self.failed_in_row += 1;
                self.refused_in_row += 1;
                true
            }
            Beat::Failed => {
                self.failed_in_row += 1;
                self.refused_in_row = 0;
                true
            }
        };
        self.bad = (self.bad << 1 | u16::from(is_bad)) & ((1 << BEATS) - 1);
    }

    /// None can be sent, for no fault of the server's: nothing is waited for.
    pub(super) fn withdrawn(&mut self) {
        (self.sent, self.unanswered) = (None, None);
    }

    pub(super) fn learn(&self) {
        self.usual.learn();
    }

    pub(super) fn freeze(&self, is_frozen: bool) {
        self.usual.freeze(is_frozen);
    }

    /// The proxy was late: what is waited for may have been answered long ago.
    pub(super) fn forgive_pending(&mut self, now: Instant) {
        self.sent = self.sent.map(|_| now);
        self.unanswered = self.unanswered.map(|_| now);
    }

    /// Says whether any was sent yet.
    pub(super) fn is_sent(&self) -> bool {
        self.sent.is_some() || self.last > Duration::ZERO || self.failed_in_row > 0
    }

    fn bad_from(&self) -> Duration {
        let usual = self.usual.usual(DIGEST);
        match usual.is_known() {
            true => (Duration::from_micros(u64::from(usual.high_us)) * BAD_TIMES).max(BAD_MIN),
            false => BAD_UNKNOWN,
        }
    }

    fn bad_count(&self) -> u32 {
        self.bad.count_ones()
    }

    /// The share of the last beats that were bad; one that is waited for too long counts as all of them.
    pub(super) fn trouble(&self, now: Instant) -> f64 {
        if self.pending(now) >= PENDING_RAISE { 1.0 } else { f64::from(self.bad_count()) / f64::from(BEATS) }
    }

    fn pending(&self, now: Instant) -> Duration {
        self.sent.map_or(Duration::ZERO, |sent| now.saturating_duration_since(sent))
    }

    /// Heartbeats have been sent for so long, and none was done.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        self.unanswered.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    pub(super) fn look(&self, now: Instant) -> Finding {
        let pending = self.pending(now);
        let is_late = pending >= PENDING_RAISE.max(self.bad_from());
        let raise = is_late || self.bad_count() >= BAD_RAISE || self.failed_in_row >= FAILED_RAISE;
        let clear = pending < PENDING_RAISE && self.bad_count() <= BAD_CLEAR && self.failed_in_row == 0;
        let is_failing = is_late || self.failed_in_row > 0;
        Finding {
            signal: Signal::Heartbeat,
            value: if is_failing { self.silence(now) } else { self.last }.as_secs_f64(),
            threshold: if is_failing { PENDING_RAISE } else { self.bad_from() }.as_secs_f64(),
            verdict: Verdict::of(raise, clear),
        }
    }

    pub(super) fn look_reachable(&self) -> Finding {
        Finding {
            signal: Signal::Unreachable,
            value: f64::from(self.refused_in_row),
            threshold: f64::from(REFUSED_DOWN),
            verdict: Verdict::of(self.refused_in_row >= REFUSED_DOWN, self.refused_in_row == 0),
        }
    }
}
