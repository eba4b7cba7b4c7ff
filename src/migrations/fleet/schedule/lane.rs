//! One physical cluster: its budget, and whether it is open.

use std::sync::Arc;
use std::time::Duration;

use super::bucket::Bucket;
use super::reading::{Reading, SLOW_WRITES, Verdict, judge};
use crate::health::State;
use crate::ids::ClusterName;
use crate::migrations::fleet::ledger::Moment;

/// Smallest share of a budget that is used while the lane is open.
pub const SHARE_MIN: f64 = 1.0 / 16.0;
/// Share of a budget that is used first: nobody knows yet what the cluster bears.
const SHARE_FIRST: f64 = 0.25;
/// A second that is no worse than usual adds so much to the share.
pub const GROW_BY: f64 = 0.05;
/// How often the share grows.
const GROW_EVERY: Duration = Duration::from_secs(1);
/// The share is halved no more often than this, so that a halving shows before the next one.
pub const HALVE_EVERY: Duration = Duration::from_secs(1);
/// What was suspect has to be well for so long before anything is begun there.
pub const RESUME_AFTER: Duration = Duration::from_secs(5);
/// An older reading says nothing: the lane closes.
pub const STALE_AFTER: Duration = Duration::from_secs(3);

/// Writes that stay slow for so long at the smallest share may be slow by themselves.
pub const STUCK_FOR: Duration = Duration::from_secs(60);
/// Then nothing is begun for so long: what writes usually take is learnt anew.
pub const LEARN_FOR: Duration = Duration::from_secs(8);

/// What a cluster bears, whatever the keyspace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Databases that are changed at once.
    pub at_once: u32,
    /// Statements in a second.
    pub statements_per_second: f64,
}

/// Why nothing is begun on a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// It has not been read for a while, or never.
    Unread,
    /// Writes go unanswered, and it is not suspect yet.
    Stalling,
    /// It is suspect or worse.
    Sick(State),
    /// It was, and has to be well for a while.
    Resuming,
    /// It is drained, or closed to schema changes.
    Drained,
    /// Its writes stayed slow at the smallest share: it is looked whether they are without.
    Learning,
}

impl Closed {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Unread => "its health is not known",
            Self::Sick(State::Degraded) => "it is degraded",
            Self::Sick(State::Down) => "it is down",
            Self::Sick(_) => "it is suspect",
            Self::Stalling => "its writes are not answered",
            Self::Resuming => "it was suspect a moment ago",
            Self::Drained => "it is drained",
            Self::Learning => "what its writes usually take is learnt anew",
        }
    }
}

/// What a reading changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing that matters to migrations.
    Nothing,
    /// It closed for its health.
    BecameSick,
    /// It closed, and it is not its health.
    BecameClosed,
    /// It opened.
    Opened,
}

/// A cluster's lane.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) cluster: ClusterName,
    budget: Budget,
    /// Where its primary runs, if that is known.
    pub(super) host: Option<Arc<str>>,
    share: f64,
    bucket: Bucket,
    closed: Option<Closed>,
    /// It was sick, and has not been well for long enough since.
    is_recovering: bool,
    /// Well since, while it recovers.
    well_since: Option<Moment>,
    grown: Moment,
    halved: Moment,
    read: Option<Reading>,
    /// Databases that are being changed, and those of which it is not known.
    pub(super) occupied: u32,
    /// Whose turn it is among the migrations; a count.
    pub(super) turn: usize,
    /// How many databases had been begun on all clusters when the last one was here.
    pub(super) begun_last: u64,
    /// Why the share was halved last.
    pub(super) worse: Option<&'static str>,
    /// Writes are slow at the smallest share since.
    stuck: Option<Moment>,
    /// Nothing is begun until then.
    learns_until: Moment,
}

impl Lane {
    pub(super) fn new(cluster: ClusterName, budget: Budget) -> Self {
        Self {
            cluster,
            budget,
            host: None,
            share: SHARE_FIRST,
            bucket: Bucket::new(),
            closed: Some(Closed::Unread),
            is_recovering: false,
            well_since: None,
            grown: Moment::default(),
            halved: Moment::default(),
            read: None,
            occupied: 0,
            turn: 0,
            begun_last: 0,
            worse: None,
            stuck: None,
            learns_until: Moment::default(),
        }
    }

    pub(super) fn set_budget(&mut self, budget: Budget) {
        self.budget = budget;
    }

    pub(super) fn closed(&self) -> Option<Closed> {
        self.closed
    }

    pub(super) fn is_drained(&self) -> bool {
        self.closed == Some(Closed::Drained)
    }

    /// Says whether nothing has ever been heard of it: it may be in the config no more.
    pub(super) fn is_unheard(&self) -> bool {
        self.read.is_none()
    }

    /// Says whether its health is the reason that it is closed.
    pub(super) fn is_sick(&self) -> bool {
        matches!(self.closed, Some(Closed::Sick(_) | Closed::Resuming))
    }

    pub(super) fn share(&self) -> f64 {
        self.share
    }

    /// Statements in a second as of now.
    pub(super) fn rate(&self) -> f64 {
        self.budget.statements_per_second * self.share
    }

    /// Databases at once as of now; foreign schema changes come off it.
    pub(super) fn at_once(&self) -> u32 {
        let whole = (f64::from(self.budget.at_once) * self.share).floor();
        // In range: a share of a u32.
        (whole as u32).clamp(1, self.budget.at_once.max(1)).saturating_sub(self.foreign())
    }

    pub(super) fn foreign(&self) -> u32 {
        self.read.map_or(0, |reading| reading.foreign.running)
    }

    /// Takes a reading over.
    pub(super) fn read(&mut self, reading: Reading, now: Moment) -> Change {
        self.bucket.take(f64::from(reading.foreign.begun));
        self.read = Some(reading);
        let before = self.closed;
        match judge(&reading) {
            Verdict::Closed(why) => self.close(why),
            verdict if self.is_recovering => self.recover(verdict == Verdict::Well, now),
            _ if now < self.learns_until => self.closed = Some(Closed::Learning),
            Verdict::Well => {
                (self.closed, self.stuck) = (None, None);
                self.grow(now);
            }
            Verdict::Worse(why) => {
                self.closed = None;
                self.halve(why, now);
                self.learn_when_stuck(why, now);
            }
        }
        change(before, self.closed)
    }

    /// Time goes by.
    pub(super) fn pass(&mut self, now: Moment) -> Change {
        let before = self.closed;
        let is_stale = self.read.is_none_or(|reading| now.since(reading.at) >= STALE_AFTER);
        if is_stale && before.is_none() {
            self.closed = Some(Closed::Unread);
        }
        self.bucket.fill(self.rate(), now);
        change(before, self.closed)
    }

    fn close(&mut self, why: Closed) {
        if matches!(why, Closed::Sick(_)) {
            (self.share, self.is_recovering) = (SHARE_MIN, true);
        }
        (self.closed, self.well_since) = (Some(why), None);
    }

    fn recover(&mut self, is_well: bool, now: Moment) {
        self.closed = Some(Closed::Resuming);
        if !is_well {
            self.well_since = None;
            return;
        }
        let since = *self.well_since.get_or_insert(now);
        if now.since(since) >= RESUME_AFTER {
            (self.closed, self.well_since, self.is_recovering) = (None, None, false);
            (self.share, self.grown) = (SHARE_MIN, now);
        }
    }

    fn grow(&mut self, now: Moment) {
        if now.since(self.grown) >= GROW_EVERY {
            self.share = (self.share + GROW_BY).min(1.0);
            self.grown = now;
        }
    }

    fn halve(&mut self, why: &'static str, now: Moment) {
        if now.since(self.halved) >= HALVE_EVERY {
            self.share = (self.share / 2.0).max(SHARE_MIN);
            self.halved = now;
            self.worse = Some(why);
        }
        // A second that was worse adds nothing.
        self.grown = now;
    }

    /// What is usual was learnt before: by now writes may be slower without any schema change, and would hold
    /// them up for ever.
    fn learn_when_stuck(&mut self, why: &'static str, now: Moment) {
        if why != SLOW_WRITES || self.share > SHARE_MIN {
            self.stuck = None;
            return;
        }
        if now.since(*self.stuck.get_or_insert(now)) >= STUCK_FOR {
            (self.stuck, self.learns_until) = (None, now.after(LEARN_FOR));
            self.closed = Some(Closed::Learning);
        }
    }

    /// Says whether something may be begun now.
    pub(super) fn admits(&self) -> bool {
        self.closed.is_none() && self.occupied < self.at_once() && self.bucket.has_any()
    }

    /// Something is begun that takes so many statements.
    pub(super) fn take(&mut self, statements: u16) {
        self.occupied += 1;
        self.bucket.take(f64::from(statements));
    }
}

fn change(before: Option<Closed>, after: Option<Closed>) -> Change {
    let is_sick = |closed: Option<Closed>| matches!(closed, Some(Closed::Sick(_) | Closed::Resuming));
    match (before, after) {
        (before, after) if is_sick(after) && !is_sick(before) => Change::BecameSick,
        (None, Some(_)) => Change::BecameClosed,
        (Some(_), None) => Change::Opened,
        _ => Change::Nothing,
    }
}
