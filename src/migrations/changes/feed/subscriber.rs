//! One subscriber: what it has got, what it gets next, and the bounded way to it.

use std::sync::{Arc, OnceLock};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, timeout};

use super::super::binlog::{RowFault, RowsEvent, TransactionId};
use super::super::change::{Change, RowChange, TableName};
use super::super::error::FeedError;
use super::super::place::Place;
use super::super::position::Position;
use super::super::values::{ColumnKind, Value};
use super::patience::Patience;

/// Changes on their way to one subscriber.
pub(in super::super) const PARCELS_MAX: usize = 64;
/// Bytes of rows on their way to one subscriber; one change may be larger.
pub(in super::super) const BYTES_MAX: usize = 16 << 20;
/// Bytes of rows of one change, as soon as it has one row.
const PART_BYTES: usize = 1 << 20;
/// Rows of one change.
const PART_ROWS: usize = 1000;

/// One change on its way; the permit comes back when it is taken.
#[derive(Debug)]
pub(in super::super) struct Parcel {
    pub(in super::super) change: Change,
    /// Held for as long as the parcel is.
    _permit: Option<OwnedSemaphorePermit>,
}

/// The way to one subscriber.
#[derive(Clone, Debug)]
pub(in super::super) struct Way {
    pub(in super::super) sender: mpsc::Sender<Parcel>,
    /// Bytes that may be on their way.
    pub(in super::super) budget: Arc<Semaphore>,
    /// Why it ends, once it does: read behind the last parcel.
    pub(in super::super) fault: Arc<OnceLock<FeedError>>,
}

impl Way {
    async fn send(&self, change: Change, bytes: usize) -> Result<(), Gone> {
        let weight = bytes.min(BYTES_MAX) as u32;
        let permit = tokio::select! {
            permit = Arc::clone(&self.budget).acquire_many_owned(weight) => permit.map_err(|_| Gone)?,
            () = self.sender.closed() => return Err(Gone),
        };
        self.sender.send(Parcel { change, _permit: Some(permit) }).await.map_err(|_| Gone)
    }
}

/// One subscriber.
pub(super) struct Subscriber {
    pub(super) table: TableName,
    /// The table's number in the interest.
    pub(super) number: usize,
    columns: Arc<[ColumnKind]>,
    way: Way,
    /// Others wait while this one does not take what is its own. Written by the feed's state.
    pub(super) shares: bool,
    patience: Patience,
    /// What it has beyond where the feed is: such transactions are passed over. Absent once the feed has all
    /// of it.
    pub(super) ahead: Option<Place>,
    /// The current transaction is for it.
    takes: bool,
    pending: Vec<RowChange>,
    pending_bytes: usize,
    /// Rows of the current transaction that were sent.
    sent: u64,
    /// Rows of the current transaction that were sent before the connection was lost.
    to_pass: u64,
    /// The transaction that was cut off by the loss of a connection, and how much of it was sent.
    cut: Option<(TransactionId, u64)>,
}

/// The subscriber is gone, or was told why it ends.
#[derive(Debug)]
pub(super) struct Gone;

impl Subscriber {
    pub(super) fn new(table: TableName, number: usize, columns: Arc<[ColumnKind]>, way: Way) -> Self {
        Self {
            table,
            number,
            columns,
            way,
            shares: false,
            patience: Patience::new(Instant::now()),
            ahead: None,
            takes: false,
            pending: Vec::new(),
            pending_bytes: 0,
            sent: 0,
            to_pass: 0,
            cut: None,
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.way.sender.is_closed()
    }

    /// Says whether the current transaction is for it.
    pub(super) fn takes(&self) -> bool {
        self.takes
    }

    /// Says whether it got, or is to get, rows of the current transaction.
    pub(super) fn has_rows(&self) -> bool {
        self.takes && (self.sent > 0 || !self.pending.is_empty())
    }

    /// Says whether rows are held back.
    pub(super) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// A transaction begins.
    pub(super) fn begin(&mut self, id: &TransactionId) -> Result<(), Gone> {
        self.takes = !self.ahead.as_ref().is_some_and(|ahead| ahead.contains(id));
        (self.sent, self.to_pass) = (0, 0);
        let Some((cut, sent)) = self.cut.take_if(|_| self.takes) else { return Ok(()) };
        if cut == *id {
            self.to_pass = sent;
            return Ok(());
        }
        let what = "a transaction was read in part, and another follows: the log is another one".to_owned();
        Err(self.fail(FeedError::CannotFollow { table: self.table.clone(), what }))
    }

    /// The connection was lost: of the current transaction some was sent, and will come again.
    pub(super) fn cut_off(&mut self, current: Option<&TransactionId>) {
        self.pending.clear();
        self.pending_bytes = 0;
        // What was sent before an earlier loss, and has not come again, counts too.
        let sent = self.sent + self.to_pass;
        if let Some(id) = current.filter(|_| self.takes && sent > 0) {
            self.cut = Some((id.clone(), sent));
        }
        self.takes = false;
    }

    /// Rows of its table. Gives how many.
    pub(super) async fn rows(&mut self, mut event: RowsEvent, before: &Position) -> Result<u64, Gone> {
        event.rewind();
        let mut count = 0;
        loop {
            let change = match event.next(&self.columns) {
                Ok(Some(change)) => change,
                Ok(None) => return Ok(count),
                Err(fault) => {
                    let error = self.explain(fault);
                    return Err(self.fail(error));
                }
            };
            count += 1;
            if self.to_pass > 0 {
                self.to_pass -= 1;
                self.sent += 1;
                continue;
            }
            // The last rows are held back until it is known that they are the last.
            if self.pending.len() >= PART_ROWS || self.pending_bytes >= PART_BYTES {
                self.flush(before, false).await?;
            }
            self.pending_bytes += size(&change);
            self.pending.push(change);
        }
    }

    /// Sends what is held back.
    pub(super) async fn flush(&mut self, position: &Position, end_of_transaction: bool) -> Result<(), Gone> {
        let rows = std::mem::take(&mut self.pending);
        let bytes = std::mem::take(&mut self.pending_bytes);
        self.sent += rows.len() as u64;
        let change = Change::Rows { position: position.clone(), rows, end_of_transaction };
        self.send(change, bytes).await
    }

    /// Sends something that is no rows.
    pub(super) async fn tell(&mut self, change: Change) -> Result<(), Gone> {
        self.send(change, 0).await
    }

    /// Tells where the feed is, unless there is no room.
    pub(super) fn hint(&mut self, position: Position) {
        // It is a hint: a later one says more.
        let _ = self.way.sender.try_send(Parcel { change: Change::Advanced { position }, _permit: None });
    }

    /// Notes why it ends; it is told behind what is on its way, and nothing is waited for.
    pub(super) fn fail(&self, error: FeedError) -> Gone {
        // The first reason is the one.
        let _ = self.way.fault.set(error);
        Gone
    }

    /// Sends; waits for room. While others wait too, it does not wait for long.
    async fn send(&mut self, change: Change, bytes: usize) -> Result<(), Gone> {
        let began = Instant::now();
        let left = self.patience.left(began);
        let sending = self.way.send(change, bytes);
        if !self.shares {
            return sending.await;
        }
        let sent = timeout(left, sending).await;
        let now = Instant::now();
        self.patience.use_up(now - began, now);
        sent.unwrap_or_else(|_| Err(self.fail(FeedError::Behind { table: self.table.clone() })))
    }

    fn explain(&self, fault: RowFault) -> FeedError {
        let table = self.table.clone();
        match fault {
            RowFault::NotWhole => FeedError::NotWhole {
                table,
                what: "rows without all of their columns (binlog_row_image)",
                remedy: "no session may set binlog_row_image to anything but FULL; begin anew",
            },
            RowFault::Partial => FeedError::NotWhole {
                table,
                what: "JSON changed in part (binlog_row_value_options)",
                remedy: "no session may set binlog_row_value_options to PARTIAL_JSON; begin anew",
            },
            RowFault::Columns { logged } => FeedError::CannotFollow {
                table,
                what: format!("it has {logged} columns, not {}: it was changed", self.columns.len()),
            },
            RowFault::Value { column, source } => FeedError::Value { table, column, source },
        }
    }
}

/// Memory of a change, about: its values, and what of the event it keeps.
fn size(change: &RowChange) -> usize {
    let rows = change.before.iter().chain(&change.after);
    rows.flatten().map(|value| size_of::<Value>() + bytes_of(value)).sum()
}

fn bytes_of(value: &Value) -> usize {
    match value {
        Value::Bytes(bytes) => bytes.len(),
        Value::Decimal { packed, .. } => packed.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn subscriber() -> (Subscriber, mpsc::Receiver<Parcel>, Way) {
        let (sender, receiver) = mpsc::channel(PARCELS_MAX);
        let budget = Arc::new(Semaphore::new(BYTES_MAX));
        let way = Way { sender, budget, fault: Arc::default() };
        let table = TableName::new("app", "t");
        (Subscriber::new(table, 1, Arc::new([]), way.clone()), receiver, way)
    }

    /// More than there is room for; how long it took until it ended, if it did.
    async fn fill(subscriber: &mut Subscriber) -> Result<(), Duration> {
        let began = Instant::now();
        for number in 0..=PARCELS_MAX as u64 {
            subscriber.tell(Change::Marker(number)).await.map_err(|Gone| began.elapsed())?;
        }
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn who_keeps_others_waiting_ends() {
        let (mut slow, mut receiver, way) = subscriber();
        slow.shares = true;
        let took = fill(&mut slow).await.expect_err("nobody takes anything");
        assert!(took < Duration::from_secs(15), "{took:?}");
        assert!(matches!(way.fault.get(), Some(FeedError::Behind { .. })), "{:?}", way.fault);
        // What was on its way still comes, then why it ended.
        drop((slow, way));
        let mut came = 0;
        while receiver.recv().await.is_some() {
            came += 1;
        }
        assert_eq!(came, PARCELS_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_alone_is_waited_for() {
        let (mut slow, mut receiver, _way) = subscriber();
        let filling = tokio::time::timeout(Duration::from_secs(3600), fill(&mut slow)).await;
        assert!(filling.is_err(), "it holds nobody back");
        assert!(receiver.recv().await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_what_comes_goes_on() {
        let (mut quick, mut receiver, _way) = subscriber();
        quick.shares = true;
        let taking = tokio::spawn(async move { while receiver.recv().await.is_some() {} });
        for _ in 0..100 {
            assert!(fill(&mut quick).await.is_ok());
        }
        drop((quick, _way));
        taking.await.unwrap();
    }
}
