//! The loop: write down, then act.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::executor::Executor;
use crate::ids::{ClusterName, MigrationId, UserName};
use crate::migrations::Failure;
use crate::migrations::fleet::ledger::{
    Book, BookError, Ending, Header, Moment, Order, Outcome, Pace, Row, Steps, encode_new,
};
use crate::migrations::fleet::schedule::{
    Act, Afresh, Budget, Command, Event, Places, Reading, Refusal, Scheduler, Step, SubmitRefusal, Unplanned,
};

/// Migrations that are over and are kept in the store; the oldest are removed at a start.
const ENDED_KEPT_MAX: usize = 200;

/// Why a turn was not taken, or something that was asked was not done.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The store; what was written is not known. [`Driver::resume`] reads it again.
    #[error(transparent)]
    Book(#[from] BookError),
    /// It was not taken on.
    #[error(transparent)]
    Submit(#[from] SubmitRefusal),
    /// A command was not followed.
    #[error(transparent)]
    Command(#[from] Refusal),
    /// What is in the store has not been read since the last error.
    #[error("fleet migrations have not been read from the store")]
    NotResumed,
}

/// What ended waits so long for something else that is to be written, as the next database's beginning: each
/// commit is waited for by the disk. Until then its row says that it is running, and whoever reads that after
/// a crash looks what became of it.
const ENDS_WAIT: Duration = Duration::from_millis(300);

/// What a turn came to.
#[derive(Debug, Default)]
pub struct Turned {
    /// To be told.
    pub events: Vec<Event>,
    /// Databases that were begun.
    pub begun: usize,
    /// Databases that are being changed or looked at by this proxy.
    pub under_way: usize,
}

/// An attempt at a row.
type Attempt = (MigrationId, u32, u16);
/// What became of a row by an attempt, or by a look behind it.
type Ended = (Attempt, Ending);
/// What came of planning again.
type Planned = (MigrationId, Result<Afresh, Unplanned>);

/// What an executor's task gives back.
enum Told {
    Row(Ended),
    Plan(Box<Planned>),
}

/// What a task is about, for one that panicked.
enum About {
    Row(Attempt),
    Plan(MigrationId),
}

/// Carries fleet migrations out. One per proxy; only the owner of the lease takes turns.
pub struct Driver<E> {
    executor: Arc<E>,
    book: Book,
    scheduler: Scheduler,
    /// Makes the scheduler anew after an error.
    make: Box<dyn Fn() -> Scheduler + Send + Sync>,
    tasks: JoinSet<Told>,
    about: BTreeMap<tokio::task::Id, About>,
    /// Rows that tasks of this process change or look at, across errors of the store.
    under_way: HashSet<Attempt>,
    /// Ended before, and not written down yet.
    ended: Vec<Ended>,
    /// How many of them the scheduler has heard of; it hears of none twice.
    heard: usize,
    /// Since when some of them are not written down.
    unwritten: Option<Moment>,
    /// Migrations that tasks of this process plan again, across errors of the store.
    planning: HashSet<MigrationId>,
    planned: Vec<Planned>,
    /// Readings since the last turn.
    readings: BTreeMap<ClusterName, Reading>,
    /// Migrations that are over: their rows are read from the store when they are asked for.
    past: BTreeMap<MigrationId, Header>,
    is_resumed: bool,
}

impl<E: Executor> Driver<E> {
    /// Nothing is read or begun before [`Driver::resume`]. `make` makes a scheduler without migrations.
    pub fn new(executor: Arc<E>, book: Book, make: impl Fn() -> Scheduler + Send + Sync + 'static) -> Self {
        Self {
            executor,
            book,
            scheduler: make(),
            make: Box::new(make),
            tasks: JoinSet::new(),
            about: BTreeMap::new(),
            under_way: HashSet::new(),
            ended: Vec::new(),
            heard: 0,
            unwritten: None,
            planning: HashSet::new(),
            planned: Vec::new(),
            readings: BTreeMap::new(),
            past: BTreeMap::new(),
            is_resumed: false,
        }
    }

    /// What is known and decided.
    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// The header of a migration, also of one that is over.
    pub fn header(&self, id: &MigrationId) -> Option<&Header> {
        self.scheduler.header(id).or_else(|| self.past.get(id))
    }

    /// Reads everything from the store; what cannot be read is told and left alone.
    ///
    /// # Errors
    /// [`BookError::NotOwner`] while another proxy has the lease; [`BookError::Store`].
    pub async fn resume(&mut self, now: Moment) -> Result<Vec<BookError>, DriverError> {
        self.is_resumed = false;
        if !self.book.keep_lease().await? {
            return Err(BookError::NotOwner.into());
        }
        let (loaded, faults) = self.book.load().await?;
        self.scheduler = (self.make)();
        self.heard = 0;
        self.past.clear();
        let ended: HashSet<&Attempt> = self.ended.iter().map(|(attempt, _)| attempt).collect();
        for found in loaded {
            let id = found.header.order.id.clone();
            if found.header.progress.ended.is_some() {
                self.past.insert(id, found.header);
                continue;
            }
            // What has ended here is told again: it was not lost.
            let rows = found.rows.iter().zip(0..);
            let is_own = |(row, at): &(&Row, u32)| {
                let attempt = (id.clone(), *at, row.record.attempts);
                self.under_way.contains(&attempt) || ended.contains(&attempt)
            };
            let own: HashSet<u32> = rows.filter(is_own).map(|(_, at)| at).collect();
            self.scheduler.insert(found.header, found.rows, |row| own.contains(&row), now);
        }
        while self.past.len() > ENDED_KEPT_MAX
            && let Some((_, oldest)) = self.past.pop_first()
        {
            self.book.remove(&oldest).await?;
        }
        self.is_resumed = true;
        Ok(faults)
    }

    /// Headers of the migrations that are over.
    pub fn past(&self) -> impl Iterator<Item = &Header> {
        self.past.values()
    }

    /// Sets what a cluster bears.
    pub fn set_budget(&mut self, cluster: &ClusterName, budget: Budget) {
        self.scheduler.set_budget(cluster, budget);
    }

    /// Sets on which machine a cluster's primary runs.
    pub fn set_host(&mut self, cluster: &ClusterName, host: Arc<str>) {
        self.scheduler.set_host(cluster, host);
    }

    /// The rows of a migration, also of one that is over; those are read from the store.
    ///
    /// # Errors
    /// [`DriverError::Command`] when there is no such migration; [`DriverError::Book`].
    pub async fn rows(&mut self, id: &MigrationId) -> Result<Vec<Row>, DriverError> {
        if let Some(rows) = self.scheduler.rows(id) {
            return Ok(rows.to_vec());
        }
        match self.past.get(id).cloned() {
            Some(header) => Ok(self.book.rows(&header).await?),
            None => Err(Refusal::NotFound(id.clone()).into()),
        }
    }

    /// Notes how a cluster is; the next turn takes it over.
    pub fn read(&mut self, cluster: ClusterName, reading: Reading) {
        self.readings.insert(cluster, reading);
    }

    /// Takes a fleet migration on, with its pace: it is in the store when this returns.
    ///
    /// # Errors
    /// [`DriverError::Submit`], [`DriverError::Command`]: nothing was written. [`DriverError::Book`]: if all
    /// of it was written it is there after [`Driver::resume`], else nothing is.
    pub async fn submit(
        &mut self,
        mut order: Order,
        (rows, pace): (Vec<Row>, Option<Pace>),
        now: Moment,
    ) -> Result<MigrationId, DriverError> {
        self.check_resumed()?;
        if pace.is_some_and(|pace| !pace.is_valid()) {
            return Err(Refusal::NoPace.into());
        }
        // Nobody plans an order again that has nobody before it.
        let is_behind = self.scheduler.is_behind(&order);
        order.again = order.again.filter(|again| again.is_due || is_behind);
        let turn = self.scheduler.admit(&order, &rows)?;
        if self.past.contains_key(&order.id) {
            return Err(SubmitRefusal::Taken(order.id).into());
        }
        let databases = u32::try_from(rows.len()).expect("the scheduler admits a million at most");
        let mut header = Header::new(order, databases, turn);
        header.is_provisional = header.order.again.is_some();
        header.progress.pace = pace;
        let id = header.order.id.clone();
        for part in encode_new(&header, &rows) {
            self.write(part).await?;
        }
        header.is_whole = true;
        self.scheduler.insert(header, rows, |_| false, now);
        Ok(id)
    }

    /// Does what an operator wants; it is in the store when this returns.
    ///
    /// # Errors
    /// [`DriverError::Command`]: nothing changed. [`DriverError::Book`].
    pub async fn command(
        &mut self,
        id: &MigrationId,
        command: &Command,
        by: &UserName,
        now: Moment,
    ) -> Result<(), DriverError> {
        self.check_resumed()?;
        self.recall(id, now).await?;
        let done = match self.scheduler.command(id, command, by, now) {
            Ok(step) => self.follow(step).await,
            Err(refusal) => Err(refusal.into()),
        };
        self.put_away(id);
        done
    }

    /// Takes back what a migration that is over has changed, by a new one.
    ///
    /// # Errors
    /// As [`Driver::submit`] and [`Driver::command`].
    pub async fn revert(
        &mut self,
        id: &MigrationId,
        new: MigrationId,
        by: &UserName,
        now: Moment,
    ) -> Result<MigrationId, DriverError> {
        self.check_resumed()?;
        self.recall(id, now).await?;
        let submitted = match self.scheduler.revert(id, new, by, now) {
            Ok((order, rows)) => self.submit(order, (rows, None), now).await,
            Err(refusal) => Err(refusal.into()),
        };
        self.put_away(id);
        submitted
    }

    /// Reads the rows of a migration that is over.
    async fn recall(&mut self, id: &MigrationId, now: Moment) -> Result<(), DriverError> {
        if let Some(header) = self.past.get(id).cloned() {
            let rows = self.book.rows(&header).await?;
            self.scheduler.insert(header, rows, |_| false, now);
            self.past.remove(id);
        }
        Ok(())
    }

    fn check_resumed(&self) -> Result<(), DriverError> {
        if self.is_resumed { Ok(()) } else { Err(DriverError::NotResumed) }
    }

    /// One turn: takes what ended and what was read, decides, writes, acts.
    ///
    /// # Errors
    /// [`DriverError::Book`]: nothing was begun in this turn; [`Driver::resume`] goes on.
    /// [`DriverError::NotResumed`].
    pub async fn turn(&mut self, places: &(dyn Places + Sync), now: Moment) -> Result<Turned, DriverError> {
        self.check_resumed()?;
        if !self.book.keep_lease().await.inspect_err(|_| self.is_resumed = false)? {
            self.is_resumed = false;
            return Err(BookError::NotOwner.into());
        }
        let mut events = Vec::new();
        for (cluster, reading) in std::mem::take(&mut self.readings) {
            events.extend(self.scheduler.read(&cluster, reading, now));
        }
        self.collect();
        for ((id, row, attempt), ending) in &self.ended[self.heard..] {
            // Another proxy may have begun it once more while this one was not the owner.
            if self.scheduler.attempt(id, *row) == Some(*attempt) {
                events.extend(self.scheduler.ended(id, *row, ending.clone(), now));
            }
        }
        self.heard = self.ended.len();
        for (id, planned) in std::mem::take(&mut self.planned) {
            events.extend(self.take_plan(&id, planned, now).await?);
        }
        let step = self.scheduler.step(places, now);
        events.extend(step.events.iter().cloned());
        let begun = step.acts.iter().filter(|act| matches!(act, Act::Change(_))).count();
        let is_news = !step.acts.is_empty() || !events.is_empty();
        if !is_news && self.ends_may_wait(now) {
            return Ok(Turned { events, begun, under_way: self.under_way.len() });
        }
        self.follow(step).await?;
        (self.unwritten, self.heard) = (None, 0);
        // Written down: what ended is not told again, and the rows of what is over are not kept.
        self.ended.clear();
        for event in &events {
            if let Event::Ended { id } = event {
                self.put_away(id);
            }
        }
        Ok(Turned { events, begun, under_way: self.under_way.len() })
    }

    /// Says whether nothing has to be written yet but what has ended.
    fn ends_may_wait(&mut self, now: Moment) -> bool {
        if self.ended.is_empty() {
            return false;
        }
        let since = *self.unwritten.get_or_insert(now);
        now.since(since) < ENDS_WAIT
    }

    /// Writes a new plan down: its rows as pages of another edition, then the header that says that these
    /// hold. Cut short anywhere, it is planned once more.
    async fn take_plan(
        &mut self,
        id: &MigrationId,
        planned: Result<Afresh, Unplanned>,
        now: Moment,
    ) -> Result<Vec<Event>, DriverError> {
        let afresh = match planned {
            Ok(afresh) => afresh,
            Err(why) => return Ok(self.scheduler.unplanned(id, why, now)),
        };
        let Some((header, rows)) = self.scheduler.planned(id, afresh, now) else { return Ok(Vec::new()) };
        let old = header.edition - 1;
        let [_, pages, whole] = encode_new(&header, &rows);
        self.write(pages).await?;
        self.write(whole).await?;
        self.scheduler.insert(header, rows, |_| false, now);
        self.book.remove_pages(id, old).await.inspect_err(|_| self.is_resumed = false)?;
        Ok(Vec::new())
    }

    /// Of one that is over the rows are not kept in memory, nor are its clusters gauged.
    fn put_away(&mut self, id: &MigrationId) {
        let header = self.scheduler.header(id).filter(|header| header.progress.ended.is_some()).cloned();
        if let Some(header) = header {
            self.scheduler.forget(id);
            self.past.insert(id.clone(), header);
        }
    }

    /// Waits until something ends, for so long at most.
    ///
    /// Cancel safety: safe.
    pub async fn wait(&mut self, at_most: Duration) {
        let next = async {
            match self.tasks.join_next_with_id().await {
                Some(ended) => Some(ended),
                None => std::future::pending().await,
            }
        };
        if let Ok(Some(ended)) = tokio::time::timeout(at_most, next).await {
            self.take(ended);
        }
    }

    /// Writes what was decided, then does it.
    async fn follow(&mut self, step: Step) -> Result<(), DriverError> {
        let writes = self.scheduler.take_writes();
        self.write(writes).await?;
        for act in step.acts {
            self.act(act);
        }
        Ok(())
    }

    async fn write(&mut self, values: Vec<(String, Vec<u8>)>) -> Result<(), DriverError> {
        let written = self.book.write(values).await;
        // The scheduler is ahead of the store now, by how much is not known.
        Ok(written.inspect_err(|_| self.is_resumed = false)?)
    }

    fn act(&mut self, act: Act) {
        let executor = self.executor.clone();
        let (work, is_look) = match act {
            Act::Stop(work) => {
                tokio::spawn(async move { executor.stop(work).await });
                return;
            }
            Act::Plan(order) => return self.plan(order),
            Act::Change(work) => (work, false),
            Act::Look(work) => (work, true),
        };
        let attempt = (work.order.id.clone(), work.row, work.attempt);
        if !self.under_way.insert(attempt.clone()) {
            return;
        }
        let told = attempt.clone();
        let handle = self.tasks.spawn(async move {
            let ending = if is_look { executor.look(work).await.into() } else { executor.change(work).await };
            Told::Row((told, ending))
        });
        self.about.insert(handle.id(), About::Row(attempt));
    }

    fn plan(&mut self, order: Arc<Order>) {
        let id = order.id.clone();
        if !self.planning.insert(id.clone()) {
            return;
        }
        let (executor, told) = (self.executor.clone(), id.clone());
        let handle = self.tasks.spawn(async move {
            let planned = executor.plan(order).await;
            Told::Plan(Box::new((told, planned)))
        });
        self.about.insert(handle.id(), About::Plan(id));
    }

    /// Takes every task that has ended.
    fn collect(&mut self) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            self.take(ended);
        }
    }

    fn take(&mut self, ended: Result<(tokio::task::Id, Told), tokio::task::JoinError>) {
        let task = ended.as_ref().map_or_else(tokio::task::JoinError::id, |(task, _)| *task);
        let Some(about) = self.about.remove(&task) else { return };
        match (about, ended) {
            (_, Ok((_, Told::Row(ended)))) => self.take_row(ended),
            (_, Ok((_, Told::Plan(planned)))) => self.take_planned(*planned),
            // What it had done by then is not known.
            (About::Row(attempt), Err(error)) => {
                let lost = Outcome::Unknown(Failure::new(format!("the task ended: {error}")));
                self.take_row((attempt, Ending { outcome: lost, steps: Steps::LOST }));
            }
            (About::Plan(id), Err(error)) => {
                self.take_planned((id, Err(Unplanned::Later(format!("the task ended: {error}")))));
            }
        }
    }

    fn take_row(&mut self, ended: Ended) {
        self.under_way.remove(&ended.0);
        self.ended.push(ended);
    }

    fn take_planned(&mut self, planned: Planned) {
        self.planning.remove(&planned.0);
        self.planned.push(planned);
    }
}
