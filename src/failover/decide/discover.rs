//! Which server is the primary, by what the servers say. Pure.
//!
//! A replica that somebody forgot to make read-only, or a server that took writes beside the primary all the
//! time, is no successor: it must not replicate, must be of the same data, and must have come up after the
//! primary stopped to take writes.

use super::super::end::Undecided;
use super::view::{Said, ServerView};
use crate::ids::ServerId;

/// What is known besides.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a> {
    /// The server that was the primary.
    pub primary: &'a ServerId,
    /// Its last words.
    pub heard: Option<&'a Said>,
    /// Servers that were left behind.
    pub cut_off: &'a [ServerId],
    /// Servers that took writes while the primary did.
    pub strays: &'a [ServerId],
}

/// What it comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is the primary still.
    Same,
    /// This one is now.
    Changed(ServerId),
    /// Not to be told.
    Undecided(Undecided),
}

/// Judges.
pub fn judge(before: Before<'_>, views: &[ServerView]) -> Judgement {
    let said_of = |view: &'_ ServerView| -> Option<(ServerId, bool)> {
        let said = view.said.as_ref().ok().filter(|said| said.is_writable())?;
        Some((view.server.clone(), said.follows_someone()))
    };
    let used = views.iter().filter(|view| !before.cut_off.contains(&view.server));
    let writable: Vec<_> = used.filter_map(said_of).collect();
    let is_primary_writable = writable.iter().any(|(server, _)| server == before.primary);
    let is_other = |(server, _): &&(ServerId, bool)| server != before.primary;
    let (replicas, successors): (Vec<_>, Vec<_>) =
        writable.iter().filter(is_other).partition(|(_, follows)| *follows);
    let names = |servers: &[&(ServerId, bool)]| servers.iter().map(|(server, _)| server.clone()).collect();
    match (is_primary_writable, &successors[..]) {
        (true, []) => Judgement::Same,
        (true, several) => {
            let mut all: Vec<ServerId> = names(several);
            all.insert(0, before.primary.clone());
            Judgement::Undecided(Undecided::SeveralWritable(all))
        }
        (false, []) => match replicas.first() {
            Some((server, _)) => unproven(server, "it still replicates".to_owned()),
            None => Judgement::Undecided(Undecided::NoneWritable),
        },
        (false, [(server, _)]) => prove(before, views, server),
        (false, several) => Judgement::Undecided(Undecided::SeveralWritable(names(several))),
    }
}

fn prove(before: Before<'_>, views: &[ServerView], server: &ServerId) -> Judgement {
    if before.strays.contains(server) {
        return unproven(server, "it did so already beside the primary".to_owned());
    }
    let said_by = |of: &ServerId| views.iter().find(|view| view.server == *of)?.said.as_ref().ok();
    let primary = said_by(before.primary).or(before.heard);
    let (Some(primary), Some(said)) = (primary, said_by(server)) else {
        return Judgement::Changed(server.clone());
    };
    let lacks = said.lacks(&primary.executed);
    let is_of_same_data = primary.executed.is_empty() || lacks != primary.executed;
    if primary.uses_gtid && said.uses_gtid && !is_of_same_data {
        return unproven(server, format!("it has none of the transactions of {}", before.primary));
    }
    Judgement::Changed(server.clone())
}

fn unproven(server: &ServerId, why: String) -> Judgement {
    Judgement::Undecided(Undecided::Unproven { server: server.clone(), why })
}
