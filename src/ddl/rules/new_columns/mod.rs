//! Rules about columns that are added.

mod add_column;
mod counting_column;
mod expression_default;
mod generated_column;
mod required_column;

use super::Rule;

pub(super) const RULES: &[&Rule] = &[
    &add_column::RULE,
    &required_column::RULE,
    &expression_default::RULE,
    &generated_column::RULE,
    &counting_column::RULE,
];
