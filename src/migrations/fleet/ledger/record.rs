//! Where one database of a fleet migration stands, and how that changes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::migrations::Failure;

/// A database is tried so often before it counts as failed.
pub const TRIES_MAX: u16 = 5;
/// So many of which it had to be looked what became of them, and that had done nothing.
const UNSURE_TRIES_MAX: u16 = 4 * TRIES_MAX;
/// Wait after the first try; twice as long after each further one.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Longest wait between two tries, and between two looks.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Bytes of an error's text that are kept.
const MESSAGE_BYTES_MAX: usize = 512;

/// Milliseconds since 1970. Whoever drives a scheduler makes it from a clock that does not go back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(pub u64);

impl Moment {
    /// From a wall clock; what is before 1970 is 1970.
    pub fn from_wall(at: SystemTime) -> Self {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// So much later.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long it is since `earlier`; nothing when that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Why a database is left for later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Its workspace is being moved.
    Moving,
    /// Its workspace is suspended.
    Suspended,
    /// Its shard is drained.
    Drained,
    /// It cannot be said where it is: its page of the directory cannot be read, or its shard is not in the
    /// config.
    Unplaced,
}

impl Why {
    /// One word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Moving => "moving",
            Self::Suspended => "suspended",
            Self::Drained => "drained",
            Self::Unplaced => "unplaced",
        }
    }
}

/// Where a database stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It is still to come.
    Waiting,
    /// It is left for later.
    Later(Why),
    /// It is being changed. Written before anything is sent.
    Running {
        /// The proxy that changes it.
        owner: Box<str>,
    },
    /// It was begun, and what became of it is not known: it is looked at before anything else is done.
    Unsure,
    /// It was changed.
    Changed,
    /// It had the definition already.
    There,
    /// Its definition is none that the plan knows: it was left as it is.
    Drifted,
    /// It was not changed, and will not be without an operator.
    Failed,
    /// An operator left it out.
    Skipped,
    /// The database or the table is not there any more.
    Gone,
}

/// The kinds of [`Standing`], for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// [`Standing::Waiting`].
    Waiting,
    /// [`Standing::Later`].
    Later,
    /// [`Standing::Running`].
    Running,
    /// [`Standing::Unsure`].
    Unsure,
    /// [`Standing::Changed`].
    Changed,
    /// [`Standing::There`].
    There,
    /// [`Standing::Drifted`].
    Drifted,
    /// [`Standing::Failed`].
    Failed,
    /// [`Standing::Skipped`].
    Skipped,
    /// [`Standing::Gone`].
    Gone,
}

impl Kind {
    /// Every kind, in order.
    pub const ALL: [Self; 10] = [
        Self::Waiting,
        Self::Later,
        Self::Running,
        Self::Unsure,
        Self::Changed,
        Self::There,
        Self::Drifted,
        Self::Failed,
        Self::Skipped,
        Self::Gone,
    ];

    /// One word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Later => "later",
            Self::Running => "running",
            Self::Unsure => "unsure",
            Self::Changed => "changed",
            Self::There => "there",
            Self::Drifted => "drifted",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Gone => "gone",
        }
    }

    /// Says whether nothing more happens to such a database by itself.
    pub fn is_over(self) -> bool {
        self >= Self::Changed
    }
}

/// How many databases there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counts([u32; Kind::ALL.len()]);

impl Counts {
    /// How many there are of one kind.
    pub fn of(&self, kind: Kind) -> u32 {
        self.0[kind as usize]
    }

    /// All of them.
    pub fn total(&self) -> u32 {
        self.0.iter().sum()
    }

    /// Those of which nothing more is to come.
    pub fn over(&self) -> u32 {
        Kind::ALL.iter().filter(|kind| kind.is_over()).map(|kind| self.of(*kind)).sum()
    }

    /// Those that have the wanted definition.
    pub fn done(&self) -> u32 {
        self.of(Kind::Changed) + self.of(Kind::There)
    }

    pub(in crate::migrations::fleet) fn add(&mut self, kind: Kind) {
        self.0[kind as usize] += 1;
    }

    pub(in crate::migrations::fleet) fn remove(&mut self, kind: Kind) {
        let count = &mut self.0[kind as usize];
        *count = count.checked_sub(1).expect("every row is counted under its own kind");
    }

    pub(in crate::migrations::fleet) fn plus(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(own, more)| *own += more);
    }
}

impl Standing {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Waiting => Kind::Waiting,
            Self::Later(_) => Kind::Later,
            Self::Running { .. } => Kind::Running,
            Self::Unsure => Kind::Unsure,
            Self::Changed => Kind::Changed,
            Self::There => Kind::There,
            Self::Drifted => Kind::Drifted,
            Self::Failed => Kind::Failed,
            Self::Skipped => Kind::Skipped,
            Self::Gone => Kind::Gone,
        }
    }
}

/// What is written down of one database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Where it stands.
    #[serde(rename = "s")]
    pub standing: Standing,
    /// How often it was begun.
    #[serde(rename = "a", default, skip_serializing_if = "is_zero")]
    pub attempts: u16,
    /// The same since it was first begun, or since an operator told to try again.
    #[serde(rename = "t", default, skip_serializing_if = "is_zero")]
    pub tries: u16,
    /// When it was begun last.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub began: Option<Moment>,
    /// When it was over.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Moment>,
    /// It is not begun, nor looked at, before then.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Moment>,
    /// What went wrong last; for a drifted one, what it is like.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Box<Failure>>,
}

fn is_zero(number: &u16) -> bool {
    *number == 0
}

impl Record {
    /// One that is still to come.
    pub const WAITING: Self = Self {
        standing: Standing::Waiting,
        attempts: 0,
        tries: 0,
        began: None,
        ended: None,
        not_before: None,
        failure: None,
    };
}

/// What became of a database that was begun, or what a look at it showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was changed. From a look: it has the definition, and it was begun before.
    Changed,
    /// It had the definition before anything was done.
    There,
    /// Its definition is none that the plan knows; nothing was done. In words, what it is like.
    Drifted(String),
    /// The database or its table is not there.
    Gone,
    /// It is unchanged for sure, and another try may help: a lock was not got, a connection not made.
    Again(Failure),
    /// It is unchanged for sure, and another try does not help.
    Failed(Failure),
    /// It is not known whether it is changed.
    Unknown(Failure),
    /// It is unchanged for sure; its workspace or shard is not to be touched now.
    Later(Why),
    /// It is unchanged for sure, because it was stopped; from a look: it has the old definition, and nothing
    /// is at work on it.
    Unchanged,
    /// From a look: a statement or a copy is still at work on it.
    StillRunning,
}

/// What a change of a database saw of its order's steps: one bit each, the lowest the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Steps {
    /// Those that it found done.
    pub there: u64,
    /// Those that it did.
    pub made: u64,
    /// Those that it may have done.
    pub unsure: u64,
}

impl Steps {
    /// Any of them may have been done.
    pub const LOST: Self = Self { there: 0, made: 0, unsure: u64::MAX };
}

/// How a change of a database ended, or a look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// What became of the database.
    pub outcome: Outcome,
    /// What became of its steps, also where a later one failed.
    pub steps: Steps,
}

impl From<Outcome> for Ending {
    /// Without anything seen of steps.
    fn from(outcome: Outcome) -> Self {
        Self { outcome, steps: Steps::default() }
    }
}

/// A change of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transition {
    /// It is begun by this proxy.
    Begin(Box<str>),
    /// It ended, or a look at it did.
    End(Outcome),
    /// It is left for later, until then at least.
    SetAside(Why, Moment),
    /// Its time has come again.
    TakeBack,
    /// The proxy that had begun it is gone.
    Orphan,
    /// An operator wants it tried again.
    Retry,
    /// An operator leaves it out.
    Skip,
}

/// A transition that the row's standing does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a database that is {} cannot do that", from.word())]
pub struct Illegal {
    /// Where it stands.
    pub from: Kind,
}

/// How long to wait after so many tries.
pub fn retry_after(tries: u16) -> Duration {
    let doublings = u32::from(tries.saturating_sub(1)).min(6);
    (RETRY_FIRST * 2_u32.pow(doublings)).min(RETRY_MAX)
}

/// Changes a row.
///
/// # Errors
/// [`Illegal`]; the row is as it was.
pub fn apply(record: &mut Record, transition: &Transition, now: Moment) -> Result<(), Illegal> {
    let from = record.standing.kind();
    match (from, transition) {
        // Waiting → Running
        (Kind::Waiting, Transition::Begin(owner)) => {
            record.standing = Standing::Running { owner: owner.clone() };
            record.attempts = record.attempts.saturating_add(1);
            record.tries = record.tries.saturating_add(1);
            (record.began, record.ended, record.not_before) = (Some(now), None, None);
        }
        // Running, Unsure → what became of it
        (Kind::Running | Kind::Unsure, Transition::End(outcome)) => end(record, outcome, now),
        // Waiting → Later
        (Kind::Waiting, Transition::SetAside(why, until)) => {
            (record.standing, record.not_before) = (Standing::Later(*why), Some(*until));
        }
        // Waiting, Later → Waiting; Gone, when the database was found gone before it was begun
        (Kind::Waiting | Kind::Later, Transition::TakeBack) => {
            (record.standing, record.not_before) = (Standing::Waiting, None);
        }
        (Kind::Waiting | Kind::Later, Transition::End(Outcome::Gone)) => end(record, &Outcome::Gone, now),
        // Running → Unsure
        (Kind::Running, Transition::Orphan) => {
            (record.standing, record.not_before) = (Standing::Unsure, None);
        }
        // Failed, Drifted, Skipped, Gone → Waiting
        (Kind::Failed | Kind::Drifted | Kind::Skipped | Kind::Gone, Transition::Retry) => {
            record.standing = Standing::Waiting;
            (record.tries, record.ended, record.not_before) = (0, None, None);
        }
        // everything but Running and what is done → Skipped
        (
            Kind::Waiting | Kind::Later | Kind::Unsure | Kind::Failed | Kind::Drifted | Kind::Gone,
            Transition::Skip,
        ) => {
            (record.standing, record.ended, record.not_before) = (Standing::Skipped, Some(now), None);
        }
        _ => return Err(Illegal { from }),
    }
    Ok(())
}

fn end(record: &mut Record, outcome: &Outcome, now: Moment) {
    let over = |record: &mut Record, standing: Standing| {
        (record.standing, record.ended, record.not_before) = (standing, Some(now), None);
    };
    match outcome {
        Outcome::Changed => over(record, Standing::Changed),
        Outcome::There => over(record, Standing::There),
        Outcome::Gone => over(record, Standing::Gone),
        Outcome::Drifted(like) => {
            record.failure = Some(Box::new(Failure::new(cut(like))));
            over(record, Standing::Drifted);
        }
        Outcome::Failed(failure) => {
            record.failure = Some(Box::new(kept(failure)));
            over(record, Standing::Failed);
        }
        Outcome::Again(failure) => {
            record.failure = Some(Box::new(kept(failure)));
            if record.tries >= TRIES_MAX {
                over(record, Standing::Failed);
            } else {
                record.standing = Standing::Waiting;
                record.not_before = Some(now.after(retry_after(record.tries)));
            }
        }
        Outcome::Unknown(failure) => {
            record.failure = Some(Box::new(kept(failure)));
            (record.standing, record.not_before) =
                (Standing::Unsure, Some(now.after(look_again(record, now))));
        }
        Outcome::StillRunning => {
            (record.standing, record.not_before) =
                (Standing::Unsure, Some(now.after(look_again(record, now))));
        }
        Outcome::Later(why) => {
            (record.standing, record.not_before) = (Standing::Later(*why), Some(now.after(RETRY_MAX / 2)));
        }
        Outcome::Unchanged if record.standing == Standing::Unsure && record.tries >= UNSURE_TRIES_MAX => {
            over(record, Standing::Failed);
        }
        Outcome::Unchanged => {
            (record.standing, record.not_before) = (Standing::Waiting, None);
        }
    }
}

/// Soon after it was begun, later and later since.
fn look_again(record: &Record, now: Moment) -> Duration {
    let for_long = record.began.map_or(Duration::ZERO, |began| now.since(began));
    (for_long / 4).clamp(RETRY_FIRST, RETRY_MAX)
}

fn kept(failure: &Failure) -> Failure {
    Failure { server: failure.server.clone(), message: cut(&failure.message) }
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(MESSAGE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
