//! Schema changes, decided: what a statement would do to a table, and which way it may take.
//!
//! Pure: a statement, the table's current definition and the server's version go in, a [`Decision`] comes
//! out. Every clause is looked at by every rule in [`rules`]; a rule may say what the server can do
//! ([`Offer`]) and what follows ([`Effect`]). What the rules say is only ever combined to the stricter side,
//! so a statement is never judged milder than its strictest clause. A clause that no rule knows is refused.
//!
//! It sends nothing, reads no server, and holds no state. Sessions ask it about every change of a table, with
//! the definition as the server has it then; the command line asks it about files.

mod apply;
mod claims;
mod conversion;
mod decide;
mod describe;
mod edit;
mod headroom;
mod offer;
mod resolved;
pub mod rules;
mod script;
mod standing;
mod table;

pub use apply::apply;
pub use claims::{Claim, Converts, Texts, Unprovable, claims};
pub use conversion::{Conversion, compare};
pub use decide::{ClauseReport, Decision, Finding, Level, Request, Route, decide, missing_column};
pub use describe::{to_json, to_text};
pub use edit::{Edit, assert_edits, edited, wait_edits};
pub use headroom::{
    Danger, IntegerColumn, Mismatch, Reference, Room, SchemaFacts, SequenceFacts, Source, judge,
};
pub use offer::{Class, Lock, Offer, Work};
pub use resolved::ResolvedType;
pub use rules::{Effect, Rule};
pub use script::{
    FILE_BYTES_MAX, Permits, Script, ScriptError, Step, read_definitions, read_script, tables_of,
};
pub use standing::Standing;
pub use table::Table;
