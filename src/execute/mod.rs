//! Relaying and collecting answers of server connections.
//!
//! Acts on connections that the session lends it; knows no session, no snapshot, no plan.

mod collect;
mod rechain;
mod relay;

pub use collect::{COLLECT_BYTES_MAX, Collected, collect};
pub use rechain::Rechain;
pub use relay::{Answer, RelayError, Stop, relay};
