//! What one server says of itself, and what follows from it alone.

use std::time::Duration;

use crate::gtid::{GtidSet, Origin};
use crate::ids::ServerId;
use crate::protocol::handshake::Flavour;

/// One server of a cluster, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerView {
    /// Which.
    pub server: ServerId,
    /// What it said, or why it said nothing.
    pub said: Result<Said, String>,
}

/// Who a server is in GTIDs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// MySQL's `server_uuid`.
    pub uuid: Option<u128>,
    /// `server_id`.
    pub server_id: u32,
}

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Which kind of server.
    pub flavour: Flavour,
    /// Its version: major, minor, patch.
    pub version: [u16; 3],
    /// Who it is.
    pub identity: Identity,
    /// Ordinary users cannot write: `read_only`, or `innodb_read_only`.
    pub is_read_only: bool,
    /// Aurora: its own name, and the writer's as it knows it.
    pub aurora: Option<(String, Option<String>)>,
    /// GTIDs are used.
    pub uses_gtid: bool,
    /// It keeps a binary log.
    pub logs: bool,
    /// What it replicates is in there too.
    pub logs_updates: bool,
    /// What it has executed: `gtid_executed`, `gtid_binlog_state`.
    pub executed: GtidSet,
    /// MariaDB: `gtid_slave_pos`, how far replication has come.
    pub position: GtidSet,
    /// What it replicates from; one at most, usually.
    pub sources: Vec<Replication>,
    /// Its part in semi-synchronous replication.
    pub semi_sync: SemiSync,
    /// MariaDB: accounts that `read_only` does not bind.
    pub unbound: Vec<String>,
}

/// A server's replication from one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replication {
    /// Where it replicates from.
    pub source: ServerId,
    /// Who that is, as far as it was ever connected.
    pub source_identity: Identity,
    /// Whether it receives.
    pub receiving: Receiving,
    /// Why it does not; empty when nothing is wrong.
    pub receive_error: String,
    /// Whether it applies what it receives.
    pub applies: bool,
    /// Why it stopped; empty when nothing is wrong.
    pub apply_error: String,
    /// It positions itself by GTID.
    pub by_gtid: bool,
    /// What it received, since its last start at least; MariaDB: up to where.
    pub received: GtidSet,
    /// Everything that is in the relay log was taken up.
    pub has_read_all: bool,
    /// How far behind it is; `None`: it cannot tell.
    pub lag: Option<Duration>,
    /// How far behind it is made to be.
    pub delay: Duration,
}

/// The receiving end of replication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receiving {
    /// Connected.
    Yes,
    /// It tries to connect.
    Connecting,
    /// Stopped.
    No,
}

/// A server's part in semi-synchronous replication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SemiSync {
    /// The plugin for primaries is there; MariaDB has it always.
    pub can_be_source: bool,
    /// As primary it waits for a replica before it acknowledges: enabled, and not fallen back.
    pub is_source: bool,
    /// After so long without an answer it falls back to acknowledging alone.
    pub timeout: Duration,
    /// As replica it answers.
    pub is_replica: bool,
}

/// The primary as it was last heard of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// What it said then.
    pub said: Said,
    /// How long ago.
    pub ago: Duration,
}

impl Said {
    /// Of the primary's transactions, those that it has not executed.
    pub fn lacks(&self, of: &GtidSet) -> GtidSet {
        of.subtract(&self.executed).subtract(&of.up_to(&self.position.last_by_domain()))
    }

    /// Of a replica's transactions, those that it never had. A position in a MariaDB domain is no proof here:
    /// a replica's own transaction takes a number that another one has too.
    pub fn never_had(&self, of: &GtidSet) -> GtidSet {
        of.subtract(&self.executed).subtract(&self.position)
    }

    /// Of the primary's transactions, those that it has neither executed nor received.
    pub fn never_got(&self, of: &GtidSet) -> GtidSet {
        self.sources.iter().fold(self.lacks(of), |left, source| {
            let position = source.received.last_by_domain();
            left.subtract(&source.received).subtract(&of.up_to(&position))
        })
    }

    /// What it has executed or received.
    pub fn has(&self) -> GtidSet {
        self.sources.iter().fold(self.executed.clone(), |all, source| all.union(&source.received))
    }

    /// Version, for messages.
    pub fn version_text(&self) -> String {
        let [major, minor, patch] = self.version;
        format!("{major}.{minor}.{patch}")
    }

    /// Says whether it takes writes of ordinary users. On Aurora it also is the one that the others call
    /// the writer.
    pub fn is_writable(&self) -> bool {
        let is_writer = match &self.aurora {
            Some((own, Some(writer))) => own == writer,
            _ => true,
        };
        !self.is_read_only && is_writer
    }

    /// Says whether it replicates from `primary`, whose own words are `said`, if it answers: by who that is,
    /// else by its address.
    pub fn replicates_from(&self, primary: &ServerId, said: Option<&Self>) -> bool {
        self.sources.first().is_some_and(|source| {
            let known = said.and_then(|primary| primary.identity.is_same(&source.source_identity));
            let is_source = known.unwrap_or(source.source == *primary);
            is_source && source.receiving == Receiving::Yes && source.applies
        })
    }

    /// Says whether it replicates from somewhere, or tries to.
    pub fn follows_someone(&self) -> bool {
        self.sources.iter().any(|source| source.receiving != Receiving::No || source.applies)
    }
}

impl Identity {
    /// Says whether a transaction of this origin was first committed there.
    pub fn is_origin(&self, origin: &Origin) -> bool {
        match origin {
            Origin::MySql { uuid, .. } => self.uuid == Some(*uuid),
            Origin::MariaDb { server, .. } => self.server_id == *server,
        }
    }

    /// Says whether both are one server; `None` when one of them is not known.
    pub fn is_same(&self, other: &Self) -> Option<bool> {
        match (self.uuid, other.uuid) {
            (Some(one), Some(two)) => Some(one == two),
            _ if self.server_id == 0 || other.server_id == 0 => None,
            _ => Some(self.server_id == other.server_id),
        }
    }
}
