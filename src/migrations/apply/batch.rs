//! The statements of a batch.

use crate::backend::direct::{Direct, DirectError};
use crate::migrations::changes::Position;
use crate::migrations::copy::{Batch, Op};
use crate::migrations::engine::Image;
use crate::migrations::plan::{CopyPlan, KEYS_MAX};

/// Bytes of one INSERT, if its rows are not longer by themselves.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// Carries a batch out, in one transaction, with `record` as its last statement. On a connection that holds
/// table locks (`record` absent) BEGIN would release them: it runs without a transaction of its own there,
/// and what it did is not undone when it fails.
///
/// # Errors
/// The server's; the transaction is still open then, if the connection is not lost.
pub(crate) async fn apply_batch(
    direct: &mut Direct,
    plan: &CopyPlan,
    batch: &Batch<Image, Position>,
    record: Option<&[u8]>,
) -> Result<(), DirectError> {
    if record.is_some() {
        direct.execute("START TRANSACTION").await?;
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
    if let Some(record) = record {
        direct.execute(record).await?;
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
