//! The client's side: login, the command loop, session state, and the one retry loop.
//!
//! Owns what a MySQL session is towards the client. It does not own sockets to servers (`backend`), the
//! choice of a route (`plan`), or the relay (`execute`).
//!
//! Invariants: a statement is planned, bound and resolved on one snapshot; nothing that may have reached a
//! server is sent again, unless it only reads, is outside a transaction, and not a byte of its answer was
//! seen; one workspace's database never stays current under another's statement: a change of database goes by
//! way of `information_schema`, so that a change that fails leaves none of the first one's tables in reach.

mod admit;
mod alarm;
mod commands;
mod ddl;
mod flow;
mod login;
mod measure;
mod prepared;
mod query;
mod registry;
mod run;
mod services;
mod settings_cache;
mod state;
mod statements;
mod target;

pub use ddl::{EmptiedTables, OwnDatabases};
pub use login::{
    LOGIN_PACKET_BYTES_MAX, LoggedIn, LoginError, WelcomedClient, err_payload, limits_of, log_in, refuse,
    welcome_client,
};
pub use registry::{Activity, Interrupt, Limits, Registry, SessionEntry};
pub use services::{PlanLookups, Services, Serving, StoredPasswords};
pub use settings_cache::SettingsCache;

use std::sync::Arc;
use std::time::Instant;

use crate::admission::NearAdmission;
use crate::config::User;
use crate::error::Code;
use crate::health::NearMeter;
use crate::ids::WorkerId;
use crate::memory::Holding;
use crate::protocol::auth::Nonce;
use crate::protocol::capability::Capabilities;
use crate::protocol::framed::Framed;
use crate::protocol::response::ResponseTracker;
use crate::sql::Scan;

use self::alarm::Alarm;
use self::ddl::Waits;
use self::prepared::PreparedStatements;
use self::run::linger::{KeptWarnings, Lingering};
use self::run::previous::Refusal;
use self::state::State;

/// One client after login. All of it belongs to the session's own task.
struct Session {
    services: Arc<Services>,
    /// Config as of login; a session keeps it.
    serving: Arc<Serving>,
    client: Framed,
    /// What client and Bulkhead agreed on.
    capabilities: Capabilities,
    user: Arc<User>,
    /// Where the client comes from, as error messages name it.
    host: String,
    /// The greeting's nonce, which CHANGE USER answers to.
    nonce: Nonce,
    admission: registry::Admission,
    /// The thread that serves the session.
    worker: WorkerId,
    entry: Arc<SessionEntry>,
    meter: NearMeter,
    entrance: NearAdmission,
    /// The statement that is being worked on was held at a gate.
    asks_anew: bool,
    /// What is held in memory for it since.
    carried: Option<Holding>,
    /// What it has waited for so far, as a schema change.
    waits: Option<Box<Waits>>,
    state: State,
    /// For all deadlines of the session.
    alarm: Alarm,
    /// When the session looked at the clock last: as its command arrived, or as an answer to it ended.
    /// Looking again for every purpose would cost more than most of what it is for.
    seen_at: Instant,
    /// When the command that is being worked on arrived.
    started: Instant,
    prepared: PreparedStatements,
    /// Reused by every statement.
    scan: Scan,
    tracker: ResponseTracker,
    /// The command that is being worked on.
    command: Vec<u8>,
    /// The command's payload as it goes to the server; reused.
    outgoing: Vec<u8>,
    /// The answer being given is not the last one to its command.
    more_results: bool,
    /// The last answer was an error.
    answer_failed: bool,
    /// A KILL QUERY was sent for the statement that just ended.
    was_killed: bool,
    /// The statement that runs has the server close its connection.
    is_releasing: bool,
    /// Bulkhead's own error, if that is what the last statement came to.
    refusal: Option<Refusal>,
    /// Why the statement that just ended was killed, while the client was not told yet.
    cut_short: Option<Code>,
    /// The server's id of the prepared statement that was executed last.
    last_executed: u32,
    /// A connection kept for questions about its last statement.
    lingering: Option<Lingering>,
    /// The warnings of a statement whose connection went back.
    kept_warnings: Option<KeptWarnings>,
}
