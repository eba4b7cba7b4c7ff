//! The statements of a batch.

use std::time::{Duration, Instant};

use crate::backend::direct::{Direct, DirectError};
use crate::migrations::changes::Position;
use crate::migrations::copy::{Batch, Op};
use crate::migrations::engine::Image;
use crate::migrations::engine::{EngineError, meaning};
use crate::migrations::plan::{CopyPlan, KEYS_MAX};

/// Bytes of one INSERT, if its rows are not longer by themselves.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// Why a transaction was not committed.
#[derive(Debug)]
pub(crate) enum Unwritten {
    /// The server refused something, or the connection is lost.
    Server(DirectError),
    /// The epoch is over: somebody else writes now.
    Superseded,
}

impl From<DirectError> for Unwritten {
    fn from(error: DirectError) -> Self {
        Self::Server(error)
    }
}

impl Unwritten {
    /// The MySQL errno of a refusal.
    pub(crate) fn errno(&self) -> Option<u16> {
        match self {
            Self::Server(error) => error.errno(),
            Self::Superseded => None,
        }
    }

    /// What it means for the migration.
    pub(crate) fn into_error(self, what: &'static str) -> EngineError {
        match self {
            Self::Server(error) => meaning(what, error),
            Self::Superseded => EngineError::Superseded,
        }
    }
}

/// Begins a transaction of rows, which only the present epoch may. Gives what a round trip takes.
///
/// # Errors
/// See [`Unwritten`]; the transaction is open then, if the connection is not lost.
pub(crate) async fn begin(direct: &mut Direct, check: &str) -> Result<Duration, Unwritten> {
    let began = Instant::now();
    direct.execute("START TRANSACTION").await?;
    let round_trip = began.elapsed();
    if direct.query(check).await?.is_empty() { Err(Unwritten::Superseded) } else { Ok(round_trip) }
}

/// What a batch's transaction begins and ends with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds<'a> {
    /// Gives a row while the epoch may write.
    pub(crate) check: &'a str,
    /// Records the position.
    pub(crate) record: &'a [u8],
}

/// Carries a batch out, in one transaction. On a connection that holds table locks (`bounds` absent) BEGIN
/// would release them: it runs without a transaction of its own there, and what it did is not undone when it
/// fails.
///
/// # Errors
/// See [`Unwritten`]; the transaction is still open then, if the connection is not lost.
pub(crate) async fn apply_batch(
    direct: &mut Direct,
    plan: &CopyPlan,
    batch: &Batch<Image, Position>,
    bounds: Option<Bounds<'_>>,
) -> Result<(), Unwritten> {
    if let Some(bounds) = &bounds {
        begin(direct, bounds.check).await?;
    }
    let keys: Vec<&[u8]> = batch.ops.keys().map(|key| key.as_bytes()).collect();
    for some in keys.chunks(KEYS_MAX) {
        direct.execute(plan.delete_keys(some.iter().copied())).await?;
    }
    let images = batch.ops.values().filter_map(|op| match op {
        Op::Put(image) => Some(&**image),
        Op::Delete => None,
    });
    write_rows(direct, &plan.insert_head(), images).await?;
    if let Some(bounds) = &bounds {
        direct.execute(bounds.record).await?;
        direct.execute("COMMIT").await?;
    }
    Ok(())
}

/// Inserts rows, each `(…),`, in statements of about [`BATCH_BYTES_MAX`].
///
/// # Errors
/// The server's.
pub(crate) async fn write_rows(
    direct: &mut Direct,
    head: &[u8],
    rows: impl Iterator<Item = &[u8]>,
) -> Result<(), DirectError> {
    let mut sql = Vec::new();
    for row in rows {
        if !sql.is_empty() && sql.len() + row.len() > BATCH_BYTES_MAX {
            sql.pop();
            direct.execute(&sql).await?;
            sql.clear();
        }
        if sql.is_empty() {
            sql.extend_from_slice(head);
        }
        sql.extend_from_slice(row);
    }
    if !sql.is_empty() {
        sql.pop();
        direct.execute(&sql).await?;
    }
    Ok(())
}
