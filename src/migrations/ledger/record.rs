//! What is written down of one migration.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::FIRST_EPOCH;
use crate::ids::{MigrationId, UserName};
use crate::migrations::ARTIFACTS;
use crate::migrations::request::MigrationRequest;
use crate::migrations::run::Step;
use crate::migrations::view::{Failure, Progress, State};

/// Digits of an id that are its time.
const TIME_DIGITS: usize = 12;
/// Digits of an id.
const ID_DIGITS: usize = 16;

/// One migration. Replaced as a whole by compare-and-swap in the store; a copy of it is on the cluster, for
/// people and for finding what was left behind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::migrations) struct Record {
    pub(in crate::migrations) id: MigrationId,
    pub(in crate::migrations) request: MigrationRequest,
    pub(in crate::migrations) state: State,
    /// The step that is being carried out, or was last.
    pub(in crate::migrations) step: Step,
    /// What operators want.
    pub(in crate::migrations) orders: Orders,
    /// As of the last time it was written down.
    pub(in crate::migrations) progress: Progress,
    /// The proxy that carries it out.
    pub(in crate::migrations) owner: Option<String>,
    /// Grows each time it is taken up (`fence`).
    #[serde(default)]
    pub(in crate::migrations) epoch: u64,
    pub(in crate::migrations) submitted: SystemTime,
    pub(in crate::migrations) ended: Option<SystemTime>,
    pub(in crate::migrations) swapped: Option<SystemTime>,
    pub(in crate::migrations) swap_took: Option<Duration>,
    /// Longest that the comparison made writers wait; absent before there was one.
    #[serde(default)]
    pub(in crate::migrations) verify_held: Option<Duration>,
    pub(in crate::migrations) attempts: u32,
    /// Rows at the end of the copy.
    pub(in crate::migrations) rows: u64,
    /// Why it failed, or what it waits for.
    pub(in crate::migrations) failure: Option<Failure>,
    pub(in crate::migrations) message: Option<String>,
    /// Both definitions, as SHOW CREATE TABLE gives them; the second without the shadow table's own name.
    pub(in crate::migrations) definitions: Option<Definitions>,
    /// It was carried out by the server itself, on the table: nothing was copied, and it is only kept to tell
    /// of it.
    #[serde(default)]
    pub(in crate::migrations) is_direct: bool,
    /// Its tables are in databases of its own, since names of checks are unique in a database of MySQL's.
    #[serde(default)]
    pub(in crate::migrations) has_own_databases: bool,
    /// A table that was put aside; absent when there is none (any more).
    pub(in crate::migrations) kept: Option<Kept>,
    pub(in crate::migrations) reverts: Option<MigrationId>,
    /// Changes may have been applied to the kept table that it puts back: that is not as of its position any
    /// more.
    #[serde(default)]
    pub(in crate::migrations) has_replayed: bool,
    pub(in crate::migrations) reverted_by: Option<MigrationId>,
}

/// What the table was and is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::migrations) struct Definitions {
    pub(in crate::migrations) before: String,
    pub(in crate::migrations) after: String,
}

/// A table that was put aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::migrations) struct Kept {
    /// When it is dropped.
    pub(in crate::migrations) until: SystemTime,
    /// Where the binary log was when the tables were exchanged: changes of the table from there on are not in
    /// it. Absent when the server has none.
    pub(in crate::migrations) position: Option<String>,
}

/// What operators want of a migration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::migrations) struct Orders {
    pub(in crate::migrations) is_paused: bool,
    pub(in crate::migrations) throttled_until: Option<SystemTime>,
    pub(in crate::migrations) is_postponed: bool,
    pub(in crate::migrations) is_forced: bool,
    pub(in crate::migrations) cancelled_by: Option<UserName>,
}

impl Record {
    /// One that begins.
    pub(in crate::migrations) fn new(id: MigrationId, request: MigrationRequest, now: SystemTime) -> Self {
        let orders = Orders { is_postponed: request.postponed, ..Orders::default() };
        Self {
            id,
            request,
            state: State::Queued,
            step: Step::Claim,
            orders,
            progress: Progress::default(),
            owner: None,
            epoch: 0,
            submitted: now,
            ended: None,
            swapped: None,
            swap_took: None,
            verify_held: None,
            attempts: 0,
            rows: 0,
            failure: None,
            message: None,
            definitions: None,
            is_direct: false,
            has_own_databases: false,
            kept: None,
            reverts: None,
            has_replayed: false,
            reverted_by: None,
        }
    }

    /// One that the server has carried out.
    pub(in crate::migrations) fn direct(id: MigrationId, request: MigrationRequest, now: SystemTime) -> Self {
        Self {
            state: State::Done,
            step: Step::Retire,
            is_direct: true,
            ended: Some(now),
            ..Self::new(id, request, now)
        }
    }

    /// Where it stands, for people.
    pub(in crate::migrations) fn step_name(&self) -> &'static str {
        if self.is_direct { "in_place" } else { self.step.name() }
    }

    /// State and step for people; `live` is where this proxy is with it. Of a light one nothing else tells.
    pub(in crate::migrations) fn place(&self, live: Option<Step>) -> (State, &'static str) {
        match live.filter(|_| self.state == State::Queued && self.is_light()) {
            Some(step) => (step.state(), step.name()),
            None => (self.state, self.step_name()),
        }
    }

    /// Says whether whoever took it up under this epoch may write about it.
    pub(in crate::migrations) fn is_under(&self, epoch: u64) -> bool {
        self.epoch == epoch && !self.state.is_over()
    }

    /// Says whether it is one of a fleet's copies that may be of one chunk: there are thousands of them, so
    /// nothing is written of it between its beginning and its end, neither in the store nor on the cluster.
    /// Not so any more once it is known to be larger.
    pub(in crate::migrations) fn is_light(&self) -> bool {
        self.request.is_paced && self.reverts.is_none() && self.definitions.is_none()
    }

    /// Says whether the tables may have been exchanged by whoever carried it out before. A light one does not
    /// say so by its step.
    pub(in crate::migrations) fn may_be_swapped(&self) -> bool {
        let was_taken_up_before = self.epoch > FIRST_EPOCH;
        self.state == State::Unknown
            || self.step.may_be_swapped()
            || (self.is_light() && was_taken_up_before && self.step <= Step::Await)
    }

    /// Name of its shadow table.
    pub(in crate::migrations) fn shadow(&self) -> String {
        shadow_name(&self.id)
    }

    /// Name of the table that it puts aside.
    pub(in crate::migrations) fn old(&self) -> String {
        old_name(&self.id)
    }

    /// Database of its shadow table.
    pub(in crate::migrations) fn home(&self) -> String {
        if self.has_own_databases { format!("{ARTIFACTS}_{}", self.id) } else { ARTIFACTS.to_owned() }
    }

    /// Database of the table that it puts aside.
    pub(in crate::migrations) fn old_home(&self) -> String {
        if self.has_own_databases { format!("{ARTIFACTS}_{}_old", self.id) } else { ARTIFACTS.to_owned() }
    }
}

/// Name of a migration's shadow table.
pub(in crate::migrations) fn shadow_name(id: &MigrationId) -> String {
    format!("new_{id}")
}

/// Name of the table that a migration puts aside.
pub(in crate::migrations) fn old_name(id: &MigrationId) -> String {
    format!("old_{id}")
}

/// A new id: the time, and sixteen random bits for those of one millisecond.
pub(in crate::migrations) fn new_id(now: SystemTime) -> MigrationId {
    let ms = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() & 0xffff_ffff_ffff;
    let random = RandomState::new().build_hasher().finish() & 0xffff;
    MigrationId::new(format!("{ms:012x}{random:04x}"))
}

/// The id in the name of a table that a migration made; `None` for any other table.
pub(in crate::migrations) fn id_in(table: &str) -> Option<MigrationId> {
    let digits = table.strip_prefix("new_").or_else(|| table.strip_prefix("old_"))?;
    is_id(digits).then(|| MigrationId::new(digits))
}

/// Says whether a text has the form of an id.
pub(in crate::migrations) fn is_id(text: &str) -> bool {
    text.len() == ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// The id in the name of a database that a migration made for itself.
pub(in crate::migrations) fn id_in_database(database: &str) -> Option<MigrationId> {
    let digits = database.strip_prefix(ARTIFACTS)?.strip_prefix('_')?;
    let digits = digits.strip_suffix("_old").unwrap_or(digits);
    is_id(digits).then(|| MigrationId::new(digits))
}

/// When a migration was asked for, by its id.
pub(in crate::migrations) fn time_of(id: &MigrationId) -> Option<SystemTime> {
    let ms = u64::from_str_radix(id.as_str().get(..TIME_DIGITS)?, 16).ok()?;
    Some(UNIX_EPOCH + Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_light_one_is_where_this_proxy_is_with_it() {
        let mut record = crate::migrations::testing::record(new_id(UNIX_EPOCH));
        record.request.is_paced = true;
        assert_eq!(record.place(None), (State::Queued, "claim"));
        assert_eq!(record.place(Some(Step::Shadow)), (State::Preparing, "shadow"));
        assert_eq!(record.place(Some(Step::Gate)), (State::CuttingOver, "gate"));
        // What is written down is newer.
        (record.state, record.step) = (State::Done, Step::Retire);
        assert_eq!(record.place(Some(Step::Gate)), (State::Done, "retire"));
        (record.state, record.step) = (State::Queued, Step::Claim);
        record.request.is_paced = false;
        assert_eq!(record.place(Some(Step::Gate)), (State::Queued, "claim"));
    }

    #[test]
    fn ids_tell_their_time_and_sort_by_it() {
        let at = |ms| UNIX_EPOCH + Duration::from_millis(ms);
        let (early, late) = (new_id(at(1_764_000_000_000)), new_id(at(1_764_000_000_001)));
        assert!(early < late);
        assert_eq!(time_of(&early), Some(at(1_764_000_000_000)));
        assert_eq!(id_in(&shadow_name(&early)), Some(early.clone()));
        assert_eq!(id_in(&old_name(&early)), Some(early));
        let mut record = crate::migrations::testing::record(late.clone());
        record.has_own_databases = true;
        assert_eq!(id_in_database(&record.home()), Some(late.clone()));
        assert_eq!(id_in_database(&record.old_home()), Some(late));
        assert_eq!(id_in_database(ARTIFACTS), None);
        for other in ["new_", "new_x", "old_0123456789abcde", "old_0123456789ABCDEF", "orders", "migrations"]
        {
            assert_eq!(id_in(other), None, "{other}");
        }
    }
}
