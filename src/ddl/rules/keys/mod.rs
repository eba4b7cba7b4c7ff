//! Rules about keys and constraints.

mod add_check;
mod add_foreign_key;
mod add_index;
mod add_special_index;
mod add_unique;
mod drop_check;
mod drop_foreign_key;
mod drop_index;
mod index_metadata;
mod primary_key;

use super::Rule;

pub(super) const RULES: &[&Rule] = &[
    &add_index::RULE,
    &add_unique::RULE,
    &add_special_index::RULE,
    &drop_index::RULE,
    &index_metadata::RULE,
    &primary_key::RULE,
    &add_foreign_key::RULE,
    &drop_foreign_key::RULE,
    &add_check::RULE,
    &drop_check::RULE,
];
