//! Who subscribed, where the feed is, and what each event means for whom.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::super::binlog::{Ending, Happening, Interest, RowsEvent, Statement, TransactionId};
use super::super::change::{Change, TableName};
use super::super::error::FeedError;
use super::super::place::Place;
use super::super::position::Position;
use super::super::values::{ColumnKind, Value};
use super::counters::Counters;
use super::marker;
use super::statements::{Effect, Read};
use super::subscriber::{Gone, Subscriber};
use crate::ids::ServerId;

/// Who has no rows is told where the feed is as often.
const HINT_EVERY: Duration = Duration::from_millis(200);
/// The number of the table of markers.
const MARKERS: usize = 0;

/// The transaction that is being read.
struct Current {
    id: TransactionId,
    /// Nobody is to get it.
    is_old: bool,
    marks: Vec<u64>,
}

/// The state of a feed.
pub(super) struct State {
    /// Where the feed is, by whole transactions; absent before the first subscription.
    pub(super) place: Option<Place>,
    pub(super) interest: Interest,
    pub(super) server: ServerId,
    /// Of the tables that are subscribed to.
    numbers: HashMap<TableName, usize>,
    next_number: usize,
    subscribers: Vec<Subscriber>,
    current: Option<Current>,
    /// Of `place`, written when it is needed.
    position: Option<Position>,
    hinted: Instant,
    writer: u64,
    counters: Arc<Counters>,
    /// Subscriptions that are counted.
    counted: u64,
}

impl State {
    pub(super) fn new(server: ServerId, writer: u64, counters: Arc<Counters>) -> Self {
        let mut interest = Interest::default();
        let markers = marker::table();
        interest.insert(&markers, MARKERS);
        Self {
            place: None,
            interest,
            server,
            numbers: HashMap::from([(markers, MARKERS)]),
            next_number: MARKERS + 1,
            subscribers: Vec::new(),
            current: None,
            position: None,
            hinted: Instant::now(),
            writer,
            counters,
            counted: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.subscribers.is_empty()
    }

    /// Between two transactions.
    pub(super) fn is_between(&self) -> bool {
        self.current.is_none()
    }

    /// The number by which rows of `table` are known.
    pub(super) fn number(&mut self, table: &TableName) -> usize {
        if let Some(number) = self.numbers.get(table) {
            return *number;
        }
        let number = self.next_number;
        self.next_number += 1;
        self.numbers.insert(table.clone(), number);
        self.interest.insert(table, number);
        number
    }

    /// Takes a subscriber in that has everything before `from`. Gives whether the feed has to go back for it;
    /// not for one that `is_new`: what the feed has passed was in the log when it came.
    pub(super) fn add(
        &mut self,
        mut subscriber: Subscriber,
        from: Place,
        is_new: bool,
    ) -> Result<bool, FeedError> {
        let Some(place) = &self.place else {
            self.move_to(from);
            self.keep(subscriber);
            return Ok(false);
        };
        if place.is_within(&from) {
            subscriber.ahead = (!from.is_within(place)).then_some(from);
            self.keep(subscriber);
            return Ok(false);
        }
        let mixed = || FeedError::ServerChanged { server: self.server.clone() };
        if is_new {
            let all = from.union(place).ok_or_else(mixed)?;
            subscriber.ahead = (!all.is_within(place)).then_some(all);
            self.keep(subscriber);
            return Ok(false);
        }
        let back = place.intersect(&from).ok_or_else(mixed)?;
        for other in &mut self.subscribers {
            let ahead = other.ahead.take().map_or(Some(place.clone()), |ahead| ahead.union(place));
            other.ahead = Some(ahead.ok_or_else(mixed)?);
        }
        subscriber.ahead = (!from.is_within(&back)).then_some(from);
        self.keep(subscriber);
        self.move_to(back);
        Ok(true)
    }

    fn keep(&mut self, subscriber: Subscriber) {
        self.subscribers.push(subscriber);
        self.count();
    }

    fn move_to(&mut self, place: Place) {
        self.place = Some(place);
        self.position = None;
    }

    /// Behind each change of who subscribes. Others' feeds of the cluster count there too.
    fn count(&mut self) {
        let now = self.subscribers.len() as u64;
        self.counters.subscriptions.fetch_add(now, Relaxed);
        self.counters.subscriptions.fetch_sub(self.counted, Relaxed);
        self.counted = now;
        for subscriber in &mut self.subscribers {
            subscriber.shares = now > 1;
        }
    }

    /// Forgets who has gone.
    pub(super) fn sweep(&mut self) {
        let before = self.subscribers.len();
        self.subscribers.retain(|subscriber| !subscriber.is_gone());
        if self.subscribers.len() < before {
            self.sweep_interest();
        }
    }

    /// Tells all why the feed ends.
    pub(super) fn fail(&mut self, error: &FeedError) {
        for subscriber in std::mem::take(&mut self.subscribers) {
            subscriber.fail(error.clone());
        }
        self.count();
    }

    /// The connection was lost.
    pub(super) fn cut_off(&mut self) {
        let current = self.current.take();
        for subscriber in &mut self.subscribers {
            subscriber.cut_off(current.as_ref().map(|current| &current.id));
        }
    }

    /// Takes what an event says; `end` is where it ends in its file.
    ///
    /// # Errors
    /// What ends the feed.
    pub(super) async fn take(
        &mut self,
        happening: Happening,
        end: (&Arc<str>, u64),
    ) -> Result<(), FeedError> {
        match happening {
            Happening::Began(id) => {
                self.begin(id);
                Ok(())
            }
            Happening::Rows(event) => self.rows(event).await,
            Happening::Statement { statement, ends } => {
                self.statement(&statement).await?;
                if ends { self.end(Ending::Committed, end).await } else { Ok(()) }
            }
            Happening::Ended(ending) => self.end(ending, end).await,
            Happening::Idle => {
                self.counters.lag_ms.store(0, Relaxed);
                self.hint();
                Ok(())
            }
            Happening::Incident => Err(FeedError::Incident { server: self.server.clone() }),
        }
    }

    fn begin(&mut self, id: TransactionId) {
        // A file may have been read from its beginning.
        let is_file = matches!(self.place, Some(Place::File { .. }));
        let is_old = is_file && self.place.as_ref().is_some_and(|place| place.contains(&id));
        if !is_old {
            let mut gone = Vec::new();
            for (at, subscriber) in self.subscribers.iter_mut().enumerate() {
                if subscriber.begin(&id).is_err() {
                    gone.push(at);
                }
            }
            self.drop_gone(&gone);
        }
        self.current = Some(Current { id, is_old, marks: Vec::new() });
    }

    fn drop_gone(&mut self, gone: &[usize]) {
        for at in gone.iter().rev() {
            self.subscribers.remove(*at);
        }
        if !gone.is_empty() {
            self.sweep_interest();
        }
    }

    fn sweep_interest(&mut self) {
        let subscribers = &self.subscribers;
        let is_wanted = |number: usize| number == MARKERS || subscribers.iter().any(|s| s.number == number);
        let interest = &mut self.interest;
        self.numbers.retain(|table, number| {
            if !is_wanted(*number) {
                interest.remove(table);
            }
            is_wanted(*number)
        });
        self.count();
    }

    /// The position behind everything the subscriber got of whole transactions.
    fn position_of(&mut self, ahead: Option<&Place>) -> Position {
        let Some(place) = &self.place else { return Position::Gtid("".into()) };
        if let Some(all) = ahead.and_then(|ahead| ahead.union(place)) {
            return all.position();
        }
        self.position.get_or_insert_with(|| place.position()).clone()
    }

    async fn rows(&mut self, event: RowsEvent) -> Result<(), FeedError> {
        let Some(current) = &mut self.current else { return Ok(()) };
        if current.is_old {
            return Ok(());
        }
        self.counters.decoded.fetch_add(1, Relaxed);
        if event.map.table == MARKERS {
            current.marks.extend(marks(event, self.writer));
            return Ok(());
        }
        let mut gone = Vec::new();
        for at in 0..self.subscribers.len() {
            if self.subscribers[at].number != event.map.table || !self.subscribers[at].takes() {
                continue;
            }
            let ahead = self.subscribers[at].ahead.clone();
            let before = self.position_of(ahead.as_ref());
            match self.subscribers[at].rows(event.clone(), &before).await {
                Ok(count) => drop(self.counters.rows.fetch_add(count, Relaxed)),
                Err(Gone) => gone.push(at),
            }
        }
        self.drop_gone(&gone);
        Ok(())
    }

    async fn statement(&mut self, statement: &Statement) -> Result<(), FeedError> {
        if self.current.as_ref().is_none_or(|current| current.is_old) {
            return Ok(());
        }
        let read = Read::of(statement);
        let mut gone = Vec::new();
        for at in 0..self.subscribers.len() {
            if !self.subscribers[at].takes() {
                continue;
            }
            let effect = read.effect(&self.subscribers[at].table);
            if effect == Effect::None {
                continue;
            }
            let ahead = self.subscribers[at].ahead.clone();
            let before = self.position_of(ahead.as_ref());
            if affect(&mut self.subscribers[at], effect, &before).await.is_err() {
                gone.push(at);
            }
        }
        self.drop_gone(&gone);
        Ok(())
    }

    async fn end(&mut self, ending: Ending, end: (&Arc<str>, u64)) -> Result<(), FeedError> {
        let Some(Current { id, is_old, marks }) = self.current.take() else { return Ok(()) };
        if is_old {
            return Ok(());
        }
        if let Some(place) = &mut self.place {
            let what = |fault: &dyn std::fmt::Display| FeedError::Unsuited {
                server: self.server.clone(),
                what: fault.to_string(),
                remedy: "begin anew",
            };
            place.add(&id, end).map_err(|fault| what(&fault))?;
            self.position = None;
        }
        let mut gone = Vec::new();
        for at in 0..self.subscribers.len() {
            if self.subscribers[at].takes() && self.conclude(at, ending, &marks).await.is_err() {
                gone.push(at);
            }
        }
        self.drop_gone(&gone);
        let place = self.place.as_ref();
        for subscriber in self.subscribers.iter_mut() {
            subscriber.ahead.take_if(|ahead| place.is_some_and(|place| ahead.is_within(place)));
        }
        if self.hinted.elapsed() >= HINT_EVERY {
            self.hint();
        }
        Ok(())
    }

    async fn conclude(&mut self, at: usize, ending: Ending, marks: &[u64]) -> Result<(), Gone> {
        let ahead = self.subscribers[at].ahead.clone();
        let has_rows = self.subscribers[at].has_rows();
        let position = if has_rows { Some(self.position_of(ahead.as_ref())) } else { None };
        let subscriber = &mut self.subscribers[at];
        if let Some(position) = position {
            let what = match ending {
                Ending::Committed => None,
                Ending::RolledBack => Some("a transaction was rolled back after its rows were logged"),
                Ending::Prepared => Some("rows were changed by an XA transaction of two phases"),
            };
            if let Some(what) = what {
                let table = subscriber.table.clone();
                return Err(subscriber.fail(FeedError::CannotFollow { table, what: what.to_owned() }));
            }
            subscriber.flush(&position, true).await?;
        }
        for mark in marks {
            subscriber.tell(Change::Marker(*mark)).await?;
        }
        Ok(())
    }

    fn hint(&mut self) {
        if !self.is_between() {
            return;
        }
        self.hinted = Instant::now();
        for at in 0..self.subscribers.len() {
            let ahead = self.subscribers[at].ahead.clone();
            let position = self.position_of(ahead.as_ref());
            self.subscribers[at].hint(position);
        }
    }
}

async fn affect(subscriber: &mut Subscriber, effect: Effect, before: &Position) -> Result<(), Gone> {
    if subscriber.has_pending() {
        subscriber.flush(before, false).await?;
    }
    match effect {
        Effect::None => Ok(()),
        Effect::Changes(what) => subscriber.tell(Change::TableChanged { what }).await,
        Effect::Rows => {
            let what = "a statement that may change its rows was logged as a statement, not as rows: no \
                session may set binlog_format to anything but ROW; begin anew";
            let table = subscriber.table.clone();
            Err(subscriber.fail(FeedError::CannotFollow { table, what: what.to_owned() }))
        }
    }
}

/// The markers of this process among rows of the table of markers.
fn marks(mut event: RowsEvent, writer: u64) -> Vec<u64> {
    let kinds = [
        ColumnKind::Integer { is_unsigned: true },
        ColumnKind::Integer { is_unsigned: true },
        ColumnKind::Skipped,
    ];
    let mut marks = Vec::new();
    // Rows that do not fit are of another version of Bulkhead: none of ours.
    while let Ok(Some(change)) = event.next(&kinds) {
        if let Some([Value::Unsigned(by), Value::Unsigned(number), _]) = change.after.as_deref()
            && *by == writer
        {
            marks.push(*number);
        }
    }
    marks
}
