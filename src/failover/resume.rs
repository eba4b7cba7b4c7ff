//! What becomes of a failover that was begun: it is undone, or finished, by the proxy that began it or by one
//! that finds it in the store.
//!
//! The store says what was going to be changed; what is true the servers say. A replica that takes writes and
//! does not replicate was promoted: the rest is done. Any other was not, and never will be: what the proxy
//! that ended has sent is waited for, or ended, before anything is concluded. Every step may be repeated.

use super::carry::{Reached, STEP_WITHIN};
use super::decide::{Said, ServerView};
use super::ops;
use super::primaries::{Record, servers};
use super::run::{Context, Failovers};
use crate::config::FailoverMode;
use crate::ids::ServerId;

impl Failovers {
    /// Makes everything as it was before the failover that this proxy began.
    ///
    /// # Errors
    /// The primary took writes before, and is not known to take them again.
    pub(super) async fn put_back(&self, context: &Context) -> Result<(), String> {
        let _changing = context.turn.changing().await;
        match self.primaries.record(&context.name) {
            Some(record) => self.restore(context, record).await,
            None => Ok(()),
        }
    }

    /// The same, by what the store says. The right to change that is held.
    async fn restore(&self, context: &Context, record: Record) -> Result<(), String> {
        let halted = self.restart(context, &record.halted).await;
        self.reached(Reached::Restarted);
        let opened = match record.reopens {
            true => reopen(context, &record.primary).await,
            false => Ok(()),
        };
        self.reached(Reached::Reopened);
        let undone = Record { promoting: None, halted, reopens: opened.is_err(), ..record };
        if let Err(error) = self.primaries.write(&context.name, undone).await {
            // The watching task finds it begun, and undoes what is undone already.
            self.primaries.leave(&context.name);
            tracing::error!(cluster = %context.name, %error, "that it was undone could not be noted");
        }
        opened
    }

    /// Lets replicas go on; gives those that do not yet.
    async fn restart(&self, context: &Context, halted: &[ServerId]) -> Vec<ServerId> {
        let mut still = Vec::new();
        for server in halted {
            if let Err(error) = ops::replicate_again(&context.access, server, STEP_WITHIN).await {
                tracing::error!(cluster = %context.name, %server, %error, "does not replicate any more");
                still.push(server.clone());
            }
        }
        still
    }

    /// Finishes, or undoes, what a proxy that ended had begun.
    pub(super) async fn resume(&self, context: &Context, record: Record) {
        let Some(to) = record.promoting.clone() else { return };
        let (cluster, from, access) = (&context.name, &record.primary, &context.access);
        let _changing = context.turn.changing().await;
        if context.turn.is_failing() || self.primaries.record(cluster).as_ref() != Some(&record) {
            return;
        }
        let said = match ops::end_own(access, &to, STEP_WITHIN).await {
            Ok(said) => said,
            Err(_) => {
                let why = "it was being promoted when the proxy ended, and does not answer".to_owned();
                if context.turn.seen().notes.insert(to.clone(), why).is_none() {
                    tracing::error!(%cluster, %from, %to, "a failover was begun; how far is not known yet");
                }
                return;
            }
        };
        context.turn.seen().notes.remove(&to);
        // Replication is stopped before it is opened.
        if said.is_writable() && !said.follows_someone() {
            tracing::warn!(%cluster, %from, %to, "a failover that was begun is finished");
            self.finish(context, record, to).await;
        } else {
            tracing::warn!(%cluster, %from, %to, "a failover that was begun is undone");
            self.take_up_undoing(context, record).await;
        }
    }

    /// The replica was promoted: leads there. Whether the old primary was fenced is not known any more, nor
    /// who follows whom: the watching task sees to all of them.
    async fn finish(&self, context: &Context, record: Record, to: ServerId) {
        let from = record.primary;
        let mut unfenced = record.unfenced;
        unfenced.retain(|server| *server != to && *server != from);
        unfenced.push(from.clone());
        let finished = Record {
            primary: to.clone(),
            cut_off: servers(&context.declared).into_iter().filter(|server| *server != to).collect(),
            unfenced,
            promoting: None,
            halted: Vec::new(),
            reopens: false,
            unsettled: vec![to.clone()],
            is_ours: true,
            configured: context.declared.primary.clone(),
            why: record.why,
        };
        match self.lead(&context.name, finished).await {
            Ok(()) => context.turn.seen().finished = Some((from, to)),
            Err(why) => {
                let cluster = &context.name;
                tracing::error!(%cluster, why, "what became of the failover could not be published");
            }
        }
    }

    async fn take_up_undoing(&self, context: &Context, record: Record) {
        let (cluster, from) = (&context.name, record.primary.clone());
        // The fence may still be on its way there.
        if record.reopens
            && let Err(error) = ops::end_own(&context.access, &from, STEP_WITHIN).await
        {
            tracing::warn!(%cluster, %from, %error, "the primary does not answer");
        }
        match self.restore(context, record).await {
            Ok(()) => self.pools.lift(cluster, &from),
            Err(why) => tracing::error!(%cluster, why, "the primary is opened when it answers"),
        }
        context.turn.seen().undone = Some(from);
        if let Err(why) = self.republish(cluster).await {
            tracing::error!(%cluster, why, "what the store says could not be followed");
        }
    }

    /// Does what is left to do of a failover that was undone, or of one whose proxy ended before all servers
    /// followed.
    pub(super) async fn mend(&self, context: &Context, views: &[ServerView]) {
        let Some(record) = self.primaries.record(&context.name) else { return };
        let is_whole = !record.reopens && record.halted.is_empty() && record.unsettled.is_empty();
        if is_whole || record.promoting.is_some() || context.declared.failover.mode != FailoverMode::BuiltIn {
            return;
        }
        self.mend_undone(context, views).await;
        for server in record.unsettled.iter().filter(|server| **server != record.primary) {
            if let Some(said) = said_of(views, server) {
                self.settle(context, views, (server, said), &record).await;
            }
        }
    }

    async fn mend_undone(&self, context: &Context, views: &[ServerView]) {
        let _changing = context.turn.changing().await;
        let Some(mut record) = self.primaries.record(&context.name) else { return };
        let is_left = record.reopens || !record.halted.is_empty();
        if !is_left || record.promoting.is_some() || context.turn.is_failing() {
            return;
        }
        let before = record.clone();
        let (answers, silent): (Vec<_>, Vec<_>) =
            record.halted.drain(..).partition(|server| said_of(views, server).is_some());
        record.halted = self.restart(context, &answers).await;
        record.halted.extend(silent);
        if let Some(said) = said_of(views, &record.primary).filter(|_| record.reopens) {
            let is_other = |view: &ServerView| {
                view.server != record.primary && view.said.as_ref().is_ok_and(Said::is_writable)
            };
            // Whoever promoted another one meanwhile closed this one.
            let is_taken = said.follows_someone() || views.iter().any(is_other);
            let is_open = !said.is_read_only || is_taken || reopen(context, &record.primary).await.is_ok();
            record.reopens = !is_open;
            if is_open && !is_taken {
                self.pools.lift(&context.name, &record.primary);
            }
        }
        if record != before
            && let Err(error) = self.primaries.write(&context.name, record).await
        {
            tracing::error!(cluster = %context.name, %error, "what was mended could not be noted");
        }
    }

    /// Makes a server in use follow the primary, if it does not yet. One that cannot be is used no more, and
    /// looked after as those that were left behind.
    async fn settle(
        &self,
        context: &Context,
        views: &[ServerView],
        (server, said): (&ServerId, &Said),
        record: &Record,
    ) {
        let primary = said_of(views, &record.primary);
        let done = match said.replicates_from(&record.primary, primary) {
            true => Ok(()),
            false => self.follow_primary(context, server, record).await,
        };
        let amended = self.amend(context, &record.primary, |record| {
            record.unsettled.retain(|unsettled| unsettled != server);
            if let Err(why) = &done {
                context.turn.seen().notes.insert(server.clone(), why.clone());
                record.cut_off.push(server.clone());
            }
        });
        if let Err(why) = amended.await {
            tracing::error!(cluster = %context.name, %server, why, "who follows could not be published");
        }
    }
}

fn said_of<'a>(views: &'a [ServerView], server: &ServerId) -> Option<&'a Said> {
    views.iter().find(|view| view.server == *server)?.said.as_ref().ok()
}

/// Opens a primary that was fenced.
///
/// # Errors
/// It stays closed, or it is not known.
async fn reopen(context: &Context, primary: &ServerId) -> Result<(), String> {
    match ops::open(&context.access, primary, STEP_WITHIN).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("{primary} stays read-only")),
        Err(error) => Err(format!("{primary} may be read-only: {error}")),
    }
}
