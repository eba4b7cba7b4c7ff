//! Asking for a statement to be admitted to its cluster, before it has a connection.
//!
//! What is held at a gate is planned again when it is let go, by the one retry loop: the snapshot may be
//! another one by then. What cannot be planned again (it is no statement) waits where it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::admission::{Admitted, Entry, Held, Queued, Refusal, Released, Request, Turn};
use crate::error::{ClientError, Code, Outcome};
use crate::health::Class;
use crate::ids::{ClusterName, Role};
use crate::plan::{Pins, TransactionEffect};
use crate::topology::Shard;

use super::Session;
use super::flow::{Failure, Flow};
use super::run::job::{Job, Payload};
use super::run::place::Place;
use super::state::{self, Transaction};

/// All statements that run at several places, as permits know them: one that is stuck on one cluster has
/// permits and connections of the others, and together they have half of those at most.
const WIDE: u64 = 1;
/// Told to whose transaction was cut: a drain lasts as long as a failover.
const RETRY_AFTER_CUT: Duration = Duration::from_secs(5);
/// A statement may be held, or be let in by gates that change at once, so many times; each time is bounded.
pub(super) const ANEW_MAX: u32 = 8;

impl Session {
    /// Asks for a job to be admitted at its place. `None` when it will be refused for want of its connection.
    ///
    /// # Errors
    /// It is refused; it is held ([`Failure::Anew`]); the client left or was killed while it waited.
    pub(super) async fn admit(&mut self, job: &Job<'_>, place: &Place) -> Flow<Option<Admitted>> {
        self.cut_if_drained();
        if let Transaction::Lost { code: Code::TransactionCut } = self.state.transaction {
            return Err(transaction_cut(&place.cluster).into());
        }
        let is_lost = matches!(self.state.transaction, Transaction::Lost { .. });
        if is_lost || self.is_held_elsewhere(&place.cluster) {
            return Ok(None);
        }
        if job.plan.effects.changes_schema {
            Box::pin(self.pass_lane(job, place)).await?;
        }
        let request = self.request(job, place);
        // What was held has waited since.
        let now = if self.asks_anew { Instant::now() } else { self.seen_at };
        let admission = self.entrance.of(&self.services.admissions, &place.cluster);
        match admission.enter_again(&request, self.carried.take(), now) {
            Entry::In(admitted) => Ok(Some(admitted)),
            entry => {
                let entered = Box::pin(self.wait_to_enter(entry, job, place)).await;
                if entered.is_err() {
                    self.release_if_free();
                }
                entered.map(Some)
            }
        }
    }

    /// Waits for a closed lane of schema changes to open, for `timeouts.ddl_lane` in all; what still finds it
    /// closed then is refused when it asks. A cluster is called suspect for some seconds now and then.
    async fn pass_lane(&mut self, job: &Job<'_>, place: &Place) -> Flow {
        let admission = Arc::clone(self.entrance.of(&self.services.admissions, &place.cluster));
        let since = *self.waits.get_or_insert_default().lane_since.get_or_insert_with(Instant::now);
        let until = since + self.serving.config.timeouts.ddl_lane;
        if !admission.is_ddl_closed() || until <= Instant::now() {
            return Ok(());
        }
        let Some(wait) = admission.wait_for_lane(job.text.len()) else { return Ok(()) };
        let mut waiting = self.entry.waiting();
        tokio::select! {
            biased;
            () = wait.opened() => {}
            error = self.client.watch_close() => return Err(error.into()),
            stopped = waiting.stopped() => return Err(stopped.into()),
            () = self.alarm.ring(Some(until)) => return Ok(()),
        }
        // The snapshot may be another one by now.
        if matches!(job.payload, Payload::Raw(_)) { Ok(()) } else { Err(Failure::Anew(None)) }
    }

    async fn wait_to_enter(&mut self, mut entry: Entry, job: &Job<'_>, place: &Place) -> Flow<Admitted> {
        let is_planned_again = !matches!(job.payload, Payload::Raw(_));
        for _ in 0..ANEW_MAX {
            match entry {
                Entry::In(admitted) => return Ok(admitted),
                Entry::Refused(refusal) => return Err(told(refusal, place).into()),
                Entry::Waits(queued) => match self.wait_for_turn(queued).await? {
                    Turn::In(admitted) => return Ok(admitted),
                    Turn::Refused(refusal) => return Err(told(refusal, place).into()),
                    Turn::Changed if is_planned_again => return Err(Failure::Anew(None)),
                    Turn::Changed => {}
                },
                Entry::Held(held) if is_planned_again => return Err(Failure::Anew(Some(Box::new(held)))),
                Entry::Held(held) => self.wait_at_gate(held, place.shard.as_deref()).await?,
            }
            let request = Request { was_held: true, ..self.request(job, place) };
            let admission = self.entrance.of(&self.services.admissions, &place.cluster);
            entry = admission.enter_again(&request, self.carried.take(), Instant::now());
        }
        Err(told(Refusal::GATES_UNSTEADY, place).into())
    }

    async fn wait_for_turn(&mut self, mut queued: Queued) -> Flow<Turn> {
        let mut waiting = self.entry.waiting();
        let turn = tokio::select! {
            biased;
            turn = queued.turn() => turn,
            error = self.client.watch_close() => return Err(error.into()),
            stopped = waiting.stopped() => return Err(stopped.into()),
        };
        if let Turn::Changed = turn {
            self.carried = queued.take_memory();
        }
        Ok(turn)
    }

    /// Waits until the gate that holds a statement is changed.
    pub(super) async fn wait_at_gate(&mut self, mut held: Held, shard: Option<&Shard>) -> Flow {
        let mut waiting = self.entry.waiting();
        let released = tokio::select! {
            biased;
            released = held.released() => released,
            error = self.client.watch_close() => return Err(error.into()),
            stopped = waiting.stopped() => return Err(stopped.into()),
        };
        match released {
            Released::Again => {
                self.carried = held.take_memory();
                Ok(())
            }
            Released::Refused(refusal) => Err(refusal.error(held.cluster(), shard.or(held.shard())).into()),
        }
    }

    /// Asks for a statement that runs at several places: one permit on each cluster, for its parts run one
    /// after another. Always in the order of names, so that two such statements cannot wait for each other.
    /// `places`: where, and the bytes of what is sent there.
    pub(super) async fn admit_all(
        &mut self,
        job: &Job<'_>,
        places: &[(&Place, usize)],
    ) -> Flow<Vec<Admitted>> {
        let mut places = places.to_vec();
        places.sort_by(|(a, _), (b, _)| a.cluster.cmp(&b.cluster));
        let mut admitted = Vec::with_capacity(places.len());
        for of_cluster in places.chunk_by(|(a, _), (b, _)| a.cluster == b.cluster) {
            let shards = of_cluster.iter().filter_map(|(place, _)| place.shard.clone()).collect::<Vec<_>>();
            let (place, whole) = (of_cluster[0].0, self.request(job, of_cluster[0].0));
            // What was received is there once, whatever it was split into.
            let received = if admitted.is_empty() { whole.bytes } else { 0 };
            let bytes = of_cluster.iter().map(|(_, bytes)| bytes).sum::<usize>() + received;
            let request = Request { shards: &shards, workspace: Some(WIDE), bytes, ..whole };
            let admission = self.entrance.of(&self.services.admissions, &place.cluster);
            match admission.enter_again(&request, self.carried.take(), Instant::now()) {
                Entry::In(one) => admitted.push(one),
                Entry::Refused(refusal) => return Err(told(refusal, place).into()),
                Entry::Held(held) => return Err(Failure::Anew(Some(Box::new(held)))),
                Entry::Waits(queued) => match self.wait_for_turn(queued).await? {
                    Turn::In(one) => admitted.push(one),
                    Turn::Refused(refusal) => return Err(told(refusal, place).into()),
                    Turn::Changed => return Err(Failure::Anew(None)),
                },
            }
        }
        Ok(admitted)
    }

    fn request<'a>(&self, job: &Job<'a>, place: &'a Place) -> Request<'a> {
        let (effects, state) = (&job.plan.effects, &self.state);
        let has_connection = state.held.is_some();
        let is_open = state.transaction.is_open()
            || state.pins.contains(Pins::TABLE_LOCK)
            || state.pins.contains(Pins::XA);
        let ends = matches!(effects.transaction, TransactionEffect::Commit | TransactionEffect::Rollback);
        let class = class_of(job);
        let is_primarys = place.role == Role::Primary;
        // What ends no transaction writes nothing either.
        let writes = class == Class::Write && (is_open || !ends);
        Request {
            class,
            may_write: is_primarys && (writes || !state.is_outside_transaction()),
            is_in_transaction: has_connection && is_open,
            has_connection,
            changes_schema: effects.changes_schema,
            was_held: self.asks_anew,
            workspace: place.permit_key(),
            shards: place.shard.as_slice(),
            tables: &job.plan.tables,
            text: job.text,
            mode: state.mode,
            bytes: job.text.len() + job.parameter_bytes(),
        }
    }

    /// Gives up what the session holds on a primary that was drained meanwhile: the primary may be another
    /// one by now, and nothing may be written, or committed, where it was. Gives the cluster if that cut a
    /// transaction.
    pub(super) fn cut_if_drained(&mut self) -> Option<ClusterName> {
        let held = self.state.held.take_if(|held| held.role == Role::Primary)?;
        if !self.was_drained(&held) {
            self.state.held = Some(held);
            return None;
        }
        tracing::info!(
            session = self.admission.id.0,
            user = %self.user.name,
            cluster = %held.cluster,
            in_transaction = self.state.transaction.is_open(),
            "connection given up: the cluster was drained"
        );
        let cluster = self.state.transaction.is_open().then(|| held.cluster.clone());
        self.lose(held);
        if cluster.is_some() {
            self.state.transaction = Transaction::Lost { code: Code::TransactionCut };
        }
        cluster
    }

    /// Counts a connection to the primary that the session keeps, for its workspace.
    pub(super) fn seat(&mut self, held: &mut state::Held) {
        if let (None, Some(workspace), Role::Primary) = (&held.seat, held.workspace, held.role) {
            let admission = self.entrance.of(&self.services.admissions, &held.cluster);
            held.seat = Some(admission.take_seat(workspace));
        }
    }

    /// Says whether the cluster was drained since the connection was lent.
    pub(super) fn was_drained(&mut self, held: &state::Held) -> bool {
        self.entrance.of(&self.services.admissions, &held.cluster).drains() != held.drains
    }
}

/// The class whose permits a statement takes.
fn class_of(job: &Job<'_>) -> Class {
    let effects = &job.plan.effects;
    // What follows behind these counts as a transaction's, which gates let pass.
    let locks = effects.pins.contains(Pins::TABLE_LOCK) || effects.pins.contains(Pins::XA);
    let writes = effects.writes || effects.locks_rows || effects.changes_schema || locks;
    if writes || effects.transaction != TransactionEffect::None { Class::Write } else { Class::Read }
}

fn told(refusal: Refusal, place: &Place) -> ClientError {
    refusal.error(&place.cluster, place.shard.as_deref())
}

/// The transaction ended with its connection, and was not committed.
pub(super) fn transaction_cut(cluster: &ClusterName) -> ClientError {
    let ms = RETRY_AFTER_CUT.as_millis();
    let message = format!("{} (cluster {cluster}; retry after {ms} ms)", Code::TransactionCut.sentence());
    ClientError::new(Code::TransactionCut, message).with_outcome(Outcome::Refused)
}

/// What a statement is told that was let go and held too often.
pub(super) fn held_too_often(held: Option<&Held>) -> ClientError {
    let refusal = Refusal::GATES_UNSTEADY;
    held.map_or(ClientError::of(Code::HeldTooLong), |held| refusal.error(held.cluster(), held.shard()))
}
