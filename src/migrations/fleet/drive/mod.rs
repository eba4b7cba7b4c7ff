//! Carries out what the scheduler decided.
//!
//! A [`Driver`] goes in turns ([`Driver::turn`]): it takes what has ended, asks the scheduler what to do
//! now, writes what that changed, and only then begins what was decided. So whatever happens, what was
//! begun is in the store as begun. After an error of the store it is not known what was written: everything
//! is read again ([`Driver::resume`]), and what is not known to be running here is looked at.
//!
//! What acts on databases is an [`Executor`]; this module knows nothing of servers.

mod driver;
mod executor;
mod places;

pub use driver::{Driver, DriverError, Turned};
pub use executor::{Executor, ExecutorFuture};
pub use places::SnapshotPlaces;

#[cfg(test)]
mod tests;
