//! How many connections the looks at tables take of one cluster.
//!
//! Each schema change of each session opens one, by the admin login, beside the pools: without a bound a
//! thousand migrations that begin together would take the server's last connections.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::ids::ClusterName;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Reads definitions: milliseconds.
    Look,
    /// Scans rows: minutes.
    Scan,
}

impl Purpose {
    /// Connections of one cluster at once.
    fn at_once(self) -> usize {
        match self {
            Self::Look => 8,
            Self::Scan => 2,
        }
    }

    /// How long one waits for others to end.
    fn within(self) -> Duration {
        Duration::from_secs(match self {
            Self::Look => 5,
            Self::Scan => 60,
        })
    }
}

/// Those of all clusters. One per proxy.
#[derive(Debug, Default)]
pub struct Looks {
    clusters: Mutex<HashMap<(ClusterName, bool), Arc<Semaphore>>>,
}

/// Room for one connection, until dropped.
#[derive(Debug)]
pub struct Room {
    _permit: OwnedSemaphorePermit,
}

/// No room became free in time. Nothing was asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at_once} are under way, and none of them ended within {} s", .within.as_secs())]
pub struct LooksFull {
    /// How many may be at once.
    pub at_once: usize,
    /// How long it was waited.
    pub within: Duration,
}

impl Looks {
    /// Waits for room, in the order of coming.
    ///
    /// **Cancel safety**: safe.
    ///
    /// # Errors
    /// See [`LooksFull`].
    pub async fn admit(&self, cluster: &ClusterName, purpose: Purpose) -> Result<Room, LooksFull> {
        let (at_once, within) = (purpose.at_once(), purpose.within());
        let room = timeout(within, self.rooms(cluster, purpose).acquire_owned()).await;
        match room {
            Ok(permit) => Ok(Room { _permit: permit.expect("it is never closed") }),
            Err(_) => Err(LooksFull { at_once, within }),
        }
    }

    fn rooms(&self, cluster: &ClusterName, purpose: Purpose) -> Arc<Semaphore> {
        // Each change of the map is whole, so a panic elsewhere does not spoil it.
        let mut clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        let rooms = clusters.entry((cluster.clone(), purpose == Purpose::Scan));
        rooms.or_insert_with(|| Arc::new(Semaphore::new(purpose.at_once()))).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_more_than_may_be_at_once_and_nobody_waits_for_ever() {
        let (looks, cluster, other) = (Looks::default(), ClusterName::new("c1"), ClusterName::new("c2"));
        let mut rooms = Vec::new();
        for _ in 0..8 {
            rooms.push(looks.admit(&cluster, Purpose::Look).await.unwrap());
        }
        let began = tokio::time::Instant::now();
        let full = looks.admit(&cluster, Purpose::Look).await.unwrap_err();
        assert_eq!((full.at_once, began.elapsed()), (8, Duration::from_secs(5)));
        assert_eq!(full.to_string(), "8 are under way, and none of them ended within 5 s");
        // Scans, and other clusters, have rooms of their own.
        assert!(looks.admit(&cluster, Purpose::Scan).await.is_ok());
        assert!(looks.admit(&other, Purpose::Look).await.is_ok());
        // One that is given up while it waits takes no room.
        let waiting = timeout(Duration::from_secs(1), looks.admit(&cluster, Purpose::Look)).await;
        assert!(waiting.is_err());
        rooms.pop();
        assert!(looks.admit(&cluster, Purpose::Look).await.is_ok());
    }
}
