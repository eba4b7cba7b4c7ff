//! What tables are like, compared: fingerprints, groups, differences, repairs. Pure.
//!
//! A [`Definition`] is read from what SHOW CREATE TABLE prints. Its [`Normal`] form is a list of parts in
//! which two writings of the same thing are equal: character sets filled in, display widths and the value
//! of AUTO_INCREMENT left out, defaults in one writing, keys and options sorted. Columns keep their order.
//! What is not known stays in as it is written, so two tables are never equal because something was not
//! understood. Its [`Fingerprint`] is kept in the ledger, so the form must not change its writing between
//! releases.
//!
//! Repairs are put together from the byte spans of the definition that is wanted, not printed from a tree.

mod compare;
mod drift;
mod foretell;
mod normal;
mod repair;
mod show;

pub use compare::{Change, Difference, compare};
pub use drift::{Drift, DriftGroup, Groups, Seen};
pub use foretell::{Effect, foretell};
pub use normal::{Definition, DefinitionFault, Fingerprint, Normal, Part, PartKind};
pub use repair::{Repair, repair};
pub use show::{to_json, to_text};

#[cfg(test)]
mod tests;
