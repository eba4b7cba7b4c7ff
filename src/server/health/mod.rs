//! Watching the clusters: heartbeats and status readings, the detectors they feed, and what the ladder makes
//! of it.
//!
//! Two tasks per cluster talk to its primary, each on a connection of its own by the admin login: `beat` and
//! `status`; one talks to each replica. They tell the one task of `watch`, which owns detectors and ladder,
//! logs what changes and puts it on the [`Board`]. What the ladder wants is carried out in `ladder`, beside
//! this module.

mod beat;
mod board;
mod replica;
mod status;
mod watch;

pub(super) use board::Board;
pub(super) use status::{Listing, listing_of};
pub(super) use watch::{Wiring, watch};

use std::time::{Duration, Instant};

use mysql_async::{Conn, Error};
use tokio::sync::mpsc;

use crate::config::{Cluster, ClusterTls, Config, HealthChecks, Login};
use crate::control::{self, Refused};
use crate::health::{Beat, ProbeFault, Reading};
use crate::ids::{ClusterName, ServerId};

/// News that wait for the watching task; a few per cluster and second come.
const NEWS_MAX: usize = 1024;
/// A login that the server denies is tried again after this: it is the configuration's fault, not the
/// server's.
const DENIED_PAUSE: Duration = Duration::from_secs(10);

/// What is probed, and how.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    pub(super) cluster: ClusterName,
    server: ServerId,
    replicas: Vec<ServerId>,
    pub(super) login: Login,
    /// The user of clients' statements.
    pub(super) app_user: Box<str>,
    tls: ClusterTls,
    checks: HealthChecks,
    connect_within: Duration,
}

impl Target {
    /// The same for another server of the cluster.
    fn at(&self, server: &ServerId) -> Self {
        Self { server: server.clone(), ..self.clone() }
    }

    fn of(cluster: &Cluster, config: &Config) -> Self {
        Self {
            cluster: cluster.name.clone(),
            server: cluster.primary.clone(),
            replicas: cluster.replicas.clone(),
            login: cluster.admin_login.clone(),
            app_user: cluster.login.user.clone(),
            tls: cluster.tls.clone(),
            checks: config.health.clone(),
            connect_within: config.timeouts.connect,
        }
    }

    pub(super) async fn open(&self) -> Result<Conn, Trouble> {
        Ok(control::open(&self.server, &self.login, &self.tls, self.connect_within).await?)
    }
}

/// What is probed of a config.
pub(super) fn targets(config: &Config) -> Vec<Target> {
    config.clusters.values().map(|cluster| Target::of(cluster, config)).collect()
}

/// What the tasks of a cluster tell.
#[derive(Debug)]
enum Told {
    BeatSent,
    BeatEnded {
        beat: Beat,
        note: String,
    },
    BeatDenied {
        note: String,
    },
    ProbeSent,
    ProbeEnded(Result<Reading, ProbeFault>),
    ProbeDenied,
    /// How far a replica is behind; absent: not known.
    ReplicaSeen {
        server: ServerId,
        behind: Option<Duration>,
    },
}

#[derive(Debug)]
struct News {
    cluster: ClusterName,
    at: Instant,
    told: Told,
}

/// A cluster's line to the watching task.
#[derive(Clone, Debug)]
struct Teller {
    cluster: ClusterName,
    to: mpsc::Sender<News>,
}

impl Teller {
    async fn tell(&self, told: Told) {
        let news = News { cluster: self.cluster.clone(), at: Instant::now(), told };
        // The watching task ends with the proxy, and this one with it.
        let _ = self.to.send(news).await;
    }
}

/// Why a probe came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Connect(#[from] Refused),
    #[error(transparent)]
    Statement(#[from] Error),
}

impl Trouble {
    /// The server answers, and does not let the admin login do this.
    fn is_denied(&self) -> bool {
        match self {
            Self::Connect(Refused::ByServer(error)) | Self::Statement(Error::Server(error)) => {
                is_denied(error.code)
            }
            _ => false,
        }
    }

    /// Nobody listens there, or nobody can be reached.
    fn is_refused(&self) -> bool {
        matches!(self, Self::Connect(Refused::OnTheWay(_)))
    }

    /// The connection can be used again: the server answered.
    fn leaves_connection(&self) -> bool {
        matches!(self, Self::Statement(Error::Server(_)))
    }
}

/// Error numbers of denied logins and missing privileges. **Source**: MySQL Error Message Reference.
fn is_denied(errno: u16) -> bool {
    matches!(
        errno,
        1044 | 1045 // access denied to a database, to a user
            | 1130 // host not allowed
            | 1142 | 1143 | 1227 // a privilege is missing: table, column, any
            | 1524 // authentication plugin not loaded
            | 1698 // access denied, no password
            | 1820 | 1862 // password expired
            | 3118 | 4151 // account locked, MySQL's and MariaDB's
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_login_is_no_sick_server() {
        let by_server = |code| mysql_async::ServerError { code, message: "no".into(), state: "HY000".into() };
        let denied = Trouble::Connect(Refused::ByServer(by_server(1045)));
        assert!(denied.is_denied() && !denied.is_refused());
        let full = Trouble::Connect(Refused::ByServer(by_server(1040)));
        assert!(!full.is_denied() && !full.is_refused());
        let locked = Trouble::Statement(Error::Server(by_server(1205)));
        assert!(!locked.is_denied() && locked.leaves_connection());
        let late = Trouble::Connect(Refused::Late(Duration::from_secs(2)));
        assert!(!late.is_denied() && !late.is_refused() && !late.leaves_connection());
    }
}
