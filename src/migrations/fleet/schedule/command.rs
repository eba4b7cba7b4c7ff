//! What operators can do with a fleet migration.

use super::act::{Act, Step, Work};
use super::campaign::Campaign;
use super::scheduler::Scheduler;
use crate::ids::{MigrationId, UserName};
use crate::migrations::fleet::ledger::{
    Action, Kind, Moment, Order, OrderStep, Pace, Phase, Record, Row, StepKind, Transition, Wanted, Wave,
};
use crate::sql::quote;

/// What an operator wants.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Begins nothing more; what is being changed comes to its end.
    Pause,
    /// Goes on after a pause, or after it stopped.
    Resume,
    /// Ends it: nothing more is begun, what is being changed is stopped where that can be done, what is done
    /// stays.
    Cancel,
    /// Tries every failed database again.
    RetryFailed,
    /// Leaves a database out.
    Skip {
        /// The database.
        database: String,
    },
    /// Goes no faster than this on each cluster; absent: as fast as the clusters' budgets allow.
    SetPace(Option<Pace>),
}

/// Why a command is not followed. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such migration.
    #[error("no fleet migration {0}")]
    NotFound(MigrationId),
    /// It is in a phase in which that means nothing.
    #[error("fleet migration {id} is {phase}")]
    NotNow {
        /// The migration.
        id: MigrationId,
        /// Its phase.
        phase: &'static str,
    },
    /// It has no such database.
    #[error("fleet migration {id} has no database {database}")]
    NoDatabase {
        /// The migration.
        id: MigrationId,
        /// The database.
        database: String,
    },
    /// The database is being changed, or is done.
    #[error("database {database} is {standing}")]
    DatabaseNotNow {
        /// The database.
        database: String,
        /// Where it stands.
        standing: &'static str,
    },
    /// No database failed.
    #[error("no database of fleet migration {0} failed")]
    NothingFailed(MigrationId),
    /// A pace that gets nowhere.
    #[error("a pace has at least one database at once and more than 0 statements a second")]
    NoPace,
    /// It has changed nothing that could be taken back.
    #[error("fleet migration {0} has changed nothing")]
    NothingChanged(MigrationId),
    /// A table that was dropped, or a view, is not brought back.
    #[error("fleet migration {0} drops a table, or is about views: that is not taken back")]
    Irreversible(MigrationId),
    /// What it did is not settled.
    #[error("fleet migration {id} is {phase}: cancel it first, and wait until it is at rest")]
    NotAtRest {
        /// The migration.
        id: MigrationId,
        /// Its phase.
        phase: &'static str,
    },
}

impl Scheduler {
    /// Does what an operator wants.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn command(
        &mut self,
        id: &MigrationId,
        command: &Command,
        by: &UserName,
        now: Moment,
    ) -> Result<Step, Refusal> {
        let turn = self.next_turn();
        let Some(campaign) = self.campaigns.get_mut(id) else {
            return Err(Refusal::NotFound(id.clone()));
        };
        let phase = &campaign.header.progress.phase;
        let not_now = || Refusal::NotNow { id: id.clone(), phase: phase.word() };
        match (command, phase) {
            // Active, Stopped → Paused
            (Command::Pause, Phase::Active | Phase::Stopped { .. }) => {
                campaign.set_phase(Phase::Paused { by: by.clone() });
            }
            // Paused, Stopped → Active
            (Command::Resume, Phase::Paused { .. } | Phase::Stopped { .. }) => {
                campaign.set_phase(Phase::Active);
                campaign.progress().closings = 0;
            }
            // Active, Paused, Stopped → Cancelled
            (Command::Cancel, Phase::Active | Phase::Paused { .. } | Phase::Stopped { .. }) => {
                campaign.set_phase(Phase::Cancelled { by: by.clone() });
                let running = campaign.rows_of(Kind::Running);
                let acts = running.into_iter().map(|row| Act::Stop(Work::of(campaign, row))).collect();
                return Ok(Step { acts, events: Vec::new() });
            }
            // Active, Paused, Stopped, Finished → Active
            (Command::RetryFailed, phase) if !matches!(phase, Phase::Cancelled { .. }) => {
                retry_failed(campaign, turn, now)?;
            }
            (Command::Skip { database }, phase)
                if !matches!(phase, Phase::Cancelled { .. } | Phase::Refused { .. }) =>
            {
                return self.skip(id, database, now);
            }
            (Command::SetPace(pace), phase)
                if !matches!(phase, Phase::Cancelled { .. } | Phase::Refused { .. } | Phase::Finished) =>
            {
                if pace.is_some_and(|pace| !pace.is_valid()) {
                    return Err(Refusal::NoPace);
                }
                campaign.progress().pace = *pace;
            }
            _ => return Err(not_now()),
        }
        Ok(Step::default())
    }

    fn skip(&mut self, id: &MigrationId, database: &str, now: Moment) -> Result<Step, Refusal> {
        let campaign = self.campaigns.get_mut(id).ok_or_else(|| Refusal::NotFound(id.clone()))?;
        let row = campaign
            .row_of(database)
            .ok_or_else(|| Refusal::NoDatabase { id: id.clone(), database: database.to_owned() })?;
        let lane = campaign.lane(row);
        let before = campaign.occupied(lane);
        campaign.change(row, &Transition::Skip, now).map_err(|illegal| Refusal::DatabaseNotNow {
            database: database.to_owned(),
            standing: illegal.from.word(),
        })?;
        let left = before.saturating_sub(campaign.occupied(lane));
        if campaign.is_over() {
            campaign.tally(&self.lanes);
        }
        self.release(lane, left);
        Ok(Step::default())
    }

    /// What takes back what a migration that is at rest has changed: the order and its rows. The databases
    /// are done in the order in which they were changed, the first of each cluster before the rest.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], [`Refusal::NotAtRest`], [`Refusal::NothingChanged`],
    /// [`Refusal::Irreversible`].
    pub fn revert(
        &self,
        id: &MigrationId,
        new: MigrationId,
        by: &UserName,
        now: Moment,
    ) -> Result<(Order, Vec<Row>), Refusal> {
        let campaign = self.campaigns.get(id).ok_or_else(|| Refusal::NotFound(id.clone()))?;
        if !campaign.is_over() {
            let phase = campaign.header.progress.phase.word();
            return Err(Refusal::NotAtRest { id: id.clone(), phase });
        }
        let changed = campaign.rows.iter().filter(|row| may_be_changed(row));
        let mut rows: Vec<Row> =
            changed.map(|row| Row { wave: 1, record: Record::WAITING, ..row.clone() }).collect();
        if rows.is_empty() {
            return Err(Refusal::NothingChanged(id.clone()));
        }
        let mut seen = Vec::new();
        for row in &mut rows {
            if !seen.contains(&row.cluster) {
                seen.push(row.cluster.clone());
                row.wave = 0;
            }
        }
        let order = campaign.order();
        for row in &mut rows {
            row.there = turned(row.not_taken_back(order.steps.len()), order.steps.len());
            (row.made, row.unsure) = (0, 0);
        }
        let steps = order.steps.iter().rev().map(reversed).collect::<Option<Vec<_>>>();
        let steps = steps.ok_or_else(|| Refusal::Irreversible(id.clone()))?;
        let databases = |wave| u32::try_from(rows.iter().filter(|row| row.wave == wave).count());
        let wave = |name: &str, at, failures_max| Wave {
            name: name.to_owned(),
            databases: databases(at).unwrap_or(u32::MAX),
            soak_ms: 0,
            failures_max,
            closings_max: 3,
        };
        let order = Order {
            id: new,
            // What took something back is taken back by the statements themselves.
            action: Action::Revert {
                of: id.clone(),
                redoes: matches!(order.action, Action::Revert { redoes: false, .. }),
            },
            steps,
            again: None,
            waves: vec![wave("first of each cluster", 0, 0), wave("all", 1, 10)],
            user: by.clone(),
            submitted: now,
            ..Order::clone(order)
        };
        Ok((order, rows))
    }
}

/// Says whether a migration that is at rest has changed a database, or may have, or a part of it: of several
/// statements the first may be done where a later one failed, or was not come to, and an attempt of which
/// nothing was heard may have done what the next one found there.
fn may_be_changed(row: &Row) -> bool {
    match row.record.standing.kind() {
        Kind::Changed => true,
        Kind::Running | Kind::Unsure => false,
        _ => row.made | row.unsure != 0,
    }
}

/// Bits of so many steps, for the same steps the other way round.
fn turned(bits: u64, steps: usize) -> u64 {
    (0..steps).filter(|at| bits >> at & 1 == 1).map(|at| 1 << (steps - 1 - at)).sum()
}

/// The step that takes one back; `None` when there is none.
fn reversed(step: &OrderStep) -> Option<OrderStep> {
    let turn = |wanted: &Wanted| Wanted { from: wanted.to, to: wanted.from };
    let wanted = step.wanted.iter().map(turn).collect();
    match step.kind {
        StepKind::Alter => Some(OrderStep { wanted, ..step.clone() }),
        StepKind::CreateTable => {
            let text = format!("DROP TABLE {}", quote::identifier(&step.table));
            Some(OrderStep { text, kind: StepKind::DropTable, wanted, ..step.clone() })
        }
        StepKind::DropTable | StepKind::CreateView | StepKind::DropView => None,
    }
}

fn retry_failed(campaign: &mut Campaign, turn: u64, now: Moment) -> Result<(), Refusal> {
    let failed = campaign.rows_of(Kind::Failed);
    if failed.is_empty() {
        return Err(Refusal::NothingFailed(campaign.id().clone()));
    }
    for row in failed {
        campaign.change(row, &Transition::Retry, now).expect("it failed");
    }
    let was_over = campaign.is_over();
    let progress = campaign.progress();
    if was_over {
        // Others may have begun to change the table since: it comes after them.
        progress.turn = turn;
    }
    (progress.ended, progress.totals, progress.closings) = (None, None, 0);
    progress.parts.clear();
    campaign.set_phase(Phase::Active);
    Ok(())
}
