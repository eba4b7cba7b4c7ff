//! What waited behind another migration that changes one of its tables is planned again when its turn comes:
//! the definitions that it was planned against are not those of its databases any more.
//!
//! Such a migration is *provisional*: its rows say which databases it is about, and nothing is begun. When
//! its turn has come, [`Act::Plan`] asks for a plan; [`Scheduler::planned`] makes a header and rows of it,
//! which are written down as a whole before they hold. Whatever happens before that is written, it is planned
//! once more.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::act::{Act, Event};
use super::scheduler::Scheduler;
use crate::ids::{ClusterName, MigrationId, WorkspaceId};
use crate::migrations::fleet::ledger::{Header, Kind, Moment, Order, Phase, Record, Row, Standing, Wave};

/// Databases that could not be read are read again after so long.
pub const PLAN_AGAIN: Duration = Duration::from_secs(10);

/// An order that was planned again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Afresh {
    /// With the definitions and waves of now.
    pub order: Order,
    /// What is to be done, in order, and what drifted.
    pub rows: Vec<Row>,
    /// Databases in which nothing is to be done: there, or gone.
    pub settled: Vec<Row>,
}

/// Why an order was not planned again; nothing was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unplanned {
    /// Its databases could not be read; in words. Another try may help.
    Later(String),
    /// It cannot be carried out as its databases are by now; in words.
    Refused(String),
}

/// Where the planning of a provisional migration stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Planning {
    /// To be begun when its turn has come, and not before then.
    Due {
        /// Then.
        not_before: Moment,
        /// Why it came to nothing the last time.
        trouble: Option<String>,
    },
    /// Under way.
    Begun,
}

impl Default for Planning {
    fn default() -> Self {
        Self::Due { not_before: Moment::default(), trouble: None }
    }
}

impl Planning {
    pub(super) fn trouble(&self) -> Option<&str> {
        match self {
            Self::Due { trouble, .. } => trouble.as_deref(),
            Self::Begun => None,
        }
    }

    fn is_due(&self, now: Moment) -> bool {
        matches!(self, Self::Due { not_before, .. } if *not_before <= now)
    }
}

impl Scheduler {
    /// Says whether one that is not over changes a table of this order: a plan that is made now will be an
    /// old one.
    pub fn is_behind(&self, order: &Order) -> bool {
        let own: HashSet<String> = order.tables.iter().map(|table| table.to_lowercase()).collect();
        let shares = |other: &Order| {
            other.keyspace == order.keyspace
                && other.tables.iter().any(|table| own.contains(&table.to_lowercase()))
        };
        self.campaigns.values().any(|campaign| !campaign.is_over() && shares(campaign.order()))
    }

    /// Those whose turn has come, and that have to be planned again first.
    pub(super) fn plan_those_due(&mut self, now: Moment) -> Vec<Act> {
        let mut due = Vec::new();
        for (campaign, behind) in self.in_turn() {
            let is_first = behind.is_none() && campaign.is_active();
            if is_first && campaign.is_provisional() && campaign.planning.is_due(now) {
                due.push(campaign.id().clone());
            }
        }
        let mut acts = Vec::with_capacity(due.len());
        for id in due {
            if let Some(campaign) = self.campaigns.get_mut(&id) {
                campaign.planning = Planning::Begun;
                acts.push(Act::Plan(campaign.order().clone()));
            }
        }
        acts
    }

    /// The header and rows of one that was planned again, to be written down and then inserted in place of
    /// what is known; `None` when nobody waits for them any more. What operators left out meanwhile stays
    /// left out; a database that was to be changed and is as it should be is *there*, one that is no more is
    /// *gone*.
    pub fn planned(&self, id: &MigrationId, afresh: Afresh, now: Moment) -> Option<(Header, Vec<Row>)> {
        let campaign = self.campaigns.get(id).filter(|campaign| campaign.is_provisional())?;
        if campaign.is_over() || matches!(campaign.header.progress.phase, Phase::Cancelled { .. }) {
            return None;
        }
        let Afresh { mut order, mut rows, settled } = afresh;
        let others = merge(&campaign.rows, &mut rows, settled, now);
        let more = u32::try_from(others.len()).expect("a million at most");
        match order.waves.last_mut() {
            Some(last) => last.databases += more,
            None => order.waves.push(all(more)),
        }
        let last = u16::try_from(order.waves.len() - 1).expect("there are few waves");
        rows.extend(others.into_iter().map(|row| Row { wave: last, ..row }));
        order.again = None;
        let header = Header {
            order: Arc::new(order),
            databases: u32::try_from(rows.len()).expect("a million at most"),
            is_provisional: false,
            edition: campaign.header.edition + 1,
            ..campaign.header.clone()
        };
        Some((header, rows))
    }

    /// One could not be planned again: it is tried once more, or ends without anything begun.
    pub fn unplanned(&mut self, id: &MigrationId, why: Unplanned, now: Moment) -> Vec<Event> {
        let Some(campaign) = self.campaigns.get_mut(id) else { return Vec::new() };
        let is_cancelled = matches!(campaign.header.progress.phase, Phase::Cancelled { .. });
        if !campaign.is_provisional() || campaign.is_over() || is_cancelled {
            return Vec::new();
        }
        match why {
            Unplanned::Later(why) => {
                campaign.planning = Planning::Due { not_before: now.after(PLAN_AGAIN), trouble: Some(why) };
                Vec::new()
            }
            Unplanned::Refused(why) => {
                campaign.set_phase(Phase::Refused { why });
                campaign.end(&self.lanes, now);
                vec![Event::Ended { id: id.clone() }]
            }
        }
    }
}

/// A database, wherever it is by now: its workspace, or the cluster of one that has none.
type Name = (Option<WorkspaceId>, Option<ClusterName>);

fn name_of(row: &Row) -> Name {
    match &row.workspace {
        Some(workspace) => (Some(workspace.clone()), None),
        None => (None, Some(row.cluster.clone())),
    }
}

/// Leaves out what operators left out, and gives those of the old rows that the new ones do not have.
fn merge(old: &[Row], rows: &mut [Row], settled: Vec<Row>, now: Moment) -> Vec<Row> {
    let ended = |standing| Record { standing, ended: Some(now), ..Record::WAITING };
    let is_skipped = |row: &&Row| row.record.standing.kind() == Kind::Skipped;
    let skipped: HashSet<Name> = old.iter().filter(is_skipped).map(name_of).collect();
    for row in rows.iter_mut().filter(|row| skipped.contains(&name_of(row))) {
        row.record = ended(Standing::Skipped);
    }
    let known: HashSet<Name> = rows.iter().map(name_of).collect();
    let mut settled: HashMap<Name, Row> = settled.into_iter().map(|row| (name_of(&row), row)).collect();
    let mut others = Vec::new();
    for row in old {
        let name = name_of(row);
        if known.contains(&name) {
            continue;
        }
        let found = settled.remove(&name);
        let record = match &found {
            _ if skipped.contains(&name) => ended(Standing::Skipped),
            Some(found) => Record { ended: Some(now), ..found.record.clone() },
            None => ended(Standing::Gone),
        };
        others.push(Row { record, ..found.unwrap_or_else(|| row.clone()) });
    }
    others
}

/// The one wave of a migration that has nothing to do.
fn all(databases: u32) -> Wave {
    Wave { name: "all".to_owned(), databases, soak_ms: 0, failures_max: 0, closings_max: 0 }
}
