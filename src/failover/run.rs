//! What the rest of the program asks of this module.

use crate::drain::FailoverEnd;
use crate::ids::{ClusterName, ServerId};

use super::end::{Found, PrimaryRow, Undecided};
use super::plan::{FailoverPlan, Refusal};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailoverRequest {
    /// The server to promote; absent: the most advanced that is fit.
    pub to: Option<ServerId>,
    /// The cluster works: writes must stand no longer than moments, else everything is undone.
    pub planned: bool,
    /// Why, for the log.
    pub why: String,
}

/// Fails clusters over, and knows who is primary.
#[derive(Debug, Default)]
pub struct Failovers {}

impl Failovers {
    /// Makes another server the primary of a cluster. The caller holds writes back before and lets them in
    /// again after; it is bounded in time by itself.
    ///
    /// One cluster at a time fails over once; another call for it meanwhile is [`FailoverEnd::Undone`].
    ///
    /// Cancel safety: none; run it in a task of its own.
    pub async fn fail_over(&self, cluster: &ClusterName, _request: FailoverRequest) -> FailoverEnd {
        FailoverEnd::Undone(format!("{cluster} cannot be failed over yet"))
    }

    /// What [`Failovers::fail_over`] would do now. Nothing is changed.
    ///
    /// # Errors
    /// Why it would not be done; see [`Refusal`].
    pub async fn plan(&self, cluster: &ClusterName, _to: Option<ServerId>) -> Result<FailoverPlan, Refusal> {
        Err(Refusal::UnknownCluster(cluster.clone()))
    }

    /// Asks every server of a cluster which is the primary now, and leads to it if it is another one.
    pub async fn find_primary(&self, cluster: &ClusterName) -> Found {
        Found::Undecided(Undecided::UnknownCluster(cluster.clone()))
    }

    /// Every cluster, by name.
    pub fn rows(&self) -> Vec<PrimaryRow> {
        Vec::new()
    }
}
