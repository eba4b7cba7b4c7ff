//! Before writes are held for a switchover: its replica must be near, or they would stand for what it lacks.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::decide::{Refusal, Said, ServerView, Unfit};
use super::run::{Context, Failovers, VIEW_WITHIN_PLANNED};
use crate::config::FailoverMode;
use crate::ids::{ClusterName, ServerId};

/// A replica is near when it has executed what the primary had executed so long ago: a fifth of the time that
/// a switchover may take until the promotion.
const NEAR: Duration = Duration::from_millis(500);
/// It comes near within this, or is not waited for.
const NEAR_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What the primary had, look by look, to tell how far behind a replica is: how long ago the primary had what
/// the replica has now.
#[derive(Debug)]
struct Trail<T> {
    since: Instant,
    had: VecDeque<(Instant, T)>,
}

impl<T> Trail<T> {
    fn new(now: Instant) -> Self {
        Self { since: now, had: VecDeque::new() }
    }

    /// The primary has this now. How far behind a replica is that has what `has` says, at least.
    fn look(&mut self, now: Instant, primary: T, has: impl Fn(&T) -> bool) -> Duration {
        self.had.push_back((now, primary));
        match self.had.iter().rposition(|(_, had)| has(had)) {
            Some(at) => {
                self.had.drain(..at);
                let (seen, _) = &self.had[0];
                now.saturating_duration_since(*seen)
            }
            // Not even what the primary had at the first look.
            None => now.saturating_duration_since(self.since).max(NEAR + LOOK_EVERY),
        }
    }
}

impl Failovers {
    /// Waits, for 10 s at most, until the replica that a switchover would promote is less than 500 ms behind
    /// the primary. Nothing is changed, and writes go on meanwhile. A cluster that others fail over is not
    /// waited for.
    ///
    /// # Errors
    /// [`Refusal::TooFar`]; or why a switchover would be refused whatever the replica has.
    pub async fn await_near(&self, name: &ClusterName, to: Option<&ServerId>) -> Result<(), Refusal> {
        let context = self.context(name).ok_or_else(|| Refusal::UnknownCluster(name.clone()))?;
        if context.declared.failover.mode != FailoverMode::BuiltIn {
            return Ok(());
        }
        let began = Instant::now();
        let mut trail = Trail::new(began);
        loop {
            let (server, lag) = look(&context, to, &mut trail).await?;
            if lag <= NEAR {
                return Ok(());
            }
            if began.elapsed() >= NEAR_WITHIN {
                return Err(Refusal::TooFar { server, lag, lag_max: NEAR, waited: began.elapsed() });
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

/// The replica that would be promoted, and how far behind it is.
async fn look(
    context: &Context,
    to: Option<&ServerId>,
    trail: &mut Trail<crate::gtid::GtidSet>,
) -> Result<(ServerId, Duration), Refusal> {
    let views = context.views(VIEW_WITHIN_PLANNED).await;
    let server = match context.decide(&views, to, true) {
        Ok(plan) => plan.to,
        Err(refusal) => lagging(&refusal).ok_or(refusal)?,
    };
    let (Some(primary), Some(replica)) =
        (said_of(&views, &context.cluster.primary), said_of(&views, &server))
    else {
        // It answered to the decision.
        return Ok((server, Duration::ZERO));
    };
    let executed = primary.executed.clone();
    let lag = trail.look(Instant::now(), executed, |had| replica.lacks(had).is_empty());
    let told = replica.sources.first().and_then(|source| source.lag).unwrap_or_default();
    // Whole seconds, of which one may be rounding.
    Ok((server, if told > Duration::from_secs(1) { lag.max(told) } else { lag }))
}

/// The replica that is only too far behind, if that is why it is refused.
fn lagging(refusal: &Refusal) -> Option<ServerId> {
    let Refusal::NoneFit(unfit) = refusal else { return None };
    let lag = |(server, why): &(ServerId, Unfit)| match why {
        Unfit::Lagging { lag, .. } => Some((*lag, server.clone())),
        _ => None,
    };
    unfit.iter().filter_map(lag).min().map(|(_, server)| server)
}

fn said_of<'a>(views: &'a [ServerView], server: &ServerId) -> Option<&'a Said> {
    views.iter().find(|view| view.server == *server)?.said.as_ref().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_as_far_behind_as_what_it_has_is_old() {
        let began = Instant::now();
        let at = |ms: u64| began + Duration::from_millis(ms);
        let mut trail = Trail::new(began);
        // The primary commits one transaction each millisecond; the replica has those until `has`.
        let mut behind = |now: u64, has: u64| trail.look(at(now), now, |had| *had <= has).as_millis();
        assert_eq!(behind(100, 100), 0, "it has all");
        assert_eq!(behind(200, 150), 100, "what was seen at 100");
        assert_eq!(behind(300, 299), 100, "what was seen at 200");
        assert_eq!(behind(900, 301), 600, "what was seen at 300");
        assert_eq!(behind(1000, 1000), 0);
        assert_eq!(trail.had.len(), 1, "what is older is forgotten");
        // It never has what the primary had at the first look.
        let mut trail = Trail::new(began);
        assert!(trail.look(at(0), 5, |_| false) > NEAR);
        assert_eq!(trail.look(at(3_000), 9, |_| false).as_millis(), 3_000);
        assert_eq!(trail.look(at(4_000), 9, |had| *had == 5).as_millis(), 4_000);
    }
}
