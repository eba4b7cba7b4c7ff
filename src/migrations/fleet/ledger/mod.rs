//! What is known of fleet migrations, in the store.
//!
//! A fleet migration is one key, `fleet/migrations/ID` ([`Header`]), and its rows are pages of
//! [`ROWS_PER_PAGE`], `fleet/rows/ID/PAGE`: 100,000 databases are 1,563 keys, read a few at a time. The
//! header is written first and says whether all pages are there; what was written halfway is removed at the
//! next start. One that is planned again gets another *edition* of its pages, `fleet/rows/ID.EDITION/PAGE`,
//! and then a header that says so: until that is written the old pages hold.
//!
//! One proxy at a time owns all of it, by the lease `leases/fleet`: every commit expects that lease, so
//! whoever has lost it writes nothing.

mod book;
mod header;
mod layout;
mod record;
mod row;

pub use book::{Book, BookError, LEASE_KEY, Loaded};
pub(crate) use book::{encode_header, encode_new, header_key};
pub use header::{Action, Before, Header, Order, OrderStep, Pace, Phase, Progress, StepKind, Wanted, Wave};
pub use layout::{Again, Canary, Ordering, WavePlan};
pub use record::{
    Counts, Ending, Illegal, Kind, Moment, Outcome, Record, Standing, Steps, TRIES_MAX, Transition, Why,
    apply, retry_after,
};
pub use row::{PageFault, ROWS_PER_PAGE, Row, decode_page, encode_page, page_key, page_of, pages_for};

#[cfg(test)]
mod tests;
