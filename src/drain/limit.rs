//! How many statements of one class a cluster takes at once: a gradient on latency against the usual.
//!
//! Latencies come in as multiples of their own fingerprint's median, so a change of the mix of statements
//! does not look like a change of the server (the weakness of limiters that compare round trips with the
//! shortest one). A cap above it is the ladder's: held low, or doubling while a cluster is let back in.

use std::time::{Duration, Instant};

use super::action::PermitsHeld;

/// The limit is reconsidered this often at most.
const WINDOW: Duration = Duration::from_secs(1);
/// And with so many answers at least; fewer are an accident.
const WINDOW_ANSWERS: u32 = 20;
/// Statements may take so many times their usual on average before the limit shrinks: Netflix' Gradient2
/// tolerates 1.5 of a mean; against a median the mean of everyday latencies is already at 1.2.
const TOLERANCE: f64 = 2.0;
/// A single statement counts for so many times its usual at most: one lock wait is not a sick server, nor is
/// a kind of statement of which every fifth takes twenty times what the others take. When all of them take
/// four times the usual, the limit shrinks as fast as it can.
const TIMES_MAX: f64 = 4.0;
/// The most a window shrinks the limit to, before smoothing.
const GRADIENT_MIN: f64 = 0.5;
/// How far a window moves the limit towards its new value (Netflix' Gradient2).
const SMOOTHING: f64 = 0.2;
/// What failures leave of the limit, once per window (AIMD's back-off of the same library).
const BACK_OFF: f64 = 0.9;
/// The limit grows only if so much of it was in use: an idle server says nothing about its capacity.
const IN_USE_PART: f64 = 0.5;
/// While the ladder lets a cluster in again, the cap doubles this often.
const DOUBLE_EVERY: Duration = Duration::from_secs(3);

/// What the ladder allows at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cap {
    None,
    Held(u32),
    Ramp { from: u32, since: Instant },
}

/// The adaptive limit.
///
/// **Units**: statements in flight. Never below its floor nor above its ceiling; a cap may be below the
/// floor, even zero.
#[derive(Clone, Debug)]
pub struct Limit {
    floor: u32,
    ceiling: u32,
    value: f64,
    cap: Cap,
    window: Window,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    since: Instant,
    answers: u32,
    times: f64,
    failures: u32,
    in_flight_max: u32,
}

impl Window {
    fn new(since: Instant) -> Self {
        Self { since, answers: 0, times: 0.0, failures: 0, in_flight_max: 0 }
    }
}

impl Limit {
    /// Begins at the ceiling: until there is evidence, a proxy must not be what slows an application down.
    pub fn new(floor: u32, ceiling: u32, now: Instant) -> Self {
        let floor = floor.max(1);
        let ceiling = ceiling.max(floor);
        Self { floor, ceiling, value: f64::from(ceiling), cap: Cap::None, window: Window::new(now) }
    }

    /// Sets other bounds; a limit at its ceiling follows it.
    pub fn configure(&mut self, floor: u32, ceiling: u32) {
        let is_at_ceiling = self.value >= f64::from(self.ceiling);
        self.floor = floor.max(1);
        self.ceiling = ceiling.max(self.floor);
        self.set(if is_at_ceiling { f64::from(self.ceiling) } else { self.value });
    }

    /// The limit now.
    pub fn current(&mut self, now: Instant) -> u32 {
        let value = self.value as u32;
        match self.cap {
            Cap::None => value,
            Cap::Held(cap) => value.min(cap),
            Cap::Ramp { from, since } => {
                let steps = now.saturating_duration_since(since).as_secs() / DOUBLE_EVERY.as_secs();
                let cap = u64::from(from.max(1)).checked_shl(steps.min(32) as u32).unwrap_or(u64::MAX);
                if cap >= u64::from(self.ceiling) {
                    self.cap = Cap::None;
                }
                value.min(u32::try_from(cap).unwrap_or(u32::MAX))
            }
        }
    }

    /// What the ladder has made of it.
    pub fn held(&self) -> PermitsHeld {
        match self.cap {
            Cap::None => PermitsHeld::Free,
            Cap::Held(_) => PermitsHeld::Few,
            Cap::Ramp { .. } => PermitsHeld::Ramping,
        }
    }

    /// Says whether the ladder's cap is in force.
    pub fn is_capped(&self) -> bool {
        self.cap != Cap::None
    }

    /// Does what the ladder wants.
    pub fn follow(&mut self, held: PermitsHeld, now: Instant) {
        match held {
            PermitsHeld::Free => self.uncap(),
            PermitsHeld::Few => self.hold(self.floor),
            PermitsHeld::Ramping => self.ramp(self.floor, now),
        }
    }

    /// Holds the limit at `cap` at most, until the ramp.
    pub fn hold(&mut self, cap: u32) {
        self.cap = Cap::Held(cap);
    }

    /// Lets the cap double every few seconds, from `from`, until it no longer binds.
    pub fn ramp(&mut self, from: u32, now: Instant) {
        self.cap = Cap::Ramp { from, since: now };
    }

    /// Takes the cap away.
    pub fn uncap(&mut self) {
        self.cap = Cap::None;
    }

    /// A statement was answered after so many times its usual time (absent: not known), with `in_flight`
    /// others besides it.
    pub fn answered(&mut self, times: Option<f64>, in_flight: u32, now: Instant) {
        self.window.in_flight_max = self.window.in_flight_max.max(in_flight);
        if let Some(times) = times.filter(|times| times.is_finite()) {
            self.window.answers += 1;
            self.window.times += times.clamp(0.0, TIMES_MAX);
        }
        self.reconsider(now);
    }

    /// A statement failed through the server's fault, or its time limit was over.
    pub fn failed(&mut self, in_flight: u32, now: Instant) {
        self.window.in_flight_max = self.window.in_flight_max.max(in_flight);
        self.window.failures += 1;
        self.reconsider(now);
    }

    fn reconsider(&mut self, now: Instant) {
        let window = self.window;
        let is_over = now.saturating_duration_since(window.since) >= WINDOW;
        if !is_over || window.answers < WINDOW_ANSWERS && window.failures == 0 {
            return;
        }
        self.window = Window::new(now);
        if window.failures > 0 {
            self.set(self.value * BACK_OFF);
            return;
        }
        let times = window.times / f64::from(window.answers);
        let gradient = (TOLERANCE / times.max(f64::MIN_POSITIVE)).clamp(GRADIENT_MIN, 1.0);
        // The square root leaves room for a queue on the server that shows when there is more to be had.
        let wanted = self.value * gradient + self.value.sqrt();
        let is_used = f64::from(window.in_flight_max) >= self.value * IN_USE_PART;
        if wanted < self.value || is_used {
            self.set(self.value + (wanted - self.value) * SMOOTHING);
        }
    }

    fn set(&mut self, value: f64) {
        self.value = value.clamp(f64::from(self.floor), f64::from(self.ceiling));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten seconds of answers, a hundred per second.
    fn feed(limit: &mut Limit, times: f64, in_flight: u32, from: Instant) -> Instant {
        let at = |n: u64| from + Duration::from_millis(n * 10);
        (0..1000).for_each(|n| limit.answered(Some(times), in_flight, at(n)));
        at(1000)
    }

    #[test]
    fn shrinks_when_statements_take_longer_and_grows_back() {
        let start = Instant::now();
        let mut limit = Limit::new(4, 256, start);
        let now = feed(&mut limit, 1.2, 200, start);
        assert_eq!(limit.current(now), 256);
        let now = feed(&mut limit, 8.0, 256, now);
        let shrunk = limit.current(now);
        assert!(shrunk < 120, "{shrunk}");
        let now = (0..20).fold(now, |now, _| feed(&mut limit, 8.0, 256, now));
        assert!((4..=8).contains(&limit.current(now)), "{}", limit.current(now));
        // Idle: nothing is learnt about what the server could take.
        let idle = feed(&mut limit, 1.0, 1, now);
        assert!(limit.current(idle) <= 8);
        let now = (0..60).fold(idle, |now, _| {
            let used = limit.current(now);
            feed(&mut limit, 1.0, used, now)
        });
        assert_eq!(limit.current(now), 256);
    }

    #[test]
    fn failures_shrink_once_per_window() {
        let start = Instant::now();
        let mut limit = Limit::new(4, 100, start);
        (0..50).for_each(|_| limit.failed(10, start + WINDOW));
        assert_eq!(limit.current(start + WINDOW), 90);
    }

    #[test]
    fn a_ramp_doubles_until_it_no_longer_binds() {
        let start = Instant::now();
        let mut limit = Limit::new(4, 64, start);
        limit.hold(2);
        assert_eq!(limit.current(start), 2);
        limit.ramp(2, start);
        let caps: Vec<_> = (0..7).map(|n| limit.current(start + DOUBLE_EVERY * n)).collect();
        assert_eq!(caps, [2, 4, 8, 16, 32, 64, 64]);
        assert!(!limit.is_capped());
    }

    #[test]
    fn a_few_kinds_that_always_take_long_do_not_shrink_it() {
        let start = Instant::now();
        let mut limit = Limit::new(4, 100, start);
        let at = |n: u64| start + Duration::from_millis(n * 10);
        let times = |n| if n % 4 == 0 { 40.0 } else { 0.9 };
        (0..10_000).for_each(|n| limit.answered(Some(times(n)), 100, at(n)));
        assert_eq!(limit.current(at(10_000)), 100);
    }

    #[test]
    fn other_bounds_are_followed() {
        let start = Instant::now();
        let mut limit = Limit::new(4, 100, start);
        limit.configure(4, 200);
        assert_eq!(limit.current(start), 200, "it was at its ceiling");
        (0..50).for_each(|n| limit.failed(10, start + WINDOW * (n + 1)));
        limit.configure(10, 300);
        assert_eq!(limit.current(start), 10);
    }

    #[test]
    fn time_that_stands_still_or_goes_back_does_no_harm() {
        let start = Instant::now();
        let mut limit = Limit::new(4, 64, start + Duration::from_secs(60));
        (0..100).for_each(|_| limit.answered(Some(f64::NAN), 1, start));
        limit.ramp(1, start + Duration::from_secs(60));
        assert_eq!(limit.current(start), 1);
    }
}
