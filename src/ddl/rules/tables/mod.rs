//! Rules about tables as a whole.

mod convert_charset;
mod default_charset;
mod drop_table;
mod engine;
mod partition_rows;
mod rebuild;
mod rename_table;
mod repartition;
mod row_format;
mod table_option;
mod unsupported;

use super::Rule;

pub(super) const RULES: &[&Rule] = &[
    &table_option::RULE,
    &row_format::RULE,
    &engine::RULE,
    &default_charset::RULE,
    &convert_charset::RULE,
    &rebuild::RULE,
    &rename_table::RULE,
    &drop_table::RULE,
    &partition_rows::RULE,
    &repartition::RULE,
    &unsupported::RULE,
];
