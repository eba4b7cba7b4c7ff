//! Carrying a failover out.
//!
//! Until the new primary takes writes everything can be undone: the old one is opened again if it was fenced,
//! replicas receive again, connections are lent again. From then on nothing is. Between the two is one
//! statement; when its answer does not come the server is asked, and if that is not possible the end is
//! unknown: the old primary stays fenced or cut off, since two primaries are worse than none.
//!
//! What is written down before that statement (`promoting`) lets a proxy that is started again finish.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::decide::FailoverPlan;
use super::decide::ServerView;
use super::link::Link;
use super::ops::{self, Clients};
use super::primaries::{Record, servers};
use super::read::ReadError;
use super::run::{Context, Failing, FailoverRequest, Failovers, VIEW_WITHIN, VIEW_WITHIN_PLANNED};
use crate::drain::FailoverEnd;
use crate::ids::ServerId;

/// Writes of a planned one stand no longer; publishing takes the rest of three seconds.
const PLANNED_WITHIN: Duration = Duration::from_millis(2_500);
/// Transactions of a planned one may end for so long.
const WRITES_WITHIN: Duration = Duration::from_millis(700);
/// A primary that answers is fenced by then, or counts as one that does not.
const FENCE_WITHIN: Duration = Duration::from_secs(5);
/// What was received is applied by then.
const APPLY_WITHIN: Duration = Duration::from_secs(60);
/// Any other step on one server.
const STEP_WITHIN: Duration = Duration::from_secs(5);
/// What a session holds on the former primary, for a transaction or a pin, is cut after this: it can read
/// there, not write.
pub(super) const HELD_FOR: Duration = Duration::from_secs(30);
/// Making a server follow takes no longer.
const FOLLOW_WITHIN: Duration = Duration::from_secs(15);

/// What has been done that can be undone.
#[derive(Default)]
struct Undo {
    /// The old primary took writes and was, or may have been, made read-only.
    fenced: Option<ServerId>,
    barred: Option<ServerId>,
    /// Replicas that do not receive.
    stopped: Vec<ServerId>,
    /// The store says that a promotion was begun.
    is_noted: bool,
}

/// A failover before its point of no return.
struct Ready {
    plan: FailoverPlan,
    /// The old primary is known to refuse writes.
    is_fenced: bool,
    /// The old primary waited for replicas.
    is_semi_sync: bool,
    link: Option<Link>,
}

/// Bounds in time.
#[derive(Clone, Copy)]
struct Clock {
    until: Option<Instant>,
}

impl Clock {
    fn new(planned: bool) -> Self {
        Self { until: planned.then(|| Instant::now() + PLANNED_WITHIN) }
    }

    /// A step's bound, no more than what is left.
    fn within(&self, step: Duration) -> Duration {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        left.map_or(step, |left| left.min(step))
    }

    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() >= until)
    }
}

impl Failovers {
    /// The built-in way.
    pub(super) async fn by_itself(
        self: &Arc<Self>,
        context: &Context,
        request: &FailoverRequest,
        failing: Failing,
    ) -> FailoverEnd {
        let clock = Clock::new(request.planned);
        let within = if request.planned { VIEW_WITHIN_PLANNED } else { VIEW_WITHIN };
        let views = context.views(within).await;
        let plan = match context.decide(&views, request.to.as_ref(), request.planned) {
            Ok(plan) => plan,
            Err(refusal) => return FailoverEnd::Undone(refusal.to_string()),
        };
        // Said before anything is done.
        tracing::warn!(cluster = %context.name, %plan, "fails over");
        let lent = self.pools.lent(&context.name, &plan.from);
        let mut undo = Undo::default();
        let ready = match request.planned {
            true => self.stand_still(context, plan, &views, &mut undo, clock).await,
            false => self.take_away(context, request, (plan, views), &mut undo).await,
        };
        let done = match ready {
            Ok(ready) => self.promote(context, request, ready, &mut undo, clock).await,
            Err(why) => Err(FailoverEnd::Undone(why)),
        };
        match done {
            Ok(ready) => {
                let to = ready.plan.to.clone();
                let (failovers, context) = (Arc::clone(self), context.clone());
                // Writes need not wait for it, another failover must.
                tokio::spawn(async move {
                    failovers.repoint(&context, &ready).await;
                    drop(failing);
                    tokio::time::sleep(HELD_FOR).await;
                    lent.cut();
                });
                FailoverEnd::Done(to)
            }
            Err(FailoverEnd::Undone(why)) => self.undo(context, undo, why).await,
            Err(end) => end,
        }
    }

    /// Planned: writes that run may end, then the primary refuses them, then the replica gets the last.
    async fn stand_still(
        &self,
        context: &Context,
        plan: FailoverPlan,
        views: &[ServerView],
        undo: &mut Undo,
        clock: Clock,
    ) -> Result<Ready, String> {
        let access = &context.access;
        if !ops::await_writes(access, &plan.from, clock.within(WRITES_WITHIN)).await {
            let (cluster, from) = (&context.name, &plan.from);
            tracing::warn!(%cluster, %from, "transactions are still open there; they will be refused");
        }
        let said = views.iter().find(|view| view.server == plan.from).and_then(|v| v.said.as_ref().ok());
        undo.fenced = said.filter(|said| !said.is_read_only).map(|_| plan.from.clone());
        let fenced = ops::fence(access, &plan.from, Clients::Stay, clock.within(FENCE_WITHIN)).await;
        let fenced = fenced.map_err(|error| format!("{} could not be fenced: {error}", plan.from))?;
        ops::await_executed(access, &plan.to, &fenced.executed, clock.within(APPLY_WITHIN)).await?;
        let link = self.link(context, &plan.to).await;
        let is_semi_sync = said.is_some_and(|said| said.semi_sync.is_source);
        Ok(Ready { plan, is_fenced: true, is_semi_sync, link })
    }

    /// Unplanned: nothing is sent to the primary any more, it is fenced if it can be, and the most advanced
    /// replica applies what it has.
    async fn take_away(
        &self,
        context: &Context,
        request: &FailoverRequest,
        (plan, views): (FailoverPlan, Vec<ServerView>),
        undo: &mut Undo,
    ) -> Result<Ready, String> {
        let (access, from) = (&context.access, plan.from.clone());
        // First of all: what it acknowledges from here on reaches no client of ours.
        self.pools.bar(&context.name, &from);
        undo.barred = Some(from.clone());
        let said = views.iter().find(|view| view.server == from).map(|view| &view.said);
        let is_semi_sync = match said {
            Some(Ok(said)) => said.semi_sync.is_source,
            _ => context.turn.heard(&from).is_some_and(|heard| heard.said.semi_sync.is_source),
        };
        if let Some(Ok(said)) = said {
            undo.fenced = (!said.is_read_only).then(|| from.clone());
            match ops::fence(access, &from, Clients::Go, FENCE_WITHIN).await {
                Ok(fenced) => {
                    ops::await_executed(access, &plan.to, &fenced.executed, APPLY_WITHIN).await?;
                    let link = self.link(context, &plan.to).await;
                    return Ok(Ready { plan, is_fenced: true, is_semi_sync, link });
                }
                Err(error) => {
                    let cluster = &context.name;
                    tracing::error!(%cluster, %from, %error, "cannot be fenced; goes on without");
                }
            }
        }
        let plan = self.leave_behind(context, request, &from, undo).await?;
        ops::await_applied(access, &plan.to, APPLY_WITHIN).await?;
        let link = self.link(context, &plan.to).await;
        Ok(Ready { plan, is_fenced: false, is_semi_sync, link })
    }

    /// The primary does not answer: what the replicas have received by now is what there is. Decides again on
    /// that.
    async fn leave_behind(
        &self,
        context: &Context,
        request: &FailoverRequest,
        from: &ServerId,
        undo: &mut Undo,
    ) -> Result<FailoverPlan, String> {
        let others = servers(&context.declared).into_iter().filter(|server| server != from);
        let others: Vec<_> = others.filter(|server| !context.cut_off.contains(server)).collect();
        for server in &others {
            match ops::receive(&context.access, server, false, STEP_WITHIN).await {
                Ok(()) => undo.stopped.push(server.clone()),
                Err(error) => tracing::warn!(%server, %error, "does not stop receiving"),
            }
        }
        let others = servers(&context.declared).into_iter().filter(|server| server != from);
        let mut views = context.views_of(others.collect(), VIEW_WITHIN).await;
        // Asking it once more would only cost time.
        views.push(ServerView { server: from.clone(), said: Err("it cannot be fenced".to_owned()) });
        let plan = context.decide(&views, request.to.as_ref(), false).map_err(|why| why.to_string())?;
        tracing::warn!(cluster = %context.name, %plan, "fails over without the old primary");
        Ok(plan)
    }

    /// What the old primary will replicate with.
    async fn link(&self, context: &Context, to: &ServerId) -> Option<Link> {
        let reading = async {
            let mut conn = context.access.open(to, VIEW_WITHIN_PLANNED).await?;
            Link::read(&mut conn).await
        };
        let link: Result<_, ReadError> =
            tokio::time::timeout(VIEW_WITHIN_PLANNED, reading).await.unwrap_or(Ok(None));
        context.link_with(link.ok().flatten())
    }

    /// The point of no return, and leading there.
    async fn promote(
        &self,
        context: &Context,
        request: &FailoverRequest,
        ready: Ready,
        undo: &mut Undo,
        clock: Clock,
    ) -> Result<Ready, FailoverEnd> {
        let (access, to, from) = (&context.access, &ready.plan.to, &ready.plan.from);
        let undone = |why: String| FailoverEnd::Undone(why);
        if clock.is_over() {
            return Err(undone("writes would have stood too long".to_owned()));
        }
        let mut record = self.record_of(context, &ready, &request.why);
        let begun = Record { primary: from.clone(), promoting: Some(to.clone()), ..record.clone() };
        let _changing = context.turn.changing().await;
        let noted = self.primaries.write(&context.name, begun).await;
        noted.map_err(|error| undone(format!("it could not be noted: {error}")))?;
        undo.is_noted = true;
        undo.stopped.push(to.clone());
        let stopped = ops::replicate(access, to, false, clock.within(STEP_WITHIN)).await;
        stopped.map_err(|error| undone(format!("{to} does not stop replicating: {error}")))?;
        if ready.is_semi_sync
            && let Err(error) = ops::set_semi_sync(access, to, true, clock.within(STEP_WITHIN)).await
        {
            tracing::warn!(%to, %error, "semi-synchronous replication could not be turned on there");
        }
        match ops::open(access, to, STEP_WITHIN).await {
            Ok(true) => {}
            Ok(false) => return Err(undone(format!("{to} stays read-only"))),
            Err(error) => {
                let why = format!("{to} was told to take writes and does not answer: {error}");
                return Err(FailoverEnd::Unknown(why));
            }
        }
        record.promoting = None;
        let led = self.lead(&context.name, record).await;
        led.map_err(|why| FailoverEnd::Unknown(format!("{to} is the primary, but {why}")))?;
        Ok(ready)
    }

    /// What the store says after it: whoever does not follow yet is cut off, but for those that did follow
    /// the old primary and answer.
    fn record_of(&self, context: &Context, ready: &Ready, why: &str) -> Record {
        let plan = &ready.plan;
        let stays = |server: &ServerId| *server == plan.to || plan.followers.contains(server);
        Record {
            primary: plan.to.clone(),
            cut_off: servers(&context.declared).into_iter().filter(|server| !stays(server)).collect(),
            unfenced: if ready.is_fenced { Vec::new() } else { vec![plan.from.clone()] },
            promoting: None,
            is_ours: true,
            configured: context.declared.primary.clone(),
            why: why.to_owned(),
        }
    }

    /// Makes the others follow the new primary. What fails is tried again by the watching task.
    async fn repoint(&self, context: &Context, ready: &Ready) {
        let plan = &ready.plan;
        let mut following = JoinSet::new();
        let old = ready.is_fenced.then_some(&plan.from);
        for server in plan.followers.iter().chain(old) {
            let (access, server, to) = (context.access.clone(), server.clone(), plan.to.clone());
            let link = ready.link.clone();
            following.spawn(async move {
                let done = ops::follow(&access, &server, &to, link.as_ref(), FOLLOW_WITHIN).await;
                (server, done)
            });
        }
        if let Err(error) = ops::forget_source(&context.access, &plan.to, STEP_WITHIN).await {
            tracing::warn!(server = %plan.to, %error, "still knows what it replicated from");
        }
        while let Some(followed) = following.join_next().await {
            let Ok((server, done)) = followed else { continue };
            let _changing = context.turn.changing().await;
            let Some(mut record) = self.primaries.record(&context.name) else { return };
            record.cut_off.retain(|cut_off| *cut_off != server);
            match done {
                Ok(()) => {
                    tracing::info!(cluster = %context.name, %server, source = %plan.to, "follows");
                    if ready.is_semi_sync && server == plan.from {
                        // What it says of itself as a source would mislead the next failover.
                        let _ = ops::set_semi_sync(&context.access, &server, false, STEP_WITHIN).await;
                    }
                    context.turn.seen().notes.remove(&server);
                }
                Err(why) => {
                    tracing::error!(cluster = %context.name, %server, why, "does not follow the new primary");
                    context.turn.seen().notes.insert(server.clone(), why);
                    record.cut_off.push(server);
                }
            }
            if let Err(why) = self.lead(&context.name, record).await {
                tracing::error!(cluster = %context.name, why, "who follows could not be published");
            }
        }
    }

    /// Makes everything as it was.
    async fn undo(&self, context: &Context, undo: Undo, why: String) -> FailoverEnd {
        let access = &context.access;
        for server in &undo.stopped {
            if let Err(error) = ops::replicate(access, server, true, STEP_WITHIN).await {
                tracing::error!(cluster = %context.name, %server, %error, "does not replicate any more");
            }
        }
        if undo.is_noted {
            let _changing = context.turn.changing().await;
            let record = self.primaries.record(&context.name);
            let undone = record.map(|record| Record {
                promoting: None,
                cut_off: context.cut_off.clone(),
                unfenced: context.unfenced.clone(),
                ..record
            });
            if let Some(record) = undone
                && let Err(error) = self.primaries.write(&context.name, record).await
            {
                // The watching task finds it so, and undoes what is undone already.
                tracing::error!(cluster = %context.name, %error, "that it was undone could not be noted");
            }
        }
        if let Some(server) = &undo.fenced {
            match ops::open(access, server, STEP_WITHIN).await {
                Ok(true) => {}
                Ok(false) => {
                    return FailoverEnd::Unknown(format!("{why}; {server} stays read-only"));
                }
                // It did not answer to the fence either.
                Err(error) => {
                    return FailoverEnd::Unknown(format!("{why}; {server} may be read-only: {error}"));
                }
            }
        }
        if let Some(server) = &undo.barred {
            self.pools.lift(&context.name, server);
        }
        FailoverEnd::Undone(why)
    }
}
