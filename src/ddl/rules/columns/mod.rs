//! Rules about columns.

mod attribute_dropped;
mod auto_increment;
mod column_attributes;
mod column_default;
mod drop_column;
mod generated_change;
mod name_used_again;
mod not_null;
mod nullable;
mod rename_column;
mod reorder_column;
mod unknown_column;

use super::Rule;

pub(super) const RULES: &[&Rule] = &[
    &drop_column::RULE,
    &rename_column::RULE,
    &reorder_column::RULE,
    &column_default::RULE,
    &column_attributes::RULE,
    &not_null::RULE,
    &nullable::RULE,
    &auto_increment::RULE,
    &generated_change::RULE,
    &unknown_column::RULE,
    &name_used_again::RULE,
    &attribute_dropped::RULE,
];
