//! Carrying a failover out.
//!
//! Until the new primary takes writes everything can be undone: the old one is opened again if it was fenced,
//! replicas receive again, connections are lent again. From then on nothing is. Between the two is one
//! statement; when its answer does not come the server is asked, and if that is not possible the end is
//! unknown: the old primary stays fenced or cut off, since two primaries are worse than none.
//!
//! Before anything is done the store says what is going to be changed ([`Record`]), so that whoever finds it
//! so, this proxy or one that is started again, puts it back or finishes it ([`super::resume`]).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::decide::{FailoverPlan, Receiving, ServerView};
use super::link::Link;
use super::ops::{self, Clients};
use super::primaries::{Record, servers};
use super::read::ReadError;
use super::run::{Context, Failing, FailoverRequest, Failovers, VIEW_WITHIN, VIEW_WITHIN_PLANNED};
use crate::drain::FailoverEnd;
use crate::ids::ServerId;
use crate::topology::StoreError;

/// Writes of a planned one stand no longer; publishing takes the rest of three seconds.
const PLANNED_WITHIN: Duration = Duration::from_millis(2_500);
/// Transactions of a planned one may end for so long.
const WRITES_WITHIN: Duration = Duration::from_millis(700);
/// A primary that answers is fenced by then, or counts as one that does not.
const FENCE_WITHIN: Duration = Duration::from_secs(5);
/// What was received is applied by then.
const APPLY_WITHIN: Duration = Duration::from_secs(60);
/// Any other step on one server.
pub(super) const STEP_WITHIN: Duration = Duration::from_secs(5);
/// What a session holds on the former primary, for a transaction or a pin, is cut after this: it can read
/// there, not write.
pub(super) const HELD_FOR: Duration = Duration::from_secs(30);
/// Making a server follow takes no longer.
const FOLLOW_WITHIN: Duration = Duration::from_secs(15);

/// What a failover has behind it. The process may end behind each: the next one finds out what is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// It is decided.
    Decided,
    /// The store says that it was begun.
    Noted,
    /// Planned: transactions had their time.
    StoodStill,
    /// The old primary refuses writes.
    Fenced,
    /// The old primary does not answer: no replica receives any more.
    Halted,
    /// The replica has all that it will get.
    CaughtUp,
    /// It does not replicate any more.
    Stopped,
    /// It takes writes: the point of no return.
    Opened,
    /// Statements go there.
    Led,
    /// Another server follows it.
    Repointed,
    /// It has forgotten what it replicated from.
    Forgotten,
    /// Undoing: the replicas replicate again.
    Restarted,
    /// Undoing: the old primary takes writes again.
    Reopened,
}

impl Reached {
    /// Of a planned one, in order.
    pub const PLANNED: [Self; 10] = [
        Self::Decided,
        Self::Noted,
        Self::StoodStill,
        Self::Fenced,
        Self::CaughtUp,
        Self::Stopped,
        Self::Opened,
        Self::Led,
        Self::Repointed,
        Self::Forgotten,
    ];

    /// Of one whose primary answers but is sick.
    pub const SICK: [Self; 9] = [
        Self::Decided,
        Self::Noted,
        Self::Fenced,
        Self::CaughtUp,
        Self::Stopped,
        Self::Opened,
        Self::Led,
        Self::Repointed,
        Self::Forgotten,
    ];

    /// Of one whose primary does not answer.
    pub const DEAD: [Self; 9] = [
        Self::Decided,
        Self::Noted,
        Self::Halted,
        Self::CaughtUp,
        Self::Stopped,
        Self::Opened,
        Self::Led,
        Self::Repointed,
        Self::Forgotten,
    ];

    /// Of the undoing of any.
    pub const UNDOING: [Self; 2] = [Self::Restarted, Self::Reopened];

    /// Name for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Decided => "decided",
            Self::Noted => "noted",
            Self::StoodStill => "stood_still",
            Self::Fenced => "fenced",
            Self::Halted => "halted",
            Self::CaughtUp => "caught_up",
            Self::Stopped => "stopped",
            Self::Opened => "opened",
            Self::Led => "led",
            Self::Repointed => "repointed",
            Self::Forgotten => "forgotten",
            Self::Restarted => "restarted",
            Self::Reopened => "reopened",
        }
    }
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
        self.reached(Reached::Decided);
        let lent = self.pools.lent(&context.name, &plan.from);
        if let Err(error) = self.note_begun(context, request, (&plan, &views)).await {
            return FailoverEnd::Undone(format!("it could not be noted: {error}"));
        }
        self.reached(Reached::Noted);
        let ready = match request.planned {
            true => self.stand_still(context, plan, &views, clock).await,
            false => self.take_away(context, request, (plan, views)).await,
        };
        let done = match ready {
            Ok(ready) => self.promote(context, request, ready, clock).await,
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
            Err(FailoverEnd::Undone(why)) => self.undo(context, why).await,
            Err(end) => end,
        }
    }

    /// Ends the process here, if a test wants that.
    pub(super) fn reached(&self, point: Reached) {
        self.fail_points.pass(format_args!("failover:{}", point.name()));
    }

    /// Writes down what is going to be changed, before it is.
    async fn note_begun(
        &self,
        context: &Context,
        request: &FailoverRequest,
        (plan, views): (&FailoverPlan, &[ServerView]),
    ) -> Result<(), StoreError> {
        let said = |server: &ServerId| {
            views.iter().find(|view| view.server == *server).and_then(|view| view.said.as_ref().ok())
        };
        let is_halted = |server: &ServerId| {
            let sources = said(server).map(|said| &said.sources[..]).unwrap_or_default();
            let receives = sources.iter().any(|source| source.receiving != Receiving::No);
            let is_reached = !request.planned && *server != plan.from && !context.cut_off.contains(server);
            if *server == plan.to { !sources.is_empty() } else { is_reached && receives }
        };
        let _changing = context.turn.changing().await;
        let before = self.primaries.record(&context.name);
        let mut record = before.unwrap_or_else(|| Record::of(&context.cluster, &context.declared.primary));
        for server in servers(&context.declared).into_iter().filter(is_halted) {
            if !record.halted.contains(&server) {
                record.halted.push(server);
            }
        }
        record.reopens |= said(&plan.from).is_some_and(|said| !said.is_read_only);
        record.promoting = Some(plan.to.clone());
        record.why.clone_from(&request.why);
        self.primaries.write(&context.name, record).await
    }

    /// Planned: writes that run may end, then the primary refuses them, then the replica gets the last.
    async fn stand_still(
        &self,
        context: &Context,
        plan: FailoverPlan,
        views: &[ServerView],
        clock: Clock,
    ) -> Result<Ready, String> {
        let access = &context.access;
        if !ops::await_writes(access, &plan.from, clock.within(WRITES_WITHIN)).await {
            let (cluster, from) = (&context.name, &plan.from);
            tracing::warn!(%cluster, %from, "transactions are still open there; they will be refused");
        }
        self.reached(Reached::StoodStill);
        let said = views.iter().find(|view| view.server == plan.from).and_then(|v| v.said.as_ref().ok());
        let fenced = ops::fence(access, &plan.from, Clients::Stay, clock.within(FENCE_WITHIN)).await;
        let fenced = fenced.map_err(|error| format!("{} could not be fenced: {error}", plan.from))?;
        self.reached(Reached::Fenced);
        ops::await_executed(access, &plan.to, &fenced.executed, clock.within(APPLY_WITHIN)).await?;
        self.reached(Reached::CaughtUp);
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
    ) -> Result<Ready, String> {
        let (access, from) = (&context.access, plan.from.clone());
        // First of all: what it acknowledges from here on reaches no client of ours.
        self.pools.bar(&context.name, &from);
        let said = views.iter().find(|view| view.server == from).map(|view| &view.said);
        let is_semi_sync = match said {
            Some(Ok(said)) => said.semi_sync.is_source,
            _ => context.turn.heard(&from).is_some_and(|heard| heard.said.semi_sync.is_source),
        };
        if let Some(Ok(_)) = said {
            match ops::fence(access, &from, Clients::Go, FENCE_WITHIN).await {
                Ok(fenced) => {
                    self.reached(Reached::Fenced);
                    ops::await_executed(access, &plan.to, &fenced.executed, APPLY_WITHIN).await?;
                    self.reached(Reached::CaughtUp);
                    let link = self.link(context, &plan.to).await;
                    return Ok(Ready { plan, is_fenced: true, is_semi_sync, link });
                }
                Err(error) => {
                    let cluster = &context.name;
                    tracing::error!(%cluster, %from, %error, "cannot be fenced; goes on without");
                }
            }
        }
        let plan = self.leave_behind(context, request, plan).await?;
        ops::await_applied(access, &plan.to, APPLY_WITHIN).await?;
        self.reached(Reached::CaughtUp);
        let link = self.link(context, &plan.to).await;
        Ok(Ready { plan, is_fenced: false, is_semi_sync, link })
    }

    /// The primary does not answer: what the replicas have received by now is what there is. Decides again on
    /// that.
    async fn leave_behind(
        &self,
        context: &Context,
        request: &FailoverRequest,
        first: FailoverPlan,
    ) -> Result<FailoverPlan, String> {
        let from = &first.from;
        let others = || servers(&context.declared).into_iter().filter(move |server| server != from);
        for server in others().filter(|server| !context.cut_off.contains(server)) {
            if let Err(error) = ops::stop_receiving(&context.access, &server, STEP_WITHIN).await {
                tracing::warn!(%server, %error, "does not stop receiving");
            }
        }
        self.reached(Reached::Halted);
        let mut views = context.views_of(others().collect(), VIEW_WITHIN).await;
        // Asking it once more would only cost time.
        views.push(ServerView { server: from.clone(), said: Err("it cannot be fenced".to_owned()) });
        let plan = context.decide(&views, request.to.as_ref(), false).map_err(|why| why.to_string())?;
        tracing::warn!(cluster = %context.name, %plan, "fails over without the old primary");
        if plan.to != first.to {
            let noted = self.note_begun(context, request, (&plan, &views)).await;
            noted.map_err(|error| format!("it could not be noted: {error}"))?;
        }
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
        clock: Clock,
    ) -> Result<Ready, FailoverEnd> {
        let (access, to) = (&context.access, &ready.plan.to);
        let undone = |why: String| FailoverEnd::Undone(why);
        if clock.is_over() {
            return Err(undone("writes would have stood too long".to_owned()));
        }
        let _changing = context.turn.changing().await;
        let stopped = ops::stop_replicating(access, to, clock.within(STEP_WITHIN)).await;
        stopped.map_err(|error| undone(format!("{to} does not stop replicating: {error}")))?;
        self.reached(Reached::Stopped);
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
        self.reached(Reached::Opened);
        let led = self.lead(&context.name, self.record_of(context, &ready, &request.why)).await;
        led.map_err(|why| FailoverEnd::Unknown(format!("{to} is the primary, but {why}")))?;
        self.reached(Reached::Led);
        Ok(ready)
    }

    /// What the store says after it: whoever does not follow yet is cut off, but for those that did follow
    /// the old primary and answer.
    fn record_of(&self, context: &Context, ready: &Ready, why: &str) -> Record {
        let plan = &ready.plan;
        let all = servers(&context.declared).into_iter();
        let (stay, cut_off): (Vec<_>, Vec<_>) =
            all.partition(|server| *server == plan.to || plan.followers.contains(server));
        let mut unfenced = context.unfenced.clone();
        unfenced.retain(|server| *server != plan.to && *server != plan.from && cut_off.contains(server));
        if !ready.is_fenced {
            unfenced.push(plan.from.clone());
        }
        Record {
            primary: plan.to.clone(),
            cut_off,
            unfenced,
            promoting: None,
            halted: Vec::new(),
            reopens: false,
            unsettled: stay,
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
        while let Some(followed) = following.join_next().await {
            let Ok((server, done)) = followed else { continue };
            let _changing = context.turn.changing().await;
            let Some(mut record) = self.primaries.record(&context.name) else { return };
            record.cut_off.retain(|cut_off| *cut_off != server);
            record.unsettled.retain(|unsettled| *unsettled != server);
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
            self.reached(Reached::Repointed);
        }
        // Last: a former primary may need the login that it replicated with.
        self.forget(context, &plan.to).await;
        self.reached(Reached::Forgotten);
    }

    /// Lets the new primary forget what it replicated from. What fails is tried again by the watching task.
    pub(super) async fn forget(&self, context: &Context, primary: &ServerId) {
        if let Err(error) = ops::forget_source(&context.access, primary, STEP_WITHIN).await {
            tracing::warn!(server = %primary, %error, "still knows what it replicated from");
            return;
        }
        let _changing = context.turn.changing().await;
        let Some(mut record) = self.primaries.record(&context.name) else { return };
        if record.primary != *primary || record.promoting.is_some() {
            return;
        }
        record.unsettled.retain(|unsettled| unsettled != primary);
        if let Err(error) = self.primaries.write(&context.name, record).await {
            tracing::warn!(cluster = %context.name, %error, "that it has forgotten could not be noted");
        }
    }

    /// Makes everything as it was.
    async fn undo(&self, context: &Context, why: String) -> FailoverEnd {
        let from = &context.cluster.primary;
        match self.put_back(context).await {
            Ok(()) => {
                self.pools.lift(&context.name, from);
                FailoverEnd::Undone(why)
            }
            // It did not answer to the fence either.
            Err(not) => FailoverEnd::Unknown(format!("{why}; {not}")),
        }
    }
}
