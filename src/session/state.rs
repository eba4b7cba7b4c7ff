//! What a session remembers between commands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::admission::Seat;
use crate::backend::{Checkout, SessionSettings};
use crate::error::Code;
use crate::ids::{ClusterName, Keyspace, Role, WorkspaceId};
use crate::plan::Pins;
use crate::protocol::capability::StatusFlags;
use crate::sql::{ServerVersion, SqlMode};
use crate::topology::Snapshot;

use crate::session::ddl::YoungTables;
use crate::session::prepared::TextPrepared;
use crate::session::run::locks::UserLocks;
use crate::session::run::temporary::TemporaryTables;
use crate::session::statements::deferred::Deferred;
use crate::session::statements::variables::mode_of;

/// What the client selected with USE, COM_INIT_DB or the handshake.
#[derive(Clone, Debug, Default)]
pub(super) struct Target {
    /// The keyspace; absent before the first USE, and for `information_schema`.
    pub keyspace: Option<Keyspace>,
    /// The workspace, if a workspace's own database was selected.
    pub workspace: Option<WorkspaceId>,
    /// The database's name on the server; absent where only a workspace id will tell it.
    pub database: Option<Arc<str>>,
    /// What the client wrote, without `@replica`.
    pub name: Option<Arc<str>>,
    /// `USE app@replica`; absent: what the user's configuration says.
    pub role: Option<Role>,
}

/// The session's transaction.
///
/// `Idle` → `Deferred` by BEGIN without a known shard → `Open` by the first routed statement. `Idle` → `Open`
/// by BEGIN with a known shard, or whenever a server says so. `Open` → `Lost` when its connection is lost or
/// `timeouts.transaction` is over.
/// `Open`, `Deferred` → `Idle` by COMMIT, ROLLBACK, implicit commits, and by a server that has ended it with
/// an error (a deadlock). `Lost` → `Idle` by ROLLBACK only.
#[derive(Debug, Default)]
pub(super) enum Transaction {
    /// None is open.
    #[default]
    Idle,
    /// BEGIN was answered, but no shard is known yet: this goes ahead of the first routed statement.
    Deferred(Deferred),
    /// A server has it.
    Open {
        /// Since when, for `timeouts.transaction`.
        since: Instant,
        /// Nothing but a savepoint is set yet, of which the server's status does not tell.
        is_unseen: bool,
        /// Its last statement came to an error. That may have ended it, and an ERR packet does not tell.
        is_unsure: bool,
    },
    /// It is gone, and every statement until ROLLBACK is told so.
    Lost {
        /// Why: its connection was lost, or it took too long.
        code: Code,
    },
}

impl Transaction {
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }
}

/// The server connection that the session keeps, and why.
#[derive(Debug)]
pub(super) struct Held {
    /// The connection.
    pub checkout: Checkout,
    /// The cluster it leads to.
    pub cluster: ClusterName,
    /// The role it was lent for.
    pub role: Role,
    /// [`crate::admission::Admission::drains`] as of before it was lent.
    pub drains: u64,
    /// Whose statement it was lent for, as permits know it.
    pub workspace: Option<u64>,
    /// Counts for that workspace while the session keeps it.
    pub seat: Option<Seat>,
}

/// What the last statement left, for questions about it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Last {
    /// `LAST_INSERT_ID()`; kept until another statement generates one.
    pub insert_id: u64,
    /// The server connection that generated it.
    pub insert_thread: Option<u32>,
    /// `ROW_COUNT()`.
    pub row_count: i64,
    /// `FOUND_ROWS()`.
    pub found_rows: u64,
    /// Number of warnings.
    pub warnings: u16,
    /// It ended with an error.
    pub failed: bool,
}

/// Everything that RESET CONNECTION and CHANGE USER set back.
#[derive(Debug)]
pub(super) struct State {
    pub target: Target,
    /// `SET @workspace_id = …`.
    pub workspace_variable: Option<WorkspaceId>,
    /// Session variables as the client set them.
    pub settings: Arc<SessionSettings>,
    /// The settings after login, for RESET CONNECTION.
    pub initial_settings: Arc<SessionSettings>,
    /// The login asked for IGNORE_SPACE, which holds until `sql_mode` is set.
    pub ignores_space: bool,
    /// How texts are read; follows `sql_mode`.
    pub mode: SqlMode,
    /// `SET wait_timeout`.
    pub wait_timeout: Option<Duration>,
    /// `SET autocommit`.
    pub autocommit: bool,
    /// `SET session_track_state_change = 1`.
    pub asks_state_changes: bool,
    pub transaction: Transaction,
    /// `SET TRANSACTION …` that waits for the next transaction.
    pub next_transaction: Vec<Vec<u8>>,
    pub pins: Pins,
    /// Locks taken by GET_LOCK and not yet released.
    pub user_locks: UserLocks,
    /// Temporary tables that may exist.
    pub temporary_tables: TemporaryTables,
    /// Tables that the session made a moment ago.
    pub young: Option<Box<YoungTables>>,
    /// The id of the XA transaction that the session began, as it wrote it.
    pub xa: Option<Box<[u8]>>,
    /// Cursors that are open.
    pub cursors: u32,
    /// Statements prepared by PREPARE … FROM, on the held connection.
    pub text_prepared: BTreeMap<String, Arc<TextPrepared>>,
    pub held: Option<Held>,
    /// What the open transaction is planned on, whatever is reloaded meanwhile.
    pub snapshot: Option<Arc<Snapshot>>,
    pub last: Last,
    /// The database's name of the workspace last named by a comment or variable: `(keyspace, workspace,
    /// name)`.
    pub rendered: Option<(Keyspace, WorkspaceId, Arc<str>)>,
    /// Where writes went, for reads that must see them.
    pub wrote: BTreeSet<ClusterName>,
}

impl State {
    /// The state after login.
    pub(super) fn new(settings: Arc<SessionSettings>, server: ServerVersion, ignores_space: bool) -> Self {
        Self {
            ignores_space,
            initial_settings: settings.clone(),
            target: Target::default(),
            workspace_variable: None,
            mode: mode_of(&settings, server, ignores_space),
            settings,
            wait_timeout: None,
            autocommit: true,
            asks_state_changes: false,
            transaction: Transaction::default(),
            next_transaction: Vec::new(),
            pins: Pins::NONE,
            user_locks: UserLocks::default(),
            temporary_tables: TemporaryTables::default(),
            young: None,
            xa: None,
            cursors: 0,
            text_prepared: BTreeMap::new(),
            held: None,
            snapshot: None,
            last: Last::default(),
            rendered: None,
            wrote: BTreeSet::new(),
        }
    }

    /// The status flags of an answer that Bulkhead writes itself.
    pub(super) fn status(&self) -> StatusFlags {
        let mut status = StatusFlags::default();
        if self.autocommit {
            status = status | StatusFlags::AUTOCOMMIT;
        }
        if matches!(self.transaction, Transaction::Open { .. } | Transaction::Deferred(_)) {
            status = status | StatusFlags::IN_TRANSACTION;
        }
        if self.mode.no_backslash_escapes {
            status = status | StatusFlags::NO_BACKSLASH_ESCAPES;
        }
        status
    }

    /// Notes a write, for reads that must see it.
    pub(super) fn note_write(&mut self, cluster: &ClusterName) {
        if !self.wrote.contains(cluster) {
            self.wrote.insert(cluster.clone());
        }
    }

    /// Says whether the held connection may go back to its pool.
    pub(super) fn is_free(&self) -> bool {
        !self.transaction.is_open() && !self.is_pinned()
    }

    /// Says whether no transaction is open, deferred or about to begin with the next statement.
    pub(super) fn is_outside_transaction(&self) -> bool {
        matches!(self.transaction, Transaction::Idle) && self.autocommit
    }

    /// Says whether something beside a transaction ties the session to its connection.
    pub(super) fn is_pinned(&self) -> bool {
        !self.pins.is_empty()
            || self.cursors > 0
            || !self.text_prepared.is_empty()
            || self.settings.keeps_history()
    }

    /// Forgets what tied the session to its connection: the connection is gone.
    pub(super) fn unpin(&mut self) {
        self.pins = Pins::NONE;
        self.user_locks = UserLocks::default();
        self.temporary_tables = TemporaryTables::default();
        self.cursors = 0;
        self.xa = None;
        self.text_prepared.clear();
    }
}
