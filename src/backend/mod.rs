//! Connections to servers: opening, lending, taking back.
//!
//! Owns one [`Connection`] per socket and what is known of the server's side of it, the pools ([`Pools`]: one
//! per cluster, role and server), and the control connections for KILL. It does not own what is sent on a
//! connection, nor whether a statement is sent again: a [`Checkout`] error means that nothing was sent.
//!
//! States of a connection: *opening* → *busy* (lent) ⇄ *idle*; a dirty one is reset between busy and idle;
//! any → closed. Of a server: working, left alone after failures, retrying (`books/breaker.rs`).
//!
//! Invariants: connections and waiters are bounded per server; no lock is held across an await; nothing that
//! changes is shared between clusters; a connection is lent only to sessions whose capabilities it was opened
//! with.

mod books;
mod connection;
mod control;
mod delta;
pub mod direct;
mod error;
mod open;
mod pool;
mod pools;
mod prepared;
mod set_up;
mod settings;

#[cfg(test)]
mod tests;

pub use books::{BreakerState, Counters, PoolStats, WAIT_BUCKETS_US};
pub use connection::{Behind, Connection};
pub use control::{KillError, Killer};
pub use delta::{LoginTraits, has_odd_default, settings_delta};
pub use error::{ApplyError, CheckoutError, OpenError, OpenFailure};
pub use pool::Checkout;
pub use pools::{Lent, Pools, PoolsError, Wanted, client_tls};
pub use prepared::{Prepared, PreparedKey, TextHash};
pub use settings::{
    STATE_TRACKING, SessionSettings, SettingChange, UTF8MB4_GENERAL_CI, UnstableSetting, stable_literal,
    text_of_literal,
};
