//! What statements leave behind for the detectors: when they began, and how they ended.
//!
//! Only what runs on a primary: a shard is as healthy as its primary. Statements whose time says nothing
//! about the server are left out: schema changes, loads, waits for user locks, session statements.

use std::time::Instant;

use crate::admission::Admitted;
use crate::error::Code;
use crate::execute::RelayError;
use crate::health::{Class, Ended, Flight, Statement};
use crate::ids::Role;
use crate::plan::TransactionEffect;
use crate::sql::StatementKind;

use super::Session;
use super::flow::Failure;
use super::run::job::{Job, Payload};
use super::run::place::Place;

/// The fingerprint of the COMMITs that Bulkhead sends for the parts of a split statement: no statement of
/// clients has it, but for a chance of one in 2⁶⁴.
const PARTS_COMMIT_DIGEST: u64 = 1;

impl Session {
    /// A statement is about to be sent; absent when it is not to be measured.
    pub(super) fn begin_flight(
        &mut self,
        job: &Job<'_>,
        place: &Place,
        (role, now): (Role, Instant),
    ) -> Option<Flight> {
        let class = class_of(job)?;
        let digest = job.plan.digest;
        (role == Role::Primary).then(|| self.begin(class, digest, place, now))
    }

    /// As [`Self::begin_flight`], of the COMMIT of a part.
    pub(super) fn begin_commit(&mut self, place: &Place) -> Option<Flight> {
        let is_measured = place.role == Role::Primary;
        is_measured.then(|| self.begin(Class::Write, PARTS_COMMIT_DIGEST, place, Instant::now()))
    }

    fn begin(&mut self, class: Class, digest: u64, place: &Place, now: Instant) -> Flight {
        let owner = if place.owner == 0 { digest } else { place.owner };
        let meter = self.meter.of(&self.services.meters, &place.cluster);
        meter.begin(Statement { class, digest, owner }, now)
    }

    /// A statement's answer was relayed, or broke off.
    pub(super) fn land(
        &mut self,
        flight: Option<Flight>,
        admitted: Option<Admitted>,
        relayed: &Result<(), RelayError>,
    ) {
        let now = Instant::now();
        self.seen_at = now;
        match relayed {
            // Whoever waited gave up: the client, a deadline, an operator.
            Err(RelayError::Client(_) | RelayError::Stopped(_)) => {
                flight.into_iter().for_each(|flight| flight.abandon(now));
            }
            // It has not run: its connection could not be brought to the session's state.
            Err(RelayError::State(_)) => {}
            done => {
                let ended = self.ended(done.is_err());
                // What was not measured says nothing about the server.
                let is_fault = flight.is_some() && ended.is_servers_fault();
                let times = flight.and_then(|flight| flight.end(ended, now));
                admitted.into_iter().for_each(|admitted| admitted.land(times, is_fault, now));
            }
        }
    }

    /// A part's answer was collected, or broke off.
    pub(super) fn land_part(&self, flight: Option<Flight>, failure: Option<&Failure>) {
        let Some(flight) = flight else { return };
        match failure {
            None | Some(Failure::Refused(_)) => self.land_as(flight, self.ended(false)),
            Some(Failure::Unusable(error)) if is_servers(error.code) => self.land_as(flight, Ended::Lost),
            Some(_) => flight.abandon(Instant::now()),
        }
    }

    /// It ended like this, now.
    pub(super) fn land_as(&self, flight: Flight, ended: Ended) {
        flight.end(ended, Instant::now());
    }

    /// How the statement ended whose answer the tracker has seen last.
    pub(super) fn ended(&self, lost: bool) -> Ended {
        match &self.tracker.end().error {
            _ if lost => Ended::Lost,
            Some(error) => Ended::Error(error.errno),
            None => Ended::Well,
        }
    }

    /// No connection was to be had; counted if that is the server's doing.
    pub(super) fn count_unreachable(&mut self, job: &Job<'_>, place: &Place, failure: &Failure) {
        let is_counted = matches!(failure, Failure::Refused(error) if is_servers(error.code));
        let Some(class) = class_of(job).filter(|_| is_counted && place.role == Role::Primary) else { return };
        self.meter.of(&self.services.meters, &place.cluster).count_unreachable(class);
    }
}

/// Says whether the code tells of a server that cannot be reached or does not answer as one.
fn is_servers(code: Code) -> bool {
    use Code::{ShardConnectionLost, ShardLogin, ShardProtocol, ShardUnreachable};
    matches!(code, ShardConnectionLost | ShardLogin | ShardProtocol | ShardUnreachable)
}

fn class_of(job: &Job<'_>) -> Option<Class> {
    use StatementKind::{Call, Delete, Execute, Insert, Replace, Select, Update};
    let (effects, kind) = (&job.plan.effects, job.plan.kind);
    let changes_rows = matches!(kind, Insert | Replace | Update | Delete | Call | Execute) && effects.writes;
    if matches!(job.payload, Payload::Raw(_)) || effects.changes_schema {
        None
    } else if changes_rows || effects.transaction == TransactionEffect::Commit {
        Some(Class::Write)
    } else {
        (kind == Select && !effects.only_locks && !effects.writes).then_some(Class::Read)
    }
}
