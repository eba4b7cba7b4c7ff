//! Whether the proxy itself is short of CPU: then it measures its own slowness, not a server's.

use std::time::{Duration, Instant};

/// A look that is later than this was not run when it was due: the runtime's threads had no CPU.
const LATE: Duration = Duration::from_millis(100);
/// Looks that are remembered: two seconds' worth.
const LOOKS: u32 = 8;
/// Late ones among them that mean that the proxy is starved.
const LATE_RAISE: u32 = 3;
/// One look so late is enough: the proxy was stopped.
const STOPPED: Duration = Duration::from_secs(1);
/// Blamed for so long after the last sign: what was measured meanwhile has to leave the windows.
const BLAMED_FOR: Duration = Duration::from_secs(5);

/// The proxy's own delays.
#[derive(Clone, Debug, Default)]
pub(super) struct OwnDelay {
    late: u16,
    blamed_until: Option<Instant>,
}

impl OwnDelay {
    /// Takes in how late a look was; says whether the proxy was stopped for so long that everything measured
    /// before is void.
    pub(super) fn note(&mut self, late: Duration, now: Instant) -> bool {
        self.late = (self.late << 1 | u16::from(late >= LATE)) & ((1 << LOOKS) - 1);
        let was_stopped = late >= STOPPED;
        if was_stopped || self.late.count_ones() >= LATE_RAISE {
            self.blamed_until = Some(now + BLAMED_FOR);
        }
        was_stopped
    }

    pub(super) fn is_blamed(&self, now: Instant) -> bool {
        self.blamed_until.is_some_and(|until| now < until)
    }
}
