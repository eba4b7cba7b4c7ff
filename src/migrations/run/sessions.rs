//! Connections that wait for the next small copy: a fleet makes thousands, and to log in costs a server as
//! much as several statements.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::backend::direct::Direct;
use crate::ids::ServerId;
use crate::migrations::engine::{Endpoint, settle_session};

/// Connections that wait, for each server.
const WAITING_MAX: usize = 4;
/// How long they do: less than the time for which a server keeps one that exchanged tables.
const WAIT_FOR: Duration = Duration::from_secs(2);
/// An answer takes no longer, or the connection is given up.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Each waits without a lock and without a transaction; in which state otherwise does not matter.
#[derive(Default)]
pub(in crate::migrations) struct Sessions(Mutex<HashMap<ServerId, Vec<(Direct, Instant)>>>);

impl Sessions {
    /// One to the primary, in the engine's state; `None` when none waits that is usable.
    pub(super) async fn take(&self, endpoint: &Endpoint) -> Option<Direct> {
        loop {
            let mut direct = self.take_any(&endpoint.server)?;
            // The server may have closed it meanwhile.
            let settled = tokio::time::timeout(ANSWER_WITHIN, settle_session(&mut direct)).await;
            if matches!(settled, Ok(Ok(()))) {
                return Some(direct);
            }
        }
    }

    fn take_any(&self, server: &ServerId) -> Option<Direct> {
        let mut waiting = self.waiting();
        let own = waiting.get_mut(server)?;
        while let Some((mut direct, since)) = own.pop() {
            if since.elapsed() < WAIT_FOR && direct.is_quiet() {
                return Some(direct);
            }
        }
        None
    }

    /// Keeps one whose tables are unlocked. Its locks by name are let go, as if it were closed: every
    /// statement of it has been answered, so none is on its way.
    pub(in crate::migrations) async fn give(&self, mut direct: Direct) {
        let freed = tokio::time::timeout(ANSWER_WITHIN, direct.query("SELECT RELEASE_ALL_LOCKS()")).await;
        if !matches!(freed, Ok(Ok(_))) {
            return;
        }
        let mut waiting = self.waiting();
        let own = waiting.entry(direct.server().clone()).or_default();
        if own.len() < WAITING_MAX {
            own.push((direct, Instant::now()));
        }
    }

    /// Closes those that have waited for too long.
    pub(in crate::migrations) async fn close_old(&self) {
        let mut old = Vec::new();
        self.waiting().retain(|_, own| {
            old.extend(own.extract_if(.., |(_, since)| since.elapsed() >= WAIT_FOR));
            !own.is_empty()
        });
        for (direct, _) in old {
            direct.close().await;
        }
    }

    /// A connection is put in or taken out as a whole, so a panic elsewhere does not spoil it.
    fn waiting(&self) -> MutexGuard<'_, HashMap<ServerId, Vec<(Direct, Instant)>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
