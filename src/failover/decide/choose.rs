//! Which replica is promoted, what that can lose, and why it is not done. Pure.
//!
//! Invariants: a server with transactions of its own is never promoted; while a replica that answers holds
//! something that the promoted one would lack, and nobody can give it, nothing is done unless an operator
//! names the server; what can be lost is part of the plan.

use std::time::Duration;

use super::plan::{FailoverPlan, Loss, Refusal, Step, Unfit};
use super::view::{Heard, Receiving, Replication, Said, ServerView};
use crate::gtid::{GtidSet, Origin};
use crate::ids::{ClusterName, ServerId};
use crate::protocol::handshake::Flavour;

/// A switchover's writes stand no longer than 3 s, so its replica must be nearly there.
const LAG_MAX_PLANNED: Duration = Duration::from_secs(1);
/// A failover waits a minute at most for what was received to be applied.
const LAG_MAX: Duration = Duration::from_secs(60);

/// Everything that a decision needs.
#[derive(Clone, Debug)]
pub struct Situation<'a> {
    /// The cluster.
    pub cluster: &'a ClusterName,
    /// Its primary.
    pub primary: &'a ServerId,
    /// Every server of it. Replicas are read before the primary, or their transactions look like their own.
    pub views: &'a [ServerView],
    /// The primary as it was last heard of.
    pub heard: Option<&'a Heard>,
    /// Servers that were left behind and are not back.
    pub cut_off: &'a [ServerId],
    /// The server that was asked for.
    pub to: Option<&'a ServerId>,
    /// The cluster works.
    pub planned: bool,
}

/// A replica that can be promoted.
#[derive(Clone, Copy)]
struct Fit<'a> {
    server: &'a ServerId,
    said: &'a Said,
}

/// Decides.
///
/// # Errors
/// Why it is not to be done; see [`Refusal`].
pub fn decide(situation: &Situation<'_>) -> Result<FailoverPlan, Refusal> {
    situation.check()?;
    let mut fit = Vec::new();
    let mut unfit = Vec::new();
    for view in situation.others() {
        if situation.to.is_some_and(|to| *to != view.server) && situation.answers() {
            continue;
        }
        match situation.fitness(view) {
            Ok(said) => fit.push(Fit { server: &view.server, said }),
            Err(why) => unfit.push((view.server.clone(), why)),
        }
    }
    let chosen = situation.choose(&fit, unfit)?;
    Ok(FailoverPlan {
        cluster: situation.cluster.clone(),
        from: situation.primary.clone(),
        to: chosen.server.clone(),
        followers: situation.followers(chosen),
        loss: situation.loss(chosen),
        steps: situation.steps(chosen),
        warnings: situation.warnings(chosen),
    })
}

impl<'a> Situation<'a> {
    /// What can be told before looking at each replica.
    fn check(&self) -> Result<(), Refusal> {
        if self.others().next().is_none() {
            return Err(Refusal::NoReplica);
        }
        match self.to {
            Some(to) if to == self.primary => return Err(Refusal::AlreadyPrimary(to.clone())),
            Some(to) if !self.others().any(|view| view.server == *to) => {
                return Err(Refusal::NotAReplica(to.clone()));
            }
            _ => {}
        }
        let view = self.views.iter().find(|view| view.server == *self.primary);
        if let (true, Some(Err(why))) = (self.planned, view.map(|view| &view.said)) {
            return Err(Refusal::PrimarySilent { server: self.primary.clone(), why: why.clone() });
        }
        // Somebody else has promoted it, or two servers were written to all the time.
        let is_primary =
            |view: &&ServerView| view.said.as_ref().is_ok_and(|s| s.is_writable() && !s.follows_someone());
        let others: Vec<_> = self.others().filter(|v| !self.cut_off.contains(&v.server)).collect();
        let mut writable: Vec<_> =
            others.into_iter().filter(is_primary).map(|view| view.server.clone()).collect();
        if writable.is_empty() {
            return Ok(());
        }
        if self.primary_said().is_some_and(Said::is_writable) {
            writable.insert(0, self.primary.clone());
        }
        Err(Refusal::SeveralWritable(writable))
    }

    fn others(&self) -> impl Iterator<Item = &'a ServerView> {
        let primary = self.primary;
        self.views.iter().filter(move |view| view.server != *primary)
    }

    /// What the primary says now.
    fn primary_said(&self) -> Option<&'a Said> {
        let view = self.views.iter().find(|view| view.server == *self.primary)?;
        view.said.as_ref().ok()
    }

    fn answers(&self) -> bool {
        self.primary_said().is_some()
    }

    /// The best that is known of the primary.
    fn known(&self) -> Option<&'a Said> {
        self.primary_said().or(self.heard.map(|heard| &heard.said))
    }

    /// Says why a replica cannot be promoted.
    fn fitness(&self, view: &'a ServerView) -> Result<&'a Said, Unfit> {
        let is_cut_off = self.cut_off.contains(&view.server);
        // An operator may go back to it when there is nothing else.
        let is_last_resort = is_cut_off && self.to == Some(&view.server) && !self.answers();
        if is_cut_off && !is_last_resort {
            return Err(Unfit::CutOff);
        }
        let said = view.said.as_ref().map_err(|why| Unfit::Silent(why.clone()))?;
        if self.known().is_some_and(|primary| primary.flavour != said.flavour) {
            return Err(Unfit::OtherFlavour);
        }
        if !said.uses_gtid {
            return Err(Unfit::NoGtid);
        }
        if !said.logs {
            return Err(Unfit::NoBinaryLog);
        }
        if !said.logs_updates {
            return Err(Unfit::NoLoggedUpdates);
        }
        if is_last_resort {
            return Ok(said);
        }
        self.replication_fitness(said)?;
        let errant = self.errant(view, said);
        if !errant.is_empty() {
            return Err(Unfit::Errant(errant));
        }
        self.version_fitness(view, said)?;
        Ok(said)
    }

    fn replication_fitness(&self, said: &Said) -> Result<(), Unfit> {
        let source = match &said.sources[..] {
            [] => return Err(Unfit::NoReplica),
            [source] => source,
            _ => return Err(Unfit::SeveralSources),
        };
        if !self.is_primary(source) {
            return Err(Unfit::OtherSource(source.source.clone()));
        }
        if !source.by_gtid {
            return Err(Unfit::NoGtid);
        }
        if !source.apply_error.is_empty() {
            return Err(Unfit::ApplyFailed(source.apply_error.clone()));
        }
        if !source.applies {
            return Err(Unfit::ApplyStopped);
        }
        if !source.delay.is_zero() {
            return Err(Unfit::Delayed(source.delay));
        }
        if self.answers() && source.receiving != Receiving::Yes {
            return Err(Unfit::NotReceiving);
        }
        let lag_max = if self.planned { LAG_MAX_PLANNED } else { LAG_MAX };
        match source.lag {
            Some(lag) if lag > lag_max => Err(Unfit::Lagging { lag, lag_max }),
            _ => Ok(()),
        }
    }

    /// Says whether that source is the primary: by who it is, else by its address.
    fn is_primary(&self, source: &Replication) -> bool {
        let known = self.known().map(|primary| primary.identity);
        let is_same = known.and_then(|identity| identity.is_same(&source.source_identity));
        is_same.unwrap_or(source.source == *self.primary)
    }

    /// Transactions that a replica has and the primary never had.
    fn errant(&self, view: &ServerView, said: &Said) -> GtidSet {
        let (primary, beyond) = match self.known() {
            Some(primary) => (primary.identity, primary.never_had(&said.executed)),
            None => {
                let identity = said.sources.first().map(|s| s.source_identity).unwrap_or_default();
                let others = self.others().filter(|other| other.server != view.server);
                let others: Vec<_> = others.filter_map(|other| other.said.as_ref().ok()).collect();
                if others.is_empty() {
                    return GtidSet::default();
                }
                let left_by = |left: GtidSet, other: &&Said| other.never_had(&left).subtract(&other.has());
                (identity, others.iter().fold(said.executed.clone(), left_by))
            }
        };
        // What the primary committed since it was heard of is its own. MariaDB's servers forget what others
        // wrote long ago: only members' own writes speak against a server.
        let members = self.members();
        beyond.retain(|origin| {
            let is_member = match origin {
                Origin::MySql { .. } => true,
                Origin::MariaDb { server, .. } => members.contains(server),
            };
            is_member && !primary.is_origin(origin)
        })
    }

    /// Server ids of all that answer.
    fn members(&self) -> Vec<u32> {
        let said = self.views.iter().filter_map(|view| view.said.as_ref().ok());
        said.map(|said| said.identity.server_id).collect()
    }

    /// A server cannot replicate from a newer one.
    fn version_fitness(&self, view: &ServerView, said: &Said) -> Result<(), Unfit> {
        if self.to == Some(&view.server) {
            return Ok(());
        }
        match self.older_than(view, said) {
            Some((other, older)) => Err(Unfit::Newer {
                version: said.version_text(),
                other: other.clone(),
                other_version: older.version_text(),
            }),
            None => Ok(()),
        }
    }

    fn older_than(&self, view: &ServerView, said: &Said) -> Option<(&'a ServerId, &'a Said)> {
        let others = self.views.iter().filter(|other| other.server != view.server);
        let mut said_of = others.filter_map(|other| Some((&other.server, other.said.as_ref().ok()?)));
        said_of.find(|(_, other)| other.version[..2] < said.version[..2])
    }

    fn choose(&self, fit: &[Fit<'a>], unfit: Vec<(ServerId, Unfit)>) -> Result<Fit<'a>, Refusal> {
        let wanted: Vec<_> =
            fit.iter().copied().filter(|fit| self.to.is_none_or(|to| to == fit.server)).collect();
        if wanted.is_empty() {
            let is_asked = |(server, _): &(ServerId, Unfit)| self.to.is_none_or(|to| to == server);
            return Err(Refusal::NoneFit(unfit.into_iter().filter(is_asked).collect()));
        }
        if self.answers() {
            // It gives what is lacking, so the nearest is the best; of equals the first.
            let lag = |fit: &&Fit<'_>| fit.said.sources.first().and_then(|source| source.lag);
            let nearest = wanted.iter().min_by_key(|fit| lag(fit).unwrap_or(Duration::MAX));
            return nearest.copied().ok_or(Refusal::NoReplica);
        }
        let lacking = |one: &Fit<'_>, other: &Said| one.said.never_got(&other.has());
        let is_ahead_of_all = |one: &Fit<'_>| fit.iter().all(|other| lacking(one, other.said).is_empty());
        let Some(best) = wanted.iter().copied().find(is_ahead_of_all) else {
            return Err(self.nobody_is_ahead(&wanted, fit));
        };
        let beyond = self.reachable().map(|(server, _)| (server, self.beyond(best, server)));
        match beyond.into_iter().find(|(_, gtids)| !gtids.is_empty()) {
            Some((ahead, gtids)) if self.to.is_none() => {
                let (server, ahead) = (best.server.clone(), ahead.clone());
                Err(Refusal::Behind { server, ahead, gtids })
            }
            _ => Ok(best),
        }
    }

    /// The primary's transactions that another replica has and `chosen` lacks; not that one's own.
    fn beyond(&self, chosen: Fit<'_>, other: &ServerId) -> GtidSet {
        let Some(view) = self.others().find(|view| view.server == *other) else { return GtidSet::default() };
        let Ok(said) = &view.said else { return GtidSet::default() };
        chosen.said.never_got(&said.has()).subtract(&self.errant(view, said))
    }

    fn nobody_is_ahead(&self, wanted: &[Fit<'a>], fit: &[Fit<'a>]) -> Refusal {
        for one in wanted {
            for other in fit {
                let gtids = one.said.never_got(&other.said.has());
                if gtids.is_empty() {
                    continue;
                }
                let (one, other) = (one.server.clone(), other.server.clone());
                return match self.to {
                    Some(_) => Refusal::Behind { server: one, ahead: other, gtids },
                    None => Refusal::Diverged { one, other, gtids },
                };
            }
        }
        Refusal::NoReplica
    }

    /// Servers that answer, but for the primary and those cut off.
    fn reachable(&self) -> impl Iterator<Item = (&'a ServerId, &'a Said)> {
        let others = self.others().filter(|view| !self.cut_off.contains(&view.server));
        others.filter_map(|view| Some((&view.server, view.said.as_ref().ok()?)))
    }

    fn followers(&self, chosen: Fit<'_>) -> Vec<ServerId> {
        let others = self.reachable().filter(|(server, _)| *server != chosen.server);
        others.map(|(server, _)| server.clone()).collect()
    }

    fn loss(&self, chosen: Fit<'_>) -> Loss {
        if self.answers() {
            return Loss::NothingPrimaryAnswers;
        }
        let Some(Heard { said, ago }) = self.heard else { return Loss::Unknown };
        let lost = chosen.said.never_got(&said.executed);
        let beyond = self.reachable().map(|(server, _)| self.beyond(chosen, server));
        let gtids = beyond.fold(lost, |all, gtids| all.union(&gtids));
        let semi_sync = said.semi_sync;
        // A primary that has heard of no replica for `timeout` goes on alone; before, it cannot have.
        let is_in_time = semi_sync.is_source && *ago < semi_sync.timeout;
        let all_answer = self.others().all(|view| view.said.is_ok() && !self.cut_off.contains(&view.server));
        let takes_part = self.reachable().any(|(_, said)| said.semi_sync.is_replica);
        if is_in_time && all_answer && takes_part && gtids.is_empty() {
            return Loss::NothingAcknowledged { heard_ago: *ago };
        }
        Loss::Known { gtids, heard_ago: *ago }
    }

    fn steps(&self, chosen: Fit<'_>) -> Vec<Step> {
        let (from, to) = (self.primary.clone(), chosen.server.clone());
        let mut steps = Vec::new();
        if self.planned {
            steps.push(Step::AwaitWrites(from.clone()));
        }
        if self.answers() {
            steps.push(Step::Fence(from.clone()));
        }
        steps.push(Step::AwaitApplied(to.clone()));
        steps.push(Step::Promote(to.clone()));
        steps.push(Step::Publish(to));
        steps.extend(self.followers(chosen).into_iter().map(Step::Repoint));
        steps.push(if self.answers() { Step::Repoint(from) } else { Step::RefenceLater(from) });
        steps
    }

    fn warnings(&self, chosen: Fit<'_>) -> Vec<String> {
        let mut warnings = Vec::new();
        for (server, said) in self.reachable() {
            if said.is_writable() {
                warnings.push(format!("{server} takes writes though it is a replica (read_only is off)"));
            }
            let ahead = self.beyond(chosen, server);
            if !self.answers() && !ahead.is_empty() {
                warnings.push(format!("{server} has transactions that {} lacks: {ahead}", chosen.server));
            }
            let view = self.others().find(|view| view.server == *server);
            let own = view.map(|view| self.errant(view, said)).unwrap_or_default();
            if !own.is_empty() {
                warnings.push(format!("{server} has transactions of its own: {own}"));
            }
        }
        if self.cut_off.contains(chosen.server) {
            warnings.push(format!("{} did not replicate from {}", chosen.server, self.primary));
        }
        if self.known().is_none() && self.reachable().count() < 2 {
            warnings.push("whether it has transactions of its own cannot be told".to_owned());
        }
        if let Some(primary) = self.primary_said().filter(|said| !said.unbound.is_empty()) {
            let users = primary.unbound.join(", ");
            warnings.push(format!("read_only does not bind these accounts of {}: {users}", self.primary));
        }
        let view = self.others().find(|view| view.server == *chosen.server);
        if let Some((other, _)) = view.and_then(|view| self.older_than(view, chosen.said)) {
            warnings.push(format!("{other} is older than {} and may not be able to follow", chosen.server));
        }
        if chosen.said.flavour == Flavour::MySql
            && self.known().is_some_and(|said| said.semi_sync.is_source)
            && !chosen.said.semi_sync.can_be_source
        {
            let to = chosen.server;
            warnings.push(format!("{to} has no plugin for semi-synchronous replication as a source"));
        }
        warnings
    }
}
