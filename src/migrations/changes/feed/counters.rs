//! What a feed counts; read while it runs.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::super::feeds::FeedStats;

/// Counters of one feed.
#[derive(Debug, Default)]
pub(in super::super) struct Counters {
    pub(super) events: AtomicU64,
    pub(super) decoded: AtomicU64,
    pub(super) rows: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) connections: AtomicU64,
    pub(super) subscriptions: AtomicU64,
    pub(in super::super) behind: AtomicU64,
    pub(super) lag_ms: AtomicU64,
}

impl Counters {
    /// As of now.
    pub(in super::super) fn read(&self) -> FeedStats {
        FeedStats {
            events: self.events.load(Relaxed),
            decoded: self.decoded.load(Relaxed),
            rows: self.rows.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            connections: self.connections.load(Relaxed),
            subscriptions: self.subscriptions.load(Relaxed),
            behind: self.behind.load(Relaxed),
            lag_ms: self.lag_ms.load(Relaxed),
        }
    }
}
