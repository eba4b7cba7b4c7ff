//! Rules about statements as a whole.

mod client_assertion;
mod definition_missing;
mod definition_unclear;
mod foreign_keys;
mod mixed_virtual;
mod no_assertion;
mod no_row_key;
mod not_innodb;
mod online_copy;
mod rows_ignored;
mod unknown_clause;
mod versioned_table;

use super::Rule;

pub(super) const RULES: &[&Rule] = &[
    &unknown_clause::RULE,
    &definition_missing::RULE,
    &definition_unclear::RULE,
    &not_innodb::RULE,
    &no_row_key::RULE,
    &foreign_keys::RULE,
    &client_assertion::RULE,
    &no_assertion::RULE,
    &rows_ignored::RULE,
    &versioned_table::RULE,
    &mixed_virtual::RULE,
    &online_copy::RULE,
];
