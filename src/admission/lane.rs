//! The lane of schema changes: open or closed; who meets it closed may wait a little.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::watch;

use super::entry::Admission;
use crate::drain::Lane;
use crate::memory::Holding;

/// Schema changes that wait for one cluster's lane; more are refused at once.
const WAITING_MAX: u32 = 1024;

/// Whether schema changes are let through.
#[derive(Debug)]
pub(super) struct DdlLane {
    /// Written by [`Admission::apply`].
    is_closed: watch::Sender<bool>,
    waiting: AtomicU32,
}

impl Default for DdlLane {
    /// Open.
    fn default() -> Self {
        Self { is_closed: watch::Sender::new(false), waiting: AtomicU32::new(0) }
    }
}

impl DdlLane {
    pub(super) fn set(&self, lane: Lane) {
        self.is_closed.send_replace(lane == Lane::Closed);
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.is_closed.borrow()
    }
}

/// A schema change that waits for the lane; dropped, it gives its place up.
#[derive(Debug)]
pub struct LaneWait {
    admission: Arc<Admission>,
    _memory: Holding,
}

impl LaneWait {
    pub(super) fn enter(admission: Arc<Admission>, memory: Holding) -> Option<Self> {
        let waiting = &admission.lane().waiting;
        let may = |count: u32| (count < WAITING_MAX).then_some(count + 1);
        waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, may).ok()?;
        Some(Self { admission, _memory: memory })
    }

    /// Waits until the lane is open. The caller bounds the time.
    ///
    /// Cancel safety: safe.
    pub async fn opened(&self) {
        let mut is_closed = self.admission.lane().is_closed.subscribe();
        // The sender lives as long as the admission that is held here.
        let _ = is_closed.wait_for(|is_closed| !is_closed).await;
    }
}

impl Drop for LaneWait {
    fn drop(&mut self) {
        self.admission.lane().waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
