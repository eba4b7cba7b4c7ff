//! How long the parts of a span took in which a table's writers wait.
//!
//! Such spans are told part by part (log level `debug`): what is long there, clients feel.

use std::fmt;
use std::time::{Duration, Instant};

/// Parts, one behind the other.
#[derive(Debug)]
pub(crate) struct Laps {
    began: Instant,
    last: Instant,
    parts: Vec<(&'static str, Duration)>,
}

impl Laps {
    /// The span begins.
    pub(crate) fn begin() -> Self {
        let now = Instant::now();
        Self { began: now, last: now, parts: Vec::new() }
    }

    /// When it began.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// A part has ended.
    pub(crate) fn end(&mut self, part: &'static str) {
        self.end_at(part, Instant::now());
    }

    fn end_at(&mut self, part: &'static str, now: Instant) {
        let took = now.saturating_duration_since(self.last);
        self.parts.push((part, took));
        self.last = now;
    }

    /// From the beginning to the end of the last part.
    pub(crate) fn total(&self) -> Duration {
        self.last.saturating_duration_since(self.began)
    }
}

impl fmt::Display for Laps {
    /// "12.5 ms: lock 2.0, rename 10.5".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        write!(f, "{:.1} ms", ms(self.total()))?;
        for (at, (part, took)) in self.parts.iter().enumerate() {
            let before = if at == 0 { ": " } else { ", " };
            write!(f, "{before}{part} {:.1}", ms(*took))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_in_milliseconds() {
        let mut laps = Laps::begin();
        assert_eq!(laps.to_string(), "0.0 ms");
        let at = |ms| laps.began + Duration::from_micros(ms);
        let (first, second) = (at(2_000), at(12_500));
        laps.end_at("lock", first);
        laps.end_at("rename", second);
        assert_eq!(laps.to_string(), "12.5 ms: lock 2.0, rename 10.5");
        assert_eq!(laps.total(), Duration::from_micros(12_500));
    }
}
