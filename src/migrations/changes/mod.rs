//! Changes of tables, from the binary log of their cluster.
//!
//! One feed per cluster serves all subscriptions there: it begins with the first and ends after the last, on
//! a connection of its own to the primary. It gives every committed change of a subscribed table once, in
//! order, whole rows before and after; it follows the cluster's primary, and goes on behind what each
//! subscriber has got when a connection is lost. What cannot be followed surely (partial rows, statements
//! instead of rows, purged logs, another history) is an error that says what to do, never a gap. A subscriber
//! that takes its changes too slowly for the others is ended, and has a stream of its own when it comes back;
//! so has one that the shared feed does not take in soon.
//!
//! - `binlog`: events as bytes to facts, without IO.
//! - [`values`]: column kinds, values, and the literals that carry them.
//! - `feed`: the connection, and who gets what.
//!
//! It does not own what is done with a change, nor when a position is written down.

mod binlog;
mod change;
mod error;
mod feed;
mod feeds;
mod place;
mod position;
pub mod values;

pub use change::{Change, RowChange, TableChange, TableName};
pub use error::FeedError;
pub use feeds::{FeedStats, Feeds, Source, Sources, Subscription};
pub use position::{Position, PositionFault};
