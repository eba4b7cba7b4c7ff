//! What is done about what was seen: leading to another primary, finishing what an ended proxy began, taking
//! back the servers that were left behind.

use super::carry::HELD_FOR;
use super::decide::{Before, Judgement, judge};
use super::decide::{Receiving, Said, ServerView};
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

    /// Finishes, or undoes, what a proxy that ended had begun.
    pub(super) async fn resume(&self, context: &Context, record: Record) {
        let Some(to) = record.promoting.clone() else { return };
        let (cluster, from, access) = (&context.name, &record.primary, &context.access);
        let view = access.view(&to, STEP_WITHIN).await;
        let Ok(said) = &view.said else {
            let why = "it was being promoted when the proxy ended, and does not answer".to_owned();
            if context.turn.seen().notes.insert(to.clone(), why).is_none() {
                tracing::error!(%cluster, %from, %to, "a failover was begun; how far is not known yet");
            }
            return;
        };
        let _changing = context.turn.changing().await;
        if context.turn.is_failing() || self.primaries.record(cluster).as_ref() != Some(&record) {
            return;
        }
        let is_promoted = said.is_writable();
        let done = if is_promoted {
            tracing::warn!(%cluster, %from, %to, "a failover that was begun is finished");
            if let Err(error) = ops::forget_source(access, &to, STEP_WITHIN).await {
                tracing::warn!(%to, %error, "still knows what it replicated from");
            }
            // Whether the old primary was fenced is not known any more, nor who follows whom.
            let cut_off = servers(&context.declared).into_iter().filter(|server| *server != to).collect();
            let unfenced = vec![from.clone()];
            let primary = to.clone();
            let why = record.why.clone();
            let configured = context.declared.primary.clone();
            let is_ours = true;
            let record = Record { primary, cut_off, unfenced, promoting: None, is_ours, configured, why };
            self.lead(cluster, record).await
        } else {
            tracing::warn!(%cluster, %from, %to, "a failover that was begun is undone");
            if let Err(error) = ops::replicate(access, &to, true, STEP_WITHIN).await {
                tracing::error!(%cluster, %to, %error, "does not replicate any more");
            }
            match ops::open(access, from, STEP_WITHIN).await {
                Ok(true) => {}
                Ok(false) => tracing::error!(%cluster, %from, "the primary stays read-only"),
                Err(error) => tracing::error!(%cluster, %from, %error, "the primary may be read-only"),
            }
            let silent = record.cut_off.iter().filter(|server| **server != *from).cloned().collect();
            let unfenced = Vec::new();
            self.lead(cluster, Record { promoting: None, cut_off: silent, unfenced, ..record.clone() }).await
        };
        if done.is_ok() && is_promoted {
            context.turn.seen().finished = Some((from.clone(), to.clone()));
        }
        if let Err(why) = done {
            tracing::error!(%cluster, why, "what became of the failover could not be published");
        }
        context.turn.seen().notes.remove(&to);
    }

    /// Looks after the servers that were left behind.
    pub(super) async fn tend(&self, context: &Context, views: &[ServerView]) {
        // The context is older than what following another primary may just have changed.
        let Some(record) = self.primaries.record(&context.name) else { return };
        if record.promoting.is_some() || record.cut_off.is_empty() {
            return;
        }
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
        let source = said.sources.first();
        let follows_primary = source.is_some_and(|source| {
            let known = primary.and_then(|primary| primary.identity.is_same(&source.source_identity));
            known.unwrap_or(source.source == record.primary)
                && source.receiving == Receiving::Yes
                && source.applies
        });
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
        let primary = primary.ok_or("the primary does not answer")?;
        // Read anew: before the fence it may have written, and the primary is newer than what it gave.
        let view = context.access.view(server, STEP_WITHIN).await;
        let beyond = primary.never_had(&view.said?.executed);
        if !beyond.is_empty() {
            return Err(stranded(&beyond));
        }
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
        let _changing = context.turn.changing().await;
        let Some(mut record) = self.primaries.record(&context.name) else { return };
        if record.primary != *primary || context.turn.is_failing() {
            return;
        }
        record.cut_off.retain(|cut_off| cut_off != server);
        record.unfenced.retain(|unfenced| unfenced != server);
        match self.lead(&context.name, record).await {
            Ok(()) => {
                tracing::info!(cluster = %context.name, %server, "follows the primary; used again");
                context.turn.seen().notes.remove(server);
            }
            Err(why) => tracing::error!(cluster = %context.name, %server, why, "could not be taken in"),
        }
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
        unfenced: Vec::new(),
        promoting: None,
        is_ours: false,
        configured: context.declared.primary.clone(),
        why: "another server was found to take writes".to_owned(),
    }
}
