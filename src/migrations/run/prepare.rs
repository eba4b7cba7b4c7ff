//! Before the first row: the cluster's ledger, the table, the shadow.

use std::sync::Arc;
use std::time::SystemTime;

use super::chunk::has_had_its_attempts;
use super::pace::wait_for_orders;
use super::runner::{Runner, names};
use super::step::{Side, Step};
use super::trouble::Trouble;
use crate::backend::direct::Direct;
use crate::ids::MigrationId;
use crate::migrations::ARTIFACTS;
use crate::migrations::changes::Position;
use crate::migrations::cutover::{can_rename_under_lock, without_counter};
use crate::migrations::engine::{self, Engine, Known, Setup, ShadowRequest, Source};
use crate::migrations::ledger::tables::{self, Claimed};
use crate::migrations::ledger::{Definitions, Part, Record};
use crate::migrations::plan::{CopyPlan, Names};
use crate::protocol::handshake::Flavour;

/// A table of more rows, or of more bytes, is not copied under one lock.
const CHUNK_ROWS_MAX: u64 = 1_000;
const CHUNK_BYTES_MAX: u64 = 4 << 20;
/// Secondary indexes are built behind the copy up to this size of the table, where no client writes: beyond,
/// replicas would lag by the time that one such statement takes.
const LATE_INDEXES_BYTES_MAX: u64 = 2 << 30;

/// What is known before the first row.
pub(super) struct Prepared {
    pub(super) plan: Arc<CopyPlan>,
    /// The table's definition.
    pub(super) before: String,
    /// The copy goes on where it was.
    pub(super) resumes: bool,
    /// The shadow has its rows, as of this position in the binary log: it is the old table of an exchange.
    pub(super) replay_from: Option<Position>,
}

/// How long a claim on a table lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lasts {
    /// Until it is given up: it is entered into the cluster's ledger.
    Written,
    /// As long as the connection, and nothing is written.
    Connection,
}

/// Which way the rows go.
pub(super) enum Way {
    /// All at once, under a lock, on the connection that made the shadow.
    Chunk(Prepared, Box<Direct>),
    /// By ranges, with the feed of changes.
    Feed(Prepared),
}

impl Runner {
    /// From the request to an empty shadow, or to the one that is there.
    pub(super) async fn prepare(&self, record: &Record) -> Result<Way, Trouble> {
        self.shared.note_step(&self.id, Step::Claim);
        self.shared.fail_points.pass(Side::Before, Step::Claim);
        let mut conn = match self.shared.sessions.take(&self.endpoint(record)?).await {
            Some(waiting) => waiting,
            None => self.session(record).await?,
        };
        self.fence().hold(&mut conn, Part::Main).await?;
        let lasts = if record.is_light() { Lasts::Connection } else { Lasts::Written };
        self.claim(&mut conn, record, lasts).await?;
        self.shared.fail_points.pass(Side::After, Step::Claim);
        self.shared.note_step(&self.id, Step::Inspect);
        self.shared.fail_points.pass(Side::Before, Step::Inspect);
        let table = inspect(&mut conn, &names(record), &self.shared.known).await?;
        self.shared.fail_points.pass(Side::After, Step::Inspect);
        if record.reverts.is_some() {
            return self.prepare_revert(&mut conn, record, &table.source).await.map(Way::Feed);
        }
        // Of one chunk nothing is recorded: a shadow that waited for an operator is made anew.
        let known = record.definitions.as_ref().filter(|_| record.step > Step::Subscribe);
        let resumes = known.is_some();
        if known.is_some_and(|known| without_counter(&known.before) != without_counter(&table.source.shown)) {
            return Err(Trouble::failed("the definition of the table was changed by another statement"));
        }
        if !resumes && record.definitions.is_some() {
            // They are of a shadow that is made anew: the table may be another one by now.
            self.update(|record| record.definitions = None).await?;
        }
        let record = &self.make_homes(&mut conn, record, &table).await?;
        let is_chunk = table.is_chunk && !resumes && !has_had_its_attempts(record.attempts);
        if !is_chunk {
            if record.is_light() {
                self.claim(&mut conn, record, Lasts::Written).await?;
            }
            self.begin(if resumes { record.step } else { Step::Shadow }).await?;
        }
        let plan = self.shadow(&mut conn, record, (&table.source, resumes, is_chunk)).await?;
        let Source { shown: before, rows_estimated, .. } = table.source;
        let prepared = Prepared { plan: Arc::new(plan), before: before.clone(), resumes, replay_from: None };
        if is_chunk {
            return Ok(Way::Chunk(prepared, Box::new(conn)));
        }
        let after = definition_of(&mut conn, &names(record).target()).await?;
        self.update(|record| {
            let before = before.clone();
            record.definitions.get_or_insert(Definitions { before, after: after.clone() });
            record.progress.rows_estimated = rows_estimated;
        })
        .await?;
        self.shared.note_progress(&self.id, |progress| progress.rows_estimated = rows_estimated);
        conn.close().await;
        Ok(Way::Feed(prepared))
    }

    /// Names of checks are unique in a database of MySQL's: where there are any, the tables of the migration
    /// get databases of their own, so that old and new table, and those of other workspaces, do not meet.
    async fn make_homes(
        &self,
        conn: &mut Direct,
        record: &Record,
        table: &Inspected,
    ) -> Result<Record, Trouble> {
        let mut record = Record::clone(record);
        let has_checks = [&table.source.shown, &record.request.text].iter().any(|text| mentions_check(text));
        if conn.flavour() == Flavour::MySql && has_checks && !record.has_own_databases {
            record.has_own_databases = true;
            self.update(|record| record.has_own_databases = true).await?;
        }
        tables::make_own_databases(conn, &record).await?;
        Ok(record)
    }

    /// Claims the table on the cluster, by its ledger or for as long as the connection lives. A claim of one
    /// that is over, as far as the store knows, is taken.
    async fn claim(&self, conn: &mut Direct, record: &Record, lasts: Lasts) -> Result<(), Trouble> {
        for _ in 0..2 {
            let claimed = match lasts {
                Lasts::Written => tables::claim(conn, record, SystemTime::now()).await?,
                Lasts::Connection => tables::claim_here(conn, record).await?,
            };
            let holder = match claimed {
                Claimed::Ours => return Ok(()),
                Claimed::By(holder) => holder,
                Claimed::Held => {
                    return Err(Trouble::Passing("another change of the table is at work".to_owned()));
                }
            };
            if !self.is_over(&holder) {
                return Err(busy(&holder));
            }
            tables::take_over(conn, &holder).await?;
        }
        Err(Trouble::Passing("the table's claim on the cluster changes hands".to_owned()))
    }

    fn is_over(&self, id: &MigrationId) -> bool {
        self.shared.ledger.get(id).is_some_and(|record| record.state.is_over())
    }

    async fn shadow(
        &self,
        conn: &mut Direct,
        record: &Record,
        (source, resumes, is_chunk): (&Source, bool, bool),
    ) -> Result<CopyPlan, Trouble> {
        let names = names(record);
        // Rows are written in turns that can be waited between; the building of indexes goes on once it runs.
        let is_busy = self.shared.throttles.is_busy(&record.request.cluster);
        let request = ShadowRequest {
            id: &self.id,
            epoch: self.epoch(),
            names: &names,
            text: &record.request.text,
            settings: &record.request.settings,
            late_indexes_bytes_max: if is_chunk || is_busy { 0 } else { LATE_INDEXES_BYTES_MAX },
            is_whole: is_chunk,
            known: &self.shared.known,
        };
        if resumes {
            return Ok(engine::read_plan(conn, &request, source).await?);
        }
        self.shared.note_step(&self.id, Step::Shadow);
        self.shared.fail_points.pass(Side::Before, Step::Shadow);
        let plan = engine::make_shadow(conn, &request, source).await?;
        self.shared.fail_points.pass(Side::After, Step::Shadow);
        Ok(plan)
    }

    /// Subscribes to the table's changes.
    pub(super) async fn subscribe(&self, prepared: &Prepared) -> Result<Engine, Trouble> {
        let record = self.record()?;
        if !prepared.resumes {
            let replays = prepared.replay_from.is_some();
            self.begin_with(Step::Subscribe, |record| record.has_replayed |= replays).await?;
        }
        let setup = Setup {
            id: self.id.clone(),
            epoch: self.epoch(),
            endpoint: self.endpoint(&record)?,
            plan: prepared.plan.clone(),
            resume: prepared.resumes,
            replay_from: prepared.replay_from.clone(),
        };
        // Each of its waits is bounded; an operator does not have to wait for them.
        let started = tokio::select! {
            started = Engine::start(setup, self.shared.feeds.clone()) => started,
            _ = wait_for_orders(&self.shared, &self.id, |_| false) => return Err(self.why_stopped()),
        };
        let engine = started.map_err(|error| self.why_ended(error))?;
        self.shared.fail_points.pass(Side::After, Step::Subscribe);
        Ok(engine)
    }
}

fn busy(holder: &MigrationId) -> Trouble {
    Trouble::failed(format!(
        "migration {holder} changes the table, as {ARTIFACTS}.migrations on the cluster says, and this \
         proxy's store does not know it as ended. If it is nobody's any more: UPDATE \
         {ARTIFACTS}.migrations SET active = NULL WHERE id = '{holder}'"
    ))
}

/// Says whether a text may define a check. More than that may say yes: a comment, a column's name.
fn mentions_check(text: &str) -> bool {
    text.to_ascii_uppercase().contains("CHECK")
}

/// What a look at the table showed.
struct Inspected {
    source: Source,
    is_chunk: bool,
}

/// Looks at the table, and refuses what an exchange cannot carry.
async fn inspect(conn: &mut Direct, names: &Names, known: &Known) -> Result<Inspected, Trouble> {
    if !can_rename_under_lock(conn) && names.database.as_str() >= ARTIFACTS {
        return Err(Trouble::failed(format!(
            "the database's name sorts behind {ARTIFACTS}, where an exchange could lose writes"
        )));
    }
    let source = engine::look(conn, names, known).await?;
    // A RENAME into another database is refused by the servers while there are triggers, and the shadow has
    // none.
    if let Some(trigger) = source.facts.triggers.first() {
        return Err(Trouble::failed(format!(
            "the table has the trigger {trigger}, which would not go along; drop it first"
        )));
    }
    let is_chunk = source.data_bytes <= CHUNK_BYTES_MAX && has_few_rows(conn, names).await?;
    Ok(Inspected { source, is_chunk })
}

async fn has_few_rows(conn: &mut Direct, names: &Names) -> Result<bool, Trouble> {
    let few = format!(
        "SELECT COUNT(*) FROM (SELECT 1 FROM {} LIMIT {}) AS few",
        names.source(),
        CHUNK_ROWS_MAX + 1
    );
    let few = conn.query(few).await?.first().and_then(|row| row.number::<u64>(0));
    Ok(few.is_some_and(|rows| rows <= CHUNK_ROWS_MAX))
}

async fn definition_of(conn: &mut Direct, table: &str) -> Result<String, Trouble> {
    let shown = conn.query(format!("SHOW CREATE TABLE {table}")).await?;
    shown.first().and_then(|row| row.text(1)).ok_or_else(|| Trouble::failed("the table shows no definition"))
}
