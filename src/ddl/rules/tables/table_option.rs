//! Options that change the definition alone.

use crate::ddl::rules::{Check, Rule, Ruling, Subject};
use crate::sql::ClauseKind;

pub(super) static RULE: Rule = Rule {
    id: "D401",
    name: "table_option",
    sentence: "an option that is kept in the definition alone",
    remedy: "none needed",
    source: "MySQL manual, Online DDL Operations: Table Operations; MariaDB documentation, ALTER TABLE",
    check: Check::Clause(check),
};

fn check(subject: &Subject<'_>) -> Option<Ruling> {
    let ClauseKind::Option(option) = &subject.clause.kind else { return None };
    const PLAIN: [&str; 14] = [
        "COMMENT",
        "AUTO_INCREMENT",
        "STATS_PERSISTENT",
        "STATS_AUTO_RECALC",
        "STATS_SAMPLE_PAGES",
        "MAX_ROWS",
        "MIN_ROWS",
        "AVG_ROW_LENGTH",
        "CHECKSUM",
        "TABLE_CHECKSUM",
        "DELAY_KEY_WRITE",
        "PACK_KEYS",
        "INSERT_METHOD",
        "AUTOEXTEND_SIZE",
    ];
    if !PLAIN.contains(&option.name.as_str()) {
        return None;
    }
    Some(Ruling::can(subject.option_offer(), format!("{} changes", option.name)))
}
