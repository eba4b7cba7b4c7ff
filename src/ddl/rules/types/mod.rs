//! Rules about the types of columns.

mod collation_change;
mod longer_string;
mod lossy_conversion;
mod members_appended;
mod moment_change;
mod storage_change;
mod type_change;
mod unknown_type;

use super::Rule;

pub(super) const RULES: &[&Rule] = &[
    &type_change::RULE,
    &lossy_conversion::RULE,
    &longer_string::RULE,
    &members_appended::RULE,
    &collation_change::RULE,
    &storage_change::RULE,
    &unknown_type::RULE,
    &moment_change::RULE,
];
