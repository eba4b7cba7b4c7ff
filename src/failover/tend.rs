//! What is done about what was seen: leading to another primary, taking back the servers that were left
//! behind.

use super::carry::HELD_FOR;
use super::decide::{Before, Judgement, judge};
use super::decide::{Said, ServerView};
use super::end::{Found, Undecided};
use super::link::Link;
use super::ops::{self, Clients};
use super::primaries::{Record, servers};
use super::read::ReadError;
use super::run::{Context, Failovers};
use crate::config::{FailoverMode, TlsMode};
use crate::gtid::GtidSet;
use crate::ids::ServerId;

use std::time::Duration;

/// A former primary that is back is fenced by then, or the next time.
const FENCE_WITHIN: Duration = Duration::from_secs(2);
/// Making it follow takes no longer, or is tried again.
const FOLLOW_WITHIN: Duration = Duration::from_secs(10);
/// Other steps.
const STEP_WITHIN: Duration = Duration::from_secs(2);

impl Failovers {
    /// Leads to the primary that the views show, if it is another one.
    pub(super) async fn settle_found(
        &self,
        context: &Context,
        views: &[ServerView],
        is_failing: bool,
    ) -> Found {
        let primary = &context.cluster.primary;
        let heard = context.turn.heard(primary);
        let strays = context.turn.seen().strays.clone();
        let before = Before {
            primary,
            heard: heard.as_ref().map(|heard| &heard.said),
            cut_off: &context.cut_off,
            strays: &strays,
        };
        let judgement = judge(before, views);
        if let Judgement::Same | Judgement::Undecided(Undecided::SeveralWritable(_)) = judgement {
            let others = views.iter().filter_map(|view| {
                let is_used = view.server != *primary && !context.cut_off.contains(&view.server);
                let said = view.said.as_ref().ok().filter(|said| is_used && said.is_writable())?;
                Some((view.server.clone(), said.follows_someone()))
            });
            let others: Vec<_> = others.collect();
            let strays = others.iter().filter(|(_, follows)| !follows);
            let mut seen = context.turn.seen();
            seen.strays = strays.map(|(server, _)| server.clone()).collect();
            seen.also_writable = others.into_iter().map(|(server, _)| server).collect();
        }
        match judgement {
            Judgement::Same => Found::Same(primary.clone()),
            Judgement::Undecided(why) => Found::Undecided(why),
            Judgement::Changed(to) => {
                let _changing = context.turn.changing().await;
                // What was seen before somebody changed it says nothing.
                let is_new = self.primaries.cluster(&context.name).is_none_or(|now| now.primary != *primary);
                if is_new || context.turn.is_failing() != is_failing {
                    return Found::Undecided(Undecided::FailingOver);
                }
                let record = followed(context, views, &to);
                self.let_go(context, views);
                match self.lead(&context.name, record).await {
                    Ok(()) => {
                        let (cluster, from) = (&context.name, primary);
                        tracing::warn!(%cluster, %from, %to, "another server takes writes; followed");
                        let mut seen = context.turn.seen();
                        seen.also_writable.clear();
                        seen.strays.clear();
                        seen.notes.clear();
                        Found::Followed { from: primary.clone(), to }
                    }
                    Err(why) => Found::Undecided(Undecided::Unpublished { server: to, why }),
                }
            }
        }
    }

    /// The connections to a primary that others replaced: cut at once if it is silent, for what it
    /// acknowledges later may exist nowhere else; else a while later.
    fn let_go(&self, context: &Context, views: &[ServerView]) {
        let (cluster, primary) = (&context.name, &context.cluster.primary);
        let answers = views.iter().any(|view| view.server == *primary && view.said.is_ok());
        if !answers {
            return self.pools.bar(cluster, primary);
        }
        let lent = self.pools.lent(cluster, primary);
        tokio::spawn(async move {
            tokio::time::sleep(HELD_FOR).await;
            lent.cut();
        });
    }

    /// Looks after the servers that were left behind.
    pub(super) async fn tend(&self, context: &Context, views: &[ServerView]) {
        // The context is older than what following another primary may just have changed.
        let Some(record) = self.primaries.record(&context.name) else { return };
        if record.promoting.is_some() {
            return;
        }
        self.mend(context, views).await;
        let primary = views.iter().find(|view| view.server == record.primary);
        let primary = primary.and_then(|view| view.said.as_ref().ok());
        for server in record.cut_off.clone() {
            if context.turn.is_failing() {
                return;
            }
            let view = views.iter().find(|view| view.server == server);
            let note = match view.map(|view| &view.said) {
                None => continue,
                Some(Err(why)) => why.clone(),
                Some(Ok(said)) => match self.take_back(context, (&server, said), &record, primary).await {
                    Ok(()) => {
                        self.take_in(context, &server, &record.primary).await;
                        continue;
                    }
                    Err(why) => why,
                },
            };
            let before = context.turn.seen().notes.insert(server.clone(), note.clone());
            if before.as_ref() != Some(&note) {
                tracing::warn!(cluster = %context.name, %server, note, "is not used");
            }
        }
        // Last: one of those may need the login that it replicated with.
        if record.unsettled.contains(&record.primary) && primary.is_some() && !context.turn.is_failing() {
            self.forget(context, &record.primary).await;
        }
    }

    /// Fences a server that is back, and makes it follow the primary.
    ///
    /// # Errors
    /// Why it is not used yet.
    async fn take_back(
        &self,
        context: &Context,
        (server, said): (&ServerId, &Said),
        record: &Record,
        primary: Option<&Said>,
    ) -> Result<(), String> {
        let follows_primary = said.replicates_from(&record.primary, primary);
        let acts = record.is_ours && context.declared.failover.mode == FailoverMode::BuiltIn;
        if !acts {
            return if follows_primary { Ok(()) } else { Err("does not follow the primary".to_owned()) };
        }
        if said.is_writable() && !follows_primary {
            if let Err(error) = ops::fence(&context.access, server, Clients::Go, FENCE_WITHIN).await {
                // Commits that wait for a replica which has left keep it from becoming read-only, even those
                // of connections that were ended, which are told nothing any more. They are let go.
                let _ = ops::set_semi_sync(&context.access, server, false, STEP_WITHIN).await;
                return Err(format!("takes writes and could not be fenced: {error}"));
            }
            tracing::warn!(cluster = %context.name, %server, "the former primary is back; fenced");
        }
        if record.unfenced.contains(server) {
            self.note_fenced(context, server).await;
        }
        if follows_primary {
            return Ok(());
        }
        // Both are read anew: before the fence it may have written. The primary last: what reached the server
        // by way of another replica is newer than what the primary said before, and no stranger for that.
        let executed = context.access.view(server, STEP_WITHIN).await.said?.executed;
        let primary = context.access.view(&record.primary, STEP_WITHIN).await.said;
        let primary = primary.map_err(|why| format!("the primary does not answer: {why}"))?;
        let beyond = primary.never_had(&executed);
        if !beyond.is_empty() {
            return Err(stranded(&beyond));
        }
        self.follow_primary(context, server, record).await
    }

    /// Makes a server follow the primary.
    ///
    /// # Errors
    /// Why it does not.
    pub(super) async fn follow_primary(
        &self,
        context: &Context,
        server: &ServerId,
        record: &Record,
    ) -> Result<(), String> {
        let link = self.link_of(context).await;
        ops::follow(&context.access, server, &record.primary, link.as_ref(), FOLLOW_WITHIN).await
    }

    /// Writes down that a server refuses writes.
    async fn note_fenced(&self, context: &Context, server: &ServerId) {
        let _changing = context.turn.changing().await;
        let Some(mut record) = self.primaries.record(&context.name) else { return };
        record.unfenced.retain(|unfenced| unfenced != server);
        if let Err(error) = self.primaries.write(&context.name, record).await {
            tracing::error!(cluster = %context.name, %server, %error, "that it is fenced could not be noted");
        }
    }

    /// Uses a server again.
    async fn take_in(&self, context: &Context, server: &ServerId, primary: &ServerId) {
        let amended = self.amend(context, primary, |record| {
            record.cut_off.retain(|cut_off| cut_off != server);
            record.unfenced.retain(|unfenced| unfenced != server);
        });
        match amended.await {
            Ok(true) => {
                tracing::info!(cluster = %context.name, %server, "follows the primary; used again");
                context.turn.seen().notes.remove(server);
            }
            Ok(false) => {}
            Err(why) => tracing::error!(cluster = %context.name, %server, why, "could not be taken in"),
        }
    }

    /// Changes what the store says, unless another server is the primary by now or a failover is under way;
    /// says whether it did.
    ///
    /// # Errors
    /// It could not be written, or followed.
    pub(super) async fn amend(
        &self,
        context: &Context,
        primary: &ServerId,
        change: impl FnOnce(&mut Record) + Send,
    ) -> Result<bool, String> {
        let _changing = context.turn.changing().await;
        let Some(mut record) = self.primaries.record(&context.name) else { return Ok(false) };
        if record.primary != *primary || record.promoting.is_some() || context.turn.is_failing() {
            return Ok(false);
        }
        change(&mut record);
        self.lead(&context.name, record).await.map(|()| true)
    }

    /// What a server that never replicated is to replicate with: the config's login, or what a replica uses.
    pub(super) async fn link_of(&self, context: &Context) -> Option<Link> {
        let mut link = None;
        for server in servers(&context.declared) {
            let reading = async {
                let mut conn = context.access.open(&server, STEP_WITHIN).await?;
                Link::read(&mut conn).await
            };
            let read: Result<_, ReadError> =
                tokio::time::timeout(STEP_WITHIN, reading).await.unwrap_or(Ok(None));
            link = read.ok().flatten();
            if link.is_some() {
                break;
            }
        }
        context.link_with(link)
    }
}

impl Context {
    /// The login of the config, with what else a replica uses.
    pub(super) fn link_with(&self, link: Option<Link>) -> Option<Link> {
        let with_tls = !matches!(self.declared.tls.mode, TlsMode::Disabled | TlsMode::Preferred);
        match (&self.declared.failover.replication, link) {
            (Some(login), Some(link)) => Some(link.by(login)),
            (Some(login), None) => Some(Link::of(login, with_tls)),
            (None, link) => link,
        }
    }
}

fn stranded(beyond: &GtidSet) -> String {
    format!(
        "has transactions that the primary never had ({beyond}); it stays read-only and unused until it is \
         made anew"
    )
}

/// What the store says when somebody else changed the primary: only servers that follow it are used.
fn followed(context: &Context, views: &[ServerView], to: &ServerId) -> Record {
    let follows = |server: &ServerId| {
        let said = views.iter().find(|view| view.server == *server).and_then(|view| view.said.as_ref().ok());
        // Aurora's readers replicate by their storage.
        said.is_some_and(|said| !said.is_writable() && (said.follows_someone() || said.aurora.is_some()))
    };
    Record {
        primary: to.clone(),
        cut_off: servers(&context.declared)
            .into_iter()
            .filter(|server| server != to && !follows(server))
            .collect(),
        is_ours: false,
        why: "another server was found to take writes".to_owned(),
        ..Record::of(&context.cluster, &context.declared.primary)
    }
}
