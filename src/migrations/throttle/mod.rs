//! Whether copies may go on: one answer per cluster, for all of its migrations.
//!
//! `decide` is pure: readings and bounds in, a verdict out. `read` asks the servers once a second while there
//! is a copy. What writes usually take is learnt all the time, from what passes through the proxy (`writes`).
//! A reading that is old closes, as one that is bad does: what is not known is not good. Applying changes is
//! never asked about here, since a copy that falls behind its changes never ends.
//!
//! While copies may go on beside clients, they work for a part of the time only, the *share*: it falls as
//! soon as writes become slower than they were without a copy, and comes back slowly.

mod decide;
mod read;
mod writes;

pub use read::{ClusterNews, ClusterSignals};
pub(super) use read::{Throttle, Throttles, keep_learning};
