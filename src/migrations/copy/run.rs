//! Copies all chunks, several at a time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::chunk::{CHUNK_BYTES_MAX, Fate, Replace, copy_alone, copy_piece};
use super::ranges::{Copied, Next, Piece, Ranges};
use super::server::{Turns, copy_on_server};
use super::sizing::{ROWS_MAX, Sizing};
use super::slices::{SliceRows, Slices};
use crate::backend::direct::Direct;
use crate::migrations::engine::{ChunkCost, Counters, EngineError, Pace, Shared, rows};
use crate::migrations::plan::KeyRange;

/// The same where the server copies by itself and rows have parts of any length: only their average is known.
const LONG_ROWS_MAX: u64 = 4_000;
/// Bytes of statements that a chunk is meant to be.
const CHUNK_BYTES: u64 = (CHUNK_BYTES_MAX / 2) as u64;
/// Chunks at work at once, whatever the pace allows.
const WORKERS_MAX: usize = 16;
/// Failures in a row by lock waits, deadlocks and lost connections.
const ATTEMPTS: u32 = 20;
/// Pause after the first failure; longer by it after each further one.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(100);
/// Records of ranges that are merged into one at a time.
const COMPACT_AT: usize = 64;

/// A chunk's end, and its connection if it can be used again.
struct Ended {
    result: Result<Fate, EngineError>,
    piece: Piece,
    direct: Option<Direct>,
    /// Of one that the server was to copy by itself: whether it gave way.
    gave_way: Option<bool>,
}

/// What copies.
struct Run {
    shared: Arc<Shared>,
    pace: Arc<dyn Pace>,
    ranges: Ranges,
    tasks: JoinSet<Ended>,
    idle: Vec<Direct>,
    alone: VecDeque<Piece>,
    sizing: Sizing,
    slice_rows: Arc<SliceRows>,
    turns: Turns,
    failures: u32,
    since_compacted: usize,
}

/// Copies everything that `ranges` says.
///
/// # Errors
/// See [`EngineError`]; `Stopped` when the pace says so.
pub(crate) async fn copy_rows(
    shared: Arc<Shared>,
    ranges: Ranges,
    pace: Arc<dyn Pace>,
) -> Result<(), EngineError> {
    let mut run = Run {
        shared,
        pace,
        ranges,
        tasks: JoinSet::new(),
        idle: Vec::new(),
        alone: VecDeque::new(),
        sizing: Sizing::default(),
        slice_rows: Arc::default(),
        turns: Turns::default(),
        failures: 0,
        since_compacted: 0,
    };
    let result = run.copy().await;
    // Whoever is still at work rolls back.
    run.tasks.shutdown().await;
    for direct in run.idle {
        direct.close().await;
    }
    result
}

/// Lets the server copy a piece; reads and writes it where that gives way, which is told too.
async fn copy_either_way(
    shared: &Shared,
    direct: &mut Direct,
    (piece, compact): (Piece, Option<Copied>),
    slices: &mut Slices<'_>,
) -> (Result<Fate, EngineError>, Option<bool>) {
    match copy_on_server(shared, direct, &piece, compact.as_ref(), slices).await {
        Ok(Some(fate)) => (Ok(fate), Some(false)),
        Ok(None) => {
            slices.restart().await;
            (copy_piece(shared, direct, (piece, compact), slices).await, Some(true))
        }
        Err(error) => (Err(error), None),
    }
}

impl Run {
    async fn copy(&mut self) -> Result<(), EngineError> {
        loop {
            let wanted = self.pace.workers().clamp(1, WORKERS_MAX);
            if !self.alone.is_empty() && self.tasks.is_empty() {
                self.admit().await?;
                self.copy_alone().await?;
                continue;
            }
            if self.tasks.len() < wanted && self.alone.is_empty() {
                match self.ranges.next_step() {
                    Next::Piece(piece) => {
                        self.begin(piece).await?;
                        continue;
                    }
                    Next::Scout(after) => {
                        let end =
                            self.scout(KeyRange { after, through: Some(self.ranges.max().clone()) }).await;
                        let Some(piece) = self.scouted(end).await? else { continue };
                        self.begin(piece).await?;
                        continue;
                    }
                    Next::Done if self.tasks.is_empty() => return Ok(()),
                    Next::Wait | Next::Done => {}
                }
            }
            match self.tasks.join_next().await {
                Some(ended) => self.settle(ended).await?,
                // Only pieces that wait to be copied alone are left.
                None if !self.alone.is_empty() => {}
                None => return Ok(()),
            }
        }
    }

    /// Waits for the pace, and takes in what ends meanwhile.
    async fn admit(&mut self) -> Result<(), EngineError> {
        let (shared, pace) = (self.shared.clone(), self.pace.clone());
        let mut admitted = std::pin::pin!(shared.admit(&*pace));
        loop {
            tokio::select! {
                admitted = &mut admitted => return admitted,
                Some(ended) = self.tasks.join_next(), if !self.tasks.is_empty() => self.settle(ended).await?,
            }
        }
    }

    async fn begin(&mut self, piece: Piece) -> Result<(), EngineError> {
        if let Err(error) = self.admit().await {
            self.ranges.returned(piece);
            return Err(error);
        }
        let direct = match self.connection().await {
            Ok(direct) => direct,
            Err(error) => {
                self.ranges.returned(piece);
                return self.failed(error).await;
            }
        };
        self.since_compacted += 1;
        let mut compact = None;
        if self.since_compacted >= COMPACT_AT {
            self.since_compacted = 0;
            compact = self.ranges.compact(COMPACT_AT / 2);
        }
        let shared = self.shared.clone();
        let by_server = self.turns.next();
        let (slice, slice_rows) = (self.pace.slice(), self.slice_rows.clone());
        self.tasks.spawn(async move {
            let mut direct = direct;
            let mut slices = Slices::begin(slice, &slice_rows);
            let work = (piece.clone(), compact);
            let (result, gave_way) = match by_server {
                true => copy_either_way(&shared, &mut direct, work, &mut slices).await,
                false => (copy_piece(&shared, &mut direct, work, &mut slices).await, None),
            };
            Ended { result, piece, direct: (!direct.is_lost()).then_some(direct), gave_way }
        });
        Ok(())
    }

    async fn connection(&mut self) -> Result<Direct, EngineError> {
        match self.idle.pop() {
            Some(direct) => Ok(direct),
            None => self.shared.session().await,
        }
    }

    /// Rows of the next piece.
    fn piece_rows(&self) -> u64 {
        if !self.turns.is_on() {
            return self.sizing.rows();
        }
        let most = if self.shared.plan.has_long_columns { LONG_ROWS_MAX } else { ROWS_MAX };
        self.sizing.rows().min(most).min(CHUNK_BYTES / self.shared.counters.row_bytes()).max(1)
    }

    /// Where the next piece ends.
    async fn scout(&mut self, range: KeyRange) -> Result<Option<crate::migrations::plan::Key>, EngineError> {
        let mut direct = self.connection().await?;
        let sql = self.shared.plan.select_bound(&range, self.piece_rows());
        let found = rows(&mut direct, sql, "looking for the end of a range").await;
        if !direct.is_lost() {
            self.idle.push(direct);
        }
        let found = found?;
        let key = found.first().map(|row| self.shared.plan.key_of_text(row)).transpose();
        key.map_err(|error| EngineError::TableChanged(error.to_string()))
    }

    async fn scouted(
        &mut self,
        end: Result<Option<crate::migrations::plan::Key>, EngineError>,
    ) -> Result<Option<Piece>, EngineError> {
        match end {
            Ok(end) => Ok(self.ranges.scouted(end)),
            Err(error) => {
                self.ranges.scouting_failed();
                self.failed(error).await?;
                Ok(None)
            }
        }
    }

    /// A failure that may pass is waited out.
    async fn failed(&mut self, error: EngineError) -> Result<(), EngineError> {
        self.failures += 1;
        if !error.is_passing() || self.failures > ATTEMPTS {
            return Err(error);
        }
        sleep(ATTEMPT_PAUSE * self.failures).await;
        Ok(())
    }

    async fn settle(&mut self, ended: Result<Ended, tokio::task::JoinError>) -> Result<(), EngineError> {
        let Ok(Ended { result, piece, direct, gave_way }) = ended else { return Err(EngineError::Stopped) };
        self.idle.extend(direct);
        if let Some(gave_way) = gave_way {
            self.turns.ended(gave_way);
        }
        match result {
            Ok(fate) => {
                self.failures = 0;
                self.take(fate, &piece);
                Ok(())
            }
            Err(error) => {
                self.ranges.returned(piece);
                self.failed(error).await
            }
        }
    }

    fn take(&mut self, fate: Fate, asked: &Piece) {
        match fate {
            Fate::Copied { piece, cut, rows, bytes, spent: (took, rested) } => {
                if let Some(cut) = &cut {
                    self.ranges.cut(asked.clone(), cut);
                }
                self.ranges.committed(&piece);
                Counters::add(&self.shared.counters.rows_copied, rows);
                Counters::add(&self.shared.counters.bytes_copied, bytes);
                self.sizing.note((rows, bytes, took), (CHUNK_BYTES, self.pace.chunk_time()));
                self.pace.done(ChunkCost { rows, bytes, took, rested });
            }
            Fate::Conflict(piece) => {
                // A cut piece is asked for again whole.
                let _ = piece;
                self.alone.push_back(asked.clone());
            }
        }
    }

    async fn copy_alone(&mut self) -> Result<(), EngineError> {
        let Some(asked) = self.alone.pop_front() else { return Ok(()) };
        Counters::add(&self.shared.counters.alone, 1);
        let mut direct = match self.connection().await {
            Ok(direct) => direct,
            Err(error) => {
                self.alone.push_front(asked);
                return self.failed(error).await;
            }
        };
        let mut slices = Slices::begin(self.pace.slice(), &self.slice_rows);
        let result = copy_alone(&self.shared, &mut direct, (asked.clone(), Replace::No), &mut slices).await;
        if !direct.is_lost() {
            self.idle.push(direct);
        }
        match result {
            Ok(fate) => {
                self.failures = 0;
                self.take(fate, &asked);
                Ok(())
            }
            Err(error) => {
                self.alone.push_front(asked);
                self.failed(error).await
            }
        }
    }
}
