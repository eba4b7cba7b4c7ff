//! Time as a trait, so that tests can step it.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

/// Gives the time; implemented by [`SystemClock`] and, in tests, by [`SteppedClock`].
pub trait Clock: Send + Sync {
    /// Monotonic time, for ages and deadlines.
    fn now(&self) -> Instant;
    /// Wall time, for records that people read.
    fn wall(&self) -> SystemTime;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// A clock that moves only when told.
#[derive(Debug)]
pub struct SteppedClock {
    start: (Instant, SystemTime),
    elapsed: Mutex<Duration>,
}

impl SteppedClock {
    /// Starts at an arbitrary instant and the Unix epoch.
    pub fn new() -> Self {
        Self { start: (Instant::now(), SystemTime::UNIX_EPOCH), elapsed: Mutex::new(Duration::ZERO) }
    }

    /// Moves time forward.
    pub fn step(&self, by: Duration) {
        *self.elapsed.lock().expect("no code panics while it holds this lock") += by;
    }

    fn elapsed(&self) -> Duration {
        *self.elapsed.lock().expect("no code panics while it holds this lock")
    }
}

impl Default for SteppedClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SteppedClock {
    fn now(&self) -> Instant {
        self.start.0 + self.elapsed()
    }

    fn wall(&self) -> SystemTime {
        self.start.1 + self.elapsed()
    }
}
